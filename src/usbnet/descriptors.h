/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_DESCRIPTORS_H
#define MUXD_USBNET_DESCRIPTORS_H

/*
 * From the bytes of descriptors to the structs that libusb hands out.
 *
 * The bytes come from a device by way of a stranger, so every function here is
 * total.  What is wrong with them is treated as libusb treats it, because
 * programs know that: a descriptor that goes on behind the end, and all behind
 * it, is dropped; a length that cannot be is LIBUSB_ERROR_IO.
 *
 * A tree is one block of memory: its head, its arrays, and a copy of the bytes,
 * into which `extra` points.  So free() of the head frees all of it.
 *
 * Pure; any thread.  Source of the layouts: USB 2.0, 9.6; USB 3.2, 9.6; of the
 * treatment: libusb's documentation and what its version 1.0.26 does.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "usbnet/api.h"

/* What libusb bounds a configuration by (32 endpoints an interface, 32
 * interfaces). */
#define UN_CONFIG_ENDPOINTS_MAX 32
#define UN_CONFIG_INTERFACES_MAX 32

/* 18 bytes, whatever they say, in the byte order of this host.  0, or
 * LIBUSB_ERROR_IO when there are fewer. */
int un_device_parse(struct libusb_device_descriptor *out, const uint8_t *bytes,
    size_t len);

/*
 * A configuration with all that belongs to it.  0 and the tree, the caller's to
 * free(); LIBUSB_ERROR_IO or LIBUSB_ERROR_NO_MEM.  `note` tells in a sentence
 * what is wrong with the bytes, also when they are taken; it is empty when
 * nothing is.
 */
int un_config_parse(struct libusb_config_descriptor **out,
    const uint8_t *bytes, size_t len, struct cause *note);

/* bConfigurationValue; -1 when these bytes are no configuration. */
int un_config_value(const uint8_t *bytes, size_t len);

/* The super speed companion among what follows an endpoint (its `extra`).  0
 * and a struct, the caller's to free(); LIBUSB_ERROR_NOT_FOUND, _IO or _NO_MEM.
 */
int un_companion_parse(struct libusb_ss_endpoint_companion_descriptor **out,
    const uint8_t *extra, size_t len, struct cause *note);

/* The interface associations of a configuration, perhaps none, in the same way
 * as its tree. */
int un_associations_parse(
    struct libusb_interface_association_descriptor_array **out,
    const uint8_t *config, size_t len, struct cause *note);

/* The BOS with its capabilities, in the same way as a configuration. */
int un_bos_parse(struct libusb_bos_descriptor **out, const uint8_t *bytes,
    size_t len, struct cause *note);

#endif
