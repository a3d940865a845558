/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actor/thread.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "unit.h"
#include "usbip/importer.h"

/*
 * What the importer makes of answers to IMPORT and DEVINFO: each status, other
 * versions, other operations, lies about what follows, and servers that stop in
 * the middle or say nothing.
 */

#define ANSWER_MAX 1024
#define BUSID "1-1.4"

/* A server that reads one request, answers with these bytes, and closes. */
static struct {
	struct sock_addr addr;
	char dir[32];
	int listener;
	struct thread thread;
	uint8_t request[USBIP_REQ_IMPORT_SIZE];
	uint8_t answer[ANSWER_MAX];
	size_t len;
	size_t piece; /* sends so many bytes at a time */
	int silence;  /* a pair's end: sends nothing more until that closes */
} server;

static void *
serve(void *arg)
{
	const int fd = accept(server.listener, NULL, NULL);
	char byte;

	(void)arg;
	HOLDS(fd >= 0, "accept");
	HOLDS(sock_recv_all(fd, server.request, sizeof server.request) == 0,
	    "no request");
	for (size_t at = 0; at < server.len; at += server.piece) {
		const size_t left = server.len - at;

		/* Who has seen enough may have closed. */
		if (sock_send_all(fd, server.answer + at,
			left < server.piece ? left : server.piece) < 0)
			break;
	}
	if (server.silence >= 0)
		(void)!read(server.silence, &byte, 1);
	close(fd);
	return NULL;
}

static void
setup(void)
{
	struct cause why;
	char path[64];

	snprintf(server.dir, sizeof server.dir, "/tmp/importer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server.dir));
	snprintf(path, sizeof path, "%s/socket", server.dir);
	ck_assert_int_eq(sock_addr_parse(&server.addr, path, NULL, &why), 0);
	server.listener = sock_listen(&server.addr, 0600, 8, &why);
	ck_assert_int_ge(server.listener, 0);
	server.piece = ANSWER_MAX;
	server.silence = -1;
}

static void
teardown(void)
{
	close(server.listener);
	unlink(server.addr.path);
	rmdir(server.dir);
}

static const struct usbip_device_entry device = { .path = "/sys/x",
	.busid = BUSID, .bus = 1, .address = 9, .vendor = 0x5ac };

/* An answer with that head, the device and, for DEVINFO, ten bytes of
 * records. */
static void
answer(uint16_t version, uint16_t code, uint32_t status)
{
	const struct usbip_op op = { version, code, status };
	struct writer w = writer_over(server.answer, sizeof server.answer);

	usbip_op_encode(write_room(&w, USBIP_OP_SIZE), &op);
	if (status == USBIP_ST_OK) {
		usbip_device_encode(write_room(&w, USBIP_DEVICE_SIZE),
		    &device);
		if (code == USBIP_REP_DEVINFO) {
			write_be32(&w, 10);
			write_bytes(&w, "\1\0\0\0\0\0\0\2hi", 10);
		}
	}
	server.len = writer_used(&w);
}

/* ---- What came of it ---------------------------------------------------- */

struct result {
	int rc;
	uint32_t status;
	struct usbip_device_entry device;
	uint8_t *info;
	size_t info_len;
	struct cause why;
};

static struct result
ask_within(bool import, int timeout_ms)
{
	struct result r = { .status = 77, .why = { "" } };

	ck_assert_int_eq(
	    thread_start(&server.thread, "server", serve, NULL), 0);
	if (import)
		r.rc = importer_attach(&server.addr, BUSID, timeout_ms,
		    &r.device, &r.status, &r.why);
	else
		r.rc = importer_ask_info(&server.addr, BUSID, timeout_ms,
		    &r.device, &r.info, &r.info_len, &r.status, &r.why);
	if (server.silence < 0)
		thread_join(&server.thread);
	return r;
}

static struct result
ask(bool import)
{
	return ask_within(import, UNIT_PATIENCE_MS);
}

static void
expect_good(const struct result *r, bool import)
{
	uint8_t request[USBIP_REQ_IMPORT_SIZE] = "\x01\x11\x80\x02\0\0\0\0"
	    BUSID;

	request[3] = import ? 3 : 2;
	ck_assert_mem_eq(server.request, request, sizeof request);
	ck_assert_msg(r->rc >= 0, "%s", r->why.text);
	ck_assert_uint_eq(r->status, USBIP_ST_OK);
	ck_assert_str_eq(r->device.busid, BUSID);
	ck_assert_uint_eq(r->device.address, 9);
	if (import) {
		close(r->rc);
		return;
	}
	ck_assert_uint_eq(r->info_len, 10);
	ck_assert_mem_eq(r->info + 8, "hi", 2);
	free(r->info);
}

static void
expect_bad(const struct result *r, uint32_t status, const char *word)
{
	ck_assert_int_eq(r->rc, -1);
	ck_assert_uint_eq(r->status, status);
	ck_assert_msg(strstr(r->why.text, word) != NULL, "%s: no '%s'",
	    r->why.text, word);
}

/* Each test runs for DEVINFO (0) and IMPORT (1). */
#define IMPORT (_i == 1)
#define CODE (IMPORT ? USBIP_REP_IMPORT : USBIP_REP_DEVINFO)

START_TEST(a_good_answer)
{
	struct result r;

	answer(USBIP_VERSION, CODE, USBIP_ST_OK);
	r = ask(IMPORT);
	expect_good(&r, IMPORT);
	server.piece = 1;
	r = ask(IMPORT);
	expect_good(&r, IMPORT);
}
END_TEST

START_TEST(each_status)
{
	static const uint32_t statuses[] = { USBIP_ST_NA, USBIP_ST_DEV_BUSY,
		USBIP_ST_DEV_ERR, USBIP_ST_NODEV, USBIP_ST_ERROR, 6,
		0x80000000, 0xffffffff };

	for (int i = 0; i < UNIT_COUNT(statuses); i++) {
		struct result r;

		answer(USBIP_VERSION, CODE, statuses[i]);
		r = ask(IMPORT);
		expect_bad(&r, statuses[i], usbip_status_text(statuses[i]));
	}
}
END_TEST

START_TEST(other_versions)
{
	static const uint16_t versions[] = { 0, 0x0100, 0x0110, 0x0112,
		0x1101, 0xffff };

	for (int i = 0; i < UNIT_COUNT(versions); i++) {
		struct result r;
		char text[8];

		answer(versions[i], CODE, USBIP_ST_OK);
		snprintf(text, sizeof text, "%04x", versions[i]);
		r = ask(IMPORT);
		expect_bad(&r, 0, text);
	}
}
END_TEST

START_TEST(other_operations)
{
	static const uint16_t codes[] = { 0, USBIP_REQ_IMPORT,
		USBIP_REQ_DEVINFO, USBIP_REP_DEVLIST, 0xffff };

	for (int i = 0; i < UNIT_COUNT(codes); i++) {
		struct result r;

		answer(USBIP_VERSION, codes[i], USBIP_ST_OK);
		r = ask(IMPORT);
		expect_bad(&r, 0, "operation");
	}
	/* And the one for the other. */
	answer(USBIP_VERSION, IMPORT ? USBIP_REP_DEVINFO : USBIP_REP_IMPORT,
	    USBIP_ST_OK);
	{
		const struct result r = ask(IMPORT);

		expect_bad(&r, 0, "operation");
	}
}
END_TEST

START_TEST(an_answer_that_ends_at_any_byte)
{
	size_t len;

	answer(USBIP_VERSION, CODE, USBIP_ST_OK);
	len = server.len;
	for (server.len = 0; server.len < len;
	     server.len += server.len > 16 && server.len < 310 ? 13 : 1) {
		const struct result r = ask(IMPORT);

		expect_bad(&r, 0, BUSID);
	}
}
END_TEST

START_TEST(another_device)
{
	struct result r;

	answer(USBIP_VERSION, CODE, USBIP_ST_OK);
	server.answer[USBIP_OP_SIZE + USBIP_PATH_SIZE + 4] = '5';
	r = ask(IMPORT);
	expect_bad(&r, 0, "another device");
}
END_TEST

/* The client has the last word about how long it waits. */
START_TEST(silence)
{
	static const size_t said[] = { 0, 7, 8, 100, 319, 323, 330 };

	for (int i = 0; i < UNIT_COUNT(said); i++) {
		const struct moment start = clock_now();
		struct result r;
		int fds[2];

		answer(USBIP_VERSION, CODE, USBIP_ST_OK);
		if (said[i] >= server.len)
			break;
		server.len = said[i];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		server.silence = fds[0];
		r = ask_within(IMPORT, 50);
		expect_bad(&r, 0, "timed out");
		ck_assert_int_lt(moment_ms_between(start, clock_now()),
		    UNIT_PATIENCE_MS);
		close(fds[1]);
		thread_join(&server.thread);
		close(fds[0]);
	}
}
END_TEST

START_TEST(nobody_there)
{
	struct result r = { .status = 77 };
	struct sock_addr addr = server.addr;

	addr.path[strlen(addr.path) - 1] = 'x';
	r.rc = IMPORT
	    ? importer_attach(&addr, BUSID, 1000, &r.device, &r.status, &r.why)
	    : importer_ask_info(&addr, BUSID, 1000, &r.device, &r.info,
		  &r.info_len, &r.status, &r.why);
	expect_bad(&r, 0, addr.path);
}
END_TEST

/* ---- DEVINFO alone ------------------------------------------------------ */

START_TEST(lengths_of_info)
{
	static const struct {
		uint32_t length;
		const char *word; /* of the complaint; NULL: it is good */
	} cases[] = { { 10, NULL }, { 3, NULL }, { 0, NULL },
		{ 11, "cut short" }, { USBIP_INFO_MAX, "cut short" },
		{ USBIP_INFO_MAX + 1, "claims" }, { 0x80000000, "claims" },
		{ 0xffffffff, "claims" } };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		struct writer w;
		struct result r;

		answer(USBIP_VERSION, USBIP_REP_DEVINFO, USBIP_ST_OK);
		w = writer_over(server.answer + USBIP_REP_DEVINFO_HEAD_SIZE -
		    4, 4);
		write_be32(&w, cases[i].length);
		r = ask(false);
		if (cases[i].word != NULL) {
			expect_bad(&r, 0, cases[i].word);
			continue;
		}
		ck_assert_int_eq(r.rc, 0);
		ck_assert_uint_eq(r.info_len, cases[i].length);
		free(r.info);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("importer_operations");
	TCase *tc = tcase_create("operations");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_good_answer, 0, 2);
	tcase_add_loop_test(tc, each_status, 0, 2);
	tcase_add_loop_test(tc, other_versions, 0, 2);
	tcase_add_loop_test(tc, other_operations, 0, 2);
	tcase_add_loop_test(tc, an_answer_that_ends_at_any_byte, 0, 2);
	tcase_add_loop_test(tc, another_device, 0, 2);
	tcase_add_loop_test(tc, silence, 0, 2);
	tcase_add_loop_test(tc, nobody_there, 0, 2);
	tcase_add_test(tc, lengths_of_info);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
