/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Frames to a local device: a transfer for the data and, where asked for, one
 * of no bytes right behind it.  (LIBUSB_TRANSFER_ADD_ZERO_PACKET would do it in
 * one, but not on every system.)
 */

#include <stdlib.h>

#include "usb/transport_libusb.h"

static struct local_write *
write_of(struct qnode *n)
{
	return (struct local_write *)n; /* node is the first member */
}

static void
count_write(struct local_transport *t, bool more)
{
	if (more)
		atomic_fetch_add_explicit(&t->base.writes_in_flight, 1,
		    memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&t->base.writes_in_flight, 1,
		    memory_order_relaxed);
}

/* All of the frame's transfers are done: it goes back to its maker. */
static void
finish(struct local_write *w)
{
	struct local_transport *t = w->t;
	struct tx *tx = w->tx;
	const int error =
	    atomic_load_explicit(&w->error, memory_order_relaxed);

	/* A frame that was lost leaves a hole in somebody's stream. */
	if (error != USB_OK)
		local_fail(t, error == USB_ERROR_STALL ? USB_ERROR_IO : error);
	count_write(t, false);
	recycler_give(&t->frames, &w->node);
	tx->done(tx, error);
}

/* One of the frame's transfers is done, or will never be.  The last one ends
 * the frame, on whichever thread that is. */
static void
part_done(struct local_write *w, int error)
{
	int ok = USB_OK;

	if (error != USB_OK)
		atomic_compare_exchange_strong_explicit(&w->error, &ok, error,
		    memory_order_relaxed, memory_order_relaxed);
	/* Release and acquire pair among the parts: the last one sees all. */
	if (atomic_fetch_sub_explicit(&w->left, 1, memory_order_acq_rel) == 1)
		finish(w);
}

static void LIBUSB_CALL
write_done(struct libusb_transfer *x)
{
	struct local_write *w = x->user_data;
	int error = local_reap(w->t, x);

	if (error == USB_OK && x->actual_length != x->length)
		error = USB_ERROR_IO;
	w->t->wrote = true;
	part_done(w, error);
}

static void
free_write(struct local_write *w)
{
	libusb_free_transfer(w->data);
	libusb_free_transfer(w->zlp);
	free(w);
}

static struct local_write *
new_write(struct local_transport *t)
{
	struct local_write *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->data = libusb_alloc_transfer(0);
	w->zlp = libusb_alloc_transfer(0);
	if (w->data == NULL || w->zlp == NULL) {
		free_write(w);
		return NULL;
	}
	w->t = t;
	w->next = t->writes;
	t->writes = w;
	return w;
}

/* The writer. */
static struct local_write *
take_write(struct local_transport *t)
{
	struct qnode *n = recycler_take(&t->frames);

	return n != NULL ? write_of(n) : new_write(t);
}

static void
fill_transfer(struct local_write *w, struct libusb_transfer *x, uint8_t to,
    uint8_t *bytes, uint32_t len)
{
	libusb_fill_bulk_transfer(x, w->t->handle, to, bytes, (int)len,
	    write_done, w, 0);
	if (w->tx->interrupt)
		x->type = LIBUSB_TRANSFER_TYPE_INTERRUPT;
}

static void
load(struct local_write *w, struct tx *tx)
{
	const uint8_t to = tx->interrupt ? w->t->event_out : w->t->out;
	uint8_t *bytes = tx->data + tx->offset;

	w->tx = tx;
	w->number = ++w->t->frames_taken;
	w->has_zlp = tx->zlp;
	w->data_submitted = false;
	atomic_store_explicit(&w->error, USB_OK, memory_order_relaxed);
	atomic_store_explicit(&w->left, tx->zlp ? 2 : 1, memory_order_relaxed);
	fill_transfer(w, w->data, to, bytes, tx->len);
	fill_transfer(w, w->zlp, to, bytes, 0);
	count_write(w->t, true);
}

/*
 * Submits what of the frame is not yet submitted.  0, or libusb's error.  Once
 * its last transfer is submitted the frame may be done, and `w` in use again.
 */
static int
submit_write(struct local_write *w)
{
	struct local_transport *t = w->t;

	if (!w->data_submitted) {
		const bool has_zlp = w->has_zlp;
		const int r = local_submit(t, w->data);

		if (r < 0 || !has_zlp)
			return r;
		w->data_submitted = true;
	}
	return local_submit(t, w->zlp);
}

/* What of the frame was not submitted never will be. */
static void
refuse(struct local_write *w, int error)
{
	const int parts = w->has_zlp && !w->data_submitted ? 2 : 1;

	for (int i = 0; i < parts; i++)
		part_done(w, error);
}

/*
 * Puts the frame where the reader will find it.  Rare: usbfs is short of
 * memory.
 */
static void
park(struct local_transport *t, struct local_write *w)
{
	atomic_fetch_add_explicit(&t->parked_count, 1, memory_order_relaxed);
	queue_push(&t->parked, &w->node);
	libusb_interrupt_event_handler(t->ctx);
}

void
local_write(struct transport *base, struct tx *tx)
{
	struct local_transport *t = local_of(base);
	struct local_write *w = NULL;
	int r = LIBUSB_ERROR_NO_MEM;

	/* Acquire: pairs with the release in halt(). */
	if (!atomic_load_explicit(&t->halted, memory_order_acquire) &&
	    local_failure(t) == USB_OK) {
		w = take_write(t);
		if (w == NULL)
			local_fail(t, USB_ERROR_NO_MEM);
	}
	if (w == NULL) {
		tx->done(tx, USB_ERROR_GONE);
		return;
	}
	load(w, tx);
	/* Acquire: pairs with the release in local_writes_unpark(): at 0, all
	 * frames before this one have been submitted.  Only this thread makes
	 * it more. */
	if (atomic_load_explicit(&t->parked_count, memory_order_acquire) == 0)
		r = submit_write(w);
	if (r == LIBUSB_ERROR_NO_MEM)
		park(t, w);
	else if (r < 0)
		refuse(w, local_error(r));
}

void
local_writes_unpark(struct local_transport *t)
{
	while (atomic_load_explicit(&t->parked_count, memory_order_relaxed) >
	    0) {
		struct qnode *next;
		struct local_write *w;
		int r;

		if (t->unparked == NULL)
			t->unparked = queue_take(&t->parked);
		if (t->unparked == NULL)
			return; /* it has been counted, but not yet pushed */
		w = write_of(t->unparked);
		next = t->unparked->next;
		r = submit_write(w);
		if (r == LIBUSB_ERROR_NO_MEM)
			return;
		t->unparked = next;
		/* Release: pairs with the acquire in local_write(). */
		atomic_fetch_sub_explicit(&t->parked_count, 1,
		    memory_order_release);
		if (r < 0)
			refuse(w, local_error(r));
	}
}

static struct local_write *
latest_before(struct local_transport *t, uint64_t number)
{
	struct local_write *latest = NULL;

	for (struct local_write *w = t->writes; w != NULL; w = w->next)
		if (w->number < number &&
		    (latest == NULL || w->number > latest->number) &&
		    atomic_load_explicit(&w->left, memory_order_acquire) > 0)
			latest = w;
	return latest;
}

/* The last one first: were an earlier one taken back before it, the device could
 * take the later meanwhile, and miss what lay between. */
void
local_writes_cancel(struct local_transport *t)
{
	struct local_write *w = latest_before(t, UINT64_MAX);

	for (; w != NULL; w = latest_before(t, w->number)) {
		/* One that libusb does not have is not found: no harm. */
		if (w->has_zlp)
			libusb_cancel_transfer(w->zlp);
		libusb_cancel_transfer(w->data);
	}
}

void
local_writes_abandon(struct local_transport *t)
{
	for (struct local_write *w = t->writes; w != NULL; w = w->next) {
		if (atomic_load_explicit(&w->left, memory_order_acquire) == 0)
			continue;
		atomic_store_explicit(&w->left, 0, memory_order_relaxed);
		count_write(t, false);
		w->tx->done(w->tx, USB_ERROR_GONE);
	}
}

void
local_writes_fini(struct local_transport *t)
{
	while (t->writes != NULL) {
		struct local_write *w = t->writes;

		t->writes = w->next;
		free_write(w);
	}
}
