/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The human interface device, in each of its roles. */
#include <string.h>

#include "usb_host.h"

static void
plug(const char *options)
{
	usb_plug_kind(&kind_hid, options);
	configure(1);
}

/* ---- Descriptors -------------------------------------------------------- */

/* What the items of a report descriptor add up to, in bits. */
struct items {
	uint32_t page, input, output, feature;
	int open; /* collections */
};

static struct items
read_items(const uint8_t *at, size_t len)
{
	struct items found = { 0 };
	const uint8_t *end = at + len;
	uint32_t size = 0, count = 0;

	while (at < end) {
		const unsigned n = (*at & 3) == 3 ? 4 : *at & 3;
		uint32_t value = 0;

		ck_assert_uint_lt(n, (unsigned)(end - at));
		for (unsigned i = 0; i < n; i++)
			value |= (uint32_t)at[1 + i] << 8 * i;
		switch (*at & 0xfc) {
		case 0x04: found.page = found.page ? found.page : value; break;
		case 0x74: size = value; break;
		case 0x94: count = value; break;
		case 0x80: found.input += size * count; break;
		case 0x90: found.output += size * count; break;
		case 0xb0: found.feature += size * count; break;
		case 0xa0: found.open++; break;
		case 0xc0: found.open--; break;
		}
		at += 1 + n;
	}
	return found;
}

static const struct {
	const char *options;
	uint8_t subclass, protocol;
	uint8_t input, output, feature; /* bytes */
	uint16_t page;
} roles[] = {
	{ NULL, 0, 0, 8, 8, 8, 0xff00 },
	{ "boot-keyboard", 1, 1, 8, 1, 0, 0x0001 },
	{ "fido", 0, 0, 64, 64, 0, 0xf1d0 },
};

START_TEST(descriptors)
{
	struct test_urb *t;
	struct items items;
	uint8_t hid[9];

	plug(roles[_i].options);
	t = control(0x80, 6, 0x0200, 0, 255);
	ck_assert_uint_eq(t->bytes[9 + 5], 3);
	ck_assert_uint_eq(t->bytes[9 + 6], roles[_i].subclass);
	ck_assert_uint_eq(t->bytes[9 + 7], roles[_i].protocol);
	memcpy(hid, t->bytes + 18, sizeof hid);
	ck_assert_uint_eq(t->bytes[27 + 4], roles[_i].input);
	ck_assert_uint_eq(t->bytes[27 + 6], 7); /* 8 ms of the 10 */
	ck_assert_uint_eq(t->bytes[34 + 4], roles[_i].output);
	expect(t, USBIP_OK, 9 + 9 + 9 + 7 + 7);
	expect_control(0x81, 6, 0x2100, 0, 255, USBIP_OK, hid, 9);
	t = control(0x81, 6, 0x2200, 0, 255);
	ck_assert_uint_eq(t->actual, hid[7] | hid[8] << 8);
	items = read_items(t->bytes, t->actual);
	ck_assert_int_eq(items.open, 0);
	ck_assert_uint_eq(items.page, roles[_i].page);
	ck_assert_uint_eq(items.input, 8u * roles[_i].input);
	ck_assert_uint_eq(items.output, 8u * roles[_i].output);
	ck_assert_uint_eq(items.feature, 8u * roles[_i].feature);
	STALLS(0x81, 6, 0x2300, 0, 255);
	STALLS(0x81, 6, 0x2200, 1, 255);
	usb_unplug();
}
END_TEST

START_TEST(intervals)
{
	static const struct {
		const char *options;
		uint8_t interval;
	} cases[] = {
		{ "interval=1", 4 }, { "interval=8", 7 }, { "interval=15", 7 },
		{ "interval=16", 8 }, { "interval=10000", 16 },
		{ "interval=10,speed=full", 10 },
		{ "interval=300,speed=full", 255 },
		{ "speed=super,interval=2", 5 },
	};

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		plug(cases[i].options);
		ck_assert_uint_eq(dev->ep[device_endpoint_index(0x81)].interval,
		    cases[i].interval);
		usb_unplug();
	}
	usb_expect_no_device(&kind_hid, "interval=0",
	    "--device hid: interval: '0' is no number from 1 to 10000");
	usb_expect_no_device(&kind_hid, "fido=1",
	    "--device hid: fido: takes no value");
	usb_expect_no_device(&kind_hid, "mouse",
	    "--device hid: there is no option 'mouse'");
}
END_TEST

/* ---- Reports ------------------------------------------------------------ */

START_TEST(input_reports)
{
	struct test_urb *t[4];
	struct moment first;

	plug("interval=20");
	for (int i = 0; i < 4; i++)
		t[i] = submit(0x81, NULL, 8);
	ck_assert_int_eq(t[0]->status, USBIP_OK);
	first = clock_now();
	ck_assert_int_eq(t[1]->status, PENDING);
	expect(submit(0x01, "abcdefgh", 8), USBIP_OK, 8);
	usb_wait(t[3]);
	ck_assert_int_ge(clock_now().ns - first.ns, 55000000);
	ck_assert_mem_eq(t[0]->bytes, "\0\0\0\0\0\0\0\0", 8);
	ck_assert_mem_eq(t[1]->bytes, "\1\0\0\0abcd", 8);
	ck_assert_mem_eq(t[3]->bytes, "\3\0\0\0abcd", 8);
	/* Time in which nobody listens is not made up for. */
	usb_pass_time(60);
	t[0] = submit(0x81, NULL, 8);
	t[1] = submit(0x81, NULL, 8);
	ck_assert_int_eq(t[0]->status, USBIP_OK);
	ck_assert_int_eq(t[1]->status, PENDING);
	ck_assert_uint_eq(counted("reports_out"), 5);
	ck_assert_uint_eq(counted("reports_in"), 1);
	usb_unplug();
}
END_TEST

START_TEST(short_of_room)
{
	plug(NULL);
	expect(submit(0x81, NULL, 4), USBIP_EOVERFLOW, 4);
	expect(submit(0x01, "short", 5), USBIP_OK, 5);
	ck_assert_uint_eq(counted("bad_reports"), 1);
	usb_unplug();
}
END_TEST

START_TEST(reports_by_request)
{
	plug(NULL);
	expect_write(0x21, 9, 0x0200, 0, "outputs!", 8, USBIP_OK);
	expect_write(0x21, 9, 0x0300, 0, "features", 8, USBIP_OK);
	expect_control(0xa1, 1, 0x0100, 0, 8, USBIP_OK, "\0\0\0\0outp", 8);
	expect_control(0xa1, 1, 0x0200, 0, 8, USBIP_OK, "outputs!", 8);
	expect_control(0xa1, 1, 0x0300, 0, 4, USBIP_OK, "feat", 4);
	expect_write(0x21, 9, 0x0100, 0, "inputs", 6, USBIP_EPIPE);
	expect_write(0x21, 9, 0x0200, 0, "short", 5, USBIP_EPIPE);
	expect_write(0x21, 9, 0x0201, 0, "outputs!", 8, USBIP_EPIPE);
	STALLS(0xa1, 1, 0x0400, 0, 8);
	STALLS(0xa1, 1, 0x0000, 0, 8);
	STALLS(0xa1, 1, 0x0100, 1, 8);
	ck_assert_uint_eq(counted("control_reports_in"), 2);
	ck_assert_uint_eq(counted("control_reports_out"), 3);
	ck_assert_uint_eq(counted("bad_requests"), 5);
	usb_unplug();
}
END_TEST

START_TEST(idle_and_protocol)
{
	plug(NULL);
	OUT_REQUEST(0x21, 10, 0x7d00, 0);
	expect_control(0xa1, 2, 0, 0, 1, USBIP_OK, "\x7d", 1);
	STALLS(0x21, 10, 0x0001, 0, 0);
	STALLS(0x21, 11, 0, 0, 0); /* only boot devices have it */
	STALLS(0xa1, 3, 0, 0, 1);
	usb_unplug();
	plug("boot-keyboard");
	expect_control(0xa1, 3, 0, 0, 1, USBIP_OK, "\1", 1);
	OUT_REQUEST(0x21, 11, 0, 0);
	expect_control(0xa1, 3, 0, 0, 1, USBIP_OK, "\0", 1);
	STALLS(0x21, 11, 2, 0, 0);
	STALLS(0x21, 12, 0, 0, 0);
	usb_unplug();
}
END_TEST

START_TEST(keyboard_types_nothing)
{
	struct test_urb *t;
	struct moment start;

	plug("boot-keyboard");
	t = submit(0x81, NULL, 8);
	ck_assert_int_eq(t->status, PENDING);
	ck_assert_int_eq(dev->due.ns == MOMENT_NEVER.ns, 1);
	expect(submit(0x01, "\7", 1), USBIP_OK, 1); /* its lamps */
	start = clock_now();
	OUT_REQUEST(0x21, 10, 0x0500, 0); /* every 20 ms */
	ck_assert_int_eq(t->status, PENDING);
	usb_wait(t);
	ck_assert_int_ge(clock_now().ns - start.ns, 20000000);
	ck_assert_mem_eq(t->bytes, "\0\0\0\0\0\0\0\0", 8);
	expect_control(0xa1, 1, 0x0200, 0, 1, USBIP_OK, "\7", 1);
	STALLS(0xa1, 1, 0x0300, 0, 8);
	usb_unplug();
}
END_TEST

START_TEST(fido_echoes)
{
	struct test_urb *t;
	uint8_t report[64];

	plug("fido");
	for (unsigned i = 0; i < sizeof report; i++)
		report[i] = (uint8_t)(200 - i);
	t = submit(0x81, NULL, 64);
	ck_assert_int_eq(t->status, PENDING);
	expect(submit(0x01, report, 64), USBIP_OK, 64);
	ck_assert_int_eq(t->status, USBIP_OK);
	ck_assert_mem_eq(t->bytes, report, 64);
	t = submit(0x81, NULL, 64);
	ck_assert_int_eq(t->status, PENDING); /* once */
	usb_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/hid");
	TCase *t = tcase_create("hid");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, descriptors, 0, UNIT_COUNT(roles));
	tcase_add_test(t, intervals);
	tcase_add_test(t, input_reports);
	tcase_add_test(t, short_of_room);
	tcase_add_test(t, reports_by_request);
	tcase_add_test(t, idle_and_protocol);
	tcase_add_test(t, keyboard_types_nothing);
	tcase_add_test(t, fido_echoes);
	suite_add_tcase(s, t);
	return unit_run(s);
}
