/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_DESCRIPTORS_H
#define MUXD_USB_DESCRIPTORS_H

/*
 * What the bytes of GET_DESCRIPTOR say: device, configurations, strings.
 *
 * They come from a device, so from outside: every parser here is total.  Pure;
 * any thread.  Source of the layouts: USB 2.0, chapter 9.6; which interface is
 * the mux and what tells the modes apart: usbmux facts, sections 1 and 2.3.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usb/transport.h"

enum usb_descriptor_type {
	USB_DESCRIPTOR_DEVICE = 1,
	USB_DESCRIPTOR_CONFIGURATION = 2,
	USB_DESCRIPTOR_STRING = 3,
	USB_DESCRIPTOR_INTERFACE = 4,
	USB_DESCRIPTOR_ENDPOINT = 5,
};

#define USB_DEVICE_DESCRIPTOR_SIZE 18
struct usb_device_descriptor {
	uint16_t vendor;
	uint16_t product;
	uint16_t release;
	uint8_t serial_index; /* iSerialNumber; 0: none */
	uint8_t configurations;
};
/* 0, or -1 when these bytes are no device descriptor. */
int usb_device_parse(struct usb_device_descriptor *out, const void *bytes,
    size_t len);

/* The part of a configuration descriptor that tells how long all of it is. */
#define USB_CONFIGURATION_HEAD_SIZE 9
/* wTotalLength, or -1 when these bytes begin no configuration. */
int usb_configuration_total(const void *bytes, size_t len);

struct usb_configuration {
	uint8_t value;      /* bConfigurationValue */
	uint8_t interfaces; /* bNumInterfaces */
	bool has_mux;       /* the two below are valid */
	uint8_t mux_interface;
	struct usb_pipes mux_pipes;
	bool has_valeria; /* screen capture, ff/2a/ff */
	bool has_ncm;     /* CDC NCM, 02/0d */
};

/*
 * Parses a configuration with all that lies behind it.  Damage ends the
 * parsing, as it does in the kernel, and what stood before it counts: a mux
 * interface only when both its endpoints were there.  0, or -1 when there was
 * not even a configuration.
 */
int usb_configuration_parse(struct usb_configuration *out, const void *bytes,
    size_t len);

/* An interface of a configuration that somebody has asked for. */
struct usb_function {
	uint8_t configuration; /* bConfigurationValue */
	uint8_t interfaces;    /* of that configuration */
	uint8_t interface;
	struct usb_pipes pipes; /* its intervals as bInterval */
};
typedef bool usb_class_fits(void *arg, const struct usb_class *c);

/*
 * The first interface of a configuration that fits and has one bulk endpoint in
 * each direction, in its first setting.  An interrupt endpoint in each
 * direction is taken note of, other endpoints are not.  Damage ends the
 * parsing, as above.  False: there is none.
 */
bool usb_function_find(struct usb_function *out, const void *bytes, size_t len,
    usb_class_fits *fits, void *arg);

/* The mode (1..5) of a device with these configurations; 0 when they tell
 * nothing. */
uint8_t usb_guess_mode(const struct usb_configuration *all, unsigned count);

/* The first language of string descriptor 0, or 0 when there is none. */
uint16_t usb_string_language(const void *bytes, size_t len);

/*
 * The longest serial number that is taken: what clients have room for
 * (libusbmuxd loses its whole list over a longer one).
 */
#define USB_SERIAL_LENGTH_MAX 43

/*
 * A serial number from its string descriptor, as shown: 24 characters get a
 * hyphen after the 8th.  It becomes a file name and a word in the log, so
 * whatever is not [0-9A-Za-z-] becomes a hyphen; zeros and blanks at its end
 * are dropped.  Length, or -1 when there is no text, or more of it than
 * USB_SERIAL_LENGTH_MAX.
 */
int usb_serial_parse(char out[USB_SERIAL_LENGTH_MAX + 1], const void *bytes,
    size_t len);

#endif
