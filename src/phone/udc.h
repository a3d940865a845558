/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_UDC_H
#define MUXD_PHONE_UDC_H

/*
 * A bus of real packets: a phone at a USB device controller (UDC) of this
 * machine, as a FunctionFS function of a gadget in configfs.  Whoever is at the
 * other end of its cable is the host.  Linux only.
 *
 * The kernel does part of what struct device does elsewhere: it answers USB's
 * standard requests, moves packets, remembers halts.  The device is told of
 * what follows for it (configured, or not; at which speed), and gets the data
 * and the requests of its vendor; a halt is handed on to the kernel.
 *
 * What the host has sent is taken from it ahead of the device, and what the
 * device has to say is handed over ahead of the host, UDC_TRANSFERS each way,
 * as a real device's controller and its queues do.
 */

#include "base/cause.h"
#include "phone/descriptors.h"
#include "phone/gadget.h"

struct udc;

extern const struct gadget_bus gadget_bus_udc; /* its argument: the udc */

/*
 * Makes the gadget in configfs, and the function; nobody sees it yet.  The last
 * configuration of the device has one interface with two bulk endpoints, OUT
 * first; others, if any, have none, and the kernel's Loopback takes their place.
 * `name` is that of the UDC, or empty for any that is free when the gadget is
 * plugged; it must last.  NULL and a cause when it cannot be had.  Main thread.
 */
struct udc *udc_new(const char *name, const struct desc_profile *p,
    struct cause *why);
/* Unplugs the gadget, which must still be there if it ever was plugged, waits
 * for the thread, and leaves nothing in configfs.  Nothing waits in the device
 * afterwards.  NULL is none.  Main thread. */
void udc_free(struct udc *u);

#endif
