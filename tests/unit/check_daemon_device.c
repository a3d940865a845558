/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A device's reader: from opening to the end, and every way to that. */

#include <string.h>

#include "base/clock.h"
#include "daemon/packet.h"
#include "daemon/protocol_mux.h"
#include "device_rig.h"
#include "unit.h"

static struct rig r;

static void
init(void)
{
	rig_init(&r);
}

/* ---- Coming up ---- */

START_TEST(a_phone_comes_up_and_goes)
{
	rig_begin(&r, _i);
	ck_assert_str_eq(r.d->name, "device 7 (" FAKE_UDID ")");
	ck_assert_str_eq(r.d->phone.udid, FAKE_UDID);
	ck_assert_int_eq(atomic_load(&r.d->state), DEVICE_READY);
	ck_assert_int_eq(atomic_load(&r.d->step), USB_STEP_START);
	ck_assert_int_eq(atomic_load(&r.d->mux.version), _i);
	ck_assert(!r.fake.anew);
	ck_assert_uint_eq(r.fake.clear_halts, 0);
	rig_end(&r);
	ck_assert_uint_eq(r.fake.resets, 0);
}
END_TEST

static const struct {
	int open, bring_up, start;
	enum device_end end;
	const char *why;
} failures[] = {
	{ .open = USB_ERROR_ACCESS, .end = DEVICE_END_FAILED,
	    .why = "the fake does not open" },
	{ .open = USB_ERROR_GONE, .end = DEVICE_END_GONE,
	    .why = "the fake does not open" },
	{ .open = USB_ERROR_BUSY, .end = DEVICE_END_BUSY,
	    .why = "the fake does not open" },
	{ .bring_up = USB_ERROR_TIMEOUT, .end = DEVICE_END_FAILED,
	    .why = "the fake does not come up" },
	{ .bring_up = USB_ERROR_GONE, .end = DEVICE_END_GONE,
	    .why = "the fake does not come up" },
	{ .bring_up = USB_ERROR_BUSY, .end = DEVICE_END_BUSY,
	    .why = "the fake does not come up" },
	{ .bring_up = USB_ERROR_TAKEN, .end = DEVICE_END_TAKEN,
	    .why = "the fake does not come up" },
	{ .open = USB_ERROR_NO_MEM, .end = DEVICE_END_SHORT,
	    .why = "the fake does not open" },
	{ .start = USB_ERROR_NO_MEM, .end = DEVICE_END_SHORT,
	    .why = "cannot start reading: " },
	{ .start = USB_ERROR_TAKEN, .end = DEVICE_END_TAKEN,
	    .why = "cannot start reading: " },
	{ .start = USB_ERROR_IO, .end = DEVICE_END_FAILED,
	    .why = "cannot start reading: " },
};

START_TEST(a_device_that_does_not_come_up_ends)
{
	char why[128];

	strcpy(why, failures[_i].why);
	if (failures[_i].start != USB_OK)
		strcat(why, usb_error_text(failures[_i].start));
	r.fake.open_error = failures[_i].open;
	r.fake.bring_up_error = failures[_i].bring_up;
	r.fake.start_error = failures[_i].start;
	rig_start(&r);
	rig_await_end(&r, failures[_i].end, why);
	ck_assert(fake_no_write(&r.fake));
	rig_fini(&r);
}
END_TEST

START_TEST(it_begins_anew_after_a_bad_attempt)
{
	r.d->anew = true;
	rig_start(&r);
	rig_speak(&r, 2);
	ck_assert(r.fake.anew);
	ck_assert_uint_eq(r.fake.clear_halts, 2);
	rig_end(&r);
}
END_TEST

START_TEST(a_device_may_be_stopped_before_it_is_opened)
{
	rig_post_stop(&r);
	rig_start(&r);
	rig_await_end(&r, DEVICE_END_STOPPED, "stopped");
	rig_fini(&r);
}
END_TEST

START_TEST(a_device_may_be_stopped_while_it_is_asked)
{
	rig_start(&r);
	ck_assert_uint_eq(rig_phone_hears(&r).protocol, 0);
	rig_end(&r);
}
END_TEST

/* A phone knows no connection before it has been set up; and the first one may
 * come while the writer still has the SETUP before it. */
START_TEST(no_connection_overtakes_the_setup)
{
	struct client *c = rig_client(&r, 1);
	const struct tcp_header syn = { .sport = 9, .dport = 7,
		.flags = TCP_SYN };
	struct phone_frame f;
	struct route *route;

	r.fake.may_block = true;
	fake_set_writing(&r.fake, FAKE_BLOCKS);
	rig_start(&r);
	HOLDS(rig_phone_hears(&r).protocol == 0, "it does not ask");
	phone_make_version(&f, 2, 0);
	fake_packet(&r.fake, f.bytes, f.len);
	rig_await(&r, MSG_DEVICE_READY);
	route = rig_route(&r, c, 9);
	HOLDS(mux_send_tcp(r.d, route, &syn), "no memory");
	fake_set_writing(&r.fake, FAKE_COMPLETES);
	r.version = 2;
	ck_assert_uint_eq(rig_phone_hears(&r).protocol, 2);
	ck_assert_uint_eq(rig_phone_hears(&r).flags, PHONE_SYN);
	rig_unroute(&r, route);
	rig_client_await_gone(c, route);
	rig_end(&r);
	rig_client_fini(c);
}
END_TEST

START_TEST(an_unknown_version_ends_it)
{
	struct phone_frame f;

	rig_start(&r);
	phone_make_version(&f, 3, 0);
	fake_packet(&r.fake, f.bytes, f.len);
	rig_await_end(&r, DEVICE_END_FAILED, "speaks version 3.0 of the mux "
	    "protocol; only 1 and 2 are known");
	rig_fini(&r);
}
END_TEST

/* Takes as long as the phone is given: four seconds. */
START_TEST(a_phone_that_never_answers_is_asked_four_times)
{
	rig_start(&r);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(rig_phone_hears(&r).length, 20);
	rig_await_end(&r, DEVICE_END_FAILED,
	    "does not answer VERSION; replug it if it stays so");
	ck_assert(fake_no_write(&r.fake));
	ck_assert_int_eq(atomic_load(&r.d->state), DEVICE_ENDING);
	rig_fini(&r);
}
END_TEST

/* The frames are stuck as well; nobody waits for them. */
START_TEST(a_phone_that_takes_nothing_is_given_up)
{
	r.fake.may_block = _i;
	fake_set_writing(&r.fake, _i ? FAKE_BLOCKS : FAKE_HOLDS);
	rig_start(&r);
	if (_i)
		fake_await_blocked(&r.fake);
	rig_await_end(&r, DEVICE_END_FAILED,
	    "does not answer VERSION; replug it if it stays so");
	rig_fini(&r);
}
END_TEST

/* ---- Broken down ---- */

static const struct {
	int error;
	enum device_end end;
} errors[] = { { USB_ERROR_GONE, DEVICE_END_GONE },
	{ USB_ERROR_IO, DEVICE_END_FAILED },
	{ USB_ERROR_TIMEOUT, DEVICE_END_FAILED },
	{ USB_ERROR_OVERFLOW, DEVICE_END_FAILED },
	{ USB_ERROR_NO_MEM, DEVICE_END_FAILED } };

START_TEST(a_read_that_fails_ends_it)
{
	rig_start(&r);
	rig_speak(&r, 2);
	fake_read_error(&r.fake, errors[_i].error);
	rig_await_end(&r, errors[_i].end, usb_error_text(errors[_i].error));
	rig_fini(&r);
}
END_TEST

START_TEST(a_read_that_fails_in_the_handshake_ends_it)
{
	rig_start(&r);
	fake_read_error(&r.fake, errors[_i].error);
	rig_await_end(&r, errors[_i].end, usb_error_text(errors[_i].error));
	rig_fini(&r);
}
END_TEST

START_TEST(a_stall_is_counted_and_survived)
{
	rig_start(&r);
	rig_speak(&r, 2);
	for (int i = 0; i < 3; i++)
		fake_read_error(&r.fake, USB_ERROR_STALL);
	/* A stray, answered: it still reads and writes. */
	rig_phone_says(&r, (struct phone_words){ .dport = 9, .flags = PHONE_ACK });
	ck_assert_uint_eq(rig_phone_hears(&r).flags, PHONE_RST);
	ck_assert(counter_read(&r.d->stats.rx_stalls) == 3);
	rig_end(&r);
}
END_TEST

START_TEST(a_phone_that_only_stalls_is_given_up)
{
	rig_start(&r);
	rig_speak(&r, 2);
	for (int i = 0; i < 100; i++) { /* not in a row */
		fake_read_error(&r.fake, USB_ERROR_STALL);
		fake_read(&r.fake, NULL, 0);
	}
	fake_await_reads_done(&r.fake);
	ck_assert(counter_read(&r.d->stats.rx_stalls) >= 99);
	fake_read_error_for_ever(&r.fake, USB_ERROR_STALL);
	rig_await_end(&r, DEVICE_END_FAILED,
	    "its IN endpoint stalls again and again");
	rig_fini(&r);
}
END_TEST

/* What the other pipe has does not show that this one is well. */
START_TEST(a_pipe_that_only_stalls_ends_it)
{
	static const char *const ends[] = {
		[USB_PIPE_BULK] = "its IN endpoint stalls again and again",
		[USB_PIPE_INTERRUPT] =
		    "its interrupt IN endpoint stalls again and again",
	};
	const enum usb_pipe pipe = (enum usb_pipe)_i, other = !_i;

	rig_start(&r);
	rig_speak(&r, 2);
	for (int i = 0; i < 100; i++) { /* both, but neither in a row */
		fake_read_of(&r.fake, pipe, USB_ERROR_STALL);
		fake_read_of(&r.fake, other, USB_ERROR_STALL);
		fake_read_of(&r.fake, pipe, USB_OK);
		fake_read_of(&r.fake, other, USB_OK);
	}
	fake_await_reads_done(&r.fake);
	ck_assert(counter_read(&r.d->stats.rx_stalls) >= 199);
	for (int i = 0; i < 16; i++) {
		fake_read_of(&r.fake, pipe, USB_ERROR_STALL);
		fake_read_of(&r.fake, other, USB_OK);
	}
	rig_await_end(&r, DEVICE_END_FAILED, ends[pipe]);
	rig_fini(&r);
}
END_TEST

static void
send_garbage(int reads)
{
	for (int i = 0; i < reads; i++)
		fake_read(&r.fake, "garbage", 7);
}

START_TEST(three_malformed_packets_reset_it)
{
	rig_start(&r);
	rig_speak(&r, 2);
	send_garbage(3);
	rig_await_end(&r, DEVICE_END_RESET, "reset after malformed packets");
	ck_assert_uint_eq(r.fake.resets, 1);
	ck_assert(counter_read(&r.d->stats.rx_malformed) == 3);
	rig_fini(&r);
}
END_TEST

/* In a row, that is: any good packet between them counts anew. */
START_TEST(two_malformed_packets_do_not)
{
	struct phone_frame f;

	rig_start(&r);
	rig_speak(&r, 2);
	for (int i = 0; i < 10; i++) {
		send_garbage(2);
		if (_i == 0) {
			rig_phone_says(&r, (struct phone_words){ .dport = 9,
				.flags = PHONE_RST });
			continue;
		}
		phone_make(&f, 2, &(struct phone_words){ .protocol = 1,
			.payload = (const uint8_t *)"\x07well", .payload_len = 5 });
		fake_packet(&r.fake, f.bytes, f.len);
	}
	fake_await_reads_done(&r.fake);
	rig_end(&r);
	ck_assert_uint_eq(r.fake.resets, 0);
}
END_TEST

/* ---- The end, whatever is under way ---- */

static void
post_frames(int n)
{
	for (int i = 0; i < n; i++) {
		struct packet *p = packet_new(100);

		p->kind = 6;
		p->inner_len = 20;
		memset(p->bytes, 0, PACKET_HEADER_ROOM);
		packet_payload(p)[-8] = 0x50;
		packet_payload(p)[0] = (uint8_t)i;
		p->payload_len = 1;
		packet_post(p, r.d);
	}
}

/* How long the end took, in milliseconds. */
static int64_t
stop(void)
{
	const struct moment begun = clock_now();

	rig_post_stop(&r);
	rig_await_end(&r, DEVICE_END_STOPPED, "stopped");
	return moment_ms_between(begun, clock_now());
}

/* How long the last frames have to leave, but for what clocks round. */
#define FLUSH_MS 440

/* A test that is kept waiting so long proves nothing, and is done again. */
START_TEST(the_last_frames_leave_before_it_ends)
{
	int64_t ms = 0;

	for (int attempt = 0; attempt < 10; attempt++) {
		if (attempt > 0)
			rig_init(&r);
		rig_start(&r);
		rig_speak(&r, 2);
		post_frames(20);
		ms = stop();
		if (ms < FLUSH_MS)
			break;
		rig_fini(&r);
	}
	HOLDS(ms < FLUSH_MS, "took %lld ms each time", (long long)ms);
	for (int i = 0; i < 20; i++) {
		const struct phone_words w = rig_phone_hears(&r);

		ck_assert_uint_eq(w.tx_seq, i + 1);
		ck_assert_uint_eq(w.payload[0], i);
	}
	ck_assert_uint_eq(r.fake.writes_done, 22); /* VERSION and SETUP, too */
	rig_fini(&r);
}
END_TEST

/* On a machine of its own it takes 0.5 s; a test may be kept waiting. */
#define STOP_MS 3000

START_TEST(a_phone_that_takes_nothing_is_left_in_time)
{
	int64_t ms;

	r.fake.may_block = _i;
	rig_start(&r);
	rig_speak(&r, 2);
	fake_set_writing(&r.fake, _i ? FAKE_BLOCKS : FAKE_HOLDS);
	post_frames(20);
	if (_i)
		fake_await_blocked(&r.fake);
	ms = stop();
	HOLDS(ms >= FLUSH_MS && ms < STOP_MS, "took %lld ms", (long long)ms);
	rig_fini(&r);
}
END_TEST

/* The phone speaks all the while. */
START_TEST(a_phone_that_does_not_stop_talking_is_left_in_time)
{
	int64_t ms;

	rig_start(&r);
	rig_speak(&r, 2);
	fake_set_writing(&r.fake, FAKE_HOLDS);
	post_frames(3);
	for (int i = 0; i < 5000; i++)
		fake_read(&r.fake, NULL, 0);
	ms = stop();
	HOLDS(ms < STOP_MS, "took %lld ms", (long long)ms);
	rig_fini(&r);
}
END_TEST

START_TEST(unplugged_with_frames_in_flight)
{
	r.fake.may_block = _i;
	rig_start(&r);
	rig_speak(&r, 2);
	fake_set_writing(&r.fake, _i ? FAKE_BLOCKS : FAKE_HOLDS);
	post_frames(20);
	if (_i)
		fake_await_blocked(&r.fake);
	fake_read_error_for_ever(&r.fake, USB_ERROR_GONE);
	rig_await_end(&r, DEVICE_END_GONE, usb_error_text(USB_ERROR_GONE));
	rig_fini(&r);
}
END_TEST

START_TEST(unplugged_in_the_middle_of_a_packet)
{
	struct phone_frame f;
	static uint8_t payload[40000];

	rig_start(&r);
	rig_speak(&r, 2);
	phone_make(&f, 2, &(struct phone_words){ .protocol = 6,
		.payload = payload, .payload_len = sizeof payload });
	fake_read(&r.fake, f.bytes, CHUNK_SIZE);
	fake_read(&r.fake, f.bytes + CHUNK_SIZE, CHUNK_SIZE);
	fake_read_error(&r.fake, USB_ERROR_GONE);
	rig_await_end(&r, DEVICE_END_GONE, usb_error_text(USB_ERROR_GONE));
	rig_fini(&r);
}
END_TEST

START_TEST(what_is_posted_after_the_end_comes_back)
{
	rig_start(&r);
	rig_speak(&r, 2);
	stop();
	post_frames(3); /* freed, as the leak checker sees */
	rig_fini(&r);
}
END_TEST

START_TEST(stopped_twice_is_stopped_once)
{
	rig_start(&r);
	rig_speak(&r, 2);
	fake_set_writing(&r.fake, FAKE_HOLDS);
	post_frames(1);
	fake_read_error(&r.fake, USB_ERROR_IO);
	rig_post_stop(&r);
	rig_await(&r, MSG_DEVICE_ENDED);
	r.kept = &r.d->ended_msg; /* once more, for the one below */
	ck_assert(r.d->end == DEVICE_END_FAILED ||
	    r.d->end == DEVICE_END_STOPPED);
	rig_await_end(&r, r.d->end, r.d->ended.text);
	rig_fini(&r);
}
END_TEST

static TCase *
case_of_breakdowns(void)
{
	TCase *tc = tcase_create("broken down");

	tcase_add_checked_fixture(tc, init, NULL);
	tcase_add_loop_test(tc, a_read_that_fails_ends_it, 0,
	    UNIT_COUNT(errors));
	tcase_add_loop_test(tc, a_read_that_fails_in_the_handshake_ends_it, 0,
	    UNIT_COUNT(errors));
	tcase_add_test(tc, a_stall_is_counted_and_survived);
	tcase_add_test(tc, a_phone_that_only_stalls_is_given_up);
	tcase_add_loop_test(tc, a_pipe_that_only_stalls_ends_it, 0, USB_PIPES);
	tcase_add_test(tc, three_malformed_packets_reset_it);
	tcase_add_loop_test(tc, two_malformed_packets_do_not, 0, 2);
	return tc;
}

static TCase *
case_of_ends(void)
{
	TCase *tc = tcase_create("end");

	tcase_add_checked_fixture(tc, init, NULL);
	tcase_add_test(tc, the_last_frames_leave_before_it_ends);
	tcase_add_loop_test(tc, a_phone_that_takes_nothing_is_left_in_time, 0,
	    2);
	tcase_add_test(tc, a_phone_that_does_not_stop_talking_is_left_in_time);
	tcase_add_loop_test(tc, unplugged_with_frames_in_flight, 0, 2);
	tcase_add_test(tc, unplugged_in_the_middle_of_a_packet);
	tcase_add_test(tc, what_is_posted_after_the_end_comes_back);
	tcase_add_test(tc, stopped_twice_is_stopped_once);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon: a device");
	TCase *tc = tcase_create("up");

	tcase_set_timeout(tc, 12);
	tcase_add_loop_test(tc, a_phone_comes_up_and_goes, 1, 3);
	suite_add_tcase(s, tc);
	tc = tcase_create("not up");
	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, init, NULL);
	tcase_add_loop_test(tc, a_device_that_does_not_come_up_ends, 0,
	    UNIT_COUNT(failures));
	tcase_add_test(tc, it_begins_anew_after_a_bad_attempt);
	tcase_add_test(tc, a_device_may_be_stopped_before_it_is_opened);
	tcase_add_test(tc, a_device_may_be_stopped_while_it_is_asked);
	tcase_add_test(tc, no_connection_overtakes_the_setup);
	tcase_add_test(tc, an_unknown_version_ends_it);
	tcase_add_test(tc, a_phone_that_never_answers_is_asked_four_times);
	tcase_add_loop_test(tc, a_phone_that_takes_nothing_is_given_up, 0, 2);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, case_of_breakdowns());
	suite_add_tcase(s, case_of_ends());
	return unit_run(s);
}
