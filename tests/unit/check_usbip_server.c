/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/sock.h"
#include "usbip_two.h"

/*
 * The USB/IP server engine seen from its clients: lists, imports, transfers.
 */

/* ---- Operations --------------------------------------------------------- */

START_TEST(list_shows_what_is_plugged_and_free)
{
	char list[512];
	int fd;

	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "3-1 ");
	rig_plug(&rig, &two);
	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "3-1 3-2 ");

	fd = rig_import(&rig, &one);
	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "3-2 ");
	close(fd);
	rig_await(&one, &one.released, 1);

	rig_unplug(&rig, &two);
	rig_unplug(&rig, &one);
	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "");
}
END_TEST

START_TEST(description_follows_the_device)
{
	uint8_t expected[USBIP_DEVICE_SIZE], got[USBIP_DEVICE_SIZE];
	struct usbip_device_entry entry;
	const int fd = rig_connect(&rig);

	one.desc.device.configuration = 4;
	usbip_server_update(rig.server, &one.dev, &one.desc);
	ck_assert_uint_eq(rig_try_import(fd, "3-1", &entry), USBIP_ST_OK);
	usbip_device_encode(expected, &one.desc.device);
	usbip_device_encode(got, &entry);
	ck_assert_mem_eq(got, expected, sizeof got);
	close(fd);
}
END_TEST

START_TEST(busids_are_unique_and_sound)
{
	struct usbip_description desc = one.desc;
	struct cause why;

	ck_assert_int_eq(
	    usbip_server_plug(rig.server, &two.dev, &desc, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, "3-1"));
	desc.device.busid[0] = '\0';
	ck_assert_int_eq(
	    usbip_server_plug(rig.server, &two.dev, &desc, &why), -1);
	memset(desc.device.busid, 'x', USBIP_BUSID_SIZE);
	ck_assert_int_eq(
	    usbip_server_plug(rig.server, &two.dev, &desc, &why), -1);
	desc = two.desc;
	desc.device.interface_count = USBIP_SERVER_INTERFACES_MAX + 1;
	ck_assert_int_eq(
	    usbip_server_plug(rig.server, &two.dev, &desc, &why), -1);
	desc = two.desc;
	desc.device.address = 0x10000;
	ck_assert_int_eq(
	    usbip_server_plug(rig.server, &two.dev, &desc, &why), -1);
}
END_TEST

static uint32_t
import_status(const char *busid)
{
	const int fd = rig_connect(&rig);
	const uint32_t status = rig_try_import(fd, busid, NULL);

	if (status != USBIP_ST_OK)
		rig_expect_end(fd);
	close(fd);
	return status;
}

START_TEST(import_answers_with_the_kernels_numbers)
{
	int fd;

	ck_assert_uint_eq(import_status("9-9"), USBIP_ST_NODEV);
	ck_assert_uint_eq(import_status(""), USBIP_ST_NODEV);
	fd = rig_import(&rig, &one);
	ck_assert_uint_eq(import_status("3-1"), USBIP_ST_DEV_BUSY);
	close(fd);

	rig_plug(&rig, &two);
	two.refuse_with = USBIP_ST_DEV_ERR;
	ck_assert_uint_eq(import_status("3-2"), USBIP_ST_DEV_ERR);
	two.refuse_with = USBIP_ST_NA;
	ck_assert_uint_eq(import_status("3-2"), USBIP_ST_NA);
	two.refuse_with = USBIP_ST_OK;
	ck_assert_uint_eq(import_status("3-2"), USBIP_ST_OK);
}
END_TEST

START_TEST(device_is_free_for_the_next_importer_at_once)
{
	for (unsigned i = 1; i <= 200; i++) {
		const int fd = rig_import(&rig, &one);

		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 8);
		close(fd);
	}
	rig_await(&one, &one.released, 200);
}
END_TEST

START_TEST(other_versions_and_operations_are_hung_up_on)
{
	static const struct usbip_op wrong[] = {
		{ 0x0100, USBIP_REQ_DEVLIST, 0 },
		{ 0x0110, USBIP_REQ_IMPORT, 0 },
		{ USBIP_VERSION, 0x8002, 0 },
		{ USBIP_VERSION, USBIP_REP_DEVLIST, 0 },
		{ 0xffff, 0xffff, 0xffffffff },
	};
	char list[512];

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		const int fd = rig_connect(&rig);
		uint8_t bytes[USBIP_OP_SIZE];

		usbip_op_encode(bytes, &wrong[i]);
		rig_send(fd, bytes, sizeof bytes);
		rig_expect_end(fd);
		close(fd);
	}
	rig_devlist(&rig, list);
	ck_assert_str_eq(list, "3-1 ");
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte_beside_others)
{
	static const uint8_t request[USBIP_REQ_IMPORT_SIZE] =
	    "\x01\x11\x80\x03\0\0\0\0" "3-1";
	const int slow = rig_connect(&rig);
	uint8_t reply[USBIP_REP_IMPORT_SIZE];
	char list[512];

	for (size_t i = 0; i < sizeof request; i++) {
		rig_send(slow, request + i, 1);
		if (i % 8 == 0)
			rig_devlist(&rig, list);
	}
	rig_receive(slow, reply, sizeof reply);
	ck_assert_int_eq(reply[7], 0);
	close(slow);
}
END_TEST

START_TEST(tcp_and_adopted_sockets_serve_too)
{
	const struct sock_addr addr = { .host = "127.0.0.1", .port = "0" };
	struct sock_addr to = addr;
	struct cause why;
	int fd, pair[2];

	fd = sock_listen(&addr, 0, 16, &why);
	ck_assert_msg(fd >= 0, "%s", why.text);
	snprintf(to.port, sizeof to.port, "%u", sock_local_port(fd));
	ck_assert_int_eq(usbip_server_listen(rig.server, fd, &why), 0);
	fd = sock_connect(&to, 10000, &why);
	ck_assert_msg(fd >= 0, "%s", why.text);
	ck_assert_uint_eq(rig_try_import(fd, "3-1", NULL), USBIP_ST_OK);
	rig_submit(fd, &one, 1, 0x80 | RIG_INSTANT, 100000);
	rig_expect_data(fd, 1, 100000);

	rig_plug(&rig, &two);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(usbip_server_adopt(rig.server, pair[0], NULL, NULL,
	    &why), 0);
	ck_assert_uint_eq(rig_try_import(pair[1], "3-2", NULL), USBIP_ST_OK);
	rig_submit(pair[1], &two, 1, 0x80 | RIG_INSTANT, 100);
	rig_expect_data(pair[1], 1, 100);
	close(pair[1]);
	close(fd);
}
END_TEST

START_TEST(silent_clients_do_not_lock_out_an_import_for_good)
{
	enum { SILENT = 300 }; /* more than are served at a time */
	int silent[SILENT], fd;
	char list[512];

	for (int i = 0; i < SILENT; i++)
		silent[i] = rig_connect(&rig);
	fd = rig_connect(&rig);
	rig_send_devlist(fd, 0);
	for (int i = 0; i < SILENT / 2; i++)
		close(silent[i]);
	rig_receive_devlist(fd, list);
	ck_assert_str_eq(list, "3-1 ");
	close(fd);
	for (int i = SILENT / 2; i < SILENT; i++)
		close(silent[i]);
}
END_TEST

/* ---- Transfers ---------------------------------------------------------- */

START_TEST(bulk_of_every_size_arrives_whole)
{
	static const int32_t sizes[] = { 0, 1, 47, 511, 512, 513, 4095, 4096,
		4097, 16384, 65535, 65536, 65537, 131072, 1000000, 1 << 20 };
	const int fd = rig_import(&rig, &one);
	const unsigned n = sizeof sizes / sizeof sizes[0];

	for (unsigned i = 0; i < n; i++) {
		rig_submit(fd, &one, i, RIG_INSTANT, sizes[i]);
		rig_expect_ret(fd, i, USBIP_OK, sizes[i]);
		rig_submit(fd, &one, i, 0x80 | RIG_INSTANT, sizes[i]);
		rig_expect_data(fd, i, (uint32_t)sizes[i]);
	}
	/* Many at once, so that they share system calls and buffers. */
	for (uint32_t i = 0; i < 500; i++) {
		rig_submit(fd, &one, 1000 + 2 * i, RIG_INSTANT,
		    (int32_t)(i * 7));
		rig_submit(fd, &one, 1001 + 2 * i, 0x80 | RIG_INSTANT, 64);
	}
	for (uint32_t i = 0; i < 500; i++) {
		rig_expect_ret(fd, 1000 + 2 * i, USBIP_OK, (int32_t)(i * 7));
		rig_expect_data(fd, 1001 + 2 * i, 64);
	}
	close(fd);
}
END_TEST

START_TEST(control_requests)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 1, 0x80, 64);
	uint8_t data[18];

	memcpy(pdu.submit.setup, "\x80\x06\x00\x01\x00\x00\x40\x00", 8);
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 1, USBIP_OK, 18);
	rig_receive(fd, data, sizeof data);

	/* No data: the direction says nothing. */
	pdu = rig_submit_pdu(&one, 2, 0x00, 0);
	memcpy(pdu.submit.setup, "\x80\x09\x01\x00\x00\x00\x00\x00", 8);
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 2, USBIP_OK, 0);

	/* wLength beyond the buffer; the wrong way round. */
	pdu = rig_submit_pdu(&one, 3, 0x80, 63);
	memcpy(pdu.submit.setup, "\x80\x06\x00\x01\x00\x00\x40\x00", 8);
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 3, USBIP_EINVAL, 0);
	pdu = rig_submit_pdu(&one, 4, 0x80, 64);
	memcpy(pdu.submit.setup, "\x00\x06\x00\x01\x00\x00\x40\x00", 8);
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 4, USBIP_EINVAL, 0);
	close(fd);
}
END_TEST

START_TEST(number_of_packets_is_echoed)
{
	const int fd = rig_import(&rig, &one);

	for (int32_t packets = -1; packets <= 0; packets++) {
		struct usbip_pdu pdu =
		    rig_submit_pdu(&one, 7, 0x80 | RIG_INSTANT, 0);

		pdu.submit.packets = packets;
		pdu.submit.start_frame = packets;
		rig_send_pdu(fd, &pdu);
		pdu = rig_receive_pdu(fd);
		ck_assert_int_eq(pdu.ret_submit.packets, packets);
		ck_assert_int_eq(pdu.ret_submit.start_frame, packets);
	}
	close(fd);
}
END_TEST

START_TEST(short_reads)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 1, 0x80 | RIG_SHORT, 40);
	char data[20];

	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 1, USBIP_OK, 20);
	rig_receive(fd, data, sizeof data);
	pdu.submit.flags = USBIP_SHORT_NOT_OK;
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 1, USBIP_EREMOTEIO, 20);
	rig_receive(fd, data, sizeof data);
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_done_is_answered_and_the_stream_goes_on)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu;

	/* An endpoint that the backend does not have; one that nobody has. */
	rig_submit(fd, &one, 1, 15, 5000);
	rig_expect_ret(fd, 1, USBIP_EPIPE, 0);
	pdu = rig_submit_pdu(&one, 2, 0x80 | RIG_INSTANT, 100);
	pdu.endpoint = 0x1234;
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 2, USBIP_EPIPE, 0);
	rig_submit(fd, &one, 3, 0x70 | RIG_INSTANT, 5000);
	rig_expect_ret(fd, 3, USBIP_EPIPE, 0);

	/* Too long, with and without its data. */
	pdu = rig_submit_pdu(&one, 4, 0x80 | RIG_INSTANT, INT32_MAX);
	rig_send_pdu(fd, &pdu);
	rig_expect_ret(fd, 4, USBIP_ENOMEM, 0);
	rig_submit(fd, &one, 5, RIG_INSTANT, USBIP_LENGTH_MAX + 1);
	rig_expect_ret(fd, 5, USBIP_ENOMEM, 0);

	rig_submit(fd, &one, 6, RIG_INSTANT, USBIP_LENGTH_MAX);
	rig_expect_ret(fd, 6, USBIP_OK, USBIP_LENGTH_MAX);
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_followed_ends_the_import)
{
	for (int i = 0; i < 7; i++) {
		const int fd = rig_import(&rig, &one);
		struct usbip_pdu pdu =
		    rig_submit_pdu(&one, 1, 0x80 | RIG_HELD, 100);

		switch (i) {
		case 0: pdu.submit.length = -1; break;
		case 1: pdu.submit.packets = 1025; break;
		case 2: pdu.submit.packets = -2; break;
		case 3: pdu.devid++; break;
		case 4: pdu.command = USBIP_RET_SUBMIT; break;
		case 5: pdu.direction = 2; break;
		default: rig_send_pdu(fd, &pdu); break; /* twice the same */
		}
		rig_send_pdu(fd, &pdu);
		rig_expect_end(fd);
		close(fd);
	}
}
END_TEST

/* ---- Isochronous -------------------------------------------------------- */

static void
send_iso(int fd, struct usbip_pdu *pdu, const struct usbip_iso *iso)
{
	uint8_t data[256] = { 0 }, bytes[USBIP_ISO_SIZE];

	rig_send_pdu(fd, pdu);
	if (pdu->direction == 0)
		rig_send(fd, data, (size_t)pdu->submit.length);
	for (int32_t i = 0; i < pdu->submit.packets; i++) {
		usbip_iso_encode(bytes, &iso[i]);
		rig_send(fd, bytes, sizeof bytes);
	}
}

static void
expect_iso(int fd, const struct usbip_iso *iso, int count)
{
	for (int i = 0; i < count; i++) {
		uint8_t bytes[USBIP_ISO_SIZE];
		struct usbip_iso got;

		rig_receive(fd, bytes, sizeof bytes);
		usbip_iso_decode(&got, bytes);
		ck_assert_mem_eq(&got, &iso[i], sizeof got);
	}
}

/* With gaps, and not in the order of the buffer. */
static const struct usbip_iso asked[3] = { { 100, 40, 9, 9 }, { 0, 20, 0, 0 },
	{ 60, 10, 0, 0 } };
static const struct usbip_iso answered[3] = { { 100, 40, 20, 0 },
	{ 0, 20, 10, USBIP_EPROTO }, { 60, 10, 5, 0 } };

START_TEST(iso_in_travels_without_gaps)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 9, 0x80 | RIG_ISO, 160);
	char data[36] = "";

	pdu.submit.packets = 3;
	send_iso(fd, &pdu, asked);
	pdu = rig_receive_pdu(fd);
	ck_assert_int_eq(pdu.ret_submit.actual, 35);
	ck_assert_int_eq(pdu.ret_submit.packets, 3);
	ck_assert_int_eq(pdu.ret_submit.errors, 1);
	ck_assert_int_eq(pdu.ret_submit.start_frame, 4711);
	rig_receive(fd, data, 35);
	ck_assert_str_eq(data, "aaaaaaaaaaaaaaaaaaaabbbbbbbbbbccccc");
	expect_iso(fd, answered, 3);
	close(fd);
}
END_TEST

START_TEST(iso_out_returns_descriptors_only)
{
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 9, RIG_ISO, 160);

	pdu.submit.packets = 3;
	send_iso(fd, &pdu, asked);
	rig_expect_ret(fd, 9, USBIP_OK, 35);
	expect_iso(fd, answered, 3);
	close(fd);
}
END_TEST

START_TEST(unsound_iso_is_answered)
{
	const struct usbip_iso beyond[2] = { { 0, 10, 0, USBIP_EXDEV },
		{ 156, 5, 0, USBIP_EXDEV } };
	const struct usbip_iso twice[2] = { { 0, 160, 0, USBIP_EXDEV },
		{ 0, 160, 0, USBIP_EXDEV } };
	const int fd = rig_import(&rig, &one);
	struct usbip_pdu pdu = rig_submit_pdu(&one, 9, RIG_ISO, 160);

	pdu.submit.packets = 2;
	send_iso(fd, &pdu, beyond);
	rig_expect_ret(fd, 9, USBIP_EINVAL, 0);
	expect_iso(fd, beyond, 2);
	pdu = rig_submit_pdu(&one, 9, 0x80 | RIG_ISO, 160);
	pdu.submit.packets = 2;
	send_iso(fd, &pdu, twice);
	rig_expect_ret(fd, 9, USBIP_EINVAL, 0);
	expect_iso(fd, twice, 2);
	ck_assert_uint_eq(one.submits, 0);
	close(fd);
}
END_TEST

/* ---- URBs beside each other --------------------------------------------- */

START_TEST(no_endpoint_waits_for_another)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < 100; i++) {
		rig_submit(fd, &one, i, 0x80 | RIG_HELD, 64);
		rig_submit(fd, &one, 1000 + i, 0x80 | RIG_INSTANT, 64);
	}
	for (uint32_t i = 0; i < 100; i++)
		rig_expect_data(fd, 1000 + i, 64);
	for (uint32_t i = 0; i < 100; i++)
		rig_finish(&one, USBIP_OK, 64);
	for (uint32_t i = 0; i < 100; i++)
		rig_expect_data(fd, i, 64);
	close(fd);
}
END_TEST

/* What the importer wrote last is taken back first, whatever its numbers: a
 * device that makes room meanwhile must not find a gap in what it takes. */
START_TEST(what_is_left_is_taken_back_from_its_end)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 0; i < 3000; i++)
		rig_submit(fd, &one, (uint32_t)-1000 + i, RIG_HELD, 8);
	rig_await(&one, &one.submits, 3000);
	for (uint32_t i = 0; i < 1500; i++) {
		rig_finish(&one, USBIP_OK, 8);
		rig_expect_ret(fd, (uint32_t)-1000 + i, USBIP_OK, 8);
		rig_submit(fd, &one, 2000 + i, RIG_HELD, 8);
	}
	rig_await(&one, &one.submits, 4500);
	close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_eq(one.cancels, 3000);
	ck_assert_uint_eq(one.holes, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_server");
	TCase *tc = tcase_create("server");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, two_setup, two_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, list_shows_what_is_plugged_and_free);
	tcase_add_test(tc, description_follows_the_device);
	tcase_add_test(tc, busids_are_unique_and_sound);
	tcase_add_test(tc, import_answers_with_the_kernels_numbers);
	tcase_add_test(tc, device_is_free_for_the_next_importer_at_once);
	tcase_add_test(tc, other_versions_and_operations_are_hung_up_on);
	tcase_add_test(tc, a_request_may_come_byte_by_byte_beside_others);
	tcase_add_test(tc,
	    silent_clients_do_not_lock_out_an_import_for_good);
	tcase_add_test(tc, tcp_and_adopted_sockets_serve_too);
	tcase_add_test(tc, bulk_of_every_size_arrives_whole);
	tcase_add_test(tc, control_requests);
	tcase_add_test(tc, number_of_packets_is_echoed);
	tcase_add_test(tc, short_reads);
	tcase_add_test(tc,
	    what_cannot_be_done_is_answered_and_the_stream_goes_on);
	tcase_add_test(tc, what_cannot_be_followed_ends_the_import);
	tcase_add_test(tc, iso_in_travels_without_gaps);
	tcase_add_test(tc, iso_out_returns_descriptors_only);
	tcase_add_test(tc, unsound_iso_is_answered);
	tcase_add_test(tc, no_endpoint_waits_for_another);
	tcase_add_test(tc, what_is_left_is_taken_back_from_its_end);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
