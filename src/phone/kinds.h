/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_KINDS_H
#define MUXD_PHONE_KINDS_H

/*
 * Which kinds of devices there are, and how --device names them:
 *
 *	KIND[:OPTION[=VALUE][,OPTION[=VALUE]]...]
 *
 * These options all kinds have:
 *
 *	speed=full|high|super
 *	serial=TEXT	not the phone, which has a UDID
 *	configured	comes to the bus in its first configuration
 *	pace=BYTES	that the wire carries in a second, each way
 *	duplex=full|half	half: both ways together
 *
 * Main thread.
 */

#include "phone/device.h"

extern const struct kind kind_acm, kind_dfu, kind_hid, kind_scm,
    kind_sourcesink;

/* By the name in front of a colon or the end; NULL: none such, and a cause. */
const struct kind *kinds_find(const char *text, struct cause *why);

/* Takes the options, which it cuts into pieces, or NULL.  0, or -1 and a
 * cause. */
int kinds_take_options(struct device *d, char *options, struct cause *why);

/* ---- For kinds' own options --------------------------------------------- */

/* `value` is a decimal number from `least` to `most`. */
int kinds_number(unsigned *out, const char *name, const char *value,
    unsigned least, unsigned most, struct cause *why);
/* `value` is one of `words` (which ends with NULL): *out is its place. */
int kinds_word(unsigned *out, const char *name, const char *value,
    const char *const *words, struct cause *why);
/* There is no value. */
int kinds_flag(bool *out, const char *name, const char *value,
    struct cause *why);

#endif
