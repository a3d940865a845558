/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_SESSION_H
#define MUXD_EXPORT_SESSION_H

/*
 * A device while somebody has imported it: opened, all interfaces claimed, with
 * a libusb context and two threads of its own, so that no device waits for
 * another.
 *
 * URBs become libusb's asynchronous transfers, as many at a time as the
 * importer sends; the engine bounds them.  They have no timeouts: the importer
 * unlinks what it does not want any more.  The events thread alone submits,
 * cancels and completes, so nothing of this needs a lock.
 *
 * What usbfs has no memory for (LIBUSB_ERROR_NO_MEM: Linux has one budget for
 * all programs, 16 MiB by default) waits, in its endpoint's order, until one of
 * this device's own transfers is done, or others give some back; a URB that is
 * the first of its endpoint and has found none for SESSION_STARVED_MS fails with
 * USBIP_ENOMEM.  (Where libusb itself splits a transfer, for host controllers
 * that cannot gather, what is short in its middle is USBIP_EPROTO at once.)
 * Nothing is split here, because a URB that is split is no longer one: a short
 * packet in its first half would have to take back the second.
 *
 * SET_ADDRESS is answered and not passed on: the device would be lost to its
 * host.  Other requests that change what libusb keeps of a device
 * (SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE(ENDPOINT_HALT), port reset)
 * are done by its functions, on the requests thread, since they block.  Such a
 * request waits for the control transfers before it and is waited for by those
 * behind it; other endpoints go on, except while the configuration changes or
 * the device is reset.  Its URB can be cancelled at once, though what it does
 * cannot.
 */

#include <libusb.h>

#include "export/bus.h"
#include "usbip/server.h"

/* Time to find memory for a transfer, and between two looks. */
#define SESSION_STARVED_MS 2000
#define SESSION_RETRY_MS 20

struct session;

/* Whose it is.  Both are called by the session's threads, and `configured` by
 * session_close(), too. */
struct session_ops {
	/* The current configuration has changed. */
	void (*configured)(void *arg, libusb_device *device);
	/* What libusb keeps of the device is no longer so; only a new session
	 * can mend that.  Must not block. */
	void (*broken)(void *arg);
};

/*
 * Opens the device, takes it from its drivers and starts its threads.
 * USBIP_ST_OK, or the status to refuse the importer with, of which the log has
 * the reason.  `ops` must live as long as the session.  Blocks for a second or
 * two; the rx thread, as for all functions here.
 */
int session_open(struct session **out, const struct bus_ident *ident,
    const struct session_ops *ops, void *arg);

/*
 * Gives the device back as it was found: reset, in its first configuration, with
 * its drivers.  When all URBs have been completed.  Blocks.
 */
void session_close(struct session *s);

void session_submit(struct session *s, struct usbip_urb *urb);
void session_cancel(struct session *s, struct usbip_urb *urb);
/* Frees what the session keeps in `urb->backend`. */
void session_forget(struct usbip_urb *urb);

#endif
