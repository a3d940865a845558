/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/ring.h"

#include <stdlib.h>
#include <string.h>

#define RING_FIRST_SIZE 4096 /* most connections never hold more */

void
ring_fini(struct ring *r)
{
	free(r->bytes);
	memset(r, 0, sizeof *r);
}

static bool
grow(struct ring *r, size_t len)
{
	size_t size = r->size > 0 ? r->size : RING_FIRST_SIZE;
	struct span old[2];
	uint8_t *bytes;

	if (len > RING_MAX - r->used)
		return false;
	while (size - r->used < len)
		size *= 2;
	bytes = malloc(size);
	if (bytes == NULL)
		return false;
	ring_peek(r, r->used, old);
	if (r->used > 0) {
		memcpy(bytes, old[0].at, old[0].len);
		if (old[1].len > 0)
			memcpy(bytes + old[0].len, old[1].at, old[1].len);
	}
	free(r->bytes);
	r->bytes = bytes;
	r->size = size;
	r->first = 0;
	return true;
}

bool
ring_put(struct ring *r, const void *bytes, size_t len)
{
	size_t end, before_wrap;

	if (len == 0)
		return true;
	if (!ring_fits(r, len) && !grow(r, len))
		return false;
	end = (r->first + r->used) & (r->size - 1);
	before_wrap = r->size - end < len ? r->size - end : len;
	memcpy(r->bytes + end, bytes, before_wrap);
	memcpy(r->bytes, (const uint8_t *)bytes + before_wrap,
	    len - before_wrap);
	r->used += len;
	return true;
}

size_t
ring_peek(const struct ring *r, size_t max, struct span out[2])
{
	const size_t len = r->used < max ? r->used : max;
	const size_t before_wrap =
	    r->size - r->first < len ? r->size - r->first : len;

	out[0] = (struct span){ r->bytes, before_wrap };
	if (before_wrap > 0)
		out[0].at += r->first;
	out[1] = (struct span){ r->bytes, len - before_wrap };
	return len;
}

void
ring_drop(struct ring *r, size_t len)
{
	r->used -= len;
	/* An empty ring begins anew, so that its next bytes lie in one piece. */
	r->first = r->used == 0 ? 0 : (r->first + len) & (r->size - 1);
}
