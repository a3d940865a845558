/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_RING_H
#define MUXD_PHONE_RING_H

/*
 * A byte queue that grows: what a service holds until the host's window takes
 * it.  The window that the phone grants bounds what comes in; RING_MAX bounds
 * it whatever happens.  One owner.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest window that 16 bits of 256 bytes express, and as much again for
 * what is being sent while the host may already send more. */
#define RING_MAX (32u * 1024 * 1024)

/* Bytes where they lie. */
struct span {
	const uint8_t *at;
	size_t len;
};

struct ring {
	uint8_t *bytes; /* NULL while it has never held anything */
	size_t size;    /* a power of two, or 0 */
	size_t first;   /* of the oldest byte */
	size_t used;
};

void ring_fini(struct ring *r);

/* True when `len` more bytes fit without moving those that are there. */
static inline bool
ring_fits(const struct ring *r, size_t len)
{
	return len <= r->size - r->used;
}

/* Adds bytes, moving what spans point to unless ring_fits().  False: out of
 * memory, or more than RING_MAX; nothing is added. */
bool ring_put(struct ring *r, const void *bytes, size_t len);

/* The oldest bytes, at most `max`, in one or two pieces.  How many. */
size_t ring_peek(const struct ring *r, size_t max, struct span out[2]);

/* Forgets the oldest `len` bytes, which are there. */
void ring_drop(struct ring *r, size_t len);

#endif
