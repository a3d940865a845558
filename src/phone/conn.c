/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/conn.h"

#include <stdlib.h>

#include "phone/mux_int.h"
#include "phone/port.h"

/* The host's window starts where its acknowledgement stands. */
static void
open_host_window(struct conn *c, uint32_t ack, uint32_t window)
{
	c->snd_window = window;
	c->snd_edge = ack + window;
}

struct conn *
conn_open(struct mux *m, const struct port *port, const struct segment *s)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->mux = m;
	c->port = port;
	c->sport = s->sport;
	c->dport = s->dport;
	c->state = CONN_SYN_RECEIVED;
	c->owes_syn_ack = true;
	c->rcv_next = c->rcv_told = c->rcv_edge = s->seq + 1;
	c->snd_una = c->snd_next = m->set.first_seq;
	/* The SYN|ACK itself takes one number and no room. */
	open_host_window(c, c->snd_una + 1, s->window);
	if ((port->open != NULL && !port->open(c)) || !table_add(m, c)) {
		ready_remove(m, c);
		if (port->close != NULL)
			port->close(c);
		ring_fini(&c->ring);
		free(c);
		return NULL;
	}
	m->live++;
	m->count.opened++;
	ready_add(m, c);
	return c;
}

/* What a live connection has and a reset one no longer needs: its service and
 * the bytes that this holds, some of which may be on their way. */
static void
end_service(struct conn *c)
{
	struct mux *m = c->mux;

	if (c->state == CONN_RESET)
		return;
	out_spill(m, c);
	if (m->out.conn == c)
		m->out.conn = NULL;
	if (c->port->close != NULL)
		c->port->close(c);
	ring_fini(&c->ring);
	m->live--;
	m->count.closed++;
}

void
conn_close(struct conn *c)
{
	end_service(c);
	ready_remove(c->mux, c);
	table_remove(c->mux, c);
	free(c);
}

void
conn_abort(struct conn *c, const char *reason)
{
	if (c->state == CONN_RESET)
		return;
	end_service(c);
	c->state = CONN_RESET;
	c->reason = reason;
	c->owes_rst = true;
	c->owes_ack = c->owes_syn_ack = false;
	ready_add(c->mux, c);
}

void
conn_consume(struct conn *c, size_t n)
{
	if (n == 0)
		return; /* or a service that has nothing would be asked again */
	c->rcv_unread -= (uint32_t)n;
	ready_add(c->mux, c);
}

void
conn_wake(struct conn *c)
{
	ready_add(c->mux, c);
}

bool
conn_ring_put(struct conn *c, const void *bytes, size_t len)
{
	if (!ring_fits(&c->ring, len))
		out_spill(c->mux, c);
	if (!ring_put(&c->ring, bytes, len))
		return false;
	conn_wake(c);
	return true;
}

static void
violation(struct conn *c, enum strict_kind kind, const struct segment *s,
    uint32_t is, uint32_t bound)
{
	strict_count(c->mux->strict, kind, s->packet, s->packet_len,
	    "%u -> %u: seq %u, ack %u, %zu bytes: %u against %u%s", s->sport,
	    s->dport, s->seq, s->ack, s->len, is, bound,
	    c->state == CONN_RESET ? " (after the phone's RST)" : "");
}

/*
 * Takes the acknowledgement and the window; those of a segment whose
 * acknowledgement is wrong are not believed.
 */
static bool
take_ack(struct conn *c, const struct segment *s)
{
	if ((int32_t)(s->ack - c->snd_una) < 0) {
		violation(c, STRICT_ACK_BACKWARD, s, s->ack, c->snd_una);
		return false;
	}
	if ((int32_t)(s->ack - c->snd_next) > 0) {
		violation(c, STRICT_ACK_AHEAD, s, s->ack, c->snd_next);
		return false;
	}
	c->snd_una = s->ack;
	open_host_window(c, s->ack, s->window);
	return true;
}

/* The first segment after the SYN must take our SYN|ACK.  False: it does not,
 * and nothing in it can be compared with anything. */
static bool
take_handshake(struct conn *c, const struct segment *s)
{
	if (c->owes_syn_ack || s->ack == c->snd_una) {
		violation(c, STRICT_HANDSHAKE, s, s->ack, c->snd_next);
		conn_abort(c, "no handshake");
		c->spoilt = true;
		return false;
	}
	if (take_ack(c, s))
		c->state = CONN_OPEN;
	return true;
}

/*
 * False: the data cannot be taken.  A stream with a gap cannot be mended, for
 * nothing is ever sent twice; so the connection ends, and what else comes on it
 * is not compared with anything: the fault has been counted.
 */
static bool
check_data(struct conn *c, const struct segment *s)
{
	const uint32_t end = s->seq + (uint32_t)s->len;

	if (s->seq != c->rcv_next) {
		violation(c, STRICT_SEQ, s, s->seq, c->rcv_next);
		conn_abort(c, "wrong sequence number");
		c->spoilt = true;
		return false;
	}
	if ((int32_t)(end - c->rcv_edge) > 0) {
		violation(c, STRICT_WINDOW, s, end, c->rcv_edge);
		conn_abort(c, "input buffer overrun");
		c->spoilt = true;
		return false;
	}
	return true;
}

/* A service that refuses its input ends the connection: it has run out of
 * memory, or cannot make sense of what it was sent. */
static void
take_data(struct conn *c, const struct segment *s)
{
	c->rcv_next += (uint32_t)s->len;
	if (c->state == CONN_RESET)
		return;
	c->rcv_unread += (uint32_t)s->len;
	c->bytes_in += s->len;
	if (!c->port->input(c, s->data, s->len))
		conn_abort(c, "the service gave up");
}

/*
 * After the phone's own RST the same is checked as before, because the host
 * has not seen it when it sent this: only what would have been legal is legal.
 * The window bounds how much that can be, as the phone grants no more.
 */
void
conn_input(struct conn *c, const struct segment *s)
{
	if (c->state == CONN_RESET)
		c->mux->count.late++;
	if (c->spoilt)
		return;
	if (c->state == CONN_SYN_RECEIVED) {
		if (!take_handshake(c, s))
			return;
	} else
		take_ack(c, s);
	if (!check_data(c, s))
		return;
	if (s->len > 0)
		take_data(c, s);
	if (c->state != CONN_RESET)
		ready_add(c->mux, c);
}
