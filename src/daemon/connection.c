/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A connection's life on its worker: the handshake with the phone, then bytes
 * both ways until either side ends.  How bytes move is in relay.c.
 */

#include "daemon/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol_mux.h"
#include "daemon/relay.h"

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

/* A reader lets go of a route within a turn, unless it is stuck. */
#define UNROUTE_MS 1000

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

/* ---- Begin ---- */

void
connection_ask(struct client *c, const struct client_request *rq)
{
	c->conn.step = CONNECTION_ASKED;
	c->ask.kind = ASK_CONNECT;
	c->ask.device_id = rq->device_id;
	c->ask.port = rq->port;
	c->ask.tag = rq->tag;
	c->ask.info = rq->info;
	client_put_question(c);
}

static void
set_shaking(struct connection *conn, bool shaking)
{
	atomic_store_explicit(&conn->shaking, shaking, memory_order_relaxed);
}

/* The manager has allowed it: sends the SYN. */
static void
begin(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	struct tcp_header syn;

	stream_init(&conn->stream, conn->route->port, c->ask.port);
	conn->pending = conn->pending_end = NULL;
	conn->pending_bytes = 0;
	conn->blocked = false;
	conn->client_eof = conn->client_gone = conn->phone_ended = false;
	conn->unrouted = false;
	conn->ack_at = conn->give_up_at = conn->waits_until = MOMENT_NEVER;
	conn->fed = 0;
	conn->answer_by = moment_after_ms(clock_now(), CONNECT_MS);
	conn->step = CONNECTION_SHAKES;
	set_shaking(conn, true);
	syn = stream_syn(&conn->stream);
	if (!mux_send_tcp(conn->device, conn->route, &syn))
		conn->stream.state = STREAM_CLOSED; /* no memory: refused */
}

/* One at a time: what comes behind the answer is the relay's. */
static bool
take_answer(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	struct msg *m = NULL;

	while (conn->stream.state == STREAM_SYN_SENT &&
	    (m = client_next_message(c)) != NULL)
		relay_take_message(c, m);
	return conn->stream.state != STREAM_SYN_SENT;
}

static bool
client_hung_up(struct client *c) RUNS_ON(on_worker)
{
	return (c->conn.ready & (POLLHUP | POLLERR)) != 0;
}

/* What pollers tell of a connection's socket. */
#define WATCHED_EVENTS (POLLIN | RELAY_CLIENT_EOF)

/* Waits for what the phone says to the SYN.  False: no. */
static bool
shake_hands(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	/* To the manager it has no descriptor but its socket from here on. */
	client_watch(c, WATCHED_EVENTS);
	while (!take_answer(c) && !c->stopped && !client_hung_up(c)) {
		short revents = 0;

		if (!moment_before(clock_now(), conn->answer_by)) {
			log_warning("%s: %s does not answer a connection to "
			    "port %u", client_name(c), conn->device->name,
			    conn->stream.dport);
			return false;
		}
		client_wait(c, c->watch != NULL ? CLIENT_NO_SOCKET : 0,
		    conn->answer_by, &revents);
		conn->ready |= revents;
	}
	return conn->stream.state == STREAM_OPEN;
}

static void
log_result(struct client *c, bool connected)
{
	log_info("%s: port %u of %s %s", client_name(c), c->ask.port,
	    c->conn.device->name, connected ? "connected" : "refused");
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
	return moment_has_come(conn->give_up_at);
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

/* When the worker has something to do though nothing happens; of the time of an
 * acknowledgement who watches the socket tells. */
static struct moment
next_due(struct client *c) RUNS_ON(on_worker)
{
	const struct connection *conn = &c->conn;

	return c->watch != NULL
	    ? conn->give_up_at
	    : moment_earlier(conn->ack_at, conn->give_up_at);
}

/* A socket that has room tells of each byte that its peer reads: so only one that
 * had none is asked. */
static void
watch_for_room(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	const short events =
	    WATCHED_EVENTS | (conn->blocked ? POLLOUT : 0);

	if (c->watch == NULL || events == conn->watched)
		return;
	conn->watched = events;
	poller_rewatch(c->watch, events);
}

static void
watch_for_time(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	conn->ready &= ~POLLER_TIME;
	if (c->watch != NULL && conn->ack_at.ns != MOMENT_NEVER.ns)
		poller_remind(c->watch, conn->ack_at);
}

/* Whoever watches a device watches its connections: but one that has only begun is
 * not worth a call yet, and may have come with another's. */
static void
watch_beside_device(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	if (c->watch == NULL || c->group == conn->device->group ||
	    conn->fed + counter_read(&conn->stats.tx_bytes) == 0)
		return;
	c->group = conn->device->group;
	poller_move(c->watch, c->group, conn->watched);
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
	conn->waits_until = next_due(c);
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
	watch_beside_device(c);
	watch_for_time(c);
	relay_show(c);
	if (progress(conn) != before)
		conn->give_up_at = MOMENT_NEVER;
	set_patience(c);
}

static void
run(struct client *c) RUNS_ON(on_worker)
{
	/* Without, for want of something, it polls. */
	client_watch(c, WATCHED_EVENTS);
	while (!is_over(c)) {
		turn(c);
		if (!is_over(c) && !must_go_on(c))
			wait_for_work(c);
	}
}

/* ---- Others in the worker's place ---- */

/* Its thread sleeps for what it has to. */
static bool
sleeps_well(struct client *c) RUNS_ON(on_worker)
{
	const struct connection *conn = &c->conn;

	if (moment_before(next_due(c), conn->waits_until))
		return false;
	return c->watch != NULL || (conn->waits_for != CLIENT_NO_SOCKET &&
	    (wanted_events(c) & ~conn->waits_for) == 0);
}

/* The SYN, in a worker's place; the phone is left alone with it until pollers
 * tell of the client's end. */
static bool
act_begin(struct client *c) RUNS_ON(on_worker)
{
	if (c->ask.result != USBMUX_OK)
		return false;
	begin(c);
	return client_watch(c, WATCHED_EVENTS);
}

/* A Result that does not fit into the socket at once is the worker's affair; one
 * that has torn there is the client's end. */
static bool
act_greet(struct client *c) RUNS_ON(on_worker)
{
	struct client_frame frame;
	ssize_t n;

	if (!take_answer(c))
		return !c->stopped && !client_hung_up(c);
	if (c->stopped || c->conn.stream.state != STREAM_OPEN)
		return false;
	frame = client_build_result(c->form, c->ask.tag, USBMUX_OK);
	if (frame.bytes == NULL)
		return false;
	n = send(c->fd, frame.bytes, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(frame.bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != (ssize_t)frame.len) {
		c->conn.client_eof = true;
		relay_client_left(c);
	}
	set_shaking(&c->conn, false);
	log_result(c, true);
	c->conn.step = CONNECTION_RELAYS;
	return true;
}

static void log_end(struct client *c);
static void say_end(struct client *c) RUNS_ON(on_worker);

/* The end, which asks for the disconnection as well. */
static bool
act_end(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;
	struct device *d = conn->device;
	struct route *r = conn->route;

	if (!client_claim_end(c))
		return false;
	log_end(c);
	say_end(c);
	conn->route = NULL;
	conn->device = NULL;
	/* Packets may still arrive, and are refused from here on. */
	client_end(c);
	route_put(r);
	device_put(d);
	return true;
}

static bool
act_relay(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	/* A client that is slow keeps a worker busy that polls, not the
	 * reader. */
	if (c->watch == NULL && conn->pending != NULL)
		return false;
	turn(c);
	if (is_over(c))
		return act_end(c);
	return !must_go_on(c) && sleeps_well(c);
}

bool
connection_act(struct client *c)
{
	struct connection *conn = &c->conn;

	if (conn->step == CONNECTION_ASKED && client_has_answer(c))
		conn->step = CONNECTION_ANSWERED;
	if (conn->step == CONNECTION_ANSWERED && !act_begin(c))
		return false;
	if (conn->step == CONNECTION_SHAKES && !act_greet(c))
		return false;
	return conn->step != CONNECTION_RELAYS || act_relay(c);
}

/* ---- End ---- */

/*
 * Until the reader has let go of the route, packets may still arrive: a client
 * that stays and may connect again waits for that, but no longer than it can if
 * the reader is stuck in the kernel.  False: it is to leave.
 */
static bool
await_unrouted(struct client *c) RUNS_ON(on_worker)
{
	const struct moment late = moment_after_ms(clock_now(), UNROUTE_MS);

	while (!c->conn.unrouted && !c->stopped && !client_hung_up(c)) {
		struct msg *m = client_next_message(c);
		short revents;

		if (m != NULL)
			relay_take_message(c, m);
		else if (moment_before(clock_now(), late))
			client_wait(c, CLIENT_NO_SOCKET, late, &revents);
		else
			break;
	}
	return c->conn.unrouted;
}

/* The phone is told, and what waits for the client goes. */
static void
say_end(struct client *c) RUNS_ON(on_worker)
{
	struct connection *conn = &c->conn;

	if (conn->stream.state != STREAM_CLOSED) {
		const struct tcp_header rst = stream_rst(&conn->stream);

		mux_send_tcp(conn->device, conn->route, &rst);
	}
	chunk_put(conn->pending);
	conn->pending = NULL;
}

static void
end(struct client *c) RUNS_ON(on_worker)
{
	/* Who began it in the worker's place has had the socket watched; commands
	 * are read by who polls for them. */
	client_unwatch(c);
	say_end(c);
	c->ask.kind = ASK_DISCONNECT;
	client_ask(c);
	c->conn.step = CONNECTION_NONE;
}

void
connection_leave(struct client *c)
{
	struct connection *conn = &c->conn;

	if (conn->device == NULL)
		return;
	route_put(conn->route);
	device_put(conn->device);
	conn->route = NULL;
	conn->device = NULL;
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

/* ---- The worker's own way ---- */

static bool
refuse(struct client *c) RUNS_ON(on_worker)
{
	log_info("%s: no device %u to connect to", client_name(c),
	    c->ask.device_id);
	c->conn.step = CONNECTION_NONE;
	client_unwatch(c);
	return client_send(c,
	    client_build_result(c->form, c->ask.tag, c->ask.result));
}

/* The handshake and its Result.  True: bytes may move. */
static bool
greet(struct client *c) RUNS_ON(on_worker)
{
	const bool connected = shake_hands(c);

	set_shaking(&c->conn, false);
	log_result(c, connected);
	if (client_send(c, client_build_result(c->form, c->ask.tag,
		connected ? USBMUX_OK : USBMUX_CONNECTION_REFUSED)) &&
	    connected)
		c->conn.step = CONNECTION_RELAYS;
	return connected;
}

bool
connection_serve(struct client *c)
{
	struct connection *conn = &c->conn;
	bool connected = true;

	if (conn->step == CONNECTION_ASKED) {
		client_await_answer(c);
		conn->step = CONNECTION_ANSWERED;
	}
	if (conn->step == CONNECTION_ANSWERED) {
		if (c->ask.result != USBMUX_OK)
			return refuse(c);
		begin(c);
		conn->ready |= POLLIN;
	}
	if (conn->step == CONNECTION_SHAKES)
		connected = greet(c);
	if (conn->step == CONNECTION_RELAYS) {
		run(c);
		log_end(c);
	}
	end(c);
	if (connected || !await_unrouted(c))
		return false;
	connection_leave(c);
	return true;
}
