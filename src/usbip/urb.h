/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_URB_H
#define MUXD_USBIP_URB_H

/*
 * A transfer as a device meets it, and the way in which the device says that it
 * is done.
 *
 * Two sides: the host has the object and its memory; the backend is the device
 * (a virtual one, or a real one behind libusb).  The host fills the URB and
 * hands it over; the backend owns it and its buffer until it calls
 * usbip_urb_complete(), exactly once, whatever happens.  A host is the server
 * engine of USB/IP (server.h), or whoever else drives a virtual device.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "wire/usbip.h"

struct usbip_device;
struct usbip_urb;

/* How a host hears of the end of its URBs: usbip_urb_complete() says what both
 * sides may expect. */
struct usbip_urb_host {
	void (*complete)(struct usbip_urb *urb, int status, uint32_t actual);
};

/* The part of the host's URB object that the backend sees. */
struct usbip_urb {
	/* First, so that a pointer to it is one to the URB.  The backend's while
	 * it owns the URB, for a queue or mailbox of its own; the host's before
	 * and after. */
	struct msg msg;
	/* The backend's: for the way of a cancel() to a thread of its own (see
	 * usbip_urb_get()). */
	struct msg cancel_msg;
	/* The backend's.  NULL in a new URB; stays as it is while the URB is
	 * reused within one import, so that it can keep a transfer object.
	 * forget() is the place to free it. */
	void *backend;
	/* The backend's, set to 0 before every submit(). */
	uint32_t backend_state;

	/* From the request; read-only for the backend. */
	const struct usbip_urb_host *host;
	struct usbip_device *dev;
	uint8_t endpoint; /* address: number, with 0x80 when IN */
	/* Endpoint 0 only; the bytes as on the bus.  Its wLength is at most
	 * `length`, and its direction is that of `endpoint` unless it is 0. */
	uint8_t setup[8];
	/* Masked: USBIP_ZERO_PACKET on OUT (for a bulk endpoint: a transfer
	 * that fills its last packet is followed by a zero-length one),
	 * USBIP_SHORT_NOT_OK on IN (the host sees to it), USBIP_ISO_ASAP. */
	uint32_t flags;
	uint32_t length; /* of `buffer`, 0 .. USBIP_LENGTH_MAX */
	uint32_t iso_count; /* 0: not isochronous */
	int32_t interval;   /* as it came: not to be trusted */

	/* `length` bytes; OUT: the data; IN: to be filled from its beginning
	 * (ISO: each packet at its own offset).  Never NULL. */
	uint8_t *buffer;
	/* iso_count packets inside the buffer; the backend fills `actual` and
	 * `status` of each, which are 0 and USBIP_EXDEV before. */
	struct usbip_iso *iso;
	/* ISO: the frame asked for; the backend puts the one that it was. */
	int32_t start_frame;
};

static inline bool
usbip_urb_is_in(const struct usbip_urb *urb)
{
	return (urb->endpoint & 0x80) != 0;
}

/*
 * The URB is done: `status` is USBIP_OK or a negative usbip_errno (enum in
 * wire/usbip.h), `actual` the bytes moved, at most `length` (ignored for ISO:
 * the packets tell).  The URB is the host's again at once.
 *
 * Any thread, also from within submit() and cancel(), with or without locks of
 * the backend held: it takes no lock and never blocks.  Their order is
 * that of these calls; so completions of one endpoint must be called in the
 * order of the bus, and not from two threads at once.
 *
 * Statuses: a stall is USBIP_EPIPE, a cancelled URB USBIP_ECONNRESET (with the
 * bytes that it had moved), a device that is gone USBIP_ESHUTDOWN, an endpoint
 * that does not exist USBIP_EPIPE, babble USBIP_EOVERFLOW, a bus error
 * USBIP_EPROTO.  SHORT_NOT_OK is the host's affair: report what came with USBIP_OK.
 */
static inline void
usbip_urb_complete(struct usbip_urb *urb, int status, uint32_t actual)
{
	urb->host->complete(urb, status, actual);
}

#endif
