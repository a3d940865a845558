/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The phone as a USB device: control requests, and what becomes of URBs.
 */
#include <check.h>
#include <string.h>

#include "phone/phone.h"
#include "usbip/server.h"
#include "usb_host.h"

static struct phone *phone;

static void
set_up(void)
{
	struct identity id;
	struct cause why;

	ck_assert_int_eq(identity_init(&id, 1, NULL, 0, &why), 0);
	usb_plug(device_new(&kind_phone, &id, DESC_HIGH, NULL, &why));
	phone = phone_of(dev);
}

static void
take_down(void)
{
	usb_unplug();
}

static const uint8_t ask_version[20] = {
	0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2,
};
static const uint8_t set_up_bytes[17] = {
	0, 0, 0, 2, 0, 0, 0, 17, 0xfe, 0xed, 0xfa, 0xce, 0, 0, 0xff, 0xff, 7,
};

/* ---- Requests ----------------------------------------------------------- */

START_TEST(starts_unconfigured)
{
	expect_control(0x80, 8, 0, 0, 1, USBIP_OK, "\0", 1);
	expect(submit(0x04, "x", 1), USBIP_EPIPE, 0);
	expect(submit(0x85, NULL, 512), USBIP_EPIPE, 0);
	STALLS(0x81, 10, 0, 0, 1);
	STALLS(0x01, 11, 0, 0, 0);
	STALLS(0x82, 0, 0, 0x85, 2);
}
END_TEST

START_TEST(descriptors_are_cut)
{
	struct test_urb *t;

	t = control(0x80, 6, 0x0100, 0, 64);
	ck_assert_uint_eq(t->bytes[0], 18);
	expect(t, USBIP_OK, 18);
	expect_control(0x80, 6, 0x0100, 0, 8, USBIP_OK,
	    "\22\1\0\2\0\0\0\100", 8);
	t = control(0x80, 6, 0x0203, 0, 9);
	ck_assert_uint_eq(t->bytes[5], 4);
	expect(t, USBIP_OK, 9);
	expect_control(0x80, 6, 0x0300, 0, 255, USBIP_OK, "\4\3\11\4", 4);
	STALLS(0x80, 6, 0x0204, 0, 9);
	STALLS(0x80, 6, 0x0f00, 0, 5);
	STALLS(0x81, 6, 0x2200, 2, 64);
}
END_TEST

START_TEST(configurations)
{
	for (uint8_t value = 1; value <= 4; value++) {
		configure(value);
		expect_control(0x80, 8, 0, 0, 1, USBIP_OK, &value, 1);
		if (value < 3)
			expect(submit(0x85, NULL, 512), USBIP_EPIPE, 0);
	}
	STALLS(0x00, 9, 5, 0, 0);
	STALLS(0x00, 9, 0x104, 0, 0);
	expect_control(0x80, 8, 0, 0, 1, USBIP_OK, "\4", 1);
	configure(0);
	expect_control(0x80, 8, 0, 0, 1, USBIP_OK, "\0", 1);
}
END_TEST

START_TEST(interfaces)
{
	configure(4);
	expect_control(0x81, 10, 0, 2, 1, USBIP_OK, "\0", 1);
	expect(submit(0x07, "x", 1), USBIP_EPIPE, 0);
	OUT_REQUEST(0x01, 11, 1, 2);
	expect_control(0x81, 10, 0, 2, 1, USBIP_OK, "\1", 1);
	expect(submit(0x07, "x", 1), USBIP_OK, 1);
	OUT_REQUEST(0x01, 11, 0, 2);
	expect(submit(0x07, "x", 1), USBIP_EPIPE, 0);
	STALLS(0x01, 11, 2, 2, 0);
	STALLS(0x01, 11, 1, 1, 0);
	STALLS(0x01, 11, 0, 3, 0);
	STALLS(0x81, 10, 0, 0xffff, 1);
}
END_TEST

START_TEST(status)
{
	configure(4);
	expect_control(0x80, 0, 0, 0, 2, USBIP_OK, "\1\0", 2);
	expect_control(0x81, 0, 0, 1, 2, USBIP_OK, "\0\0", 2);
	expect_control(0x82, 0, 0, 0x85, 2, USBIP_OK, "\0\0", 2);
	OUT_REQUEST(0x02, 3, 0, 0x85);
	expect_control(0x82, 0, 0, 0x85, 2, USBIP_OK, "\1\0", 2);
	OUT_REQUEST(0x02, 1, 0, 0x85);
	expect_control(0x82, 0, 0, 0x85, 2, USBIP_OK, "\0\0", 2);
	expect_control(0x82, 0, 0, 0x80, 2, USBIP_OK, "\0\0", 2);
	STALLS(0x82, 0, 0, 0x86, 2);
	STALLS(0x81, 0, 0, 9, 2);
	STALLS(0x02, 3, 1, 0x85, 0);
	STALLS(0x02, 1, 0, 0x8b, 0);
}
END_TEST

START_TEST(unknown_requests_stall)
{
	STALLS(0x80, 0x77, 0, 0, 8);
	STALLS(0xc0, 0x77, 0, 0, 8);
	STALLS(0x40, 0x45, 0, 0, 0);
	STALLS(0x21, 0x66, 0, 0, 0);
	STALLS(0x00, 3, 1, 0, 0);
	STALLS(0x00, 49, 1, 0, 0);
	STALLS(0x23, 3, 8, 1, 0);
}
END_TEST

START_TEST(modes)
{
	expect_control(0xc0, 0x45, 0, 0, 4, USBIP_OK, "\3\3\3\0", 4);
	STALLS(0xc0, 0x52, 0, 0, 1);
	STALLS(0xc0, 0x52, 0, 6, 1);
	ck_assert(!dev->leaving);
	expect_control(0xc0, 0x52, 0, 3, 1, USBIP_OK, "\0", 1);
	ck_assert(dev->leaving);
	ck_assert_uint_eq(phone->next_mode, 3);
	/* What follows when it has left and come back. */
	dev->kind->arrive(dev, true);
	dev->leaving = false;
	device_restart(dev);
	expect_control(0xc0, 0x45, 0, 0, 4, USBIP_OK, "\5\3\3\0", 4);
	configure(5);
	OUT_REQUEST(0x23, 3, 4, 1); /* a reset ends a mode */
	ck_assert(dev->leaving);
	ck_assert_uint_eq(phone->next_mode, 1);
	ck_assert_uint_eq(dev->resets, 1);
	dev->kind->arrive(dev, true);
	ck_assert_uint_eq(phone->mode, 1);
	/* Who pulls the cable ends a mode, whatever was to come. */
	expect_control(0xc0, 0x52, 0, 3, 1, USBIP_OK, "\0", 1);
	dev->kind->arrive(dev, false);
	ck_assert_uint_eq(phone->mode, 1);
}
END_TEST

/* As at a UDC: its layout and the speed are the bus's affair. */
START_TEST(layout_of_the_bus)
{
	struct test_urb *read;

	phone_set_layout(phone, &phone_mux_last_of_4);
	configure(3);
	expect(submit(0x85, NULL, 512), USBIP_EPIPE, 0);
	configure(4);
	STALLS(0x81, 0, 0, 1, 2); /* the mux is interface 0 there */
	ck_assert_uint_eq(dev->ep[device_endpoint_index(0x85)].packet, 512);
	expect_control(0xc0, 0x45, 0, 0, 4, USBIP_OK, "\3\3\3\0", 4);
	STALLS(0xc0, 0x52, 0, 3, 1); /* it cannot change its descriptors */
	dev->kind->arrive(dev, false);
	ck_assert_ptr_eq(dev->profile.device, &phone_mux_last_of_4);

	/* A cable that is slower than it: 64 bytes fill a packet. */
	dev->profile.speed = DESC_FULL;
	configure(4);
	ck_assert_uint_eq(dev->ep[device_endpoint_index(0x85)].packet, 64);
	ck_assert_uint_eq(phone->frame.max_packet, 64);

	/* What was half sent is lost with a halt, also when the bus clears it. */
	expect(submit(0x04, NULL, 64), USBIP_OK, 64);
	ck_assert_uint_eq(phone->frame.part_len, 64);
	read = submit(0x85, NULL, 512);
	ck_assert(device_halt(dev, 0x04));
	device_clear_halt(dev, 0x04);
	ck_assert_uint_eq(phone->frame.part_len, 0);
	ck_assert(!dev->ep[device_endpoint_index(0x04)].halted);
	configure(0);
	expect(read, USBIP_ESHUTDOWN, 0);
}
END_TEST

START_TEST(super_speed)
{
	struct test_urb *read;
	struct identity id;
	struct cause why;

	usb_unplug();
	ck_assert_int_eq(identity_init(&id, 1, NULL, 0, &why), 0);
	usb_plug(device_new(&kind_phone, &id, DESC_SUPER, NULL, &why));
	phone = phone_of(dev);
	OUT_REQUEST(0x00, 49, 40, 0);
	OUT_REQUEST(0x00, 3, 48, 0);
	configure(3);
	read = submit(0x85, NULL, 16384);
	/* 512 bytes end a packet there. */
	expect(submit(0x04, ask_version, 20), USBIP_OK, 20);
	ck_assert_uint_eq(phone->frame.max_packet, 1024);
	expect(read, USBIP_OK, 20);
}
END_TEST

/* ---- URBs --------------------------------------------------------------- */

START_TEST(talks)
{
	struct test_urb *read1, *read2;

	configure(4);
	read1 = submit(0x85, NULL, 16384);
	read2 = submit(0x85, NULL, 16384);
	ck_assert_int_eq(read1->status, PENDING);
	expect(submit(0x04, ask_version, 20), USBIP_OK, 20);
	ck_assert_int_eq(read1->status, USBIP_OK);
	ck_assert_uint_eq(read1->actual, 20);
	ck_assert_mem_eq(read1->bytes, ask_version, 20);
	ck_assert_int_eq(read2->status, PENDING);
	expect(submit(0x04, set_up_bytes, 17), USBIP_OK, 17);
	ck_assert_int_eq(read2->status, USBIP_OK);
	ck_assert_uint_eq(phone->mux.state, MUX_UP);
	ck_assert_uint_eq(phone->strict.total, 0);
}
END_TEST

START_TEST(configuration_ends_the_session)
{
	struct test_urb *read;

	configure(4);
	submit(0x04, ask_version, 20);
	submit(0x04, set_up_bytes, 17);
	read = submit(0x85, NULL, 16384);
	ck_assert_int_eq(read->status, USBIP_OK);
	submit(0x85, NULL, 16384);
	read = submit(0x85, NULL, 16384);
	ck_assert_int_eq(read->status, PENDING);
	configure(4);
	ck_assert_int_eq(read->status, USBIP_ESHUTDOWN);
	ck_assert_uint_eq(phone->mux.state, MUX_DOWN);
	submit(0x04, ask_version, 20);
	read = submit(0x85, NULL, 16384);
	ck_assert_int_eq(read->status, USBIP_OK);
	ck_assert_uint_eq(read->actual, 20);
	ck_assert_uint_eq(phone->strict.total, 0);
}
END_TEST

START_TEST(port_reset)
{
	struct test_urb *read;

	configure(4);
	submit(0x04, ask_version, 20);
	submit(0x85, NULL, 64);
	read = submit(0x85, NULL, 64);
	OUT_REQUEST(0x23, 3, 4, 1);
	ck_assert_int_eq(read->status, USBIP_ESHUTDOWN);
	ck_assert_uint_eq(phone->mux.state, MUX_DOWN);
	expect_control(0x80, 8, 0, 0, 1, USBIP_OK, "\0", 1);
	ck_assert(!dev->leaving);
}
END_TEST

START_TEST(unlink_any)
{
	struct test_urb *read[4];

	configure(4);
	for (int i = 0; i < 4; i++)
		read[i] = submit(0x85, NULL, 64);
	device_cancel(dev, &read[1]->u);
	ck_assert_int_eq(read[1]->status, USBIP_ECONNRESET);
	device_cancel(dev, &read[3]->u);
	device_cancel(dev, &read[0]->u);
	ck_assert_int_eq(read[2]->status, PENDING);
	submit(0x04, ask_version, 20);
	ck_assert_int_eq(read[2]->status, USBIP_OK);
	/* Too late. */
	device_cancel(dev, &read[2]->u);
	ck_assert_int_eq(read[2]->status, USBIP_OK);
	/* The queue still works behind the one that was its last. */
	read[0] = submit(0x85, NULL, 64);
	submit(0x04, set_up_bytes, 17);
	ck_assert_int_eq(read[0]->status, USBIP_OK);
}
END_TEST

START_TEST(halt)
{
	struct test_urb *read;

	configure(4);
	read = submit(0x85, NULL, 64);
	OUT_REQUEST(0x02, 3, 0, 0x85);
	ck_assert_int_eq(read->status, USBIP_EPIPE);
	read = submit(0x85, NULL, 64);
	ck_assert_int_eq(read->status, USBIP_EPIPE);
	submit(0x04, ask_version, 20); /* the other pipe is not concerned */
	OUT_REQUEST(0x02, 1, 0, 0x85);
	read = submit(0x85, NULL, 64);
	ck_assert_int_eq(read->status, USBIP_OK); /* nothing was lost */
	ck_assert_uint_eq(read->actual, 20);
	ck_assert(device_halt(dev, 0x04));
	ck_assert_int_eq(submit(0x04, set_up_bytes, 17)->status, USBIP_EPIPE);
	OUT_REQUEST(0x02, 1, 0, 0x04);
	ck_assert_int_eq(submit(0x04, set_up_bytes, 17)->status, USBIP_OK);
	ck_assert_uint_eq(phone->strict.total, 0);
	configure(1);
	ck_assert(!device_halt(dev, 0x85));
}
END_TEST

START_TEST(stall_and_resume)
{
	struct test_urb *read[2], *write[2];

	configure(4);
	device_stall(dev, true);
	read[0] = submit(0x85, NULL, 64);
	read[1] = submit(0x85, NULL, 64);
	write[0] = submit(0x04, ask_version, 20);
	write[1] = submit(0x04, set_up_bytes, 17);
	ck_assert_int_eq(write[0]->status, PENDING);
	expect_control(0x80, 8, 0, 0, 1, USBIP_OK, "\4", 1);
	device_stall(dev, false);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read[i]->status, USBIP_OK);
		ck_assert_int_eq(write[i]->status, USBIP_OK);
	}
	ck_assert_uint_lt(read[0]->order, read[1]->order);
	ck_assert_uint_lt(write[0]->order, write[1]->order);
	ck_assert_uint_eq(phone->strict.total, 0);
}
END_TEST

START_TEST(hang)
{
	struct test_urb *request, *read, *write, *cancelled;

	configure(4);
	device_hang(dev, true);
	request = control(0x80, 8, 0, 0, 1);
	cancelled = control(0x80, 8, 0, 0, 1);
	read = submit(0x85, NULL, 64);
	write = submit(0x04, ask_version, 20);
	ck_assert_uint_eq(usb_completions, 1);
	device_cancel(dev, &cancelled->u);
	ck_assert_int_eq(cancelled->status, USBIP_ECONNRESET);
	device_hang(dev, false);
	ck_assert_int_eq(request->status, USBIP_OK);
	ck_assert_int_eq(read->status, USBIP_OK);
	ck_assert_int_eq(write->status, USBIP_OK);
}
END_TEST

START_TEST(slow)
{
	struct test_urb *write[3];
	struct moment due;

	configure(4);
	device_slow(dev, 20 * 1000); /* a millisecond for each of these */
	for (int i = 0; i < 3; i++)
		write[i] = submit(0x04, ask_version, 20);
	ck_assert_int_eq(write[0]->status, PENDING);
	due = dev->due;
	ck_assert(due.ns != MOMENT_NEVER.ns);
	while (write[2]->status == PENDING)
		device_pump(dev);
	ck_assert_int_ge(clock_now().ns - due.ns, 2000000);
	ck_assert_int_eq(write[0]->status, USBIP_OK);
	device_slow(dev, 1); /* and at once when it is fast again */
	write[0] = submit(0x04, ask_version, 20);
	write[1] = submit(0x04, ask_version, 20);
	ck_assert_int_eq(write[0]->status, PENDING);
	device_slow(dev, 0);
	ck_assert_int_eq(write[0]->status, USBIP_OK);
	ck_assert_int_eq(write[1]->status, USBIP_OK);
}
END_TEST

/* With too many answers waiting the phone takes no more, until one has left. */
START_TEST(answers_make_room)
{
	uint8_t syn[36] = {
		0, 0, 0, 6, 0, 0, 0, 36, 0xfe, 0xed, 0xfa, 0xce, 0, 0, 0, 0,
		0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 2, 0, 0, 0, 0, 0,
	};
	struct test_urb *late;

	configure(4);
	expect(submit(0x04, ask_version, 20), USBIP_OK, 20);
	expect(submit(0x04, set_up_bytes, 17), USBIP_OK, 17);
	for (unsigned i = 1; phone->mux.reply_count < MUX_REPLIES_MAX; i++) {
		syn[12] = syn[16] = (uint8_t)(i >> 8);
		syn[13] = syn[17] = (uint8_t)i;
		expect(submit(0x04, syn, sizeof syn), USBIP_OK, sizeof syn);
	}
	syn[13]++;
	late = submit(0x04, syn, sizeof syn);
	ck_assert_int_eq(late->status, PENDING);
	ck_assert_int_eq(submit(0x85, NULL, 512)->status, USBIP_OK);
	ck_assert_int_eq(late->status, USBIP_OK);
}
END_TEST

START_TEST(other_endpoints)
{
	struct test_urb *interrupt, *iso;

	configure(2);
	interrupt = submit(0x83, NULL, 64);
	ck_assert_int_eq(interrupt->status, PENDING); /* NAK, for ever */
	expect(submit(0x81, NULL, 192), USBIP_EPIPE, 0); /* setting 0 */
	OUT_REQUEST(0x01, 11, 1, 1);
	expect(submit(0x81, NULL, 192), USBIP_EINVAL, 0); /* it is ISO */
	iso = make_urb(0x81, NULL, 192);
	iso->u.iso_count = 1;
	device_submit(dev, &iso->u);
	ck_assert_int_eq(iso->status, PENDING);
	OUT_REQUEST(0x01, 11, 0, 1);
	ck_assert_int_eq(iso->status, USBIP_ESHUTDOWN);
	device_cancel(dev, &interrupt->u);
	ck_assert_int_eq(interrupt->status, USBIP_ECONNRESET);
}
END_TEST

START_TEST(describes_itself)
{
	struct usbip_description desc;

	device_describe(dev, 9, &desc);
	ck_assert_str_eq(desc.device.busid, "1-1");
	ck_assert_uint_eq(desc.device.bus, 1);
	ck_assert_uint_eq(desc.device.address, 9);
	ck_assert_uint_eq(desc.device.speed, USBIP_SPEED_HIGH);
	ck_assert_uint_eq(desc.device.vendor, 0x05ac);
	ck_assert_uint_eq(desc.device.product, 0x12a8);
	ck_assert_uint_eq(desc.device.configuration, 0);
	ck_assert_uint_eq(desc.device.configurations, 4);
	ck_assert_uint_eq(desc.device.interface_count, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/device");
	TCase *t = tcase_create("requests");

	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, starts_unconfigured);
	tcase_add_test(t, descriptors_are_cut);
	tcase_add_test(t, configurations);
	tcase_add_test(t, interfaces);
	tcase_add_test(t, status);
	tcase_add_test(t, unknown_requests_stall);
	tcase_add_test(t, modes);
	tcase_add_test(t, layout_of_the_bus);
	tcase_add_test(t, super_speed);
	tcase_add_test(t, describes_itself);
	suite_add_tcase(s, t);

	t = tcase_create("urbs");
	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, talks);
	tcase_add_test(t, configuration_ends_the_session);
	tcase_add_test(t, port_reset);
	tcase_add_test(t, unlink_any);
	tcase_add_test(t, halt);
	tcase_add_test(t, stall_and_resume);
	tcase_add_test(t, hang);
	tcase_add_test(t, slow);
	tcase_add_test(t, answers_make_room);
	tcase_add_test(t, other_endpoints);
	suite_add_tcase(s, t);
	return unit_run(s);
}
