/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's backend: URBs as transfers, and what becomes of them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/session.h"
#include "export_rig.h"

/* ---- Types ---- */

START_TEST(all_types_by_the_endpoints_descriptor)
{
	const int fd = export_import();

	rig_submit(fd, &x.as, 1, 0x81, 5000);
	rig_expect_data(fd, 1, 5000);
	ck_assert_int_eq(script.type, LIBUSB_TRANSFER_TYPE_BULK);
	rig_submit(fd, &x.as, 2, 0x01, 70000);
	rig_expect_ret(fd, 2, USBIP_OK, 70000);
	rig_submit(fd, &x.as, 3, 0x83, 8);
	rig_expect_data(fd, 3, 8);
	ck_assert_int_eq(script.type, LIBUSB_TRANSFER_TYPE_INTERRUPT);
	rig_submit(fd, &x.as, 4, 0x03, 8);
	rig_expect_ret(fd, 4, USBIP_OK, 8);
	export_control(fd, 5, 0x80, 6, 0x100, 0, 18);
	rig_expect_data(fd, 5, 18);
	ck_assert_int_eq(script.type, LIBUSB_TRANSFER_TYPE_CONTROL);
	export_control(fd, 6, 0x40, 1, 2, 3, 0);
	rig_expect_ret(fd, 6, USBIP_OK, 0);
	export_release(fd);
}
END_TEST

START_TEST(control_out_with_data)
{
	struct usbip_pdu pdu;
	uint8_t data[300];
	const int fd = export_import();

	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = rig_pattern(sizeof data, i);
	pdu = rig_submit_pdu(&x.as, 9, 0, sizeof data);
	memcpy(pdu.submit.setup, "\x40\x5b\0\0\0\0\x2c\x01", 8);
	rig_send_pdu(fd, &pdu);
	rig_send(fd, data, sizeof data);
	rig_expect_ret(fd, 9, USBIP_OK, sizeof data);
	export_release(fd);
}
END_TEST

START_TEST(short_reads)
{
	const int fd = export_import();

	script.shorter = 100;
	rig_submit(fd, &x.as, 1, 0x81, 512);
	rig_expect_data(fd, 1, 412);
	export_control(fd, 2, 0x80, 6, 0x100, 0, 200);
	rig_expect_data(fd, 2, 100);
	export_release(fd);
}
END_TEST

START_TEST(endpoints_that_do_not_exist)
{
	const int fd = export_import();

	rig_submit(fd, &x.as, 1, 0x85, 64);
	rig_expect_ret(fd, 1, USBIP_EPIPE, 0);
	rig_submit(fd, &x.as, 2, 0x02, 64); /* in another setting only */
	rig_expect_ret(fd, 2, USBIP_EPIPE, 0);
	ck_assert_int_eq(script.submitted, 0);
	export_release(fd);
}
END_TEST

/* An empty packet is asked for only where one has to come. */
START_TEST(empty_packets)
{
	static const struct { int length, flags; } cases[] = {
		{ 1024, LIBUSB_TRANSFER_ADD_ZERO_PACKET }, { 1023, 0 },
		{ 0, 0 } };
	const int fd = export_import();

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		struct usbip_pdu pdu = rig_submit_pdu(&x.as, (uint32_t)i, 0x01,
		    cases[i].length);
		uint8_t data[1024];

		for (int k = 0; k < cases[i].length; k++)
			data[k] = rig_pattern((uint32_t)cases[i].length,
			    (uint32_t)k);
		pdu.submit.flags = USBIP_ZERO_PACKET;
		rig_send_pdu(fd, &pdu);
		rig_send(fd, data, (size_t)cases[i].length);
		rig_expect_ret(fd, (uint32_t)i, USBIP_OK, cases[i].length);
		ck_assert_int_eq(script.flags, cases[i].flags);
	}
	export_release(fd);
}
END_TEST

START_TEST(statuses)
{
	static const struct { int status, expected; } cases[] = {
		{ LIBUSB_TRANSFER_ERROR, USBIP_EPROTO },
		{ LIBUSB_TRANSFER_TIMED_OUT, USBIP_ETIMEDOUT },
		{ LIBUSB_TRANSFER_CANCELLED, USBIP_ESHUTDOWN }, /* unasked */
		{ LIBUSB_TRANSFER_STALL, USBIP_EPIPE },
		{ LIBUSB_TRANSFER_NO_DEVICE, USBIP_ESHUTDOWN },
		{ LIBUSB_TRANSFER_OVERFLOW, USBIP_EOVERFLOW } };
	const int fd = export_import();

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		script.status = cases[i].status;
		rig_submit(fd, &x.as, (uint32_t)i, 0x81, 64);
		rig_expect_ret(fd, (uint32_t)i, cases[i].expected, 0);
	}
	export_release(fd);
}
END_TEST

/* ---- Isochronous ---- */

/* `gap` bytes between the packets of 200; returns the PDU's length. */
static void
submit_iso(int fd, uint32_t seqnum, uint8_t endpoint, uint32_t gap)
{
	const uint32_t count = 3, length = count * (200 + gap);
	struct usbip_pdu pdu =
	    rig_submit_pdu(&x.as, seqnum, endpoint, (int32_t)length);
	uint8_t bytes[USBIP_ISO_SIZE], *data = calloc(1, length);

	pdu.submit.packets = (int32_t)count;
	rig_send_pdu(fd, &pdu);
	for (uint32_t i = 0; i < count; i++)
		memset(data + i * (200 + gap), 'a' + (int)i, 200);
	if ((endpoint & 0x80) == 0)
		rig_send(fd, data, length);
	free(data);
	for (uint32_t i = 0; i < count; i++) {
		const struct usbip_iso iso = { .offset = i * (200 + gap),
			.length = 200 };

		usbip_iso_encode(bytes, &iso);
		rig_send(fd, bytes, sizeof bytes);
	}
}

static void
expect_iso(int fd, uint32_t seqnum, bool in, uint32_t gap)
{
	const struct usbip_pdu pdu = rig_receive_pdu(fd);
	uint8_t bytes[USBIP_ISO_SIZE], data[300];

	ck_assert_uint_eq(pdu.seqnum, seqnum);
	ck_assert_int_eq(pdu.ret_submit.status, USBIP_OK);
	ck_assert_int_eq(pdu.ret_submit.actual, 300);
	ck_assert_int_eq(pdu.ret_submit.errors, 1);
	ck_assert_int_eq(pdu.ret_submit.packets, 3);
	if (in)
		rig_receive(fd, data, sizeof data);
	for (unsigned i = 0; in && i < sizeof data; i++)
		RIG_EQ(data[i], 'a' + i / 100);
	for (uint32_t i = 0; i < 3; i++) {
		struct usbip_iso iso;

		rig_receive(fd, bytes, sizeof bytes);
		usbip_iso_decode(&iso, bytes);
		ck_assert_uint_eq(iso.offset, i * (200 + gap));
		ck_assert_uint_eq(iso.actual, 100);
		ck_assert_int_eq(iso.status,
		    i == 1 ? USBIP_EOVERFLOW : USBIP_OK);
	}
}

START_TEST(isochronous)
{
	const int fd = export_import();

	submit_iso(fd, 1, 0x82, 0); /* not in this setting */
	ck_assert_int_eq(rig_receive_pdu(fd).ret_submit.status, USBIP_EPIPE);
	for (int i = 0; i < 3; i++) {
		uint8_t bytes[USBIP_ISO_SIZE];

		rig_receive(fd, bytes, sizeof bytes);
	}
	export_control(fd, 2, SET_INTERFACE(0, 1));
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().setting, 1);
	for (uint32_t gap = 0; gap < 60; gap += 50) {
		submit_iso(fd, 3, 0x82, gap);
		expect_iso(fd, 3, true, gap);
		ck_assert_int_eq(script.type,
		    LIBUSB_TRANSFER_TYPE_ISOCHRONOUS);
		submit_iso(fd, 4, 0x02, gap);
		expect_iso(fd, 4, false, gap);
	}
	rig_submit(fd, &x.as, 5, 0x82, 64); /* no packets */
	rig_expect_ret(fd, 5, USBIP_EINVAL, 0);
	export_release(fd);
}
END_TEST

/* ---- Memory ---- */

START_TEST(waits_for_its_own_memory)
{
	const int fd = export_import();

	fake_set_memory(1000);
	script.held = HELD(0x81);
	for (uint32_t i = 1; i <= 3; i++)
		rig_submit(fd, &x.as, i, 0x81, 400);
	/* Another endpoint, for which there is room. */
	rig_submit(fd, &x.as, 4, 0x83, 8);
	rig_expect_data(fd, 4, 8);
	ck_assert_int_eq(script.submitted, 3);
	script.held = 0;
	ck_assert(fake_finish(x.device, 0x81, LIBUSB_TRANSFER_STALL, 0));
	rig_expect_ret(fd, 1, USBIP_EPIPE, 0);
	export_await_submitted(4);
	ck_assert(fake_finish(x.device, 0x81, LIBUSB_TRANSFER_STALL, 0));
	/* In their order, though the third is done before. */
	for (uint32_t i = 2; i <= 3; i++) {
		const struct usbip_pdu pdu = rig_receive_pdu(fd);
		uint8_t data[400];

		ck_assert_uint_ge(pdu.seqnum, 2);
		rig_receive(fd, data, (size_t)pdu.ret_submit.actual);
	}
	export_release(fd);
}
END_TEST

START_TEST(starves_when_others_have_it_all)
{
	const int fd = export_import();

	fake_set_memory(100);
	rig_submit(fd, &x.as, 1, 0x81, 400);
	rig_expect_ret(fd, 1, USBIP_ENOMEM, 0);
	fake_set_memory(-1);
	rig_submit(fd, &x.as, 3, 0x81, 400);
	rig_expect_data(fd, 3, 400);
	export_release(fd);
}
END_TEST

START_TEST(memory_of_others_comes_back)
{
	const int fd = export_import();

	fake_set_memory(100);
	rig_submit(fd, &x.as, 1, 0x81, 400);
	rig_submit(fd, &x.as, 2, 0x83, 8); /* taken, so 1 has been tried */
	rig_expect_data(fd, 2, 8);
	fake_set_memory(-1);
	rig_expect_data(fd, 1, 400);
	export_release(fd);
}
END_TEST

/* ---- Cancelling ---- */

START_TEST(cancel_in_flight_and_waiting)
{
	const int fd = export_import();

	script.held = HELD(0x81);
	fake_set_memory(500);
	rig_submit(fd, &x.as, 1, 0x81, 400);
	rig_submit(fd, &x.as, 2, 0x81, 400); /* waits for memory */
	export_await_submitted(1);
	rig_unlink(fd, &x.as, 3, 2);
	rig_expect_unlinked(fd, 3, USBIP_ECONNRESET);
	rig_unlink(fd, &x.as, 4, 1);
	rig_expect_unlinked(fd, 4, USBIP_ECONNRESET);
	rig_unlink(fd, &x.as, 5, 1); /* long gone */
	rig_expect_unlinked(fd, 5, USBIP_OK);
	ck_assert_int_eq(script.submitted, 1);
	export_release(fd);
}
END_TEST

/* The URB of a blocking request goes at once, the request goes on, and what
 * comes behind it waits for it. */
START_TEST(cancel_a_request)
{
	const int fd = export_import();

	fake_set_slowness(300);
	export_control(fd, 1, SET_CONFIGURATION(2));
	rig_unlink(fd, &x.as, 2, 1);
	rig_expect_unlinked(fd, 2, USBIP_ECONNRESET);
	ck_assert_int_eq(fake_counts().set_configurations, 0);
	export_control(fd, 3, GET_STATUS);
	rig_expect_data(fd, 3, 2);
	ck_assert_int_eq(fake_counts().set_configurations, 1);
	export_release(fd);
}
END_TEST

/* A thousand URBs, each unlinked right away: each ends exactly once. */
START_TEST(cancel_storm)
{
	const int fd = export_import();
	unsigned done = 0, unlinked = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		/* Every other is done already. */
		script.held = i % 2 == 0 ? HELD(0x81) : 0;
		rig_submit(fd, &x.as, 2 * i, 0x81, 16);
		rig_unlink(fd, &x.as, 2 * i + 1, 2 * i);
		for (bool open = true; open;) {
			const struct usbip_pdu pdu = rig_receive_pdu(fd);
			uint8_t data[16];

			if (pdu.command == USBIP_RET_SUBMIT) {
				ck_assert_uint_eq(pdu.seqnum, 2 * i);
				rig_receive(fd, data,
				    (size_t)pdu.ret_submit.actual);
				done++;
				continue;
			}
			open = false;
			unlinked += pdu.ret_unlink.status == USBIP_ECONNRESET;
		}
	}
	ck_assert_uint_eq(done + unlinked, 1000);
	export_release(fd);
}
END_TEST

/* ---- */

int
main(void)
{
	Suite *s = suite_create("export_transfers");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_checked_fixture(t, export_set_up, export_tear_down);
	tcase_add_test(t, all_types_by_the_endpoints_descriptor);
	tcase_add_test(t, control_out_with_data);
	tcase_add_test(t, short_reads);
	tcase_add_test(t, endpoints_that_do_not_exist);
	tcase_add_test(t, empty_packets);
	tcase_add_test(t, statuses);
	tcase_add_test(t, isochronous);
	tcase_add_test(t, waits_for_its_own_memory);
	tcase_add_test(t, starves_when_others_have_it_all);
	tcase_add_test(t, memory_of_others_comes_back);
	tcase_add_test(t, cancel_in_flight_and_waiting);
	tcase_add_test(t, cancel_a_request);
	tcase_add_test(t, cancel_storm);
	suite_add_tcase(s, t);
	return unit_run(s);
}
