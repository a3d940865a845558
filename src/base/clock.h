/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_CLOCK_H
#define MUXD_BASE_CLOCK_H

/*
 * Monotonic time.  It is a type of its own, so that a moment cannot be taken
 * for a number of milliseconds.  Any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct moment {
	int64_t ns; /* since an arbitrary start; never goes back */
};

#define MOMENT_NEVER ((struct moment){ INT64_MAX })
#define MOMENT_PAST ((struct moment){ 0 })

static inline struct moment
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct moment){ (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec };
}

static inline struct moment
moment_after_ms(struct moment t, int64_t ms)
{
	return (struct moment){ t.ns + ms * 1000000 };
}

static inline bool
moment_before(struct moment a, struct moment b)
{
	return a.ns < b.ns;
}

static inline struct moment
moment_earlier(struct moment a, struct moment b)
{
	return a.ns < b.ns ? a : b;
}

/* It is now, or was.  What never comes costs no look at the clock. */
static inline bool
moment_has_come(struct moment t)
{
	return t.ns != MOMENT_NEVER.ns && !moment_before(clock_now(), t);
}

static inline int64_t
moment_ms_between(struct moment from, struct moment to)
{
	return (to.ns - from.ns) / 1000000;
}

/*
 * The timeout to hand to poll() so that it returns at `deadline`: rounded up
 * (an early return would only spin), 0 when it has passed, -1 for never.
 */
static inline int
moment_poll_timeout(struct moment now, struct moment deadline)
{
	int64_t ms;

	if (deadline.ns == INT64_MAX)
		return -1;
	if (deadline.ns <= now.ns)
		return 0;
	ms = (deadline.ns - now.ns - 1) / 1000000 + 1;
	return ms > 86400000 ? 86400000 : (int)ms;
}

#endif
