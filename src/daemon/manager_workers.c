/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The manager's workers.  Those without a job wait at the door (door.h); one who
 * is woken there knocks, and is given what it was woken for: a client that it
 * accepts itself, acting as the manager, or a job that waits.  With pollers it is
 * they who accept, and a client that needs a worker is such a job.
 *
 * There is always one more at the door than jobs wait, so that nobody has to
 * make a thread first for who comes.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "daemon/manager_int.h"

/*
 * Workers that stay for the next job; beyond that their stacks and descriptors
 * are worth more than the time that starting a thread takes.  A host with 64
 * phones has about as many clients at a time, who may all come and go at once:
 * twice that, so that threads do not come and go with them.
 */
#define PARKED_MAX 128

/* Clients that are let in at a time: others are to have the manager, too. */
#define ENTER_MAX 8

/* When descriptors, memory or threads have run out: no new client for this
 * long; those that wait stay in the socket's backlog. */
#define ACCEPT_PAUSE_MS 200

/* ---- The stock ---- */

static void
pause_accepting(struct manager *m, const char *why) RUNS_ON(on_manager)
{
	if (!m->told_short)
		log_warning("no room for more clients (%u there): %s; raise "
		    "the limit of open files if that stays so",
		    m->client_count, why);
	m->told_short = true;
	m->accept_again = moment_after_ms(clock_now(), ACCEPT_PAUSE_MS);
}

static bool
add_worker(struct manager *m) RUNS_ON(on_manager)
{
	struct worker *w = worker_new(++m->last_worker_number,
	    m->config.records, m->door, &m->box);

	if (w == NULL)
		return false;
	w->next = m->workers;
	m->workers = w;
	m->worker_count++;
	m->parked_count++;
	return true;
}

bool
workers_are_few(struct manager *m)
{
	return m->parked_count < m->called + (m->quitting ? 0 : 1);
}

bool
workers_make(struct manager *m)
{
	bool made = true;

	while (made && workers_are_few(m))
		made = add_worker(m);
	return made;
}

/* Takes out of the stock, and frees, whoever has been told to end. */
static void
bury(struct manager *m) RUNS_ON(on_manager)
{
	struct worker **at = &m->workers;

	while (m->retired_count > 0 && *at != NULL) {
		struct worker *w = *at;

		if (w->retired) {
			*at = w->next;
			m->retired_count--;
			m->worker_count--;
			worker_join(w);
			worker_free(w);
		} else {
			at = &w->next;
		}
	}
}

void
workers_park(struct manager *m)
{
	m->parked_count++;
	/* Whichever comes is told to end, if there is still one too many. */
	if (m->parked_count > m->called + PARKED_MAX) {
		m->called++;
		door_call(m->door);
	}
}

static void
retire(struct manager *m, struct worker *w) RUNS_ON(on_manager)
{
	m->parked_count--;
	w->retired = true;
	m->retired_count++;
	worker_retire(w);
}

/* ---- Jobs ---- */

void
workers_give(struct manager *m, struct msg *job)
{
	job->node.next = NULL;
	*m->jobs_end = job;
	m->jobs_end = (struct msg **)&job->node.next;
	m->called++;
	door_call(m->door);
}

static void
give_job(struct manager *m, struct worker *w) RUNS_ON(on_manager)
{
	struct msg *job = m->jobs;

	m->jobs = msg_next(job);
	if (m->jobs == NULL)
		m->jobs_end = &m->jobs;
	m->parked_count--;
	mailbox_post(&w->box, job);
}

/* ---- Clients ---- */

int
workers_socket(const struct manager *m, size_t which)
{
	return which < m->config.listener_count ? m->config.listeners[which]
						: m->config.control;
}

/* Sockets are left alone while resources are short, and at the end; one that is
 * shut for good. */
static bool
lets_in(struct manager *m, size_t which) RUNS_ON(on_manager)
{
	const bool admin = which == m->config.listener_count;

	return !m->quitting && !m->entrances[which].shut && idle_lets_in(m) &&
	    (m->accept_again.ns == 0 ||
		!moment_before(clock_now(), m->accept_again)) &&
	    (admin || clients_have_room(m));
}

#ifdef POLLRDHUP
#define SHUT_EVENTS (POLLHUP | POLLRDHUP)
#else
#define SHUT_EVENTS POLLHUP
#endif
#define ENTRANCE_EVENTS (POLLIN | SHUT_EVENTS)

static void
watch_entrance(struct manager *m, size_t which) RUNS_ON(on_manager)
{
	struct entrance *e = &m->entrances[which];

	e->watched = true;
	if (e->watch == NULL)
		door_watch(m->door, which);
	else if (!poller_move(e->watch, e->group, ENTRANCE_EVENTS))
		poller_rewatch(e->watch, ENTRANCE_EVENTS);
}

void
workers_watch(struct manager *m)
{
	for (size_t i = 0; i <= m->config.listener_count; i++)
		if (!m->entrances[i].watched && lets_in(m, i))
			watch_entrance(m, i);
}

/* Pollers tell of that, once; workers just find nobody. */
static bool
may_be_shut(struct entrance *e)
{
	return e->watch == NULL ||
	    atomic_exchange_explicit(&e->hung_up, false, memory_order_relaxed);
}

/*
 * Whoever shares a socket can end it for all with shutdown(2): it is ready from
 * then on, and nobody comes.  Linux' accept() says EINVAL for TCP, and EAGAIN for
 * UNIX.
 */
static void
look_if_shut(struct manager *m, size_t which) RUNS_ON(on_manager)
{
	struct pollfd pfd = { .fd = workers_socket(m, which),
		.events = SHUT_EVENTS };
	char text[SOCK_ADDR_TEXT_MAX];

	if (errno != EINVAL && (poll(&pfd, 1, 0) <= 0 ||
	    (pfd.revents & SHUT_EVENTS) == 0))
		return;
	m->entrances[which].shut = true;
	log_error("socket %s: another program has shut it down; nobody can "
	    "connect there until this daemon is started anew",
	    sock_local_text(text, pfd.fd));
}

static void
accept_failed(struct manager *m, size_t which) RUNS_ON(on_manager)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(m, strerror(errno));
		break;
	default: /* gone already, or another was quicker: no reason to end */
		look_if_shut(m, which);
		break;
	}
}

/* What becomes of a look at who has come. */
enum entry {
	ENTRY_NOW,    /* somebody has been let in */
	ENTRY_NOBODY, /* is there */
	ENTRY_LATER,  /* or never */
};

/* The client at that socket is this worker's, or (NULL) has none. */
static enum entry
let_in(struct manager *m, struct worker *w, size_t which) RUNS_ON(on_manager)
{
	int fd;

	if (!lets_in(m, which))
		return ENTRY_LATER;
	fd = accept4(workers_socket(m, which), NULL, NULL,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && errno == EAGAIN && !may_be_shut(&m->entrances[which]))
		return ENTRY_NOBODY;
	if (fd < 0) {
		accept_failed(m, which);
		return ENTRY_LATER;
	}
	if (!clients_came(m, w, fd, which == m->config.listener_count)) {
		close(fd);
		pause_accepting(m, "out of memory");
		return ENTRY_LATER;
	}
	m->told_short = false;
	return ENTRY_NOW;
}

static void
poller_sees(void *arg, short events)
{
	struct entrance *e = arg;

	if ((events & SHUT_EVENTS) != 0)
		atomic_store_explicit(&e->hung_up, true, memory_order_relaxed);
	/* Acquire: pairs with the release in workers_came(). */
	if (!atomic_exchange_explicit(&e->posted, true, memory_order_acq_rel))
		mailbox_post(&e->manager->box, &e->msg);
}

/* Pollers end before the manager is freed. */
static void
poller_leaves(void *arg)
{
	(void)arg;
}

/* Without, for want of something, clients of that socket wake workers; admins
 * do, whom nobody waits for in a hurry. */
void
workers_open_entrances(struct manager *m)
{
	for (size_t i = 0; i < m->config.listener_count; i++) {
		struct entrance *e = &m->entrances[i];

		e->msg.type = MSG_CAME;
		e->manager = m;
		e->group = (unsigned)i;
		if (m->config.poller != NULL)
			e->watch = poller_watch(m->config.poller, e->group,
			    m->config.listeners[i], ENTRANCE_EVENTS,
			    poller_sees, poller_leaves, e);
		e->watched = e->watch != NULL;
	}
}

void
workers_close_entrances(struct manager *m)
{
	for (size_t i = 0; i < m->config.listener_count; i++)
		if (m->entrances[i].watch != NULL)
			poller_unwatch(m->entrances[i].watch);
}

/*
 * A socket is told of once, so who is there is let in until there is nobody, or
 * told of again; and again, too, when clients are let in again.
 *
 * Whoever has let clients in begins with them.  So when more of them wait, the next
 * group is told, and lets those in meanwhile.
 */
void
workers_came(struct manager *m, struct entrance *e)
{
	const size_t which = (size_t)(e - m->entrances);
	enum entry last = ENTRY_NOW;

	/* Before the look: who comes later is told of again.  Release: pairs
	 * with the acquire in poller_sees(). */
	atomic_store_explicit(&e->posted, false, memory_order_release);
	for (int i = 0; i < ENTER_MAX && last == ENTRY_NOW; i++)
		last = let_in(m, NULL, which);
	if (last == ENTRY_NOBODY && e->group == which)
		return;
	e->group = last == ENTRY_NOW ? e->group + 1 : (unsigned)which;
	e->watched = false;
	workers_watch(m);
}

void
workers_knock(struct manager *m, struct worker *w)
{
	if (w->found >= 0) {
		m->entrances[w->found].watched = false;
		if (let_in(m, w, (size_t)w->found) == ENTRY_NOW)
			m->parked_count--;
		else
			worker_wait_on(w);
		workers_watch(m);
		return;
	}
	m->called--;
	if (m->jobs != NULL)
		give_job(m, w);
	else if (m->parked_count > PARKED_MAX)
		retire(m, w);
	else
		worker_wait_on(w);
}

bool
workers_need_own_thread(struct manager *m)
{
	return workers_are_few(m) || m->retired_count > 0 ||
	    m->accept_again.ns != 0;
}

struct moment
workers_run(struct manager *m)
{
	const struct moment now = clock_now();

	bury(m);
	if (moment_before(now, m->accept_again)) {
		workers_make(m); /* for those who have been let in */
		return m->accept_again;
	}
	m->accept_again = (struct moment){ 0 };
	if (!workers_make(m))
		pause_accepting(m, strerror(errno));
	workers_watch(m);
	return m->accept_again.ns != 0 ? m->accept_again : MOMENT_NEVER;
}

void
workers_fini(struct manager *m)
{
	door_close(m->door);
	for (struct worker *w = m->workers; w != NULL; w = w->next) {
		if (!w->retired)
			worker_retire(w); /* if it has knocked meanwhile */
		worker_join(w);
	}
}

void
workers_free(struct manager *m)
{
	while (m->workers != NULL) {
		struct worker *w = m->workers;

		m->workers = w->next;
		worker_free(w);
	}
	door_free(m->door);
}
