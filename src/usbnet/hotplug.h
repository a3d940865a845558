/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_HOTPLUG_H
#define MUXD_USBNET_HOTPLUG_H

/*
 * Who wants to know of arrivals and departures.  What has happened waits as a
 * message until the program handles events.
 */

#include "usbnet/devices.h"

/* Under the context's lock. */
void un_hotplug_post(struct libusb_device *dev, libusb_hotplug_event event);

/* Calls back for each message.  The handler of events, with no lock. */
void un_hotplug_deliver(struct libusb_context *ctx);

/* Frees all of it.  At the context's end. */
void un_hotplug_fini(struct libusb_context *ctx);

#endif
