/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "usbip/server_park.h"
#include "usbip_two.h"

/*
 * The USB/IP server engine with importers that want more than it has room for:
 * it makes them wait, reads on for their UNLINKs as long as the order of the
 * stream lets it, and serves others meanwhile.
 */

#define MAX USBIP_SERVER_URBS_MAX

/* All that was sent before has been read: the answer to an UNLINK of nothing
 * says so. */
static void
expect_all_read(int fd)
{
	rig_unlink(fd, &one, 0x7ffffffe, 0x7fffffff);
	rig_expect_unlinked(fd, 0x7ffffffe, USBIP_OK);
}

static unsigned
submits(void)
{
	unsigned n;

	pthread_mutex_lock(&one.lock);
	n = one.submits;
	pthread_mutex_unlock(&one.lock);
	return n;
}

static uint32_t
in_flight(void)
{
	struct usbip_server_row row;

	ck_assert_uint_ge(usbip_server_snapshot(rig.server, &row, 1), 1);
	return row.in_flight;
}

/* `count` reads of an endpoint that never answers, numbered from 0. */
static void
fill(int fd, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 8);
	expect_all_read(fd);
	ck_assert_uint_eq(submits(), count < MAX ? count : MAX);
	ck_assert_uint_eq(in_flight(), submits());
}

/* Gives the engine time to do what it must not: not a proof, but then it would
 * long have been done. */
static void
expect_submits(unsigned n)
{
	char list[512];

	rig_await(&one, &one.submits, n);
	for (int i = 0; i < 50; i++)
		rig_devlist(&rig, list);
	ck_assert_uint_eq(one.submits, n);
}

START_TEST(at_the_bound_reading_waits_and_goes_on)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < MAX; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 8);
	/* At the bound an UNLINK that comes next is still read. */
	rig_unlink(fd, &one, 100000, 17);
	rig_expect_unlinked(fd, 100000, USBIP_ECONNRESET);
	rig_submit(fd, &one, 50000, 0x80 | RIG_HELD, 8);
	rig_submit(fd, &one, 50001, 0x80 | RIG_HELD, 8);
	expect_submits(MAX + 1);
	rig_finish(&one, USBIP_OK, 8);
	rig_expect_data(fd, 0, 8);
	rig_await(&one, &one.submits, MAX + 2);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(an_importer_at_the_bound_that_hangs_up_is_noticed)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i <= MAX; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 8);
	rig_await(&one, &one.submits, MAX);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(bytes_are_bounded_too)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < 5; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, USBIP_LENGTH_MAX);
	expect_submits(4);
	rig_finish(&one, USBIP_OK, 1000);
	rig_await(&one, &one.submits, 5);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(what_fills_the_bound_can_be_unlinked)
{
	const int fd = rig_import(&rig, &one);

	fill(fd, MAX + PARK_MAX);
	/* Each makes room for the first of those that wait. */
	for (uint32_t i = 0; i < MAX; i++) {
		rig_unlink(fd, &one, 100000 + i, i);
		rig_expect_unlinked(fd, 100000 + i, USBIP_ECONNRESET);
	}
	expect_all_read(fd);
	ck_assert_uint_eq(submits(), MAX + PARK_MAX);
	/* They have begun in their order. */
	for (uint32_t i = 0; i < PARK_MAX; i++) {
		rig_finish(&one, USBIP_OK, 8);
		rig_expect_data(fd, MAX + i, 8);
	}
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(what_waits_can_be_unlinked_and_never_begins)
{
	const int fd = rig_import(&rig, &one);

	fill(fd, MAX + 10);
	for (uint32_t i = 0; i < 10; i += 2) {
		rig_unlink(fd, &one, 100000 + i, MAX + i);
		rig_expect_unlinked(fd, 100000 + i, USBIP_ECONNRESET);
	}
	/* Once more: it is not there any more. */
	rig_unlink(fd, &one, 200000, MAX + 2);
	rig_expect_unlinked(fd, 200000, USBIP_OK);
	for (uint32_t i = 0; i < MAX; i++) {
		rig_finish(&one, USBIP_OK, 8);
		rig_expect_data(fd, i, 8);
	}
	for (uint32_t i = 1; i < 10; i += 2) {
		rig_finish(&one, USBIP_OK, 8);
		rig_expect_data(fd, MAX + i, 8);
	}
	ck_assert_uint_eq(submits(), MAX + 5);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(bytes_that_fill_the_bound_can_be_unlinked)
{
	const int fd = rig_import(&rig, &one);
	const uint32_t most = USBIP_SERVER_BYTES_MAX / USBIP_LENGTH_MAX;

	for (uint32_t i = 0; i < 2 * most; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, USBIP_LENGTH_MAX);
	expect_all_read(fd);
	ck_assert_uint_eq(submits(), most);
	for (uint32_t i = 2 * most; i > 0; i--) {
		rig_unlink(fd, &one, 1000 + i, i - 1);
		rig_expect_unlinked(fd, 1000 + i, USBIP_ECONNRESET);
	}
	close(fd);
	rig_await(&one, &one.released, 1);
	/* The last were taken back first, before they had begun. */
	ck_assert_uint_eq(one.submits, most);
}
END_TEST

/* ISO packets, that is their descriptors; without data. */
static const uint8_t packets[USBIP_ISO_PACKETS_MAX * USBIP_ISO_SIZE];

static void
submit_packets(int fd, uint32_t seqnum, enum rig_endpoint endpoint)
{
	struct usbip_pdu pdu =
	    rig_submit_pdu(&one, seqnum, (uint8_t)(0x80 | endpoint), 0);

	pdu.submit.packets = USBIP_ISO_PACKETS_MAX;
	rig_send_pdu(fd, &pdu);
	rig_send(fd, packets, sizeof packets);
}

START_TEST(packets_take_room_too)
{
	enum { LARGE = USBIP_SERVER_BYTES_MAX / USBIP_LENGTH_MAX - 1,
		EACH = USBIP_ISO_PACKETS_MAX *
		    (sizeof(struct usbip_iso) + USBIP_ISO_SIZE),
		FULL = LARGE + USBIP_LENGTH_MAX / EACH };
	const int fd = rig_import(&rig, &one);
	uint32_t seqnum = 0;

	while (seqnum < LARGE)
		rig_submit(fd, &one, seqnum++, 0x80 | RIG_HELD,
		    USBIP_LENGTH_MAX);
	while (seqnum < FULL)
		submit_packets(fd, seqnum++, RIG_HELD);
	rig_submit(fd, &one, seqnum, 0x80 | RIG_HELD, 8);
	expect_all_read(fd);
	ck_assert_uint_eq(submits(), FULL);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(so_many_packets_are_not_kept)
{
	enum { TIMES = 20 };
	static uint8_t answer[sizeof packets];
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < TIMES; i++) {
		submit_packets(fd, i, RIG_ISO);
		rig_expect_ret(fd, i, USBIP_OK, 0);
		rig_receive(fd, answer, sizeof answer);
	}
	close(fd);
	rig_await(&one, &one.released, 1);
	/* None has served twice. */
	ck_assert_uint_eq(one.made, TIMES);
}
END_TEST

/* Here the order of the stream ends what can be done: what brings data stops
 * it, and so does one too many. */
START_TEST(behind_data_everything_waits)
{
	const int fd = rig_import(&rig, &one);

	if (_i == 0) {
		fill(fd, MAX + 1);
		rig_submit(fd, &one, MAX + 1, RIG_HELD, 8);
	} else {
		fill(fd, MAX + PARK_MAX);
		rig_submit(fd, &one, MAX + PARK_MAX, 0x80 | RIG_HELD, 8);
	}
	rig_unlink(fd, &one, 100000, 5);
	/* It is the completion that makes the room. */
	rig_finish(&one, USBIP_OK, 8);
	rig_expect_data(fd, 0, 8);
	if (_i == 0) { /* and another one, for the one that brings data */
		rig_finish(&one, USBIP_OK, 8);
		rig_expect_data(fd, 1, 8);
	}
	rig_expect_unlinked(fd, 100000, USBIP_ECONNRESET);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

/* An UNLINK whose SUBMIT does not come is answered in its time, though the
 * stream waits for room behind it. */
START_TEST(early_unlinks_expire_meanwhile)
{
	const int fd = rig_import(&rig, &one);

	fill(fd, MAX);
	rig_unlink(fd, &one, 100002, 100001);
	rig_submit(fd, &one, 100000, RIG_HELD, 8);
	rig_expect_unlinked(fd, 100002, USBIP_OK);
	ck_assert_uint_eq(submits(), MAX);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(a_number_that_waits_is_in_use)
{
	const int fd = rig_import(&rig, &one);

	fill(fd, MAX + 1);
	rig_submit(fd, &one, MAX, 0x80 | RIG_HELD, 8);
	rig_expect_end(fd);
	close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_eq(one.submits, MAX);
}
END_TEST

START_TEST(what_waits_ends_with_its_import)
{
	const int fd = rig_import(&rig, &one);

	fill(fd, MAX + 100);
	if (_i == 1)
		ck_assert(usbip_server_kick(rig.server, "3-1"));
	else
		close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_eq(one.submits, MAX);
	if (_i == 1)
		close(fd);
}
END_TEST

/* More replies than the socket takes: the engine stops at the bound, whatever
 * the importer sends; and everybody else has what he wants. */
START_TEST(who_never_reads_stops_itself_alone)
{
	const int fd = rig_import(&rig, &one);
	int other;

	rig_plug(&rig, &two);
	other = rig_import(&rig, &two);
	for (uint32_t i = 0; i < 200; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_INSTANT, 1024 * 1024);
	for (uint32_t i = 0; i < 200; i++) {
		rig_submit(other, &two, i, 0x80 | RIG_INSTANT, 100000);
		rig_expect_data(other, i, 100000);
	}
	/* Beyond the bound only what the socket has taken. */
	ck_assert_uint_lt(submits(), 100);
	ck_assert_uint_le(in_flight(), 64);
	close(other);
	for (uint32_t i = 0; i < 200; i++)
		rig_expect_data(fd, i, 1024 * 1024);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_room");
	TCase *tc = tcase_create("room");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, two_setup, two_teardown);
	tcase_add_test(tc, at_the_bound_reading_waits_and_goes_on);
	tcase_add_test(tc, an_importer_at_the_bound_that_hangs_up_is_noticed);
	tcase_add_test(tc, bytes_are_bounded_too);
	tcase_add_test(tc, what_fills_the_bound_can_be_unlinked);
	tcase_add_test(tc, what_waits_can_be_unlinked_and_never_begins);
	tcase_add_test(tc, bytes_that_fill_the_bound_can_be_unlinked);
	tcase_add_test(tc, packets_take_room_too);
	tcase_add_test(tc, so_many_packets_are_not_kept);
	tcase_add_loop_test(tc, behind_data_everything_waits, 0, 2);
	tcase_add_test(tc, early_unlinks_expire_meanwhile);
	tcase_add_test(tc, a_number_that_waits_is_in_use);
	tcase_add_loop_test(tc, what_waits_ends_with_its_import, 0, 2);
	tcase_add_test(tc, who_never_reads_stops_itself_alone);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
