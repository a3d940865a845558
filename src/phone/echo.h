/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_ECHO_H
#define MUXD_PHONE_ECHO_H

/*
 * A pair of bulk endpoints where what is written to one comes back from the
 * other: a stream of bytes, in which transfers and packets leave no trace.
 *
 * ECHO_MAX bytes are held.  Then the device takes no more, amid a transfer if
 * need be, until the host has fetched some.  An IN transfer ends as soon as it
 * has all that is held: with a short packet, with an empty one, or because it
 * is full.  One that ends amid a packet loses the rest of it (babble), as on
 * any bus.
 *
 * Belongs to one gadget, under its lock.
 */

#include "phone/ring.h"
#include "phone/traffic.h"

#define ECHO_MAX 262144u

struct echo {
	struct ring held;
	struct traffic traffic;
	uint64_t lost; /* bytes, to babble */
};

void echo_fini(struct echo *x);
/* Forgets what is held. */
void echo_reset(struct echo *x);

/* For a kind's serve(). */
bool echo_serve(struct echo *x, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out);

/* As members of the object that is open. */
void echo_report(const struct echo *x, struct json *j);

#endif
