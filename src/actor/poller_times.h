/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_POLLER_TIMES_H
#define MUXD_ACTOR_POLLER_TIMES_H

/*
 * When a poller's watches want to be told that it is late.
 *
 * One list for a group, the earliest first, and one timer, which the group's thread
 * waits for as for any other descriptor.  Times are kept in steps, so that those of
 * a thousand connections come together, and cost a thread that sleeps one wake-up.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/poller_places.h"
#include "base/clock.h"

/* Longer than it takes to tell a few hundred, shorter than what anybody has to
 * wait for at a phone. */
#define TIMES_STEP_NS 4000000

struct times {
	int fd; /* the timer: readable when somebody is to be told */
	pthread_mutex_t lock;
	/* Under the lock. */
	struct poller_watch *first, *last;
	int64_t rings; /* the timer does, or did and nobody has come; 0: no */
};

/* Of memory that is zero.  False (errno): no timer; to be ended all the same. */
bool times_init(struct times *t);
void times_fini(struct times *t);

/* `w` is to be told at `when`, or up to a step later; if it was to be told later,
 * then not any more.  Any thread that may unwatch it. */
void times_add(struct times *t, struct poller_watch *w, struct moment when);
/* Not any more.  The same. */
void times_forget(struct poller_watch *w);
/* One whose time has come, held, and off the list; NULL: no more, and the timer runs
 * for the next.  It does so from the first on that is taken, too: there is always
 * somebody who goes on.  Any thread. */
struct poller_watch *times_next(struct times *t, struct moment now);

#endif
