/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_PHONE_H
#define MUXD_PHONE_PHONE_H

/*
 * The kind that muxphone is named after: a phone, with the descriptors and the
 * device modes of an iPhone, and the mux behind one pair of endpoints.
 *
 * Sources: usbmuxd's usb.c for the modes and which interfaces each has.
 *
 * Belongs to one gadget, under its lock.
 */

#include "phone/device.h"
#include "phone/frame.h"
#include "phone/mux.h"
#include "phone/strict.h"

/* The pair that carries the mux protocol. */
#define PHONE_MUX_OUT 0x04
#define PHONE_MUX_IN 0x85

#define PHONE_MODES 5 /* device modes are 1 .. 5 */
#define PHONE_MODE_INITIAL 1

/* What its options say; 0: as usual. */
struct phone_wishes {
	unsigned window, frame, mux;
};

struct phone {
	struct device usb;
	struct phone_wishes wishes;
	struct strict strict;
	struct mux mux;
	struct frame frame;
	unsigned mode;
	/* What it is in all modes, which it then refuses to change; NULL: it
	 * has those of a phone. */
	const struct desc_device *layout;
	/* SET_MODE, or a reset that ends a mode, has been heard: the phone
	 * leaves, and comes back in this mode. */
	unsigned next_mode;
};

extern const struct kind kind_phone;

/* NULL: the device is none. */
static inline struct phone *
phone_of(struct device *d)
{
	return d->kind == &kind_phone ? (struct phone *)d : NULL;
}

/* phone_tables.c: what the phone is in each mode, from mode 1 on. */
extern const struct desc_device phone_modes[PHONE_MODES];
/* The same: layouts for a bus that has room for no interface but the mux.  It
 * is in the last of their configurations; those before it are empty. */
extern const struct desc_device phone_mux_only;
extern const struct desc_device phone_mux_last_of_4;

/* Before it is plugged. */
void phone_set_layout(struct phone *p, const struct desc_device *layout);

#endif
