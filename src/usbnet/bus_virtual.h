/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_BUS_VIRTUAL_H
#define MUXD_USBNET_BUS_VIRTUAL_H

/*
 * A bus that has no server: the devices that are simulated in this process.  To
 * a context it is one more element of its buses, behind the servers; as it may
 * have more devices than one bus has addresses, those are spread over the
 * numbers that follow.
 */

#include "usbnet/bus_int.h"

struct virtual_ops;

/* USBNET_VIRTUAL says something. */
bool un_virtual_is_wanted(void);
/* The module, once a context has loaded it. */
const struct virtual_ops *un_virtual(void);

/* Loads the module, starts it, and makes `b` its bus.  False: said why. */
bool un_bus_virtual_open(struct un_bus *b, struct libusb_context *ctx,
    unsigned number);
void un_bus_virtual_close(struct un_bus *b);
/* In the child of a fork: they have stayed with the parent. */
void un_bus_virtual_drop(struct un_bus *b);
void un_virtual_forget(void);

/* Brings the list up to date, if it has changed.  The context's lock. */
void un_bus_virtual_look(struct un_bus *b);

#endif
