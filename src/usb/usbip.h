/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_USBIP_H
#define MUXD_USB_USBIP_H

/* What the source and the transport of a USB/IP server share. */

#include "base/sock.h"
#include "usb/transport.h"

struct usbip_source;

/* Remembers that a device of that busid is imported by us, or no longer is: a
 * plain server leaves it out of its list meanwhile.  Any thread. */
void usbip_source_hold(struct usbip_source *s, const char *busid, int change);

/* Imports a device.  A usb_error and a cause, or USB_OK and *out. */
int transport_usbip_open(struct usbip_source *source,
    const struct sock_addr *server, const char *busid, struct transport **out,
    struct cause *why);

/* Notes the classes of a device's interfaces in all of its configurations, which
 * a server of ours tells without an import.  False: this one tells no such thing,
 * or is slow.  The monitor. */
bool usbip_ask_classes(const struct sock_addr *server,
    struct usb_ident *ident);

#endif
