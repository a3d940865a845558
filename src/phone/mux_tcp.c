/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The TCP of the mux protocol, which is not TCP: nothing is ever lost, so there
 * are no retransmissions, no checksums, no options and no FIN.
 */
#include "base/cursor.h"
#include "base/log.h"
#include "phone/identity.h"
#include "phone/mux_int.h"
#include "phone/port.h"

void
tcp_write(struct writer *w, uint16_t dport, uint16_t sport, uint32_t seq,
    uint32_t ack, uint8_t flags, uint32_t window)
{
	const uint32_t units = window / MUX_WINDOW_UNIT;

	write_be16(w, dport);
	write_be16(w, sport);
	write_be32(w, seq);
	write_be32(w, ack);
	write_u8(w, MUX_TCP_SIZE / 4 << 4);
	write_u8(w, flags);
	write_be16(w, units > 65535 ? 65535 : (uint16_t)units);
	write_be32(w, 0); /* checksum, urgent pointer */
}

/* False: it is no TCP header of this protocol. */
static bool
parse(struct mux *m, struct segment *s, const uint8_t *body, size_t len)
{
	struct reader r = reader_over(body, len);
	uint8_t offset;
	uint32_t rest;

	s->sport = read_be16(&r);
	s->dport = read_be16(&r);
	s->seq = read_be32(&r);
	s->ack = read_be32(&r);
	offset = read_u8(&r);
	s->flags = read_u8(&r);
	s->window = (uint32_t)read_be16(&r) * MUX_WINDOW_UNIT;
	rest = read_be32(&r);
	if (r.bad || offset >> 4 != MUX_TCP_SIZE / 4) {
		strict_count(m->strict, STRICT_TCP_HEADER, s->packet,
		    s->packet_len, "%zu bytes of TCP with an offset of %u",
		    len, offset >> 4);
		return false;
	}
	if ((offset & 15) != 0 || rest != 0)
		strict_count(m->strict, STRICT_RESERVED, s->packet,
		    s->packet_len,
		    "%u -> %u: reserved bits %x, checksum and urgent pointer "
		    "%08x are not zero", s->sport, s->dport, offset & 15, rest);
	s->len = reader_left(&r);
	s->data = r.at;
	return true;
}

/* A refusal leaves nothing behind: after it the host may send no more than a
 * RST of its own (its client may have given up meanwhile), or the next SYN. */
static void
refuse(struct mux *m, const struct segment *s, const char *reason)
{
	log_debug("phone %u: %u -> %u refused: %s", m->id->index, s->sport,
	    s->dport, reason);
	m->count.refused++;
	reply_reset(m, s, reason);
}

/* What the port's last connection left behind.  False: it is in use. */
static bool
clear_source_port(struct mux *m, const struct segment *s)
{
	struct conn *old = table_find(m, s->sport);

	/* A RST of ours that has not left cannot have been seen. */
	if (old == NULL || (old->state == CONN_RESET && !old->owes_rst)) {
		if (old != NULL)
			conn_close(old);
		return true;
	}
	strict_count(m->strict, STRICT_SYN_LIVE, s->packet, s->packet_len,
	    "%u -> %u: the source port is in use, to port %u", s->sport,
	    s->dport, old->dport);
	conn_close(old);
	return false;
}

static bool
is_refused(const struct mux *m, uint16_t port)
{
	return (m->refused_ports[port / 8] >> port % 8 & 1) != 0;
}

static void
take_syn(struct mux *m, const struct segment *s)
{
	const struct port *port = port_find(s->dport);

	if (s->len > 0 || s->ack != 0)
		strict_count(m->strict, STRICT_SYN, s->packet, s->packet_len,
		    "%u -> %u: a SYN with %zu bytes of data and "
		    "acknowledgement %u", s->sport, s->dport, s->len, s->ack);
	if (m->set.mute)
		return;
	if (!clear_source_port(m, s))
		refuse(m, s, "the source port was in use");
	else if (port == NULL || is_refused(m, s->dport))
		refuse(m, s,
		    "handleConnectResult: connection refused: failure 61");
	else if (m->live >= MUX_LIVE_MAX)
		refuse(m, s, "too many connections");
	else if (conn_open(m, port, s) == NULL)
		refuse(m, s, "out of memory");
}

/* The source port alone says which connection; the other one must fit. */
static struct conn *
find(struct mux *m, const struct segment *s)
{
	struct conn *c = table_find(m, s->sport);

	return c != NULL && c->dport == s->dport ? c : NULL;
}

/* Legal at any time: the connection may just have ended on this side. */
static void
take_reset(struct mux *m, const struct segment *s)
{
	struct conn *c = find(m, s);

	m->count.rst_received++;
	if (c != NULL)
		conn_close(c);
}

/* The answer to what is for nobody acknowledges it, so that the host can tell
 * which packet was meant. */
static void
take_segment(struct mux *m, const struct segment *s)
{
	struct conn *c = find(m, s);

	if (c == NULL) {
		strict_count(m->strict, STRICT_UNKNOWN, s->packet,
		    s->packet_len, "%u -> %u: no such connection (%zu bytes)",
		    s->sport, s->dport, s->len);
		reply_reset(m, s, "no such connection");
		return;
	}
	if (s->len == 0)
		m->count.acks_in++;
	conn_input(c, s);
}

/*
 * Flags that are not allowed are counted, and then the packet is taken for what
 * it most likely means: RST ends, ACK carries data, and a SYN that also has
 * ACK (which only a phone sends) is not for us.
 */
void
tcp_input(struct mux *m, const uint8_t *packet, size_t packet_len,
    const uint8_t *body, size_t len)
{
	struct segment s = { .packet = packet, .packet_len = packet_len };

	if (!parse(m, &s, body, len))
		return;
	if (s.flags != TCP_SYN && s.flags != TCP_ACK && s.flags != TCP_RST &&
	    s.flags != (TCP_RST | TCP_ACK))
		strict_count(m->strict, STRICT_FLAGS, packet, packet_len,
		    "%u -> %u: flags %02x", s.sport, s.dport, s.flags);
	if ((s.flags & TCP_RST) != 0)
		take_reset(m, &s);
	else if ((s.flags & TCP_SYN) != 0) {
		if ((s.flags & TCP_ACK) == 0)
			take_syn(m, &s);
	} else if ((s.flags & TCP_ACK) != 0)
		take_segment(m, &s);
}
