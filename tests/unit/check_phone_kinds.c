/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What devices of all kinds have in common, beside what check_phone_device
 * shows: options, descriptors that need no import, and a tester's doings. */
#include <string.h>

#include "phone/phone.h"
#include "usbip/server.h"
#include "usb_host.h"

START_TEST(names)
{
	static const char *const known[] = {
		"phone", "sourcesink", "cdc-acm", "hid", "dfu:busy=1",
	};
	struct cause why;

	for (int i = 0; i < UNIT_COUNT(known); i++) {
		const struct kind *kind = kinds_find(known[i], &why);

		ck_assert_ptr_nonnull(kind);
		ck_assert_int_eq(strncmp(known[i], kind->name,
		    strlen(kind->name)), 0);
	}
	ck_assert_ptr_null(kinds_find("hi", &why));
	ck_assert_ptr_null(kinds_find(":hid", &why));
	ck_assert_ptr_null(kinds_find("hidden:x", &why));
	ck_assert_str_eq(why.text, "--device: 'hidden' is none of phone, "
	    "sourcesink, cdc-acm, hid, dfu and scm");
	usb_expect_no_device(&kind_phone, "window=255",
	    "--device phone: window: '255' is no number from 256 to 16776960");
	usb_expect_no_device(&kind_phone, "udid=ab",
	    "--device phone: 'ab' is no UDID: give 40 hexadecimal characters, "
	    "or 24 with or without a hyphen after the 8th");
	usb_plug_kind(&kind_phone, "window=4096,frame=8192,mux=1,speed=super");
	ck_assert_uint_eq(phone_of(dev)->mux.set.window, 4096);
	ck_assert_uint_eq(phone_of(dev)->mux.set.max_packet, 8192);
	ck_assert_uint_eq(phone_of(dev)->mux.set.version, 1);
	usb_unplug();
	usb_expect_no_device(&kind_phone, "serial=1",
	    "--device phone: there is no option 'serial'");
}
END_TEST

START_TEST(options)
{
#define BAD(options, cause) \
	usb_expect_no_device(&kind_sourcesink, options, \
	    "--device sourcesink: " cause)
	BAD("pattern=2", "pattern: '2' is none of 0, 1, none");
	BAD("pattern", "pattern: '' is none of 0, 1, none");
	BAD("loop=1", "loop: takes no value");
	BAD("iso-pace=", "iso-pace: '' is none of off, on");
	BAD("loop,speed=low", "speed: 'low' is none of full, high, super");
	BAD("serial", "serial: give 1 to 40 characters");
	BAD("serial=0123456789012345678901234567890123456789x",
	    "serial: give 1 to 40 characters");
	BAD("serial=a b", "serial: 'a b' has other characters than printable "
			  "ones of ASCII");
	BAD("pace=0", "pace: '0' is no number from 1 to 4294967295");
	BAD("duplex=both", "duplex: 'both' is none of full, half");
	BAD("interval=1", "there is no option 'interval'");
	usb_plug_kind(&kind_sourcesink,
	    "loop,pattern=none,serial=X-1,iso-pace=on,iso-pace=off,configured");
	ck_assert_str_eq(dev->profile.serial, "X-1");
	ck_assert_uint_eq(dev->configuration, 1);
	usb_unplug();
}
END_TEST

/* Each record is what GET_DESCRIPTOR answers. */
START_TEST(tells_its_descriptors)
{
	static uint8_t info[DEVICE_INFO_MAX];
	struct usbip_info_record r;
	struct reader in;
	unsigned count[256] = { 0 };

	usb_plug_kind(&kind_sourcesink, "speed=super");
	in = reader_over(info, device_info(dev, info));
	while (usbip_info_next(&in, &r)) {
		count[r.type]++;
		ck_assert_uint_eq(r.bytes[1], r.type);
		expect_control(0x80, 6, (uint16_t)(r.type << 8 | r.index),
		    r.langid, 4096, USBIP_OK, r.bytes, r.length);
	}
	ck_assert_uint_eq(reader_left(&in), 0);
	ck_assert_uint_eq(count[1], 1);
	ck_assert_uint_eq(count[2], 1);
	ck_assert_uint_eq(count[3], 5);
	ck_assert_uint_eq(count[15], 1);
	usb_unplug();
}
END_TEST

START_TEST(describes_itself)
{
	struct usbip_description desc;

	usb_plug_kind(&kind_sourcesink, NULL);
	device_describe(dev, 5, &desc);
	ck_assert_uint_eq(desc.device.configuration, 0);
	ck_assert_uint_eq(desc.device.interface_count, 0);
	ck_assert_uint_eq(desc.device.device_class, 0xff);
	usb_unplug();
	usb_plug_kind(&kind_sourcesink, "configured,speed=full");
	device_describe(dev, 5, &desc);
	ck_assert_uint_eq(desc.device.configuration, 1);
	ck_assert_uint_eq(desc.device.interface_count, 1);
	ck_assert_uint_eq(desc.interfaces[0].interface_class, 0xff);
	ck_assert_uint_eq(desc.device.speed, USBIP_SPEED_FULL);
	expect(submit(0x81, NULL, 64), USBIP_OK, 64);
	OUT_REQUEST(0x23, 3, 4, 1);
	expect(submit(0x81, NULL, 64), USBIP_EPIPE, 0);
	ck_assert_uint_eq(dev->resets, 1);
	usb_unplug();
}
END_TEST

START_TEST(slow)
{
	struct test_urb *t[3];
	const struct moment start = clock_now();

	usb_plug_kind(&kind_sourcesink, NULL);
	configure(1);
	device_slow(dev, 51200); /* 10 ms for each of these */
	for (int i = 0; i < 3; i++)
		t[i] = submit(0x81, NULL, 512);
	ck_assert_int_eq(t[0]->status, PENDING);
	usb_wait(t[2]);
	ck_assert_int_ge(clock_now().ns - start.ns, 30000000);
	ck_assert_int_eq(t[0]->status, USBIP_OK);
	usb_unplug();
}
END_TEST

START_TEST(halted_by_a_tester)
{
	usb_plug_kind(&kind_sourcesink, "configured");
	OUT_REQUEST(0x01, 11, 1, 0);
	ck_assert(!device_halt(dev, 0x83));
	ck_assert(!device_halt(dev, 0x80));
	ck_assert(device_halt(dev, 0x82));
	expect(submit_iso(0x82, NULL, 1, 1024, 0, 0), USBIP_EPIPE, 0);
	OUT_REQUEST(0x02, 1, 0, 0x82);
	expect(submit_iso(0x82, NULL, 1, 1024, 0, 0), USBIP_OK, 1024);
	usb_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/kinds");
	TCase *t = tcase_create("kinds");

	tcase_add_test(t, names);
	tcase_add_test(t, options);
	tcase_add_test(t, tells_its_descriptors);
	tcase_add_test(t, describes_itself);
	tcase_add_test(t, slow);
	tcase_add_test(t, halted_by_a_tester);
	suite_add_tcase(s, t);
	return unit_run(s);
}
