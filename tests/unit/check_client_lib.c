/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"
#include "muxclient.h"
#include "../tools/fakemuxd.h"

/* libmuxclient, as it is installed, against a daemon that answers as it should
 * or as it should not. */

static char dir[64], path[96];
static struct fake *fake;
static struct muxclient *mc;

static void
start(unsigned devices, enum fake_fault fault)
{
	strcpy(dir, "/tmp/check_client.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/mux", dir);
	fake = fake_start(path, devices, fault);
	ck_assert_ptr_nonnull(fake);
	mc = muxclient_new();
	ck_assert_ptr_nonnull(mc);
	ck_assert_int_eq(muxclient_set_address(mc, path), MUXCLIENT_OK);
}

static void
stop(void)
{
	muxclient_free(mc);
	fake_stop(fake);
	rmdir(dir);
}

/* ---- Addresses ---- */

START_TEST(the_environment_names_the_daemon)
{
	static const struct {
		const char *value, *text;
	} good[] = {
		{ "UNIX:/tmp/x", "unix:/tmp/x" },
		{ "unix:/tmp/x", "unix:/tmp/x" },
		{ "/tmp/x", "unix:/tmp/x" },
		{ "localhost:27015", "localhost:27015" },
		{ "[::1]:27015", "[::1]:27015" },
		{ "", "unix:/var/run/usbmuxd" },
	};
	struct muxclient_device *list;
	size_t count;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		setenv("USBMUXD_SOCKET_ADDRESS", good[i].value, 1);
		mc = muxclient_new();
		ck_assert_str_eq(muxclient_address(mc), good[i].text);
		muxclient_free(mc);
	}
	unsetenv("USBMUXD_SOCKET_ADDRESS");
	mc = muxclient_new();
	ck_assert_str_eq(muxclient_address(mc), "unix:/var/run/usbmuxd");
	muxclient_free(mc);

	setenv("USBMUXD_SOCKET_ADDRESS", "host:port", 1);
	mc = muxclient_new();
	ck_assert_int_eq(muxclient_list(mc, &list, &count),
	    MUXCLIENT_BAD_ADDRESS);
	ck_assert_int_eq(muxclient_set_address(mc, "nothing"),
	    MUXCLIENT_BAD_ADDRESS);
	ck_assert_int_eq(muxclient_set_address(mc, "/nonexistent/x"),
	    MUXCLIENT_OK);
	ck_assert_int_eq(muxclient_list(mc, &list, &count),
	    MUXCLIENT_NO_DAEMON);
	muxclient_free(mc);
}
END_TEST

START_TEST(every_error_has_a_sentence)
{
	for (int e = MUXCLIENT_OK; e <= MUXCLIENT_SYSTEM; e++)
		ck_assert_str_ne(muxclient_strerror((enum muxclient_error)e),
		    "unknown error");
	ck_assert_str_eq(muxclient_strerror((enum muxclient_error)-1),
	    "unknown error");
}
END_TEST

/* ---- Each kind of daemon that serves ---- */

static const enum fake_fault serving[] = { FAKE_SOUND, FAKE_NO_LIST,
	FAKE_BINARY_ONLY };

START_TEST(devices_are_listed)
{
	struct muxclient_device *list;
	size_t count;

	start(3, serving[_i]);
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(muxclient_list(mc, &list, &count),
		    MUXCLIENT_OK);
		ck_assert_uint_eq(count, 3);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_uint_eq(list[i].id, i + 1);
		ck_assert_str_eq(list[1].udid, "fake-0002");
		ck_assert_uint_eq(list[1].product_id, 0x12a8);
		ck_assert_uint_eq(list[1].location, 0x20001);
		if (serving[_i] != FAKE_BINARY_ONLY) {
			ck_assert_uint_eq(list[1].speed, 480000000);
			ck_assert_int_eq(list[2].link, MUXCLIENT_NETWORK);
			ck_assert_uint_eq(list[2].address_len, 16);
		}
		free(list);
	}
	stop();
}
END_TEST

START_TEST(no_device_is_an_empty_list)
{
	struct muxclient_device *list, found;
	size_t count = 7;

	start(0, serving[_i]);
	ck_assert_int_eq(muxclient_list(mc, &list, &count), MUXCLIENT_OK);
	ck_assert_uint_eq(count, 0);
	free(list);
	ck_assert_int_eq(muxclient_find(mc, NULL, 3, &found),
	    MUXCLIENT_NO_DEVICE);
	stop();
}
END_TEST

static void
assert_echo(int fd)
{
	char back[6];

	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(sock_send_all(fd, "hello", 6), 0);
	ck_assert_int_eq(sock_recv_all(fd, back, 6), 0);
	ck_assert_str_eq(back, "hello");
}

START_TEST(a_port_is_connected_to)
{
	char greeting[8];
	int fd;

	start(1, serving[_i]);
	ck_assert_int_eq(muxclient_connect(mc, 1, 7, &fd), MUXCLIENT_OK);
	assert_echo(fd);
	close(fd);
	/* What the device says at once is not eaten with the answer. */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(muxclient_connect(mc, 1, 1, &fd),
		    MUXCLIENT_OK);
		ck_assert_int_eq(sock_recv_all(fd, greeting, 8), 0);
		ck_assert_mem_eq(greeting, "fakemuxd", 8);
		close(fd);
	}
	fd = -5;
	ck_assert_int_eq(muxclient_connect(mc, 1, 5, &fd), MUXCLIENT_REFUSED);
	ck_assert_int_eq(muxclient_connect(mc, 2, 7, &fd),
	    MUXCLIENT_NO_DEVICE);
	ck_assert_int_eq(fd, -5);
	stop();
}
END_TEST

START_TEST(the_form_is_learnt_once)
{
	unsigned before;
	int fd;

	start(1, FAKE_BINARY_ONLY);
	ck_assert_int_eq(muxclient_connect(mc, 1, 7, &fd), MUXCLIENT_OK);
	close(fd);
	before = fake_requests(fake);
	ck_assert_uint_eq(before, 2); /* a plist and a binary one */
	ck_assert_int_eq(muxclient_connect(mc, 1, 7, &fd), MUXCLIENT_OK);
	close(fd);
	ck_assert_uint_eq(fake_requests(fake), before + 1);
	stop();
}
END_TEST

/* ---- Finding ---- */

START_TEST(a_device_is_found)
{
	struct muxclient_device d;

	start(6, FAKE_SOUND);
	ck_assert_int_eq(muxclient_find(mc, NULL, MUXCLIENT_USB, &d),
	    MUXCLIENT_OK);
	ck_assert_uint_eq(d.id, 1);
	ck_assert_int_eq(muxclient_find(mc, NULL, MUXCLIENT_NETWORK, &d),
	    MUXCLIENT_OK);
	ck_assert_uint_eq(d.id, 3);
	ck_assert_int_eq(muxclient_find(mc, "FAKE0004", MUXCLIENT_USB, &d),
	    MUXCLIENT_OK);
	ck_assert_uint_eq(d.id, 4);
	ck_assert_int_eq(muxclient_find(mc, "fake-0003", MUXCLIENT_USB, &d),
	    MUXCLIENT_NO_DEVICE);
	ck_assert_int_eq(muxclient_find(mc, "fake-000", MUXCLIENT_USB, &d),
	    MUXCLIENT_NO_DEVICE);
	fake_detach(fake, 1);
	fake_detach(fake, 2);
	fake_detach(fake, 4);
	fake_detach(fake, 5);
	/* A network device that comes first does not win over USB. */
	fake_attach(fake, 7);
	ck_assert_int_eq(muxclient_find(mc, NULL,
			     MUXCLIENT_USB | MUXCLIENT_NETWORK, &d),
	    MUXCLIENT_OK);
	ck_assert_uint_eq(d.id, 7);
	stop();
}
END_TEST

/* ---- Watching ---- */

/* The next event, for which poll() must have said that it is there. */
static struct muxclient_event
next_event(struct muxclient_watch *w)
{
	struct pollfd p = { .fd = muxclient_watch_fd(w), .events = POLLIN };
	struct muxclient_event e;
	enum muxclient_error error;

	while ((error = muxclient_watch_next(w, &e)) == MUXCLIENT_AGAIN)
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(error, MUXCLIENT_OK);
	return e;
}

START_TEST(devices_are_watched)
{
	struct muxclient_watch *w;
	struct muxclient_event e;

	start(2, serving[_i]);
	ck_assert_int_eq(muxclient_watch_open(mc, &w), MUXCLIENT_OK);
	for (unsigned id = 1; id <= 2; id++) {
		e = next_event(w);
		ck_assert_int_eq(e.type, MUXCLIENT_ATTACHED);
		ck_assert_uint_eq(e.id, id);
		ck_assert_uint_eq(e.device.id, id);
	}
	ck_assert_int_eq(muxclient_watch_next(w, &e), MUXCLIENT_AGAIN);
	fake_detach(fake, 1);
	e = next_event(w);
	ck_assert_int_eq(e.type, MUXCLIENT_DETACHED);
	ck_assert_uint_eq(e.id, 1);
	fake_attach(fake, 9);
	e = next_event(w);
	ck_assert_int_eq(e.type, MUXCLIENT_ATTACHED);
	ck_assert_str_eq(e.device.udid, "fake-0009");

	fake_stop(fake);
	while ((_i = (int)muxclient_watch_next(w, &e)) == MUXCLIENT_AGAIN)
		continue;
	ck_assert_int_eq(_i, MUXCLIENT_CLOSED);
	ck_assert_int_eq(muxclient_watch_next(w, &e), MUXCLIENT_CLOSED);
	muxclient_watch_close(w);
	muxclient_watch_close(NULL);
	fake = fake_start(path, 0, FAKE_SOUND);
	stop();
}
END_TEST

/* ---- Records ---- */

START_TEST(records_are_kept)
{
	char buid[MUXCLIENT_BUID_MAX];
	void *bytes;
	size_t len;

	start(1, FAKE_SOUND);
	ck_assert_int_eq(muxclient_read_buid(mc, buid), MUXCLIENT_OK);
	ck_assert_str_eq(buid, "FAKE-BUID");
	ck_assert_int_eq(muxclient_read_record(mc, "a", &bytes, &len),
	    MUXCLIENT_NO_RECORD);
	ck_assert_int_eq(muxclient_delete_record(mc, "a"),
	    MUXCLIENT_NO_RECORD);
	ck_assert_int_eq(muxclient_save_record(mc, "a", "x\0y", 3, 1),
	    MUXCLIENT_OK);
	ck_assert_int_eq(muxclient_read_record(mc, "a", &bytes, &len),
	    MUXCLIENT_OK);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(bytes, "x\0y", 3);
	free(bytes);
	ck_assert_int_eq(muxclient_save_record(mc, "a", "", 0, 0),
	    MUXCLIENT_INVALID);
	ck_assert_int_eq(muxclient_save_record(mc, "a", buid, 40000, 0),
	    MUXCLIENT_INVALID);
	ck_assert_int_eq(muxclient_delete_record(mc, "a"), MUXCLIENT_OK);
	stop();
}
END_TEST

START_TEST(records_need_property_lists)
{
	char buid[MUXCLIENT_BUID_MAX];

	start(1, FAKE_BINARY_ONLY);
	ck_assert_int_eq(muxclient_read_buid(mc, buid),
	    MUXCLIENT_UNSUPPORTED);
	stop();
}
END_TEST

/* ---- Daemons that fail ---- */

static const struct {
	enum fake_fault fault;
	enum muxclient_error error;
} failing[] = {
	{ FAKE_SILENT, MUXCLIENT_TIMEOUT },
	{ FAKE_HANGS_UP, MUXCLIENT_CLOSED },
	{ FAKE_GARBLES, MUXCLIENT_GARBLED },
	{ FAKE_CUTS, MUXCLIENT_CLOSED },
};

START_TEST(a_failing_daemon_is_an_error)
{
	const enum muxclient_error want = failing[_i].error;
	struct muxclient_device *list, d;
	struct muxclient_watch *w;
	char buid[MUXCLIENT_BUID_MAX];
	size_t count;
	int fd;

	start(1, failing[_i].fault);
	/* Short only where it is to run out: a busy host is slow to hang up. */
	muxclient_set_timeout(mc, want == MUXCLIENT_TIMEOUT ? 50 : 10000);
	ck_assert_int_eq(muxclient_list(mc, &list, &count), want);
	ck_assert_int_eq(muxclient_find(mc, NULL, 3, &d), want);
	ck_assert_int_eq(muxclient_connect(mc, 1, 7, &fd), want);
	ck_assert_int_eq(muxclient_watch_open(mc, &w), want);
	ck_assert_int_eq(muxclient_read_buid(mc, buid), want);
	ck_assert_int_eq(muxclient_delete_record(mc, "a"), want);
	stop();
}
END_TEST

/* With its queue of one full, a daemon leaves further clients waiting. */
START_TEST(a_daemon_that_never_accepts_is_a_timeout)
{
	struct muxclient_device *list;
	size_t count;

	start(1, FAKE_BUSY);
	muxclient_set_timeout(mc, 100);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(muxclient_list(mc, &list, &count),
		    MUXCLIENT_TIMEOUT);
	stop();
}
END_TEST

START_TEST(no_descriptor_is_an_error_of_the_system)
{
	struct muxclient_device *list;
	size_t count;
	int last = -1, fd;

	start(1, FAKE_SOUND);
	while ((fd = dup(0)) >= 0)
		last = fd;
	ck_assert_int_eq(muxclient_list(mc, &list, &count), MUXCLIENT_SYSTEM);
	ck_assert_int_eq(errno, EMFILE);
	for (fd = last; fd > 20; fd--)
		close(fd);
}
END_TEST

/* ---- Threads ---- */

#define THREADS 8
#define ROUNDS 50

static void *
use(void *arg)
{
	struct muxclient_device *list;
	size_t count, *bad = arg;
	char back[3];
	int fd;

	for (int i = 0; i < ROUNDS; i++) {
		if (muxclient_list(mc, &list, &count) != MUXCLIENT_OK) {
			++*bad;
			continue;
		}
		*bad += count != 5;
		free(list);
		if (muxclient_connect(mc, 2, 7, &fd) != MUXCLIENT_OK) {
			++*bad;
			continue;
		}
		*bad += sock_send_all(fd, "abc", 3) != 0 ||
		    sock_recv_all(fd, back, 3) != 0 ||
		    memcmp(back, "abc", 3) != 0;
		close(fd);
	}
	return NULL;
}

START_TEST(many_threads_share_a_handle)
{
	pthread_t threads[THREADS];
	size_t bad[THREADS] = { 0 };

	start(5, FAKE_SOUND);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, use, &bad[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(bad[i], 0);
	}
	stop();
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("libmuxclient");
	TCase *tc = tcase_create("calls");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, the_environment_names_the_daemon);
	tcase_add_test(tc, every_error_has_a_sentence);
	tcase_add_loop_test(tc, devices_are_listed, 0, COUNT(serving));
	tcase_add_loop_test(tc, no_device_is_an_empty_list, 0, COUNT(serving));
	tcase_add_loop_test(tc, a_port_is_connected_to, 0, COUNT(serving));
	tcase_add_test(tc, the_form_is_learnt_once);
	tcase_add_test(tc, a_device_is_found);
	tcase_add_loop_test(tc, devices_are_watched, 0, COUNT(serving));
	tcase_add_test(tc, records_are_kept);
	tcase_add_test(tc, records_need_property_lists);
	tcase_add_loop_test(tc, a_failing_daemon_is_an_error, 0,
	    COUNT(failing));
	tcase_add_test(tc, a_daemon_that_never_accepts_is_a_timeout);
	tcase_add_test(tc, no_descriptor_is_an_error_of_the_system);
	tcase_add_test(tc, many_threads_share_a_handle);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
