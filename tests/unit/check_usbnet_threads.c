/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The drop-in libusb in several threads at a time, and in loops of others. */

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "unit.h"
#include "usbnet_rig.h"

#define LIMIT_MS 20000
#define THREADS 6

static struct usbnet_rig r;
static _Atomic bool quitting;

static int
rounds(int n)
{
	const char *scale = getenv("MUXD_TEST_SCALE");

	return scale != NULL && atoi(scale) > 0 ? n / atoi(scale) : n;
}

/* ---- Synchronous calls in many threads ---- */

static void *
read_and_write(void *arg)
{
	unsigned char buffer[700];
	int moved;

	(void)arg;
	for (int i = 0; i < rounds(400); i++) {
		const int size = 1 + i % (int)sizeof buffer;

		RIG_EQ(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), buffer,
		    size, &moved, LIMIT_MS), 0);
		RIG_EQ(moved, size);
		usbnet_expect_pattern(buffer, (uint32_t)size, (uint32_t)size);
		RIG_EQ(libusb_bulk_transfer(r.h, EP_OUT(RIG_INSTANT), buffer,
		    size, &moved, LIMIT_MS), 0);
	}
	return NULL;
}

START_TEST(many_threads_wait_for_their_own)
{
	pthread_t threads[THREADS];

	usbnet_open(&r);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, read_and_write, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	usbnet_close(&r);
}
END_TEST

/* ---- One thread handles events, others do not ---- */

static void *
handle_all(void *arg)
{
	(void)arg;
	while (!quitting) {
		const int rc = libusb_handle_events(r.ctx);

		RIG_CHECK(rc == 0 || rc == LIBUSB_ERROR_INTERRUPTED,
		    "handle_events: %d", rc);
	}
	return NULL;
}

static void
stop_handler(pthread_t thread)
{
	quitting = true;
	libusb_interrupt_event_handler(r.ctx);
	pthread_join(thread, NULL);
}

static _Atomic unsigned ended, cancelled;

static void
on_end(struct libusb_transfer *t)
{
	if (t->status == LIBUSB_TRANSFER_CANCELLED)
		cancelled++;
	else
		RIG_EQ(t->status, LIBUSB_TRANSFER_COMPLETED);
	ended++;
}

/* Each transfer is cancelled while the device completes it. */
static void *
submit_and_cancel(void *arg)
{
	struct libusb_transfer *t = libusb_alloc_transfer(0);
	unsigned char buffer[256];

	(void)arg;
	libusb_fill_bulk_transfer(t, r.h, EP_IN(RIG_LOCKED), buffer,
	    sizeof buffer, on_end, NULL, 0);
	for (int i = 0; i < rounds(1000); i++) {
		while (libusb_submit_transfer(t) == LIBUSB_ERROR_BUSY)
			sched_yield();
		libusb_cancel_transfer(t);
	}
	/* Its last callback. */
	while (libusb_cancel_transfer(t) != LIBUSB_ERROR_NOT_FOUND)
		sched_yield();
	return t;
}

START_TEST(submits_and_cancels_of_other_threads)
{
	const unsigned total = THREADS * (unsigned)rounds(1000);
	pthread_t threads[THREADS], handler;
	void *transfers[THREADS];

	usbnet_open(&r);
	pthread_create(&handler, NULL, handle_all, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, submit_and_cancel, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], &transfers[i]);
	while (ended < total)
		sched_yield();
	stop_handler(handler);
	ck_assert_uint_eq(ended, total);
	for (int i = 0; i < THREADS; i++)
		libusb_free_transfer(transfers[i]);
	usbnet_close(&r);
}
END_TEST

START_TEST(opened_and_closed_beside_the_handler)
{
	libusb_device *dev;
	pthread_t handler;

	usbnet_open(&r);
	dev = libusb_ref_device(libusb_get_device(r.h));
	libusb_close(r.h);
	pthread_create(&handler, NULL, handle_all, NULL);
	for (int i = 0; i < rounds(200); i++) {
		unsigned char b[64];
		int rc;

		/* The server lets go of it a moment after us. */
		while ((rc = libusb_open(dev, &r.h)) == LIBUSB_ERROR_BUSY)
			sched_yield();
		RIG_EQ(rc, 0);
		RIG_EQ(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), b,
		    sizeof b, NULL, LIMIT_MS), 0);
		RIG_EQ(libusb_set_interface_alt_setting(r.h, 0, 0),
		    LIBUSB_ERROR_NOT_FOUND);
		RIG_EQ(libusb_clear_halt(r.h, EP_IN(1)), 0);
		libusb_close(r.h);
	}
	stop_handler(handler);
	libusb_unref_device(dev);
	r.h = NULL;
	usbnet_close(&r);
}
END_TEST

/* ---- Time, while links come ---- */

static struct rig_device second;

/* The first time limit runs out in the handler, which sleeps since before the
 * second device was opened, about when the second is set. */
static void
one_race(libusb_device *dev, unsigned ms)
{
	static struct usbnet_transfer x, y;
	libusb_device_handle *h;
	const struct moment begin = clock_now();
	int rc;

	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 8, ms);
	usbnet_transfer_init(&y, &r, EP_IN(RIG_HELD), 8, 20);
	RIG_EQ(libusb_submit_transfer(x.t), 0);
	while ((rc = libusb_open(dev, &h)) == LIBUSB_ERROR_BUSY)
		sched_yield();
	RIG_EQ(rc, 0);
	y.t->dev_handle = h;
	RIG_EQ(libusb_submit_transfer(y.t), 0);
	while (x.ended == 0 || y.ended == 0) {
		RIG_CHECK(moment_ms_between(begin, clock_now()) < LIMIT_MS,
		    "a time limit is lost");
		sched_yield();
	}
	libusb_close(h);
	usbnet_transfer_fini(&x);
	usbnet_transfer_fini(&y);
}

START_TEST(no_time_limit_is_lost)
{
	libusb_device_handle *h;
	libusb_device *dev;
	pthread_t handler;

	usbnet_open(&r);
	rig_device_init(&second, "3-2", 10);
	second.desc.device.product = 0x12ab;
	rig_plug(&r.server, &second);
	while ((h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
		    0x12ab)) == NULL)
		sched_yield();
	dev = libusb_ref_device(libusb_get_device(h));
	libusb_close(h);
	pthread_create(&handler, NULL, handle_all, NULL);
	for (int i = 0; i < rounds(300); i++)
		one_race(dev, 1 + (unsigned)i % 3);
	stop_handler(handler);
	libusb_unref_device(dev);
	rig_unplug(&r.server, &second);
	rig_device_fini(&second);
	usbnet_close(&r);
}
END_TEST

/* ---- The locks, as the documentation uses them ---- */

START_TEST(interrupted)
{
	const struct moment begin = clock_now();
	struct timeval tv = { .tv_sec = 30 };

	usbnet_open(&r);
	libusb_interrupt_event_handler(r.ctx);
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &tv), 0);
	ck_assert_int_lt(moment_ms_between(begin, clock_now()), 20000);
	usbnet_close(&r);
}
END_TEST

static int
ignore(libusb_context *ctx, libusb_device *dev, libusb_hotplug_event event,
    void *user_data)
{
	(void)ctx;
	(void)dev;
	(void)event;
	(void)user_data;
	return 0;
}

/* So the documentation ends a thread that handles events. */
START_TEST(deregistering_wakes)
{
	const struct moment begin = clock_now();
	struct timeval tv = { .tv_sec = 30 };
	libusb_hotplug_callback_handle cb;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, ignore, NULL,
	    &cb), 0);
	/* What the library has to do by itself comes first. */
	while (moment_ms_between(begin, clock_now()) < 500) {
		struct timeval soon = { .tv_usec = 100000 };

		libusb_handle_events_timeout(r.ctx, &soon);
	}
	libusb_hotplug_deregister_callback(r.ctx, cb);
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &tv), 0);
	ck_assert_int_lt(moment_ms_between(begin, clock_now()), 20000);
	usbnet_close(&r);
}
END_TEST

START_TEST(locks)
{
	struct timeval none = { 0 }, bad = { .tv_usec = 1000000 };
	int completed = 1;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_event_handler_active(r.ctx), 0);
	ck_assert_int_eq(libusb_try_lock_events(r.ctx), 0);
	ck_assert_int_eq(libusb_event_handler_active(r.ctx), 1);
	ck_assert_int_eq(libusb_event_handling_ok(r.ctx), 1);
	ck_assert_int_eq(libusb_handle_events_locked(r.ctx, &none), 0);
	ck_assert_int_eq(libusb_handle_events_locked(r.ctx, &bad),
	    LIBUSB_ERROR_INVALID_PARAM);
	libusb_unlock_events(r.ctx);
	libusb_lock_event_waiters(r.ctx);
	ck_assert_int_eq(libusb_wait_for_event(r.ctx, &none), 1);
	ck_assert_int_eq(libusb_wait_for_event(r.ctx, &bad),
	    LIBUSB_ERROR_INVALID_PARAM);
	libusb_unlock_event_waiters(r.ctx);
	ck_assert_int_eq(libusb_handle_events_completed(r.ctx, &completed), 0);
	usbnet_close(&r);
}
END_TEST

/* As the documentation has it: wait for the thread that handles events. */
static void *
wait_as_documented(void *arg)
{
	struct usbnet_transfer *x = arg;
	struct timeval tv = { .tv_sec = 1 };

retry:
	if (libusb_try_lock_events(r.ctx) == 0) {
		while (x->ended == 0) {
			if (!libusb_event_handling_ok(r.ctx)) {
				libusb_unlock_events(r.ctx);
				goto retry;
			}
			RIG_EQ(libusb_handle_events_locked(r.ctx, &tv), 0);
		}
		libusb_unlock_events(r.ctx);
	} else {
		libusb_lock_event_waiters(r.ctx);
		while (x->ended == 0) {
			if (!libusb_event_handler_active(r.ctx)) {
				libusb_unlock_event_waiters(r.ctx);
				goto retry;
			}
			libusb_wait_for_event(r.ctx, &tv);
		}
		libusb_unlock_event_waiters(r.ctx);
	}
	return NULL;
}

START_TEST(two_wait_for_one_transfer)
{
	static struct usbnet_transfer x;
	pthread_t threads[2];

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 10, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, wait_as_documented, &x);
	rig_finish(&r.dev, 0, 10);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(x.ended, 1);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

/* ---- A program that polls by itself ---- */

static unsigned fds_added, fds_removed;

static void
on_added(int fd, short events, void *arg)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(events, 0);
	ck_assert_ptr_eq(arg, &r);
	fds_added++;
}

static void
on_removed(int fd, void *arg)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_eq(arg, &r);
	fds_removed++;
}

/* True when one of them is ready. */
static bool
poll_them(int timeout_ms)
{
	const struct libusb_pollfd **fds = libusb_get_pollfds(r.ctx);
	struct pollfd pfd[16];
	nfds_t n = 0;

	for (; fds[n] != NULL; n++)
		pfd[n] = (struct pollfd){ .fd = fds[n]->fd,
			.events = fds[n]->events };
	libusb_free_pollfds(fds);
	return poll(pfd, n, timeout_ms) > 0;
}

START_TEST(the_program_polls)
{
	static struct usbnet_transfer x;
	struct timeval none = { 0 }, next;

	usbnet_open(&r);
	libusb_close(r.h);
	rig_await(&r.dev, &r.dev.released, 1);
	libusb_set_pollfd_notifiers(r.ctx, on_added, on_removed, &r);
	r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	ck_assert_uint_eq(fds_added, 1);
	ck_assert_int_eq(libusb_pollfds_handle_timeouts(r.ctx), 1);
	ck_assert_int_eq(libusb_get_next_timeout(r.ctx, &next), 0);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	for (unsigned i = 1; i <= 3; i++) {
		/* The last one by its time limit alone. */
		x.t->timeout = i == 3 ? 50 : 0;
		ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
		if (i == 1)
			rig_finish(&r.dev, 0, 1);
		if (i == 2)
			ck_assert_int_eq(libusb_cancel_transfer(x.t), 0);
		while (x.ended < i) {
			ck_assert(poll_them(LIMIT_MS));
			ck_assert_int_eq(libusb_handle_events_timeout(r.ctx,
			    &none), 0);
		}
	}
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_TIMED_OUT);
	usbnet_transfer_fini(&x);
	libusb_close(r.h);
	r.h = NULL;
	ck_assert_uint_eq(fds_removed, 1);
	libusb_set_pollfd_notifiers(r.ctx, NULL, NULL, NULL);
	usbnet_close(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet threads");
	TCase *threads = tcase_create("threads");
	TCase *loops = tcase_create("loops");

	tcase_set_timeout(threads, 4 * RIG_PATIENCE_S);
	tcase_add_test(threads, many_threads_wait_for_their_own);
	tcase_add_test(threads, submits_and_cancels_of_other_threads);
	tcase_add_test(threads, opened_and_closed_beside_the_handler);
	tcase_add_test(threads, no_time_limit_is_lost);
	suite_add_tcase(s, threads);
	tcase_set_timeout(loops, 2 * RIG_PATIENCE_S);
	tcase_add_test(loops, interrupted);
	tcase_add_test(loops, deregistering_wakes);
	tcase_add_test(loops, locks);
	tcase_add_test(loops, two_wait_for_one_transfer);
	tcase_add_test(loops, the_program_polls);
	suite_add_tcase(s, loops);
	return unit_run(s);
}
