/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whose frame is next, and how much may be under way. */

#include <check.h>
#include <stdlib.h>

#include "daemon/outbox.h"
#include "unit.h"

#define FLOWS 8

static struct outbox o;
static struct flow flows[FLOWS];
static uint64_t sent[FLOWS];
static uint32_t number;

static void
set_up(void)
{
	outbox_init(&o);
	memset(flows, 0, sizeof flows);
	memset(sent, 0, sizeof sent);
	number = 0;
}

/* What is left over goes. */
static void
tear_down(void)
{
	while (!outbox_is_empty(&o))
		packet_free(outbox_next(&o));
}

/* A frame knows whose it is by its kind, and which one by its capacity. */
static struct packet *
frame_of(int flow, uint32_t len)
{
	struct packet *p = packet_new(0);

	ck_assert_ptr_nonnull(p);
	p->kind = (uint16_t)(flow + 1);
	p->payload_len = len;
	p->capacity = number++;
	return p;
}

static void
add(int flow, uint32_t len)
{
	outbox_add(&o, flow < 0 ? NULL : &flows[flow], frame_of(flow, len));
}

/* Of no connection. */
static void
add_barrier(void)
{
	struct packet *p = frame_of(-1, 1);

	p->barrier = true;
	outbox_add(&o, NULL, p);
}

/* The next frame's flow; its length goes to that flow's account. */
static int
next(void)
{
	struct packet *p = outbox_next(&o);
	const int flow = p->kind - 1;

	if (flow >= 0)
		sent[flow] += p->payload_len;
	packet_free(p);
	return flow;
}

START_TEST(an_empty_one_has_nothing)
{
	ck_assert(outbox_is_empty(&o));
	ck_assert_ptr_null(outbox_next(&o));
	add(3, 1);
	ck_assert(!outbox_is_empty(&o));
	ck_assert_uint_eq(outbox_next_weight(&o), bus_weight(1));
	ck_assert_int_eq(next(), 3);
	ck_assert(outbox_is_empty(&o));
}
END_TEST

START_TEST(a_flow_keeps_its_order)
{
	uint32_t last[FLOWS] = { 0 };

	for (int i = 0; i < 4000; i++)
		add(rand() % FLOWS, (uint32_t)rand() % 50000);
	for (int i = 0; i < 4000; i++) {
		struct packet *p = outbox_next(&o);
		uint32_t *l = &last[p->kind - 1];

		HOLDS(*l == 0 || p->capacity > *l, "%u after %u", p->capacity,
		    *l);
		*l = p->capacity;
		packet_free(p);
	}
	ck_assert(outbox_is_empty(&o));
}
END_TEST

/* What has waited for nobody is next, however much others have waiting. */
START_TEST(a_flow_that_says_little_is_next)
{
	for (int i = 0; i < 100; i++)
		for (int f = 0; f < 4; f++)
			add(f, 16348);
	next();
	for (int i = 0; i < 30; i++) {
		for (int n = i % 7 + 5; n > 0; n--)
			ck_assert_int_ne(next(), 7);
		add(7, 64);
		ck_assert_int_eq(next(), 7);
	}
}
END_TEST

/* Also for one whose frames come one at a time, each when the last has gone. */
START_TEST(shares_are_equal_by_bytes)
{
	static const uint32_t lengths[] = { 100, 1000, 16348, 49116 };

	for (int round = 0; round < 20000; round++) {
		for (int f = 0; f < 4; f++)
			while (flows[f].first == NULL)
				add(f, lengths[f]);
		next();
	}
	for (int f = 1; f < 4; f++) {
		/* A frame costs something, too. */
		const double first = (double)sent[0] / 100 *
		    bus_weight(100);
		const double other = (double)sent[f] / lengths[f] *
		    bus_weight(lengths[f]);

		HOLDS(other > 0.99 * first && other < 1.01 * first,
		    "flow %d: %f, flow 0: %f", f, other, first);
	}
}
END_TEST

/* Behind all that waits when it comes, before much that comes later. */
START_TEST(what_belongs_to_no_connection_overtakes_nothing)
{
	for (int round = 0; round < 50; round++) {
		int before = rand() % 40;

		for (int i = 0; i < before; i++)
			add(rand() % 4, (uint32_t)rand() % 49116);
		while (before > 0 && rand() % 3 != 0) {
			next();
			before--;
		}
		add(-1, 0);
		for (int i = 0; i < 400; i++)
			add(4 + rand() % 4, 16348);
		for (int n = 0; before > 0; n++) {
			const int flow = next();

			HOLDS(flow >= 0, "%d of others still wait", before);
			before -= flow < 4;
		}
		for (int n = 0; next() != -1; n++)
			HOLDS(n < 200, "it waits for ever");
		tear_down();
	}
}
END_TEST

/* Whatever waits before it, and however much of that has left. */
START_TEST(nothing_overtakes_a_barrier)
{
	for (int round = 0; round < 200; round++) {
		int before = rand() % 40, after = rand() % 40;

		for (int i = 0; i < before; i++)
			add(rand() % 5 - 1, (uint32_t)rand() % 49116);
		add_barrier();
		for (int n = before + 1; n > 0; n--) {
			if (rand() % 2 != 0)
				for (; after > 0 && rand() % 8 != 0; after--)
					add(4 + rand() % 4, (uint32_t)rand() % 200);
			HOLDS(next() < 4, "%d before it still wait", n);
		}
		tear_down();
	}
}
END_TEST

/* ---- The limit ---- */

static const uint32_t carried_alone = BUS_LIMIT_FIRST;

/* At one moment, so that the bus shows no speed. */
static uint32_t
adjust(uint32_t in_flight)
{
	return bus_limit_adjust(&o.bus, in_flight, (struct moment){ 0 });
}

/* A bus that has moved all before we were back, `times` times. */
static uint32_t
starve(int times)
{
	uint32_t limit = 0;

	bus_limit_hold(&o.bus, true);
	for (int i = 0; i < times; i++)
		limit = adjust(0);
	return limit;
}

START_TEST(it_grows_while_the_bus_runs_empty)
{
	ck_assert_uint_eq(adjust(0), carried_alone);
	/* Nobody waited: that there is nothing to send says nothing. */
	bus_limit_hold(&o.bus, false);
	ck_assert_uint_eq(adjust(0), carried_alone);
	/* Once is none too often. */
	ck_assert_uint_eq(starve(1), carried_alone);
	ck_assert_uint_eq(adjust(1), carried_alone);
	ck_assert_uint_gt(starve(2), carried_alone);
	ck_assert_uint_eq(starve(100), BUS_LIMIT_MAX);
	/* No transport has room for more frames, however short they are. */
	ck_assert_uint_lt(BUS_LIMIT_MAX / bus_weight(0), 200);
}
END_TEST

START_TEST(it_shrinks_to_what_the_bus_needs)
{
	const uint32_t needed = 300000; /* moved before we are back */
	uint32_t limit = starve(100);

	for (int i = 0; i < 10000; i++) {
		limit = adjust(limit > needed ? limit - needed : 0);
		bus_limit_sent(&o.bus, 0);
	}
	ck_assert_uint_ge(limit, needed);
	ck_assert_uint_lt(limit, 2 * needed);
}
END_TEST

START_TEST(it_does_not_shrink_below_what_the_bus_carries)
{
	uint32_t limit = starve(100);

	for (int i = 0; i < 10000; i++) {
		limit = adjust(limit - 1);
		bus_limit_sent(&o.bus, 0);
	}
	ck_assert_uint_eq(limit, carried_alone);
}
END_TEST

/* ---- The bus's speed ---- */

#define STEP_US 50

static struct moment now;
static uint64_t in_flight; /* bytes with the transport */

/* Frames of a flow that always has some, as many as may be. */
static void
send_bulk(void)
{
	const uint32_t limit =
	    bus_limit_adjust(&o.bus, (uint32_t)in_flight, now);

	while (in_flight < limit) {
		uint32_t weight;

		if (outbox_is_empty(&o))
			add(0, bus_limit_payload(&o.bus));
		weight = outbox_next_weight(&o);
		next();
		bus_limit_sent(&o.bus, weight);
		in_flight += weight;
	}
	bus_limit_hold(&o.bus, true);
}

/* A bus of so many bytes a second, and for how long. */
static uint32_t
carry(uint64_t rate, int ms)
{
	const uint64_t part = rate * STEP_US / 1000000;

	for (int i = 0; i < ms * 1000 / STEP_US; i++) {
		now.ns += STEP_US * 1000;
		in_flight -= part < in_flight ? part : in_flight;
		send_bulk();
	}
	return o.bus.bytes;
}

static void
set_up_bus(void)
{
	set_up();
	now.ns = 0;
	in_flight = 0;
}

static bool
is_near(uint32_t limit, uint64_t rate, uint32_t us)
{
	const double carried = (double)rate * us / 1e6;

	return limit > 0.9 * carried && limit < 1.1 * carried;
}

START_TEST(it_is_what_the_bus_carries_in_a_certain_time)
{
	static const uint64_t rates[] = { 40000000, 200000000, 20000000,
		350000000, 40000000 };

	for (size_t i = 0; i < UNIT_COUNT(rates); i++) {
		const uint32_t limit = carry(rates[i], 1000);

		HOLDS(is_near(limit, rates[i], BUS_ALONE_US),
		    "%u at %llu bytes a second", limit,
		    (unsigned long long)rates[i]);
	}
	/* At any speed: two frames, and all that one can have. */
	ck_assert_uint_eq(carry(1000000, 2000), BUS_LIMIT_MIN);
	ck_assert_uint_ge(bus_limit_payload(&o.bus), BUS_PAYLOAD_MIN);
	ck_assert_uint_eq(carry(4000000000, 1000), BUS_LIMIT_MAX);
	ck_assert_uint_eq(bus_limit_payload(&o.bus), BUS_PAYLOAD_MAX);
}
END_TEST

/* One that carries whatever it is given, and tells of it later. */
START_TEST(it_fills_a_bus_that_is_far_away)
{
	enum { AWAY = 20000 / STEP_US };
	static uint32_t under_way[AWAY];

	memset(under_way, 0, sizeof under_way);
	for (int i = 0; i < 100 * AWAY; i++) {
		const uint64_t before = in_flight -= under_way[i % AWAY];

		now.ns += STEP_US * 1000;
		send_bulk();
		under_way[i % AWAY] = (uint32_t)(in_flight - before);
	}
	ck_assert_uint_eq(o.bus.bytes, BUS_LIMIT_MAX);
}
END_TEST

/* It has only been asked for little. */
START_TEST(a_bus_that_is_mostly_idle_is_not_slow)
{
	const uint32_t limit = carry(100000000, 1000);

	bus_limit_hold(&o.bus, false);
	for (int i = 0; i < 1000; i++) {
		now.ns += 1000000;
		bus_limit_adjust(&o.bus, 0, now);
		add(0, 64);
		next();
		bus_limit_sent(&o.bus, bus_weight(64));
	}
	ck_assert_uint_eq(bus_limit_adjust(&o.bus, 0, now), limit);
}
END_TEST

START_TEST(pauses_between_bursts_say_nothing)
{
	const uint32_t limit = carry(40000000, 1000);

	for (int i = 0; i < 20; i++) {
		bus_limit_hold(&o.bus, false);
		in_flight = 0;
		now.ns += 1000000000;
		carry(40000000, 12);
	}
	ck_assert_uint_eq(o.bus.bytes, limit);
}
END_TEST

/* Who looks when a frame has left sees a slow bus seldom. */
START_TEST(a_slow_bus_is_seen_though_it_is_seldom_looked_at)
{
	const uint64_t rate = 1000000;

	carry(40000000, 1000);
	for (int i = 0; i < 2000; i++) {
		const uint32_t frame =
		    bus_weight(bus_limit_payload(&o.bus));

		now.ns += (int64_t)(frame * UINT64_C(1000000000) / rate);
		in_flight -= frame < in_flight ? frame : in_flight;
		send_bulk();
	}
	ck_assert_uint_eq(o.bus.bytes, BUS_LIMIT_MIN);
}
END_TEST

START_TEST(it_is_low_while_a_flow_that_says_little_is_there)
{
	const uint64_t rate = 100000000;
	uint32_t limit = carry(rate, 1000);

	add(1, 64);
	limit = carry(rate, BUS_SHARED_MS / 2);
	HOLDS(is_near(limit, rate, BUS_SHARED_US), "%u", limit);
	add(1, 64);
	limit = carry(rate, BUS_SHARED_MS - 1);
	HOLDS(is_near(limit, rate, BUS_SHARED_US), "%u", limit);
	limit = carry(rate, 2);
	HOLDS(is_near(limit, rate, BUS_ALONE_US), "%u", limit);
}
END_TEST

/* The phone has much to say then. */
START_TEST(frames_are_shorter_while_others_acknowledge)
{
	carry(400000000, 1000);
	ck_assert_uint_eq(bus_limit_payload(&o.bus), BUS_PAYLOAD_MAX);
	add(1, 0);
	carry(400000000, BUS_SHARED_MS - 1);
	ck_assert_uint_eq(bus_limit_payload(&o.bus), BUS_PAYLOAD_BOTH);
	carry(400000000, 2);
	ck_assert_uint_eq(bus_limit_payload(&o.bus), BUS_PAYLOAD_MAX);
}
END_TEST

/* Nobody waits for an acknowledgement, nor for a part of much. */
START_TEST(it_is_not_low_for_others)
{
	const uint64_t rate = 100000000;
	uint32_t limit = carry(rate, 1000);

	for (int i = 0; i < 50; i++) {
		add(1, 0);
		add(2, BUS_PAYLOAD_MIN + 1);
		limit = carry(rate, 2);
		HOLDS(is_near(limit, rate, BUS_ALONE_US), "%u", limit);
	}
}
END_TEST

/* ---- How many frames a flow should have ---- */

START_TEST(the_more_flows_the_fewer_frames_of_each)
{
	static const uint32_t each[FLOWS + 1] = { 4, 4, 4, 2, 2, 1, 1, 1, 1 };

	for (int n = 0; n <= FLOWS; n++) {
		ck_assert_uint_eq(outbox_flow_frames(&o), each[n]);
		if (n < FLOWS)
			add(n, 100);
	}
	/* A flow counts as long as it has any. */
	add(0, 100);
	for (int left = FLOWS; left > 0;) {
		left -= flows[next()].first == NULL;
		ck_assert_uint_eq(outbox_flow_frames(&o), each[left]);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon: what a writer has to send");
	TCase *tc = tcase_create("turns");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_empty_one_has_nothing);
	tcase_add_test(tc, a_flow_keeps_its_order);
	tcase_add_test(tc, a_flow_that_says_little_is_next);
	tcase_add_test(tc, shares_are_equal_by_bytes);
	tcase_add_test(tc, what_belongs_to_no_connection_overtakes_nothing);
	tcase_add_test(tc, nothing_overtakes_a_barrier);
	tcase_add_test(tc, the_more_flows_the_fewer_frames_of_each);
	suite_add_tcase(s, tc);
	tc = tcase_create("limit");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, it_grows_while_the_bus_runs_empty);
	tcase_add_test(tc, it_shrinks_to_what_the_bus_needs);
	tcase_add_test(tc, it_does_not_shrink_below_what_the_bus_carries);
	suite_add_tcase(s, tc);
	tc = tcase_create("speed");
	tcase_add_checked_fixture(tc, set_up_bus, tear_down);
	tcase_add_test(tc, it_is_what_the_bus_carries_in_a_certain_time);
	tcase_add_test(tc, it_fills_a_bus_that_is_far_away);
	tcase_add_test(tc, a_bus_that_is_mostly_idle_is_not_slow);
	tcase_add_test(tc, pauses_between_bursts_say_nothing);
	tcase_add_test(tc,
	    a_slow_bus_is_seen_though_it_is_seldom_looked_at);
	tcase_add_test(tc, it_is_low_while_a_flow_that_says_little_is_there);
	tcase_add_test(tc, it_is_not_low_for_others);
	tcase_add_test(tc, frames_are_shorter_while_others_acknowledge);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
