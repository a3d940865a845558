/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_DEVICE_H
#define MUXD_EXPORT_DEVICE_H

/*
 * A device that is offered: what the engine calls when somebody imports it
 * (usbip/server.h, struct usbip_device_ops), carried out by a session.
 */

#include "actor/mailbox.h"
#include "export/probe.h"
#include "usbip/server.h"

struct session;

struct device {
	struct usbip_device usb; /* first */
	struct msg unplugged; /* DEVICE_UNPLUGGED, to the monitor, once */
	struct mailbox *monitor;
	struct usbip_server *server;
	struct bus_ident ident;
	/* Its session's while there is one; of the import's threads. */
	struct usbip_description desc;
	struct session *session; /* the rx thread's; NULL: not imported */
};

/* Plugs the device that was looked at into the engine.  NULL and a cause on
 * failure.  It is freed by device_free() after DEVICE_UNPLUGGED.  The monitor. */
struct device *device_plug(struct usbip_server *server, struct probe *p,
    struct mailbox *monitor, struct cause *why);
void device_free(struct device *d);

static inline struct device *
device_of_unplugged(struct msg *m)
{
	return (struct device *)((char *)m -
	    offsetof(struct device, unplugged));
}

#endif
