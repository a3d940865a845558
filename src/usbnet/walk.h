/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_WALK_H
#define MUXD_USBNET_WALK_H

/* A step from one descriptor to the next.  Pure and total; any thread. */

#include "base/cursor.h"

struct descriptor_head { /* with which every descriptor begins */
	uint8_t length;
	uint8_t type;
};

enum look {
	LOOK_OK,    /* a whole descriptor */
	LOOK_END,   /* not even a head */
	LOOK_SHORT, /* it would go on behind the end */
	LOOK_BAD,   /* its length leaves out its head */
};

/* What stands at `r`; `r` stays there. */
static inline enum look
look(const struct reader *r, struct descriptor_head *h)
{
	struct reader ahead = *r;

	h->length = read_u8(&ahead);
	h->type = read_u8(&ahead);
	if (ahead.bad)
		return LOOK_END;
	if (h->length < sizeof *h)
		return LOOK_BAD;
	return h->length > reader_left(r) ? LOOK_SHORT : LOOK_OK;
}

/* A reader of the descriptor at `r`, which LOOK_OK has been said of; `r` goes
 * on behind it. */
static inline struct reader
take(struct reader *r, const struct descriptor_head *h)
{
	const struct reader out = reader_over(r->at, h->length);

	read_bytes(r, h->length);
	return out;
}

#endif
