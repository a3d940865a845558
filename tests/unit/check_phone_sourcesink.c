/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The source and sink, as a host meets it. */
#include <string.h>

#include "phone/sourcesink.h"
#include "usb_host.h"

static uint8_t data[URB_BYTES_MAX];

/* Bulk data as usbtest writes it, for packets of that size. */
static const uint8_t *
mod63(uint32_t packet)
{
	for (uint32_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i % packet % 63);
	return data;
}

static void
plug(const char *options)
{
	usb_plug_kind(&kind_sourcesink, options);
	configure(1);
}

/* ---- What it is --------------------------------------------------------- */

START_TEST(descriptors)
{
	static const uint8_t device[] = {
		18, 1, 0x00, 0x02, 0xff, 0, 0, 64, 0x25, 0x05, 0xa0, 0xa4, 0x00,
		0x01, 1, 2, 3, 1,
	};
	static const uint8_t configuration[] = {
		9, 2, 69, 0, 1, 1, 4, 0xc0, 1,
		9, 4, 0, 0, 2, 0xff, 0, 0, 0,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x01, 2, 0x00, 0x02, 0,
		9, 4, 0, 1, 4, 0xff, 0, 0, 0,
		7, 5, 0x81, 2, 0x00, 0x02, 0,
		7, 5, 0x01, 2, 0x00, 0x02, 0,
		7, 5, 0x82, 1, 0x00, 0x04, 4,
		7, 5, 0x02, 1, 0x00, 0x04, 4,
	};
	static const uint8_t serial[] = {
		26, 3, 's', 0, 'o', 0, 'u', 0, 'r', 0, 'c', 0, 'e', 0, 's', 0,
		'i', 0, 'n', 0, 'k', 0, '-', 0, '1', 0,
	};

	usb_plug_kind(&kind_sourcesink, NULL);
	expect_control(0x80, 6, 0x0100, 0, 64, USBIP_OK, device, sizeof device);
	expect_control(0x80, 6, 0x0200, 0, 255, USBIP_OK, configuration,
	    sizeof configuration);
	expect_control(0x80, 6, 0x0303, 0x0409, 255, USBIP_OK, serial,
	    sizeof serial);
	usb_unplug();
}
END_TEST

START_TEST(full_speed_only)
{
	struct test_urb *t;

	plug("speed=full,pattern=1");
	t = control(0x80, 6, 0x0100, 0, 18);
	ck_assert_uint_eq(t->bytes[2] | t->bytes[3] << 8, 0x0110);
	expect(t, USBIP_OK, 18);
	STALLS(0x80, 6, 0x0600, 0, 10);
	t = control(0x80, 6, 0x0200, 0, 255);
	ck_assert_uint_eq(t->bytes[22] | t->bytes[23] << 8, 64);
	ck_assert_uint_eq(t->bytes[59] | t->bytes[60] << 8, 1023);
	expect(t, USBIP_OK, 69);
	expect(submit(0x01, mod63(64), 1000), USBIP_OK, 1000);
	expect(submit(0x01, mod63(512), 1000), USBIP_EPIPE, 64);
	usb_unplug();
}
END_TEST

START_TEST(super_speed)
{
	struct test_urb *t;

	plug("speed=super,pattern=1");
	t = control(0x80, 6, 0x0f00, 0, 255);
	ck_assert_uint_eq(t->bytes[4], 2);
	expect(t, USBIP_OK, 22);
	t = control(0x80, 6, 0x0200, 0, 255);
	ck_assert_uint_eq(t->bytes[25 + 1], 48);
	expect(t, USBIP_OK, 69 + 6 * 6);
	t = submit(0x81, NULL, 4096);
	ck_assert_mem_eq(t->bytes, mod63(1024), 4096);
	expect(t, USBIP_OK, 4096);
	usb_unplug();
}
END_TEST

/* ---- Bulk --------------------------------------------------------------- */

START_TEST(source)
{
	static const char *const patterns[] = {
		"pattern=0", "pattern=1", "pattern=none",
	};
	struct test_urb *t;

	plug(patterns[_i]);
	t = make_urb(0x81, NULL, 5120);
	memset(t->bytes, 0xee, 5121);
	device_submit(dev, &t->u);
	if (_i == 1)
		mod63(512);
	else
		memset(data, 0, sizeof data);
	ck_assert_mem_eq(t->bytes, data, 5120);
	ck_assert_uint_eq(t->bytes[5120], 0xee);
	expect(t, USBIP_OK, 5120);
	ck_assert_uint_eq(counted("packets_out"), 10);
	ck_assert_uint_eq(counted("bytes_out"), 5120);
	expect(submit(0x81, NULL, 0), USBIP_OK, 0);
	/* It does not stop amid a packet because the host has no room. */
	expect(submit(0x81, NULL, 700), USBIP_EOVERFLOW, 700);
	ck_assert_uint_eq(counted("babbles"), 1);
	usb_unplug();
}
END_TEST

START_TEST(sink)
{
	struct test_urb *t;

	plug("pattern=1");
	mod63(512);
	expect(submit(0x01, data, 1), USBIP_OK, 1);
	expect(submit(0x01, data, 1000), USBIP_OK, 1000);
	expect(submit(0x01, data, 65536), USBIP_OK, 65536);
	ck_assert_uint_eq(counted("packets_in"), 1 + 2 + 128);
	ck_assert_uint_eq(counted("bytes_in"), 66537);
	ck_assert_uint_eq(counted("zlps_in"), 0);
	/* Empty packets: alone, and behind a transfer that asks for one. */
	expect(submit(0x01, data, 0), USBIP_OK, 0);
	t = make_urb(0x01, data, 1024);
	t->u.flags = USBIP_ZERO_PACKET;
	device_submit(dev, &t->u);
	expect(t, USBIP_OK, 1024);
	t = make_urb(0x01, data, 1023);
	t->u.flags = USBIP_ZERO_PACKET;
	device_submit(dev, &t->u);
	expect(t, USBIP_OK, 1023);
	ck_assert_uint_eq(counted("zlps_in"), 2);
	ck_assert_uint_eq(counted("transfers_in"), 6);
	ck_assert_uint_eq(counted("mismatches"), 0);
	usb_unplug();
}
END_TEST

/* The packet that differs is not taken, and nothing more until the halt has
 * been cleared. */
START_TEST(sink_stalls)
{
	struct test_urb *t, *behind;

	plug("pattern=1");
	mod63(512);
	data[1500]++;
	device_stall(dev, true);
	t = submit(0x01, data, 4096);
	behind = submit(0x01, data, 512);
	device_stall(dev, false);
	ck_assert_int_eq(behind->status, USBIP_EPIPE);
	ck_assert_int_eq(t->status, USBIP_EPIPE);
	ck_assert_uint_eq(t->actual, 1024);
	ck_assert_uint_eq(counted("mismatches"), 1);
	ck_assert_uint_eq(counted("bytes_in"), 1024);
	expect(submit(0x01, data, 512), USBIP_EPIPE, 0);
	expect_control(0x82, 0, 0, 0x01, 2, USBIP_OK, "\1\0", 2);
	expect(submit(0x81, NULL, 512), USBIP_OK, 512);
	OUT_REQUEST(0x02, 1, 0, 0x01);
	expect(submit(0x01, data, 512), USBIP_OK, 512);
	usb_unplug();
}
END_TEST

START_TEST(sink_without_pattern)
{
	plug("pattern=none");
	expect(submit(0x01, "anything", 8), USBIP_OK, 8);
	usb_unplug();
	plug(NULL); /* zeros */
	expect(submit(0x01, NULL, 513), USBIP_OK, 513);
	expect(submit(0x01, "\0\1", 2), USBIP_EPIPE, 0);
	usb_unplug();
}
END_TEST

/* ---- Loop --------------------------------------------------------------- */

/* A number that repeats late enough to show any byte that is out of place. */
static uint8_t
noise(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static void
fill_noise(void)
{
	for (uint32_t i = 0; i < sizeof data; i++)
		data[i] = noise(i);
}

START_TEST(loop)
{
	struct test_urb *read;

	plug("loop,pattern=1");
	fill_noise();
	read = submit(0x81, NULL, 16384);
	ck_assert_int_eq(read->status, PENDING);
	expect(submit(0x01, data, 700), USBIP_OK, 700);
	ck_assert_int_eq(read->status, USBIP_OK);
	ck_assert_uint_eq(read->actual, 700);
	ck_assert_mem_eq(read->bytes, data, 700);
	/* Packets and transfers leave no trace. */
	expect(submit(0x01, data, 300), USBIP_OK, 300);
	expect(submit(0x01, data, 0), USBIP_OK, 0);
	expect(submit(0x01, data + 300, 724), USBIP_OK, 724);
	read = submit(0x81, NULL, 2048);
	ck_assert_mem_eq(read->bytes, data, 1024);
	expect(read, USBIP_OK, 1024);
	ck_assert_uint_eq(counted("zlps_out"), 1); /* what ended it */
	ck_assert_uint_eq(counted("zlps_in"), 1);
	ck_assert_uint_eq(counted("held"), 0);
	usb_unplug();
}
END_TEST

/* A transfer that is larger than what the device holds goes in bit by bit. */
START_TEST(loop_back_pressure)
{
	struct test_urb *write, *behind, *read;
	uint32_t at = 0;

	plug("loop");
	fill_noise();
	write = submit(0x01, data, URB_BYTES_MAX);
	behind = submit(0x01, "end", 3);
	ck_assert_int_eq(write->status, PENDING);
	ck_assert_uint_eq(counted("held"), ECHO_MAX);
	while (at < URB_BYTES_MAX) {
		read = submit(0x81, NULL, 100352);
		ck_assert_int_eq(read->status, USBIP_OK);
		ck_assert_uint_gt(read->actual, 0);
		if (at + read->actual <= URB_BYTES_MAX)
			ck_assert_mem_eq(read->bytes, data + at, read->actual);
		else
			ck_assert_mem_eq(read->bytes + read->actual - 3, "end",
			    3);
		at += read->actual;
		expect(read, USBIP_OK, read->actual);
	}
	ck_assert_uint_eq(at, URB_BYTES_MAX + 3);
	ck_assert_int_eq(write->status, USBIP_OK);
	ck_assert_uint_eq(write->actual, URB_BYTES_MAX);
	ck_assert_int_eq(behind->status, USBIP_OK);
	ck_assert_uint_eq(counted("bytes_in"), counted("bytes_out"));
	usb_unplug();
}
END_TEST

/* What a cancelled transfer has moved stays moved, and is told. */
START_TEST(loop_cancelled_midway)
{
	struct test_urb *write, *behind, *read;

	plug("loop");
	fill_noise();
	write = submit(0x01, data, ECHO_MAX + 1000);
	behind = submit(0x01, data, 10);
	device_cancel(dev, &write->u);
	ck_assert_int_eq(write->status, USBIP_ECONNRESET);
	ck_assert_uint_eq(write->actual, ECHO_MAX);
	ck_assert_int_eq(behind->status, PENDING);
	read = submit(0x81, NULL, 512);
	ck_assert_mem_eq(read->bytes, data, 512);
	expect(read, USBIP_OK, 512);
	ck_assert_int_eq(behind->status, USBIP_OK);
	ck_assert_uint_eq(counted("held"), ECHO_MAX - 512 + 10);
	configure(1); /* a new session begins with nothing */
	ck_assert_uint_eq(counted("held"), 0);
	usb_unplug();
}
END_TEST

START_TEST(loop_hung_midway)
{
	struct test_urb *write, *read;
	uint32_t at = 0;

	plug("loop");
	fill_noise();
	write = submit(0x01, data, ECHO_MAX + 1000);
	device_hang(dev, true);
	read = submit(0x81, NULL, ECHO_MAX);
	ck_assert_int_eq(read->status, PENDING);
	device_hang(dev, false);
	ck_assert_int_eq(write->status, USBIP_OK);
	ck_assert_int_eq(read->status, USBIP_OK);
	ck_assert_mem_eq(read->bytes, data, read->actual);
	at += read->actual;
	read = submit(0x81, NULL, ECHO_MAX);
	ck_assert_mem_eq(read->bytes, data + at, read->actual);
	ck_assert_uint_eq(at + read->actual, ECHO_MAX + 1000);
	usb_unplug();
}
END_TEST

START_TEST(loop_babble)
{
	struct test_urb *read;

	plug("loop");
	fill_noise();
	expect(submit(0x01, data, 1500), USBIP_OK, 1500);
	expect(submit(0x81, NULL, 600), USBIP_EOVERFLOW, 600);
	ck_assert_uint_eq(counted("lost"), 424);
	read = submit(0x81, NULL, 512);
	ck_assert_mem_eq(read->bytes, data + 1024, 476);
	expect(read, USBIP_OK, 476);
	usb_unplug();
}
END_TEST

/* ---- Isochronous -------------------------------------------------------- */

static void
plug_iso(const char *options)
{
	plug(options);
	OUT_REQUEST(0x01, 11, 1, 0);
}

START_TEST(iso_setting)
{
	plug("pattern=1");
	expect(submit_iso(0x82, NULL, 1, 1024, 0, 0), USBIP_EPIPE, 0);
	OUT_REQUEST(0x01, 11, 1, 0);
	expect_control(0x81, 10, 0, 0, 1, USBIP_OK, "\1", 1);
	expect(submit(0x82, NULL, 1024), USBIP_EINVAL, 0);
	expect(submit_iso(0x81, NULL, 1, 512, 0, 0), USBIP_EINVAL, 0);
	expect(submit(0x81, NULL, 512), USBIP_OK, 512);
	STALLS(0x01, 11, 2, 0, 0);
	OUT_REQUEST(0x01, 11, 0, 0);
	expect(submit_iso(0x02, NULL, 1, 1024, 0, 0), USBIP_EPIPE, 0);
	usb_unplug();
}
END_TEST

START_TEST(iso_in)
{
	struct test_urb *t;

	plug_iso("pattern=1");
	t = submit_iso(0x82, NULL, 4, 1024, USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t->status, USBIP_OK);
	ck_assert_int_eq(t->u.start_frame, 0);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(t->iso[i].status, USBIP_OK);
		ck_assert_uint_eq(t->iso[i].actual, 1024);
		ck_assert_mem_eq(t->bytes + 1024 * i, mod63(1024), 1024);
	}
	/* Each packet takes 2^(4-1) microframes. */
	t = submit_iso(0x82, NULL, 2, 1000, USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t->u.start_frame, 32);
	ck_assert_int_eq(t->iso[1].status, USBIP_EOVERFLOW);
	ck_assert_uint_eq(t->iso[1].actual, 1000);
	t = submit_iso(0x82, NULL, 1, 1024, 0, 100); /* later */
	ck_assert_int_eq(t->u.start_frame, 100);
	t = submit_iso(0x82, NULL, 1, 1024, 0, 100); /* too late */
	ck_assert_int_eq(t->u.start_frame, 108);
	ck_assert_uint_eq(counted("iso_packets_out"), 8);
	ck_assert_uint_eq(counted("iso_bytes_out"), 6 * 1024 + 2 * 1000);
	ck_assert_uint_eq(counted("iso_babbles"), 2);
	usb_unplug();
}
END_TEST

START_TEST(iso_out)
{
	struct test_urb *t;

	plug_iso("pattern=1");
	mod63(1024);
	data[2048 + 5] = 77;
	t = submit_iso(0x02, data, 4, 1024, USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t->status, USBIP_OK);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(t->iso[i].status, USBIP_OK);
		ck_assert_uint_eq(t->iso[i].actual, 1024);
	}
	t = submit_iso(0x02, mod63(1024), 1, 0, USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t->status, USBIP_OK);
	ck_assert_int_eq(t->u.start_frame, 32);
	ck_assert_uint_eq(counted("iso_packets_in"), 5);
	ck_assert_uint_eq(counted("iso_bytes_in"), 4096);
	ck_assert_uint_eq(counted("iso_mismatches"), 1);
	t = submit_iso(0x02, data, 2, 1025, USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t->status, USBIP_EINVAL);
	ck_assert_int_eq(t->iso[0].status, USBIP_EXDEV);
	ck_assert_uint_eq(counted("bad_transfers"), 1);
	usb_unplug();
}
END_TEST

/* With pace, a transfer takes as long as its packets, and one that comes too
 * late begins now. */
START_TEST(iso_pace)
{
	struct test_urb *t[3];
	const struct moment start = clock_now();

	plug_iso("iso-pace=on");
	for (int i = 0; i < 3; i++)
		t[i] = submit_iso(0x82, NULL, i == 1 ? 60 : 20, 1024,
		    USBIP_ISO_ASAP, 0);
	ck_assert_int_eq(t[0]->status, PENDING);
	usb_wait(t[0]);
	ck_assert_int_ge(clock_now().ns - start.ns, 20000000);
	device_cancel(dev, &t[1]->u);
	/* On a busy host its 60 ms may be over as well. */
	if (t[1]->status != USBIP_OK) {
		ck_assert_int_eq(t[1]->status, USBIP_ECONNRESET);
		ck_assert_int_eq(t[1]->iso[0].status, USBIP_EXDEV);
	} else {
		ck_assert_int_ge(clock_now().ns - start.ns, 80000000);
	}
	usb_wait(t[2]);
	ck_assert_int_ge(t[2]->u.start_frame, t[0]->u.start_frame + 160);
	usb_pass_time(70);
	t[0] = submit_iso(0x82, NULL, 1, 1024, USBIP_ISO_ASAP, 0);
	ck_assert_int_ge(t[0]->u.start_frame, 70 * 8);
	usb_wait(t[0]);
	usb_unplug();
}
END_TEST

/* ---- Control ------------------------------------------------------------ */

START_TEST(buffer)
{
	struct test_urb *t;

	plug(NULL);
	fill_noise();
	t = control(0xc0, 0x5c, 0, 0, 100); /* zeros at first */
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(t->bytes[i], 0);
	expect(t, USBIP_OK, 100);
	expect_write(0x40, 0x5b, 0, 0, data, 4096, USBIP_OK);
	expect_control(0xc0, 0x5c, 0, 0, 4096, USBIP_OK, data, 4096);
	expect_write(0x40, 0x5b, 0, 0, "short", 5, USBIP_OK);
	expect_control(0xc0, 0x5c, 0, 0, 5, USBIP_OK, "short", 5);
	expect_write(0x40, 0x5b, 0, 0, NULL, 0, USBIP_OK);
	expect_write(0x40, 0x5b, 0, 0, NULL, 4097, USBIP_EPIPE);
	STALLS(0xc0, 0x5c, 0, 0, 4097);
	STALLS(0xc0, 0x5c, 1, 0, 5);
	STALLS(0xc0, 0x5c, 0, 1, 5);
	STALLS(0xc0, 0x5b, 0, 0, 5);
	STALLS(0x40, 0x5c, 0, 0, 0);
	STALLS(0xa1, 1, 0, 0, 5);
	ck_assert_uint_eq(counted("bad_requests"), 7);
	usb_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/sourcesink");
	TCase *t = tcase_create("description");

	tcase_add_test(t, descriptors);
	tcase_add_test(t, full_speed_only);
	tcase_add_test(t, super_speed);
	suite_add_tcase(s, t);

	t = tcase_create("bulk");
	tcase_add_loop_test(t, source, 0, 3);
	tcase_add_test(t, sink);
	tcase_add_test(t, sink_stalls);
	tcase_add_test(t, sink_without_pattern);
	suite_add_tcase(s, t);

	t = tcase_create("loop");
	tcase_add_test(t, loop);
	tcase_add_test(t, loop_back_pressure);
	tcase_add_test(t, loop_cancelled_midway);
	tcase_add_test(t, loop_hung_midway);
	tcase_add_test(t, loop_babble);
	suite_add_tcase(s, t);

	t = tcase_create("isochronous");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, iso_setting);
	tcase_add_test(t, iso_in);
	tcase_add_test(t, iso_out);
	tcase_add_test(t, iso_pace);
	suite_add_tcase(s, t);

	t = tcase_create("control");
	tcase_add_test(t, buffer);
	suite_add_tcase(s, t);
	return unit_run(s);
}
