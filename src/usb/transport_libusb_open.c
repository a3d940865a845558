/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How a device is found and opened.
 *
 * By enumeration, which every libusb can: a new context looks at each device of
 * the host, under locks that all contexts of the process share.  So to open one
 * takes the longer the more there are, those that come at once wait for one
 * another, and all of them for one that is being reset.
 *
 * Directly, on Linux: the device's file is known by its bus and address, and
 * libusb takes it over in a context that looks at nothing.  Then a device waits
 * for itself alone.
 */

#include "usb/transport_libusb.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "usb/sysfs.h"

/* ---- What a device is ---- */

static enum usb_speed
speed_of(int speed)
{
	switch (speed) {
	case LIBUSB_SPEED_LOW:
		return USB_SPEED_LOW;
	case LIBUSB_SPEED_FULL:
		return USB_SPEED_FULL;
	case LIBUSB_SPEED_HIGH:
		return USB_SPEED_HIGH;
	case LIBUSB_SPEED_SUPER:
		return USB_SPEED_SUPER;
#if LIBUSB_API_VERSION >= 0x01000106
	case LIBUSB_SPEED_SUPER_PLUS:
		return USB_SPEED_SUPER_PLUS;
#endif
	default:
		return USB_SPEED_UNKNOWN;
	}
}

/* "BUS-PORT.PORT", as the kernel names devices; "BUS@ADDRESS" where the system
 * does not tell ports. */
static void
make_key(struct usb_ident *ident)
{
	size_t at = (size_t)snprintf(ident->key, sizeof ident->key, "%u",
	    ident->bus);

	if (ident->port_count == 0)
		snprintf(ident->key + at, sizeof ident->key - at, "@%u",
		    ident->address);
	for (unsigned i = 0; i < ident->port_count; i++)
		at += (size_t)snprintf(ident->key + at,
		    sizeof ident->key - at, "%c%u", i == 0 ? '-' : '.',
		    ident->ports[i]);
}

bool
local_describe(libusb_device *device, struct usb_ident *out)
{
	struct libusb_device_descriptor d;
	int ports;

	if (libusb_get_device_descriptor(device, &d) < 0)
		return false;
	memset(out, 0, sizeof *out);
	out->bus = libusb_get_bus_number(device);
	out->address = libusb_get_device_address(device);
	ports = libusb_get_port_numbers(device, out->ports, USB_PORTS_MAX);
	out->port_count = ports > 0 ? (uint8_t)ports : 0;
	out->configurations = d.bNumConfigurations;
	out->vendor = d.idVendor;
	out->product = d.idProduct;
	out->release = d.bcdDevice;
	out->speed = speed_of(libusb_get_device_speed(device));
	make_key(out);
	return true;
}

/* ---- By enumeration ---- */

/* 0 when there is none such: unplugged, or another one is in its place. */
static int
open_in(libusb_device **list, ssize_t count, const struct usb_ident *wanted,
    libusb_device_handle **out)
{
	for (ssize_t i = 0; i < count; i++) {
		struct usb_ident here;

		if (local_describe(list[i], &here) &&
		    strcmp(here.key, wanted->key) == 0 &&
		    here.address == wanted->address)
			return libusb_open(list[i], out);
	}
	return LIBUSB_ERROR_NO_DEVICE;
}

static int
find_and_open(struct local_transport *t, const struct usb_ident *ident)
{
	libusb_device **list;
	const ssize_t count = libusb_get_device_list(t->ctx, &list);
	int r;

	if (count < 0)
		return local_error((int)count);
	r = open_in(list, count, ident, &t->handle);
	libusb_free_device_list(list, 1);
	return local_error(r);
}

/* ---- Directly ---- */

static _Atomic bool direct; /* relaxed: the monitor starts after it is set */

bool
local_is_direct(void)
{
	return atomic_load_explicit(&direct, memory_order_relaxed);
}

#if defined(__linux__) && LIBUSB_API_VERSION >= 0x01000109

/*
 * A libusb that can take over descriptors refuses this one for what it is.
 * usbnet's has nothing that a descriptor could stand for.
 */
static bool
can_wrap(libusb_context *ctx)
{
	libusb_device_handle *none;

	return libusb_wrap_sys_device(ctx, -1, &none) !=
	    LIBUSB_ERROR_NOT_SUPPORTED;
}

void
local_choose_way(libusb_context *ctx)
{
	const bool can = sysfs_exists() && can_wrap(ctx) &&
	    libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY) == 0;

	atomic_store_explicit(&direct, can, memory_order_relaxed);
}

static int
wrap(struct local_transport *t, const struct usb_ident *ident)
{
	int r;

	/* The file is that of whoever had the address when it was opened.  If
	 * that one has left since, nothing can be done with the file, and who
	 * is in its port has another address. */
	if (!sysfs_has(ident))
		return USB_ERROR_GONE;
	r = libusb_wrap_sys_device(t->ctx, t->fd, &t->handle);
	return r == 0 || sysfs_has(ident) ? local_error(r) : USB_ERROR_GONE;
}

static int
open_directly(struct local_transport *t, const struct usb_ident *ident)
{
	const int fd = sysfs_open(ident);
	int error;

	if (fd < 0)
		return fd;
	t->fd = fd;
	error = wrap(t, ident);
	if (error != USB_OK)
		close(fd);
	return error;
}

#else

void
local_choose_way(libusb_context *ctx)
{
	(void)ctx;
}

static int
open_directly(struct local_transport *t, const struct usb_ident *ident)
{
	(void)t, (void)ident;
	return USB_ERROR_UNSUPPORTED; /* for no system that chose it */
}

#endif

/* ---- Either way ---- */

int
local_attach(struct local_transport *t, const struct usb_ident *ident)
{
	int error = local_error(libusb_init(&t->ctx));

	if (error != USB_OK)
		return error;
	error = local_is_direct() ? open_directly(t, ident)
				  : find_and_open(t, ident);
	if (error != USB_OK)
		libusb_exit(t->ctx);
	return error;
}

void
local_close(struct local_transport *t)
{
	libusb_close(t->handle);
	/* What libusb was given it leaves open. */
	if (t->fd >= 0)
		close(t->fd);
}
