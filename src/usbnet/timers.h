/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_TIMERS_H
#define MUXD_USBNET_TIMERS_H

/*
 * The timeouts of a link's transfers: a heap, so that setting and dropping one
 * costs the logarithm of their number.  Under the link's lock.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

/* A member of what it is the timer of. */
struct un_timer {
	struct moment deadline;
	size_t place; /* in the heap, from 1; 0: not set */
};

struct un_timers {
	struct un_timer **heap; /* [1] is the earliest */
	size_t count, size;
};

void un_timers_fini(struct un_timers *ts);

/* Sets `t`, which is not set, for its deadline.  False: no memory. */
bool un_timers_add(struct un_timers *ts, struct un_timer *t);
/* Nothing happens when it is not set. */
void un_timers_drop(struct un_timers *ts, struct un_timer *t);

/* The earliest, or NULL. */
static inline struct un_timer *
un_timers_first(const struct un_timers *ts)
{
	return ts->count > 0 ? ts->heap[1] : NULL;
}

#endif
