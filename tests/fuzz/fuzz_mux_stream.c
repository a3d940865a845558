/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include "base/cursor.h"
#include "mux/stream.h"

/*
 * One connection against a model of it that counts from zero in 64 bits: what
 * each segment of a phone is to be judged, and how much may be sent.  The input
 * is a row of steps, numbers relative to what would be right, so that good
 * segments are easy to find.
 */

struct model {
	int64_t sent, acked, edge;	/* ours */
	int64_t received, consumed, told; /* the phone's */
};

static struct stream s;
static struct model m;
static uint32_t host_isn, phone_isn;

/* ---- What the phone says ---- */

struct step {
	uint8_t flags;
	int64_t seq_off, ack_off; /* from the next byte of each side */
	uint32_t window, payload;
};

static struct step
read_step(struct reader *r, uint8_t op)
{
	struct step st = { .flags = read_u8(r) };
	const int far = op & 0x40 ? 65536 : 1;

	st.seq_off = (int16_t)read_be16(r) * far;
	st.ack_off = (int16_t)read_be16(r) * far;
	st.window = (uint32_t)read_be16(r) << TCP_WINDOW_SHIFT;
	st.payload = read_be16(r);
	if (op & 0x80)
		st.payload *= 32;
	return st;
}

static enum stream_event
expected_of_syn(const struct step *st)
{
	if (st->flags & TCP_RST)
		return STREAM_REFUSED;
	if (st->flags != (TCP_SYN | TCP_ACK) || st->ack_off != 0 ||
	    st->payload > STREAM_RECV_WINDOW)
		return STREAM_BROKEN;
	return STREAM_CONNECTED;
}

static enum stream_event
expected_of_open(const struct step *st)
{
	const int64_t ack = m.sent + st->ack_off;

	if (st->flags & TCP_RST)
		return STREAM_RESET;
	if ((st->flags | TCP_PSH | TCP_FIN) != (TCP_ACK | TCP_PSH | TCP_FIN) ||
	    st->seq_off != 0 || ack < m.acked || ack > m.sent ||
	    m.received + st->payload > m.told + STREAM_RECV_WINDOW)
		return STREAM_BROKEN;
	if (st->flags & TCP_FIN)
		return STREAM_FINISHED;
	return st->payload > 0 ? STREAM_DATA : STREAM_NOTHING;
}

static void
phone_says(const struct step *st)
{
	const bool syn = s.state == STREAM_SYN_SENT;
	const struct tcp_header h = {
		.seq = syn ? phone_isn + (uint32_t)st->seq_off
			   : phone_isn + 1 + (uint32_t)(m.received + st->seq_off),
		.ack = host_isn + 1 + (uint32_t)(m.sent + st->ack_off),
		.flags = st->flags,
		.window = st->window,
	};
	const enum stream_event expected = s.state == STREAM_CLOSED
	    ? STREAM_NOTHING
	    : syn ? expected_of_syn(st) : expected_of_open(st);
	const bool open = s.state == STREAM_OPEN;
	const enum stream_event e = stream_input(&s, &h, st->payload);

	MUST(e == expected);
	MUST((e == STREAM_BROKEN) == (s.state == STREAM_CLOSED &&
		 s.fault != NULL && e == STREAM_BROKEN));
	if (e == STREAM_CONNECTED) {
		phone_isn = h.seq;
		m.received = st->payload;
		m.edge = st->window;
	} else if (open && s.state == STREAM_OPEN) {
		m.received += st->payload;
		m.acked = m.sent + st->ack_off;
		m.edge = m.acked + st->window;
	}
}

/* ---- What we do ---- */

static void
assert_header(struct tcp_header h, uint8_t flags)
{
	MUST(h.sport == 1025 && h.dport == 7 && h.flags == flags);
	MUST(h.seq == host_isn + 1 + (uint32_t)m.sent);
	MUST(h.ack == phone_isn + 1 + (uint32_t)m.consumed);
	MUST(h.window == STREAM_RECV_WINDOW);
	m.told = m.consumed;
}

static void
we_do(uint8_t op, uint32_t amount)
{
	const uint32_t room = stream_send_room(&s);

	if (s.state != STREAM_OPEN) {
		MUST(room == 0);
		return;
	}
	MUST(room == (m.edge > m.sent ? m.edge - m.sent : 0));
	MUST(stream_in_flight(&s) == m.sent - m.acked);
	MUST(stream_unacked(&s) == m.consumed - m.told);
	switch (op % 4) {
	case 1:
		amount %= (uint32_t)(m.received - m.consumed) + 1;
		stream_consumed(&s, amount);
		m.consumed += amount;
		break;
	case 2:
		amount %= room + 1;
		assert_header(stream_data(&s, amount), TCP_ACK);
		m.sent += amount;
		break;
	case 3:
		assert_header(stream_ack(&s), TCP_ACK);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint32_t starts[] = { 0, 0xffffff00, 0x7fffff00,
		0xffffffff };
	struct reader r = reader_over(bytes, len);
	const uint8_t first = read_u8(&r);

	host_isn = starts[first & 3];
	phone_isn = starts[first >> 2 & 3];
	m = (struct model){ 0 };
	stream_init(&s, 1025, 7);
	s.send_next = host_isn;
	stream_syn(&s);
	while (reader_left(&r) > 0) {
		const uint8_t op = read_u8(&r);

		if (op % 4 == 0) {
			const struct step st = read_step(&r, op);

			if (!r.bad)
				phone_says(&st);
		} else {
			we_do(op, read_be32(&r));
		}
		if (r.bad)
			break;
	}
	if (s.state == STREAM_OPEN)
		assert_header(stream_rst(&s), TCP_RST);
	return 0;
}
