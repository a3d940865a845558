/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A client's worker, and those who act in its place while it sleeps or as long as
 * there is none.
 */

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/relay.h"

/* Turns that somebody else does for a worker: then others have kept it busy, and
 * its own thread goes on. */
#define BORROWED_TURNS 4

/* A Connect is a few hundred bytes long.  Who says more about himself gets a
 * worker to read it. */
#define CONNECT_MAX 1024

/*
 * Payload that a reader gives itself to a client whose worker sleeps and polls.
 * With much more than that it is better that another processor copies it while
 * the reader reads on.
 */
#define ACT_BYTES 4096

/* ---- The worker ---- */

/*
 * Who comes when nobody is the worker calls one, once; who comes while it is on
 * its way has nothing to do.  Both this and client_attach() exchange the mark, so
 * that they are in some order: either the worker finds what was posted before, or
 * it is found here.  Release and acquire, all of them.
 */
void
client_wake_owner(void *arg)
{
	struct client *c = arg;
	struct waker *w = atomic_load_explicit(&c->waker, memory_order_acquire);

	if (w == NULL && !atomic_exchange_explicit(&c->called, true,
		memory_order_acq_rel)) {
		w = atomic_load_explicit(&c->waker, memory_order_acquire);
		if (w == NULL)
			mailbox_post(c->manager, &c->call_msg);
	}
	if (w != NULL)
		waker_wake(w);
}

void
client_attach(struct client *c, struct waker *waker)
{
	atomic_store_explicit(&c->waker, waker_get(waker),
	    memory_order_release);
	atomic_exchange_explicit(&c->called, false, memory_order_acq_rel);
	baton_take_up(&c->baton, waker);
	/* Commands are read by who polls for them. */
	if (c->conn.step == CONNECTION_NONE)
		client_unwatch(c);
}

/* See close_gently() in conversation.c: what the worker would have to wait for,
 * or to read away for long, is left to it. */
static bool
ends_at_once(struct client *c) RUNS_ON(on_worker)
{
	char away[4096];
	ssize_t n = 1;

	if (c->conn.client_gone && c->conn.client_eof)
		return true;
	shutdown(c->fd, SHUT_WR);
	if (c->stopped)
		return true;
	for (int i = 0; i < BORROWED_TURNS && n > 0 && c->is_unix; i++)
		n = recv(c->fd, away, sizeof away, MSG_DONTWAIT);
	return n <= 0;
}

bool
client_claim_end(struct client *c)
{
	if (atomic_load_explicit(&c->waker, memory_order_relaxed) != NULL ||
	    !ends_at_once(c))
		return false;
	return !atomic_exchange_explicit(&c->called, true,
		   memory_order_acq_rel) &&
	    atomic_load_explicit(&c->waker, memory_order_acquire) == NULL;
}

void
client_end(struct client *c)
{
	if (c->watch != NULL)
		poller_close(c->watch);
	else
		close(c->fd);
	c->watch = NULL;
	client_close_box(c);
	c->conn.step = CONNECTION_ENDED;
	mailbox_post(c->manager, &c->ended_msg);
}

/* ---- The socket, watched by others ---- */

static void
socket_ready(void *arg, short events)
{
	struct client *c = arg;

	/* Both ways with relay_take_message(): release what has happened,
	 * acquire the message, which is in no mailbox if there was nothing. */
	if (atomic_fetch_or_explicit(&c->socket_events, events,
		memory_order_acq_rel) == 0 &&
	    mailbox_offer(&c->box, &c->socket_msg) == QUEUE_WAKE)
		client_act_or_wake(c);
}

static void
socket_unwatched(void *arg)
{
	client_put(arg);
}

bool
client_watch(struct client *c, short events)
{
	if (c->watch != NULL)
		return true;
	if (c->poller == NULL)
		return false;
	c->conn.watched = events;
	c->group = c->conn.device != NULL ? c->conn.device->group : c->number;
	c->watch = poller_watch(c->poller, c->group, c->fd, events,
	    socket_ready, socket_unwatched, client_get(c));
	if (c->watch == NULL)
		client_put(c);
	return c->watch != NULL;
}

void
client_unwatch(struct client *c)
{
	if (c->watch != NULL)
		poller_unwatch(c->watch);
	c->watch = NULL;
}

/* ---- The first request ---- */

/* Takes it if it is all there and a Connect, or leaves everything where it is.
 * 0: nothing is there; -1: a worker has to see. */
static int
take_connect(struct client *c, struct client_request *rq) RUNS_ON(on_worker)
{
	uint8_t bytes[CONNECT_MAX];
	struct client_header h;
	ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < USBMUX_HEADER_SIZE ||
	    !client_header_read(&h, bytes, sizeof bytes) || n < h.length ||
	    !client_connect_parse(rq, &h, bytes + USBMUX_HEADER_SIZE,
		h.length - USBMUX_HEADER_SIZE))
		return -1;
	/* Bytes for the phone, or its end, of which nothing tells again; over TCP
	 * a read may stop before either. */
	if (n > h.length || !c->is_unix ||
	    (c->conn.ready & RELAY_CLIENT_EOF) != 0)
		c->conn.ready |= POLLIN;
	else
		c->conn.ready &= ~POLLIN;
	n = recv(c->fd, bytes, h.length, MSG_DONTWAIT);
	return n == (ssize_t)h.length ? 1 : -1;
}

/* True: the worker need not know. */
static bool
begin(struct client *c) RUNS_ON(on_worker)
{
	struct client_request rq;
	struct msg *m;

	while ((m = client_next_message(c)) != NULL)
		relay_take_message(c, m);
	if (c->stopped) {
		if (!client_claim_end(c))
			return false;
		client_end(c);
		return true;
	}
	switch (take_connect(c, &rq)) {
	case 0:
		/* Tells at once of what has come meanwhile. */
		return client_watch(c, POLLIN | RELAY_CLIENT_EOF);
	case 1:
		c->form = rq.form;
		connection_ask(c, &rq);
		return true;
	default:
		return false;
	}
}

/* ---- In the worker's place ---- */

static bool
act(struct client *c) RUNS_ON(on_worker)
{
	for (int i = 0; i < BORROWED_TURNS; i++) {
		if (!(c->conn.step == CONNECTION_NONE ? begin(c)
						      : connection_act(c)))
			return false;
		if (c->conn.step == CONNECTION_ENDED ||
		    mailbox_idle(&c->box))
			return true;
	}
	return false;
}

void
client_act_or_wake(struct client *c)
{
	bool done = false;

	if (baton_borrow(&c->baton)) {
		role_take(&on_worker);
		done = act(c);
		role_drop(&on_worker);
		/* One that waits for it has come meanwhile, perhaps the first. */
		if (!baton_try_return(&c->baton))
			baton_hand_over(&c->baton,
			    atomic_load_explicit(&c->waker,
				memory_order_acquire));
	}
	if (!done)
		client_wake_owner(c);
}

bool
client_post(struct client *c, struct msg *m)
{
	const enum queue_push pushed = mailbox_offer(&c->box, m);

	if (pushed == QUEUE_WAKE)
		client_act_or_wake(c);
	return pushed != QUEUE_REFUSED;
}

bool
client_deliver(struct client *c, struct chunk *packet)
{
	enum queue_push pushed;

	packet->msg.type = MSG_RECEIVED;
	pushed = mailbox_offer(&c->box, &packet->msg);
	if (pushed == QUEUE_REFUSED)
		chunk_put(packet); /* the client has just ended */
	return pushed == QUEUE_WAKE;
}

void
client_attend(struct client *c, uint32_t bytes)
{
	/* With pollers there is a thread for each processor as it is. */
	if (c->poller != NULL || bytes <= ACT_BYTES)
		client_act_or_wake(c);
	else
		mailbox_wake_owner(&c->box);
}
