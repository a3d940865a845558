/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A connection's life on its worker: how it begins and every way to its end. */

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conn_rig.h"
#include "unit.h"

#define WINDOW 131072

static struct conn k;

static void
init(void)
{
	conn_init(&k, 0);
}

static void
fini(void)
{
	conn_fini(&k);
}

/* The client leaves while the worker waits for a command. */
static void
hang_up(void)
{
	shutdown(k.fd, SHUT_RDWR);
}

/* Any number of acknowledgements, then a RST. */
static void
hear_acks_and_rst(void)
{
	struct phone_words w = conn_hear(&k);

	for (; w.flags == PHONE_ACK; w = conn_hear(&k))
		HOLDS(w.payload_len == 0, "%u bytes", w.payload_len);
	HOLDS(w.flags == PHONE_RST, "flags 0x%02x", w.flags);
}

/* ---- Begin ---- */

START_TEST(bytes_go_both_ways)
{
	conn_open(&k, WINDOW, 0);
	conn_send_pattern(&k, 0, 1000);
	ck_assert_uint_eq(conn_hear(&k).payload_len, 1000);
	k.ack += 1000;
	conn_say(&k, PHONE_ACK, 5, 2000);
	conn_await_pattern(&k, 5, 2000);
	conn_hear_ack(&k, 3001);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

START_TEST(an_unknown_device_leaves_the_conversation_open)
{
	for (int i = 0; i < 3; i++) {
		conn_ask_connect(&k);
		conn_await_ask(&k, ASK_CONNECT);
		conn_answer(&k, USBMUX_BAD_DEVICE);
		conn_await_result(&k, 2);
	}
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

/* The connection is begun, and the phone has not answered. */
static void
await_syn(void)
{
	conn_ask_connect(&k);
	conn_await_ask(&k, ASK_CONNECT);
	conn_answer_connect(&k);
	ck_assert_uint_eq(conn_hear(&k).flags, PHONE_SYN);
}

static void
be_refused(uint8_t flags)
{
	await_syn();
	k.ack = 1;
	conn_say(&k, flags, 0, 12); /* with a reason, which is only logged */
}

START_TEST(a_refused_connection_leaves_the_conversation_open)
{
	for (int i = 0; i < 3; i++) {
		be_refused(PHONE_RST);
		conn_await_result(&k, 3);
		conn_await_ask(&k, ASK_DISCONNECT);
		conn_answer_disconnect(&k);
		ck_assert(conn_silent(&k)); /* nothing to reset */
	}
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

START_TEST(an_answer_that_is_none_is_reset)
{
	be_refused(PHONE_ACK);
	conn_hear_rst(&k);
	conn_await_result(&k, 3);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
	hang_up();
}
END_TEST

START_TEST(what_follows_the_request_at_once_is_not_lost)
{
	uint32_t got = 0;

	conn_ask_connect(&k);
	conn_send_pattern(&k, 0, 60000);
	conn_await_ask(&k, ASK_CONNECT);
	conn_answer_connect(&k);
	ck_assert_uint_eq(conn_hear(&k).flags, PHONE_SYN);
	k.seq = 1000;
	k.ack = 1;
	k.window = WINDOW;
	conn_say(&k, PHONE_SYN | PHONE_ACK, 0, 0);
	conn_hear_ack(&k, 1001);
	conn_await_result(&k, 0);
	while (got < 60000) {
		const struct phone_words w = conn_hear(&k);

		for (uint32_t i = 0; i < w.payload_len; i++)
			HOLDS(w.payload[i] == (got + i) % 251, "byte %u",
			    got + i);
		got += w.payload_len;
	}
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

/* The phone speaks first, even before the client has its Result. */
START_TEST(data_with_the_syn_ack_is_delivered)
{
	const uint32_t sizes[] = { 1, 16348, 50000 };

	conn_open(&k, WINDOW, sizes[_i]);
	conn_hear_ack(&k, 1001 + sizes[_i]);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

START_TEST(packets_of_another_port_are_not_ours)
{
	conn_open(&k, WINDOW, 0);
	k.sport += 1;
	conn_say(&k, PHONE_RST, 0, 0);
	k.sport -= 1;
	conn_say(&k, PHONE_ACK, 0, 10);
	conn_await_pattern(&k, 0, 10);
	conn_hear_ack(&k, 1011);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

/* Takes as long as a phone is given: four and a half seconds. */
START_TEST(a_syn_without_an_answer_is_refused_in_time)
{
	const struct moment begun = clock_now();
	int64_t ms;

	await_syn();
	conn_await_result(&k, 3);
	ms = moment_ms_between(begun, clock_now());
	HOLDS(ms >= 4400, "after %lld ms", (long long)ms);
	/* The phone is told, should it still wake up. */
	conn_hear_rst(&k);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
	hang_up();
}
END_TEST

START_TEST(a_client_may_leave_before_the_answer)
{
	struct moment begun;

	await_syn();
	begun = clock_now();
	hang_up();
	conn_hear_rst(&k);
	/* Not as late as if the phone had been waited for. */
	ck_assert_int_lt(moment_ms_between(begun, clock_now()), 4000);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

START_TEST(a_device_may_go_before_the_answer)
{
	await_syn();
	conn_unroute(&k);
	conn_await_result(&k, 3);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
	ck_assert(conn_silent(&k));
	hang_up();
}
END_TEST

/* ---- Ends that the phone makes ---- */

START_TEST(data_before_a_rst_reaches_the_client)
{
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_ACK, 0, 1000);
	conn_say(&k, PHONE_ACK, 1000, 40000);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_pattern(&k, 0, 41000);
	conn_await_end(&k);
}
END_TEST

/* Also when the client reads only later. */
START_TEST(data_before_the_end_waits_for_the_client)
{
	conn_open(&k, WINDOW, 0);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_held(&k, 1);
	if (_i == 0)
		conn_say(&k, PHONE_RST, 0, 0);
	else
		conn_unroute(&k); /* unplugged */
	conn_await_pattern(&k, 0, CONN_WINDOW);
	conn_await_end(&k);
}
END_TEST

START_TEST(a_fin_ends_it_after_its_data)
{
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_ACK, 0, 100);
	conn_say(&k, PHONE_ACK | PHONE_FIN, 100, 50);
	conn_await_pattern(&k, 0, 150);
	hear_acks_and_rst(); /* of what was delivered, in time or not */
	conn_await_end(&k);
}
END_TEST

START_TEST(a_phone_that_breaks_the_rules_is_reset)
{
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_ACK, 0, 100);
	conn_await_pattern(&k, 0, 100);
	conn_hear_ack(&k, 1101);
	if (_i == 0)
		conn_say_skipping(&k, 1, PHONE_ACK, 0, 10);
	else if (_i == 1)
		conn_say_skipping(&k, 0, PHONE_SYN | PHONE_ACK, 0, 10);
	else {
		k.ack += 1; /* what was never sent */
		conn_say(&k, PHONE_ACK, 0, 10);
	}
	conn_hear_rst(&k);
	conn_await_end(&k);
}
END_TEST

START_TEST(a_phone_may_not_pass_our_window)
{
	conn_open(&k, WINDOW, 0);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_held(&k, 1);
	/* What the client's socket took may have been acknowledged. */
	for (uint32_t at = CONN_WINDOW; at < 3 * CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	hear_acks_and_rst();
	hang_up();
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

START_TEST(an_unplugged_phone_ends_it_without_a_word)
{
	conn_open(&k, WINDOW, 0);
	conn_unroute(&k);
	conn_await_end(&k);
	ck_assert(conn_silent(&k));
}
END_TEST

/* A packet between the manager's answer and the reader's farewell: its chunk
 * must be back before the device may go. */
START_TEST(a_packet_that_comes_too_late_is_put_back)
{
	conn_open(&k, WINDOW, 0);
	if (_i == 0)
		conn_say(&k, PHONE_RST, 0, 0);
	else
		hang_up();
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer(&k, USBMUX_OK);
	conn_say(&k, PHONE_ACK, 0, 20000);
	conn_say(&k, PHONE_RST, 0, 5);
	conn_unroute(&k);
	route_put(k.managers);
	k.managers = NULL;
	conn_await_eof(&k);
	if (_i != 0)
		conn_hear_rst(&k);
}
END_TEST

/* A reader that is stuck, with the manager's answer given. */
static void
leave_routed(void)
{
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer(&k, USBMUX_OK);
	route_put(k.managers);
	k.managers = NULL;
}

/* And goes on at last, with a packet that waited there. */
static void
come_unstuck(void)
{
	conn_say(&k, PHONE_ACK, 0, 20000);
	conn_unroute(&k);
}

/* The client need not wait for it. */
START_TEST(a_reader_that_is_stuck_keeps_no_client)
{
	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_RST, 0, 0);
	leave_routed();
	conn_await_eof(&k);
	conn_await_served(&k);
	come_unstuck();
}
END_TEST

/* Who might connect again waits for a while. */
START_TEST(a_reader_that_is_stuck_ends_the_conversation)
{
	be_refused(PHONE_RST);
	conn_await_result(&k, 3);
	leave_routed();
	if (_i != 0)
		conn_stop_client(&k);
	conn_await_eof(&k);
	conn_await_served(&k);
	come_unstuck();
}
END_TEST

/* Who has hung up connects no more, and waits for nothing.  A busy machine may
 * need several attempts to show that it is not a second. */
START_TEST(a_reader_that_is_stuck_keeps_nobody_who_has_left)
{
	int64_t ms = 1000;

	for (int attempt = 0; ms >= 1000; attempt++) {
		struct moment begun;

		HOLDS(attempt < 5, "it has waited each time");
		await_syn();
		hang_up();
		conn_hear_rst(&k);
		begun = clock_now();
		leave_routed();
		conn_await_served(&k);
		ms = moment_ms_between(begun, clock_now());
		come_unstuck();
		fini();
		init();
	}
	hang_up();
}
END_TEST

/* ---- Ends that the client makes ---- */

START_TEST(a_client_that_leaves_resets_it)
{
	conn_open(&k, WINDOW, 0);
	conn_send_pattern(&k, 0, 100);
	hang_up();
	/* What it had written comes first. */
	ck_assert_uint_eq(conn_hear(&k).payload_len, 100);
	conn_hear_rst(&k);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

START_TEST(half_a_close_leaves_the_other_half_open)
{
	conn_open(&k, WINDOW, 0);
	conn_send_pattern(&k, 0, 100);
	shutdown(k.fd, SHUT_WR);
	ck_assert_uint_eq(conn_hear(&k).payload_len, 100);
	k.ack += 100;
	for (uint32_t at = 0; at < 100000; at += 20000) {
		conn_say(&k, PHONE_ACK, at, 20000);
		conn_await_pattern(&k, at, 20000);
	}
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_end(&k);
}
END_TEST

static int64_t
cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Both windows full, bytes in every buffer: it takes five seconds until the
 * phone is given up, and nobody spins meanwhile. */
START_TEST(a_client_killed_with_full_windows_costs_nothing)
{
	struct moment begun;
	int64_t cpu, ms;

	conn_open(&k, 1024, 0);
	conn_send_pattern(&k, 0, 50000);
	ck_assert_uint_eq(conn_hear(&k).payload_len, 1024);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_held(&k, 1);
	begun = clock_now();
	cpu = cpu_ms();
	close(k.fd);
	k.fd = -1;
	hear_acks_and_rst(); /* what the client did not read counts as taken */
	ms = moment_ms_between(begun, clock_now());
	cpu = cpu_ms() - cpu;
	HOLDS(ms >= 4900, "given up after %lld ms", (long long)ms);
	HOLDS(cpu < 1000, "%lld ms of processor", (long long)cpu);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

/* A phone that takes something now and then gets all that the client wrote,
 * although that takes longer than a phone that takes nothing is given. */
START_TEST(a_slow_phone_gets_what_a_client_left_behind)
{
	uint32_t got = 0;

	conn_open(&k, 20480, 0);
	conn_send_pattern(&k, 0, 50000);
	hang_up();
	while (got < 50000) {
		const struct phone_words w = conn_hear(&k);

		HOLDS(w.flags == PHONE_ACK, "flags 0x%02x after %u bytes",
		    w.flags, got);
		got += w.payload_len;
		k.ack += w.payload_len;
		if (got % 20480 != 0)
			continue;
		/* So slow is this phone. */
		waker_wait(k.waker, 3000);
		conn_say(&k, PHONE_ACK, 0, 0);
	}
	conn_hear_rst(&k);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

/* Writes until it cannot: a client that does not look. */
START_TEST(a_client_that_goes_on_writing_is_closed)
{
	static const uint8_t bytes[65536];
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	conn_open(&k, WINDOW, 0);
	conn_say(&k, PHONE_RST, 0, 0);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
	while (send(k.fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
		HOLDS(moment_before(clock_now(), until), "it never ends");
}
END_TEST

/* ---- Ends that the manager makes ---- */

START_TEST(a_stop_resets_it)
{
	conn_open(&k, WINDOW, 0);
	conn_stop_client(&k);
	conn_hear_rst(&k);
	conn_await_end(&k);
}
END_TEST

START_TEST(a_stop_is_heard_before_the_answer)
{
	conn_ask_connect(&k);
	conn_await_ask(&k, ASK_CONNECT);
	conn_stop_client(&k);
	conn_answer_connect(&k);
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

START_TEST(a_stop_is_heard_while_a_client_does_not_read)
{
	conn_open(&k, WINDOW, 0);
	for (uint32_t at = 0; at < CONN_WINDOW; at += 32768)
		conn_say(&k, PHONE_ACK, at, 32768);
	conn_await_held(&k, 1);
	conn_stop_client(&k);
	hear_acks_and_rst();
	conn_await_ask(&k, ASK_DISCONNECT);
	conn_answer_disconnect(&k);
}
END_TEST

static TCase *
case_of_begins(void)
{
	TCase *tc = tcase_create("begin");

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, init, fini);
	tcase_add_test(tc, bytes_go_both_ways);
	tcase_add_test(tc, an_unknown_device_leaves_the_conversation_open);
	tcase_add_test(tc, a_refused_connection_leaves_the_conversation_open);
	tcase_add_test(tc, an_answer_that_is_none_is_reset);
	tcase_add_test(tc, what_follows_the_request_at_once_is_not_lost);
	tcase_add_loop_test(tc, data_with_the_syn_ack_is_delivered, 0, 3);
	tcase_add_test(tc, packets_of_another_port_are_not_ours);
	tcase_add_test(tc, a_syn_without_an_answer_is_refused_in_time);
	tcase_add_test(tc, a_client_may_leave_before_the_answer);
	tcase_add_test(tc, a_device_may_go_before_the_answer);
	return tc;
}

static TCase *
case_of_ends(void)
{
	TCase *tc = tcase_create("end");

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, init, fini);
	tcase_add_test(tc, data_before_a_rst_reaches_the_client);
	tcase_add_loop_test(tc, data_before_the_end_waits_for_the_client, 0, 2);
	tcase_add_test(tc, a_fin_ends_it_after_its_data);
	tcase_add_loop_test(tc, a_phone_that_breaks_the_rules_is_reset, 0, 3);
	tcase_add_test(tc, a_phone_may_not_pass_our_window);
	tcase_add_test(tc, an_unplugged_phone_ends_it_without_a_word);
	tcase_add_loop_test(tc, a_packet_that_comes_too_late_is_put_back, 0, 2);
	tcase_add_test(tc, a_reader_that_is_stuck_keeps_no_client);
	tcase_add_loop_test(tc, a_reader_that_is_stuck_ends_the_conversation, 0, 2);
	tcase_add_test(tc, a_reader_that_is_stuck_keeps_nobody_who_has_left);
	tcase_add_test(tc, a_client_that_leaves_resets_it);
	tcase_add_test(tc, half_a_close_leaves_the_other_half_open);
	tcase_add_test(tc, a_client_killed_with_full_windows_costs_nothing);
	tcase_add_test(tc, a_slow_phone_gets_what_a_client_left_behind);
	tcase_add_test(tc, a_client_that_goes_on_writing_is_closed);
	tcase_add_test(tc, a_stop_resets_it);
	tcase_add_test(tc, a_stop_is_heard_before_the_answer);
	tcase_add_test(tc, a_stop_is_heard_while_a_client_does_not_read);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon: a connection's life");

	suite_add_tcase(s, case_of_begins());
	suite_add_tcase(s, case_of_ends());
	return unit_run(s);
}
