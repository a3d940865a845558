/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A stream talks to a phone for a long time, in amounts and with delays of
 * chance.  The phone is a model that counts in 64 bits and from zero, so that
 * what the stream does in 32 bits, from anywhere, can be checked against it:
 * neither side ever sends past a window, and everything arrives.
 */

#include <stdlib.h>

#include "mux/stream.h"
#include "unit.h"

#define TALK_BYTES (24 << 20) /* each way; past 2^32 from where it starts */
#define PIPE_MAX 64

static uint32_t state;

static uint32_t
chance(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

/* A segment under way, and what its numbers mean. */
struct segment {
	struct tcp_header h;
	uint32_t payload;
	uint64_t edge; /* phone to host: bytes the host may have sent then */
};

/* First in, first out, as a bus is. */
struct pipe {
	struct segment at[PIPE_MAX];
	unsigned first, count;
};

static bool
pipe_full(const struct pipe *p)
{
	return p->count == PIPE_MAX;
}

static void
pipe_put(struct pipe *p, struct segment s)
{
	HOLDS(!pipe_full(p), "pipe full");
	p->at[(p->first + p->count++) % PIPE_MAX] = s;
}

static struct segment
pipe_get(struct pipe *p)
{
	const struct segment s = p->at[p->first];

	p->first = (p->first + 1) % PIPE_MAX;
	p->count--;
	return s;
}

/* ---- The phone: bytes counted from zero ---- */

struct model {
	uint32_t isn, host_isn;
	uint64_t sent, acked; /* of its own bytes; acked: as it has heard */
	uint64_t window_end;  /* what it may send up to, as it has heard */
	uint64_t received, read; /* of the host's */
	uint64_t edge;	      /* the largest it ever promised */
	uint32_t room;	      /* what it can hold */
};

static struct pipe to_phone, to_host;
static struct model phone;
static struct stream host;
static uint64_t host_edge; /* what the newest segment at the host allows */
static uint64_t host_received, host_consumed, host_sent;

static void
phone_sends(uint8_t flags, uint32_t payload)
{
	const uint32_t free_room =
	    phone.room - (uint32_t)(phone.received - phone.read);
	const uint32_t window = free_room >> TCP_WINDOW_SHIFT
	    << TCP_WINDOW_SHIFT;
	const uint32_t syn = flags & TCP_SYN ? 0 : 1;

	pipe_put(&to_host, (struct segment){
		.h = {
			.sport = 7, .dport = 1025,
			.seq = phone.isn + syn + (uint32_t)phone.sent,
			.ack = phone.host_isn + 1 + (uint32_t)phone.received,
			.flags = flags,
			.window = window,
		},
		.payload = payload,
		.edge = phone.received + window,
	});
	phone.sent += payload;
	if (phone.received + window > phone.edge)
		phone.edge = phone.received + window;
}

static void
phone_takes(const struct segment *s)
{
	const uint64_t acked = s->h.ack - (phone.isn + 1) -
	    (uint32_t)phone.acked + phone.acked;

	HOLDS(s->h.seq == phone.host_isn + 1 + (uint32_t)phone.received,
	    "the host skipped or repeated");
	HOLDS(phone.received + s->payload <= phone.edge,
	    "the host sent past every window it was given");
	HOLDS(acked >= phone.acked && acked <= phone.sent,
	    "the host acknowledged what it cannot have");
	HOLDS(s->h.flags == TCP_ACK, "flags 0x%x", s->h.flags);
	phone.received += s->payload;
	phone.acked = acked;
	phone.window_end = acked + s->h.window;
}

/* Reads some, and sends what it may. */
static void
phone_works(void)
{
	const uint32_t held = (uint32_t)(phone.received - phone.read);
	uint64_t may = phone.window_end - phone.sent;

	phone.read += held > 0 ? chance(held + 1) : 0;
	if (phone.sent + may > TALK_BYTES)
		may = TALK_BYTES - phone.sent;
	if (may > 65000)
		may = 65000;
	if (!pipe_full(&to_host))
		phone_sends(TCP_ACK, may > 0 ? chance((uint32_t)may + 1) : 0);
}

/* ---- The host ---- */

static void
host_takes(const struct segment *s)
{
	const enum stream_event e = stream_input(&host, &s->h, s->payload);

	HOLDS(e == (s->payload > 0 ? STREAM_DATA : STREAM_NOTHING),
	    "event %d: %s", e, e == STREAM_BROKEN ? host.fault : "");
	host_received += s->payload;
	host_edge = s->edge;
	HOLDS(host_received - host_consumed <= STREAM_RECV_WINDOW,
	    "the host holds more than its window");
}

static void
host_sends(struct tcp_header h, uint32_t payload)
{
	host_sent += payload;
	pipe_put(&to_phone, (struct segment){ .h = h, .payload = payload });
}

static void
host_works(void)
{
	const uint32_t held = (uint32_t)(host_received - host_consumed);
	const uint32_t room = stream_send_room(&host);
	uint32_t n = room < 49116 ? room : 49116;

	HOLDS(room == (host_edge > host_sent ? host_edge - host_sent : 0),
	    "room %u", room);
	if (held > 0) {
		const uint32_t taken = chance(held + 1);

		stream_consumed(&host, taken);
		host_consumed += taken;
	}
	if (host_sent + n > TALK_BYTES)
		n = (uint32_t)(TALK_BYTES - host_sent);
	n = n > 0 ? chance(n + 1) : 0;
	if (pipe_full(&to_phone))
		return;
	if (n > 0)
		host_sends(stream_data(&host, n), n);
	else if (stream_unacked(&host) > 0)
		host_sends(stream_ack(&host), 0);
	HOLDS(n > 0 || pipe_full(&to_phone) || stream_unacked(&host) == 0,
	    "unacknowledged");
}

/* ---- Together ---- */

static void
shake_hands(uint32_t seed)
{
	struct segment s;
	struct tcp_header syn;

	state = seed * 2654435761u + 1;
	phone = (struct model){ .isn = 0u - chance(TALK_BYTES) - 1,
		.host_isn = 0u - chance(TALK_BYTES) - 1,
		.room = 256 + chance(1 << (10 + chance(12))) };
	to_phone.count = to_host.count = 0;
	host_received = host_consumed = host_sent = 0;
	stream_init(&host, 1025, 7);
	host.send_next = phone.host_isn;
	syn = stream_syn(&host);
	HOLDS(syn.seq == phone.host_isn && syn.flags == TCP_SYN, "SYN");
	phone.window_end = syn.window;
	phone_sends(TCP_SYN | TCP_ACK, 0);
	s = pipe_get(&to_host);
	HOLDS(stream_input(&host, &s.h, 0) == STREAM_CONNECTED, "connect");
	host_edge = s.edge;
	host_sends(stream_ack(&host), 0);
}

START_TEST(everything_arrives_and_no_window_is_passed)
{
	uint64_t rounds = 0;

	shake_hands((uint32_t)_i);
	while (phone.received < TALK_BYTES || host_received < TALK_BYTES) {
		HOLDS(rounds++ < 50u * 1000 * 1000, "they hang");
		switch (chance(4)) {
		case 0:
			if (to_phone.count > 0) {
				const struct segment s = pipe_get(&to_phone);

				phone_takes(&s);
			}
			break;
		case 1:
			if (to_host.count > 0) {
				const struct segment s = pipe_get(&to_host);

				host_takes(&s);
			}
			break;
		case 2:
			phone_works();
			break;
		default:
			host_works();
			break;
		}
	}
	ck_assert_uint_eq(phone.received, TALK_BYTES);
	ck_assert_uint_eq(host_received, TALK_BYTES);
	/* Both have gone round. */
	ck_assert_uint_lt(host.send_next, phone.host_isn);
	ck_assert_uint_lt(host.recv_next, phone.isn);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mux/stream: a long talk");
	TCase *tc = tcase_create("talk");

	tcase_add_loop_test(tc, everything_arrives_and_no_window_is_passed, 0,
	    24);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
