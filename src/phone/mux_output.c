/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the phone says, made packet by packet when the bus asks: first the
 * answers that belong to no connection, then one packet of each connection that
 * has something to say, in turn.
 *
 * Nothing is made ahead of time, so an acknowledgement is the newest there is
 * when it leaves: while the bus is busy several of them become one, and one
 * that can ride on data does.  A connection is put on the list whenever
 * something has happened to it that might give it something to say; whether it
 * really has is found out when its turn comes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/identity.h"
#include "phone/mux_int.h"
#include "phone/port.h"

/* ---- Who may send ------------------------------------------------------- */

void
ready_add(struct mux *m, struct conn *c)
{
	if (c->listed)
		return;
	c->listed = true;
	c->next = NULL;
	c->prev = m->ready_last;
	if (c->prev != NULL)
		c->prev->next = c;
	else
		m->ready_first = c;
	m->ready_last = c;
}

void
ready_remove(struct mux *m, struct conn *c)
{
	if (!c->listed)
		return;
	c->listed = false;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		m->ready_first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		m->ready_last = c->prev;
}

/* ---- Answers ------------------------------------------------------------ */

/* False: out of memory.  How many can wait is bounded by mux_accepts(), which
 * the caller of mux_input() asks, and for `raw` ones by the tester. */
static bool
reply_queue(struct mux *m, bool raw, uint32_t protocol, const void *bytes,
    size_t len)
{
	struct mux_reply *r = malloc(sizeof *r + len);

	if (r == NULL) {
		log_error("phone %u: out of memory: an answer is lost",
		    m->id->index);
		return false;
	}
	r->next = NULL;
	r->raw = raw;
	r->protocol = protocol;
	r->len = len;
	if (len > 0)
		memcpy(r->bytes, bytes, len);
	if (m->last_reply != NULL)
		m->last_reply->next = r;
	else
		m->replies = r;
	m->last_reply = r;
	m->reply_count++;
	return true;
}

void
reply_add(struct mux *m, uint32_t protocol, const void *bytes, size_t len)
{
	reply_queue(m, false, protocol, bytes, len);
}

int
mux_inject(struct mux *m, const void *bytes, size_t len)
{
	if (len > MUX_INJECT_MAX || !reply_queue(m, true, 0, bytes, len))
		return -1;
	return 0;
}

/* Puts a reason behind the header, as long as it fits. */
static void
write_reason(struct writer *w, const char *reason)
{
	write_bytes(w, reason, strlen(reason));
}

void
reply_reset(struct mux *m, const struct segment *s, const char *reason)
{
	uint8_t bytes[MUX_TCP_SIZE + 100];
	struct writer w = writer_over(bytes, sizeof bytes);
	const bool syn = (s->flags & TCP_SYN) != 0;

	tcp_write(&w, s->dport, s->sport, syn ? 0 : s->ack,
	    s->seq + (uint32_t)s->len + syn, TCP_RST, 0);
	write_reason(&w, reason);
	reply_add(m, MUX_TCP, bytes, writer_used(&w));
	m->count.rst_sent++;
}

static struct mux_reply *
reply_take(struct mux *m)
{
	struct mux_reply *r = m->replies;

	if (r == NULL)
		return NULL;
	m->replies = r->next;
	if (m->replies == NULL)
		m->last_reply = NULL;
	m->reply_count--;
	return r;
}

void
replies_drop(struct mux *m)
{
	struct mux_reply *r;

	while ((r = reply_take(m)) != NULL)
		free(r);
}

bool
mux_accepts(const struct mux *m)
{
	return m->reply_count < MUX_REPLIES_MAX;
}

/* ---- The packet on its way ---------------------------------------------- */

/* VERSION is framed as in version 1 in both directions: nobody can know better
 * when it is sent. */
static size_t
head_size(const struct mux *m, uint32_t protocol)
{
	return protocol == MUX_VERSION || m->version == 1 ? 8 : 16;
}

/* Begins the packet with a mux header, for `len` bytes behind it.  The caller
 * goes on writing where this ends, and sets the spans. */
static struct writer
begin_packet(struct mux *m, uint32_t protocol, size_t len)
{
	struct mux_out *o = &m->out;
	struct writer w = writer_over(o->head, sizeof o->head);
	const size_t size = head_size(m, protocol);

	o->active = true;
	o->spilled = false;
	o->len = o->left = size + len;
	o->conn = NULL;
	o->payload = 0;
	o->reply = NULL;
	memset(o->span, 0, sizeof o->span);
	write_be32(&w, protocol);
	write_be32(&w, (uint32_t)o->len);
	if (size == 8)
		return w;
	write_be32(&w, m->set.magic);
	write_be16(&w, m->own_seq++);
	write_be16(&w, m->echoed_seq);
	return w;
}

static void
end_head(struct mux *m, const struct writer *w)
{
	m->out.span[0] = (struct span){ m->out.head, writer_used(w) };
}

static void
send_reply(struct mux *m, struct mux_reply *r)
{
	struct mux_out *o = &m->out;

	if (r->raw) {
		begin_packet(m, MUX_VERSION, 0);
		o->len = o->left = r->len;
	} else {
		const struct writer w = begin_packet(m, r->protocol, r->len);

		end_head(m, &w);
	}
	o->span[1] = (struct span){ r->bytes, r->len };
	o->reply = r;
}

/*
 * One packet of the connection: header, and `n` bytes in `data`.  It carries
 * the acknowledgement and the window of this moment; the edge that they give is
 * from now on the host's to use, even if a later window is smaller.
 */
static void
send_segment(struct conn *c, uint8_t flags, const struct span data[2],
    size_t n)
{
	struct mux *m = c->mux;
	const uint32_t ack = conn_ack(c);
	const uint32_t window = m->set.window & ~(MUX_WINDOW_UNIT - 1);
	struct writer w = begin_packet(m, MUX_TCP, MUX_TCP_SIZE + n);

	tcp_write(&w, c->dport, c->sport, c->snd_next, ack, flags, window);
	end_head(m, &w);
	m->out.span[1] = data[0];
	m->out.span[2] = data[1];
	m->out.payload = n;
	m->out.conn = c->state != CONN_RESET && n > 0 ? c : NULL;
	if ((flags & TCP_RST) != 0)
		return; /* its text is none of the stream's bytes */
	c->snd_next += (uint32_t)n + ((flags & TCP_SYN) != 0);
	if (n > 0 && conn_room(c) == 0)
		m->count.windows_full++;
	c->bytes_out += n;
	c->rcv_told = ack;
	c->owes_ack = false;
	if ((int32_t)(ack + window - c->rcv_edge) > 0)
		c->rcv_edge = ack + window;
}

static const struct span no_data[2];

/* The RST and its text.  The text is a constant, so the packet does not depend
 * on the connection, which may be gone before it has left. */
static void
send_reset(struct conn *c)
{
	const struct span reason[2] = {
		{ (const uint8_t *)c->reason, strlen(c->reason) }, { NULL, 0 },
	};

	c->owes_rst = false;
	c->mux->count.rst_sent++;
	send_segment(c, TCP_RST, reason, reason[0].len);
}

/* What the service has to say and the host's window takes: how many bytes. */
static size_t
get_output(struct conn *c, struct span data[2])
{
	const struct mux *m = c->mux;
	const size_t most =
	    m->set.max_packet - head_size(m, MUX_TCP) - MUX_TCP_SIZE;
	const size_t room = conn_room(c);

	if (room == 0 || c->port->output == NULL)
		return 0;
	return c->port->output(c, room < most ? room : most, data);
}

static void
send_syn_ack(struct conn *c)
{
	struct span data[2] = { { NULL, 0 }, { NULL, 0 } };
	size_t n = 0;

	c->owes_syn_ack = false;
	if (c->port->joined) {
		/* The window counts from behind the SYN. */
		c->snd_next++;
		n = get_output(c, data);
		c->snd_next--;
	}
	send_segment(c, TCP_SYN | TCP_ACK, data, n);
}

/* Makes the connection's next packet.  False: it has none to send. */
static bool
send_next(struct conn *c)
{
	struct span data[2] = { { NULL, 0 }, { NULL, 0 } };
	size_t n = 0;

	if (c->state == CONN_RESET) {
		if (c->owes_rst)
			send_reset(c);
		return c->mux->out.active;
	}
	if (c->owes_syn_ack) {
		send_syn_ack(c);
		return true;
	}
	if (c->state == CONN_OPEN || c->port->early)
		n = get_output(c, data);
	if (n > 0)
		send_segment(c, TCP_ACK, data, n);
	else if (c->owes_ack || conn_ack(c) != c->rcv_told) {
		send_segment(c, TCP_ACK, no_data, 0);
		c->mux->count.acks_out++;
	}
	return c->mux->out.active;
}

/* Goes once round those that may send, at most: each that has nothing to send
 * leaves the list until something happens to it. */
static bool
begin_next(struct mux *m)
{
	struct conn *c;

	if (m->replies != NULL) {
		send_reply(m, reply_take(m));
		return true;
	}
	while ((c = m->ready_first) != NULL) {
		ready_remove(m, c);
		if (send_next(c)) {
			ready_add(m, c);
			return true;
		}
	}
	return false;
}

bool
mux_next(struct mux *m)
{
	if (m->out.active)
		return true;
	if (!begin_next(m))
		return false;
	m->count.packets_out++;
	m->count.bytes_out += m->out.len;
	return true;
}

/* The last byte has left: whoever lent the bytes may have them back. */
static void
finish(struct mux *m)
{
	struct mux_out *o = &m->out;
	struct conn *c = o->conn;

	o->active = false;
	o->conn = NULL;
	free(o->reply);
	o->reply = NULL;
	if (c != NULL && c->port->sent != NULL)
		c->port->sent(c, o->payload);
}

/* Copies the next `n` bytes, and passes over them. */
static void
consume_spans(struct mux_out *o, uint8_t *into, size_t n)
{
	o->left -= n;
	for (int i = 0; i < 3; i++) {
		struct span *s = &o->span[i];
		const size_t part = s->len < n ? s->len : n;

		if (part == 0)
			continue;
		if (into != NULL) {
			memcpy(into, s->at, part);
			into += part;
		}
		s->at += part;
		s->len -= part;
		n -= part;
	}
}

void
mux_take(struct mux *m, uint8_t *into, size_t n)
{
	consume_spans(&m->out, into, n);
	if (m->out.left == 0)
		finish(m);
}

void
mux_drop(struct mux *m)
{
	if (m->out.active)
		mux_take(m, NULL, m->out.left);
}

void
out_spill(struct mux *m, struct conn *c)
{
	struct mux_out *o = &m->out;
	const size_t left = o->left;

	if (!o->active || o->conn != c || o->spilled)
		return;
	/* The head may have left in part, and may not: it is copied too. */
	consume_spans(o, o->spill, left);
	o->left = left;
	o->span[0] = (struct span){ o->spill, left };
	o->spilled = true;
}
