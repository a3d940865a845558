/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USB_LOCAL_RIG_H
#define TESTS_UNIT_USB_LOCAL_RIG_H

/* An opened local device over a libusb without USB, its interface claimed. */

#include "fake_libusb.h"
#include "usb/transport_libusb.h"

extern const struct fake_spec local_rig_spec;
extern const struct usb_pipes local_rig_pipes;

extern struct fake_device *device;
extern struct read_budget budget;
extern struct chunk_pool pool;
extern struct transport *t;

struct usb_ident local_rig_ident(void);
void local_rig_setup(void);
/* The same, opened by its file (usb_trees.h). */
void local_rig_setup_direct(void);
void local_rig_start(void);
/* Stops and frees it, and looks whether anything is left. */
void local_rig_finish(void);

struct frame {
	struct tx tx;
	int done; /* how often */
	int error;
	_Atomic int *finished; /* NULL, or counted up with each */
	uint8_t bytes[64];
};

/* `number` is its first four bytes, the lowest first. */
void local_rig_frame(struct frame *f, uint32_t number, uint32_t len, bool zlp);
/* The frame's done(). */
void local_rig_done(struct tx *tx, int error);

#endif
