/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/reading.h"

#include <stdatomic.h>

static void
count(struct reading *r, struct transport *t, enum usb_pipe pipe, int change)
{
	r->flying[pipe] += change;
	/* Those of an interrupt endpoint are too small to be told of. */
	atomic_store_explicit(&t->reads_in_flight,
	    (uint32_t)r->flying[USB_PIPE_BULK], memory_order_relaxed);
}

void
reading_begun(struct reading *r, struct transport *t, enum usb_pipe pipe)
{
	count(r, t, pipe, 1);
}

void
reading_ended(struct reading *r, struct transport *t, struct chunk *c, int len,
    int error)
{
	const enum usb_pipe pipe = c->pipe;

	count(r, t, pipe, -1);
	if (error == USB_OK || len > 0) {
		c->offset = 0;
		c->len = (uint32_t)len;
		chunk_list_append(&r->ready, c);
	} else {
		chunk_put(c);
	}
	if (error == USB_ERROR_STALL)
		r->stalled[pipe] = true;
}

bool
reading_can_clear(const struct reading *r, enum usb_pipe *pipe)
{
	for (int i = 0; i < USB_PIPES; i++)
		if (r->stalled[i] && r->flying[i] == 0) {
			*pipe = (enum usb_pipe)i;
			return true;
		}
	return false;
}

int
reading_cleared(struct reading *r, struct transport *t, enum usb_pipe pipe)
{
	r->stalled[pipe] = false;
	t->stalled_pipe = pipe;
	return USB_ERROR_STALL;
}
