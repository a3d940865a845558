/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What USB/IP tells of a device to those who have not imported it. */
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "phone/device.h"
#include "usbip/server.h"

/* ---- Place and kind: DEVLIST and IMPORT --------------------------------- */

static uint32_t
usbip_speed(enum desc_speed speed)
{
	switch (speed) {
	case DESC_FULL:
		return USBIP_SPEED_FULL;
	case DESC_HIGH:
		return USBIP_SPEED_HIGH;
	case DESC_SUPER:
		return USBIP_SPEED_SUPER;
	}
	return USBIP_SPEED_UNKNOWN;
}

/* The interfaces are those of the configuration that it comes in. */
static void
describe_interfaces(const struct device *d, struct usbip_description *out)
{
	const struct desc_configuration *c =
	    desc_configuration(d->profile.device, d->configured);
	uint8_t n = 0;

	for (unsigned i = 0; c != NULL && i < c->setting_count; i++)
		if (c->settings[i]->alternate == 0)
			out->interfaces[n++] = (struct usbip_interface){
				.interface_class = c->settings[i]->class,
				.interface_subclass = c->settings[i]->subclass,
				.interface_protocol = c->settings[i]->protocol,
			};
	out->device.configuration = c != NULL;
	out->device.interface_count = n;
}

void
device_describe(const struct device *d, uint8_t address,
    struct usbip_description *out)
{
	const struct desc_device *desc = d->profile.device;
	struct usbip_device_entry *e = &out->device;

	memset(out, 0, sizeof *out);
	snprintf(e->busid, sizeof e->busid, "%s", d->id.busid);
	snprintf(e->path, sizeof e->path, "/sys/devices/muxphone/usb%u/%s",
	    d->id.bus, d->id.busid);
	e->bus = d->id.bus;
	e->address = address;
	e->speed = usbip_speed(d->profile.speed);
	e->vendor = desc->vendor;
	e->product = desc->product;
	e->release = desc->release;
	e->device_class = desc->class;
	e->device_subclass = desc->subclass;
	e->device_protocol = desc->protocol;
	e->configurations = desc->configuration_count;
	describe_interfaces(d, out);
}

/* ---- Descriptors: records for DEVINFO ----------------------------------- */

static void
add(struct writer *w, const struct device *d, enum desc_type type,
    unsigned index, uint16_t langid)
{
	uint8_t bytes[DESC_LEN_MAX];
	const struct usbip_info_record record = {
		.type = (uint8_t)type,
		.index = (uint8_t)index,
		.langid = langid,
		.length = (uint32_t)desc_get(&d->profile,
		    (uint16_t)(type << 8 | index), langid, bytes),
		.bytes = bytes,
	};

	if (record.length > 0)
		usbip_info_add(w, &record);
}

size_t
device_info(const struct device *d, uint8_t out[DEVICE_INFO_MAX])
{
	const struct desc_device *desc = d->profile.device;
	struct writer w = writer_over(out, DEVICE_INFO_MAX);

	add(&w, d, DESC_DEVICE, 0, 0);
	for (unsigned i = 0; i < desc->configuration_count; i++)
		add(&w, d, DESC_CONFIGURATION, i, 0);
	add(&w, d, DESC_STRING, DESC_S_LANGUAGES, 0);
	add(&w, d, DESC_STRING, DESC_S_SERIAL, DESC_LANGUAGE);
	for (unsigned i = DESC_S_MANUFACTURER; i < desc->text_count; i++)
		if (i != DESC_S_SERIAL)
			add(&w, d, DESC_STRING, i, DESC_LANGUAGE);
	add(&w, d, DESC_BOS, 0, 0);
	return writer_used(&w);
}
