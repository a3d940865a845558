/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Socket Control Model byte by byte, in both dialects: each message that
 * the device sends, and each that it is sent. */
#include <stdio.h>
#include <string.h>

#include "scmdev_rig.h"

#define OK(socket, message) \
	"{\"ok\":true,\"socket\":" #socket ",\"message\":" #message "}"
#define BULK SCMDEV_IN
#define EVENT SCMDEV_EVENT_IN

static void
take_down(void)
{
	scm_unplug();
}

/* ---- Dialect 8 ---------------------------------------------------------- */

static void
plug_8(void)
{
	scm_plug(NULL);
}

START_TEST(descriptors_8)
{
	static const uint8_t configuration[] = {
		9, 2, 32, 0, 1, 1, 0, 0xc0, 1,
		9, 4, 0, 0, 2, 0xff, 0xab, 0, 4,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x01, 2, 0x00, 0x02, 0,
	};
	struct test_urb *t = control(0x80, 6, 0x0100, 0, 18);

	ck_assert_uint_eq(t->bytes[8] | t->bytes[9] << 8, 0x1209);
	ck_assert_uint_eq(t->bytes[10] | t->bytes[11] << 8, 0x0002);
	expect(t, USBIP_OK, 18);
	expect_control(0x80, 6, 0x0200, 0, 255, USBIP_OK, configuration,
	    sizeof configuration);
}
END_TEST

START_TEST(opens_8)
{
	COMMAND(OK(0, 0), "open");
	host_gets(BULK, "00 00 00 00 0200 0600");
	COMMAND(OK(1, 1), "open tcp inet6");
	host_gets(BULK, "00 01 01 00 0a00 0600");
	COMMAND(OK(2, 2), "open udp");
	host_gets(BULK, "00 02 02 00 0200 1100");
	COMMAND(OK(3, 3), "open udp inet6");
	host_gets(BULK, "00 03 03 00 0a00 1100");
	host_sends(0x01, "04 00 00 00 00000000");
	host_sends(0x01, "04 03 03 00 a3ffffff"); /* -EPROTONOSUPPORT */
	COMMAND("{\"messages\":["
	    "{\"opcode\":\"ACK\",\"message\":0,\"socket\":0,\"code\":0,"
	    "\"raw\":\"0400000000000000\"},"
	    "{\"opcode\":\"ACK\",\"message\":3,\"socket\":3,\"code\":-93,"
	    "\"raw\":\"04030300a3ffffff\"}]}", "take");
	COMMAND("{\"messages\":[]}", "take");
	COMMAND("{\"error\":\"socket 3 is none that 'open' has made\"}",
	    "write 3 00");
	behaved();
}
END_TEST

/* Socket 0 is connected; the next message is 2. */
static void
connect_8(void)
{
	COMMAND(OK(0, 0), "open");
	host_gets(BULK, "00 00 00 00 0200 0600");
	host_sends(0x01, "04 00 00 00 00000000");
	COMMAND(OK(0, 1), "connect 0 192.0.2.1 80");
	host_gets(BULK, "01 01 00 00 10000000"
	    "0200 0050 c0000201 0000000000000000");
	host_sends(0x01, "04 01 00 00 00000000");
	command("take");
}

START_TEST(addresses_8)
{
	connect_8();
	COMMAND(OK(0, 2), "connect 0 2001:db8::1 443");
	host_gets(BULK, "01 02 00 00 1c000000 0a00 01bb 00000000"
	    "20010db8 00000000 00000000 00000001 00000000");
	COMMAND("{\"error\":\"connect: 'localhost' is no address of IPv4 or "
	    "IPv6; the protocol carries no names\"}",
	    "connect 0 localhost 80");
	COMMAND("{\"error\":\"connect: '65536' is no port from 1 to 65535\"}",
	    "connect 0 192.0.2.1 65536");
}
END_TEST

START_TEST(data_8)
{
	connect_8();
	COMMAND(OK(0, 2), "write 0 68690a");
	host_gets(BULK, "03 02 00 00 03000000 68690a");
	host_sends(0x01, "04 02 00 00 00000000");
	COMMAND(OK(0, 3), "write 0");
	host_gets(BULK, "03 03 00 00 00000000");
	host_sends(0x01, "04 03 00 00 05000000"); /* "changed behaviour" */
	command("take");
	host_sends(0x01, "03 c8 00 00 02000000 6f6b");
	host_gets(BULK, "04 c8 00 00 00000000");
	COMMAND("{\"messages\":[{\"opcode\":\"WRITE\",\"message\":200,"
	    "\"socket\":0,\"data\":\"6f6b\",\"raw\":\"03c80000020000006f6b\"}"
	    "]}", "take");
	host_sends(0x01, "03 c8 00 00 00000000");
	host_gets(BULK, "04 c8 00 00 00000000");
	behaved();
}
END_TEST

START_TEST(options_8)
{
	connect_8();
	COMMAND(OK(0, 2), "setopt 0 6 1 01000000");
	host_gets(BULK, "07 02 00 00 0c000000 06000000 01000000 01000000");
	host_sends(0x01, "04 02 00 00 a4ffffff"); /* -ENOPROTOOPT */
	COMMAND(OK(0, 3), "getopt 0 1 4 4");
	host_gets(BULK, "08 03 00 00 0c000000 01000000 04000000 04000000");
	host_sends(0x01, "05 03 00 00 08000000 00000000 6f000000");
	COMMAND(OK(0, 4), "ioctl 0 0x541b");
	host_gets(BULK, "06 04 00 00 04000000 1b540000");
	host_sends(0x01, "04 04 00 00 e7ffffff"); /* -ENOTTY */
	COMMAND("{\"messages\":["
	    "{\"opcode\":\"ACK\",\"message\":2,\"socket\":0,\"code\":-92,"
	    "\"raw\":\"04020000a4ffffff\"},"
	    "{\"opcode\":\"REPLY\",\"message\":3,\"socket\":0,\"code\":0,"
	    "\"data\":\"6f000000\","
	    "\"raw\":\"0503000008000000000000006f000000\"},"
	    "{\"opcode\":\"ACK\",\"message\":4,\"socket\":0,\"code\":-25,"
	    "\"raw\":\"04040000e7ffffff\"}]}", "take");
	behaved();
}
END_TEST

START_TEST(closes_8)
{
	connect_8();
	host_sends(0x01, "02 07 00 00 00000000");
	host_gets(BULK, "04 07 00 00 00000000");
	COMMAND(OK(0, 2), "close 0 -5");
	host_gets(BULK, "02 02 00 00 fbffffff");
	/* What is under way then is answered all the same. */
	host_sends(0x01, "04 02 00 00 00000000");
	ck_assert_uint_eq(counted("current"), 0);
	COMMAND(OK(1, 3), "open");
	host_gets(BULK, "00 03 01 00 0200 0600");
	behaved();
}
END_TEST

START_TEST(crossing_8)
{
	connect_8();
	COMMAND(OK(0, 2), "close 0");
	host_gets(BULK, "02 02 00 00 00000000");
	host_sends(0x01, "03 09 00 00 02000000 6869");
	host_gets(BULK, "04 09 00 00 e0ffffff"); /* -EPIPE */
	host_sends(0x01, "04 02 00 00 00000000");
	ck_assert_uint_eq(counted("late"), 1);
	behaved();
}
END_TEST

START_TEST(little_endian_addresses)
{
	scm_plug("address-order=little,sockaddr=8");
	command("open");
	host_gets(BULK, "00 00 00 00 0200 0600");
	host_sends(0x01, "04 00 00 00 00000000");
	command("connect 0 192.0.2.1 80");
	host_gets(BULK, "01 01 00 00 08000000 0200 5000 010200c0");
	command("connect 0 2001:db8::1 443");
	host_gets(BULK, "01 02 00 00 1c000000 0a00 bb01 00000000"
	    "20010db8 00000000 00000000 00000001 00000000");
	scm_unplug();
}
END_TEST

/* Ids are not used again before their answer: 256 messages, and no more. */
START_TEST(outstanding_8)
{
	char hex[32];

	connect_8();
	for (unsigned i = 0; i < 256; i++) {
		const unsigned id = (2 + i) % 256;

		command("write 0 00");
		snprintf(hex, sizeof hex, "03 %02x 00 00 01000000 00", id);
		host_gets(BULK, hex);
	}
	COMMAND("{\"error\":\"256 messages wait for answers, or out of "
	    "memory\"}", "write 0 00");
	host_sends(0x01, "04 64 00 00 00000000");
	COMMAND(OK(0, 100), "write 0 00");
	ck_assert_uint_eq(counted("most_waiting"), 256);
	behaved();
}
END_TEST

/* ---- Dialect 12 --------------------------------------------------------- */

static void
plug_12(void)
{
	scm_plug("dialect=12");
}

START_TEST(descriptors_12)
{
	static const uint8_t configuration[] = {
		9, 2, 46, 0, 1, 1, 0, 0xc0, 1,
		9, 4, 0, 0, 4, 0xff, 0xab, 0, 4,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x01, 2, 0x00, 0x02, 0,
		7, 5, 0x82, 3, 0x40, 0x00, 6,
		7, 5, 0x02, 3, 0x40, 0x00, 6,
	};
	struct test_urb *t = control(0x80, 6, 0x0100, 0, 18);

	ck_assert_uint_eq(t->bytes[8] | t->bytes[9] << 8, 0x2fe0);
	ck_assert_uint_eq(t->bytes[10] | t->bytes[11] << 8, 0x8b01);
	expect(t, USBIP_OK, 18);
	expect_control(0x80, 6, 0x0200, 0, 255, USBIP_OK, configuration,
	    sizeof configuration);
}
END_TEST

/* The first id is 256: a byte does not hold it. */
static void
connect_12(void)
{
	COMMAND(OK(256, 0), "open");
	host_gets(EVENT, "0000 0000 00000000 09000000 00010000 0100 0100 01");
	host_sends(0x02, "0400 0000 00010000 03000000 0000 00");
	COMMAND(OK(256, 1), "connect 256 192.0.2.1 80");
	host_gets(EVENT, "0100 0100 00010000 08000000 0100 0050 c0000201");
	host_sends(0x02, "0400 0100 00010000 03000000 0100 00");
	command("take");
}

START_TEST(opens_12)
{
	connect_12();
	COMMAND(OK(257, 2), "open udp inet6");
	host_gets(EVENT, "0000 0200 00000000 09000000 01010000 0200 0200 02");
	host_sends(0x02, "0400 0200 01010000 03000000 0000 04");
	COMMAND("{\"messages\":[{\"opcode\":\"ACK\",\"message\":2,"
	    "\"socket\":257,\"code\":-93,\"of\":\"OPEN\","
	    "\"raw\":\"040002000101000003000000000004\"}]}", "take");
	COMMAND(OK(256, 3), "connect 256 2001:db8::1 443");
	host_gets(EVENT, "0100 0300 00010000 1c000000 0200 01bb 00000000"
	    "00000000 20010db8 00000000 00000000 00000001");
	behaved();
}
END_TEST

START_TEST(data_12)
{
	connect_12();
	COMMAND(OK(256, 2), "write 256 68690a");
	host_gets(BULK, "0300 0200 00010000 03000000 68690a");
	host_sends(0x02, "0400 0200 00010000 03000000 0300 00");
	host_sends(0x01, "0300 e803 00010000 02000000 6f6b");
	host_gets(EVENT, "0400 e803 00010000 03000000 0300 00");
	host_sends(0x01, "ffff 0000 00000000 02000000 0000"); /* NOOP */
	COMMAND(OK(256, 3), "shutdown 256");
	host_gets(EVENT, "0200 0300 00010000 00000000");
	host_sends(0x02, "0400 0300 00010000 03000000 0200 00");
	host_sends(0x02, "0600 e903 00010000 00000000");
	host_gets(EVENT, "0400 e903 00010000 03000000 0600 00");
	COMMAND(OK(256, 4), "close 256");
	host_gets(EVENT, "0600 0400 00010000 00000000");
	host_sends(0x02, "0400 0400 00010000 03000000 0600 00");
	ck_assert_uint_eq(counted("current"), 0);
	behaved();
	for (int i = 1; i < 256; i++) /* slot 0 again, with another id */
		command("open");
	COMMAND(OK(512, 260), "open");
}
END_TEST

START_TEST(codes_12)
{
	static const int codes[] = { 0, -5, -22, -111, -93, -101, -110, -71,
		-107 };
	char hex[64], text[300];

	connect_12();
	for (int i = 0; i < UNIT_COUNT(codes); i++) {
		command("connect 256 192.0.2.1 80");
		host_fetches(EVENT);
		snprintf(hex, sizeof hex, "0400 %02x00 00010000 03000000"
		    "0100 %02x", 2 + i, (unsigned)i);
		host_sends(0x02, hex);
		snprintf(text, sizeof text, "{\"messages\":[{\"opcode\":\"ACK\""
		    ",\"message\":%d,\"socket\":256,\"code\":%d,\"of\":"
		    "\"CONNECT\",\"raw\":\"0400%02x0000010000030000000100%02x"
		    "\"}]}", 2 + i, codes[i], 2 + i, i);
		COMMAND(text, "take");
	}
	COMMAND("{\"error\":\"dialect 12 has no SETOPT\"}",
	    "setopt 256 6 1 01000000");
	behaved();
}
END_TEST

START_TEST(shipped_12)
{
	scm_plug("dialect=12,shipped,interrupt=off");
	command("open inet6");
	host_gets(BULK, "0000 0000 00000000 09000000 00010000 0100 0100 01");
	host_sends(0x01, "0400 0000 00010000 03000000 0000 00");
	command("connect 256 2001:db8::1 443");
	host_gets(BULK, "0100 0100 00010000 28000000 0200 01bb 00000000"
	    "00000000 20010db8 00000000 00000000 00000001"
	    "00000000 00000000 00000000");
	host_sends(0x01, "0400 0100 00010000 03000000 0100 00");
	host_sends(0x01, "0300 e803 00010000 02000000 6f6b");
	host_gets_nothing(BULK); /* no ACK */
	behaved();
	scm_unplug();
	usb_expect_no_device(&kind_scm, "shipped", "--device scm: 'shipped' "
	    "is for dialect=12, which those devices speak");
}
END_TEST

/* ---- Whatever is sent as it is ------------------------------------------ */

START_TEST(raw_bytes)
{
	COMMAND("{\"ok\":true}", "send 00070500020006000107050000000000");
	host_gets(BULK, "0007050002000600 0107050000000000");
	host_sends(0x01, "04 07 05 00 00000000"); /* of the first */
	COMMAND("{\"messages\":[{\"opcode\":\"ACK\",\"message\":7,"
	    "\"socket\":5,\"code\":0,\"raw\":\"0407050000000000\"}]}", "take");
	COMMAND("{\"ok\":true}", "send");
	host_gets(BULK, "");
	COMMAND("{\"ok\":true}", "send ff");
	host_gets(BULK, "ff");
	COMMAND("{\"error\":\"expected pairs of hexadecimal digits\"}",
	    "send f");
	COMMAND("{\"error\":\"send: there is no interrupt pair\"}",
	    "send ff interrupt");
	COMMAND("{\"error\":\"scm: 'sing' is none of its commands\"}", "sing");
	COMMAND("{\"error\":\"take: too many arguments\"}", "take all");
	behaved();
}
END_TEST

/* A transfer that fills its last packet ends with an empty one, whether the
 * host asks for more at once or not. */
START_TEST(empty_packets)
{
	struct test_urb *t;
	char line[1100] = "send ";

	memset(line + 5, '0', 1024);
	command("%s", line);
	t = submit(BULK, NULL, 512);
	expect(t, USBIP_OK, 512);
	expect(submit(BULK, NULL, 512), USBIP_OK, 0);
	host_gets_nothing(BULK);
	command("%s", line);
	expect(submit(BULK, NULL, 1024), USBIP_OK, 512);
	host_gets_nothing(BULK);
	command("%s", line);
	expect(submit(BULK, NULL, 100), USBIP_EOVERFLOW, 100);
	host_gets_nothing(BULK); /* the rest of the packet is lost */
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/scm-wire");
	TCase *t = tcase_create("dialect 8");

	tcase_add_checked_fixture(t, plug_8, take_down);
	tcase_add_test(t, descriptors_8);
	tcase_add_test(t, opens_8);
	tcase_add_test(t, addresses_8);
	tcase_add_test(t, data_8);
	tcase_add_test(t, options_8);
	tcase_add_test(t, closes_8);
	tcase_add_test(t, crossing_8);
	tcase_add_test(t, outstanding_8);
	tcase_add_test(t, raw_bytes);
	tcase_add_test(t, empty_packets);
	suite_add_tcase(s, t);
	t = tcase_create("dialect 12");
	tcase_add_checked_fixture(t, plug_12, take_down);
	tcase_add_test(t, descriptors_12);
	tcase_add_test(t, opens_12);
	tcase_add_test(t, data_12);
	tcase_add_test(t, codes_12);
	suite_add_tcase(s, t);
	t = tcase_create("others");
	tcase_add_test(t, little_endian_addresses);
	tcase_add_test(t, shipped_12);
	suite_add_tcase(s, t);
	return unit_run(s);
}
