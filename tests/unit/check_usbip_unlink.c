/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usbip_two.h"

/*
 * How URBs end in the USB/IP server engine: taken back, or with their importer,
 * their device or the server; and who is told of devices that come and go.
 */

/* ---- UNLINK ------------------------------------------------------------- */

START_TEST(unlink_of_a_pending_urb_replaces_its_reply)
{
	const int fd = rig_import(&rig, &one);

	rig_submit(fd, &one, 0x2b, 0x80 | RIG_HELD, 8);
	rig_submit(fd, &one, 0x2c, 0x80 | RIG_HELD, 8);
	rig_unlink(fd, &one, 0x2d, 0x2b);
	rig_expect_unlinked(fd, 0x2d, USBIP_ECONNRESET);
	rig_finish(&one, USBIP_OK, 8);
	rig_expect_data(fd, 0x2c, 8);
	close(fd);
}
END_TEST

START_TEST(unlink_that_comes_too_late_follows_the_reply)
{
	const int fd = rig_import(&rig, &one);

	rig_submit(fd, &one, 1, 0x80 | RIG_HELD, 8);
	rig_finish(&one, USBIP_OK, 8);
	rig_unlink(fd, &one, 2, 1);
	rig_expect_data(fd, 1, 8);
	rig_expect_unlinked(fd, 2, USBIP_OK);
	/* And of what never was, nor can come: its seqnum would be the UNLINK's
	 * or a later one. */
	rig_unlink(fd, &one, 3, 77);
	rig_expect_unlinked(fd, 3, USBIP_OK);
	rig_unlink(fd, &one, 4, 4);
	rig_expect_unlinked(fd, 4, USBIP_OK);
	close(fd);
}
END_TEST

/* As Linux' vhci_hcd sends them now and then. */
START_TEST(unlink_before_its_submit_takes_it_back_unbegun)
{
	const int fd = rig_import(&rig, &one);

	/* Also before the first SUBMIT of all, and across the wrap. */
	rig_unlink(fd, &one, 0xffffffff, 0xfffffffd);
	rig_submit(fd, &one, 0xfffffffd, RIG_INSTANT, 100);
	rig_expect_unlinked(fd, 0xffffffff, USBIP_ECONNRESET);
	rig_unlink(fd, &one, 4, 0xfffffffe);
	rig_unlink(fd, &one, 5, 1);
	rig_unlink(fd, &one, 6, 2);
	rig_unlink(fd, &one, 7, 2);
	rig_submit(fd, &one, 0xfffffffe, RIG_INSTANT, 5000);
	rig_expect_unlinked(fd, 4, USBIP_ECONNRESET);
	rig_submit(fd, &one, 0, 0x80 | RIG_INSTANT, 8);
	rig_expect_data(fd, 0, 8);
	rig_submit(fd, &one, 2, 0x80 | RIG_HELD, 8);
	for (int i = 0; i < 3; i++) {
		const struct usbip_pdu pdu = rig_receive_pdu(fd);

		RIG_EQ(pdu.command, USBIP_RET_UNLINK);
		/* 1 has not come before 2, so it will not come any more. */
		RIG_EQ(pdu.ret_unlink.status, pdu.seqnum == 5
		    ? USBIP_OK : USBIP_ECONNRESET);
	}
	rig_submit(fd, &one, 8, 0x80 | RIG_INSTANT, 8);
	rig_expect_data(fd, 8, 8);
	ck_assert_uint_eq(one.submits, 2);
	close(fd);
}
END_TEST

/* Whatever it brings is skipped, and costs nothing. */
START_TEST(a_submit_that_was_taken_back_first_is_no_urb)
{
	static const uint8_t brought[2000 + 3 * USBIP_ISO_SIZE];
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu iso = rig_submit_pdu(&one, 2, RIG_ISO, 2000);
	struct usbip_server_row row;

	iso.submit.packets = 3;
	rig_unlink(fd, &one, 4, 2);
	rig_send_pdu(fd, &iso);
	rig_send(fd, brought, sizeof brought);
	rig_expect_unlinked(fd, 4, USBIP_ECONNRESET);
	rig_submit(fd, &one, 5, 0x80 | RIG_INSTANT, 8);
	rig_expect_data(fd, 5, 8);
	usbip_server_snapshot(rig.server, &row, 1);
	ck_assert_uint_eq(row.urbs, 1);
	close(fd);
}
END_TEST

START_TEST(unlink_whose_submit_never_comes_is_answered)
{
	const int fd = rig_import(&rig, &one);

	rig_unlink(fd, &one, 9, 3);
	rig_expect_unlinked(fd, 9, USBIP_OK);
	/* One that waits is no reason to wait when the importer goes. */
	rig_unlink(fd, &one, 19, 13);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

/* More than the engine has records for, none with a SUBMIT. */
enum { NEVER_SUBMITTED = USBIP_SERVER_URBS_MAX + 100 };

static void *
unlink_many(void *arg)
{
	const int fd = *(int *)arg;

	for (uint32_t i = 0; i < NEVER_SUBMITTED; i++)
		rig_unlink(fd, &one, 100000 + i, 50000 + i);
	rig_submit(fd, &one, 1, 0x80 | RIG_INSTANT, 8);
	return NULL;
}

START_TEST(unlinks_without_number_end_too)
{
	static bool answered[NEVER_SUBMITTED];
	int fd = rig_import(&rig, &one), submits = 0;
	struct thread sender;

	ck_assert_int_eq(thread_start(&sender, "sender", unlink_many, &fd), 0);
	for (int i = 0; i < NEVER_SUBMITTED + 1; i++) {
		const struct usbip_pdu pdu = rig_receive_pdu(fd);

		if (pdu.command == USBIP_RET_SUBMIT) {
			uint8_t data[8];

			rig_receive(fd, data, sizeof data);
			submits++;
			continue;
		}
		RIG_EQ(pdu.ret_unlink.status, USBIP_OK);
		ck_assert(pdu.seqnum >= 100000 &&
		    pdu.seqnum - 100000 < NEVER_SUBMITTED &&
		    !answered[pdu.seqnum - 100000]);
		answered[pdu.seqnum - 100000] = true;
	}
	ck_assert_int_eq(submits, 1);
	thread_join(&sender);
	close(fd);
}
END_TEST

START_TEST(a_urb_that_is_unlinked_twice_is_cancelled_once)
{
	const int fd = rig_import(&rig, &one);

	rig_submit(fd, &one, 1, RIG_ACTOR, 8);
	rig_unlink(fd, &one, 2, 1);
	rig_unlink(fd, &one, 3, 1);
	for (int i = 0; i < 3; i++) {
		const struct usbip_pdu pdu = rig_receive_pdu(fd);

		/* The actor may have completed it: then that comes first. */
		ck_assert(pdu.seqnum != 1 || i == 0);
		if (i == 1 && pdu.seqnum == 3)
			break;
	}
	close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_le(one.cancels, 1);
}
END_TEST

START_TEST(data_that_a_cancelled_read_has_is_not_lost)
{
	const int fd = rig_import(&rig, &one);
	char data[5];

	rig_submit(fd, &one, 1, 0x80 | RIG_PARTIAL, 64);
	rig_unlink(fd, &one, 2, 1);
	rig_expect_ret(fd, 1, USBIP_ECONNRESET, 5);
	rig_receive(fd, data, sizeof data);
	ck_assert_mem_eq(data, "12345", 5);
	rig_expect_unlinked(fd, 2, USBIP_OK);
	close(fd);
}
END_TEST

/* ---- Storm -------------------------------------------------------------- */

#define STORM 20000

struct storm {
	int fd;
	uint8_t endpoint;
	unsigned taken_back, too_late;
	uint8_t seen[STORM]; /* 1: RET_SUBMIT has come; 2: over */
};

/* SUBMIT 2i, and at once its UNLINK 2i + 1. */
static void *
storm_writer(void *arg)
{
	struct storm *s = arg;

	for (uint32_t i = 0; i < STORM; i++) {
		rig_submit(s->fd, &one, 2 * i, s->endpoint, 8);
		rig_unlink(s->fd, &one, 2 * i + 1, 2 * i);
	}
	return NULL;
}

static void
storm_reply(struct storm *s, const struct usbip_pdu *pdu)
{
	const uint32_t i = pdu->seqnum / 2;

	RIG_CHECK(i < STORM, "seqnum %u", pdu->seqnum);
	if (pdu->seqnum % 2 == 0) {
		RIG_EQ(pdu->command, USBIP_RET_SUBMIT);
		RIG_EQ(pdu->ret_submit.status, USBIP_OK);
		RIG_EQ(s->seen[i], 0);
		s->seen[i] = 1;
		return;
	}
	RIG_EQ(pdu->command, USBIP_RET_UNLINK);
	if (s->seen[i] == 1) {
		RIG_EQ(pdu->ret_unlink.status, USBIP_OK);
		s->too_late++;
	} else {
		RIG_EQ(s->seen[i], 0);
		RIG_EQ(pdu->ret_unlink.status, USBIP_ECONNRESET);
		s->taken_back++;
	}
	s->seen[i] = 2;
}

static void
run_storm(uint8_t endpoint)
{
	struct storm *s = calloc(1, sizeof *s);
	struct thread writer;

	ck_assert_ptr_nonnull(s);
	s->fd = rig_import(&rig, &one);
	s->endpoint = endpoint;
	ck_assert_int_eq(
	    thread_start(&writer, "storm", storm_writer, s), 0);
	while (s->taken_back + s->too_late < STORM) {
		const struct usbip_pdu pdu = rig_receive_pdu(s->fd);

		storm_reply(s, &pdu);
	}
	thread_join(&writer);
	/* Nothing more comes: an answered URB was the last. */
	rig_submit(s->fd, &one, 2 * STORM, RIG_INSTANT, 0);
	rig_expect_ret(s->fd, 2 * STORM, USBIP_OK, 0);
	close(s->fd);
	rig_await(&one, &one.released, 1);
	/* Where the device is slow, the bound is reached, and what is put aside
	 * there may be taken back before it begins; nothing else is left out. */
	ck_assert_uint_le(one.submits, STORM + 1);
	ck_assert_uint_gt(one.submits, s->too_late);
	/* Both outcomes, or this has tested nothing. */
	ck_assert_uint_gt(s->taken_back, 0);
	ck_assert_uint_gt(s->too_late, 0);
	free(s);
}

START_TEST(storm_against_a_lock)
{
	run_storm(RIG_LOCKED | 0x80);
}
END_TEST

START_TEST(storm_against_an_actor)
{
	run_storm(RIG_ACTOR | 0x80);
}
END_TEST

/* ---- Ends --------------------------------------------------------------- */

static void
submit_all_kinds(int fd, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		rig_submit(fd, &one, 10 * i, 0x80 | RIG_HELD, 100);
		rig_submit(fd, &one, 10 * i + 1, RIG_HELD, 5000);
		rig_submit(fd, &one, 10 * i + 2, 0x80 | RIG_ACTOR, 100);
		rig_submit(fd, &one, 10 * i + 3, 0x80 | RIG_LOCKED, 100);
		rig_submit(fd, &one, 10 * i + 4, 0x80 | RIG_INSTANT, 100);
		rig_submit(fd, &one, 10 * i + 5, 0x80 | RIG_PARTIAL, 100);
		rig_unlink(fd, &one, 10 * i + 6, 10 * i);
	}
}

START_TEST(an_importer_that_vanishes_frees_its_device)
{
	for (unsigned i = 1; i <= 20; i++) {
		const int fd = rig_import(&rig, &one);

		submit_all_kinds(fd, i);
		close(fd);
		rig_await(&one, &one.released, i);
	}
}
END_TEST

START_TEST(an_importer_that_does_not_read_ends_too)
{
	const int fd = rig_import(&rig, &one);

	/* More than the socket holds, so that the sender blocks. */
	for (uint32_t i = 0; i < 50; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_INSTANT, 1000000);
	rig_await(&one, &one.submits, 50);
	rig_submit(fd, &one, 100, 0x80 | RIG_HELD, 10);
	close(fd);
	rig_await(&one, &one.released, 1);
}
END_TEST

START_TEST(half_a_pdu_is_no_urb)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 1, RIG_HELD, 1000);
	const uint8_t some[500] = { 0 };

	rig_send_pdu(fd, &pdu);
	rig_send(fd, some, sizeof some);
	close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_eq(one.submits, 0);
}
END_TEST

START_TEST(unplugging_answers_what_is_pending)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < 100; i++)
		rig_submit(fd, &one, i, i % 2 == 0 ? 0x80 | RIG_HELD
						   : RIG_HELD, 100);
	rig_await(&one, &one.submits, 100);
	usbip_server_unplug(rig.server, &one.dev);
	{
		bool seen[100] = { false };

		for (int i = 0; i < 100; i++) {
			const struct usbip_pdu pdu = rig_receive_pdu(fd);

			RIG_EQ(pdu.command, USBIP_RET_SUBMIT);
			RIG_EQ(pdu.ret_submit.status, USBIP_ESHUTDOWN);
			RIG_CHECK(pdu.seqnum < 100 && !seen[pdu.seqnum],
			    "seqnum %u", pdu.seqnum);
			seen[pdu.seqnum] = true;
		}
	}
	rig_expect_end(fd);
	close(fd);
	rig_await(&one, &one.unplugged, 1);
	ck_assert_uint_eq(one.released, 1);
}
END_TEST

/* Also those that were put aside; but not one whose data is still to come. */
START_TEST(unplugging_at_the_bound)
{
	const int fd = rig_import(&rig, &one);
	const uint32_t all = USBIP_SERVER_URBS_MAX + 10;

	for (uint32_t i = 0; i < all; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 8);
	rig_unlink(fd, &one, all + 1, all + 2); /* all have been read */
	rig_expect_unlinked(fd, all + 1, USBIP_OK);
	if (_i == 1)
		rig_submit(fd, &one, all, RIG_HELD, 8);
	usbip_server_unplug(rig.server, &one.dev);
	for (uint32_t i = 0; i < all; i++) {
		const struct usbip_pdu pdu = rig_receive_pdu(fd);

		RIG_EQ(pdu.ret_submit.status, USBIP_ESHUTDOWN);
		RIG_CHECK(pdu.seqnum < all, "seqnum %u", pdu.seqnum);
	}
	rig_expect_end(fd);
	close(fd);
	rig_await(&one, &one.unplugged, 1);
	ck_assert_uint_eq(one.submits, USBIP_SERVER_URBS_MAX);
}
END_TEST

START_TEST(unplugging_while_the_importer_does_not_read)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < 50; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_INSTANT, 1000000);
	rig_await(&one, &one.submits, 50);
	rig_unplug(&rig, &one);
	close(fd);
}
END_TEST

START_TEST(the_server_can_end_at_any_time)
{
	const int importing = rig_import(&rig, &one);
	const int watching = rig_connect(&rig), idle = rig_connect(&rig);

	rig_send_devlist(watching, USBIP_WATCH);
	submit_all_kinds(importing, 20);
	rig_plug(&rig, &two);
	rig_close(&rig);
	ck_assert_uint_eq(one.unplugged, 1);
	ck_assert_uint_eq(two.unplugged, 1);
	close(importing);
	close(watching);
	close(idle);
	rig_open(&rig); /* for the teardown */
}
END_TEST

/* ---- Watch -------------------------------------------------------------- */

START_TEST(watchers_hear_of_every_change)
{
	const int fd = rig_connect(&rig);
	char list[512];
	int importing;

	rig_send_devlist(fd, USBIP_WATCH);
	rig_receive_devlist(fd, list);
	ck_assert_str_eq(list, "3-1 ");

	/* What is in use stays in the list, and is no change. */
	importing = rig_import(&rig, &one);
	rig_plug(&rig, &two);
	rig_receive_devlist(fd, list);
	ck_assert_str_eq(list, "3-1 3-2 ");

	rig_unplug(&rig, &one);
	rig_receive_devlist(fd, list);
	ck_assert_str_eq(list, "3-2 ");
	close(importing);
	rig_unplug(&rig, &two);
	rig_receive_devlist(fd, list);
	ck_assert_str_eq(list, "");
	close(fd);
}
END_TEST

START_TEST(a_slow_watcher_gets_the_newest_list)
{
	enum { MANY = 200, CHANGES = 2000 };
	static struct rig_device many[MANY];
	const int fd = rig_connect(&rig);
	char list[512] = "";
	int lists = 0;

	/* The lists of all these changes fit into no socket. */
	rig_send_devlist(fd, USBIP_WATCH);
	rig_unplug(&rig, &one);
	for (int i = 0; i < MANY; i++) {
		char busid[16];

		snprintf(busid, sizeof busid, "4-%d", i);
		rig_device_init(&many[i], busid, (uint32_t)i);
		rig_plug(&rig, &many[i]);
	}
	for (int i = 0; i < CHANGES; i++) {
		two.unplugged = 0;
		rig_plug(&rig, &two);
		rig_unplug(&rig, &two);
	}
	for (int i = 0; i < MANY; i++) {
		rig_unplug(&rig, &many[i]);
		rig_device_fini(&many[i]);
	}
	rig_plug(&rig, &two);
	while (strcmp(list, "3-2 ") != 0) {
		rig_receive_devlist(fd, list);
		lists++;
	}
	ck_assert_int_lt(lists, CHANGES);
	close(fd);
}
END_TEST

START_TEST(a_watcher_that_talks_or_leaves_is_let_go)
{
	const int talks = rig_connect(&rig), leaves = rig_connect(&rig);
	char list[512];

	rig_send_devlist(talks, USBIP_WATCH);
	rig_receive_devlist(talks, list);
	rig_send(talks, "x", 1);
	rig_expect_end(talks);
	close(talks);
	rig_send_devlist(leaves, USBIP_WATCH);
	close(leaves);
	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "3-1 ");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_unlink");
	TCase *tc = tcase_create("ends");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, two_setup, two_teardown);
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, unlink_of_a_pending_urb_replaces_its_reply);
	tcase_add_test(tc, unlink_that_comes_too_late_follows_the_reply);
	tcase_add_test(tc, a_urb_that_is_unlinked_twice_is_cancelled_once);
	tcase_add_test(tc, unlink_before_its_submit_takes_it_back_unbegun);
	tcase_add_test(tc, a_submit_that_was_taken_back_first_is_no_urb);
	tcase_add_test(tc, unlink_whose_submit_never_comes_is_answered);
	tcase_add_test(tc, unlinks_without_number_end_too);
	tcase_add_test(tc, data_that_a_cancelled_read_has_is_not_lost);
	tcase_add_test(tc, storm_against_a_lock);
	tcase_add_test(tc, storm_against_an_actor);
	tcase_add_test(tc, an_importer_that_vanishes_frees_its_device);
	tcase_add_test(tc, an_importer_that_does_not_read_ends_too);
	tcase_add_test(tc, half_a_pdu_is_no_urb);
	tcase_add_test(tc, unplugging_answers_what_is_pending);
	tcase_add_loop_test(tc, unplugging_at_the_bound, 0, 2);
	tcase_add_test(tc, unplugging_while_the_importer_does_not_read);
	tcase_add_test(tc, the_server_can_end_at_any_time);
	tcase_add_test(tc, watchers_hear_of_every_change);
	tcase_add_test(tc, a_slow_watcher_gets_the_newest_list);
	tcase_add_test(tc, a_watcher_that_talks_or_leaves_is_let_go);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
