/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Transfers of the drop-in libusb, as libusb's documentation has them. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "usbip/importer.h"
#include "usbnet_rig.h"

#define LIMIT_MS 20000

static struct usbnet_rig r;
static struct usbnet_transfer x, other;

/* ---- One after another ---- */

START_TEST(sync_moves_bytes)
{
	unsigned char buffer[3000];
	int moved = -1;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), buffer,
	    sizeof buffer, &moved, LIMIT_MS), 0);
	ck_assert_int_eq(moved, sizeof buffer);
	usbnet_expect_pattern(buffer, sizeof buffer, sizeof buffer);
	ck_assert_int_eq(libusb_interrupt_transfer(r.h, EP_OUT(RIG_INSTANT),
	    buffer, sizeof buffer, &moved, LIMIT_MS), 0);
	ck_assert_int_eq(moved, sizeof buffer);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_SHORT), buffer,
	    1000, &moved, LIMIT_MS), 0);
	ck_assert_int_eq(moved, 500);
	ck_assert_int_eq(libusb_control_transfer(r.h, 0x80, 6, 0x100, 0,
	    buffer, 64, LIMIT_MS), 18);
	usbnet_expect_pattern(buffer, 64, 18);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), buffer,
	    0, NULL, LIMIT_MS), 0);
	usbnet_close(&r);
}
END_TEST

/* Programs ask so, and usbfs lets them; the kernel's server does not submit an
 * interrupt URB without its interval. */
START_TEST(bulk_transfers_on_an_interrupt_endpoint)
{
	unsigned char buffer[8];

	usbnet_open(&r);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_PARTIAL), buffer,
	    sizeof buffer, NULL, 50), LIBUSB_ERROR_TIMEOUT);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.interval), 8);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_INSTANT), buffer,
	    sizeof buffer, NULL, LIMIT_MS), 0);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.interval), 0);
	usbnet_close(&r);
}
END_TEST

START_TEST(sync_fails_as_documented)
{
	unsigned char buffer[64];
	int moved = -1;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(8), buffer,
	    sizeof buffer, &moved, LIMIT_MS), LIBUSB_ERROR_PIPE);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(moved, 0);
	ck_assert_int_eq(libusb_bulk_transfer(r.h, EP_IN(RIG_HELD), buffer,
	    sizeof buffer, &moved, 30), LIBUSB_ERROR_TIMEOUT);
	ck_assert_int_eq(moved, 0);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.cancels), 1);
	usbnet_close(&r);
}
END_TEST

/* ---- Asynchronous ---- */

START_TEST(callbacks_come_in_event_handling)
{
	struct timeval none = { 0 };

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_cancel_transfer(x.t), LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), LIBUSB_ERROR_BUSY);
	rig_finish(&r.dev, 0, 60);
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &none), 0);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_COMPLETED);
	ck_assert_int_eq(x.t->actual_length, 60);
	usbnet_expect_pattern(x.buffer, 100, 60);
	ck_assert_uint_eq(x.buffer[60], 0xee);
	ck_assert_int_eq(libusb_cancel_transfer(x.t), LIBUSB_ERROR_NOT_FOUND);
	/* And again. */
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	rig_finish(&r.dev, 0, 1);
	usbnet_await(&r, &x, 2);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

START_TEST(statuses)
{
	static const struct {
		int status;
		enum libusb_transfer_status expected;
	} all[] = {
		{ USBIP_EPIPE, LIBUSB_TRANSFER_STALL },
		{ USBIP_EOVERFLOW, LIBUSB_TRANSFER_OVERFLOW },
		{ USBIP_ENODEV, LIBUSB_TRANSFER_NO_DEVICE },
		{ USBIP_ESHUTDOWN, LIBUSB_TRANSFER_NO_DEVICE },
		{ USBIP_ETIMEDOUT, LIBUSB_TRANSFER_TIMED_OUT },
		{ USBIP_EPROTO, LIBUSB_TRANSFER_ERROR },
		{ USBIP_EILSEQ, LIBUSB_TRANSFER_ERROR },
		/* Nobody has asked for it back. */
		{ USBIP_ECONNRESET, LIBUSB_TRANSFER_ERROR },
		{ USBIP_ENOENT, LIBUSB_TRANSFER_ERROR },
		{ USBIP_OK, LIBUSB_TRANSFER_COMPLETED },
	};

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	for (int i = 0; i < UNIT_COUNT(all); i++) {
		ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
		rig_finish(&r.dev, all[i].status, 7);
		usbnet_await(&r, &x, (unsigned)i + 1);
		ck_assert_int_eq(x.t->status, all[i].expected);
	}
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

START_TEST(a_short_read_may_be_an_error)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_SHORT), 100, 0);
	x.t->flags = LIBUSB_TRANSFER_SHORT_NOT_OK;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_ERROR);
	ck_assert_int_eq(x.t->actual_length, 50);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

START_TEST(cancel_ends_once)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_cancel_transfer(x.t), 0);
	ck_assert_int_eq(libusb_cancel_transfer(x.t), LIBUSB_ERROR_NOT_FOUND);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_CANCELLED);
	ck_assert_int_eq(x.t->actual_length, 0);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

START_TEST(time_runs_out)
{
	struct usbnet_transfer y;

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 60);
	usbnet_transfer_init(&y, &r, EP_IN(RIG_HELD), 100, 20);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(y.t), 0);
	usbnet_await(&r, &y, 1);
	ck_assert_int_eq(y.t->status, LIBUSB_TRANSFER_TIMED_OUT);
	ck_assert_uint_eq(x.ended, 0);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->status, LIBUSB_TRANSFER_TIMED_OUT);
	usbnet_transfer_fini(&x);
	usbnet_transfer_fini(&y);
	usbnet_close(&r);
}
END_TEST

/* ---- More than the server is given at a time ---- */

#define MANY (IMPORTER_URBS_MAX + 100)

static struct libusb_transfer *many[MANY];
static unsigned char many_bytes[MANY];
static _Atomic unsigned many_ended;
static unsigned many_cancelled, many_last;

static void
one_of_many(struct libusb_transfer *t)
{
	if (t->status == LIBUSB_TRANSFER_CANCELLED)
		many_cancelled++;
	else
		many_last = (unsigned)(size_t)t->user_data;
	many_ended++;
}

static void
submit_many(void)
{
	for (size_t i = 0; i < MANY; i++) {
		many[i] = libusb_alloc_transfer(0);
		libusb_fill_bulk_transfer(many[i], r.h, EP_IN(RIG_HELD),
		    &many_bytes[i], 1, one_of_many, (void *)i, 0);
		ck_assert_int_eq(libusb_submit_transfer(many[i]), 0);
	}
}

static void
free_many(void)
{
	for (size_t i = 0; i < MANY; i++)
		libusb_free_transfer(many[i]);
}

START_TEST(more_than_there_is_room_for)
{
	struct timeval soon = { .tv_usec = 1000 };
	unsigned char b[18];

	usbnet_open(&r);
	submit_many();
	/* Some room is kept for endpoint 0. */
	while (usbnet_count(&r, &r.dev.held.count) < IMPORTER_URBS_MAX - 16)
		ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &soon),
		    0);
	ck_assert_int_eq(libusb_control_transfer(r.h, 0x80, 6, 0x100, 0, b,
	    sizeof b, 2000), 18);
	ck_assert_int_eq(libusb_clear_halt(r.h, EP_IN(1)), 0);
	ck_assert_uint_eq(many_ended, 0);
	/* One that flies, and one that waits for room. */
	ck_assert_int_eq(libusb_cancel_transfer(many[3]), 0);
	ck_assert_int_eq(libusb_cancel_transfer(many[MANY - 2]), 0);
	usbnet_await_count(r.ctx, &many_ended, 2);
	ck_assert_uint_eq(many_cancelled, 2);
	for (unsigned i = 2; i < MANY; i++) {
		rig_finish(&r.dev, 0, 1);
		usbnet_await_count(r.ctx, &many_ended, i + 1);
	}
	ck_assert_uint_eq(many_ended, MANY);
	ck_assert_uint_eq(many_last, MANY - 1);
	free_many();
	usbnet_close(&r);
}
END_TEST

START_TEST(close_takes_all_back)
{
	usbnet_open(&r);
	submit_many();
	usbnet_close(&r);
	ck_assert_uint_eq(many_ended, 0); /* nobody is called back */
	free_many();
}
END_TEST

/* Not allowed, and done. */
START_TEST(freed_in_flight)
{
	struct timeval none = { 0 };

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	rig_await(&r.dev, &r.dev.held.count, 1);
	usbnet_transfer_fini(&x);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.cancels), 1);
	/* Some in flight, others in line. */
	submit_many();
	free_many();
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.held.count), 0);
	/* After a cancel, as librtlsdr has it. */
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_cancel_transfer(x.t), 0);
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &none), 0);
	if (libusb_cancel_transfer(x.t) == LIBUSB_ERROR_NOT_FOUND)
		usbnet_transfer_fini(&x);
	ck_assert_int_eq(libusb_handle_events_timeout(r.ctx, &none), 0);
	ck_assert_uint_eq(many_ended, 0);
	usbnet_close(&r);
}
END_TEST

START_TEST(closing_one_handle_leaves_the_other)
{
	struct usbnet_transfer y;
	libusb_device_handle *second;

	usbnet_open(&r);
	ck_assert_int_eq(libusb_open(libusb_get_device(r.h), &second), 0);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 100, 0);
	usbnet_transfer_init(&y, &r, EP_IN(RIG_HELD), 100, 1000);
	y.t->dev_handle = second;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(y.t), 0);
	rig_await(&r.dev, &r.dev.held.count, 2);
	libusb_close(second);
	ck_assert_uint_eq(usbnet_count(&r, &r.dev.cancels), 1);
	usbnet_transfer_fini(&y);
	rig_finish(&r.dev, 0, 10);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(x.t->actual_length, 10);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

/* ---- Isochronous ---- */

START_TEST(isochronous)
{
	struct libusb_transfer *t = libusb_alloc_transfer(4);

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_ISO), 400, 0);
	libusb_fill_iso_transfer(t, r.h, EP_IN(RIG_ISO), x.buffer, 400, 4,
	    x.t->callback, &x, 0);
	libusb_set_iso_packet_lengths(t, 100);
	ck_assert_int_eq(libusb_submit_transfer(t), 0);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(t->status, LIBUSB_TRANSFER_COMPLETED);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(t->iso_packet_desc[i].status, i == 1
			? LIBUSB_TRANSFER_ERROR : LIBUSB_TRANSFER_COMPLETED);
		ck_assert_uint_eq(t->iso_packet_desc[i].actual_length, 50);
	}
	/* More packets than it was made for, and packets outside. */
	t->num_iso_packets = 5;
	ck_assert_int_eq(libusb_submit_transfer(t),
	    LIBUSB_ERROR_INVALID_PARAM);
	t->num_iso_packets = 4;
	t->length = 399;
	ck_assert_int_eq(libusb_submit_transfer(t),
	    LIBUSB_ERROR_INVALID_PARAM);
	libusb_free_transfer(t);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

/* ---- What is not possible ---- */

START_TEST(bad_transfers)
{
	unsigned char setup[8] = { 0x80, 6, 0, 1, 0, 0, 18, 0 };

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_INSTANT), 10, 0);
	x.t->type = LIBUSB_TRANSFER_TYPE_BULK_STREAM;
	ck_assert_int_eq(libusb_submit_transfer(x.t),
	    LIBUSB_ERROR_NOT_SUPPORTED);
	x.t->type = 9;
	ck_assert_int_eq(libusb_submit_transfer(x.t),
	    LIBUSB_ERROR_INVALID_PARAM);
	x.t->type = LIBUSB_TRANSFER_TYPE_BULK;
	x.t->length = -1;
	ck_assert_int_eq(libusb_submit_transfer(x.t),
	    LIBUSB_ERROR_INVALID_PARAM);
	x.t->length = 64 * 1024 * 1024;
	ck_assert_int_eq(libusb_submit_transfer(x.t), LIBUSB_ERROR_NO_MEM);
	/* A control transfer whose data does not fit. */
	x.t->type = LIBUSB_TRANSFER_TYPE_CONTROL;
	x.t->endpoint = 0;
	x.t->buffer = setup;
	x.t->length = sizeof setup;
	ck_assert_int_eq(libusb_submit_transfer(x.t),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_ptr_null(libusb_alloc_transfer(-1));
	ck_assert_ptr_null(libusb_alloc_transfer(1 << 20));
	ck_assert_uint_eq(x.ended, 0);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

/* ---- Inside callbacks ---- */

static int inner_rc[3];

static void
call_everything(struct libusb_transfer *t)
{
	struct timeval tv = { .tv_sec = 1 };
	unsigned char b;

	inner_rc[0] = libusb_bulk_transfer(t->dev_handle, EP_IN(RIG_INSTANT),
	    &b, 1, NULL, LIMIT_MS);
	inner_rc[1] = libusb_handle_events_timeout(r.ctx, &tv);
	inner_rc[2] = libusb_set_interface_alt_setting(t->dev_handle, 0, 1);
	x.ended++;
}

START_TEST(inside_a_callback)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_INSTANT), 10, 0);
	x.t->callback = call_everything;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	usbnet_await(&r, &x, 1);
	ck_assert_int_eq(inner_rc[0], LIBUSB_ERROR_BUSY);
	ck_assert_int_eq(inner_rc[1], LIBUSB_ERROR_BUSY);
	ck_assert_int_eq(inner_rc[2], 0); /* no event, no wait for one */
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

static void
submit_until_enough(struct libusb_transfer *t)
{
	usbnet_expect_pattern(t->buffer, 512, 512);
	if (++x.ended < 10000)
		ck_assert_int_eq(libusb_submit_transfer(t), 0);
}

START_TEST(again_from_the_callback)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_INSTANT), 512, 1000);
	x.t->callback = submit_until_enough;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	usbnet_await(&r, &x, 10000);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

static void
submit_and_linger(struct libusb_transfer *t)
{
	if (++x.ended == 1) {
		ck_assert_int_eq(libusb_submit_transfer(t), 0);
		poll(NULL, 0, 5);
	}
}

static void
expect_submitted(struct libusb_transfer *t)
{
	(void)t;
	rig_await(&r.dev, &r.dev.held.count, 1);
	other.ended++;
}

/* What a callback submits does not wait for all the others. */
START_TEST(slow_callbacks)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 8, 0);
	usbnet_transfer_init(&other, &r, EP_IN(RIG_HELD), 8, 0);
	x.t->callback = submit_and_linger;
	other.t->callback = expect_submitted;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(other.t), 0);
	rig_finish(&r.dev, 0, 1);
	rig_finish(&r.dev, 0, 1);
	/* Both in one round, or this proves nothing. */
	poll(NULL, 0, 50);
	usbnet_await(&r, &other, 1);
	rig_finish(&r.dev, 0, 1);
	usbnet_await(&r, &x, 2);
	usbnet_transfer_fini(&other);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

static void
close_the_device(struct libusb_transfer *t)
{
	libusb_close(t->dev_handle);
	x.ended++;
}

START_TEST(closed_from_the_callback)
{
	struct usbnet_transfer y;

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 512, 0);
	usbnet_transfer_init(&y, &r, EP_IN(RIG_HELD), 512, 0);
	x.t->callback = close_the_device;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	ck_assert_int_eq(libusb_submit_transfer(y.t), 0);
	rig_finish(&r.dev, 0, 1);
	rig_finish(&r.dev, 0, 1);
	usbnet_await(&r, &x, 1);
	r.h = NULL;
	ck_assert_uint_eq(y.ended, 0);
	usbnet_transfer_fini(&x);
	usbnet_transfer_fini(&y);
	usbnet_close(&r);
}
END_TEST

static unsigned held_by_other;

static void
free_the_other(struct libusb_transfer *t)
{
	(void)t;
	usbnet_transfer_fini(&other);
	held_by_other = usbnet_count(&r, &r.dev.held.count);
	x.ended++;
}

START_TEST(freed_from_another_callback)
{
	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_HELD), 512, 0);
	usbnet_transfer_init(&other, &r, EP_IN(RIG_HELD), 512, 0);
	x.t->callback = free_the_other;
	/* First in flight, then done. */
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
		ck_assert_int_eq(libusb_submit_transfer(other.t), 0);
		rig_await(&r.dev, &r.dev.held.count, 2);
		for (unsigned n = 0; n < i; n++)
			rig_finish(&r.dev, 0, 1);
		usbnet_await(&r, &x, i);
		ck_assert_uint_eq(held_by_other, 0);
		ck_assert_uint_eq(other.ended, 0);
		usbnet_transfer_init(&other, &r, EP_IN(RIG_HELD), 512, 0);
	}
	usbnet_transfer_fini(&other);
	usbnet_transfer_fini(&x);
	usbnet_close(&r);
}
END_TEST

START_TEST(freed_by_the_library)
{
	unsigned char *buffer = malloc(64);

	usbnet_open(&r);
	usbnet_transfer_init(&x, &r, EP_IN(RIG_INSTANT), 64, 0);
	x.t->buffer = buffer;
	x.t->flags =
	    LIBUSB_TRANSFER_FREE_BUFFER | LIBUSB_TRANSFER_FREE_TRANSFER;
	ck_assert_int_eq(libusb_submit_transfer(x.t), 0);
	usbnet_await(&r, &x, 1);
	libusb_free_transfer(NULL);
	usbnet_close(&r);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet transfers");
	TCase *sync = tcase_create("synchronous");
	TCase *async = tcase_create("asynchronous");
	TCase *inside = tcase_create("inside callbacks");

	tcase_set_timeout(sync, 2 * RIG_PATIENCE_S);
	tcase_add_test(sync, sync_moves_bytes);
	tcase_add_test(sync, bulk_transfers_on_an_interrupt_endpoint);
	tcase_add_test(sync, sync_fails_as_documented);
	suite_add_tcase(s, sync);
	tcase_set_timeout(async, 2 * RIG_PATIENCE_S);
	tcase_add_test(async, callbacks_come_in_event_handling);
	tcase_add_test(async, statuses);
	tcase_add_test(async, a_short_read_may_be_an_error);
	tcase_add_test(async, cancel_ends_once);
	tcase_add_test(async, time_runs_out);
	tcase_add_test(async, more_than_there_is_room_for);
	tcase_add_test(async, close_takes_all_back);
	tcase_add_test(async, freed_in_flight);
	tcase_add_test(async, closing_one_handle_leaves_the_other);
	tcase_add_test(async, isochronous);
	tcase_add_test(async, bad_transfers);
	suite_add_tcase(s, async);
	tcase_set_timeout(inside, 2 * RIG_PATIENCE_S);
	tcase_add_test(inside, inside_a_callback);
	tcase_add_test(inside, again_from_the_callback);
	tcase_add_test(inside, slow_callbacks);
	tcase_add_test(inside, closed_from_the_callback);
	tcase_add_test(inside, freed_from_another_callback);
	tcase_add_test(inside, freed_by_the_library);
	suite_add_tcase(s, inside);
	return unit_run(s);
}
