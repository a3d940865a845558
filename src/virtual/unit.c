/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a runner does for a unit, and the unit's place on the bus. */

#include "virtual/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "virtual/world.h"
#include "virtual/runner.h"

/* ---- URBs --------------------------------------------------------------- */

/* SET_FEATURE(PORT_RESET), as hosts of USB/IP say it. */
static bool
is_port_reset(const struct usbip_urb *urb)
{
	static const uint8_t setup[8] = { 0x23, 3, 4 };

	return (urb->endpoint & 15) == 0 &&
	    memcmp(urb->setup, setup, sizeof setup) == 0;
}

/*
 * A host that resets a device gives it the configuration and the settings that
 * it had, as far as they are still there.
 */
static void
submit_reset(struct device *d, struct usbip_urb *urb)
{
	const uint64_t before = d->resets;
	const uint8_t configuration = d->configuration;
	uint8_t alternate[DEVICE_INTERFACES];

	memcpy(alternate, d->alternate, sizeof alternate);
	device_submit(d, urb);
	if (d->resets == before || configuration == 0)
		return;
	device_configure(d, configuration);
	for (unsigned i = 0; i < DEVICE_INTERFACES; i++) {
		const struct desc_configuration *c =
		    desc_configuration(d->profile.device, configuration);
		const struct desc_interface *setting = alternate[i] != 0 &&
			c != NULL
		    ? desc_setting(c, i, alternate[i])
		    : NULL;

		if (setting != NULL)
			device_select(d, setting);
	}
}

void
unit_submit(struct unit *u, struct unit_urb *urb)
{
	struct device *d = u->gadget->device;

	if (!urb->open->attached)
		usbip_urb_complete(&urb->usb, USBIP_ESHUTDOWN, 0);
	else if (is_port_reset(&urb->usb))
		submit_reset(d, &urb->usb);
	else
		device_submit(d, &urb->usb);
}

void
unit_cancel(struct unit *u, struct unit_urb *urb)
{
	struct virtual_open *o = urb->open;

	if (o->attached)
		device_cancel(u->gadget->device, &urb->usb);
	urb->usb.cancel_msg.type = UNIT_CANCELLED;
	if (queue_push(&o->done, &urb->usb.cancel_msg.node) == QUEUE_WAKE)
		runner_wake_later(o);
}

/* ---- Those who have it open --------------------------------------------- */

/* Interfaces that a program had claimed are released with it. */
static void
release_interfaces(struct device *d)
{
	const struct desc_configuration *c =
	    desc_configuration(d->profile.device, d->configuration);

	for (unsigned i = 0; c != NULL && i < DEVICE_INTERFACES; i++) {
		const struct desc_interface *setting = d->alternate[i] != 0
		    ? desc_setting(c, i, 0)
		    : NULL;

		if (setting != NULL)
			device_select(d, setting);
	}
}

/* The gadget's lock. */
static void
forget_open(struct unit *u, struct virtual_open *o)
{
	struct virtual_open **at = &u->opens;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	o->attached = false;
	u->gadget->imported = u->opens != NULL;
}

/* Whoever has opened it waits for this and holds its lock, so its list of URBs
 * is ours to read. */
void
unit_detach(struct unit *u, struct virtual_open *o)
{
	struct device *d = u->gadget->device;

	if (!o->attached)
		return;
	for (struct unit_urb *urb = o->all; urb != NULL;
	     urb = urb->next_of_all)
		if (urb->busy)
			device_cancel(d, &urb->usb);
	forget_open(u, o);
	if (u->opens == NULL)
		release_interfaces(d);
}

/* ---- The bus ------------------------------------------------------------ */

static int
plug(struct gadget *g, const struct usbip_description *desc, struct cause *why)
{
	struct unit *u = g->bus_arg;
	uint8_t *info = malloc(desc->info_len);

	if (info == NULL)
		return cause_set(why, "out of memory");
	memcpy(info, desc->info, desc->info_len);
	gadget_lock(g);
	free(u->info);
	u->info = info;
	u->info_len = desc->info_len;
	u->entry = desc->device;
	/* Not if it has been pulled out again meanwhile. */
	u->offered = g->place == GADGET_PLUGGED;
	gadget_unlock(g);
	world_changed();
	return 0;
}

/* All that is in flight has ended when its host hears of this. */
static void
unplug(struct gadget *g)
{
	struct unit *u = g->bus_arg;
	struct virtual_open *o;

	gadget_lock(g);
	u->offered = false;
	device_restart(g->device);
	while ((o = u->opens) != NULL) {
		forget_open(u, o);
		o->leave.type = UNIT_LEFT;
		if (queue_push(&o->done, &o->leave.node) == QUEUE_WAKE)
			runner_wake_later(o);
	}
	gadget_unlock(g);
	gadget_gone(g);
	world_changed();
}

const struct gadget_bus unit_bus = {
	.plug = plug,
	.unplug = unplug,
};
