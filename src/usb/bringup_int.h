/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_BRINGUP_INT_H
#define MUXD_USB_BRINGUP_INT_H

/* What the files of the bring-up share: bringup_requests.c (what a device is
 * asked), bringup.c (a phone's steps), bringup_function.c (those of another
 * interface).  All on the reader's thread. */

#include "base/clock.h"
#include "usb/bringup.h"
#include "usb/descriptors.h"

/* Phones have up to six; what a device claims beyond that is not looked at. */
#define CONFIGURATIONS_MAX 16
/* The largest configuration of a phone is below 1 KiB. */
#define DESCRIPTOR_MAX 4096

#define TYPE_STANDARD_IN 0x80
#define TYPE_VENDOR_IN 0xc0

struct bringup {
	struct transport *t;
	const char *name; /* of the device, for the cause */
	int wanted_mode;
	bool anew;
	struct usb_phone *out;
	struct cause *why;
	struct moment deadline; /* of the step */

	struct usb_device_descriptor device;
	struct usb_configuration configurations[CONFIGURATIONS_MAX];
	unsigned count;
	const struct usb_configuration *chosen;
	/* Of another interface than the mux: which, and what was found. */
	usb_class_fits *fits;
	void *fits_arg;
	int current; /* configuration that is set */
	struct usb_function function; /* configuration 0: none yet */
	uint8_t bytes[DESCRIPTOR_MAX]; /* of the request at hand */
};

struct bringup_step {
	enum usb_step step;
	int (*take)(struct bringup *b);
};

/* Takes the steps, each within its time, until one fails. */
int bringup_climb(struct bringup *b, const struct bringup_step *steps,
    size_t count, usb_step_hook *hook, void *hook_arg);

/* An IN request into b->bytes, within what is left of the step's time.  Bytes
 * received, or a usb_error. */
int bringup_ask(struct bringup *b, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, uint16_t length);
/* Returns the error, with a cause: "device 1-4: WHAT: the error". */
int bringup_failed(struct bringup *b, int error, const char *what);
/* After these a device may still be usable; after others it is not. */
bool bringup_is_refusal(int error);

/* USB_OK, or a usb_error and a cause. */
int bringup_read_device(struct bringup *b);
/* All of them, and b->function if one is wanted.  One that cannot be read stays
 * empty: it holds nothing. */
int bringup_read_configurations(struct bringup *b);
/* Sets the configuration `value`; `current` is set. */
int bringup_configure(struct bringup *b, uint8_t value, int current);
/* One attempt, into out->udid: a usb_error without a cause, or the length of the
 * serial number. */
int bringup_read_serial(struct bringup *b);

#endif
