/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The manager's loop, and the order in which everything starts and ends.
 *
 * While its thread sleeps, who sees a client come, a worker that has a quick
 * question, or whose client has ended, acts as the manager there and then
 * (act_or_wake()).
 */

#include "daemon/manager.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/manager_int.h"

/*
 * The end takes less than a second: clients have this long to send their RSTs
 * and leave; then devices to give up theirs, and what the clients left of their
 * time; then the sources.
 */
#define QUIT_CLIENTS_MS 250
#define QUIT_DEVICES_MS 500
#define QUIT_SOURCE_MS 200

static mailbox_wake act_or_wake;

/* Nobody else has it yet, whatever role the caller has. */
static void
init_state(struct manager *m) ROLE_UNCHECKED
{
	mailbox_init(&m->box, act_or_wake, m);
	baton_init(&m->baton);
	m->put_by_end = &m->put_by;
	m->jobs_end = &m->jobs;
	m->arrived_end = &m->arrived;
	m->look_at = m->sleeps_until = MOMENT_NEVER;
	m->told_phones = SIZE_MAX;
	clients_init(m);
	idle_init(m);
	scm_init(m);
}

static struct door *
open_door(const struct manager_config *config)
{
	const size_t n = config->listener_count;
	int *sockets = calloc(n + 1, sizeof sockets[0]);
	struct door *d;

	if (sockets == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		sockets[i] = config->listeners[i];
	sockets[n] = config->control;
	d = door_new(sockets, n + 1);
	free(sockets);
	return d;
}

struct manager *
manager_new(const struct manager_config *config, struct cause *why)
    ROLE_UNCHECKED /* nobody else has it yet */
{
	struct manager *m = calloc(1, sizeof *m);

	if (m != NULL) {
		m->waker = waker_new_polled();
		m->monitors =
		    calloc(config->source_count + 1, sizeof m->monitors[0]);
		m->watches =
		    calloc(config->source_count + 1, sizeof m->watches[0]);
		m->entrances = calloc(config->listener_count + 1,
		    sizeof m->entrances[0]);
		m->door = open_door(config);
		m->roster = roster_new(0);
	}
	if (m == NULL || m->waker == NULL || m->monitors == NULL ||
	    m->watches == NULL || m->entrances == NULL || m->door == NULL ||
	    m->roster == NULL) {
		cause_set(why, "no memory or descriptors to start with");
		if (m != NULL)
			manager_free(m);
		return NULL;
	}
	m->config = *config;
	m->quit_msg.type = MSG_QUIT;
	m->rescan_msg.type = MSG_RESCAN;
	m->idle_msg.type = MSG_EXIT_IF_IDLE;
	m->main_runs_msg.type = MSG_MAIN_RUNS;
	init_state(m);
	m->started = clock_now();
	return m;
}

void
manager_free(struct manager *m) ROLE_UNCHECKED /* its thread has ended */
{
	roster_put(m->roster);
	if (m->waker != NULL)
		waker_put(m->waker);
	workers_free(m);
	free(m->entrances);
	free(m->monitors);
	free(m->watches);
	free(m);
}

/* ---- Messages ---- */

void
manager_begin_quit(struct manager *m)
{
	if (m->quitting)
		return;
	m->quitting = true;
	m->quit_step = moment_after_ms(clock_now(), QUIT_CLIENTS_MS);
	idle_quit(m);
	clients_stop_all(m);
}

static void
rescan(struct manager *m) RUNS_ON(on_manager)
{
	atomic_store(&m->rescan_posted, false);
	report_look(m);
	devices_retry_all(m);
}

static void
exit_if_idle(struct manager *m) RUNS_ON(on_manager)
{
	atomic_store(&m->idle_posted, false);
	m->idle.asked = true;
}

static void
main_runs(struct manager *m) RUNS_ON(on_manager)
{
	atomic_store(&m->main_runs_posted, false);
	report_main_runs(m);
}

static struct worker *
worker_of_knock(struct msg *m)
{
	return (struct worker *)((char *)m -
	    offsetof(struct worker, knock_msg));
}

static struct client *
client_of_call(struct msg *m)
{
	return (struct client *)((char *)m -
	    offsetof(struct client, call_msg));
}

static struct client *
client_of_ask(struct msg *m)
{
	return (struct client *)((char *)m - offsetof(struct client, ask));
}

static struct client *
client_of_ended(struct msg *m)
{
	return (struct client *)((char *)m -
	    offsetof(struct client, ended_msg));
}

static struct device *
device_of_ready(struct msg *m)
{
	return (struct device *)((char *)m -
	    offsetof(struct device, ready_msg));
}

static struct device *
device_of_ended(struct msg *m)
{
	return (struct device *)((char *)m -
	    offsetof(struct device, ended_msg));
}

static void
take_message(struct manager *m, struct msg *msg) RUNS_ON(on_manager)
{
	switch ((enum msg_type)msg->type) {
	case MSG_PLUGGED:
		devices_plugged(m, (struct msg_plug *)msg);
		free(msg);
		break;
	case MSG_UNPLUGGED:
		devices_unplugged(m, (struct msg_plug *)msg);
		free(msg);
		break;
	case MSG_SCANNED:
	case MSG_UNWATCHED:
		report_scanned(m, (struct msg_scan *)msg);
		free(msg);
		break;
	case MSG_DEVICE_READY:
		devices_ready(m, device_of_ready(msg));
		break;
	case MSG_DEVICE_ENDED:
		devices_ended(m, device_of_ended(msg));
		break;
	case MSG_CAME:
		workers_came(m, (struct entrance *)msg);
		break;
	case MSG_ARRIVED:
		clients_arrived(m, msg);
		break;
	case MSG_CLIENT_CALLS:
		clients_call(m, client_of_call(msg));
		break;
	case MSG_KNOCK:
		workers_knock(m, worker_of_knock(msg));
		break;
	case MSG_ASK:
		clients_ask(m, client_of_ask(msg));
		break;
	case MSG_CLIENT_ENDED:
		clients_ended(m, client_of_ended(msg));
		break;
	case MSG_SCM_OPENED:
		sockets_opened(m, scm_conn_of_opened(msg));
		break;
	case MSG_SCM_ENDED:
		sockets_ended(m, scm_conn_of_ended(msg));
		break;
	case MSG_RESCAN:
		rescan(m);
		break;
	case MSG_EXIT_IF_IDLE:
		exit_if_idle(m);
		break;
	case MSG_MAIN_RUNS:
		main_runs(m);
		break;
	case MSG_SCM_LOADED:
		scm_loaded(m, (struct scm_settings *)msg);
		break;
	case MSG_QUIT:
		manager_begin_quit(m);
		break;
	default:
		break;
	}
}

static void
take_list(struct manager *m, struct msg *msg) RUNS_ON(on_manager)
{
	struct msg *next;

	for (; msg != NULL; msg = next) {
		next = msg_next(msg);
		take_message(m, msg);
	}
}

static void
take_messages(struct manager *m) RUNS_ON(on_manager)
{
	struct msg *first = m->put_by;

	m->put_by = NULL;
	m->put_by_end = &m->put_by;
	take_list(m, first);
	take_list(m, mailbox_take(&m->box));
}

/* ---- Others in its place ---- */

/* Rounds that somebody else does for the manager: then others have kept it busy,
 * and its own thread goes on. */
#define BORROWED_ROUNDS 4

/* What may be done on any thread, because it does not block, and does not change
 * what the manager's own waits for. */
static bool
is_quick(struct manager *m, const struct msg *msg) RUNS_ON(on_manager)
{
	return msg->type == MSG_CAME || msg->type == MSG_CLIENT_CALLS ||
	    msg->type == MSG_KNOCK || msg->type == MSG_CLIENT_ENDED ||
	    msg->type == MSG_SCM_ENDED ||
	    (msg->type == MSG_SCM_OPENED && !workers_are_few(m)) ||
	    (msg->type == MSG_ASK &&
		clients_ask_is_quick(client_of_ask((struct msg *)msg)));
}

static void
put_by(struct manager *m, struct msg *msg) RUNS_ON(on_manager)
{
	msg->node.next = NULL;
	*m->put_by_end = msg;
	m->put_by_end = (struct msg **)&msg->node.next;
}

/* True: nothing is left to do. */
static bool
act(struct manager *m) RUNS_ON(on_manager)
{
	for (int i = 0; i < BORROWED_ROUNDS; i++) {
		struct msg *msg = mailbox_take(&m->box), *next;

		for (; msg != NULL; msg = next) {
			next = msg_next(msg);
			if (is_quick(m, msg))
				take_message(m, msg);
			else
				put_by(m, msg);
		}
		if (m->put_by != NULL || workers_need_own_thread(m) ||
		    clients_need_own_thread(m))
			return false;
		if (mailbox_idle(&m->box))
			return true;
	}
	return false;
}

/* The mailbox's wake function. */
static void
act_or_wake(void *arg)
{
	struct manager *m = arg;
	struct msg *arrived = NULL;
	bool done = false;

	if (baton_borrow(&m->baton)) {
		role_take(&on_manager);
		done = act(m);
		arrived = clients_take_arrived(m);
		role_drop(&on_manager);
		baton_return(&m->baton, m->waker);
	}
	if (!done)
		waker_wake(m->waker);
	clients_begin(m, arrived);
}

/* ---- Waiting ---- */

enum { POLL_WAKER, POLL_MARK, POLL_ADDRESSES, POLL_COUNT };

static void
sleep_until(struct manager *m, struct moment deadline) RUNS_ON(on_manager)
{
	struct pollfd pfd[POLL_COUNT] = {
		[POLL_WAKER] = { .fd = m->waker->read_fd, .events = POLLIN },
		[POLL_MARK] = { .fd = m->idle.mark, .events = POLLIN },
		[POLL_ADDRESSES] = { .fd = m->scm.fd, .events = POLLIN },
	};
	/* Others may act for it meanwhile as long as nothing that they do could
	 * change until when it sleeps. */
	const bool lends = !m->quitting && idle_ignores_clients(m) &&
	    !workers_need_own_thread(m);

	if (!mailbox_idle(&m->box)) {
		poll(pfd, POLL_COUNT, 0);
	} else {
		m->sleeps_until = deadline;
		if (lends)
			baton_lay_down(&m->baton);
		poll(pfd, POLL_COUNT,
		    moment_poll_timeout(clock_now(), deadline));
		if (lends)
			baton_take_up(&m->baton, m->waker);
	}
	if (pfd[POLL_WAKER].revents != 0)
		waker_clear(m->waker);
	if (pfd[POLL_ADDRESSES].revents != 0)
		scm_hear_addresses(m);
}

/* ---- The end ---- */

/* Takes the next step towards the end when it is time.  The moment of the one
 * after it; true in *over when there is none. */
static struct moment
run_quit(struct manager *m, bool *over) RUNS_ON(on_manager)
{
	const struct moment now = clock_now();
	bool late = !moment_before(now, m->quit_step);

	if (!m->devices_told && (m->clients == NULL || late)) {
		m->devices_told = true;
		/* A manager that is late itself takes nothing off them. */
		m->quit_step = moment_after_ms(late ? now : m->quit_step,
		    QUIT_DEVICES_MS);
		devices_stop_all(m);
		late = false;
	}
	if (m->devices_told) {
		m->clean = m->clients == NULL && m->sockets == NULL &&
		    devices_all_ended(m);
		*over = m->clean || late;
	}
	return m->quit_step;
}

static void
loop(struct manager *m) RUNS_ON(on_manager)
{
	bool over = false;

	while (!over) {
		struct moment deadline;

		take_messages(m);
		clients_begin(m, clients_take_arrived(m));
		deadline = moment_earlier(devices_run_due(m), report_run(m));
		deadline = moment_earlier(deadline, idle_run(m));
		deadline = moment_earlier(deadline, scm_run(m));
		deadline = moment_earlier(deadline, clients_run(m));
		deadline = moment_earlier(deadline, workers_run(m));
		if (m->quitting)
			deadline = moment_earlier(deadline, run_quit(m, &over));
		if (!over)
			sleep_until(m, deadline);
	}
}

static void *
manager_main(void *arg)
{
	struct manager *m = arg;

	role_take(&on_manager);
	workers_open_entrances(m);
	loop(m);
	workers_close_entrances(m);
	idle_fini(m);
	scm_fini(m);
	if (m->clean) {
		workers_fini(m);
		devices_fini(m);
	}
	role_drop(&on_manager);
	m->on_end(m->on_end_arg);
	return NULL;
}

/* ---- From outside ---- */

void
manager_on_end(struct manager *m, void (*fn)(void *), void *arg)
{
	m->on_end = fn;
	m->on_end_arg = arg;
}

int
manager_start(struct manager *m, struct cause *why)
{
	const int error =
	    thread_start(&m->thread, "manager", manager_main, m);

	if (error != 0)
		return cause_set(why, "no thread for the manager: %s",
		    strerror(error));
	for (size_t i = 0; i < m->config.source_count; i++) {
		m->monitors[i] =
		    monitor_start(m->config.sources[i], &m->box,
			m->config.scm);
		if (m->monitors[i] == NULL)
			log_error("%s: no thread to watch it",
			    m->config.sources[i]->name);
	}
	return 0;
}

/* A signal may come twice before the first has been dealt with. */
static void
post_once(struct manager *m, _Atomic bool *posted, struct msg *msg)
{
	if (!atomic_exchange(posted, true))
		mailbox_post(&m->box, msg);
}

void
manager_rescan(struct manager *m)
{
	post_once(m, &m->rescan_posted, &m->rescan_msg);
}

void
manager_exit_if_idle(struct manager *m)
{
	post_once(m, &m->idle_posted, &m->idle_msg);
}

void
manager_main_runs(struct manager *m)
{
	post_once(m, &m->main_runs_posted, &m->main_runs_msg);
}

void
manager_scm_loaded(struct manager *m, struct scm_settings *s)
{
	if (!mailbox_post(&m->box, &s->msg))
		scm_settings_put(s);
}

void
manager_quit(struct manager *m)
{
	mailbox_post(&m->box, &m->quit_msg);
}

static void
discard(struct msg *msg)
{
	struct msg *next;

	for (; msg != NULL; msg = next) {
		next = msg_next(msg);
		if (msg->type == MSG_PLUGGED || msg->type == MSG_UNPLUGGED ||
		    msg->type == MSG_SCANNED || msg->type == MSG_UNWATCHED)
			free(msg);
		else if (msg->type == MSG_SCM_LOADED)
			scm_settings_put((struct scm_settings *)msg);
		else if (msg->type == MSG_ARRIVED)
			clients_forget_arrived(msg);
	}
}

bool
manager_join(struct manager *m) ROLE_UNCHECKED /* its thread has ended */
{
	bool clean;

	thread_join(&m->thread);
	clean = m->clean;
	for (size_t i = 0; i < m->config.source_count; i++)
		if (m->monitors[i] != NULL &&
		    !monitor_stop(m->monitors[i], QUIT_SOURCE_MS))
			clean = false;
	discard(m->put_by);
	discard(mailbox_close(&m->box));
	return clean;
}

bool
manager_wants_again(const struct manager *m) ROLE_UNCHECKED /* it has ended */
{
	return m->again;
}
