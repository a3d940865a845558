/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A connection's life on its worker: the handshake with the phone, then bytes
 * both ways until either side ends.  How bytes move is in relay.c.
 */

#include "daemon/connection.h"

#include <poll.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol_mux.h"
#include "daemon/relay.h"

/*
 * Payload that a reader gives itself to a client whose worker sleeps and polls.
 * With much more than that it is better that another processor copies it while
 * the reader reads on.
 */
#define ACT_BYTES 4096

/* Turns that somebody else does for a worker: then others have kept it busy, and
 * its own thread goes on. */
#define BORROWED_TURNS 4

/*
 * How long a phone may take to answer a SYN.  Below the five seconds after
 * which client libraries give up by themselves and would see a lost daemon
 * rather than a refused connection.
 */
#define CONNECT_MS 4500

/* A client that has ended its sending side still gets what the phone has to
 * say.  The phone cannot be told that nothing more will come (there is no FIN),
 * so when it has been silent for this long, the connection ends. */
#define HALF_CLOSED_MS 30000
/* Over TCP a client that has left altogether looks the same until something is
 * sent to it, and most have: each would keep a thread and a port of the phone. */
#define HALF_CLOSED_TCP_MS 2000

/* A client that has left altogether: how long the phone may take nothing while
 * bytes of that client still wait.  What the phone sends does not count: nobody
 * reads it, and it need never end. */
#define LEFT_MS 5000

/* ---- The part that outlives the worker ---- */

void
connection_init(struct connection *conn)
{
	recycler_init(&conn->buffers);
}

void
connection_fini(struct connection *conn)
{
	struct qnode *n;

	while ((n = recycler_take(&conn->buffers)) != NULL)
		packet_free((struct packet *)n);
}

void
connection_packet_back(struct connection *conn, struct packet *p)
{
	recycler_give(&conn->buffers, &p->tx.msg.node);
	credit_give(&conn->upload, 1);
}

/* ---- Begin ---- */

static void
begin(struct client *c, uint16_t port) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	stream_init(&conn->stream, conn->route->port, port);
	conn->pending = conn->pending_end = NULL;
	conn->pending_bytes = 0;
	conn->blocked = false;
	conn->client_eof = conn->client_gone = conn->phone_ended = false;
	conn->unrouted = false;
	conn->ready = POLLIN;
	conn->ack_at = conn->give_up_at = MOMENT_NEVER;
	conn->hurried_at = MOMENT_PAST;
	conn->fed = conn->seen = 0;
}

/* Sends the SYN and waits for what the phone says to it.  False: no. */
static bool
shake_hands(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const struct moment deadline =
	    moment_after_ms(clock_now(), CONNECT_MS);
	const struct tcp_header syn = stream_syn(&conn->stream);

	if (!mux_send_tcp(conn->device, conn->route, &syn))
		return false;
	while (conn->stream.state == STREAM_SYN_SENT && !c->stopped) {
		struct msg *m = client_next_message(c);
		const bool late = !moment_before(clock_now(), deadline);
		short revents = 0;

		if (m != NULL) {
			relay_take_message(c, m);
			continue;
		}
		if (late)
			log_warning("%s: %s does not answer a connection to "
			    "port %u", client_name(c), conn->device->name,
			    conn->stream.dport);
		else
			client_wait(c, 0, deadline, &revents);
		if (late || (revents & (POLLHUP | POLLERR)) != 0)
			return false;
	}
	return conn->stream.state == STREAM_OPEN;
}

/* ---- The relay loop ---- */

static bool
is_over(struct client *c) RUNS_ON(on_worker)
{
	const struct connection *conn = &c->conn;

	if (c->stopped)
		return true;
	if (conn->phone_ended)
		return conn->pending == NULL || conn->client_gone;
	if (conn->client_gone && conn->client_eof)
		return true;
	return !moment_before(clock_now(), conn->give_up_at);
}

/* What must move for a connection to be worth keeping. */
static uint64_t
progress(const struct connection *conn) RUNS_ON(on_worker)
{
	return conn->client_gone ? counter_read(&conn->stats.tx_bytes)
				 : conn->fed;
}

/* A client that has closed may not hold its connection for ever. */
static void
set_patience(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const int half_closed_ms =
	    c->is_unix ? HALF_CLOSED_MS : HALF_CLOSED_TCP_MS;

	if (conn->client_gone)
		conn->give_up_at = moment_earlier(conn->give_up_at,
		    moment_after_ms(clock_now(), LEFT_MS));
	else if (conn->client_eof && conn->pending == NULL)
		conn->give_up_at = moment_earlier(conn->give_up_at,
		    moment_after_ms(clock_now(), half_closed_ms));
	else
		conn->give_up_at = MOMENT_NEVER;
}

/* For a worker that polls. */
static int
wanted_events(struct client *c) RUNS_ON(on_worker)
{
	const struct connection *conn = &c->conn;
	int events = 0;

	/* Its hang-up has been seen, and would be reported for ever. */
	if (conn->client_gone)
		return CLIENT_NO_SOCKET;
	if (relay_can_upload(c))
		events |= POLLIN;
	if (conn->pending != NULL)
		events |= POLLOUT;
	return events;
}

/* When it has something to do though nothing happens. */
static struct moment
next_due(const struct connection *conn) RUNS_ON(on_worker)
{
	return moment_earlier(conn->ack_at, conn->give_up_at);
}

/*
 * While bytes move it looks after an acknowledgement's time in any case: then
 * what the phone answers meanwhile is in time for its ACK, and who acts for the
 * worker need not wake it to have it wait for less.
 */
static struct moment
wait_limit(struct connection *conn) RUNS_ON(on_worker)
{
	const uint64_t moved = conn->fed + counter_read(&conn->stats.tx_bytes);
	struct moment until = next_due(conn);

	if (moved != conn->seen)
		until = moment_earlier(until, relay_ack_limit());
	conn->seen = moved;
	return until;
}

/* ---- The socket, watched by others ---- */

static void act_or_wake(struct client *c);

static void
socket_ready(void *arg, short events)
{
	struct client *c = arg;

	/* Both ways with relay_take_message(): release what has happened,
	 * acquire the message, which is in no mailbox if there was nothing. */
	if (atomic_fetch_or_explicit(&c->socket_events, events,
		memory_order_acq_rel) == 0 &&
	    mailbox_offer(&c->box, &c->socket_msg) == QUEUE_WAKE)
		act_or_wake(c);
}

static void
socket_unwatched(void *arg)
{
	client_put(arg);
}

/* Without, for want of something, the worker polls. */
static void
begin_watch(struct client *c) RUNS_ON(on_worker)
{
	if (c->poller == NULL)
		return;
	c->conn.watched = POLLIN | RELAY_CLIENT_EOF;
	c->watch = poller_watch(c->poller, c->fd, c->conn.watched,
	    socket_ready, socket_unwatched, client_get(c));
	if (c->watch == NULL)
		client_put(c);
}

static void
end_watch(struct client *c) RUNS_ON(on_worker)
{
	if (c->watch != NULL)
		poller_unwatch(c->watch);
	c->watch = NULL;
}

/* A socket that has room tells of each byte that its peer reads: so only one that
 * had none is asked. */
static void
watch_for_room(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const short events = POLLIN | RELAY_CLIENT_EOF |
	    (conn->blocked ? POLLOUT : 0);

	if (c->watch == NULL || events == conn->watched)
		return;
	conn->watched = events;
	poller_rewatch(c->watch, events);
}

/* The bytes of a client that has left are there to be read at once. */
static bool
must_go_on(struct client *c) RUNS_ON(on_worker)
{
	return c->conn.client_gone && relay_can_upload(c);
}

static void
wait_for_work(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	short revents;

	conn->waits_for = wanted_events(c);
	conn->waits_until = wait_limit(conn);
	client_wait_lending(c, conn->waits_for, conn->waits_until, &revents);
	conn->ready |= revents;
}

/* What has come is taken in, and what is due is done. */
static void
turn(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const uint64_t before = progress(conn);
	struct msg *m;

	while ((m = client_next_message(c)) != NULL)
		relay_take_message(c, m);
	if (conn->ready & (POLLHUP | POLLERR))
		relay_client_left(c);
	relay_to_client(c);
	relay_from_client(c);
	relay_acknowledge(c);
	watch_for_room(c);
	relay_show(c);
	if (progress(conn) != before)
		conn->give_up_at = MOMENT_NEVER;
	set_patience(c);
}

static void
run(struct client *c) RUNS_ON(on_worker)
{
	begin_watch(c);
	while (!is_over(c)) {
		turn(c);
		if (!is_over(c) && !must_go_on(c))
			wait_for_work(c);
	}
	end_watch(c);
}

/* ---- Others in the worker's place ---- */

/* Its thread sleeps for what it has to. */
static bool
sleeps_well(struct client *c) RUNS_ON(on_worker)
{
	const struct connection *conn = &c->conn;

	if (moment_before(next_due(conn), conn->waits_until))
		return false;
	return c->watch != NULL || (conn->waits_for != CLIENT_NO_SOCKET &&
	    (wanted_events(c) & ~conn->waits_for) == 0);
}

/*
 * After a silence the worker sleeps for longer than an acknowledgement may take.
 * So this one goes at once; and when they begin to follow one another, the
 * worker is woken to sleep for less while bytes move.  To wake it for each would
 * cost a connection with a packet now and then, of which there may be thousands,
 * more than its bytes.  True: it may sleep on.
 */
static bool
acknowledge_for(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const struct moment before = conn->hurried_at;

	if (!moment_before(conn->ack_at, conn->waits_until))
		return true;
	relay_acknowledge_now(c);
	conn->hurried_at = relay_ack_limit();
	return moment_before(before, clock_now());
}

/* True: the worker need not know. */
static bool
act(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	/* A client that is slow keeps a worker busy that polls, not the
	 * reader. */
	if (c->watch == NULL && conn->pending != NULL)
		return false;
	for (int i = 0; i < BORROWED_TURNS; i++) {
		turn(c);
		if (!acknowledge_for(c) || is_over(c) || must_go_on(c) ||
		    !sleeps_well(c))
			return false;
		if (mailbox_idle(&c->box))
			return true;
	}
	return false;
}

static void
act_or_wake(struct client *c)
{
	bool done = false;

	if (baton_borrow(&c->baton)) {
		role_take(&on_worker);
		done = act(c);
		role_drop(&on_worker);
		baton_return(&c->baton, c->waker);
	}
	if (!done)
		mailbox_wake_owner(&c->box);
}

void
connection_deliver(struct client *c, struct chunk *packet)
{
	/* With pollers there is a thread for each processor as it is. */
	const bool act_for_it = c->poller != NULL ||
	    packet->packet_len <= ACT_BYTES;

	packet->msg.type = MSG_RECEIVED;
	switch (mailbox_offer(&c->box, &packet->msg)) {
	case QUEUE_REFUSED:
		chunk_put(packet); /* the client has just ended */
		break;
	case QUEUE_ADDED:
		break;
	case QUEUE_WAKE:
		if (act_for_it)
			act_or_wake(c);
		else
			mailbox_wake_owner(&c->box);
		break;
	}
}

/* ---- End ---- */

/*
 * Until the reader has let go of the route, packets may still arrive.  Their
 * chunks belong to the device's pool, so it must not go before they are back.
 */
static void
await_unrouted(struct client *c) RUNS_ON(on_worker)
{
	while (!c->conn.unrouted) {
		struct msg *m = client_next_message(c);
		short revents;

		if (m != NULL)
			relay_take_message(c, m);
		else
			client_wait(c, CLIENT_NO_SOCKET, MOMENT_NEVER,
			    &revents);
	}
}

static void
end(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	struct device *d = conn->device;

	if (conn->stream.state != STREAM_CLOSED) {
		const struct tcp_header rst = stream_rst(&conn->stream);

		mux_send_tcp(d, conn->route, &rst);
	}
	chunk_put(conn->pending);
	conn->pending = NULL;
	c->ask.kind = ASK_DISCONNECT;
	client_ask(c);
	await_unrouted(c);
	route_put(conn->route);
	conn->route = NULL;
	conn->device = NULL;
	device_put(d);
}

static void
log_end(struct client *c)
{
	const struct connection *conn = &c->conn;

	log_info("%s: end of its connection to %s, %llu bytes from the phone, "
	    "%llu to it", client_name(c), conn->device->name,
	    (unsigned long long)counter_read(&conn->stats.rx_bytes),
	    (unsigned long long)counter_read(&conn->stats.tx_bytes));
}

bool
connection_serve(struct client *c, const struct client_request *rq)
{
	struct connection *conn = &c->conn;
	uint32_t result = USBMUX_CONNECTION_REFUSED;

	c->ask.kind = ASK_CONNECT;
	c->ask.device_id = rq->device_id;
	c->ask.port = rq->port;
	c->ask.info = rq->info;
	client_ask(c);
	if (c->ask.result != USBMUX_OK) {
		log_info("%s: no device %u to connect to", client_name(c),
		    rq->device_id);
		return client_send(c,
		    client_build_result(c->form, rq->tag, c->ask.result));
	}
	begin(c, rq->port);
	if (shake_hands(c))
		result = USBMUX_OK;
	log_info("%s: port %u of %s %s", client_name(c), rq->port,
	    conn->device->name, result == USBMUX_OK ? "connected" : "refused");
	if (client_send(c, client_build_result(c->form, rq->tag, result)) &&
	    result == USBMUX_OK) {
		run(c);
		log_end(c);
	}
	end(c);
	return result != USBMUX_OK;
}
