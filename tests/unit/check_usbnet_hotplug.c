/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Arrivals and departures, and what is lost with them. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "unit.h"
#include "usbnet_rig.h"

#define LIMIT_MS 20000

static struct usbnet_rig r;
static struct rig_device second;
static _Atomic unsigned arrived, left;
static libusb_hotplug_callback_handle cb;

static int
count(libusb_context *ctx, libusb_device *dev, libusb_hotplug_event event,
    void *user_data)
{
	struct libusb_device_descriptor d;

	ck_assert_ptr_eq(ctx, r.ctx);
	/* Also of one that has left. */
	ck_assert_int_eq(libusb_get_device_descriptor(dev, &d), 0);
	if (event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED)
		arrived++;
	else
		left++;
	return user_data != NULL; /* finished? */
}

static void
start(int flags)
{
	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED |
		LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, flags,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, count, NULL, &cb), 0);
}

static void
plug_second(void)
{
	rig_device_init(&second, "3-2.4", 9);
	second.desc.device.product = 0x12ab;
	rig_plug(&r.server, &second);
}

static void
unplug_second(void)
{
	rig_unplug(&r.server, &second);
	rig_device_fini(&second);
}

/* A server tells of changes when it gets to it. */
static void
await_listed(ssize_t n)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), LIMIT_MS);
	libusb_device **list;
	ssize_t now;

	do {
		now = libusb_get_device_list(r.ctx, &list);
		ck_assert_int_ge(now, 0);
		libusb_free_device_list(list, 1);
		ck_assert(moment_before(clock_now(), deadline));
	} while (now != n);
}

/* ---- Callbacks ---- */

START_TEST(come_and_go)
{
	start(LIBUSB_HOTPLUG_NO_FLAGS);
	plug_second();
	usbnet_await_count(r.ctx, &arrived, 1);
	unplug_second();
	usbnet_await_count(r.ctx, &left, 1);
	ck_assert_uint_eq(arrived, 1);
	ck_assert_ptr_null(libusb_hotplug_get_user_data(r.ctx, cb));
	libusb_hotplug_deregister_callback(r.ctx, cb);
	libusb_hotplug_deregister_callback(r.ctx, cb);
	usbnet_close(&r);
}
END_TEST

START_TEST(those_that_are_there)
{
	struct timeval soon = { .tv_usec = 50000 };

	start(LIBUSB_HOTPLUG_ENUMERATE);
	ck_assert_uint_eq(arrived, 1); /* inside the registration */
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &soon), 0);
	ck_assert_uint_eq(arrived, 1);
	usbnet_close(&r);
}
END_TEST

START_TEST(two_addresses_that_are_one)
{
	libusb_device **list;

	start(LIBUSB_HOTPLUG_NO_FLAGS);
	plug_second(); /* with the same number */
	usbnet_await_count(r.ctx, &arrived, 1);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 2);
	ck_assert_uint_ne(libusb_get_device_address(list[0]),
	    libusb_get_device_address(list[1]));
	libusb_free_device_list(list, 1);
	unplug_second();
	usbnet_close(&r);
}
END_TEST

START_TEST(only_what_is_asked_for)
{
	libusb_hotplug_callback_handle other;

	start(LIBUSB_HOTPLUG_NO_FLAGS);
	libusb_hotplug_deregister_callback(r.ctx, cb);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0, USBNET_VENDOR, 0x12ab,
	    LIBUSB_HOTPLUG_MATCH_ANY, count, NULL, &other), 0);
	plug_second();
	await_listed(2);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, LIBUSB_HOTPLUG_ENUMERATE,
	    USBNET_VENDOR, 0x9999, LIBUSB_HOTPLUG_MATCH_ANY, count, NULL,
	    NULL), 0);
	unplug_second();
	usbnet_await_count(r.ctx, &left, 1);
	ck_assert_uint_eq(arrived, 0);
	usbnet_close(&r);
}
END_TEST

START_TEST(once_is_enough)
{
	start(LIBUSB_HOTPLUG_NO_FLAGS);
	libusb_hotplug_deregister_callback(r.ctx, cb);
	/* One that has finished after the first device. */
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, 0, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, count, &r,
	    &cb), 0);
	ck_assert_ptr_eq(libusb_hotplug_get_user_data(r.ctx, cb), &r);
	plug_second();
	usbnet_await_count(r.ctx, &arrived, 1);
	ck_assert_ptr_null(libusb_hotplug_get_user_data(r.ctx, cb));
	unplug_second();
	usbnet_close(&r);
}
END_TEST

/* What a callback returns inside its registration does not end it. */
START_TEST(not_finished_by_those_that_are_there)
{
	start(LIBUSB_HOTPLUG_NO_FLAGS);
	libusb_hotplug_deregister_callback(r.ctx, cb);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, LIBUSB_HOTPLUG_ENUMERATE,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, count, &r, &cb), 0);
	ck_assert_uint_eq(arrived, 1);
	ck_assert_ptr_eq(libusb_hotplug_get_user_data(r.ctx, cb), &r);
	plug_second();
	usbnet_await_count(r.ctx, &arrived, 2);
	ck_assert_ptr_null(libusb_hotplug_get_user_data(r.ctx, cb));
	unplug_second();
	usbnet_close(&r);
}
END_TEST

static int
reregister(libusb_context *ctx, libusb_device *dev,
    libusb_hotplug_event event, void *user_data)
{
	(void)dev;
	(void)event;
	(void)user_data;
	libusb_hotplug_deregister_callback(ctx, cb);
	ck_assert_int_eq(libusb_hotplug_register_callback(ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, count, NULL,
	    &cb), 0);
	arrived++;
	return 0;
}

START_TEST(inside_a_callback)
{
	start(LIBUSB_HOTPLUG_NO_FLAGS);
	libusb_hotplug_deregister_callback(r.ctx, cb);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, 0, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, reregister,
	    NULL, &cb), 0);
	plug_second();
	usbnet_await_count(r.ctx, &arrived, 1);
	unplug_second();
	usbnet_await_count(r.ctx, &left, 1);
	ck_assert_uint_eq(arrived, 1);
	usbnet_close(&r);
}
END_TEST

START_TEST(bad_registrations)
{
	static const struct {
		int events, flags, vendor, product, device_class;
	} all[] = {
		{ 0, 0, -1, -1, -1 },
		{ 4, 0, -1, -1, -1 },
		{ 1, 2, -1, -1, -1 },
		{ 1, 0, 0x10000, -1, -1 },
		{ 1, 0, -1, -2, -1 },
		{ 1, 0, -1, -1, 256 },
	};

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	for (int i = 0; i < UNIT_COUNT(all); i++)
		ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
		    all[i].events, all[i].flags, all[i].vendor,
		    all[i].product, all[i].device_class, count, NULL, NULL),
		    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx, 1, 0, -1, -1,
	    -1, NULL, NULL, NULL), LIBUSB_ERROR_INVALID_PARAM);
	usbnet_close(&r);
}
END_TEST

/* ---- Loss ---- */

START_TEST(unplugged_with_transfers_in_flight)
{
	static struct usbnet_transfer x;
	unsigned char b[64];
	int value;

	start(LIBUSB_HOTPLUG_NO_FLAGS);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	rig_await(&r.dev, &r.dev.held.count, 1);
	usbip_server_unplug(r.server.server, &r.dev.dev);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_NO_DEVICE);
	usbnet_await_count(r.ctx, &left, 1);
	/* Its connection ends behind that. */
	while (libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), b, sizeof b,
		&value, LIMIT_MS) != LIBUSB_ERROR_NO_DEVICE)
		;
	ck_assert_int_eq(libusb_get_configuration(r.h, &value),
	    LIBUSB_ERROR_NO_DEVICE);
	ck_assert_int_eq(libusb_claim_interface(r.h, 0),
	    LIBUSB_ERROR_NO_DEVICE);
	ck_assert_int_eq(libusb_clear_halt(r.h, 0x81),
	    LIBUSB_ERROR_NO_DEVICE);
	ck_assert_int_eq(libusb_reset_device(r.h), LIBUSB_ERROR_NO_DEVICE);
	usbnet_transfer_fini(&x);
	libusb_close(r.h);
	libusb_exit(r.ctx);
	rig_await(&r.dev, &r.dev.unplugged, 1);
	rig_device_fini(&r.dev);
	rig_close(&r.server);
}
END_TEST

static unsigned left_before;

static void
note_left(struct libusb_transfer *t)
{
	struct usbnet_transfer *x = t->user_data;

	left_before = left;
	x->ended++;
}

/* The server stays, but ends the import: the device leaves, and comes back.
 * Its transfers end first. */
START_TEST(kicked_and_back)
{
	static struct usbnet_transfer x;

	start(LIBUSB_HOTPLUG_NO_FLAGS);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	rig_await(&r.dev, &r.dev.held.count, 1);
	x.t->callback = note_left;
	ck_assert(usbip_server_kick(r.server.server, "3-1"));
	usbnet_await(&r, &x, 1);
	ck_assert_uint_eq(left_before, 0);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_NO_DEVICE);
	usbnet_await_count(r.ctx, &left, 1);
	usbnet_await_count(r.ctx, &arrived, 1);
	usbnet_transfer_fini(&x);
	libusb_close(r.h);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	ck_assert_ptr_nonnull(r.h);
	usbnet_close(&r);
}
END_TEST

/* What the program has been told to poll, by descriptor. */
static bool polled[256];

static void
on_added(int fd, short events, void *arg)
{
	ck_assert_ptr_eq(arg, &r);
	ck_assert_int_ne(events, 0);
	ck_assert(fd < 256 && !polled[fd]);
	polled[fd] = true;
}

static void
on_removed(int fd, void *arg)
{
	ck_assert_ptr_eq(arg, &r);
	ck_assert(fd < 256 && polled[fd]);
	polled[fd] = false;
}

/* Whatever is closed has been taken back, until the context's end. */
START_TEST(what_the_program_polls)
{
	const struct libusb_pollfd **fds;

	start(0);
	fds = libusb_get_pollfds(r.ctx);
	for (int i = 0; fds[i] != NULL; i++)
		polled[fds[i]->fd] = true;
	libusb_free_pollfds(fds);
	libusb_set_pollfd_notifiers(r.ctx, on_added, on_removed, &r);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	ck_assert_ptr_nonnull(r.h);
	ck_assert(usbip_server_kick(r.server.server, "3-1"));
	usbnet_await_count(r.ctx, &arrived, 1);
	fds = libusb_get_pollfds(r.ctx);
	for (int i = 0; fds[i] != NULL; i++) {
		ck_assert(polled[fds[i]->fd]);
		polled[fds[i]->fd] = false;
	}
	for (int i = 0; i < 256; i++)
		ck_assert_msg(!polled[i], "%d is not open any more", i);
	for (int i = 0; fds[i] != NULL; i++)
		polled[fds[i]->fd] = true;
	libusb_free_pollfds(fds);
	usbnet_close(&r);
}
END_TEST

START_TEST(the_server_goes_and_comes_back)
{
	struct cause why;
	struct sock_addr addr;
	int fd;

	start(LIBUSB_HOTPLUG_ENUMERATE);
	rig_unplug(&r.server, &r.dev);
	rig_device_fini(&r.dev);
	usbip_server_free(r.server.server);
	unlink(r.server.path);
	usbnet_await_count(r.ctx, &left, 1);
	/* The same place, another server. */
	ck_assert_int_eq(sock_addr_parse(&addr, r.server.path, NULL, &why), 0);
	fd = sock_listen(&addr, 0600, 16, &why);
	ck_assert_int_ge(fd, 0);
	r.server.server = usbip_server_new(&why);
	ck_assert_int_eq(usbip_server_listen(r.server.server, fd, &why), 0);
	rig_device_init(&r.dev, "3-1", 10);
	rig_plug(&r.server, &r.dev);
	usbnet_await_count(r.ctx, &arrived, 2);
	usbnet_close(&r);
}
END_TEST

/* ---- A server that hangs ---- */

/* Listens, and never says a word. */
static int
open_mute(char path[64])
{
	struct sock_addr addr;
	struct cause why;
	char text[80];
	int fd;

	snprintf(path, 64, "/tmp/usbnet-mute-%d", (int)getpid());
	ck_assert_int_eq(sock_addr_parse(&addr, path, NULL, &why), 0);
	fd = sock_listen(&addr, 0600, 64, &why);
	ck_assert_int_ge(fd, 0);
	snprintf(text, sizeof text, "unix:%s", path);
	usbnet_set_servers(text);
	setenv("USBNET_TIMEOUT", "400", 1);
	return fd;
}

START_TEST(a_server_that_hangs_costs_its_time_once)
{
	struct moment begin = clock_now();
	char path[64];
	const int fd = open_mute(path);
	libusb_device **list;
	int64_t first, rest;

	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	first = moment_ms_between(begin, clock_now());
	ck_assert_int_ge(first, 350);
	ck_assert_int_lt(first, 5000);
	begin = clock_now();
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 0);
		libusb_free_device_list(list, 1);
	}
	rest = moment_ms_between(begin, clock_now());
	ck_assert_int_lt(rest, 4 * 350);
	libusb_exit(r.ctx);
	close(fd);
	unlink(path);
}
END_TEST

/* One server that hangs, with a list that comes: no open, no descriptor waits
 * longer than its time. */
START_TEST(a_server_that_stops_answering)
{
	libusb_device_handle *h = NULL;
	libusb_device **list;
	struct moment begin;

	setenv("USBNET_TIMEOUT", "300", 1);
	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 1);
	/* Its place is taken by a mute one. */
	unlink(r.server.path);
	{
		struct sock_addr addr;
		struct cause why;

		sock_addr_parse(&addr, r.server.path, NULL, &why);
		ck_assert_int_ge(sock_listen(&addr, 0600, 64, &why), 0);
	}
	begin = clock_now();
	ck_assert_int_lt(libusb_open(list[0], &h), 0);
	ck_assert_int_lt(moment_ms_between(begin, clock_now()), 5000);
	libusb_free_device_list(list, 1);
	usbnet_close(&r);
}
END_TEST

/* ---- Forks ---- */

static int
child_main(libusb_device_handle *h)
{
	libusb_device **list;
	libusb_context *ctx;
	unsigned char b[8];

	/* What was open is lost here. */
	if (libusb_bulk_transfer(h, EP_IN(RIG_INSTANT), b, sizeof b, NULL,
		LIMIT_MS) != LIBUSB_ERROR_NO_DEVICE)
		return 1;
	libusb_close(h);
	/* The context is not, and neither is a new one. */
	if (libusb_get_device_list(r.ctx, &list) != 1)
		return 2;
	if (libusb_open(list[0], &h) != LIBUSB_ERROR_BUSY)
		return 3;
	libusb_free_device_list(list, 1);
	libusb_exit(r.ctx);
	if (libusb_init(&ctx) != 0)
		return 4;
	if (libusb_get_device_list(ctx, &list) != 1)
		return 5;
	libusb_free_device_list(list, 1);
	libusb_exit(ctx);
	return 0;
}

/* The engine's threads stay with the parent: the child is a client of it. */
START_TEST(a_child_begins_anew)
{
	unsigned char b[8];
	int status;
	pid_t child;

	usbnet_open(&r);
	child = fork();
	if (child == 0)
		_exit(child_main(r.h));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), b,
	    sizeof b, NULL, LIMIT_MS), 0);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.released), 0);
	usbnet_close(&r);
}
END_TEST

START_TEST(a_child_hears_of_arrivals)
{
	int status;
	pid_t child;

	start(LIBUSB_HOTPLUG_NO_FLAGS);
	child = fork();
	if (child == 0) {
		usbnet_await_count(r.ctx, &arrived, 1);
		_exit(0);
	}
	plug_second();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	usbnet_await_count(r.ctx, &arrived, 1);
	unplug_second();
	usbnet_close(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet hotplug");
	TCase *calls = tcase_create("callbacks");
	TCase *loss = tcase_create("loss");

	tcase_set_timeout(calls, 2 * RIG_PATIENCE_S);
	tcase_add_test(calls, come_and_go);
	tcase_add_test(calls, those_that_are_there);
	tcase_add_test(calls, two_addresses_that_are_one);
	tcase_add_test(calls, only_what_is_asked_for);
	tcase_add_test(calls, once_is_enough);
	tcase_add_test(calls, not_finished_by_those_that_are_there);
	tcase_add_test(calls, inside_a_callback);
	tcase_add_test(calls, bad_registrations);
	suite_add_tcase(s, calls);
	tcase_set_timeout(loss, 2 * RIG_PATIENCE_S);
	tcase_add_test(loss, unplugged_with_transfers_in_flight);
	tcase_add_test(loss, kicked_and_back);
	tcase_add_test(loss, what_the_program_polls);
	tcase_add_test(loss, the_server_goes_and_comes_back);
	tcase_add_test(loss, a_server_that_hangs_costs_its_time_once);
	tcase_add_test(loss, a_server_that_stops_answering);
	tcase_add_test(loss, a_child_begins_anew);
	tcase_add_test(loss, a_child_hears_of_arrivals);
	suite_add_tcase(s, loss);
	return unit_run(s);
}
