/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sockets: from OPEN to the answer to CLOSE. */
#include "phone/scmdev.h"

#include <stdlib.h>
#include <string.h>

/* ---- Table -------------------------------------------------------------- */

/* Dialect 12 has room for an id that has never been before. */
static uint32_t
make_id(struct scmdev *s, unsigned slot)
{
	return s->style.hss ? ++s->laps[slot] << 8 | slot : slot;
}

/* The one that has been free the longest, more or less: an id that has just
 * been in use says less about who means what. */
struct scmdev_socket *
scmdev_socket_new(struct scmdev *s)
{
	struct scmdev_socket *sock;
	unsigned slot = s->next_slot, looked = 0;

	while (s->sockets[slot] != NULL) {
		slot = (slot + 1) % SCMDEV_SOCKETS;
		if (++looked == SCMDEV_SOCKETS)
			return NULL;
	}
	sock = calloc(1, sizeof *sock);
	if (sock == NULL)
		return NULL;
	s->next_slot = (slot + 1) % SCMDEV_SOCKETS;
	s->sockets[slot] = sock;
	s->current++;
	sock->slot = slot;
	sock->id = make_id(s, slot);
	sock->fd = -1;
	sock->linger_until = MOMENT_NEVER;
	return sock;
}

void
scmdev_socket_drop(struct scmdev *s, struct scmdev_socket *sock)
{
	if (sock->fd >= 0) {
		sock->state = SCMDEV_S_GONE;
		scmdev_notice(s);
		return;
	}
	s->sockets[sock->slot] = NULL;
	s->current--;
	ring_fini(&sock->tx);
	ring_fini(&sock->rx);
	free(sock);
}

struct scmdev_socket *
scmdev_socket_find(const struct scmdev *s, uint32_t id)
{
	struct scmdev_socket *sock = s->sockets[id % SCMDEV_SOCKETS];

	if (sock == NULL || sock->id != id || sock->state == SCMDEV_S_NEW ||
	    sock->state == SCMDEV_S_GONE)
		return NULL;
	return sock;
}

/* What the session owed is owed no more. */
static void
forget(struct scmdev_socket *sock)
{
	ring_drop(&sock->rx, sock->rx.used);
	ring_drop(&sock->tx, sock->tx.used);
	sock->due_count = 0;
	sock->abort = true;
}

void
scmdev_sockets_reset(struct scmdev *s)
{
	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++)
		if (s->sockets[i] != NULL) {
			forget(s->sockets[i]);
			scmdev_socket_drop(s, s->sockets[i]);
		}
}

/* ---- To the host -------------------------------------------------------- */

static bool
send_open(struct scmdev *s, struct scmdev_socket *sock)
{
	struct scmdev_message m = {
		.op = SCMDEV_OPEN, .socket = sock->id,
		.v6 = sock->v6, .udp = sock->udp,
	};

	if (!scmdev_request(s, &m, sock, false))
		return false;
	sock->state = SCMDEV_S_OPENING;
	return true;
}

static bool
send_connect(struct scmdev *s, struct scmdev_socket *sock)
{
	uint8_t address[SCMDEV_SOCKADDR_MAX];
	struct scmdev_message m = {
		.op = SCMDEV_CONNECT, .socket = sock->id, .data = address,
	};

	m.len = (uint32_t)scmdev_write_sockaddr(&s->style, &sock->to, address);
	if (!scmdev_request(s, &m, sock, false))
		return false;
	sock->state = SCMDEV_S_CONNECTING;
	return true;
}

/* CLOSE and SHUTDOWN. */
static bool
send_bare(struct scmdev *s, struct scmdev_socket *sock, enum scmdev_op op)
{
	struct scmdev_message m = { .op = op, .socket = sock->id };

	if (!scmdev_request(s, &m, sock, false))
		return false;
	if (op == SCMDEV_CLOSE)
		sock->state = SCMDEV_S_CLOSING;
	else
		sock->shutdown = true;
	scmdev_notice(s);
	return true;
}

/* Bytes leave the ring with this: the protocol repeats nothing.  What lies in
 * two pieces there makes two messages.  A client that had filled the ring may
 * go on when half of it is free. */
static bool
send_write(struct scmdev *s, struct scmdev_socket *sock)
{
	const bool was_full = sock->tx.used > SCMDEV_TX_MAX / 2;
	struct scmdev_message m = { .op = SCMDEV_WRITE, .socket = sock->id };
	struct span piece[2];

	ring_peek(&sock->tx, s->payload, piece);
	m.data = piece[0].at;
	m.len = (uint32_t)piece[0].len;
	if (!scmdev_request(s, &m, sock, false))
		return false;
	ring_drop(&sock->tx, m.len);
	if (was_full && sock->tx.used <= SCMDEV_TX_MAX / 2)
		scmdev_notice(s);
	return true;
}

/* The client's end can be told: behind its data, which the host has taken. */
static bool
may_shut_down(const struct scmdev *s, const struct scmdev_socket *sock)
{
	return sock->eof && !sock->shutdown && sock->waiting == 0 &&
	    s->style.hss && !s->style.shipped;
}

/*
 * What is next, when there is anything: of one socket, all is in this order.
 * CLOSE and SHUTDOWN never overtake data, on whichever pipe, because they wait
 * for its answers.
 */
static enum scmdev_op
next_op(const struct scmdev *s, const struct scmdev_socket *sock)
{
	if (sock->raw)
		return SCMDEV_OPS;
	switch (sock->state) {
	case SCMDEV_S_NEW:
		return SCMDEV_OPEN;
	case SCMDEV_S_OPEN:
		return sock->leaving ? SCMDEV_CLOSE : SCMDEV_CONNECT;
	case SCMDEV_S_CONNECTED:
		if (sock->tx.used > 0)
			return sock->writes < s->window ? SCMDEV_WRITE
							: SCMDEV_OPS;
		if (sock->leaving)
			return sock->waiting == 0 ? SCMDEV_CLOSE : SCMDEV_OPS;
		return may_shut_down(s, sock) ? SCMDEV_SHUTDOWN : SCMDEV_OPS;
	default:
		return SCMDEV_OPS;
	}
}

bool
scmdev_socket_step(struct scmdev *s, struct scmdev_socket *sock, unsigned pipe)
{
	const enum scmdev_op op = next_op(s, sock);

	if (op == SCMDEV_OPS || scmdev_pipe_of(s, op) != pipe)
		return false;
	switch (op) {
	case SCMDEV_OPEN:
		return send_open(s, sock);
	case SCMDEV_CONNECT:
		return send_connect(s, sock);
	case SCMDEV_WRITE:
		return send_write(s, sock);
	default:
		return send_bare(s, sock, op);
	}
}

/* ---- From the host ------------------------------------------------------ */

static void
opened(struct scmdev *s, struct scmdev_socket *sock, int32_t code)
{
	if (code < 0) {
		s->count.refused++;
		sock->abort = true;
		scmdev_socket_drop(s, sock);
		return;
	}
	s->count.opened++;
	sock->state = SCMDEV_S_OPEN;
}

static void
connected(struct scmdev *s, struct scmdev_socket *sock, int32_t code)
{
	if (code < 0) {
		s->count.refused++;
		sock->state = SCMDEV_S_OPEN;
		if (!sock->raw)
			scmdev_socket_abort(s, sock);
		return;
	}
	s->count.connected++;
	sock->state = SCMDEV_S_CONNECTED;
	scmdev_notice(s); /* what has come meanwhile */
}

/* The peer takes no more.  What it has sent before goes to the client all the
 * same. */
static void
break_off(struct scmdev *s, struct scmdev_socket *sock)
{
	s->count.discarded += sock->tx.used;
	ring_drop(&sock->tx, sock->tx.used);
	sock->broken = true;
	scmdev_notice(s);
}

void
scmdev_socket_answered(struct scmdev *s, struct scmdev_socket *sock,
    enum scmdev_op op, int32_t code)
{
	sock->waiting--;
	switch (op) {
	case SCMDEV_OPEN:
		opened(s, sock, code);
		break;
	case SCMDEV_CONNECT:
		connected(s, sock, code);
		break;
	case SCMDEV_WRITE:
		sock->writes--;
		if (code < 0 && !sock->raw)
			break_off(s, sock);
		if (sock->eof && sock->waiting == 0)
			scmdev_notice(s); /* it may be done */
		break;
	case SCMDEV_CLOSE: /* there is nothing left to do, whatever it says */
		s->count.closed++;
		scmdev_socket_drop(s, sock);
		break;
	default:
		break;
	}
}

bool
scmdev_socket_receive(struct scmdev *s, struct scmdev_socket *sock,
    const struct scmdev_message *m)
{
	struct scmdev_due *due = &sock->due[(sock->due_first +
		sock->due_count) % SCMDEV_IDS];

	if (!ring_put(&sock->rx, m->data, m->len))
		return false;
	if (sock->rx.used == m->len)
		scmdev_notice(s);
	sock->received += m->len;
	*due = (struct scmdev_due){ m->id, sock->received };
	sock->due_count++;
	scmdev_socket_taken(s, sock, 0);
	return true;
}

void
scmdev_socket_taken(struct scmdev *s, struct scmdev_socket *sock, size_t len)
{
	ring_drop(&sock->rx, len);
	sock->taken += len;
	while (sock->due_count > 0 &&
	    sock->due[sock->due_first].end <= sock->taken) {
		scmdev_answer(s, SCMDEV_WRITE, sock->due[sock->due_first].id,
		    sock->id, 0);
		sock->due_first = (sock->due_first + 1) % SCMDEV_IDS;
		sock->due_count--;
	}
}

/* What the host has sent and nobody takes is answered as such. */
void
scmdev_socket_abort(struct scmdev *s, struct scmdev_socket *sock)
{
	s->count.discarded += sock->rx.used + sock->tx.used;
	ring_drop(&sock->rx, sock->rx.used);
	ring_drop(&sock->tx, sock->tx.used);
	sock->taken = sock->received;
	while (sock->due_count > 0) {
		scmdev_answer(s, SCMDEV_WRITE, sock->due[sock->due_first].id,
		    sock->id, -SCMDEV_EPIPE);
		sock->due_first = (sock->due_first + 1) % SCMDEV_IDS;
		sock->due_count--;
	}
	sock->abort = true;
	sock->leaving = true;
	scmdev_notice(s);
}
