/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/pair.h"
#include "../tools/muxload_stream.h"

/*
 * Pairs, without a network: each test plays the client and the phone itself
 * and turns the loop by hand.  Built twice, once with each poller.
 */

static struct pairs all;

static void
start(void)
{
	memset(&all, 0, sizeof all);
	all.poller = poller_new();
	all.linger_ms = 60000;
	ck_assert_ptr_nonnull(all.poller);
}

static void
stop(void)
{
	pairs_fini(&all);
	ck_assert_uint_eq(all.count, 0);
	poller_free(all.poller);
}

/* One turn of the loop, which must not wait long. */
static void
turn(int timeout_ms)
{
	ck_assert_int_eq(poller_wait(all.poller, timeout_ms), 0);
	pairs_tend(&all);
}

static void
turns(int n)
{
	while (n-- > 0)
		turn(0);
}

/* A pair between two new sockets, whose far ends are the test's. */
static void
join(int *client, int *phone)
{
	int a[2], b[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	ck_assert_int_eq(pair_join(&all, a[1], b[1]), 0);
	*client = a[0];
	*phone = b[0];
}

static void
put(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
	    (int)strlen(text));
}

static void
assert_got(int fd, const char *text)
{
	char buf[256] = "";

	ck_assert_int_eq(recv(fd, buf, sizeof buf - 1, MSG_DONTWAIT),
	    (int)strlen(text));
	ck_assert_str_eq(buf, text);
}

static void
assert_eof(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, MSG_DONTWAIT), 0);
}

static void
assert_open(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(bytes_go_both_ways)
{
	int client, phone;

	join(&client, &phone);
	put(client, "to the phone");
	put(phone, "to the client");
	turns(2);
	assert_got(phone, "to the phone");
	assert_got(client, "to the client");
	close(client);
	close(phone);
}
END_TEST

START_TEST(the_end_of_one_side_is_passed_on_and_the_answer_drained)
{
	int client, phone;

	join(&client, &phone);
	put(client, "question");
	shutdown(client, SHUT_WR);
	turns(3);
	assert_got(phone, "question");
	assert_eof(phone);
	assert_open(client);
	put(phone, "answer");
	turns(2);
	assert_got(client, "answer");
	ck_assert_uint_eq(all.count, 1);
	close(phone);
	turns(3);
	assert_eof(client);
	ck_assert_uint_eq(all.count, 0);
	close(client);
}
END_TEST

START_TEST(the_phones_half_close_leaves_the_other_way_open)
{
	int client, phone;

	join(&client, &phone);
	shutdown(phone, SHUT_WR);
	turns(2);
	assert_eof(client);
	put(client, "still");
	turns(2);
	assert_got(phone, "still");
	ck_assert_uint_eq(all.count, 1);
	close(client);
	turns(3);
	assert_eof(phone);
	ck_assert_uint_eq(all.count, 0);
	close(phone);
}
END_TEST

START_TEST(the_phones_close_ends_all_after_its_last_bytes)
{
	int client, phone;

	join(&client, &phone);
	put(phone, "last words");
	close(phone);
	turns(3);
	assert_got(client, "last words");
	assert_eof(client);
	/* The client has not ended, but nobody is there any more. */
	ck_assert_uint_eq(all.count, 0);
	close(client);
}
END_TEST

START_TEST(what_the_phone_sent_before_its_end_survives_a_write_to_it)
{
	int client, phone;

	join(&client, &phone);
	put(phone, "last words");
	put(client, "into the void");
	close(phone);
	turns(4);
	assert_got(client, "last words");
	assert_eof(client);
	ck_assert_uint_eq(all.count, 0);
	close(client);
}
END_TEST

START_TEST(a_broken_client_ends_the_pair)
{
	int client, phone;
	char c;

	join(&client, &phone);
	put(client, "x");
	turns(1);
	close(client);
	put(phone, "nobody reads this");
	turns(4);
	ck_assert_uint_eq(all.count, 0);
	assert_got(phone, "x");
	/* What it has sent was lost, and it is told so. */
	ck_assert_int_eq(recv(phone, &c, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(phone);
}
END_TEST

/* How much one side takes in while the other is not read. */
static uint64_t
stuff(int fd)
{
	static uint8_t block[65536];
	uint64_t sent = 0;
	int idle = 0;

	while (idle < 3) {
		ssize_t n;

		stream_fill(block, 5, sent, sizeof block);
		n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			sent += (uint64_t)n;
		idle = n > 0 ? 0 : idle + 1;
		turns(2);
	}
	return sent;
}

static void
drain_checked(int fd, uint64_t len)
{
	static uint8_t got[65536], want[65536];
	uint64_t at = 0;

	for (int dry = 0; at < len && dry < 3; dry++) {
		ssize_t n;

		turns(2);
		while ((n = recv(fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
			stream_fill(want, 5, at, (size_t)n);
			ck_assert_mem_eq(got, want, (size_t)n);
			at += (uint64_t)n;
			dry = 0;
			turns(2);
		}
	}
	ck_assert_uint_eq(at, len);
}

START_TEST(a_slow_receiver_slows_its_sender_and_nobody_else)
{
	int client, phone, client2, phone2;
	uint64_t sent;

	join(&client, &phone);
	join(&client2, &phone2);
	sent = stuff(client);
	/* Two socket buffers, and what the pair may hold. */
	ck_assert_uint_lt(sent, 2 * 1024 * 1024);
	/* The other direction, and another pair, run on. */
	put(phone, "other way");
	put(client2, "other pair");
	turns(3);
	assert_got(client, "other way");
	assert_got(phone2, "other pair");
	drain_checked(phone, sent);
	sent = stuff(phone);
	ck_assert_uint_lt(sent, 2 * 1024 * 1024);
	drain_checked(client, sent);
	close(client);
	close(phone);
	close(client2);
	close(phone2);
}
END_TEST

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The phone goes while the client does not read: poll() reports a hang-up that
 * cannot be dealt with before there is room. */
START_TEST(a_hang_up_behind_a_full_buffer_does_not_spin)
{
	int client, phone, i;
	uint64_t sent, before;

	join(&client, &phone);
	sent = stuff(phone);
	close(phone);
	before = cpu_ns();
	for (i = 0; i < 5; i++)
		turn(20); /* waits its time, or else it spins */
	ck_assert_uint_lt(cpu_ns() - before, 20000000);
	ck_assert_uint_eq(all.count, 1);
	drain_checked(client, sent);
	turns(3);
	assert_eof(client);
	ck_assert_uint_eq(all.count, 0);
	close(client);
}
END_TEST

START_TEST(a_silent_phone_is_left_after_a_while)
{
	int client[3], phone[3];
	struct moment next;

	all.linger_ms = 1000; /* more than a busy host stalls us */
	for (int i = 0; i < 3; i++) {
		join(&client[i], &phone[i]);
		if (i < 2)
			shutdown(client[i], SHUT_WR);
	}
	turns(3);
	ck_assert_uint_eq(all.count, 3);
	/* One speaks up in the middle, and gets its time anew. */
	turn(400);
	put(phone[0], "well");
	turns(2);
	next = pairs_tend(&all);
	ck_assert(next.ns != MOMENT_NEVER.ns);
	while (all.count == 3) {
		turn(moment_poll_timeout(clock_now(), next));
		next = pairs_tend(&all);
	}
	ck_assert_uint_eq(all.count, 2);
	assert_got(client[0], "well");
	assert_open(client[0]);
	assert_eof(client[1]);
	while (all.count == 2) {
		turn(moment_poll_timeout(clock_now(), next));
		next = pairs_tend(&all);
	}
	assert_eof(client[0]);
	/* Who has not ended is never left. */
	ck_assert(next.ns == MOMENT_NEVER.ns);
	assert_open(client[2]);
	for (int i = 0; i < 3; i++) {
		close(client[i]);
		close(phone[i]);
	}
}
END_TEST

#define MANY 600

START_TEST(many_pairs_at_once)
{
	static int client[MANY], phone[MANY];
	const struct rlimit files = { 4 * MANY + 64, 4 * MANY + 64 };
	char text[32];

	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 0; i < MANY; i++)
		join(&client[i], &phone[i]);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "pair %d", i);
		put(client[i], text);
	}
	turns(MANY / 100 + 3);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "pair %d", i);
		assert_got(phone[i], text);
	}
	/* Both ends at the same time, in no order. */
	for (int i = 0; i < MANY; i++) {
		close(client[i * 7 % MANY]);
		close(phone[i]);
	}
	turns(2 * MANY / 100 + 10);
	ck_assert_uint_eq(all.count, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("relay/pair");
	TCase *tc = tcase_create("pairs");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, bytes_go_both_ways);
	tcase_add_test(tc,
	    the_end_of_one_side_is_passed_on_and_the_answer_drained);
	tcase_add_test(tc, the_phones_half_close_leaves_the_other_way_open);
	tcase_add_test(tc, the_phones_close_ends_all_after_its_last_bytes);
	tcase_add_test(tc,
	    what_the_phone_sent_before_its_end_survives_a_write_to_it);
	tcase_add_test(tc, a_broken_client_ends_the_pair);
	tcase_add_test(tc, a_slow_receiver_slows_its_sender_and_nobody_else);
	tcase_add_test(tc, a_hang_up_behind_a_full_buffer_does_not_spin);
	tcase_add_test(tc, a_silent_phone_is_left_after_a_while);
	tcase_add_test(tc, many_pairs_at_once);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
