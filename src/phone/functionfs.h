/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_FUNCTIONFS_H
#define MUXD_PHONE_FUNCTIONFS_H

/*
 * What is read from and written to the control file, ep0, of Linux' FunctionFS:
 * a function's descriptors and strings at the beginning, events afterwards.
 *
 * Sources: linux/usb/functionfs.h and Documentation/usb/functionfs.rst of the
 * kernel.  All numbers are little-endian.
 *
 * Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phone/descriptors.h"

/* Room for either blob of any function here. */
#define FUNCTIONFS_BLOB_MAX 512

/*
 * The descriptors of a function of one interface, at full, high and super
 * speed; its name is the function's string number 1.  The kernel gives its
 * endpoints other addresses, and has files ep1, ep2 ... for them in the order of
 * `s`.  All control requests that are not USB's own come to the
 * function, whatever their recipient, and in configuration 0, too.  `event_fd`
 * becomes readable with every event, and with every asynchronous transfer that
 * ends.  How many bytes.
 */
size_t functionfs_descriptors(const struct desc_interface *s, int event_fd,
    uint8_t out[FUNCTIONFS_BLOB_MAX]);

/* Its one string.  How many bytes. */
size_t functionfs_strings(const char *name, uint8_t out[FUNCTIONFS_BLOB_MAX]);

enum functionfs_event_type { /* the kernel's numbers */
	FUNCTIONFS_IS_BOUND = 0,
	FUNCTIONFS_IS_UNBOUND = 1,
	/* The host has chosen a configuration with the function in it. */
	FUNCTIONFS_IS_ENABLED = 2,
	/* It has chosen another, has reset the device, or is gone. */
	FUNCTIONFS_IS_DISABLED = 3,
	FUNCTIONFS_HAS_SETUP = 4,
	FUNCTIONFS_IS_SUSPENDED = 5,
	FUNCTIONFS_IS_RESUMED = 6,
};

#define FUNCTIONFS_EVENT_SIZE 12

struct functionfs_event {
	unsigned type; /* enum functionfs_event_type, or one yet to come */
	uint8_t setup[8]; /* FUNCTIONFS_HAS_SETUP: as on the bus */
};

void functionfs_event_parse(struct functionfs_event *e,
    const uint8_t bytes[FUNCTIONFS_EVENT_SIZE]);

#endif
