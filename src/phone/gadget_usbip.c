/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A gadget on the bus of a USB/IP server.  The server calls from an import's rx
 * thread, except unplugged(): from its own.  Imports begin and end with a fresh
 * device, because an importer may vanish amid anything.
 */
#include "base/log.h"
#include "phone/gadget.h"
#include "usbip/server.h"

static struct gadget *
gadget_of(struct usbip_device *usb)
{
	return (struct gadget *)usb; /* its first member */
}

static void
begin_anew(struct gadget *g, bool imported)
{
	gadget_lock(g);
	g->imported = imported;
	device_restart(g->device);
	gadget_unlock(g);
	log_info("%s %u: %s", g->device->kind->name, g->device->id.index,
	    imported ? "imported" : "released");
}

static int
on_imported(struct usbip_device *usb)
{
	begin_anew(gadget_of(usb), true);
	return USBIP_ST_OK;
}

static void
on_released(struct usbip_device *usb)
{
	begin_anew(gadget_of(usb), false);
}

static void
on_submit(struct usbip_device *usb, struct usbip_urb *urb)
{
	struct gadget *g = gadget_of(usb);

	device_submit(gadget_lock(g), urb);
	gadget_unlock(g);
}

static void
on_cancel(struct usbip_device *usb, struct usbip_urb *urb)
{
	struct gadget *g = gadget_of(usb);

	device_cancel(gadget_lock(g), urb);
	gadget_unlock(g);
}

static void
on_unplugged(struct usbip_device *usb)
{
	gadget_gone(gadget_of(usb));
}

static const struct usbip_device_ops ops = {
	.imported = on_imported,
	.released = on_released,
	.submit = on_submit,
	.cancel = on_cancel,
	.unplugged = on_unplugged,
};

static int
plug(struct gadget *g, const struct usbip_description *desc, struct cause *why)
{
	g->usb.ops = &ops;
	return usbip_server_plug(g->bus_arg, &g->usb, desc, why);
}

static void
unplug(struct gadget *g)
{
	usbip_server_unplug(g->bus_arg, &g->usb);
}

const struct gadget_bus gadget_bus_usbip = {
	.plug = plug,
	.unplug = unplug,
};
