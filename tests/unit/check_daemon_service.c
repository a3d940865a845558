/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The manager as a service: what it tells its supervisor, and how it leaves when
 * nobody is there.  The test is main, the supervisor, the phones (behind a fake
 * source, whose looks it can hold back) and the clients.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "actor/mailbox.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/supervisor.h"
#include "fake_phone.h"
#include "manager_rig.h"
#include "unit.h"

/* Short enough to wait for; long enough never to be over. */
#define GRACE_MS 30
#define LONG_MS 3600000
/* What must not happen has this long to happen. */
#define PEACE_MS 50

static int notifications;
static struct fake phone;
static struct supervisor supervisor;
static struct waker *asked;
static _Atomic int left; /* the newest enum manager_leave; -1: none */
/* Connects when the daemon closes its sockets' names. */
static _Atomic int last_moment_client;
static int mark = -1;
static struct manager_config config;

/* ---- What the manager calls ---- */

static void
note_leave(void *host, enum manager_leave what)
{
	struct cause why;

	(void)host;
	if (what == MANAGER_CLOSES && last_moment_client == 0)
		last_moment_client = sock_connect(&where[0], 1000, &why);
	left = (int)what;
}

static void
note_ask(void *host)
{
	(void)host;
	waker_wake(asked);
}

/* ---- Life ---- */

static int
notification_socket(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static void
setup(void)
{
	static struct usb_source *sources[1] = { &phone.source };
	char path[64];

	log_set_level(LOG_LEVEL_FATAL);
	rig_init();
	rig_listen(0, "s");
	snprintf(path, sizeof path, "%s/n", rig_dir);
	notifications = notification_socket(path);
	fake_init(&phone, "1-3");
	supervisor = (struct supervisor){ .notify_fd = -1 };
	config = (struct manager_config){ .listeners = sockets,
		.listener_count = 1, .control = -1, .sources = sources,
		.source_count = 1, .wanted_mode = 1, .idle_ms = LONG_MS,
		.leave = note_leave, .ask_main = note_ask };
	left = -1;
	last_moment_client = -1;
	asked = waker_new();
}

static void
start(void)
{
	rig_make(&config);
	rig_start();
	if (config.source_count > 0)
		fake_await_watched(&phone);
}

/* Somebody wants to be told. */
static void
be_supervised(const char *watchdog_usec)
{
	char path[64];
	struct cause why;

	snprintf(path, sizeof path, "%s/n", rig_dir);
	setenv("NOTIFY_SOCKET", path, 1);
	if (watchdog_usec != NULL)
		setenv("WATCHDOG_USEC", watchdog_usec, 1);
	ck_assert_int_eq(supervisor_init(&supervisor, &why), 0);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	config.supervisor = &supervisor;
}

static void
teardown(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/n", rig_dir);
	unlink(path);
	rig_fini();
	fake_fini(&phone);
	supervisor_fini(&supervisor);
	waker_put(asked);
	close(notifications);
}

/* ---- The supervisor ---- */

/* The next datagram; a descriptor that comes with it is kept in `mark`. */
static const char *
hear(int timeout_ms)
{
	static char text[256];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { text, sizeof text - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	struct pollfd pfd = { .fd = notifications, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return "nothing";
	n = recvmsg(notifications, &msg, MSG_CMSG_CLOEXEC);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	if (CMSG_FIRSTHDR(&msg) != NULL)
		memcpy(&mark, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof mark);
	return text;
}

static void
await_news(const char *wanted)
{
	ck_assert_str_eq(hear(UNIT_PATIENCE_MS), wanted);
}

static void
await_stopping(void)
{
	await_news("STOPPING=1\nSTATUS=Nobody is there");
	await_news("BARRIER=1");
	ck_assert_int_ge(mark, 0);
}

/* ---- Clients and the phone ---- */

static int
client(void)
{
	return rig_connect(0);
}

/* Whether the client gets `len` bytes that begin with a length. */
static void
await_answer(int fd, size_t len)
{
	uint8_t bytes[512];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t got = 0;

	while (got < len) {
		ssize_t n;

		HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1, "no answer");
		n = recv(fd, bytes + got, len - got, 0);
		HOLDS(n > 0, "closed after %zu bytes of an answer", got);
		got += (size_t)n;
	}
	ck_assert_uint_eq(bytes[0] | bytes[1] << 8, len);
}

/* A CONNECT to a device that is not there: RESULT. */
static void
ask(int fd)
{
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
		0, 0, 99 };

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
}

static void
listen_for_news(int fd)
{
	const uint8_t request[16] = { 16, 0, 0, 0, 0, 0, 0, 0, 3 };

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
	await_answer(fd, 20);
}

static void
come_up(void)
{
	struct phone_frame f;

	free(fake_await_write(&phone)); /* VERSION */
	phone_make_version(&f, 2, 0);
	fake_packet(&phone, f.bytes, f.len);
	free(fake_await_write(&phone)); /* SETUP */
}

static void
await_left(enum manager_leave what)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (left != (int)what)
		HOLDS(moment_before(clock_now(), until), "it does not say %d",
		    (int)what);
}

/* ---- News ---- */

START_TEST(it_is_ready_when_it_has_looked)
{
	int fd;

	be_supervised(NULL);
	fake_hold_looks(&phone, true);
	start();
	fd = client();
	ask(fd);
	await_answer(fd, 20); /* it serves already */
	ck_assert_str_eq(hear(50), "nothing");
	fake_hold_looks(&phone, false);
	await_news("READY=1");
	await_news("STATUS=0 phones");
	close(fd);
	fake_plug(&phone);
	come_up();
	await_news("STATUS=1 phone");
	fake_unplug(&phone);
	await_news("STATUS=0 phones");
	manager_quit(m);
	rig_await_end();
}
END_TEST

/* The sign of life is main's answer, not the manager's own. */
START_TEST(the_watchdog_hears_of_both_threads)
{
	be_supervised("60000");
	start();
	await_news("READY=1");
	await_news("STATUS=0 phones");
	for (int i = 0; i < 3; i++) { /* main hangs */
		HOLDS(waker_wait(asked, UNIT_PATIENCE_MS), "not asked");
		ck_assert_str_eq(hear(0), "nothing");
	}
	for (int i = 0; i < 3; i++) {
		HOLDS(waker_wait(asked, UNIT_PATIENCE_MS), "not asked");
		manager_main_runs(m);
		await_news("WATCHDOG=1");
	}
	manager_quit(m);
	rig_await_end();
}
END_TEST

START_TEST(without_a_watchdog_main_is_left_alone)
{
	be_supervised(NULL);
	start();
	await_news("READY=1");
	HOLDS(!waker_wait(asked, 20), "main is asked");
	manager_quit(m);
	rig_await_end();
}
END_TEST

/* ---- Leaving ---- */

START_TEST(it_leaves_in_order)
{
	config.exit_if_idle = true;
	config.idle_ms = GRACE_MS;
	be_supervised(NULL);
	start();
	await_news("READY=1");
	await_news("STATUS=0 phones");
	await_stopping();
	ck_assert_int_eq(left, MANAGER_LEAVING);
	/* Not a look before the supervisor has heard it. */
	HOLDS(!waker_wait(ended, PEACE_MS), "it does not wait");
	ck_assert_uint_eq(phone.rescans, 0);
	fake_hold_looks(&phone, true);
	close(mark);
	fake_await_rescans(&phone, 1);
	HOLDS(!waker_wait(ended, PEACE_MS), "it does not wait for the look");
	fake_hold_looks(&phone, false);
	rig_await_end();
	ck_assert_int_eq(left, MANAGER_CLOSES);
	ck_assert(!manager_wants_again(m));
}
END_TEST

/* 0: nobody supervises, it stays.  1: it has to go, and to come again. */
START_TEST(a_phone_that_comes_at_the_last_moment_is_not_lost)
{
	config.activated = true;
	if (_i == 1)
		be_supervised(NULL);
	start();
	if (_i == 1) {
		await_news("READY=1");
		await_news("STATUS=0 phones");
		manager_exit_if_idle(m);
		await_stopping();
		fake_hold_looks(&phone, true);
		close(mark);
		fake_await_rescans(&phone, 1);
		fake_plug(&phone);
		fake_hold_looks(&phone, false);
		rig_await_end();
		ck_assert(manager_wants_again(m));
		return;
	}
	fake_hold_looks(&phone, true);
	manager_exit_if_idle(m);
	await_left(MANAGER_LEAVING);
	fake_plug(&phone);
	fake_hold_looks(&phone, false);
	await_left(MANAGER_STAYS);
	come_up();
	HOLDS(!waker_wait(ended, PEACE_MS), "it leaves a phone");
	manager_quit(m);
	rig_await_end();
	ck_assert(!manager_wants_again(m));
}
END_TEST

/* However long the phone was there, and however quiet. */
START_TEST(it_stays_for_a_while_behind_the_last_phone)
{
	struct moment unplugged;

	config.exit_if_idle = true;
	config.idle_ms = 10 * PEACE_MS;
	start();
	fake_plug(&phone);
	come_up();
	HOLDS(!waker_wait(ended, 20 * PEACE_MS), "it leaves a phone");
	unplugged = clock_now();
	fake_unplug(&phone);
	await_left(MANAGER_CLOSES);
	HOLDS(moment_ms_between(unplugged, clock_now()) >= 10 * PEACE_MS,
	    "it leaves at once");
	rig_await_end();
}
END_TEST

START_TEST(a_client_that_comes_at_the_last_moment_is_served)
{
	int fd;

	start();
	fake_hold_looks(&phone, true);
	manager_exit_if_idle(m);
	await_left(MANAGER_LEAVING);
	fd = client(); /* not let in before it is decided */
	ask(fd);
	fake_hold_looks(&phone, false);
	await_answer(fd, 20);
	ck_assert_int_eq(left, MANAGER_STAYS);
	manager_exit_if_idle(m);
	HOLDS(!waker_wait(ended, PEACE_MS), "it leaves a client");
	/* And who comes when it is decided. */
	last_moment_client = 0;
	close(fd);
	do
		manager_exit_if_idle(m); /* the client may still be leaving */
	while (left != MANAGER_CLOSES && !waker_wait(asked, 10));
	ck_assert_int_gt(last_moment_client, 0);
	ask(last_moment_client);
	await_answer(last_moment_client, 20);
	close(last_moment_client);
	rig_await_end();
}
END_TEST

/* The supervisor holds the socket: not we. */
START_TEST(a_client_is_left_to_the_next_daemon)
{
	int fd, next;

	config.activated = true;
	be_supervised(NULL);
	start();
	await_news("READY=1");
	await_news("STATUS=0 phones");
	manager_exit_if_idle(m);
	await_stopping();
	fd = client();
	ask(fd);
	close(mark);
	rig_await_end();
	ck_assert(!manager_wants_again(m)); /* the client does that */
	next = accept(sockets[0], NULL, NULL);
	ck_assert_int_ge(next, 0);
	ck_assert_int_eq(left, MANAGER_LEAVING); /* its name stays */
	close(next);
	close(fd);
}
END_TEST

/* Who only listens does not keep it, except where he would start the next one
 * at once. */
START_TEST(a_listener_keeps_it_where_sockets_are_passed)
{
	int fd;

	config.activated = _i == 1;
	start();
	fd = client();
	listen_for_news(fd);
	manager_exit_if_idle(m);
	if (_i == 1) {
		HOLDS(!waker_wait(ended, PEACE_MS), "it leaves");
		manager_quit(m);
	}
	rig_await_end();
	close(fd);
}
END_TEST

START_TEST(asked_to_it_leaves_without_grace)
{
	start();
	fake_plug(&phone);
	come_up();
	manager_exit_if_idle(m);
	HOLDS(!waker_wait(ended, PEACE_MS), "it leaves a phone");
	fake_unplug(&phone);
	while (!waker_wait(ended, 10))
		manager_exit_if_idle(m);
	waker_wake(ended);
	rig_await_end();
}
END_TEST

/* A source that has failed takes no look. */
START_TEST(where_nothing_is_watched_it_leaves_at_once)
{
	const struct moment begun = clock_now();

	if (_i == 1)
		be_supervised(NULL);
	config.source_count = 0;
	start();
	manager_exit_if_idle(m);
	if (_i == 1) {
		await_news("READY=1");
		await_news("STATUS=0 phones");
		await_stopping();
		close(mark);
	}
	rig_await_end();
	HOLDS(moment_ms_between(begun, clock_now()) < 2000, "it looks around");
}
END_TEST

/* A phone that the source has not told of yet is found by the last look. */
START_TEST(asked_to_it_looks_first)
{
	fake_hold_looks(&phone, true);
	start();
	manager_exit_if_idle(m);
	fake_await_rescans(&phone, 1);
	fake_plug(&phone);
	fake_hold_looks(&phone, false);
	await_left(MANAGER_STAYS);
	come_up();
	manager_quit(m);
	rig_await_end();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/service");
	TCase *tc = tcase_create("news");

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, it_is_ready_when_it_has_looked);
	tcase_add_test(tc, the_watchdog_hears_of_both_threads);
	tcase_add_test(tc, without_a_watchdog_main_is_left_alone);
	suite_add_tcase(s, tc);
	tc = tcase_create("leaving");
	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, it_leaves_in_order);
	tcase_add_loop_test(tc,
	    a_phone_that_comes_at_the_last_moment_is_not_lost, 0, 2);
	tcase_add_test(tc, it_stays_for_a_while_behind_the_last_phone);
	tcase_add_test(tc, a_client_that_comes_at_the_last_moment_is_served);
	tcase_add_test(tc, a_client_is_left_to_the_next_daemon);
	tcase_add_loop_test(tc, a_listener_keeps_it_where_sockets_are_passed, 0,
	    2);
	tcase_add_test(tc, asked_to_it_leaves_without_grace);
	tcase_add_loop_test(tc, where_nothing_is_watched_it_leaves_at_once, 0, 2);
	tcase_add_test(tc, asked_to_it_looks_first);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
