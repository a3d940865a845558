/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The worker's surroundings: its client, its manager, and the way in and out.
 * What the phone says and hears is in conn_rig_phone.c. */

#include "conn_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "daemon/protocol.h"
#include "unit.h"

/* ---- Life ---- */

static void
make_sockets(struct conn *k, int sndbuf, int *worker_end)
{
	int fds[2];

	HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "no sockets");
	if (sndbuf > 0)
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
	sock_set_nonblocking(fds[0], true);
	k->fd = fds[1];
	*worker_end = fds[0];
}

/* What a worker does when it is given a client. */
static void *
serve(void *arg)
{
	struct conn *k = arg;

	role_take(&on_worker);
	client_serve(k->c, NULL);
	mailbox_post(&k->manager, &k->c->ended_msg);
	role_drop(&on_worker);
	return NULL;
}

/* The test is the manager, and the reader, and the writer. */
void
conn_init(struct conn *k, int sndbuf) ROLE_UNCHECKED
{
	int fd;

	log_set_level(LOG_LEVEL_FATAL); /* faults are made on purpose */
	memset(k, 0, sizeof *k);
	fake_init(&k->fake, "1-3");
	k->waker = waker_new();
	mailbox_init_waker(&k->manager, k->waker);
	k->d = device_new(CONN_DEVICE, &k->fake.source, &k->fake.ident,
	    &protocol_mux, &k->manager);
	HOLDS(k->d != NULL, "no device");
	atomic_store(&k->d->mux.version, 2);
	k->workers_waker = waker_new();
	make_sockets(k, sndbuf, &fd);
	k->c = client_new(fd, 1, false, k->workers_waker, &k->manager);
	HOLDS(k->c != NULL, "no client");
	HOLDS(thread_start(&k->worker, "worker", serve, k) == 0, "no worker");
}

static struct msg *
await_message(struct conn *k, const char *what)
{
	struct msg *m = k->kept;

	while (m == NULL) {
		m = mailbox_take(&k->manager);
		if (m == NULL && mailbox_idle(&k->manager))
			HOLDS(waker_wait(k->waker, UNIT_PATIENCE_MS),
			    "the manager waits in vain for %s", what);
	}
	k->kept = msg_next(m);
	return m;
}

void
conn_fini(struct conn *k) ROLE_UNCHECKED
{
	conn_await_served(k);
	thread_join(&k->worker);
	waker_put(k->workers_waker);
	close(k->fd);
	HOLDS(k->route == NULL && k->managers == NULL, "a route is left");
	HOLDS(conn_chunks_out(k) == 0, "%u chunks are left",
	    conn_chunks_out(k));
	k->hold = false;
	conn_complete(k);
	while (!conn_silent(k))
		conn_hear(k);
	HOLDS(atomic_load(&k->c->refs.count) == 1, "%u references on the client",
	    atomic_load(&k->c->refs.count));
	client_put(k->c);
	HOLDS(atomic_load(&k->d->refs.count) == 1, "%u references on the device",
	    atomic_load(&k->d->refs.count));
	device_put(k->d);
	waker_put(k->waker);
	fake_fini(&k->fake);
}

/* ---- Client ---- */

void
conn_send(struct conn *k, const void *bytes, size_t len)
{
	HOLDS(sock_send_all(k->fd, bytes, len) == 0, "the client cannot send");
}

void
conn_send_pattern(struct conn *k, uint32_t first, uint32_t len)
{
	uint8_t bytes[4096];

	while (len > 0) {
		const uint32_t n = len < sizeof bytes ? len : sizeof bytes;

		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)((first + i) % 251);
		conn_send(k, bytes, n);
		first += n;
		len -= n;
	}
}

void
conn_ask_connect(struct conn *k)
{
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 99,
		0, 0, 0, CONN_DEVICE, 0, 0, 0, CONN_PORT >> 8,
		(uint8_t)CONN_PORT, 0, 0 };

	conn_send(k, request, sizeof request);
}

/* All of `len`, in time. */
static void
receive(struct conn *k, uint8_t *bytes, size_t len)
{
	while (len > 0) {
		struct pollfd pfd = { .fd = k->fd, .events = POLLIN };
		ssize_t n;

		HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1,
		    "the client waits in vain for %zu bytes", len);
		n = recv(k->fd, bytes, len, 0);
		HOLDS(n > 0, "the socket ends, %zu bytes too early", len);
		bytes += n;
		len -= (size_t)n;
	}
}

void
conn_await_result(struct conn *k, uint32_t number)
{
	uint8_t expected[20] = { 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99 };
	uint8_t got[20];

	expected[16] = (uint8_t)number;
	receive(k, got, sizeof got);
	HOLDS(memcmp(got, expected, sizeof got) == 0,
	    "not a Result of %u; its last bytes are %u %u", number, got[8],
	    got[16]);
}

void
conn_await_pattern(struct conn *k, uint32_t first, uint32_t len)
{
	uint8_t bytes[4096];

	while (len > 0) {
		const uint32_t n = len < sizeof bytes ? len : sizeof bytes;

		receive(k, bytes, n);
		for (uint32_t i = 0; i < n; i++)
			HOLDS(bytes[i] == (first + i) % 251, "byte %u",
			    first + i);
		first += n;
		len -= n;
	}
}

void
conn_await_eof(struct conn *k)
{
	struct pollfd pfd = { .fd = k->fd, .events = POLLIN };
	uint8_t byte;
	ssize_t n;

	HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1, "the socket does not end");
	n = recv(k->fd, &byte, 1, 0);
	HOLDS(n == 0, "%s", n > 0 ? "a byte instead of the end"
				  : strerror(errno));
}

/* ---- Manager ---- */

void
conn_await_ask(struct conn *k, enum ask_kind kind)
{
	const struct msg *m = await_message(k, "a question");

	HOLDS(m == &k->c->ask.msg && m->type == MSG_ASK, "message %d", m->type);
	HOLDS(k->c->ask.kind == kind, "question %d", k->c->ask.kind);
}

void
conn_answer(struct conn *k, uint32_t result)
{
	k->c->ask.result = result;
	k->c->ask.msg.type = MSG_ANSWER;
	HOLDS(mailbox_post(&k->c->box, &k->c->ask.msg), "nobody to answer");
}

void
conn_answer_connect(struct conn *k)
{
	HOLDS(k->c->ask.device_id == CONN_DEVICE && k->c->ask.port == CONN_PORT,
	    "device %u, port %u", k->c->ask.device_id, k->c->ask.port);
	k->sport = (uint16_t)(k->sport + 1);
	k->managers = route_new(k->c, k->d, k->sport);
	k->route = route_get(k->managers);
	k->c->conn.route = route_get(k->managers);
	k->c->conn.device = device_get(k->d);
	conn_answer(k, USBMUX_OK);
}

void
conn_answer_disconnect(struct conn *k)
{
	conn_answer(k, USBMUX_OK);
	conn_unroute(k);
	route_put(k->managers);
	k->managers = NULL;
}

void
conn_stop_client(struct conn *k)
{
	HOLDS(mailbox_post(&k->c->box, &k->c->stop_msg), "nobody to stop");
}

void
conn_await_served(struct conn *k)
{
	struct msg *m = await_message(k, "the client's end");

	HOLDS(m->type == MSG_CLIENT_ENDED, "message %d", m->type);
	k->kept = m; /* conn_fini() looks at it as well */
}

void
conn_unroute(struct conn *k)
{
	struct route *r = k->route;

	k->route = NULL;
	if (r != NULL && !mailbox_post(&r->client->box, &r->gone_msg))
		route_put(r);
}

/* ---- All of it ---- */

void
conn_open(struct conn *k, uint32_t window, uint32_t len)
{
	struct phone_words w;

	conn_ask_connect(k);
	conn_await_ask(k, ASK_CONNECT);
	conn_answer_connect(k);
	w = conn_hear(k);
	HOLDS(w.flags == PHONE_SYN && w.seq == 0 && w.ack == 0, "no SYN");
	HOLDS(w.sport == k->sport && w.dport == CONN_PORT, "ports");
	HOLDS(w.window == CONN_WINDOW && w.payload_len == 0, "SYN");
	k->seq = 1000;
	k->ack = 1;
	k->window = window;
	conn_say(k, PHONE_SYN | PHONE_ACK, 0, len);
	conn_hear_ack(k, 1001);
	conn_await_result(k, 0);
	if (len > 0)
		conn_await_pattern(k, 0, len);
}

void
conn_await_end(struct conn *k)
{
	conn_await_ask(k, ASK_DISCONNECT);
	conn_answer_disconnect(k);
	conn_await_eof(k);
}

void
conn_await_held(struct conn *k, uint64_t least)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (counter_read(&k->c->conn.stats.held) < least)
		HOLDS(moment_before(clock_now(), until), "%llu bytes are held",
		    (unsigned long long)counter_read(&k->c->conn.stats.held));
}
