/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transfers: memory, submit, cancel, and their end. */

#include "usbnet/transfer.h"

#include <poll.h>
#include <stdlib.h>

#include "usbnet/context.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/handle.h"

/* ---- Memory ---- */

/* More than can ever be submitted; a bound, so that no size wraps. */
#define ISO_PACKETS_MAX (64 * USBIP_ISO_PACKETS_MAX)

/* In one piece: ours, the public struct with its packets, and our packets. */
struct libusb_transfer *
libusb_alloc_transfer(int iso_packets)
{
	const size_t n = iso_packets > 0 ? (size_t)iso_packets : 0;
	const size_t own = un_aligned(sizeof(struct un_transfer));
	const size_t public = un_aligned(sizeof(struct libusb_transfer) +
	    n * sizeof(struct libusb_iso_packet_descriptor));
	struct un_transfer *t;

	if (iso_packets < 0 || iso_packets > ISO_PACKETS_MAX)
		return NULL;
	t = calloc(1, own + public + n * (sizeof *t->iso + USBIP_ISO_SIZE));
	if (t == NULL)
		return NULL;
	t->iso_max = iso_packets;
	t->iso = (struct usbip_iso *)((char *)t + own + public);
	t->iso_bytes = (uint8_t *)(t->iso + n);
	return un_transfer_public(t);
}

/*
 * One that is freed while it is submitted.  It must not be, but some programs
 * (librtlsdr) go by cancel's NOT_FOUND: to them nothing is in flight any more,
 * as with a kernel, where a cancelled transfer has ended at once.
 */
static void
take_back(struct un_transfer *t)
{
	/* Acquire: pairs with the claim. */
	struct un_link *l =
	    atomic_load_explicit(&t->link, memory_order_acquire);
	struct libusb_context *ctx;
	bool entered;

	if (l == NULL)
		return;
	ctx = l->ctx;
	entered = un_events_enter(ctx);
	/* Again: it may have ended, and its link, too, before that. */
	l = atomic_load_explicit(&t->link, memory_order_acquire);
	if (l != NULL) {
		pthread_mutex_lock(&l->lock);
		un_link_take_back(l, t);
		pthread_mutex_unlock(&l->lock);
	}
	if (entered)
		un_events_leave(ctx);
}

void
libusb_free_transfer(struct libusb_transfer *transfer)
{
	if (transfer == NULL)
		return;
	take_back(un_transfer_of(transfer));
	if ((transfer->flags & LIBUSB_TRANSFER_FREE_BUFFER) != 0)
		free(transfer->buffer);
	free(un_transfer_of(transfer));
}

void
libusb_transfer_set_stream_id(struct libusb_transfer *transfer,
    uint32_t stream_id)
{
	un_transfer_of(transfer)->stream_id = stream_id;
}

uint32_t
libusb_transfer_get_stream_id(struct libusb_transfer *transfer)
{
	return un_transfer_of(transfer)->stream_id;
}

/* ---- Submit ---- */

void
un_transfer_done(struct un_link *l, struct un_transfer *t)
{
	un_timers_drop(&l->timers, &t->timer);
	if (l->closing || t->orphaned) {
		/* Nobody is told; the program may free it, or use it again.
		 * Release: pairs with the claim of the next submit. */
		t->state = UN_IDLE;
		atomic_store_explicit(&t->link, NULL, memory_order_release);
		return;
	}
	t->state = UN_DONE;
	TAILQ_INSERT_TAIL(&l->done, t, place);
}

/* The link's; under its lock. */
static void
complete(struct importer_urb *urb)
{
	struct un_transfer *t = (struct un_transfer *)urb;
	struct un_link *l =
	    atomic_load_explicit(&t->link, memory_order_relaxed);

	TAILQ_REMOVE(&l->flying, t, place);
	if (t->urb.endpoint == 0 && t->urb.status == USBIP_OK)
		un_link_note_request(l, t->urb.setup);
	un_transfer_done(l, t);
}

static int
set_timer(struct un_link *l, struct un_transfer *t, unsigned timeout_ms)
{
	if (timeout_ms == 0)
		return 0;
	t->timer.deadline = moment_after_ms(clock_now(), timeout_ms);
	return un_timers_add(&l->timers, &t->timer) ? 0 : LIBUSB_ERROR_NO_MEM;
}

static bool
is_control(const struct un_transfer *t)
{
	return t->urb.endpoint == 0;
}

/* Where it would stand in line: the one before it, or NULL. */
static struct un_transfer *
before_in_line(const struct un_link *l, const struct un_transfer *t)
{
	struct un_transfer *last = NULL, *u;

	if (!is_control(t))
		return TAILQ_LAST(&l->line, un_transfers);
	TAILQ_FOREACH(u, &l->line, place) {
		if (!is_control(u))
			break;
		last = u;
	}
	return last;
}

static void
line_up(struct un_link *l, struct un_transfer *t)
{
	struct un_transfer *before = before_in_line(l, t);

	if (before != NULL)
		TAILQ_INSERT_AFTER(&l->line, before, t, place);
	else
		TAILQ_INSERT_HEAD(&l->line, t, place);
	t->state = UN_IN_LINE;
}

/* Under the link's lock.  0, or LIBUSB_ERROR_*. */
static int
start(struct un_link *l, struct un_transfer *t, bool more)
{
	int rc = l->lost ? LIBUSB_ERROR_NO_DEVICE : un_transfer_prepare(t, l);

	if (rc == 0)
		rc = set_timer(l, t, un_transfer_public(t)->timeout);
	if (rc != 0)
		return rc;
	t->timed_out = t->cancelled = t->orphaned = false;
	t->urb.complete = complete;
	/* First: it may complete before submit() returns. */
	t->state = UN_FLYING;
	TAILQ_INSERT_TAIL(&l->flying, t, place);
	if (before_in_line(l, t) == NULL && l->ops->submit(l, &t->urb, more))
		return 0;
	TAILQ_REMOVE(&l->flying, t, place);
	line_up(l, t);
	return 0;
}

/* Claims an idle transfer for `l`. */
static bool
claim(struct un_transfer *t, struct un_link *l)
{
	struct un_link *idle = NULL;

	/* Acquire: pairs with the release of whoever has made it idle. */
	return atomic_compare_exchange_strong_explicit(&t->link, &idle, l,
	    memory_order_acquire, memory_order_relaxed);
}

int
libusb_submit_transfer(struct libusb_transfer *transfer)
{
	struct un_transfer *t = un_transfer_of(transfer);
	libusb_device_handle *h = transfer->dev_handle;
	struct un_link *l = h != NULL ? h->link : NULL;
	struct moment deadline = MOMENT_NEVER;
	bool in_handler, wake;
	int rc;

	if (l == NULL)
		return LIBUSB_ERROR_NO_DEVICE;
	if (!claim(t, l))
		return LIBUSB_ERROR_BUSY;
	in_handler = un_is_handler(l->ctx);
	pthread_mutex_lock(&l->lock);
	t->handle = h;
	rc = start(l, t, in_handler);
	if (rc != 0) {
		t->state = UN_IDLE;
		atomic_store_explicit(&t->link, NULL, memory_order_release);
	} else if (transfer->timeout > 0) {
		deadline = t->timer.deadline;
	}
	/* The socket is full: its handler waits for room from now on. */
	wake = !in_handler && l->ops->events(l) != POLLIN;
	pthread_mutex_unlock(&l->lock);
	if (in_handler)
		un_cork(l);
	un_timer_set(l->ctx, deadline);
	if (wake)
		un_wake(l->ctx);
	return rc;
}

/* ---- Cancel ---- */

int
libusb_cancel_transfer(struct libusb_transfer *transfer)
{
	struct un_transfer *t = un_transfer_of(transfer);
	/* Acquire: pairs with the claim. */
	struct un_link *l =
	    atomic_load_explicit(&t->link, memory_order_acquire);
	struct moment deadline = MOMENT_NEVER;
	int rc = LIBUSB_ERROR_NOT_FOUND;
	bool wake = false;

	if (l == NULL)
		return rc;
	pthread_mutex_lock(&l->lock);
	if (t->state == UN_FLYING && !t->cancelled && !t->timed_out) {
		t->cancelled = true;
		un_link_ask_back(l, t);
		deadline = t->timer.deadline;
		wake = l->ops->events(l) != POLLIN;
		rc = 0;
	} else if (t->state == UN_IN_LINE) {
		t->cancelled = true;
		TAILQ_REMOVE(&l->line, t, place);
		t->urb.status = USBIP_ECONNRESET;
		t->urb.actual = 0;
		un_transfer_done(l, t);
		wake = true;
		rc = 0;
	}
	pthread_mutex_unlock(&l->lock);
	un_timer_set(l->ctx, deadline);
	if (wake)
		un_wake(l->ctx);
	return rc;
}

/* ---- Its end ---- */

/* A program takes CANCELLED for the echo of its own cancel, and may free all
 * that it has; so it is none if the server has come to that by itself. */
static enum libusb_transfer_status
status_of_return(const struct un_transfer *t)
{
	if (t->timed_out)
		return LIBUSB_TRANSFER_TIMED_OUT;
	return t->cancelled ? LIBUSB_TRANSFER_CANCELLED
			    : LIBUSB_TRANSFER_ERROR;
}

static enum libusb_transfer_status
status_of(const struct un_transfer *t, int32_t status)
{
	switch (status) {
	case USBIP_OK:
		return LIBUSB_TRANSFER_COMPLETED;
	case USBIP_EPIPE:
		return LIBUSB_TRANSFER_STALL;
	case USBIP_ENOENT:
	case USBIP_ECONNRESET:
		return status_of_return(t);
	case USBIP_ESHUTDOWN:
	case USBIP_ENODEV:
		return LIBUSB_TRANSFER_NO_DEVICE;
	case USBIP_EOVERFLOW:
		return LIBUSB_TRANSFER_OVERFLOW;
	case USBIP_ETIMEDOUT:
		return LIBUSB_TRANSFER_TIMED_OUT;
	default:
		return LIBUSB_TRANSFER_ERROR;
	}
}

/* Of one packet of an isochronous transfer. */
static enum libusb_transfer_status
packet_status(const struct un_transfer *t, int32_t status)
{
	return status == USBIP_EXDEV ? LIBUSB_TRANSFER_ERROR
				     : status_of(t, status);
}

static void
tell_packets(struct un_transfer *t, struct libusb_transfer *public)
{
	for (uint32_t i = 0; i < t->urb.iso_count; i++) {
		struct libusb_iso_packet_descriptor *p =
		    &public->iso_packet_desc[i];

		p->actual_length = t->iso[i].actual;
		p->status = packet_status(t, t->iso[i].status);
	}
}

static void
tell_result(struct un_transfer *t, struct libusb_transfer *public)
{
	public->status = status_of(t, t->urb.status);
	if (public->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS) {
		public->actual_length = 0; /* each packet has its own */
		tell_packets(t, public);
		return;
	}
	public->actual_length = (int)t->urb.actual;
	if (public->status == LIBUSB_TRANSFER_COMPLETED &&
	    (public->flags & LIBUSB_TRANSFER_SHORT_NOT_OK) != 0 &&
	    t->urb.actual < t->urb.length)
		public->status = LIBUSB_TRANSFER_ERROR;
}

void
un_transfer_deliver(struct un_transfer *t)
{
	struct libusb_transfer *public = un_transfer_public(t);
	const uint8_t flags = public->flags;

	tell_result(t, public);
	/* Release: pairs with the claim of the next submit. */
	atomic_store_explicit(&t->link, NULL, memory_order_release);
	if (public->callback != NULL)
		public->callback(public);
	/* `public` may be gone, unless it is ours to free. */
	if ((flags & LIBUSB_TRANSFER_FREE_TRANSFER) != 0)
		libusb_free_transfer(public);
}
