/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a host must not do, each by itself; and what it may. */
#include <stdio.h>
#include <string.h>

#include "scmdev_rig.h"

#define BULK SCMDEV_IN
#define EVENT SCMDEV_EVENT_IN

/* ---- Dialect 8 ----------------------------------------------------------
 * Socket 0 is connected; the device's messages 0 and 1 have been answered. */

static void
plug_8(void)
{
	scm_plug("acks=off");
	command("open");
	host_fetches(BULK);
	host_sends(0x01, "04 00 00 00 00000000");
	command("connect 0 192.0.2.1 80");
	host_fetches(BULK);
	host_sends(0x01, "04 01 00 00 00000000");
	command("take");
	behaved();
}

static void
take_down(void)
{
	scm_unplug();
}

/* What the host says behind the commands; and which violation that is, if any
 * (behind what it may say). */
struct story {
	const char *commands; /* one a line */
	const char *hex[3];
	const char *violation;
};

static void
tell(const struct story *st)
{
	char commands[200], *rest = NULL;

	snprintf(commands, sizeof commands, "%s", st->commands);
	for (char *c = strtok_r(commands, "\n", &rest); c != NULL;
	     c = strtok_r(NULL, "\n", &rest)) {
		command("%s", c);
		host_fetches(BULK);
	}
	for (int i = 0; i < UNIT_COUNT(st->hex) && st->hex[i] != NULL; i++) {
		behaved();
		host_sends(0x01, st->hex[i]);
	}
	if (st->violation != NULL)
		violated(st->violation, 1);
	else
		behaved();
}

static const struct story stories_8[] = {
	/* Answers. */
	{ "", { "04 50 00 00 00000000" }, "ack_unknown" },
	{ "", { "05 50 00 00 04000000 00000000" }, "ack_unknown" },
	{ "", { "04 00 00 00 00000000" }, "ack_twice" },
	{ "write 0 00", { "04 02 00 00 00000000", "04 02 00 00 00000000" },
	    "ack_twice" },
	{ "write 0 00", { "04 02 01 00 00000000" }, "ack_socket" },
	{ "write 0 00", { "05 02 00 00 04000000 00000000" }, "ack_kind" },
	{ "open", { "05 02 01 00 04000000 00000000" }, "ack_kind" },
	{ "close 0", { "05 02 00 00 04000000 00000000" }, "ack_kind" },
	{ "setopt 0 6 1 00000000", { "05 02 00 00 04000000 00000000" },
	    "ack_kind" },
	{ "getopt 0 6 1 4", { "04 02 00 00 00000000" }, "ack_kind" },
	{ "ioctl 0 1", { "04 02 00 00 00000000" }, "ack_kind" },
	{ "getopt 0 6 1 4", { "04 02 00 00 a4ffffff" }, NULL },
	{ "getopt 0 6 1 4", { "05 02 00 00 03000000 000000" }, "length" },
	{ "open", { "04 02 01 00 01000000" }, "ack_code" },
	{ "close 0", { "04 02 00 00 01000000" }, "ack_code" },
	{ "write 0 00", { "04 02 00 00 00f0ffff" }, "ack_code" }, /* -4096 */
	{ "write 0 00", { "04 02 00 00 01f0ffff" }, NULL },
	{ "write 0 00", { "04 02 00 00 00100000" }, NULL },
	/* In any order. */
	{ "write 0 00\nwrite 0 01", { "04 03 00 00 00000000",
	    "04 02 00 00 00000000" }, NULL },

	/* Sockets. */
	{ "", { "03 00 07 00 01000000 00" }, "unknown_socket" },
	{ "", { "02 00 07 00 00000000" }, "unknown_socket" },
	{ "open", { "03 00 01 00 01000000 00" }, "early" },
	{ "open", { "02 00 01 00 00000000" }, "early" },
	{ "open", { "04 02 01 00 00000000", "03 00 01 00 01000000 00" },
	    "early" },
	{ "", { "03 00 00 00 01000000 00", "02 01 00 00 00000000",
	    "03 02 00 00 01000000 00" }, "late" },
	{ "", { "02 00 00 00 00000000", "02 01 00 00 00000000" }, "late" },
	{ "close 0", { "03 00 00 00 01000000 00", "02 01 00 00 00000000",
	    "04 02 00 00 00000000" }, NULL },
	{ "close 0", { "04 02 00 00 00000000", "03 00 00 00 01000000 00" },
	    "unknown_socket" },

	/* Messages. */
	{ "", { "03 05 00 00 00000000" }, NULL },
	{ "", { "03 05 00 00 01000000 00", "03 05 00 00 01000000 00" },
	    "id_reused" },
	{ "", { "03 05 00 00 01000000 00", "02 05 00 00 00000000" },
	    "id_reused" },
	{ "", { "02 00 00 00 01000000" }, "reserved" },
	{ "", { "03 00 00 01 01000000 00" }, "reserved" },
	{ "", { "00 00 05 00 02000600" }, "direction" },
	{ "", { "01 00 00 00 08000000 0200005000000000" }, "direction" },
	{ "", { "06 00 00 00 04000000 00000000" }, "direction" },
	{ "", { "07 00 00 00 04000000 00000000" }, "direction" },
	{ "", { "08 00 00 00 04000000 00000000" }, "direction" },
	{ "", { "03 00 00 00 ffffffff" }, "length" },
	{ "", { "03 00 00 00 01000100" }, "length" }, /* 65537 */
	{ "", { "09 00 00 00 00000000" }, "opcode" },
	{ "", { "ff 00 00 00 00000000" }, "opcode" },

	/* Two and three messages in a transfer. */
	{ "", { "03 00 00 00 01000000 00 03 01 00 00 00000000"
	    "02 02 00 00 00000000" }, NULL },
	/* And one in two. */
	{ "", { "03 00 00 00 0200" }, "split" },
	{ "", { "03 00 00 00 02000000 00" }, "split" },
};

START_TEST(dialect_8)
{
	tell(&stories_8[_i]);
}
END_TEST

/* Nobody knows where messages begin: nothing is heard until the device is
 * configured anew. */
START_TEST(lost)
{
	host_sends(0x01, "ff 00 00 00 00000000");
	host_sends(0x01, "03 00 00 00 00000000");
	ck_assert_uint_eq(counted("messages_in"), 2); /* those of plug_8() */
	configure(1);
	command("open");
	host_gets(BULK, "00 00 01 00 0200 0600");
	host_sends(0x01, "04 00 01 00 00000000");
	ck_assert_uint_eq(counted("messages_in"), 3);
	violated("opcode", 1);
}
END_TEST

/* A message is heard wherever the host cuts it, and each cut is counted. */
START_TEST(split_anywhere)
{
	uint8_t message[72] = { SCMDEV_WRITE, 9, 0, 0, 64 };
	unsigned cuts = 0;

	scm()->acks = true;
	for (size_t i = 8; i < sizeof message; i++)
		message[i] = (uint8_t)(i * 7);
	for (uint32_t at = 1; at < sizeof message; at++) {
		expect(submit(0x01, message, at), USBIP_OK, at);
		ck_assert_ptr_null(scm()->heard);
		expect(submit(0x01, message + at,
			(uint32_t)sizeof message - at), USBIP_OK,
		    (uint32_t)sizeof message - at);
		ck_assert_uint_eq(scm()->heard->len, sizeof message);
		ck_assert_mem_eq(scm()->heard->bytes, message, sizeof message);
		command("take");
		host_gets(BULK, "04 09 00 00 00000000");
		violated("split", ++cuts);
	}
}
END_TEST

/* The longest message in one transfer, in URBs of 512 bytes each. */
START_TEST(many_urbs)
{
	static uint8_t message[8 + 65536] = { SCMDEV_WRITE, 9, 0, 0, 0, 0, 1 };

	memset(message + 8, 0x5a, sizeof message - 8);
	for (uint32_t at = 0; at < sizeof message; at += 512) {
		const uint32_t n = sizeof message - at < 512
		    ? (uint32_t)sizeof message - at : 512;

		expect(submit(0x01, message + at, n), USBIP_OK, n);
	}
	ck_assert_uint_eq(scm()->heard->len, sizeof message);
	ck_assert_mem_eq(scm()->heard->bytes, message, sizeof message);
	behaved();
}
END_TEST

static void
send_512(bool end)
{
	const uint8_t message[512] = { SCMDEV_WRITE, 9, 0, 0, 0xf8, 1 };
	struct test_urb *t = make_urb(0x01, message, sizeof message);

	t->u.flags = end ? USBIP_ZERO_PACKET : 0;
	device_submit(dev, &t->u);
	expect(t, USBIP_OK, sizeof message);
}

START_TEST(zero_length_packets)
{
	scm()->style.hss = false;
	scm()->acks = true;
	send_512(true);
	main_round(0);
	send_512(false);
	main_round(0);
	expect(submit(0x01, "", 0), USBIP_OK, 0);
	behaved();
	send_512(false);
	main_round(0);
	behaved();
	scm()->in.open_since.ns -= INT64_C(1000000) * SCMDEV_ZLP_MS;
	main_round(0);
	violated("zlp_missing", 1);
	main_round(0);
	violated("zlp_missing", 1);
	scm()->strict.count[SCMDEV_V_ZLP_MISSING] = scm()->strict.total = 0;
	expect(submit(0x01, "", 0), USBIP_OK, 0);
	violated("zlp_needless", 1);
}
END_TEST

/* What a raw socket is sent is kept, so much and no more. */
START_TEST(nobody_takes)
{
	struct test_urb *t = NULL;
	unsigned taken = 0;

	scm()->acks = true;
	for (;;) {
		static const uint8_t message[8 + 4096] = {
			SCMDEV_WRITE, 9, 0, 0, 0, 16,
		};

		t = submit(0x01, message, sizeof message);
		if (t->status == PENDING)
			break;
		expect(t, USBIP_OK, sizeof message);
		host_gets(BULK, "04 09 00 00 00000000");
		ck_assert_uint_lt(++taken, 1000);
	}
	ck_assert_uint_ge(taken * 4096, SCMDEV_HEARD_BYTES_MAX - 8192);
	command("take");
	ck_assert_int_eq(t->status, USBIP_OK);
	behaved();
}
END_TEST

/* ---- Dialect 12: socket 256 ---------------------------------------------- */

static void
plug_12(void)
{
	scm_plug("dialect=12");
	command("open");
	host_fetches(EVENT);
	host_sends(0x02, "0400 0000 00010000 03000000 0000 00");
	command("connect 256 192.0.2.1 80");
	host_fetches(EVENT);
	host_sends(0x02, "0400 0100 00010000 03000000 0100 00");
	command("take");
	behaved();
}

static const struct story12 {
	const char *command; /* whose message the device has sent */
	uint8_t endpoint;
	const char *hex[2];
	const char *violation;
} stories_12[] = {
	{ "write 256 00", 2, { "0400 0200 00010000 03000000 0300 00" }, NULL },
	{ "write 256 00", 2, { "0400 0200 00010000 03000000 0100 00" },
	    "ack_kind" },
	{ "write 256 00", 2, { "0400 0200 01010000 03000000 0300 00" },
	    "ack_socket" },
	{ "write 256 00", 2, { "0400 0200 00010000 03000000 0300 09" },
	    "ack_code" },
	{ "write 256 00", 2, { "0400 0300 00010000 03000000 0300 00" },
	    "ack_unknown" },
	{ "write 256 00", 2, { "0400 0200 00010000 04000000 0300 0000" },
	    "length" },
	{ "write 256 00", 2, { "0400 0200 00010000 02000000 0300" },
	    "length" },
	{ "write 256 00", 2, { "0500 0200 00010000 03000000 0300 00" },
	    "ack_kind" },
	{ "write 256 00", 1, { "0400 0200 00010000 03000000 0300 00" },
	    "pipe" },
	{ "", 2, { "0300 0000 00010000 01000000 00" }, "pipe" },
	{ "", 2, { "0600 0000 00010000 00000000 00" }, "length" },
	{ "", 2, { "0600 0000 00010000 01000000" }, "length" },
	{ "", 2, { "0600 0000" }, "length" },
	{ "", 2, { "0700 0000 00010000 00000000" }, "opcode" },
	{ "", 2, { "0600 0000 00010000 01000000 00" }, "length" },
	{ "", 2, { "0600 0000 02010000 00000000" }, "unknown_socket" },
	{ "", 1, { "0300 0000 02010000 01000000 00" }, "unknown_socket" },
	{ "", 2, { "0200 0000 00010000 00000000" }, "direction" },
	{ "", 2, { "0100 0000 00010000 00000000" }, "direction" },
	/* An unknown opcode has a length all the same. */
	{ "", 1, { "0700 0000 00010000 02000000 ffff"
	    "0300 0100 00010000 01000000 00" }, "opcode" },
	{ "", 1, { "0300 0000 00010000 ffffffff" }, "length" },
	/* Ids mean less there. */
	{ "", 1, { "0300 0500 00010000 01000000 00",
	    "0300 0500 00010000 01000000 00" }, NULL },
	{ "connect 256 192.0.2.1 81", 1, { "0300 0500 00010000 01000000 00" },
	    NULL },
};

START_TEST(dialect_12)
{
	const struct story12 *st = &stories_12[_i];

	if (st->command[0] != '\0') {
		command("%s", st->command);
		host_fetches(strncmp(st->command, "write", 5) == 0 ? BULK
								   : EVENT);
	}
	for (int i = 0; i < UNIT_COUNT(st->hex) && st->hex[i] != NULL; i++)
		host_sends(st->endpoint, st->hex[i]);
	if (st->violation != NULL)
		violated(st->violation, 1);
	else
		behaved();
}
END_TEST

/* Pipes do not wait for one another: data that was under way when the socket
 * ended is none that the host sent too late; but the host's own CLOSE must not
 * overtake it. */
START_TEST(two_pipes)
{
	command("close 256");
	host_fetches(EVENT);
	host_sends(0x02, "0400 0200 00010000 03000000 0600 00");
	host_sends(0x01, "0300 0500 00010000 01000000 00");
	ck_assert_uint_eq(counted("late"), 1);
	behaved();
	command("open");
	host_fetches(EVENT);
	host_sends(0x02, "0400 0300 01010000 03000000 0000 00");
	command("connect 257 192.0.2.1 80");
	host_fetches(EVENT);
	host_sends(0x01, "0300 0600 01010000 01000000 00");
	host_sends(0x02, "0400 0400 01010000 03000000 0100 00");
	behaved();
	host_sends(0x02, "0600 0700 01010000 00000000");
	host_sends(0x01, "0300 0800 01010000 01000000 00");
	violated("late", 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/scm-judge");
	TCase *t = tcase_create("dialect 8");

	tcase_add_checked_fixture(t, plug_8, take_down);
	tcase_add_loop_test(t, dialect_8, 0, UNIT_COUNT(stories_8));
	tcase_add_test(t, lost);
	tcase_add_test(t, split_anywhere);
	tcase_add_test(t, many_urbs);
	tcase_add_test(t, zero_length_packets);
	tcase_add_test(t, nobody_takes);
	suite_add_tcase(s, t);
	t = tcase_create("dialect 12");
	tcase_add_checked_fixture(t, plug_12, take_down);
	tcase_add_loop_test(t, dialect_12, 0, UNIT_COUNT(stories_12));
	tcase_add_test(t, two_pipes);
	suite_add_tcase(s, t);
	return unit_run(s);
}
