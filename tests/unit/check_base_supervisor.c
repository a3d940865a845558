/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is read from a supervisor's environment.  Each test is a process of its
 * own, whose descriptors from 3 on it may arrange, but for what Check has there:
 * that is put back before anything is asserted. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/supervisor.h"
#include "unit.h"

static struct supervisor s;
static struct cause why;

static void
set_number(const char *name, long value)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", value);
	setenv(name, text, 1);
}

/* ---- Descriptors ---- */

#define COUNT 3

static int saved[COUNT], flags[COUNT], status[COUNT];

static void
save_descriptors(void)
{
	for (int i = 0; i < COUNT; i++)
		saved[i] = fcntl(3 + i, F_DUPFD, 100);
}

/* supervisor_init(), with what it makes of the descriptors. */
static int
init(void)
{
	const int rc = supervisor_init(&s, &why);

	for (int i = 0; i < COUNT; i++) {
		flags[i] = fcntl(3 + i, F_GETFD);
		status[i] = fcntl(3 + i, F_GETFL);
		if (saved[i] >= 0)
			dup2(saved[i], 3 + i);
	}
	return rc;
}

/* An unnamed socket at this descriptor. */
static void
socket_at(int fd, int type, bool listening)
{
	const int made = socket(AF_INET, type, 0);

	if (listening)
		listen(made, 1);
	if (made != fd) {
		dup2(made, fd);
		close(made);
	}
}

static void
pass(long pid, long count, const char *names)
{
	set_number("LISTEN_PID", pid);
	set_number("LISTEN_FDS", count);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
}

START_TEST(nothing_is_found_where_there_is_nothing)
{
	ck_assert_int_eq(init(), 0);
	ck_assert_uint_eq(s.socket_count, 0);
	ck_assert_int_eq(s.notify_fd, -1);
	ck_assert_uint_eq(s.watchdog_ms, 0);
	ck_assert(supervisor_notify(&s, "READY=1"));
	ck_assert_int_eq(supervisor_mark(&s), -1);
	supervisor_fini(&s);
}
END_TEST

START_TEST(sockets_come_with_their_names)
{
	static const struct {
		const char *given, *names[3];
	} names[] = { { "muxd:control:tcp", { "muxd", "control", "tcp" } },
		{ "muxd", { "muxd", "", "" } }, { NULL, { "", "", "" } },
		{ "::x", { "", "", "x" } }, { "a:b:c:d", { "a", "b", "c" } },
		{ "0123456789012345678901234567890123456789:b:",
		    { "0123456789012345678901234567890", "b", "" } } };

	for (int i = 0; i < COUNT; i++)
		socket_at(3 + i, SOCK_STREAM, true);
	pass(getpid(), 3, names[_i].given);
	HOLDS(init() == 0, "%s", why.text);
	ck_assert_uint_eq(s.socket_count, 3);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(s.sockets[i].fd, 3 + i);
		ck_assert_str_eq(s.sockets[i].name, names[_i].names[i]);
		ck_assert_int_eq(flags[i], FD_CLOEXEC);
		ck_assert_int_ne(status[i] & O_NONBLOCK, 0);
	}
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_ptr_null(getenv("LISTEN_PID"));
	ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
}
END_TEST

START_TEST(what_is_meant_for_another_is_left)
{
	socket_at(3, SOCK_STREAM, true);
	pass(getpid() + 1, 1, NULL);
	ck_assert_int_eq(init(), 0);
	ck_assert_uint_eq(s.socket_count, 0);
	ck_assert_int_eq(flags[0], 0);
	setenv("LISTEN_FDS", "1", 1); /* and no LISTEN_PID */
	ck_assert_int_eq(init(), 0);
	ck_assert_uint_eq(s.socket_count, 0);
}
END_TEST

START_TEST(nonsense_passes_nothing)
{
	static const char *const counts[] = { "", "x", "-1", "0", "1x", " 1",
		"99999999999999999999" };

	pass(getpid(), 1, NULL);
	setenv("LISTEN_FDS", counts[_i], 1);
	ck_assert_int_eq(init(), 0);
	ck_assert_uint_eq(s.socket_count, 0);
}
END_TEST

START_TEST(what_is_no_listening_socket_is_refused)
{
	if (_i == 0)
		socket_at(3, SOCK_STREAM, false);
	else if (_i == 1)
		socket_at(3, SOCK_DGRAM, false);
	else if (_i == 2)
		dup2(open("/dev/null", O_RDONLY), 3);
	else
		close(3);
	pass(getpid(), 1, "odd");
	ck_assert_int_eq(init(), -1);
	ck_assert_str_eq(why.text, "descriptor 3 ('odd') was passed as a "
	    "socket, but is no listening stream socket");
}
END_TEST

START_TEST(too_many_are_refused)
{
	pass(getpid(), SUPERVISOR_SOCKETS_MAX + 1, NULL);
	ck_assert_int_eq(init(), -1);
	ck_assert_str_eq(why.text, "18 sockets were passed; 17 are possible");
}
END_TEST

START_TEST(a_watchdog_is_for_one_process)
{
	static const struct {
		const char *usec;
		long pid;
		unsigned ms;
	} cases[] = { { "30000000", 0, 30000 }, { "30000000", 1, 30000 },
		{ "30000000", -1, 0 }, { "1", 0, 1 }, { "0", 0, 0 },
		{ "x", 0, 0 }, { "", 0, 0 } };

	setenv("NOTIFY_SOCKET", "@nobody/here", 1);
	setenv("WATCHDOG_USEC", cases[_i].usec, 1);
	if (cases[_i].pid != 0)
		set_number("WATCHDOG_PID", cases[_i].pid * getpid());
	ck_assert_int_eq(init(), 0);
	ck_assert_uint_eq(s.watchdog_ms, cases[_i].ms);
	/* One that is gone does not matter. */
	ck_assert(supervisor_notify(&s, "READY=1"));
	ck_assert_int_eq(supervisor_mark(&s), -1);
	supervisor_fini(&s);
}
END_TEST

/* 0: an abstract name, 1: a path. */
START_TEST(news_arrive)
{
	char path[sizeof(struct sockaddr_un)], text[16] = "";
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct pollfd pfd = { .events = POLLIN };

	snprintf(path, sizeof path, "%s/check_supervisor.%ld",
	    _i == 0 ? "@" : "/tmp", (long)getpid());
	strcpy(un.sun_path, path);
	if (_i == 0)
		un.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un,
			     (socklen_t)(offsetof(struct sockaddr_un,
					     sun_path) + strlen(path))), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(init(), 0);
	ck_assert(supervisor_notify(&s, "READY=1"));
	ck_assert_int_eq(recv(fd, text, sizeof text, 0), 7);
	ck_assert_str_eq(text, "READY=1");
	/* The mark lasts as long as its other end is somewhere: here, in the
	 * queue. */
	pfd.fd = supervisor_mark(&s);
	ck_assert_int_ge(pfd.fd, 0);
	ck_assert_int_eq(poll(&pfd, 1, 0), 0);
	ck_assert_int_eq(recv(fd, text, sizeof text, 0), 9);
	ck_assert_int_eq(poll(&pfd, 1, 0), 1);
	ck_assert_int_ne(pfd.revents & POLLHUP, 0);
	close(pfd.fd);
	/* A queue that is full is not waited for. */
	while (supervisor_notify(&s, "STATUS=again and again"))
		;
	supervisor_fini(&s);
	close(fd);
	if (_i == 1)
		unlink(path);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("base/supervisor");
	TCase *tc = tcase_create("environment");

	tcase_add_checked_fixture(tc, save_descriptors, NULL);
	tcase_add_test(tc, nothing_is_found_where_there_is_nothing);
	tcase_add_loop_test(tc, sockets_come_with_their_names, 0, 6);
	tcase_add_test(tc, what_is_meant_for_another_is_left);
	tcase_add_loop_test(tc, nonsense_passes_nothing, 0, 7);
	tcase_add_loop_test(tc, what_is_no_listening_socket_is_refused, 0, 4);
	tcase_add_test(tc, too_many_are_refused);
	tcase_add_loop_test(tc, a_watchdog_is_for_one_process, 0, 7);
	tcase_add_loop_test(tc, news_arrive, 0, 2);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
