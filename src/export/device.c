/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/device.h"

#include <stdlib.h>

#include "export/roles.h"
#include "export/session.h"

static struct device *
device_of(struct usbip_device *usb)
{
	return (struct device *)usb; /* its first member */
}

/* ---- The engine's calls ------------------------------------------------- */

/* The current configuration is another one. */
static void
on_configured(void *arg, libusb_device *device)
{
	struct device *d = arg;

	if (bus_describe(device, &d->ident, &d->desc))
		usbip_server_update(d->server, &d->usb, &d->desc);
}

static void
on_broken(void *arg)
{
	struct device *d = arg;

	usbip_server_kick(d->server, d->ident.busid);
}

static int
on_imported(struct usbip_device *usb)
{
	static const struct session_ops session_ops = {
		.configured = on_configured,
		.broken = on_broken,
	};
	struct device *d = device_of(usb);

	return session_open(&d->session, &d->ident, &session_ops, d);
}

static void
on_released(struct usbip_device *usb)
{
	struct device *d = device_of(usb);

	session_close(d->session);
	d->session = NULL;
}

static void
on_submit(struct usbip_device *usb, struct usbip_urb *urb)
{
	session_submit(device_of(usb)->session, urb);
}

static void
on_cancel(struct usbip_device *usb, struct usbip_urb *urb)
{
	session_cancel(device_of(usb)->session, urb);
}

static void
on_forget(struct usbip_device *usb, struct usbip_urb *urb)
{
	(void)usb;
	session_forget(urb);
}

static void
on_unplugged(struct usbip_device *usb)
{
	struct device *d = device_of(usb);

	mailbox_post(d->monitor, &d->unplugged);
}

static const struct usbip_device_ops ops = {
	.imported = on_imported,
	.released = on_released,
	.submit = on_submit,
	.cancel = on_cancel,
	.forget = on_forget,
	.unplugged = on_unplugged,
};

/* ---- Life --------------------------------------------------------------- */

struct device *
device_plug(struct usbip_server *server, struct probe *p,
    struct mailbox *monitor, struct cause *why)
{
	struct device *d = calloc(1, sizeof *d);

	if (d == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	d->usb.ops = &ops;
	d->unplugged.type = DEVICE_UNPLUGGED;
	d->monitor = monitor;
	d->server = server;
	d->ident = p->ident;
	d->desc = p->desc;
	p->desc.info = NULL; /* it is the device's now */
	if (usbip_server_plug(server, &d->usb, &d->desc, why) < 0) {
		device_free(d);
		return NULL;
	}
	return d;
}

void
device_free(struct device *d)
{
	free((void *)d->desc.info);
	free(d);
}
