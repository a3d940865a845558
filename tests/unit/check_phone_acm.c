/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The serial port that echoes, as a host meets it. */
#include <string.h>

#include "usb_host.h"

static void
plug(void)
{
	usb_plug_kind(&kind_acm, NULL);
	configure(1);
}

static void
take_down(void)
{
	usb_unplug();
}

START_TEST(descriptors)
{
	static const uint8_t configuration[] = {
		9, 2, 67, 0, 2, 1, 0, 0xc0, 1,
		9, 4, 0, 0, 1, 2, 2, 1, 4,
		5, 0x24, 0, 0x20, 0x01,
		5, 0x24, 1, 0, 1,
		4, 0x24, 2, 6,
		5, 0x24, 6, 0, 1,
		7, 5, 0x82, 3, 16, 0, 9,
		9, 4, 1, 0, 2, 10, 0, 0, 5,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x01, 2, 0x00, 0x02, 0,
	};
	struct test_urb *t = control(0x80, 6, 0x0100, 0, 18);

	ck_assert_uint_eq(t->bytes[4], 2); /* class */
	ck_assert_uint_eq(t->bytes[10] | t->bytes[11] << 8, 0xa4a7);
	expect(t, USBIP_OK, 18);
	expect_control(0x80, 6, 0x0200, 0, 255, USBIP_OK, configuration,
	    sizeof configuration);
}
END_TEST

START_TEST(echoes)
{
	struct test_urb *read = submit(0x81, NULL, 64);

	expect(submit(0x01, "at\r", 3), USBIP_OK, 3);
	ck_assert_int_eq(read->status, USBIP_OK);
	ck_assert_uint_eq(read->actual, 3);
	ck_assert_mem_eq(read->bytes, "at\r", 3);
	ck_assert_uint_eq(counted("bytes_in"), 3);
	ck_assert_uint_eq(counted("bytes_out"), 3);
}
END_TEST

START_TEST(line_coding)
{
	static const uint8_t usual[7] = { 0x80, 0x25, 0, 0, 0, 0, 8 };
	static const uint8_t fast[7] = { 0, 0xc2, 1, 0, 2, 4, 16 };
	uint8_t bad[7];

	expect_control(0xa1, 0x21, 0, 0, 7, USBIP_OK, usual, 7);
	expect_write(0x21, 0x20, 0, 0, fast, 7, USBIP_OK);
	expect_control(0xa1, 0x21, 0, 0, 7, USBIP_OK, fast, 7);
	expect_control(0xa1, 0x21, 0, 0, 4, USBIP_OK, fast, 4);
	expect_write(0x21, 0x20, 0, 0, fast, 6, USBIP_EPIPE);
	expect_write(0x21, 0x20, 0, 1, fast, 7, USBIP_EPIPE);
	for (int i = 4; i < 7; i++) {
		memcpy(bad, fast, sizeof bad);
		bad[i] = 9;
		expect_write(0x21, 0x20, 0, 0, bad, 7, USBIP_EPIPE);
	}
	expect_control(0xa1, 0x21, 0, 0, 7, USBIP_OK, fast, 7);
	ck_assert_uint_eq(counted("codings"), 1);
	ck_assert_uint_eq(counted("bad_requests"), 5);
	configure(1); /* a new session begins as it began */
	expect_control(0xa1, 0x21, 0, 0, 7, USBIP_OK, usual, 7);
}
END_TEST

/* SERIAL_STATE with these bits. */
static void
expect_state(struct test_urb *t, uint8_t state)
{
	const uint8_t bytes[10] = { 0xa1, 0x20, 0, 0, 0, 0, 2, 0, state, 0 };

	ck_assert_int_eq(t->status, USBIP_OK);
	ck_assert_uint_eq(t->actual, 10);
	ck_assert_mem_eq(t->bytes, bytes, sizeof bytes);
}

START_TEST(carrier_follows_dtr)
{
	struct test_urb *t = submit(0x82, NULL, 16);

	ck_assert_int_eq(t->status, PENDING);
	OUT_REQUEST(0x21, 0x22, 2, 0); /* RTS alone changes nothing */
	ck_assert_int_eq(t->status, PENDING);
	OUT_REQUEST(0x21, 0x22, 3, 0);
	expect_state(t, 3);
	OUT_REQUEST(0x21, 0x22, 1, 0);
	t = submit(0x82, NULL, 16);
	ck_assert_int_eq(t->status, PENDING);
	OUT_REQUEST(0x21, 0x22, 0, 0);
	expect_state(t, 0);
	/* What nobody asks for is told later. */
	OUT_REQUEST(0x21, 0x22, 1, 0);
	expect_state(submit(0x82, NULL, 10), 3);
	STALLS(0x21, 0x22, 4, 0, 0);
	STALLS(0x21, 0x22, 1, 1, 0);
	ck_assert_uint_eq(counted("line_states"), 5);
	ck_assert_uint_eq(counted("notifications"), 3);
}
END_TEST

START_TEST(breaks)
{
	struct test_urb *t = submit(0x82, NULL, 16);

	OUT_REQUEST(0x21, 0x23, 0xffff, 0);
	expect_state(t, 4);
	t = submit(0x82, NULL, 16);
	OUT_REQUEST(0x21, 0x23, 0, 0);
	ck_assert_int_eq(t->status, PENDING);
	OUT_REQUEST(0x21, 0x22, 1, 0);
	expect_state(t, 3); /* a break is told once */
	OUT_REQUEST(0x21, 0x23, 100, 0);
	expect_state(submit(0x82, NULL, 16), 7);
	OUT_REQUEST(0x21, 0x23, 100, 0);
	expect(submit(0x82, NULL, 8), USBIP_EOVERFLOW, 8);
	ck_assert_uint_eq(counted("breaks"), 4);
}
END_TEST

START_TEST(strange_requests)
{
	STALLS(0x21, 0x02, 0, 0, 0);
	STALLS(0xa1, 0x20, 0, 0, 7);
	STALLS(0xc0, 0x5c, 0, 0, 7);
	ck_assert_uint_eq(counted("bad_requests"), 3);
	usb_expect_no_device(&kind_acm, "loop",
	    "--device cdc-acm: there is no option 'loop'");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/acm");
	TCase *t = tcase_create("cdc-acm");

	tcase_add_checked_fixture(t, plug, take_down);
	tcase_add_test(t, descriptors);
	tcase_add_test(t, echoes);
	tcase_add_test(t, line_coding);
	tcase_add_test(t, carrier_follows_dtr);
	tcase_add_test(t, breaks);
	tcase_add_test(t, strange_requests);
	suite_add_tcase(s, t);
	return unit_run(s);
}
