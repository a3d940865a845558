/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/bus.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "usbip/server.h"

#define PORTS_MAX 7 /* the deepest that USB allows */

/* ---- Identity ----------------------------------------------------------- */

bool
bus_identify(libusb_device *device, struct bus_ident *out)
{
	struct libusb_device_descriptor d;
	uint8_t ports[PORTS_MAX];
	int count, at;

	if (libusb_get_device_descriptor(device, &d) < 0)
		return false;
	memset(out, 0, sizeof *out);
	out->bus = libusb_get_bus_number(device);
	out->address = libusb_get_device_address(device);
	out->vendor = d.idVendor;
	out->product = d.idProduct;
	count = libusb_get_port_numbers(device, ports, PORTS_MAX);
	at = snprintf(out->busid, sizeof out->busid, "%u", out->bus);
	if (count <= 0)
		snprintf(out->busid + at, sizeof out->busid - (size_t)at,
		    d.bDeviceClass == LIBUSB_CLASS_HUB ? "-0" : "-0.%u",
		    out->address);
	for (int i = 0; i < count; i++)
		at += snprintf(out->busid + at, sizeof out->busid - (size_t)at,
		    "%c%u", i == 0 ? '-' : '.', ports[i]);
	return true;
}

libusb_device *
bus_find(libusb_context *ctx, const struct bus_ident *ident)
{
	libusb_device **list, *found = NULL;
	const ssize_t count = libusb_get_device_list(ctx, &list);

	for (ssize_t i = 0; i < count && found == NULL; i++) {
		struct bus_ident here;

		if (bus_identify(list[i], &here) &&
		    here.address == ident->address &&
		    here.vendor == ident->vendor &&
		    here.product == ident->product &&
		    strcmp(here.busid, ident->busid) == 0)
			found = libusb_ref_device(list[i]);
	}
	if (count >= 0)
		libusb_free_device_list(list, 1);
	return found;
}

enum usbip_speed
bus_speed(libusb_device *device)
{
	switch (libusb_get_device_speed(device)) {
	case LIBUSB_SPEED_LOW:
		return USBIP_SPEED_LOW;
	case LIBUSB_SPEED_FULL:
		return USBIP_SPEED_FULL;
	case LIBUSB_SPEED_HIGH:
		return USBIP_SPEED_HIGH;
	case LIBUSB_SPEED_SUPER:
		return USBIP_SPEED_SUPER;
#if LIBUSB_API_VERSION >= 0x01000106
	case LIBUSB_SPEED_SUPER_PLUS:
		return USBIP_SPEED_SUPER_PLUS;
#endif
	default:
		return USBIP_SPEED_UNKNOWN;
	}
}

/* ---- What USB/IP tells -------------------------------------------------- */

static void
describe_interfaces(const struct libusb_config_descriptor *c,
    struct usbip_description *out)
{
	uint8_t n = 0;

	for (int i = 0; i < c->bNumInterfaces &&
	     n < USBIP_SERVER_INTERFACES_MAX; i++) {
		const struct libusb_interface *intf = &c->interface[i];

		if (intf->num_altsetting == 0)
			continue;
		out->interfaces[n++] = (struct usbip_interface){
			.interface_class = intf->altsetting->bInterfaceClass,
			.interface_subclass =
			    intf->altsetting->bInterfaceSubClass,
			.interface_protocol =
			    intf->altsetting->bInterfaceProtocol,
		};
	}
	out->device.interface_count = n;
	out->device.configuration = c->bConfigurationValue;
}

bool
bus_describe(libusb_device *device, const struct bus_ident *ident,
    struct usbip_description *out)
{
	struct usbip_device_entry *e = &out->device;
	struct libusb_config_descriptor *c;
	struct libusb_device_descriptor d;

	memset(e, 0, sizeof *e);
	if (libusb_get_device_descriptor(device, &d) < 0)
		return false;
	snprintf(e->busid, sizeof e->busid, "%s", ident->busid);
	snprintf(e->path, sizeof e->path, "/sys/bus/usb/devices/%s",
	    ident->busid);
	e->bus = ident->bus;
	e->address = ident->address;
	e->speed = bus_speed(device);
	e->vendor = d.idVendor;
	e->product = d.idProduct;
	e->release = d.bcdDevice;
	e->device_class = d.bDeviceClass;
	e->device_subclass = d.bDeviceSubClass;
	e->device_protocol = d.bDeviceProtocol;
	e->configurations = d.bNumConfigurations;
	if (libusb_get_active_config_descriptor(device, &c) == 0) {
		describe_interfaces(c, out);
		libusb_free_config_descriptor(c);
	}
	return true;
}

const char *
bus_trouble(char out[BUS_TROUBLE_MAX], int error, const struct bus_ident *ident)
{
	switch (error) {
	case LIBUSB_ERROR_ACCESS:
		snprintf(out, BUS_TROUBLE_MAX, "permission denied; run "
		    "usbexportd as root, or let a udev rule give the device to "
		    "its user (ATTR{idVendor}==\"%04x\", "
		    "ATTR{idProduct}==\"%04x\", GROUP=\"...\")",
		    ident->vendor, ident->product);
		break;
	case LIBUSB_ERROR_BUSY:
		snprintf(out, BUS_TROUBLE_MAX, "another program uses it; end "
		    "that program");
		break;
	case LIBUSB_ERROR_NO_DEVICE:
	case LIBUSB_ERROR_NOT_FOUND:
		snprintf(out, BUS_TROUBLE_MAX, "it has gone");
		break;
	default:
		snprintf(out, BUS_TROUBLE_MAX, "%s", libusb_error_name(error));
		break;
	}
	return out;
}

/* ---- Descriptors as bytes ----------------------------------------------- */

/* Bytes that libusb passes on as they are; it counts them with an int. */
static void
write_extra(struct writer *w, const unsigned char *extra, int len)
{
	if (len > 0)
		write_bytes(w, extra, (size_t)len);
}

size_t
bus_device_bytes(uint8_t *out, size_t room,
    const struct libusb_device_descriptor *d)
{
	struct writer w = writer_over(out, room);

	write_u8(&w, LIBUSB_DT_DEVICE_SIZE);
	write_u8(&w, LIBUSB_DT_DEVICE);
	write_le16(&w, d->bcdUSB);
	write_u8(&w, d->bDeviceClass);
	write_u8(&w, d->bDeviceSubClass);
	write_u8(&w, d->bDeviceProtocol);
	write_u8(&w, d->bMaxPacketSize0);
	write_le16(&w, d->idVendor);
	write_le16(&w, d->idProduct);
	write_le16(&w, d->bcdDevice);
	write_u8(&w, d->iManufacturer);
	write_u8(&w, d->iProduct);
	write_u8(&w, d->iSerialNumber);
	write_u8(&w, d->bNumConfigurations);
	return w.bad ? 0 : writer_used(&w);
}

/* Those of audio devices are two bytes longer than all others. */
static void
write_endpoint(struct writer *w, const struct libusb_endpoint_descriptor *e)
{
	const bool audio = e->bLength >= LIBUSB_DT_ENDPOINT_AUDIO_SIZE;

	write_u8(w, audio ? LIBUSB_DT_ENDPOINT_AUDIO_SIZE
			  : LIBUSB_DT_ENDPOINT_SIZE);
	write_u8(w, LIBUSB_DT_ENDPOINT);
	write_u8(w, e->bEndpointAddress);
	write_u8(w, e->bmAttributes);
	write_le16(w, e->wMaxPacketSize);
	write_u8(w, e->bInterval);
	if (audio) {
		write_u8(w, e->bRefresh);
		write_u8(w, e->bSynchAddress);
	}
	write_extra(w, e->extra, e->extra_length);
}

static void
write_setting(struct writer *w, const struct libusb_interface_descriptor *s)
{
	write_u8(w, LIBUSB_DT_INTERFACE_SIZE);
	write_u8(w, LIBUSB_DT_INTERFACE);
	write_u8(w, s->bInterfaceNumber);
	write_u8(w, s->bAlternateSetting);
	write_u8(w, s->bNumEndpoints);
	write_u8(w, s->bInterfaceClass);
	write_u8(w, s->bInterfaceSubClass);
	write_u8(w, s->bInterfaceProtocol);
	write_u8(w, s->iInterface);
	write_extra(w, s->extra, s->extra_length);
	for (int i = 0; i < s->bNumEndpoints; i++)
		write_endpoint(w, &s->endpoint[i]);
}

size_t
bus_configuration_bytes(uint8_t *out, size_t room,
    const struct libusb_config_descriptor *c)
{
	struct writer w = writer_over(out, room < UINT16_MAX ? room
							     : UINT16_MAX);
	size_t len;

	write_u8(&w, LIBUSB_DT_CONFIG_SIZE);
	write_u8(&w, LIBUSB_DT_CONFIG);
	write_le16(&w, 0); /* wTotalLength: below */
	write_u8(&w, c->bNumInterfaces);
	write_u8(&w, c->bConfigurationValue);
	write_u8(&w, c->iConfiguration);
	write_u8(&w, c->bmAttributes);
	write_u8(&w, c->MaxPower);
	write_extra(&w, c->extra, c->extra_length);
	for (int i = 0; i < c->bNumInterfaces; i++)
		for (int k = 0; k < c->interface[i].num_altsetting; k++)
			write_setting(&w, &c->interface[i].altsetting[k]);
	if (w.bad)
		return 0;
	/* What libusb has left out of a damaged one must not be missed. */
	len = writer_used(&w);
	out[2] = (uint8_t)len;
	out[3] = (uint8_t)(len >> 8);
	return len;
}
