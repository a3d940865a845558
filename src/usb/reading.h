/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_READING_H
#define MUXD_USB_READING_H

/*
 * What a transport keeps of its reads, whatever carries them: how many each pipe
 * has in flight, what has come, and which pipe has stalled.  A halt is cleared
 * when nothing of its pipe is in flight; until then none of its reads begins.
 *
 * The transport's reader's, or of whoever acts as the reader.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/chunk.h"
#include "usb/transport.h"

struct reading {
	struct chunk_list ready; /* what has come, in the order of the bus */
	int flying[USB_PIPES];
	bool stalled[USB_PIPES];
	bool holding;  /* nothing more is wanted for now */
	bool stopping; /* nor ever again */
};

static inline void
reading_init(struct reading *r)
{
	*r = (struct reading){ .holding = false };
	chunk_list_init(&r->ready);
}

/* Whether reads of that pipe may begin. */
static inline bool
reading_may_begin(const struct reading *r, enum usb_pipe pipe)
{
	return !r->stopping && !r->holding && !r->stalled[pipe];
}

static inline bool
reading_any_stalled(const struct reading *r)
{
	return r->stalled[USB_PIPE_BULK] || r->stalled[USB_PIPE_INTERRUPT];
}

/* One more is in flight.  `t` is the transport, whose gauge this keeps. */
void reading_begun(struct reading *r, struct transport *t,
    enum usb_pipe pipe);

/*
 * One has come back, with `len` bytes in `c` (which is taken, and whose `pipe`
 * says where it came from) and a usb_error: what it got before it failed or was
 * taken back counts.  Marks the pipe if it has stalled; other errors are for the
 * caller.
 */
void reading_ended(struct reading *r, struct transport *t, struct chunk *c,
    int len, int error);

/* True: the halt of *pipe can be cleared. */
bool reading_can_clear(const struct reading *r, enum usb_pipe *pipe);
/* It has been: what read() returns then. */
int reading_cleared(struct reading *r, struct transport *t,
    enum usb_pipe pipe);

#endif
