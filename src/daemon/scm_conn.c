/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A device's socket: the object, and its life on its worker. */

#include "daemon/scm_conn.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/packet.h"
#include "daemon/scm_host.h"

/* ---- The object --------------------------------------------------------- */

static void
wake_worker(void *arg)
{
	struct scm_conn *c = arg;
	/* Acquire: pairs with the release in scm_conn_serve(). */
	struct waker *w = atomic_load_explicit(&c->waker, memory_order_acquire);

	if (w != NULL)
		waker_wake(w);
}

static void
init_messages(struct scm_conn *c)
{
	c->opened_msg.type = MSG_SCM_OPENED;
	c->unserved_msg.type = MSG_SCM_UNSERVED;
	c->serve_msg.type = MSG_SERVE_SCM;
	c->ended_msg.type = MSG_SCM_ENDED;
	c->leave_msg.type = MSG_SCM_LEAVE;
	c->release_msg.type = MSG_SCM_RELEASE;
	c->gone_msg.type = MSG_SCM_GONE;
}

struct scm_conn *
scm_conn_new(struct device *d, uint32_t slot, const struct scm_message *open)
{
	const struct scm_device *engine = &d->scm_state->engine;
	struct scm_conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	ref_init(&c->refs);
	c->device = device_get(d);
	c->manager = d->manager;
	c->slot = slot;
	c->open = *open;
	c->format = engine->format;
	c->limits = engine->limits;
	c->ids = engine->slots[slot].ids;
	c->since = clock_now();
	init_messages(c);
	mailbox_init(&c->box, wake_worker, c);
	credit_init(&c->upload, SCM_UPLOAD_PACKETS, &c->box,
	    MSG_UPLOAD_CREDIT);
	recycler_init(&c->buffers);
	return c;
}

struct scm_conn *
scm_conn_get(struct scm_conn *c)
{
	ref_get(&c->refs);
	return c;
}

void
scm_conn_put(struct scm_conn *c)
{
	struct waker *w;
	struct qnode *n;

	if (!ref_put(&c->refs))
		return;
	while ((n = recycler_take(&c->buffers)) != NULL)
		packet_free((struct packet *)n);
	w = atomic_load_explicit(&c->waker, memory_order_relaxed);
	if (w != NULL)
		waker_put(w);
	device_put(c->device);
	free(c);
}

#define CONN_OF(m, member) \
	((struct scm_conn *)((char *)(m) - offsetof(struct scm_conn, member)))

struct scm_conn *
scm_conn_of_opened(struct msg *m)
{
	return CONN_OF(m, opened_msg);
}

struct scm_conn *
scm_conn_of_unserved(struct msg *m)
{
	return CONN_OF(m, unserved_msg);
}

struct scm_conn *
scm_conn_of_serve(struct msg *m)
{
	return CONN_OF(m, serve_msg);
}

struct scm_conn *
scm_conn_of_ended(struct msg *m)
{
	return CONN_OF(m, ended_msg);
}

struct scm_conn *
scm_conn_of_leave(struct msg *m)
{
	return CONN_OF(m, leave_msg);
}

struct scm_conn *
scm_conn_of_release(struct msg *m)
{
	return CONN_OF(m, release_msg);
}

struct scm_conn *
scm_conn_of_gone(struct msg *m)
{
	return CONN_OF(m, gone_msg);
}

struct scm_address
scm_conn_peer(const struct scm_conn *c)
{
	const uint32_t port =
	    atomic_load_explicit(&c->peer_port, memory_order_relaxed);
	struct scm_address a = { .family = (uint16_t)(port >> 16),
		.port = (uint16_t)port };

	for (int i = 0; i < 2; i++) {
		const uint64_t part = atomic_load_explicit(&c->peer_ip[i],
		    memory_order_relaxed);

		memcpy(a.ip + 8 * i, &part, sizeof part);
	}
	return a;
}

/* So many of what the reader has forwarded are not in the mailbox any more. */
static void
give_unread(struct scm_conn *c, uint32_t n)
{
	if (n > 0)
		credit_give(&c->device->scm_state->unread, n);
}

/* A message that nobody wants to read any more. */
static void
discard(struct msg *m)
{
	if (m->type == MSG_SCM_NEWS)
		scm_news_free(scm_news_of_msg(m));
	else if (m->type == MSG_SCM_GONE)
		scm_conn_put(scm_conn_of_gone(m));
	/* Credit is part of the socket. */
}

void
scm_conn_discard(struct scm_conn *c,
    void (*answer)(void *arg, const struct scm_message *m), void *arg)
{
	struct msg *m = mailbox_close(&c->box), *next;
	uint32_t news = 0;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		news += m->type == MSG_SCM_NEWS;
		if (m->type == MSG_SCM_NEWS && answer != NULL)
			answer(arg, &scm_news_of_msg(m)->message);
		discard(m);
	}
	give_unread(c, news);
}

/* ---- Messages ----------------------------------------------------------- */

static void
take_news(struct scm_conn *c, struct scm_news *n, struct moment now)
    RUNS_ON(on_worker)
{
	const struct scm_message *m = &n->message;

	switch (n->kind) {
	case SCM_NEWS_MESSAGE:
		scm_socket_message(&c->socket, m,
		    m->op == SCM_CONNECT ? &n->verdict : NULL, now);
		break;
	case SCM_NEWS_OVERFLOW:
		scm_socket_overflow(&c->socket, m, now);
		break;
	case SCM_NEWS_DATA:
		if (scm_socket_data(&c->socket, m, now)) {
			scm_relay_keep(c, n);
			n = NULL;
		} else {
			scm_device_taken(&c->device->scm_state->engine,
			    c->slot, m->len);
		}
		break;
	}
	scm_conn_obey(c);
	if (n != NULL)
		scm_news_free(n);
}

static void
take_message(struct scm_conn *c, struct msg *m) RUNS_ON(on_worker)
{
	switch ((enum msg_type)m->type) {
	case MSG_SCM_NEWS:
		take_news(c, scm_news_of_msg(m), clock_now());
		break;
	case MSG_UPLOAD_CREDIT:
		credit_collect(&c->upload);
		break;
	case MSG_SCM_GONE:
		scm_socket_gone(&c->socket);
		scm_conn_obey(c);
		scm_conn_put(scm_conn_of_gone(m));
		break;
	default:
		break;
	}
}

static void
take_messages(struct scm_conn *c) RUNS_ON(on_worker)
{
	struct msg *m = mailbox_take(&c->box), *next;
	uint32_t news = 0;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		news += m->type == MSG_SCM_NEWS;
		take_message(c, m);
	}
	give_unread(c, news); /* at once, so that the reader wakes once */
}

/* ---- The loop ----------------------------------------------------------- */

static void
begin(struct scm_conn *c, struct waker *waker) RUNS_ON(on_worker)
{
	/* Release: pairs with the acquire in wake_worker(). */
	atomic_store_explicit(&c->waker, waker_get(waker),
	    memory_order_release);
	c->fd = -1;
	scm_socket_start(&c->socket, c->format.dialect, &c->open, &c->ids,
	    &c->limits, clock_now());
}

static void
show(struct scm_conn *c) RUNS_ON(on_worker)
{
	const struct scm_socket *s = &c->socket;

	atomic_store_explicit(&c->state, (int)s->state, memory_order_relaxed);
	counter_set(&c->from_device, s->from_device);
	counter_set(&c->to_device, s->to_device);
	counter_set(&c->held, s->waiting);
	counter_set(&c->unsent, s->unsent);
}

/* `revents` is what the descriptor has reported. */
static void
turn(struct scm_conn *c, short revents) RUNS_ON(on_worker)
{
	take_messages(c);
	scm_relay_collect(c);
	if (c->connecting && revents != 0)
		scm_conn_finish_connect(c);
	scm_conn_obey(c);
	scm_relay_to_peer(c);
	if (revents & (POLLIN | POLLHUP | POLLERR))
		scm_relay_from_peer(c);
	scm_socket_expire(&c->socket, clock_now());
	scm_conn_obey(c);
	show(c);
}

/*
 * What to wait for on the descriptor; none is no reason to poll it at all: its
 * hang-up would be reported for ever, and shows as soon as something is wanted
 * of it.
 */
static short
wanted_events(struct scm_conn *c, struct moment *until) RUNS_ON(on_worker)
{
	short events = 0;

	if (c->fd < 0)
		return 0;
	if (c->connecting)
		return POLLOUT;
	if (c->blocked)
		events |= POLLOUT;
	if (scm_relay_can_read(c, until))
		events |= POLLIN;
	return events;
}

static short
wait_for_work(struct scm_conn *c, struct waker *waker) RUNS_ON(on_worker)
{
	struct moment until = scm_socket_due(&c->socket);
	const short events = wanted_events(c, &until);
	struct pollfd pfd[2] = {
		[1] = { .fd = events != 0 ? c->fd : -1, .events = events },
	};

	if (!mailbox_idle(&c->box))
		until = MOMENT_PAST;
	waker_poll(waker, pfd, 2, moment_poll_timeout(clock_now(), until));
	return pfd[1].revents;
}

static void
log_end(struct scm_conn *c) RUNS_ON(on_worker)
{
	const struct scm_socket *s = &c->socket;
	struct scm_state *state = c->device->scm_state;

	if (s->fault != NULL)
		atomic_fetch_add_explicit(&state->stats.lost, 1,
		    memory_order_relaxed);
	if (s->peer.family != 0)
		scm_audit_end(&state->audit, s->sock, c->open.protocol,
		    &s->peer, s->from_device, s->to_device, s->fault);
	log_info("%s: end of socket %u, %llu bytes from the device, %llu to it"
	    "%s%s", c->device->name, s->sock,
	    (unsigned long long)s->from_device,
	    (unsigned long long)s->to_device, s->fault != NULL ? ": " : "",
	    s->fault != NULL ? s->fault : "");
}

void
scm_conn_serve(struct scm_conn *c, struct waker *waker)
{
	short revents = 0;

	begin(c, waker);
	scm_conn_obey(c);
	while (!c->over) {
		turn(c, revents);
		revents = c->over ? 0 : wait_for_work(c, waker);
	}
	log_end(c);
	scm_conn_discard(c, NULL, NULL);
}
