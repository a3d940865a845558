/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each misbehaviour, as it is seen on the wire. */
#include <string.h>

#include "scmdev_rig.h"

#define BULK SCMDEV_IN

static void
plug(void)
{
	scm_plug(NULL);
}

static void
take_down(void)
{
	behaved(); /* it was not the host */
	scm_unplug();
}

static void
be(const char *kind)
{
	COMMAND("{\"ok\":true}", "misbehave %s", kind);
}

/* Socket 0 is connected: the next message is 2. */
static void
connect_socket(void)
{
	command("open");
	host_fetches(BULK);
	host_sends(0x01, "04 00 00 00 00000000");
	command("connect 0 192.0.2.1 80");
	host_fetches(BULK);
	host_sends(0x01, "04 01 00 00 00000000");
	command("take");
}

START_TEST(split)
{
	be("split/3");
	command("open");
	host_gets(BULK, "00 00 00");
	host_gets(BULK, "00 0200 0600");
	be("split/100"); /* of eight bytes, at the last place */
	command("open");
	host_gets(BULK, "00 01 01 00 0200 06");
	host_gets(BULK, "00");
}
END_TEST

START_TEST(split_everywhere)
{
	uint8_t whole[72];
	uint32_t n;

	connect_socket();
	be("split");
	for (uint32_t at = 1; at <= 64; at++) {
		const struct test_urb *t;

		command("write 0 %0128d", 0);
		t = host_fetches(BULK);
		ck_assert_uint_eq(t->actual, at);
		memcpy(whole, t->bytes, n = t->actual);
		t = host_fetches(BULK);
		ck_assert_uint_eq(n + t->actual, sizeof whole);
		memcpy(whole + n, t->bytes, t->actual);
		ck_assert_uint_eq(whole[0], SCMDEV_WRITE);
		ck_assert_uint_eq(whole[4], 64);
		ck_assert_uint_eq(whole[71], 0);
	}
	host_gets_nothing(BULK);
}
END_TEST

START_TEST(pack)
{
	be("pack");
	command("open");
	command("open");
	command("open");
	host_gets(BULK, "00 00 00 00 0200 0600 00 01 01 00 0200 0600");
	host_gets(BULK, "00 02 02 00 0200 0600");
	be("pack/3");
	for (int i = 0; i < 3; i++)
		command("open");
	host_gets(BULK, "00 03 03 00 0200 0600 00 04 04 00 0200 0600"
	    "00 05 05 00 0200 0600");
	host_gets_nothing(BULK);
}
END_TEST

START_TEST(never_ack)
{
	connect_socket();
	be("never-ack");
	host_sends(0x01, "03 00 00 00 01000000 00");
	host_sends(0x01, "02 01 00 00 00000000");
	host_gets_nothing(BULK);
	be("none");
	command("close 0");
	host_gets(BULK, "02 02 00 00 00000000");
}
END_TEST

START_TEST(double_ack)
{
	connect_socket();
	be("double-ack");
	host_sends(0x01, "03 05 00 00 01000000 00");
	host_gets(BULK, "04 05 00 00 00000000");
	host_gets(BULK, "04 05 00 00 00000000");
	host_gets_nothing(BULK);
}
END_TEST

START_TEST(stray_answers)
{
	connect_socket();
	be("stray-ack");
	host_sends(0x01, "03 05 00 00 01000000 00");
	host_gets(BULK, "04 85 00 00 00000000");
	host_gets(BULK, "04 05 00 00 00000000");
	be("stray-reply");
	host_sends(0x01, "03 05 00 00 01000000 00");
	host_gets(BULK, "05 85 00 00 04000000 00000000");
	host_gets(BULK, "04 05 00 00 00000000");
	host_gets_nothing(BULK);
}
END_TEST

/* What the host says to it is what the socket does not hear. */
START_TEST(duplicate_open)
{
	be("duplicate-open");
	command("open");
	host_gets(BULK, "00 00 00 00 0200 0600");
	host_gets(BULK, "00 01 00 00 0200 0600");
	host_sends(0x01, "04 00 00 00 00000000");
	host_sends(0x01, "04 01 00 00 efffffff");
	command("connect 0 192.0.2.1 80");
	host_gets(BULK, "01 02 00 00 10000000 0200 0050 c0000201"
	    "00000000 00000000");
}
END_TEST

START_TEST(early_write)
{
	command("open");
	host_fetches(BULK);
	host_sends(0x01, "04 00 00 00 00000000");
	be("early-write");
	command("connect 0 192.0.2.1 80");
	host_gets(BULK, "03 02 00 00 05000000 6561726c79");
	host_gets(BULK, "01 01 00 00 10000000 0200 0050 c0000201"
	    "00000000 00000000");
	host_sends(0x01, "04 02 00 00 95ffffff");
	host_sends(0x01, "04 01 00 00 00000000");
}
END_TEST

START_TEST(late_write)
{
	connect_socket();
	be("late-write");
	command("close 0");
	host_gets(BULK, "02 02 00 00 00000000");
	host_gets(BULK, "03 03 00 00 04000000 6c617465");
	host_sends(0x01, "04 02 00 00 00000000");
	host_sends(0x01, "04 03 00 00 f7ffffff");
}
END_TEST

START_TEST(odd_lengths)
{
	connect_socket();
	be("empty-write");
	command("write 0 2a");
	host_gets(BULK, "03 03 00 00 00000000");
	host_gets(BULK, "03 02 00 00 01000000 2a");
	be("huge-length");
	command("write 0 2a");
	host_gets(BULK, "03 04 00 00 ffffffff");
	host_gets(BULK, "03 04 00 00 01000000 2a");
	command("write 0 2b"); /* once is enough */
	host_gets(BULK, "03 05 00 00 01000000 2b");
}
END_TEST

START_TEST(unknown_opcode)
{
	be("unknown-opcode");
	command("open");
	host_gets(BULK, "7f 00 00 00 00000000");
	host_gets(BULK, "00 00 00 00 0200 0600");
}
END_TEST

/* Amid a transfer: what has gone is gone, the rest waits for a host that will
 * not get it. */
START_TEST(unplug)
{
	struct test_urb *t;

	connect_socket();
	be("unplug/20");
	command("write 0 01"); /* 9 bytes */
	host_gets(BULK, "03 02 00 00 01000000 01");
	ck_assert(!dev->leaving);
	command("write 0 0102030405060708");
	t = submit(BULK, NULL, 512);
	ck_assert_int_eq(t->status, PENDING);
	ck_assert(dev->leaving);
	device_restart(dev);
	dev->leaving = false;
	ck_assert_mem_eq(t->bytes, "\3\3\0\0\10\0\0\0\1\2\3", 11);
	expect(t, USBIP_ESHUTDOWN, 11);
	configure(1);
	command("open");
	ck_assert_uint_eq(host_fetches(BULK)->actual, 8);
}
END_TEST

START_TEST(deaf)
{
	struct test_urb *t;

	be("deaf");
	t = submit(0x01, "x", 1);
	ck_assert_int_eq(t->status, PENDING);
	device_cancel(dev, &t->u);
	expect(t, USBIP_ECONNRESET, 0);
}
END_TEST

START_TEST(names)
{
	COMMAND("{\"error\":\"misbehave: 'sing' is none that it knows; see "
	    "muxphone(1)\"}", "misbehave sing");
	COMMAND("{\"error\":\"misbehave: '0' is no number from 1\"}",
	    "misbehave split/0");
	COMMAND("{\"error\":\"misbehave: '1x' is no number from 1\"}",
	    "misbehave split/1x");
	be("deaf");
	be("none");
	ck_assert_str_eq(scmdev_misbehaviour_name(scm()->misbehaviour),
	    "none");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/scm-misbehave");
	TCase *t = tcase_create("on the wire");

	tcase_add_checked_fixture(t, plug, take_down);
	tcase_add_test(t, split);
	tcase_add_test(t, split_everywhere);
	tcase_add_test(t, pack);
	tcase_add_test(t, never_ack);
	tcase_add_test(t, double_ack);
	tcase_add_test(t, stray_answers);
	tcase_add_test(t, duplicate_open);
	tcase_add_test(t, early_write);
	tcase_add_test(t, late_write);
	tcase_add_test(t, odd_lengths);
	tcase_add_test(t, unknown_opcode);
	tcase_add_test(t, unplug);
	tcase_add_test(t, deaf);
	tcase_add_test(t, names);
	suite_add_tcase(s, t);
	return unit_run(s);
}
