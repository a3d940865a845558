/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_PARK_H
#define MUXD_USBIP_SERVER_PARK_H

/*
 * SUBMITs that an import has no room for.  Nothing follows them on the wire
 * (IN, mostly), so they can be put aside, and rx goes on to read: the UNLINK
 * that would make room may come next.  One that brings data cannot, for the
 * data would need the room that there is not; at such a one the stream stops.
 *
 * In the order of the wire.  One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/usbip.h"

/* More than a driver queues; beyond it the stream stops, too. */
#define PARK_MAX 1024

struct parked {
	struct parked *next;
	struct usbip_pdu pdu;
};

struct park {
	struct parked *first, **end;
	uint32_t count;
};

void park_init(struct park *p);
void park_fini(struct park *p);

static inline bool
park_is_empty(const struct park *p)
{
	return p->first == NULL;
}

/* False when it is full, or memory has run out. */
bool park_add(struct park *p, const struct usbip_pdu *pdu);
bool park_has(const struct park *p, uint32_t seqnum);
/* Takes the first, or the one of that seqnum.  False: there is none. */
bool park_take(struct park *p, struct usbip_pdu *out);
bool park_take_seqnum(struct park *p, uint32_t seqnum, struct usbip_pdu *out);

#endif
