/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_DEVICE_H
#define MUXD_USBNET_DEVICE_H

/*
 * What the descriptor functions need to know of a device.  Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "usbnet/api.h"

/*
 * A descriptor as the device itself gives it, whole.  `index` of a
 * configuration counts from 0; `langid` is 0 for all but strings.  0 or one of
 * LIBUSB_ERROR_* (NOT_FOUND: the device has none of that kind).
 *
 * The first call may ask the server, and so block for USBNET_TIMEOUT; what has
 * been fetched is kept, and lies where it lies as long as the device lives.
 * The device descriptor is always there: of a server that does not tell it, it
 * is put together from the list of devices.
 */
int un_device_descriptor_bytes(libusb_device *dev, uint8_t type, uint8_t index,
    uint16_t langid, const uint8_t **bytes, size_t *len);

/* bConfigurationValue; 0: not configured.  May ask the server, as above. */
uint8_t un_device_active_configuration(libusb_device *dev);

libusb_context *un_device_context(libusb_device *dev);

/* A line for the context's log; NULL is the default context. */
void un_log(libusb_context *ctx, enum libusb_log_level level, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

#endif
