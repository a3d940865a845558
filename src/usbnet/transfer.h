/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_TRANSFER_H
#define MUXD_USBNET_TRANSFER_H

/*
 * A transfer: the public struct, which programs (and the inline functions that
 * they are compiled with) write into, and before it what is ours.
 *
 * Its life: idle - submitted (in line, or flying) - done - called back, and
 * idle again before the callback, which may submit it again.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "usbip/importer.h"
#include "usbnet/api.h"
#include "usbnet/timers.h"

struct un_link;

enum un_transfer_state {
	UN_IDLE,    /* was never submitted, or never called back */
	UN_IN_LINE, /* waits for room on its link */
	UN_FLYING,  /* the link has its URB */
	UN_DONE,    /* waits for its callback, or has had it */
};

struct un_transfer {
	struct importer_urb urb; /* first: its complete() gets no more */
	/* Where it is submitted, from submit to callback; NULL: idle.  Whoever
	 * changes it from NULL owns the transfer until it is in flight. */
	_Atomic(struct un_link *) link;
	uint32_t stream_id;
	int iso_max;            /* packets that there is memory for */
	struct usbip_iso *iso;  /* as many */
	uint8_t *iso_bytes;

	/* ---- The link's lock, while `link` is set ---- */
	enum un_transfer_state state;
	bool timed_out, cancelled; /* has been asked back, and why... */
	struct moment asked_back;  /* ...and when */
	bool orphaned; /* its handle is closed: nobody is called back */
	struct un_timer timer; /* its time limit; then that for its return */
	libusb_device_handle *handle;
	TAILQ_ENTRY(un_transfer) place; /* in one of the link's lists */
};

/* The public struct wants what malloc() gives, and so does its end. */
#define UN_ALIGN 16
#define un_aligned(n) (((n) + UN_ALIGN - 1) / UN_ALIGN * UN_ALIGN)

static inline struct libusb_transfer *
un_transfer_public(struct un_transfer *t)
{
	return (struct libusb_transfer *)((char *)t + un_aligned(sizeof *t));
}

static inline struct un_transfer *
un_transfer_of(struct libusb_transfer *public)
{
	return (struct un_transfer *)((char *)public -
	    un_aligned(sizeof(struct un_transfer)));
}

/* Fills the URB from the public struct.  0, or LIBUSB_ERROR_*. */
int un_transfer_prepare(struct un_transfer *t, const struct un_link *l);

/* Takes `t`, which is neither flying nor in line any more, to those that are
 * done.  The link's lock. */
void un_transfer_done(struct un_link *l, struct un_transfer *t);

/* Tells the program its result, and calls it back.  The handler of events. */
void un_transfer_deliver(struct un_transfer *t);

#endif
