/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A device that is ready: what its writer writes, and to whom its reader hands
 * what comes. */

#include <stdlib.h>
#include <string.h>

#include "daemon/packet.h"
#include "daemon/protocol_mux.h"
#include "device_rig.h"
#include "unit.h"

#define FRAMES 100

static struct rig r;

static void
begin(void)
{
	rig_begin(&r, 2);
}

/* As begin(), in the version that the loop says. */
static void
begin_version(int version)
{
	rig_begin(&r, version);
}

/* A segment with `len` bytes, the i-th of which is i % 251. */
static void
post(uint16_t sport, uint32_t len)
{
	struct packet *p = packet_new(len);

	for (uint32_t i = 0; i < len; i++)
		packet_payload(p)[i] = (uint8_t)(i % 251);
	p->payload_len = len;
	mux_packet_set_tcp(p, &(struct tcp_header){ .sport = sport,
		.dport = 62078, .seq = len, .flags = TCP_ACK });
	packet_post(p, r.d);
}

static void
assert_heard(uint16_t sport, uint32_t len)
{
	const struct phone_words w = rig_phone_hears(&r);

	HOLDS(w.sport == sport && w.payload_len == len && w.seq == len,
	    "port %u, %u bytes", w.sport, w.payload_len);
	for (uint32_t i = 0; i < len; i++)
		HOLDS(w.payload[i] == i % 251, "byte %u", i);
}

/* ---- The writer ---- */

/* Around every multiple of the packet size; rig_phone_hears() asserts that an
 * empty packet follows exactly those that fill their last one. */
START_TEST(an_empty_packet_ends_what_fills_its_last)
{
	uint64_t zlps = 0;

	begin_version(_i);
	for (uint32_t total = 512; total <= 49152; total += total < 2048 ? 512 : 4608)
		for (int d = -1; d <= 1; d++) {
			const uint32_t len = total + (uint32_t)d -
			    (_i == 1 ? 28 : 36);

			if (len > MUX_PAYLOAD_MAX)
				continue;
			post(5, len);
			assert_heard(5, len);
			zlps += d == 0;
		}
	rig_stop(&r);
	ck_assert(counter_read(&r.d->stats.tx_zlps) == zlps);
	rig_fini(&r);
}
END_TEST

START_TEST(the_packet_size_is_the_endpoints)
{
	struct fake_write *w;

	rig_init(&r);
	r.fake.max_packet = 1024;
	rig_start(&r);
	rig_speak(&r, 2);
	post(5, 512 - 36);
	w = fake_await_write(&r.fake);
	ck_assert_uint_eq(w->len, 512);
	ck_assert(!w->zlp);
	free(w);
	post(5, 1024 - 36);
	w = fake_await_write(&r.fake);
	ck_assert_uint_eq(w->len, 1024);
	ck_assert(w->zlp);
	free(w);
	rig_end(&r);
}
END_TEST

START_TEST(frames_leave_in_the_order_of_their_posts)
{
	for (uint32_t i = 0; i < 1000; i++)
		post((uint16_t)i, i % 7);
	for (uint32_t i = 0; i < 1000; i++) {
		const struct phone_words w = rig_phone_hears(&r);

		HOLDS(w.sport == i, "frame %u: port %u", i, w.sport);
		HOLDS(w.tx_seq == i + 1, "frame %u: number %u", i, w.tx_seq);
	}
	rig_stop(&r);
	/* VERSION and SETUP are frames, too. */
	ck_assert(counter_read(&r.d->stats.tx_packets) == 1002);
	rig_fini(&r);
}
END_TEST

/* Until the writer has asked for a credit and got none. */
static void
await_writer_asleep(void)
{
	struct moment until = moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (atomic_load(&r.d->write_credit.state) != CREDIT_WANTED)
		HOLDS(moment_before(clock_now(), until), "the writer runs on");
}

/* What a high-speed bus carries in a certain time; more of them after each time
 * that it ran empty again. */
START_TEST(only_so_many_frames_are_in_flight)
{
	const uint32_t weight = bus_weight(1);
	uint32_t limit = BUS_LIMIT_FIRST, heard = 0;
	bool again = false;

	fake_set_writing(&r.fake, FAKE_HOLDS);
	for (uint32_t i = 0; i < FRAMES; i++)
		post((uint16_t)i, 1);
	while (heard < FRAMES) {
		uint32_t most = (limit + weight - 1) / weight;

		if (most > FRAMES - heard)
			most = FRAMES - heard;
		for (; most > 0; most--)
			assert_heard((uint16_t)heard++, 1);
		if (heard < FRAMES)
			await_writer_asleep();
		ck_assert(fake_no_write(&r.fake));
		fake_complete(&r.fake);
		if (again)
			limit += limit / 4;
		again = true;
	}
	rig_end(&r);
}
END_TEST

/* The reader hears of it from the transport; the writer goes on. */
START_TEST(a_frame_that_fails_gives_its_credit_back)
{
	fake_set_writing(&r.fake, FAKE_FAILS);
	for (uint32_t i = 0; i < FRAMES; i++)
		post(5, i);
	for (uint32_t i = 0; i < FRAMES; i++)
		assert_heard(5, i);
	rig_end(&r);
}
END_TEST

/* ---- The reader ---- */

static void
say(uint16_t port, uint32_t len)
{
	static uint8_t payload[65000];

	for (uint32_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i % 251);
	rig_phone_says(&r, (struct phone_words){ .sport = 62078, .dport = port,
		.seq = len, .ack = port, .flags = PHONE_ACK, .window = 4096,
		.payload = payload, .payload_len = len });
}

static void
assert_delivered(struct client *c, uint16_t port, uint32_t len)
{
	struct chunk *first =
	    chunk_of_msg(rig_client_await(c, MSG_RECEIVED));
	uint32_t n = 0;

	ck_assert_uint_eq(first->port, port);
	ck_assert_uint_eq(first->peer_port, 62078);
	ck_assert_uint_eq(first->seq, len);
	ck_assert_uint_eq(first->ack, port);
	ck_assert_uint_eq(first->flags, TCP_ACK);
	ck_assert_uint_eq(first->window, 4096);
	ck_assert_uint_eq(first->packet_len, len);
	for (const struct chunk *at = first; at != NULL; at = at->more)
		for (uint32_t i = 0; i < at->len; i++, n++)
			HOLDS(at->data[at->offset + i] == n % 251, "byte %u", n);
	ck_assert_uint_eq(n, len);
	chunk_put(first);
}

START_TEST(packets_go_to_whom_their_port_belongs)
{
	struct client *a = rig_client(&r, 1), *b = rig_client(&r, 2);
	struct route *ra = rig_route(&r, a, 1), *rb = rig_route(&r, b, 65535);

	for (uint32_t i = 0; i < 50; i++) {
		say(1, i);
		say(65535, i * 1000);
	}
	for (uint32_t i = 0; i < 50; i++)
		assert_delivered(b, 65535, i * 1000);
	for (uint32_t i = 0; i < 50; i++)
		assert_delivered(a, 1, i);
	rig_unroute(&r, ra);
	rig_unroute(&r, rb);
	rig_client_await_gone(a, ra);
	rig_client_await_gone(b, rb);
	rig_stop(&r);
	ck_assert(counter_read(&r.d->stats.rx_packets) == 100);
	ck_assert(counter_read(&r.d->stats.rx_bytes) == 49 * 25 * 1001);
	ck_assert(counter_read(&r.d->stats.rx_stray) == 0);
	rig_fini(&r);
	ck_assert_uint_eq(atomic_load(&a->refs.count), 1);
	rig_client_fini(a);
	rig_client_fini(b);
}
END_TEST

START_TEST(a_removed_route_leads_nowhere)
{
	struct client *c = rig_client(&r, 1);
	struct route *route = rig_route(&r, c, 7);

	say(7, 5);
	assert_delivered(c, 7, 5);
	rig_unroute(&r, route);
	rig_client_await_gone(c, route);
	say(7, 10);
	ck_assert_uint_eq(rig_phone_hears(&r).flags, PHONE_RST);
	/* The port may be used again at once. */
	route = rig_route(&r, c, 7);
	say(7, 20);
	assert_delivered(c, 7, 20);
	rig_unroute(&r, route);
	rig_client_await_gone(c, route);
	rig_end(&r);
	ck_assert_uint_eq(atomic_load(&c->refs.count), 1);
	rig_client_fini(c);
}
END_TEST

/* From a phone that sends and does not read: memory must not grow with it. */
START_TEST(a_flood_of_strays_is_answered_within_a_bound)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	const uint32_t flood = 5000;
	uint32_t answered = 0;

	fake_set_writing(&r.fake, FAKE_HOLDS);
	for (uint32_t i = 0; i < flood; i++)
		say((uint16_t)i, 0);
	fake_await_reads_done(&r.fake);
	ck_assert_uint_le(atomic_load(&r.d->replies), 1024);
	fake_set_writing(&r.fake, FAKE_COMPLETES);
	fake_complete(&r.fake);
	while (atomic_load(&r.d->replies) > 0)
		HOLDS(moment_before(clock_now(), until), "%u replies wait",
		    atomic_load(&r.d->replies));
	while (!fake_no_write(&r.fake))
		answered += rig_phone_hears(&r).flags == PHONE_RST;
	HOLDS(answered >= 1024 && answered < flood, "%u answers", answered);
	/* And then they are answered again. */
	say(7, 1);
	ck_assert_uint_eq(rig_phone_hears(&r).flags, PHONE_RST);
	rig_end(&r);
}
END_TEST

START_TEST(a_client_that_has_ended_takes_nothing)
{
	struct client *c = rig_client(&r, 1);
	struct route *route = rig_route(&r, c, 7);

	ck_assert_ptr_null(mailbox_close(&c->box));
	say(7, 50000);
	say(8, 0);
	ck_assert_uint_eq(rig_phone_hears(&r).flags, PHONE_RST); /* of port 8 */
	rig_unroute(&r, route);
	rig_end(&r);
	rig_client_fini(c);
}
END_TEST

/* Gone, stopped, broken down: who waits for bytes must hear of it. */
START_TEST(every_connection_hears_of_the_end)
{
	struct client *c[20];
	struct route *routes[20];

	for (unsigned i = 0; i < 20; i++) {
		c[i] = rig_client(&r, i);
		routes[i] = rig_route(&r, c[i], (uint16_t)(i * 3000 + 1));
	}
	say(1, 100);
	fake_await_reads_done(&r.fake);
	if (_i == 0)
		rig_post_stop(&r);
	else
		fake_read_error(&r.fake, USB_ERROR_GONE);
	if (_i == 0)
		rig_await_end(&r, DEVICE_END_STOPPED, "stopped");
	else
		rig_await_end(&r, DEVICE_END_GONE,
		    usb_error_text(USB_ERROR_GONE));
	for (unsigned i = 0; i < 20; i++) {
		/* What was received before comes before it. */
		if (i == 0)
			assert_delivered(c[0], 1, 100);
		rig_client_await_gone(c[i], routes[i]);
		rig_unroute(&r, routes[i]);
		ck_assert_uint_eq(atomic_load(&c[i]->refs.count), 1);
		rig_client_fini(c[i]);
	}
	rig_fini(&r);
}
END_TEST

/* ROUTE in the mailbox when the device ends, and behind a stop. */
START_TEST(a_route_that_comes_too_late_hears_of_the_end)
{
	struct client *c = rig_client(&r, 1);
	struct route *route;

	rig_post_stop(&r);
	route = rig_route(&r, c, 9);
	rig_await_end(&r, DEVICE_END_STOPPED, "stopped");
	rig_client_await_gone(c, route);
	rig_unroute(&r, route);
	ck_assert_uint_eq(atomic_load(&c->refs.count), 1);
	rig_client_fini(c);
	rig_fini(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon: traffic of a device");
	TCase *tc = tcase_create("versions");

	tcase_add_loop_test(tc, an_empty_packet_ends_what_fills_its_last, 1, 3);
	tcase_add_test(tc, the_packet_size_is_the_endpoints);
	suite_add_tcase(s, tc);
	tc = tcase_create("traffic");
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, frames_leave_in_the_order_of_their_posts);
	tcase_add_test(tc, only_so_many_frames_are_in_flight);
	tcase_add_test(tc, a_frame_that_fails_gives_its_credit_back);
	tcase_add_test(tc, packets_go_to_whom_their_port_belongs);
	tcase_add_test(tc, a_removed_route_leads_nowhere);
	tcase_add_test(tc, a_flood_of_strays_is_answered_within_a_bound);
	tcase_add_test(tc, a_client_that_has_ended_takes_nothing);
	tcase_add_loop_test(tc, every_connection_hears_of_the_end, 0, 2);
	tcase_add_test(tc, a_route_that_comes_too_late_hears_of_the_end);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
