/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manager's clients: how many of them and of devices' sockets there may be,
 * answers to their workers, news to those that listen. */

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "daemon/manager_int.h"
#include "daemon/snapshot.h"

/*
 * Descriptors that clients leave for phones, admins and pair records: an eighth
 * of what there is, a thousand at most.  Clients are strangers, who must not be
 * able to keep a phone from being opened; and so are devices that open sockets.
 */
#define RESERVE_MAX 1024
/* One of so many is kept, at most, to be lent to workers that poll. */
#define LENT_EACH 32
/* A socket, and what its worker's waker is lent while it polls.  A client that is
 * connected leaves that to pollers, so there may be many of those. */
#define DESCRIPTORS_EACH (1 + WAKER_LENT)

/*
 * Connections of a device that have ended and still take memory, because its
 * reader has not let go of them or their frames have not left: as many as may
 * well end at once.  A reader that is stuck in the kernel, or a phone that takes
 * nothing, is left more by each client that comes and goes.
 */
#define ROUTES_LEFT_MAX 8192

/* Clients that one thread begins with in a row: it may be in the middle of
 * something else, in a reader's place, say. */
#define BEGIN_MAX 16

/* Descriptors that are open already: the daemon's own, and whatever it was
 * started with.  0 when the system does not tell. */
static rlim_t
descriptors_in_use(void)
{
	DIR *dir = opendir("/dev/fd");
	rlim_t count = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 3; /* ".", "..", and the directory itself */
}

void
clients_init(struct manager *m)
{
	struct rlimit files;
	rlim_t taken, kept;

	m->descriptor_limit = UINT32_MAX;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    files.rlim_cur == RLIM_INFINITY)
		return;
	kept = files.rlim_cur / LENT_EACH < WAKER_KEPT_MAX * WAKER_LENT
	    ? files.rlim_cur / LENT_EACH : WAKER_KEPT_MAX * WAKER_LENT;
	waker_keep((unsigned)kept / WAKER_LENT);
	taken = descriptors_in_use() + kept +
	    (files.rlim_cur / 8 < RESERVE_MAX ? files.rlim_cur / 8
					      : RESERVE_MAX);
	if (taken >= files.rlim_cur)
		m->descriptor_limit = 0;
	else if (files.rlim_cur - taken < UINT32_MAX)
		m->descriptor_limit = (uint32_t)(files.rlim_cur - taken);
}

static uint32_t
descriptors_taken(struct manager *m) RUNS_ON(on_manager)
{
	return (m->client_count + m->socket_count) * DESCRIPTORS_EACH -
	    (m->config.poller != NULL ? m->connected_count * WAKER_LENT : 0);
}

/* Somebody must be told something, however few descriptors there are. */
bool
clients_have_room(struct manager *m)
{
	const uint32_t taken = descriptors_taken(m);

	return taken == 0 || taken + DESCRIPTORS_EACH <= m->descriptor_limit;
}

void
clients_note_room(struct manager *m)
{
	if (!m->told_full && !clients_have_room(m)) {
		m->told_full = true;
		log_warning("%u clients and %u sockets of devices are there, "
		    "no more are let in: the other descriptors are for "
		    "phones; raise the limit of open files if that stays so",
		    m->client_count, m->socket_count);
	}
}

void
clients_left_room(struct manager *m)
{
	if (descriptors_taken(m) < m->descriptor_limit / 2)
		m->told_full = false;
	m->accept_again = (struct moment){ 0 };
	workers_watch(m);
}

bool
clients_any_busy(struct manager *m)
{
	const struct client *c = m->clients;

	while (c != NULL && c->phase == CLIENT_PHASE_LISTENING)
		c = c->next;
	return c != NULL;
}

/* ---- Coming ---- */

static void
list_client(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	c->next = m->clients;
	c->prev_next = &m->clients;
	if (m->clients != NULL)
		m->clients->prev_next = &c->next;
	m->clients = c;
	m->client_count++;
}

static void
unlist_client(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	*c->prev_next = c->next;
	if (c->next != NULL)
		c->next->prev_next = c->prev_next;
	m->client_count--;
}

static void
add_arrived(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	c->arrived_msg.node.next = NULL;
	*m->arrived_end = &c->arrived_msg;
	m->arrived_end = (struct msg **)&c->arrived_msg.node.next;
}

bool
clients_came(struct manager *m, struct worker *w, int fd, bool admin)
{
	struct client *c = client_new(fd, m->last_client_number + 1, admin,
	    w != NULL ? w->waker : NULL, &m->box);

	if (c == NULL)
		return false;
	m->last_client_number++;
	c->poller = m->config.poller;
	c->phase = admin ? CLIENT_PHASE_ADMIN : CLIENT_PHASE_COMMAND;
	c->served = w != NULL;
	list_client(m, c);
	if (w != NULL)
		mailbox_post(&w->box, &c->serve_msg);
	else
		add_arrived(m, client_get(c));
	if (!admin)
		clients_note_room(m);
	return true;
}

struct msg *
clients_take_arrived(struct manager *m)
{
	struct msg *first = m->arrived;

	m->arrived = NULL;
	m->arrived_end = &m->arrived;
	return first;
}

static struct client *
client_of_arrived(struct msg *msg)
{
	return (struct client *)((char *)msg -
	    offsetof(struct client, arrived_msg));
}

void
clients_arrived(struct manager *m, struct msg *arrived)
{
	add_arrived(m, client_of_arrived(arrived));
}

void
clients_forget_arrived(struct msg *arrived)
{
	client_put(client_of_arrived(arrived));
}

/* Its thread is to do that: nobody acts for it here. */
static void
leave_to_manager(struct manager *m, struct msg *arrived)
{
	switch (mailbox_offer(&m->box, arrived)) {
	case QUEUE_WAKE:
		waker_wake(m->waker);
		break;
	case QUEUE_REFUSED: /* it has ended, and so has the client */
		clients_forget_arrived(arrived);
		break;
	case QUEUE_ADDED:
		break;
	}
}

/*
 * To begin with a client is to ask the manager, and who does that may find others
 * that have arrived: they are begun with after this one, not inside.
 */
void
clients_begin(struct manager *m, struct msg *arrived)
{
	static _Thread_local struct msg *first, **end;
	static _Thread_local bool under_way;

	if (first == NULL)
		end = &first;
	*end = arrived;
	while (*end != NULL)
		end = (struct msg **)&(*end)->node.next;
	if (under_way)
		return;
	under_way = true;
	for (int begun = 0; first != NULL; begun++) {
		struct msg *msg = first;

		first = msg_next(first);
		if (first == NULL)
			end = &first;
		if (begun < BEGIN_MAX) {
			client_act_or_wake(client_of_arrived(msg));
			clients_forget_arrived(msg);
		} else {
			leave_to_manager(m, msg);
		}
	}
	under_way = false;
}

/* ---- Workers for clients ---- */

void
clients_call(struct manager *m, struct client *c)
{
	c->served = true;
	workers_give(m, &c->serve_msg);
}

bool
clients_need_own_thread(struct manager *m)
{
	return moment_before(m->look_at, m->sleeps_until);
}

/* Nobody else waits for what its phone says. */
static bool
is_pending(const struct client *c) RUNS_ON(on_manager)
{
	return c->phase == CLIENT_PHASE_CONNECTED && !c->served &&
	    atomic_load_explicit(&c->conn.shaking, memory_order_relaxed);
}

/*
 * While clients connect there is a look every so often, so that nobody who
 * connects need wake the manager to have one.
 */
struct moment
clients_run(struct manager *m)
{
	const struct moment now = clock_now();

	if (moment_before(now, m->look_at))
		return m->look_at;
	m->look_at = m->connects ? moment_after_ms(now, CONNECT_MS)
				 : MOMENT_NEVER;
	m->connects = false;
	for (struct client *c = m->clients; c != NULL; c = c->next) {
		const struct moment late =
		    moment_after_ms(c->asked_at, CONNECT_MS);

		if (!is_pending(c))
			continue;
		if (moment_before(now, late))
			m->look_at = moment_earlier(m->look_at, late);
		else if (!atomic_exchange_explicit(&c->called, true,
			     memory_order_acq_rel))
			clients_call(m, c);
	}
	return m->look_at;
}

/* After that look there is to be one for this client. */
static void
note_connect(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	if (c->served)
		return;
	c->asked_at = clock_now();
	m->connects = true;
	if (m->look_at.ns == MOMENT_NEVER.ns)
		m->look_at = moment_after_ms(c->asked_at, CONNECT_MS);
}

/* ---- Questions ---- */

static void
answer(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	c->ask.msg.type = MSG_ANSWER;
	if (mailbox_offer(&c->box, &c->ask.msg) != QUEUE_WAKE)
		return;
	/* What it does next its phone may keep waiting: not as the manager. */
	if (c->served)
		client_wake_owner(c);
	else
		add_arrived(m, client_get(c));
}

static void
forget_device(struct client *c) RUNS_ON(on_manager)
{
	if (c->device != NULL)
		device_put(c->device);
	c->device = NULL;
}

/* The route is not wanted any more, and its port is free again. */
static void
disconnect(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	struct route *r = c->route;

	if (r == NULL)
		return;
	c->route = NULL;
	m->connected_count--;
	device_give_port(c->device, r->port);
	c->device->connections--;
	/* Our reference goes with the message. */
	if (!mailbox_post(&c->device->reader_box, &r->remove_msg))
		route_put(r);
	forget_device(c);
	c->phase = CLIENT_PHASE_COMMAND;
}

static bool
has_left_too_much(struct device *d) RUNS_ON(on_manager)
{
	static struct log_limit limit;
	char more[LOG_LIMIT_MAX];
	const uint32_t left = atomic_load_explicit(&d->routes_alive,
	    memory_order_relaxed) - d->connections;

	if (left < ROUTES_LEFT_MAX)
		return false;
	if (log_limit_pass(&limit, more) != NULL)
		log_warning("%s: has not let go of %u connections that have "
		    "ended, and gets no more; replug it if it stays so%s",
		    d->name, left, more);
	return true;
}

/* An USBMUX result; on OK the connection has its device and its route. */
static uint32_t
connect_to(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	struct device *d = devices_find(m, c->ask.device_id);
	struct route *r;
	uint16_t port;

	if (d == NULL)
		return USBMUX_BAD_DEVICE;
	if (has_left_too_much(d))
		return USBMUX_CONNECTION_REFUSED;
	port = device_take_port(d);
	if (port == 0) {
		log_warning("%s: all of its 65535 connections are in use",
		    d->name);
		return USBMUX_CONNECTION_REFUSED;
	}
	r = route_new(c, d, port);
	if (r == NULL) {
		device_give_port(d, port);
		return USBMUX_CONNECTION_REFUSED;
	}
	c->info = c->ask.info;
	c->device = device_get(d);
	c->route = r;
	c->dport = c->ask.port;
	c->phase = CLIENT_PHASE_CONNECTED;
	m->connected_count++;
	note_connect(m, c);
	d->connections++;
	c->conn.device = device_get(d);
	c->conn.route = route_get(r);
	/* Before the worker can send its SYN, so that the answer finds the
	 * route.  The reader's box is open: only we close it. */
	mailbox_post(&d->reader_box, &route_get(r)->add_msg);
	workers_watch(m); /* there may be room now */
	return USBMUX_OK;
}

static bool
is_listening(const struct client *c) RUNS_ON(on_manager)
{
	return c->phase == CLIENT_PHASE_LISTENING;
}

static void
list_listeners(struct manager *m, struct ask *ask) RUNS_ON(on_manager)
{
	ask->listeners =
	    calloc((size_t)m->client_count + 1, sizeof ask->listeners[0]);
	if (ask->listeners == NULL)
		return;
	for (const struct client *c = m->clients; c != NULL; c = c->next) {
		if (!is_listening(c) || c->admin)
			continue;
		ask->listeners[ask->count].number = c->number;
		ask->listeners[ask->count].info = c->info;
		ask->count++;
	}
}

static void
listen_from_now(struct manager *m, struct client *c) RUNS_ON(on_manager)
{
	c->info = c->ask.info;
	c->phase = CLIENT_PHASE_LISTENING;
	if (m->roster != NULL)
		c->ask.roster = roster_get(m->roster);
}

static void
tell_paired(struct manager *m, uint32_t device_id) RUNS_ON(on_manager)
{
	const struct device *d = devices_find(m, device_id);
	struct msg_notice news = { .kind = NOTICE_PAIRED,
		.device = { .id = device_id } };

	if (d == NULL)
		return;
	snprintf(news.device.udid, sizeof news.device.udid, "%s",
	    d->phone.udid);
	clients_notify(m, &news);
}

bool
clients_ask_is_quick(const struct client *c)
{
	switch (c->ask.kind) {
	case ASK_ROSTER:
	case ASK_LISTEN:
	case ASK_CONNECT:
	case ASK_DISCONNECT:
		return true;
	default:
		return false;
	}
}

void
clients_ask(struct manager *m, struct client *c)
{
	switch (c->ask.kind) {
	case ASK_ROSTER:
		if (m->roster != NULL)
			c->ask.roster = roster_get(m->roster);
		break;
	case ASK_LISTEN:
		listen_from_now(m, c);
		break;
	case ASK_CONNECT:
		c->ask.result = connect_to(m, c);
		break;
	case ASK_DISCONNECT:
		disconnect(m, c);
		break;
	case ASK_LISTENERS:
		list_listeners(m, &c->ask);
		break;
	case ASK_PAIRED:
		tell_paired(m, c->ask.device_id);
		break;
	case ASK_SNAPSHOT:
		c->ask.snapshot = manager_snapshot(m);
		break;
	case ASK_RESCAN:
		manager_rescan(m);
		break;
	case ASK_SCM:
		c->ask.scm = scm_in_force(m);
		break;
	case ASK_SCM_LOADED:
		scm_loaded(m, c->ask.scm);
		c->ask.scm = NULL;
		break;
	}
	answer(m, c);
}

/* ---- News ---- */

static void
stop_client(struct client *c) RUNS_ON(on_manager)
{
	if (!c->stop_posted)
		client_post(c, &c->stop_msg);
	c->stop_posted = true;
}

/* A listener that cannot be told something has lost track: it is ended, and
 * may come again. */
static void
lose_listener(struct client *c) RUNS_ON(on_manager)
{
	log_error("client %u: no memory for its news, closed", c->number);
	c->phase = CLIENT_PHASE_COMMAND;
	stop_client(c);
}

void
clients_notify(struct manager *m, const struct msg_notice *news)
{
	for (struct client *c = m->clients; c != NULL; c = c->next) {
		struct msg_notice *n;

		if (!is_listening(c))
			continue;
		n = malloc(sizeof *n);
		if (n == NULL) {
			lose_listener(c);
			continue;
		}
		*n = *news;
		n->msg.type = MSG_NOTICE;
		if (!mailbox_post(&c->box, &n->msg))
			free(n);
	}
}

/* ---- Going ---- */

void
clients_ended(struct manager *m, struct client *c)
{
	disconnect(m, c);
	unlist_client(m, c);
	if (c->served)
		workers_park(m);
	clients_left_room(m);
	client_put(c);
}

void
clients_stop_all(struct manager *m)
{
	for (struct client *c = m->clients; c != NULL; c = c->next)
		stop_client(c);
}
