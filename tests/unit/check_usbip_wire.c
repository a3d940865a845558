/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usbip_golden.h"
#include "wire/usbip.h"

/*
 * The USB/IP codec against what the kernel's own client and server said to
 * each other (tests/golden/usbip-*.txt), and against hostile numbers.
 */

/* What a reply is checked against. */
struct request {
	bool in;
	uint32_t length;
	uint32_t packets;
};

/* ---- Golden bytes ------------------------------------------------------- */

static struct request requests[8192]; /* by seqnum */

static void
check_descriptors(const struct golden_line *l, uint32_t packets)
{
	const uint8_t *at = l->bytes + l->length - packets * USBIP_ISO_SIZE;

	if (l->shown < l->length)
		return;
	for (uint32_t i = 0; i < packets; i++, at += USBIP_ISO_SIZE) {
		struct usbip_iso iso;
		uint8_t again[USBIP_ISO_SIZE];

		usbip_iso_decode(&iso, at);
		ck_assert(usbip_iso_fits(&iso, 4 * 0xc0));
		ck_assert_uint_eq(iso.offset, i * 0xc0);
		ck_assert_uint_eq(iso.actual, 0xc0);
		usbip_iso_encode(again, &iso);
		ck_assert_mem_eq(again, at, sizeof again);
	}
}

static void
check_pdu(const struct golden_line *l)
{
	struct usbip_pdu pdu;
	uint8_t again[USBIP_PDU_SIZE];
	struct request *rq;
	int64_t payload = 0;

	ck_assert_int_eq(usbip_pdu_decode(&pdu, l->bytes), 0);
	usbip_pdu_encode(again, &pdu);
	ck_assert_mem_eq(again, l->bytes, sizeof again);

	rq = &requests[pdu.seqnum % 8192];
	if (pdu.command == USBIP_CMD_SUBMIT) {
		rq->in = pdu.direction == 1;
		rq->length = (uint32_t)pdu.submit.length;
		rq->packets = usbip_iso_count(pdu.submit.packets);
		payload = usbip_submit_payload(&pdu);
	} else if (pdu.command == USBIP_RET_SUBMIT) {
		payload = usbip_ret_submit_payload(&pdu, rq->in, rq->length,
		    rq->packets);
		check_descriptors(l, rq->packets);
	}
	ck_assert_int_eq(l->from_client, pdu.command <= USBIP_CMD_UNLINK);
	ck_assert_int_eq(payload + USBIP_PDU_SIZE, (int64_t)l->length);
}

static unsigned
check_file(const char *name)
{
	FILE *f = golden_open(name);
	struct golden_line l;
	unsigned pdus = 0;

	while (golden_next(f, &l))
		if (l.length >= USBIP_PDU_SIZE &&
		    l.length != USBIP_DEVICE_SIZE) {
			check_pdu(&l);
			pdus++;
		}
	fclose(f);
	return pdus;
}

START_TEST(every_captured_pdu_is_reproduced)
{
	ck_assert_uint_eq(check_file("usbip-captures.txt"), 87);
	ck_assert_uint_eq(check_file("usbip-document.txt"), 4);
}
END_TEST

START_TEST(a_captured_device_is_reproduced)
{
	FILE *f = golden_open("usbip-captures.txt");
	struct golden_line l;
	struct usbip_device_entry dev;
	uint8_t again[USBIP_DEVICE_SIZE];

	do
		ck_assert(golden_next(f, &l));
	while (l.length != USBIP_DEVICE_SIZE);
	fclose(f);
	usbip_device_decode(&dev, l.bytes);
	ck_assert_str_eq(dev.path,
	    "/sys/devices/pci0000:00/0000:00:03.0/usb1/1-1");
	usbip_device_encode(again, &dev);
	ck_assert_mem_eq(again, l.bytes, l.shown);
}
END_TEST

/* ---- Layout, byte by byte, of what the captures do not show ------------- */

static const struct usbip_device_entry sample = {
	.path = "/sys/devices/virtual/3-2",
	.busid = "3-2",
	.bus = 3,
	.address = 2,
	.speed = USBIP_SPEED_HIGH,
	.vendor = 0x05ac,
	.product = 0x12a8,
	.release = 0x1401,
	.device_class = 0xa1,
	.device_subclass = 0xa2,
	.device_protocol = 0xa3,
	.configuration = 0xa4,
	.configurations = 0xa5,
	.interface_count = 0xa6,
};

START_TEST(import_reply_has_the_offsets_of_the_kernel)
{
	const struct usbip_op op = { USBIP_VERSION, USBIP_REP_IMPORT, 0 };
	uint8_t reply[USBIP_REP_IMPORT_SIZE];
	uint8_t again[USBIP_DEVICE_SIZE];
	struct usbip_device_entry dev;
	static const uint8_t tail[] = { 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3,
		0x05, 0xac, 0x12, 0xa8, 0x14, 0x01, 0xa1, 0xa2, 0xa3, 0xa4,
		0xa5, 0xa6 };

	ck_assert_int_eq(sizeof reply, 0x140);
	usbip_op_encode(reply, &op);
	usbip_device_encode(reply + USBIP_OP_SIZE, &sample);
	ck_assert_mem_eq(reply, "\x01\x11\x00\x03\0\0\0\0/sys/", 13);
	ck_assert_mem_eq(reply + 0x108, "3-2\0\0", 5);
	ck_assert_mem_eq(reply + 0x128, tail, sizeof tail);
	usbip_device_decode(&dev, reply + USBIP_OP_SIZE);
	ck_assert_str_eq(dev.busid, "3-2");
	ck_assert_uint_eq(dev.interface_count, 0xa6);
	usbip_device_encode(again, &dev);
	ck_assert_mem_eq(again, reply + USBIP_OP_SIZE, sizeof again);
}
END_TEST

START_TEST(operations_and_interfaces)
{
	const struct usbip_interface intf = { 0xff, 0xfe, 2 };
	struct usbip_interface back;
	struct usbip_op op;
	uint8_t bytes[8];

	usbip_op_decode(&op, (const uint8_t *)"\x01\x11\x80\x05WATC");
	ck_assert_int_eq(op.version, USBIP_VERSION);
	ck_assert_int_eq(op.code, USBIP_REQ_DEVLIST);
	ck_assert_uint_eq(op.status, USBIP_WATCH);
	usbip_interface_encode(bytes, &intf);
	ck_assert_mem_eq(bytes, "\xff\xfe\x02\x00", 4);
	usbip_interface_decode(&back, bytes);
	ck_assert_mem_eq(&back, &intf, sizeof back);
}
END_TEST

/* ---- DEVINFO ------------------------------------------------------------ */

/* Written by hand: a device descriptor (of which eight bytes), the languages,
 * a string of two letters, and a type that nobody knows, empty. */
static const uint8_t golden_info[] = {
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08,
	0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x40,
	0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04,
	0x04, 0x03, 0x09, 0x04,
	0x03, 0x02, 0x04, 0x09, 0x00, 0x00, 0x00, 0x06,
	0x06, 0x03, 'h', 0x00, 'i', 0x00,
	0xee, 0xff, 0x12, 0x34, 0x00, 0x00, 0x00, 0x00,
};

START_TEST(records_of_devinfo_have_these_bytes)
{
	static const struct usbip_info_record records[] = {
		{ USBIP_INFO_DEVICE, 0, 0, 8, golden_info + 8 },
		{ USBIP_INFO_STRING, 0, 0, 4, golden_info + 24 },
		{ USBIP_INFO_STRING, 2, 0x0409, 6, golden_info + 36 },
		{ 0xee, 0xff, 0x1234, 0, NULL },
	};
	uint8_t bytes[sizeof golden_info];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct reader r = reader_over(golden_info, sizeof golden_info);
	struct usbip_info_record got;

	for (unsigned i = 0; i < 4; i++) {
		ck_assert(usbip_info_add(&w, &records[i]));
		ck_assert(usbip_info_next(&r, &got));
		ck_assert_int_eq(got.type, records[i].type);
		ck_assert_int_eq(got.index, records[i].index);
		ck_assert_int_eq(got.langid, records[i].langid);
		ck_assert_uint_eq(got.length, records[i].length);
		ck_assert(got.length == 0 || got.bytes == records[i].bytes);
	}
	ck_assert(!usbip_info_next(&r, &got));
	ck_assert_uint_eq(writer_used(&w), sizeof golden_info);
	ck_assert_mem_eq(bytes, golden_info, sizeof bytes);
}
END_TEST

START_TEST(the_head_of_devinfo_is_an_import_with_another_code)
{
	const struct usbip_op rq = { USBIP_VERSION, USBIP_REQ_DEVINFO, 0 },
	    rep = { USBIP_VERSION, USBIP_REP_DEVINFO, USBIP_ST_NA };
	uint8_t bytes[USBIP_OP_SIZE];

	usbip_op_encode(bytes, &rq);
	ck_assert_mem_eq(bytes, "\x01\x11\x80\x02\0\0\0\0", 8);
	usbip_op_encode(bytes, &rep);
	ck_assert_mem_eq(bytes, "\x01\x11\x00\x02\0\0\0\x01", 8);
	ck_assert_int_eq(USBIP_REQ_DEVINFO_SIZE, 40);
	ck_assert_int_eq(USBIP_REP_DEVINFO_HEAD_SIZE, 324);
}
END_TEST

START_TEST(records_that_are_cut_or_lie_end_the_list)
{
	uint8_t bytes[sizeof golden_info];
	struct usbip_info_record got;
	struct reader r;
	size_t whole;

	for (size_t len = 0; len < sizeof golden_info; len++) {
		r = reader_over(golden_info, len);
		for (whole = 0; usbip_info_next(&r, &got);
		     whole += USBIP_INFO_RECORD_SIZE + got.length)
			;
		ck_assert_uint_le(whole, len);
	}
	memcpy(bytes, golden_info, sizeof bytes);
	memset(bytes + 4, 0xff, 4); /* a length */
	r = reader_over(bytes, sizeof bytes);
	ck_assert(!usbip_info_next(&r, &got));
	ck_assert(!usbip_info_next(&r, &got));
}
END_TEST

START_TEST(records_without_room_are_left_out_whole)
{
	uint8_t bytes[40];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct usbip_info_record rec = { .type = 2, .length = 33,
		.bytes = golden_info };

	ck_assert(!usbip_info_add(&w, &rec));
	ck_assert_uint_eq(writer_used(&w), 0);
	rec.length = UINT32_MAX;
	ck_assert(!usbip_info_add(&w, &rec));
	rec.length = 25;
	ck_assert(usbip_info_add(&w, &rec));
	rec.length = 0; /* seven bytes are left, a head has eight */
	ck_assert(!usbip_info_add(&w, &rec));
	ck_assert_uint_eq(writer_used(&w), 33);
}
END_TEST

START_TEST(strings_need_no_end_and_are_cut_with_one)
{
	uint8_t bytes[USBIP_BUSID_SIZE];
	char busid[USBIP_BUSID_SIZE + 1];
	char longer[64];

	memset(bytes, 'x', sizeof bytes);
	usbip_busid_decode(busid, bytes);
	ck_assert_uint_eq(strlen(busid), USBIP_BUSID_SIZE);

	memset(longer, 'y', sizeof longer);
	longer[63] = '\0';
	usbip_busid_encode(bytes, longer);
	ck_assert_int_eq(bytes[USBIP_BUSID_SIZE - 2], 'y');
	ck_assert_int_eq(bytes[USBIP_BUSID_SIZE - 1], 0);

	/* What stands behind the end is not ours to carry on. */
	memcpy(bytes, "1-1\0secret", 11);
	usbip_busid_decode(busid, bytes);
	ck_assert_int_eq(busid[4], 0);
	ck_assert_str_eq(busid, "1-1");
}
END_TEST

/* ---- Hostile numbers ---------------------------------------------------- */

static int64_t
submit_payload(uint32_t direction, int32_t length, int32_t packets)
{
	const struct usbip_pdu pdu = { .command = USBIP_CMD_SUBMIT,
		.direction = direction,
		.submit = { .length = length, .packets = packets } };

	return usbip_submit_payload(&pdu);
}

START_TEST(lengths_of_requests_are_checked)
{
	ck_assert_int_eq(submit_payload(0, 0, 0), 0);
	ck_assert_int_eq(submit_payload(0, 100, -1), 100);
	ck_assert_int_eq(submit_payload(1, 100, -1), 0);
	ck_assert_int_eq(submit_payload(1, 100, 2), 32);
	ck_assert_int_eq(submit_payload(0, INT32_MAX, 1024),
	    (int64_t)INT32_MAX + 16384);
	ck_assert_int_eq(submit_payload(0, -1, 0), -1);
	ck_assert_int_eq(submit_payload(1, INT32_MIN, 0), -1);
	ck_assert_int_eq(submit_payload(0, 0, -2), -1);
	ck_assert_int_eq(submit_payload(0, 0, 1025), -1);
	ck_assert_int_eq(submit_payload(0, 0, INT32_MAX), -1);
	ck_assert_int_eq(submit_payload(2, 0, 0), -1);
	ck_assert_int_eq(submit_payload(UINT32_MAX, 0, 0), -1);
}
END_TEST

static int64_t
ret_payload(bool in, int32_t actual, int32_t got, uint32_t asked)
{
	const struct usbip_pdu pdu = { .command = USBIP_RET_SUBMIT,
		.ret_submit = { .actual = actual, .packets = got } };

	return usbip_ret_submit_payload(&pdu, in, 1000, asked);
}

START_TEST(lengths_of_replies_are_checked_against_the_request)
{
	ck_assert_int_eq(ret_payload(true, 1000, 0, 0), 1000);
	ck_assert_int_eq(ret_payload(false, 1000, -1, 0), 0);
	ck_assert_int_eq(ret_payload(true, 10, 3, 3), 58);
	ck_assert_int_eq(ret_payload(true, 1001, 0, 0), -1);
	ck_assert_int_eq(ret_payload(false, 1001, 0, 0), -1);
	ck_assert_int_eq(ret_payload(true, -1, 0, 0), -1);
	ck_assert_int_eq(ret_payload(true, 10, 4, 3), -1);
	ck_assert_int_eq(ret_payload(true, 10, 0, 3), -1);
	ck_assert_int_eq(ret_payload(true, 10, INT32_MAX, INT32_MAX), -1);
}
END_TEST

START_TEST(iso_packets_lie_inside_the_buffer)
{
	const struct usbip_iso inside = { .offset = 90, .length = 10 },
			       beyond = { .offset = 91, .length = 10 },
			       wraps = { .offset = 0xfffffff8, .length = 16 },
			       at_end = { .offset = 100, .length = 0 },
			       huge = { .offset = 0, .length = 0xffffffff };

	ck_assert(usbip_iso_fits(&inside, 100));
	ck_assert(usbip_iso_fits(&at_end, 100));
	ck_assert(!usbip_iso_fits(&beyond, 100));
	ck_assert(!usbip_iso_fits(&wraps, 100));
	ck_assert(!usbip_iso_fits(&huge, 100));
}
END_TEST

START_TEST(unknown_commands_are_refused)
{
	uint8_t bytes[USBIP_PDU_SIZE] = { 0 };
	struct usbip_pdu pdu;

	for (int command = 0; command < 256; command++) {
		bytes[3] = (uint8_t)command;
		ck_assert_int_eq(usbip_pdu_decode(&pdu, bytes),
		    command >= 1 && command <= 4 ? 0 : -1);
	}
	memset(bytes, 0xff, sizeof bytes);
	ck_assert_int_eq(usbip_pdu_decode(&pdu, bytes), -1);
}
END_TEST

START_TEST(every_status_has_words)
{
	for (uint32_t status = 0; status < 8; status++)
		ck_assert_ptr_nonnull(usbip_status_text(status));
	ck_assert_str_ne(usbip_status_text(USBIP_ST_NODEV),
	    usbip_status_text(USBIP_ST_DEV_BUSY));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_wire");
	TCase *tc = tcase_create("wire");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, every_captured_pdu_is_reproduced);
	tcase_add_test(tc, a_captured_device_is_reproduced);
	tcase_add_test(tc, import_reply_has_the_offsets_of_the_kernel);
	tcase_add_test(tc, operations_and_interfaces);
	tcase_add_test(tc, records_of_devinfo_have_these_bytes);
	tcase_add_test(tc,
	    the_head_of_devinfo_is_an_import_with_another_code);
	tcase_add_test(tc, records_that_are_cut_or_lie_end_the_list);
	tcase_add_test(tc, records_without_room_are_left_out_whole);
	tcase_add_test(tc, strings_need_no_end_and_are_cut_with_one);
	tcase_add_test(tc, lengths_of_requests_are_checked);
	tcase_add_test(tc, lengths_of_replies_are_checked_against_the_request);
	tcase_add_test(tc, iso_packets_lie_inside_the_buffer);
	tcase_add_test(tc, unknown_commands_are_refused);
	tcase_add_test(tc, every_status_has_words);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
