/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_BUS_H
#define MUXD_EXPORT_BUS_H

/*
 * Devices as libusb has them, without opening them: their places, their
 * descriptors, and what USB/IP tells of them.  No state; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libusb.h>

#include "wire/usbip.h"

/* Where a device is, and which one it is there. */
struct bus_ident {
	char busid[USBIP_BUSID_SIZE + 1];
	uint8_t bus, address;
	uint16_t vendor, product;
};

/*
 * "BUS-PORT.PORT", as the kernel names devices; "BUS-0", also the kernel's, for
 * what hangs on no port (a root hub); where the system tells no ports, that
 * would be everybody's name, so "BUS-0.ADDRESS".  False: it cannot be told.
 */
bool bus_identify(libusb_device *device, struct bus_ident *out);

/* The device of that identity in this context, with a reference, or NULL: it
 * has gone, or another one is in its place. */
libusb_device *bus_find(libusb_context *ctx, const struct bus_ident *ident);

/* Kernel's numbers for libusb's; they differ from SuperSpeed on. */
enum usbip_speed bus_speed(libusb_device *device);

struct usbip_description;

/* Fills the device entry and the interfaces of the current configuration (none
 * when it is in none); `info` is left alone.  False: the device has gone. */
bool bus_describe(libusb_device *device, const struct bus_ident *ident,
    struct usbip_description *out);

/* Why an open or a claim failed, with the remedy where there is one: a part of
 * a sentence.  Returns `out`. */
#define BUS_TROUBLE_MAX 200
const char *bus_trouble(char out[BUS_TROUBLE_MAX], int error,
    const struct bus_ident *ident);

/*
 * The descriptors as the device sends them, put together from libusb's structs,
 * which keep all bytes that they do not understand.  Returns the length, or 0
 * when there is no room for it.
 */
size_t bus_device_bytes(uint8_t *out, size_t room,
    const struct libusb_device_descriptor *d);
size_t bus_configuration_bytes(uint8_t *out, size_t room,
    const struct libusb_config_descriptor *c);

#endif
