/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An honest host is never accused, and gets every byte right.
 *
 * The host does what is legal, at random, over a bus with things under way in
 * both directions; the tester changes windows, mutes and refuses meanwhile.
 * Each round has its own seed, which a failure tells.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "phone/pattern.h"
#include "phone/port.h"
#include "phone_host.h"
#include "unit.h"

#define ROUNDS 60
#define STEPS 4000
#define CONNS 12
#define UNDER_WAY 64 /* packets in one direction */

enum state { CLOSED, SYN_SENT, OPEN };

struct link {
	enum state state;
	uint16_t sport, dport;
	uint32_t first_in, first_out; /* sequence number of byte 0 */
	uint32_t sent, acked;         /* bytes of ours */
	uint32_t edge;                /* how many we may have sent */
	uint32_t got, told;           /* bytes of the phone's; acknowledged */
	uint32_t window;              /* that we told last, bytes */
};

struct parcel {
	size_t len;
	uint8_t bytes[66000];
};

/* A direction of the bus. */
struct lane {
	struct parcel *parcel[UNDER_WAY];
	unsigned first, count;
};

static struct host h;
static struct got g;
static struct link conns[CONNS];
static uint16_t next_port;
static struct lane to_phone, to_host;
static uint32_t dice;
static uint64_t bytes_checked, resets_seen, opened;

static uint32_t
roll(uint32_t most)
{
	dice = dice * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)dice * most >> 32);
}

static struct parcel *
lane_add(struct lane *l)
{
	HOLDS(l->count < UNDER_WAY, "too much under way");
	return l->parcel[(l->first + l->count++) % UNDER_WAY];
}

static struct parcel *
lane_take(struct lane *l)
{
	struct parcel *p = l->parcel[l->first];

	l->first = (l->first + 1) % UNDER_WAY;
	l->count--;
	return p;
}

static void
slow_bus(struct host *host, const uint8_t *packet, size_t len)
{
	struct parcel *p = lane_add(&to_phone);

	(void)host;
	p->len = len;
	memcpy(p->bytes, packet, len);
}

/* Byte `i` of what we send on any connection. */
static uint8_t
own_byte(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 11));
}

static void
send_segment(struct link *c, uint8_t flags, uint32_t len)
{
	static uint8_t data[50000];

	for (uint32_t i = 0; i < len; i++)
		data[i] = own_byte(c->sent + i);
	host_tcp(&h, c->sport, c->dport, c->first_out + c->sent,
	    flags == SYN ? 0 : c->first_in + c->got, flags,
	    (uint16_t)(c->window / 256), data, len);
	c->sent += len;
	c->told = c->got;
}

/* ---- What the host does ------------------------------------------------- */

/*
 * A source port can be used again when the phone has reset the connection: its
 * RST was its last packet.  After a RST of the host's own there may be packets
 * under way that would be taken for the next connection's.
 */
static void
open_one(struct link *c)
{
	static const uint16_t ports[] = { 1, 2, 7, 7, 7, 9, 13, 19, 62078, 4 };
	const uint16_t again = roll(2) == 0 ? c->sport : 0;

	memset(c, 0, sizeof *c);
	c->sport = again != 0 ? again : ++next_port;
	c->state = SYN_SENT;
	c->dport = ports[roll(UNIT_COUNT(ports))];
	c->first_out = roll(2) == 0 ? 0 : roll(UINT32_MAX);
	c->window = 256 * roll(roll(2) == 0 ? 20 : 600);
	host_tcp(&h, c->sport, c->dport, c->first_out, 0, SYN,
	    (uint16_t)(c->window / 256), NULL, 0);
	c->first_out++;
	opened++;
}

static void
close_one(struct link *c)
{
	send_segment(c, RST, 0);
	c->state = CLOSED;
	c->sport = 0;
}

/* Another window, which may be smaller, and an acknowledgement of it all. */
static void
tell_window(struct link *c)
{
	c->window = 256 * roll(600);
	send_segment(c, ACK, 0);
}

static void
send_data(struct link *c)
{
	const uint32_t room = c->edge > c->sent ? c->edge - c->sent : 0;
	uint32_t len = roll(4) == 0 ? 49116 : roll(3000);

	len = len < room ? len : room;
	if (len > 0 && c->dport != 62078) /* which would not understand it */
		send_segment(c, ACK, len);
}

static void
act(void)
{
	struct link *c = &conns[roll(CONNS)];

	if (c->state == CLOSED)
		open_one(c);
	else if (c->state == SYN_SENT) {
		if (roll(20) == 0) /* the client has given up */
			close_one(c);
	} else if (roll(60) == 0)
		close_one(c);
	else if (roll(8) == 0)
		tell_window(c);
	else
		send_data(c);
}

/* ---- What comes to the host --------------------------------------------- */

static void
check_data(const struct link *c)
{
	const size_t greeting = strlen(PORT_GREETING);
	const uint32_t at = c->got;

	bytes_checked += g.data_len;
	switch (c->dport) {
	case 13:
	case 19:
		HOLDS(memcmp(g.data, pattern_at(at), g.data_len) == 0,
		    "pattern at %u", at);
		break;
	case 7:
		HOLDS(at + g.data_len <= c->sent, "echo of nothing");
		for (size_t i = 0; i < g.data_len; i++)
			HOLDS(g.data[i] == own_byte((uint32_t)(at + i)),
			    "echo at %zu", at + i);
		break;
	case 1:
	case 2:
		for (size_t i = 0; i < g.data_len; i++)
			HOLDS(g.data[i] == (at + i < greeting
			    ? (uint8_t)PORT_GREETING[at + i]
			    : own_byte((uint32_t)(at + i - greeting))),
			    "greeting or echo at %zu", at + i);
		break;
	default:
		HOLDS(g.data_len == 0, "data from port %u", c->dport);
	}
}

static void
take_open(struct link *c)
{
	HOLDS(g.seq == c->first_in + c->got, "phone's seq %u", g.seq);
	HOLDS(g.ack - c->first_out >= c->acked &&
		g.ack - c->first_out <= c->sent, "phone's ack %u", g.ack);
	/* The largest window that we ever told has not been overrun. */
	HOLDS(c->got + g.data_len <= c->told + 600 * 256, "window overrun");
	c->acked = g.ack - c->first_out;
	c->edge = c->acked + g.window;
	check_data(c);
	c->got += (uint32_t)g.data_len;
	if (g.data_len > 0 && roll(3) > 0)
		send_segment(c, ACK, 0);
}

static void
take_packet(struct link *c)
{
	if (g.flags == RST) {
		resets_seen++;
		if (c->state == OPEN && c->dport == 13 && c->got > 0)
			HOLDS(c->got == PORT_BURST_LEN, "burst of %u", c->got);
		c->state = CLOSED;
	} else if (c->state == SYN_SENT) {
		HOLDS(g.flags == (SYN | ACK), "flags %02x", g.flags);
		HOLDS(g.ack == c->first_out, "ack %u of a SYN", g.ack);
		c->first_in = g.seq + 1;
		c->state = OPEN;
		c->edge = g.window;
		check_data(c);
		c->got += (uint32_t)g.data_len;
		send_segment(c, ACK, 0);
	} else {
		HOLDS(g.flags == ACK, "flags %02x", g.flags);
		take_open(c);
	}
}

/* What is for no connection of ours is answered with RST: late data, mostly. */
static void
answer_unknown(void)
{
	if (g.flags != RST)
		host_tcp(&h, g.sport, g.dport, g.ack, g.seq, RST, 0, NULL, 0);
}

static struct link *
find(uint16_t sport)
{
	for (int i = 0; i < CONNS; i++)
		if (conns[i].sport == sport)
			return &conns[i];
	return NULL;
}

static void
receive(void)
{
	const struct parcel *p = lane_take(&to_host);
	struct link *c;

	g.len = p->len;
	memcpy(g.raw, p->bytes, p->len);
	host_parse(&h, &g);
	HOLDS(g.protocol == 6, "protocol %u", g.protocol);
	c = find(g.sport);
	if (c == NULL || c->state == CLOSED || c->dport != g.dport)
		answer_unknown();
	else
		take_packet(c);
}

/* ---- The round ---------------------------------------------------------- */

static void
test_meddles(void)
{
	switch (roll(3)) {
	case 0:
		mux_set_window(&h.mux, 256 * roll(1000));
		break;
	case 1:
		mux_refuse(&h.mux, 7, roll(4) == 0);
		break;
	case 2:
		h.mux.set.first_seq = roll(2) == 0 ? 0 : roll(UINT32_MAX);
		break;
	}
}

static void
phone_hears(void)
{
	const struct parcel *p = lane_take(&to_phone);

	mux_input(&h.mux, p->bytes, p->len);
}

static void
phone_says(void)
{
	struct parcel *p = lane_add(&to_host);
	size_t part;

	/* In two parts, so that something can happen between them. */
	p->len = h.mux.out.left;
	part = roll((uint32_t)p->len);
	mux_take(&h.mux, p->bytes, part);
	if (roll(8) == 0 && to_phone.count > 0)
		phone_hears();
	mux_take(&h.mux, p->bytes + part, p->len - part);
}

static void
step(void)
{
	const uint32_t what = roll(100);

	if (what < 30 && to_phone.count < UNDER_WAY / 2)
		act();
	else if (what < 55 && to_phone.count > 0)
		phone_hears();
	else if (what < 80 && to_host.count < UNDER_WAY &&
	    mux_next(&h.mux))
		phone_says();
	else if (to_host.count > 0 && to_phone.count < UNDER_WAY)
		receive();
	else if (what == 99)
		test_meddles();
}

static void
lane_init(struct lane *l)
{
	memset(l, 0, sizeof *l);
	for (int i = 0; i < UNDER_WAY; i++) {
		l->parcel[i] = malloc(sizeof *l->parcel[i]);
		ck_assert_ptr_nonnull(l->parcel[i]);
	}
}

static void
lane_fini(struct lane *l)
{
	for (int i = 0; i < UNDER_WAY; i++)
		free(l->parcel[i]);
}

static void
set_up(void)
{
	lane_init(&to_phone);
	lane_init(&to_host);
}

static void
take_down(void)
{
	host_fini(&h);
	lane_fini(&to_phone);
	lane_fini(&to_host);
}

START_TEST(honest)
{
	const unsigned version = 1 + (unsigned)_i % 2;

	dice = (uint32_t)_i * 2654435761u;
	memset(conns, 0, sizeof conns);
	next_port = 0;
	bytes_checked = resets_seen = opened = 0;
	host_up(&h, version);
	h.bus = slow_bus;
	for (int i = 0; i < STEPS; i++) {
		step();
		HOLDS(h.strict.total == 0,
		    "an honest host was accused, seed %d, step %d", _i, i);
	}
	host_behaved(&h);
	/* The round was worth something. */
	ck_assert_uint_gt(opened, 20);
	ck_assert_uint_gt(resets_seen, 0);
	ck_assert_uint_gt(bytes_checked, 100000);
	ck_assert_uint_gt(h.mux.count.opened, 5);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/honest");
	TCase *t = tcase_create("honest host");

	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, honest, 1, ROUNDS + 1);
	suite_add_tcase(s, t);
	return unit_run(s);
}
