/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mux/stream.h"

#include <string.h>

/* a - b as a distance: negative when a lies before b. */
static int32_t
seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

void
stream_init(struct stream *s, uint16_t sport, uint16_t dport)
{
	memset(s, 0, sizeof *s);
	s->state = STREAM_CLOSED;
	s->sport = sport;
	s->dport = dport;
}

static struct tcp_header
header(struct stream *s, uint8_t flags)
{
	s->recv_acked = s->recv_consumed;
	return (struct tcp_header){
		.sport = s->sport,
		.dport = s->dport,
		.seq = s->send_next,
		.ack = s->recv_consumed,
		.flags = flags,
		.window = STREAM_RECV_WINDOW,
	};
}

struct tcp_header
stream_syn(struct stream *s)
{
	const struct tcp_header h = header(s, TCP_SYN);

	s->state = STREAM_SYN_SENT;
	s->send_next++; /* a SYN counts as one byte */
	return h;
}

struct tcp_header
stream_ack(struct stream *s)
{
	return header(s, TCP_ACK);
}

struct tcp_header
stream_data(struct stream *s, uint32_t len)
{
	const struct tcp_header h = header(s, TCP_ACK);

	s->send_next += len;
	return h;
}

struct tcp_header
stream_rst(struct stream *s)
{
	s->state = STREAM_CLOSED;
	return header(s, TCP_RST);
}

struct tcp_header
stream_rst_for_stray(const struct tcp_header *stray, uint32_t payload)
{
	const uint32_t syn = stray->flags & TCP_SYN ? 1 : 0;

	return (struct tcp_header){
		.sport = stray->dport,
		.dport = stray->sport,
		.seq = stray->ack,
		.ack = stray->seq + payload + syn,
		.flags = TCP_RST,
	};
}

static enum stream_event
broken(struct stream *s, const char *fault)
{
	s->state = STREAM_CLOSED;
	s->fault = fault;
	return STREAM_BROKEN;
}

static void
take_grant(struct stream *s, const struct tcp_header *h)
{
	s->send_acked = h->ack;
	s->send_edge = h->ack + h->window;
}

static enum stream_event
input_syn_sent(struct stream *s, const struct tcp_header *h, uint32_t payload)
{
	if (h->flags & TCP_RST) {
		s->state = STREAM_CLOSED;
		return STREAM_REFUSED;
	}
	if (h->flags != (TCP_SYN | TCP_ACK))
		return broken(s, "answered a SYN with neither SYN|ACK nor RST");
	if (h->ack != s->send_next)
		return broken(s, "acknowledged another SYN than ours");
	if (payload > STREAM_RECV_WINDOW)
		return broken(s, "sent past our window");
	s->state = STREAM_OPEN;
	s->recv_consumed = s->recv_acked = h->seq + 1;
	s->recv_next = s->recv_consumed + payload;
	take_grant(s, h);
	return STREAM_CONNECTED;
}

static enum stream_event
input_open(struct stream *s, const struct tcp_header *h, uint32_t payload)
{
	if (h->flags & TCP_RST) {
		s->state = STREAM_CLOSED;
		return STREAM_RESET;
	}
	/* PSH means nothing here.  FIN is no part of the protocol, but what a
	 * phone would mean by it is plain. */
	if ((h->flags & ~(TCP_PSH | TCP_FIN)) != TCP_ACK)
		return broken(s, "sent flags that are not allowed");
	if (h->seq != s->recv_next)
		return broken(s, "skipped or repeated data");
	if (seq_diff(h->ack, s->send_acked) < 0 ||
	    seq_diff(h->ack, s->send_next) > 0)
		return broken(s, "acknowledged what was never sent");
	if (payload > s->recv_acked + STREAM_RECV_WINDOW - s->recv_next)
		return broken(s, "sent past our window");
	s->recv_next += payload;
	take_grant(s, h);
	if (h->flags & TCP_FIN) {
		s->state = STREAM_CLOSED;
		return STREAM_FINISHED;
	}
	return payload > 0 ? STREAM_DATA : STREAM_NOTHING;
}

enum stream_event
stream_input(struct stream *s, const struct tcp_header *h, uint32_t payload)
{
	switch (s->state) {
	case STREAM_SYN_SENT:
		return input_syn_sent(s, h, payload);
	case STREAM_OPEN:
		return input_open(s, h, payload);
	case STREAM_CLOSED:
		break;
	}
	return STREAM_NOTHING;
}

uint32_t
stream_send_room(const struct stream *s)
{
	const int32_t room = seq_diff(s->send_edge, s->send_next);

	return s->state == STREAM_OPEN && room > 0 ? (uint32_t)room : 0;
}

uint32_t
stream_send_part(const struct stream *s, uint32_t most)
{
	const uint32_t room = stream_send_room(s);
	const uint32_t granted = s->send_edge - s->send_acked;
	uint32_t parts, part;

	if (room == 0)
		return 0;
	parts = granted / most + (granted % most > 0);
	part = granted / parts + (granted % parts > 0);
	return room < part ? room : part;
}

void
stream_consumed(struct stream *s, uint32_t len)
{
	s->recv_consumed += len;
}

uint32_t
stream_unacked(const struct stream *s)
{
	return s->recv_consumed - s->recv_acked;
}

uint32_t
stream_in_flight(const struct stream *s)
{
	return s->send_next - s->send_acked;
}
