/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * Every way to handle events that the documentation names, on a `loop` device:
 * what has been written can be read, and a read of nothing waits.
 */

#define LOOP_SIZE 512
#define SHORT_SIZE 100
#define SOON_MS 2000 /* what should be at once, on a busy machine */

struct seat {
	struct load *l;
	int rc, done;
	atomic_bool inside; /* the thread is about to wait */
	atomic_bool stays;  /* and does so until this is false */
	int64_t took_ms;
};

static void LIBUSB_CALL
mark_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;

	slot_landed(s);
	if (s->mode != NULL)
		*(int *)s->mode = 1;
}

/* `len` bytes into the loop, so that a read of one can end. */
static void
feed(struct load *l, int len)
{
	uint8_t bytes[LOOP_SIZE] = { 1, 2, 3 };
	int moved = 0;

	expect(0, libusb_bulk_transfer(l->dev, l->out, bytes, len, &moved,
	    5000), "bulk_transfer into the loop");
	if (moved != len)
		fault("%d bytes went into the loop", moved);
}

static void
soon(int64_t ms, const char *what)
{
	if (ms > SOON_MS)
		fault("%s took %lld ms", what, (long long)ms);
}

/* ---- Another thread waits for events ---- */

static void *
sit(void *arg)
{
	struct seat *seat = arg;
	struct timeval tv = { .tv_sec = 3600 };
	const struct moment since = clock_now();

	atomic_store(&seat->inside, true);
	do
		seat->rc = libusb_handle_events_timeout_completed(seat->l->ctx,
		    &tv, &seat->done);
	while (seat->rc == 0 && atomic_load(&seat->stays));
	seat->took_ms = moment_ms_between(since, clock_now());
	return NULL;
}

static pthread_t
seat_take(struct seat *seat, struct load *l, bool stays)
{
	pthread_t thread;

	memset(seat, 0, sizeof *seat);
	seat->l = l;
	seat->stays = stays;
	if (pthread_create(&thread, NULL, sit, seat) != 0)
		fatal("no thread");
	while (!seat->inside)
		wait_ms(1);
	wait_ms(30); /* so that it is in its poll, most probably */
	return thread;
}

static void
seat_leave(pthread_t thread, const struct seat *seat, const char *what)
{
	pthread_join(thread, NULL);
	expect(0, seat->rc, what);
	soon(seat->took_ms, what);
}

static void
test_interrupt(struct load *l)
{
	struct seat seat;
	pthread_t thread;

	stage(l->o, "interrupt_event_handler");
	thread = seat_take(&seat, l, false);
	libusb_interrupt_event_handler(l->ctx);
	seat_leave(thread, &seat, "an interrupted handle_events");
}

static void
test_close_beside(struct load *l)
{
	libusb_device_handle *second = NULL;
	struct seat seat;
	pthread_t thread;

	stage(l->o, "close while another thread waits for events");
	thread = seat_take(&seat, l, false);
	expect(0, libusb_open(libusb_get_device(l->dev), &second),
	    "open a second time");
	libusb_close(second);
	libusb_interrupt_event_handler(l->ctx);
	seat_leave(thread, &seat, "handle_events beside a close");
}

/* The one who waits learns of what others submit. */
static void
test_submit_beside(struct load *l)
{
	struct slot in, out;
	struct seat seat;
	pthread_t thread;

	stage(l->o, "submit while another thread waits for events");
	slot_init(&in, l, 0, LOOP_SIZE);
	slot_init(&out, l, 1, LOOP_SIZE);
	memset(out.buffer, 0x77, LOOP_SIZE);
	slot_fill_bulk(&in, EP_IN, mark_done, 0);
	slot_fill_bulk(&out, l->out, mark_done, 0);
	thread = seat_take(&seat, l, true);
	expect(0, slot_submit(&in), "submit_transfer");
	expect(0, slot_submit(&out), "submit_transfer");
	while (in.flying || out.flying)
		wait_ms(1);
	atomic_store(&seat.stays, false);
	libusb_interrupt_event_handler(l->ctx);
	seat_leave(thread, &seat, "handle_events beside a submit");
	expect_status(LIBUSB_TRANSFER_COMPLETED, in.t, "a read of the loop");
	if (in.t->actual_length != LOOP_SIZE || in.buffer[0] != 0x77)
		fault("the loop gave %d bytes", in.t->actual_length);
	slot_fini(&in);
	slot_fini(&out);
}

/* ---- `completed` ---- */

static void
test_completed(struct load *l)
{
	struct timeval tv = { .tv_sec = 3600 };
	struct slot in;
	struct moment since;
	int completed = 1;

	stage(l->o, "handle_events with `completed` set");
	since = clock_now();
	expect(0, libusb_handle_events_timeout_completed(l->ctx, &tv,
	    &completed), "handle_events_timeout_completed");
	expect(0, libusb_handle_events_completed(l->ctx, &completed),
	    "handle_events_completed");
	soon(moment_ms_between(since, clock_now()), "nothing to wait for");

	stage(l->o, "handle_events until `completed`");
	completed = 0;
	slot_init(&in, l, 0, LOOP_SIZE);
	in.mode = &completed;
	slot_fill_bulk(&in, EP_IN, mark_done, 0);
	expect(0, slot_submit(&in), "submit_transfer");
	feed(l, LOOP_SIZE);
	while (completed == 0)
		expect(0, libusb_handle_events_completed(l->ctx, &completed),
		    "handle_events_completed");
	slot_fini(&in);
}

/* ---- The lock on events ---- */

static void *
wait_for_handler(void *arg)
{
	struct seat *seat = arg;
	struct timeval tv = { .tv_sec = 3600 };
	const struct moment since = clock_now();

	libusb_lock_event_waiters(seat->l->ctx);
	atomic_store(&seat->inside, true);
	while (seat->done == 0 && seat->rc == 0 &&
	    libusb_event_handler_active(seat->l->ctx))
		seat->rc = libusb_wait_for_event(seat->l->ctx, &tv);
	libusb_unlock_event_waiters(seat->l->ctx);
	seat->took_ms = moment_ms_between(since, clock_now());
	return NULL;
}

static void *
try_lock(void *arg)
{
	struct seat *seat = arg;

	seat->rc = libusb_try_lock_events(seat->l->ctx);
	if (seat->rc == 0)
		libusb_unlock_events(seat->l->ctx);
	seat->done = libusb_event_handler_active(seat->l->ctx);
	return NULL;
}

static void
test_waiters(struct load *l)
{
	struct seat seat = { .l = l };
	struct timeval tv = { .tv_usec = 30000 };
	pthread_t thread;

	libusb_lock_event_waiters(l->ctx);
	expect(1, libusb_wait_for_event(l->ctx, &tv),
	    "wait_for_event whose time is up");
	libusb_unlock_event_waiters(l->ctx);
	if (pthread_create(&thread, NULL, wait_for_handler, &seat) != 0)
		fatal("no thread");
	while (!seat.inside)
		wait_ms(1);
	libusb_lock_event_waiters(l->ctx); /* it waits, and has let go of it */
	libusb_unlock_event_waiters(l->ctx);
	libusb_unlock_events(l->ctx);
	seat_leave(thread, &seat, "wait_for_event when the handler leaves");
}

static void
test_lock(struct load *l)
{
	struct seat seat = { .l = l };
	struct timeval zero = { 0 };
	struct slot in;
	int completed = 0;
	pthread_t thread;

	stage(l->o, "the lock on events");
	slot_init(&in, l, 0, LOOP_SIZE);
	in.mode = &completed;
	slot_fill_bulk(&in, EP_IN, mark_done, 0);
	feed(l, LOOP_SIZE);
	expect(0, slot_submit(&in), "submit_transfer");
	expect(0, libusb_try_lock_events(l->ctx), "try_lock_events");
	expect(1, libusb_event_handling_ok(l->ctx), "event_handling_ok");
	expect(1, libusb_event_handler_active(l->ctx), "event_handler_active");
	if (pthread_create(&thread, NULL, try_lock, &seat) != 0)
		fatal("no thread");
	pthread_join(thread, NULL);
	expect(1, seat.rc, "try_lock_events of another thread");
	expect(1, seat.done, "event_handler_active in another thread");
	while (completed == 0)
		expect(0, libusb_handle_events_locked(l->ctx, &zero),
		    "handle_events_locked");
	test_waiters(l);
	libusb_lock_events(l->ctx);
	libusb_unlock_events(l->ctx);
	slot_fini(&in);
}

/* ---- A sync call where it cannot be ---- */

static void LIBUSB_CALL
call_inside(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	uint8_t buf[8];
	int moved;

	expect(LIBUSB_ERROR_BUSY, libusb_bulk_transfer(s->l->dev, EP_IN, buf,
	    sizeof buf, &moved, 1), "bulk_transfer in a callback");
	expect(LIBUSB_ERROR_BUSY, libusb_control_transfer(s->l->dev, 0x80, 6,
	    0x100, 0, buf, sizeof buf, 1), "control_transfer in a callback");
	slot_landed(s);
}

static void
test_inside(struct load *l)
{
	struct slot in;

	stage(l->o, "sync calls in a callback");
	slot_init(&in, l, 0, LOOP_SIZE);
	slot_fill_bulk(&in, EP_IN, call_inside, 0);
	feed(l, LOOP_SIZE);
	expect(0, slot_submit(&in), "submit_transfer");
	slots_wait(l, &in, 1, "sync calls in a callback");
	slot_fini(&in);
}

/* ---- Flags ---- */

static atomic_uint freed_ended;

static void LIBUSB_CALL
count_end(struct libusb_transfer *t)
{
	expect_status(LIBUSB_TRANSFER_COMPLETED, t, "a read");
	freed_ended++;
}

static void
test_flags(struct load *l)
{
	struct libusb_transfer *t = libusb_alloc_transfer(0);
	struct slot in;

	stage(l->o, "flags of transfers");
	libusb_fill_bulk_transfer(t, l->dev, EP_IN, malloc(LOOP_SIZE),
	    LOOP_SIZE, count_end, NULL, 0);
	t->flags = LIBUSB_TRANSFER_FREE_BUFFER | LIBUSB_TRANSFER_FREE_TRANSFER;
	feed(l, LOOP_SIZE);
	expect(0, libusb_submit_transfer(t), "submit_transfer");
	while (freed_ended == 0)
		load_events(l, 1000);

	slot_init(&in, l, 0, (size_t)2 * LOOP_SIZE);
	slot_fill_bulk(&in, EP_IN, mark_done, 1000);
	in.t->flags = LIBUSB_TRANSFER_SHORT_NOT_OK;
	feed(l, SHORT_SIZE);
	expect(0, slot_submit(&in), "submit_transfer");
	slots_wait(l, &in, 1, "a short read with SHORT_NOT_OK");
	expect_status(LIBUSB_TRANSFER_ERROR, in.t,
	    "a short read with SHORT_NOT_OK");
	slot_fini(&in);
}

void
run_events(const struct options *o)
{
	const unsigned fds = open_fds();
	struct load l;

	load_open(&l, o);
	test_completed(&l);
	test_interrupt(&l);
	test_close_beside(&l);
	test_submit_beside(&l);
	test_lock(&l);
	test_inside(&l);
	test_flags(&l);
	test_pollfds(&l);
	load_close(&l);
	if (open_fds() != fds)
		fault("%u descriptors at the end, %u before", open_fds(), fds);
	result("events: %s", fault_count() == 0 ? "all as documented"
						 : "not as documented");
}
