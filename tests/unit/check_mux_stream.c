/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One connection, header by header.  What two sides do to each other over a
 * long time is in check_mux_talk.c. */

#include <string.h>

#include "mux/stream.h"
#include "unit.h"

#define SPORT 1025
#define DPORT 62078
#define WINDOW (128 * 1024)
#define W STREAM_RECV_WINDOW

static struct stream s;

/* What a phone sends. */
static struct tcp_header
phone(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t window)
{
	return (struct tcp_header){ .sport = DPORT, .dport = SPORT, .seq = seq,
		.ack = ack, .flags = flags, .window = window };
}

static enum stream_event
input(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t window,
    uint32_t payload)
{
	const struct tcp_header h = phone(flags, seq, ack, window);

	return stream_input(&s, &h, payload);
}

/* A SYN has been sent that counts as the byte before `first`. */
static void
begin_at(uint32_t first)
{
	stream_init(&s, SPORT, DPORT);
	s.send_next = first - 1;
	stream_syn(&s);
}

static void
begin(void)
{
	begin_at(1);
}

/* Open; our next byte is `ours`, the phone's is `theirs`. */
static void
open_at(uint32_t ours, uint32_t theirs, uint32_t window)
{
	begin_at(ours);
	ck_assert_int_eq(input(TCP_SYN | TCP_ACK, theirs - 1, ours, window, 0),
	    STREAM_CONNECTED);
	stream_ack(&s);
}

static void
open_stream(void)
{
	open_at(1, 1, WINDOW);
}

static void
assert_header(struct tcp_header h, uint8_t flags, uint32_t seq, uint32_t ack)
{
	ck_assert_uint_eq(h.sport, SPORT);
	ck_assert_uint_eq(h.dport, DPORT);
	ck_assert_uint_eq(h.flags, flags);
	ck_assert_uint_eq(h.seq, seq);
	ck_assert_uint_eq(h.ack, ack);
	ck_assert_uint_eq(h.window, W);
}

static void
assert_broken(enum stream_event e, const char *fault)
{
	ck_assert_int_eq(e, STREAM_BROKEN);
	ck_assert_str_eq(s.fault, fault);
	ck_assert_int_eq(s.state, STREAM_CLOSED);
	ck_assert_uint_eq(stream_send_room(&s), 0);
}

/* ---- Handshake ---- */

START_TEST(it_begins_with_a_syn)
{
	stream_init(&s, SPORT, DPORT);
	ck_assert_int_eq(s.state, STREAM_CLOSED);
	ck_assert_int_eq(input(TCP_ACK, 0, 0, WINDOW, 0), STREAM_NOTHING);
	assert_header(stream_syn(&s), TCP_SYN, 0, 0);
	ck_assert_int_eq(s.state, STREAM_SYN_SENT);
	ck_assert_uint_eq(stream_send_room(&s), 0);
}
END_TEST

START_TEST(a_syn_ack_opens_it)
{
	ck_assert_int_eq(input(TCP_SYN | TCP_ACK, 1000, 1, WINDOW, 0),
	    STREAM_CONNECTED);
	ck_assert_int_eq(s.state, STREAM_OPEN);
	ck_assert_uint_eq(stream_send_room(&s), WINDOW);
	ck_assert_uint_eq(stream_in_flight(&s), 0);
	assert_header(stream_ack(&s), TCP_ACK, 1, 1001);
}
END_TEST

START_TEST(a_syn_ack_may_bring_data)
{
	ck_assert_int_eq(input(TCP_SYN | TCP_ACK, 1000, 1, WINDOW, 500),
	    STREAM_CONNECTED);
	/* Acknowledged when it has been taken, not before. */
	assert_header(stream_ack(&s), TCP_ACK, 1, 1001);
	ck_assert_int_eq(input(TCP_ACK, 1501, 1, WINDOW, 10), STREAM_DATA);
	stream_consumed(&s, 510);
	ck_assert_uint_eq(stream_unacked(&s), 510);
	assert_header(stream_ack(&s), TCP_ACK, 1, 1511);
}
END_TEST

START_TEST(a_syn_ack_may_fill_the_window)
{
	ck_assert_int_eq(input(TCP_SYN | TCP_ACK, 0, 1, WINDOW, W),
	    STREAM_CONNECTED);
	assert_broken(input(TCP_ACK, 1 + W, 1, WINDOW, 1),
	    "sent past our window");
}
END_TEST

START_TEST(a_rst_refuses_it)
{
	const uint8_t flags[] = { TCP_RST, TCP_RST | TCP_ACK,
		TCP_RST | TCP_SYN | TCP_ACK };

	ck_assert_int_eq(input(flags[_i], 77, _i ? 1 : 0, 0, 12), STREAM_REFUSED);
	ck_assert_int_eq(s.state, STREAM_CLOSED);
	ck_assert_int_eq(input(TCP_SYN | TCP_ACK, 0, 1, WINDOW, 0),
	    STREAM_NOTHING);
	ck_assert_int_eq(s.state, STREAM_CLOSED);
}
END_TEST

static const struct {
	uint8_t flags;
	uint32_t ack, payload;
	const char *fault;
} no_answers[] = {
#define NEITHER "answered a SYN with neither SYN|ACK nor RST"
	{ 0, 1, 0, NEITHER },
	{ TCP_SYN, 1, 0, NEITHER },
	{ TCP_ACK, 1, 0, NEITHER },
	{ TCP_ACK, 1, 10, NEITHER },
	{ TCP_FIN | TCP_ACK, 1, 0, NEITHER },
	{ TCP_SYN | TCP_ACK | TCP_FIN, 1, 0, NEITHER },
	{ TCP_SYN | TCP_ACK, 0, 0, "acknowledged another SYN than ours" },
	{ TCP_SYN | TCP_ACK, 2, 0, "acknowledged another SYN than ours" },
	{ TCP_SYN | TCP_ACK, 0x80000001, 0,
	    "acknowledged another SYN than ours" },
	{ TCP_SYN | TCP_ACK, 1, W + 1, "sent past our window" },
	{ TCP_SYN | TCP_ACK, 1, 0xffffffff, "sent past our window" },
};

START_TEST(anything_else_breaks_it)
{
	assert_broken(input(no_answers[_i].flags, 1000, no_answers[_i].ack,
			  WINDOW, no_answers[_i].payload),
	    no_answers[_i].fault);
}
END_TEST

/* ---- Sending ---- */

START_TEST(data_counts_against_the_window)
{
	assert_header(stream_data(&s, 1000), TCP_ACK, 1, 1);
	assert_header(stream_data(&s, WINDOW - 1000), TCP_ACK, 1001, 1);
	ck_assert_uint_eq(stream_send_room(&s), 0);
	ck_assert_uint_eq(stream_in_flight(&s), WINDOW);
	ck_assert_int_eq(input(TCP_ACK, 1, 1001, WINDOW, 0), STREAM_NOTHING);
	ck_assert_uint_eq(stream_send_room(&s), 1000);
	ck_assert_uint_eq(stream_in_flight(&s), WINDOW - 1000);
}
END_TEST

START_TEST(a_window_that_shrinks_stops_and_reopens)
{
	stream_data(&s, 6000);
	/* Less than what is under way: nothing may follow. */
	input(TCP_ACK, 1, 1001, 2048, 0);
	ck_assert_uint_eq(stream_send_room(&s), 0);
	ck_assert_uint_eq(stream_in_flight(&s), 5000);
	/* Shut altogether. */
	input(TCP_ACK, 1, 6001, 0, 0);
	ck_assert_uint_eq(stream_send_room(&s), 0);
	ck_assert_uint_eq(stream_in_flight(&s), 0);
	/* The same acknowledgement, with a window. */
	ck_assert_int_eq(input(TCP_ACK, 1, 6001, 256, 0), STREAM_NOTHING);
	ck_assert_uint_eq(stream_send_room(&s), 256);
	/* And data may bring one as well. */
	ck_assert_int_eq(input(TCP_ACK, 1, 6001, TCP_WINDOW_MAX, 5),
	    STREAM_DATA);
	ck_assert_uint_eq(stream_send_room(&s), TCP_WINDOW_MAX);
}
END_TEST

/* So that there is no rest, however the acknowledgements come. */
START_TEST(a_window_is_sent_in_equal_parts)
{
	uint32_t part = stream_send_part(&s, 49000);

	ck_assert_uint_eq(stream_send_part(&s, WINDOW), WINDOW);
	ck_assert_uint_eq(stream_send_part(&s, WINDOW - 1), WINDOW / 2);
	ck_assert_uint_eq(part, WINDOW / 3 + 1);
	for (int i = 0; i < 2; i++)
		stream_data(&s, part);
	/* The last one is shorter by what does not divide. */
	ck_assert_uint_eq(stream_send_part(&s, 49000), WINDOW - 2 * part);
	stream_data(&s, WINDOW - 2 * part);
	ck_assert_uint_eq(stream_send_part(&s, 49000), 0);
	input(TCP_ACK, 1, 1 + 2 * part, WINDOW, 0);
	ck_assert_uint_eq(stream_send_part(&s, 49000), part);
	/* All of it, and from now on the phone takes little. */
	input(TCP_ACK, 1, s.send_next, 256, 0);
	ck_assert_uint_eq(stream_send_part(&s, 49000), 256);
	ck_assert_uint_eq(stream_send_part(&s, 255), 128);
	ck_assert_uint_eq(stream_send_part(&s, 1), 1);
	/* Less than what is on its way. */
	stream_data(&s, 256);
	input(TCP_ACK, 1, s.send_next - 200, 100, 0);
	ck_assert_uint_eq(stream_send_part(&s, 49000), 0);
}
END_TEST

START_TEST(a_connection_may_begin_with_a_shut_window)
{
	open_at(1, 1, 0);
	ck_assert_uint_eq(stream_send_room(&s), 0);
	input(TCP_ACK, 1, 1, 512, 0);
	ck_assert_uint_eq(stream_send_room(&s), 512);
}
END_TEST

/* Our numbers pass 2^32 between `ours` and the end of the window. */
START_TEST(our_numbers_wrap)
{
	const uint32_t starts[] = { 0, 0xffffffff, 0xfffffc18, 0x80000000,
		0x7fffffff };
	const uint32_t ours = starts[_i];

	open_at(ours, 1, WINDOW);
	ck_assert_uint_eq(stream_send_room(&s), WINDOW);
	for (uint32_t sent = 0; sent < WINDOW; sent += 1024)
		assert_header(stream_data(&s, 1024), TCP_ACK, ours + sent, 1);
	ck_assert_uint_eq(stream_send_room(&s), 0);
	ck_assert_uint_eq(stream_in_flight(&s), WINDOW);
	for (uint32_t acked = 1; acked <= WINDOW; acked += 4095) {
		ck_assert_int_eq(input(TCP_ACK, 1, ours + acked, WINDOW, 0),
		    STREAM_NOTHING);
		ck_assert_uint_eq(stream_send_room(&s), acked);
		ck_assert_uint_eq(stream_in_flight(&s), WINDOW - acked);
	}
}
END_TEST

static const struct {
	int32_t ack; /* seen from the newest acknowledged byte, 100 in flight */
	bool fine;
} acks[] = { { 0, true }, { 1, true }, { 100, true }, { 101, false },
	{ -1, false }, { -500, false }, { INT32_MAX, false },
	{ INT32_MIN, false } };

START_TEST(only_what_was_sent_can_be_acknowledged)
{
	const uint32_t firsts[] = { 1, 0xffffffe0, 0x7fffffe0 };

	for (int i = 0; i < UNIT_COUNT(firsts); i++) {
		enum stream_event e;

		open_at(firsts[i], 1, WINDOW);
		stream_data(&s, 1000);
		input(TCP_ACK, 1, firsts[i] + 900, WINDOW, 0);
		e = input(TCP_ACK, 1, firsts[i] + 900 + (uint32_t)acks[_i].ack,
		    WINDOW, 7);
		if (acks[_i].fine)
			ck_assert_int_eq(e, STREAM_DATA);
		else
			assert_broken(e, "acknowledged what was never sent");
	}
}
END_TEST

/* ---- Receiving ---- */

START_TEST(their_numbers_wrap)
{
	const uint32_t theirs = 0xfffffe00;

	open_at(1, theirs, WINDOW);
	for (uint32_t got = 0; got < 1024; got += 128) {
		ck_assert_int_eq(input(TCP_ACK, theirs + got, 1, WINDOW, 128),
		    STREAM_DATA);
		stream_consumed(&s, 128);
	}
	ck_assert_uint_eq(stream_unacked(&s), 1024);
	assert_header(stream_ack(&s), TCP_ACK, 1, 512);
	ck_assert_uint_eq(stream_unacked(&s), 0);
}
END_TEST

START_TEST(a_repeated_or_skipped_byte_breaks_it)
{
	const int32_t off[] = { -1, 1, -100, INT32_MAX, INT32_MIN };

	input(TCP_ACK, 1, 1, WINDOW, 100);
	assert_broken(input(TCP_ACK, 101 + (uint32_t)off[_i], 1, WINDOW, 1),
	    "skipped or repeated data");
}
END_TEST

/* What we told the phone counts, not what we know ourselves. */
START_TEST(our_window_opens_when_the_phone_is_told)
{
	const uint32_t half = W / 2;

	input(TCP_ACK, 1, 1, WINDOW, half);
	ck_assert_int_eq(input(TCP_ACK, 1 + half, 1, WINDOW, half), STREAM_DATA);
	/* Full.  An empty segment is no overrun. */
	ck_assert_int_eq(input(TCP_ACK, 1 + W, 1, WINDOW, 0), STREAM_NOTHING);
	stream_consumed(&s, half);
	ck_assert_uint_eq(stream_unacked(&s), half);
	stream_ack(&s);
	ck_assert_int_eq(input(TCP_ACK, 1 + W, 1, WINDOW, half), STREAM_DATA);
	stream_consumed(&s, W);
	/* Consumed, but the phone does not know. */
	assert_broken(input(TCP_ACK, 1 + W + half, 1, WINDOW, 1),
	    "sent past our window");
}
END_TEST

START_TEST(a_byte_past_our_window_breaks_it)
{
	const uint32_t firsts[] = { 1, 0xfffffff0, 0x80000000 - 16 };

	for (int i = 0; i < UNIT_COUNT(firsts); i++) {
		open_at(1, firsts[i], WINDOW);
		assert_broken(input(TCP_ACK, firsts[i], 1, WINDOW, W + 1),
		    "sent past our window");
		open_at(1, firsts[i], WINDOW);
		ck_assert_int_eq(input(TCP_ACK, firsts[i], 1, WINDOW, W),
		    STREAM_DATA);
		assert_broken(input(TCP_ACK, firsts[i] + W, 1, WINDOW, 1),
		    "sent past our window");
		open_at(1, firsts[i], WINDOW);
		assert_broken(input(TCP_ACK, firsts[i], 1, WINDOW, 0xffffffff),
		    "sent past our window");
	}
}
END_TEST

START_TEST(data_carries_the_acknowledgement)
{
	input(TCP_ACK, 1, 1, WINDOW, 1000);
	stream_consumed(&s, 300);
	assert_header(stream_data(&s, 5), TCP_ACK, 1, 301);
	ck_assert_uint_eq(stream_unacked(&s), 0);
	stream_consumed(&s, 700);
	ck_assert_uint_eq(stream_unacked(&s), 700);
	assert_header(stream_ack(&s), TCP_ACK, 6, 1001);
}
END_TEST

/* ---- Flags and ends ---- */

static const struct {
	uint8_t flags;
	enum stream_event event; /* with payload */
} flags[] = {
	{ TCP_ACK, STREAM_DATA },
	{ TCP_ACK | TCP_PSH, STREAM_DATA },
	{ TCP_ACK | TCP_FIN, STREAM_FINISHED },
	{ TCP_ACK | TCP_FIN | TCP_PSH, STREAM_FINISHED },
	{ TCP_RST, STREAM_RESET },
	{ TCP_RST | TCP_ACK, STREAM_RESET },
	{ 0xff, STREAM_RESET },
	{ 0, STREAM_BROKEN },
	{ TCP_PSH, STREAM_BROKEN },
	{ TCP_FIN, STREAM_BROKEN },
	{ TCP_SYN, STREAM_BROKEN },
	{ TCP_SYN | TCP_ACK, STREAM_BROKEN },
	{ TCP_URG | TCP_ACK, STREAM_BROKEN },
	{ 0x40 | TCP_ACK, STREAM_BROKEN },
	{ 0x80 | TCP_ACK, STREAM_BROKEN },
};

START_TEST(flags_say_what_it_is)
{
	ck_assert_int_eq(input(flags[_i].flags, 1, 1, WINDOW, 10),
	    flags[_i].event);
	ck_assert_int_eq(s.state,
	    flags[_i].event == STREAM_DATA ? STREAM_OPEN : STREAM_CLOSED);
	if (flags[_i].event == STREAM_BROKEN)
		ck_assert_str_eq(s.fault, "sent flags that are not allowed");
	if (flags[_i].event == STREAM_DATA)
		return;
	/* Closed for good, whatever comes. */
	ck_assert_uint_eq(stream_send_room(&s), 0);
	ck_assert_int_eq(input(TCP_ACK, 11, 1, WINDOW, 10), STREAM_NOTHING);
	ck_assert_int_eq(input(TCP_RST, 11, 1, WINDOW, 0), STREAM_NOTHING);
}
END_TEST

START_TEST(a_rst_needs_no_number)
{
	ck_assert_int_eq(input(TCP_RST, 0xdeadbeef, 0xdeadbeef, 0, W + 1),
	    STREAM_RESET);
}
END_TEST

START_TEST(an_empty_segment_is_no_data)
{
	ck_assert_int_eq(input(TCP_ACK | TCP_PSH, 1, 1, WINDOW, 0),
	    STREAM_NOTHING);
	ck_assert_int_eq(s.state, STREAM_OPEN);
}
END_TEST

START_TEST(our_rst_closes_it)
{
	stream_data(&s, 10);
	input(TCP_ACK, 1, 1, WINDOW, 100);
	stream_consumed(&s, 40);
	assert_header(stream_rst(&s), TCP_RST, 11, 41);
	ck_assert_int_eq(s.state, STREAM_CLOSED);
	ck_assert_int_eq(input(TCP_ACK, 101, 11, WINDOW, 5), STREAM_NOTHING);
}
END_TEST

static const struct {
	uint8_t flags;
	uint32_t seq, ack, payload;
	uint32_t expected_ack;
} strays[] = {
	{ TCP_ACK, 100, 200, 0, 100 },
	{ TCP_ACK, 100, 200, 50, 150 },
	{ TCP_SYN, 100, 0, 0, 101 },
	{ TCP_SYN | TCP_ACK, 100, 200, 50, 151 },
	{ TCP_ACK, 0xffffffff, 0xfffffff0, 2, 1 },
	{ TCP_SYN, 0xffffffff, 0, 0, 0 },
};

START_TEST(a_stray_is_answered_in_its_own_numbers)
{
	const struct tcp_header in =
	    phone(strays[_i].flags, strays[_i].seq, strays[_i].ack, WINDOW);
	const struct tcp_header rst =
	    stream_rst_for_stray(&in, strays[_i].payload);

	ck_assert_uint_eq(rst.sport, SPORT);
	ck_assert_uint_eq(rst.dport, DPORT);
	ck_assert_uint_eq(rst.flags, TCP_RST);
	ck_assert_uint_eq(rst.seq, strays[_i].ack);
	ck_assert_uint_eq(rst.ack, strays[_i].expected_ack);
	ck_assert_uint_eq(rst.window, 0);
}
END_TEST

static TCase *
case_of_data(void)
{
	TCase *tc = tcase_create("data");

	tcase_add_checked_fixture(tc, open_stream, NULL);
	tcase_add_test(tc, data_counts_against_the_window);
	tcase_add_test(tc, a_window_that_shrinks_stops_and_reopens);
	tcase_add_test(tc, a_window_is_sent_in_equal_parts);
	tcase_add_test(tc, a_connection_may_begin_with_a_shut_window);
	tcase_add_loop_test(tc, our_numbers_wrap, 0, 5);
	tcase_add_loop_test(tc, only_what_was_sent_can_be_acknowledged, 0,
	    UNIT_COUNT(acks));
	tcase_add_test(tc, their_numbers_wrap);
	tcase_add_loop_test(tc, a_repeated_or_skipped_byte_breaks_it, 0, 5);
	tcase_add_test(tc, our_window_opens_when_the_phone_is_told);
	tcase_add_test(tc, a_byte_past_our_window_breaks_it);
	tcase_add_test(tc, data_carries_the_acknowledgement);
	tcase_add_loop_test(tc, flags_say_what_it_is, 0, UNIT_COUNT(flags));
	tcase_add_test(tc, a_rst_needs_no_number);
	tcase_add_test(tc, an_empty_segment_is_no_data);
	tcase_add_test(tc, our_rst_closes_it);
	return tc;
}

int
main(void)
{
	Suite *su = suite_create("mux/stream");
	TCase *tc = tcase_create("handshake");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, it_begins_with_a_syn);
	tcase_add_test(tc, a_syn_ack_opens_it);
	tcase_add_test(tc, a_syn_ack_may_bring_data);
	tcase_add_test(tc, a_syn_ack_may_fill_the_window);
	tcase_add_loop_test(tc, a_rst_refuses_it, 0, 3);
	tcase_add_loop_test(tc, anything_else_breaks_it, 0,
	    UNIT_COUNT(no_answers));
	tcase_add_loop_test(tc, a_stray_is_answered_in_its_own_numbers, 0,
	    UNIT_COUNT(strays));
	suite_add_tcase(su, tc);
	suite_add_tcase(su, case_of_data());
	return unit_run(su);
}
