/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's control socket, also under clients that behave badly. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "export/control.h"
#include "export_rig.h"
#include "wire/admin.h"

static struct control about;
static struct responder *control;
static char path[80];

static void
set_up(void)
{
	struct cause why;

	export_set_up();
	snprintf(path, sizeof path, "%s/control", x.rig.dir);
	about = (struct control){ x.rig.server, x.monitor };
	control = control_open(&about, path, &why);
	ck_assert_msg(control != NULL, "%s", why.text);
}

static void
tear_down(void)
{
	responder_close(control);
	ck_assert_int_lt(access(path, F_OK), 0);
	export_tear_down();
}

/* What the main thread does, until nothing happens for a moment. */
static void
serve(void)
{
	struct pollfd pfd[1 + CONTROL_CLIENTS_MAX];
	int n;

	do {
		n = responder_pollfds(control, pfd);
		n = poll(pfd, (nfds_t)n, 20);
		if (n > 0)
			responder_serve(control, pfd);
	} while (n > 0);
}

static int
come(void)
{
	const struct timeval patience = { .tv_sec = 10 };
	struct sock_addr addr;
	struct cause why;
	int fd;

	ck_assert_int_eq(sock_addr_parse(&addr, path, NULL, &why), 0);
	fd = sock_connect(&addr, 1000, &why);
	ck_assert_msg(fd >= 0, "%s", why.text);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void
ask(int fd, uint32_t tag, const char *type, const char *busid)
{
	plist_t dict = plist_new_dict();
	struct client_frame f;

	plist_dict_set_item(dict, "MessageType", plist_new_string(type));
	if (busid != NULL)
		plist_dict_set_item(dict, "BusID", plist_new_string(busid));
	f = admin_frame(tag, dict);
	rig_send(fd, f.bytes, f.len);
	free(f.bytes);
}

static plist_t
hear(int fd, uint32_t tag)
{
	uint8_t bytes[USBMUX_HEADER_SIZE], payload[4096];
	struct client_header h;
	plist_t dict;

	serve();
	rig_receive(fd, bytes, sizeof bytes);
	ck_assert(client_header_read(&h, bytes, sizeof payload));
	ck_assert_uint_eq(h.tag, tag);
	rig_receive(fd, payload, h.length - sizeof bytes);
	dict = admin_parse_reply(payload, h.length - sizeof bytes);
	ck_assert_ptr_nonnull(dict);
	return dict;
}

static void
expect_number(plist_t dict, const char *key, uint64_t number)
{
	ck_assert_ptr_nonnull(plist_dict_get_item(dict, key));
	ck_assert_uint_eq(admin_number(dict, key), number);
}

START_TEST(list)
{
	const int fd = come(), importer = export_import();
	plist_t dict, row;

	rig_submit(importer, &x.as, 1, 0x81, 512);
	rig_expect_data(importer, 1, 512);
	ask(fd, 7, "USBList", NULL);
	dict = hear(fd, 7);
	row = plist_dict_get_item(dict, "Devices");
	ck_assert_uint_eq(plist_array_get_size(row), 1);
	row = plist_array_get_item(row, 0);
	ck_assert_str_eq(admin_text(row, "BusID"), "1-2.3");
	ck_assert_str_eq(admin_text(row, "Serial"), "S1");
	ck_assert_str_eq(admin_text(row, "State"), "imported");
	ck_assert_ptr_nonnull(admin_text(row, "Importer"));
	expect_number(row, "Bus", 1);
	expect_number(row, "VendorID", 0x0525);
	expect_number(row, "Speed", 5000000000);
	expect_number(row, "RxBytes", 512);
	expect_number(row, "TxBytes", 0);
	expect_number(row, "InFlight", 0);
	plist_free(dict);
	close(fd);
	export_release(importer);
}
END_TEST

START_TEST(kick)
{
	const int fd = come(), importer = export_import();
	static const struct { const char *busid; unsigned kicked, exported; }
	cases[] = { { "1-2.3", 1, 1 }, { "9-9", 0, 0 } };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		plist_t dict;

		ask(fd, 1, "USBKick", cases[i].busid);
		dict = hear(fd, 1);
		expect_number(dict, "Kicked", cases[i].kicked);
		expect_number(dict, "Exported", cases[i].exported);
		plist_free(dict);
	}
	rig_expect_end(importer);
	close(fd);
	export_release(importer);
}
END_TEST

START_TEST(requests_that_are_none)
{
	static const struct { const char *type; uint64_t number; } cases[] = {
		{ "USBKick", EINVAL }, /* of nothing */
		{ "Status", USBMUX_BAD_COMMAND } };
	const int fd = come();

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		plist_t dict;

		ask(fd, 3, cases[i].type, NULL);
		dict = hear(fd, 3);
		expect_number(dict, "Number", cases[i].number);
		plist_free(dict);
	}
	close(fd);
}
END_TEST

/* One by one, all at once, and not to the end. */
START_TEST(pieces)
{
	const int fd = come();
	plist_t dict = plist_new_dict();
	struct client_frame f;

	plist_dict_set_item(dict, "MessageType", plist_new_string("USBList"));
	f = admin_frame(1, dict);
	for (size_t i = 0; i < f.len; i++) {
		rig_send(fd, f.bytes + i, 1);
		serve();
	}
	plist_free(hear(fd, 1));
	for (uint32_t tag = 2; tag < 20; tag++)
		ask(fd, tag, "USBList", NULL);
	rig_send(fd, f.bytes, f.len - 1);
	for (uint32_t tag = 2; tag < 20; tag++)
		plist_free(hear(fd, tag));
	free(f.bytes);
	close(fd);
	serve();
}
END_TEST

START_TEST(lengths_that_are_none)
{
	static const uint8_t heads[][USBMUX_HEADER_SIZE] = {
		{ 15, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1 },
		{ 1, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1 },
		{ 255, 255, 255, 255, 1, 0, 0, 0, 8, 0, 0, 0, 1 } };

	for (int i = 0; i < UNIT_COUNT(heads); i++) {
		const int fd = come();

		rig_send(fd, heads[i], sizeof heads[i]);
		serve();
		rig_expect_end(fd);
		close(fd);
	}
}
END_TEST

START_TEST(rubbish)
{
	uint8_t bytes[USBMUX_HEADER_SIZE + 100];
	const int fd = come();
	plist_t dict;

	memset(bytes, 0xa5, sizeof bytes);
	memcpy(bytes, (const uint8_t[]){ sizeof bytes, 0, 0, 0, 1, 0, 0, 0, 8,
	    0, 0, 0, 9, 0, 0, 0 }, USBMUX_HEADER_SIZE);
	rig_send(fd, bytes, sizeof bytes);
	dict = hear(fd, 9);
	expect_number(dict, "Number", USBMUX_BAD_COMMAND);
	plist_free(dict);
	close(fd);
}
END_TEST

/* Who does not read keeps nobody from being served; more than there is room
 * for wait until somebody has gone. */
START_TEST(crowd)
{
	int fds[CONTROL_CLIENTS_MAX + 1];

	for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++) {
		fds[i] = come();
		ask(fds[i], (uint32_t)i, "USBList", NULL);
		serve();
	}
	ck_assert_int_lt(recv(fds[CONTROL_CLIENTS_MAX], &(char){ 0 }, 1,
	    MSG_DONTWAIT), 0);
	close(fds[0]);
	plist_free(hear(fds[CONTROL_CLIENTS_MAX], CONTROL_CLIENTS_MAX));
	for (int i = 1; i <= CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("export_control");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, list);
	tcase_add_test(t, kick);
	tcase_add_test(t, requests_that_are_none);
	tcase_add_test(t, pieces);
	tcase_add_test(t, lengths_that_are_none);
	tcase_add_test(t, rubbish);
	tcase_add_test(t, crowd);
	suite_add_tcase(s, t);
	return unit_run(s);
}
