/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_HANDLE_H
#define MUXD_USBNET_HANDLE_H

/*
 * An open device, as one opener sees it.
 */

#include "usbnet/devices.h"
#include "usbnet/link.h"

struct libusb_device_handle {
	struct libusb_device_handle *next; /* in the context's list */
	struct libusb_context *ctx;        /* a reference */
	struct libusb_device *dev;         /* a reference */
	/* Shared with the device's other handles.  NULL once the context has
	 * ended, which no call of this handle may run beside. */
	struct un_link *link;
};

/* The context has ended, its handles have not.  Takes all of its links away.
 * The events lock's owner. */
void un_handles_abandon(struct libusb_context *ctx);

/* False: the device is gone. */
bool un_handle_is_good(struct libusb_device_handle *h);

#endif
