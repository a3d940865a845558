/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_POLLER_H
#define MUXD_ACTOR_POLLER_H

/*
 * A few threads that watch descriptors for actors that sleep.
 *
 * An actor whose thread waits in poll() costs a wake-up for each thing that
 * happens to it, and a hundred of them cost a hundred.  One whose baton is lent
 * (actor/baton.h) need not wake at all: a poller sees what has happened, posts
 * it to the actor, and mostly acts for it there and then; and when much happens
 * at once, one thread does it all in a row.
 *
 * What is watched is told of edges: once when a descriptor becomes ready, not
 * again while it stays so.  Whoever is told reads or writes until the descriptor
 * has no more, or remembers that it may have.
 *
 * Watches come in groups, and each group has a thread that waits for it and does
 * what comes: as long as it keeps up, a hundred actors that are ready at once are a
 * hundred calls in a row.  What works together (a device, its connections) is of one
 * group, so that its memory stays near one processor.
 *
 * There are as many threads again that stand by.  While there is work, one of them
 * looks now and then whether a thread is kept waiting by the kernel in the middle
 * of something (it should not be, but a device's lock is nobody's to promise), and
 * takes its place, with all that it had taken and not begun.  While nothing happens
 * nobody wakes.
 */

#include <stdbool.h>

#include "base/clock.h"

struct poller;
struct poller_watch;

/* Beside those of poll(): a time that was asked for has come. */
#define POLLER_TIME 0x4000

/*
 * Called on a poller's thread, from two of them at the same time if it comes to
 * that; must not block.  `events` as in poll().  It may still be called while
 * poller_unwatch() runs and after it, until `gone`.
 */
typedef void poller_ready(void *arg, short events);
/* The watch is no more: neither `arg` nor the descriptor is touched again.  Once;
 * on a poller's thread, or inside poller_unwatch(). */
typedef void poller_gone(void *arg);

/* For so many groups, 1 at least.  NULL (errno): no memory, descriptors or threads,
 * or a system without such a thing (ENOSYS). */
struct poller *poller_new(unsigned groups);
/* After everything has been unwatched. */
void poller_free(struct poller *p);
unsigned poller_groups(const struct poller *p);

/*
 * Watches `fd`, in `group` (any number), for `events` (POLLIN, POLLOUT,
 * POLLRDHUP), and always for POLLHUP and POLLERR.  Tells at once of what it is
 * ready for already.  NULL (errno): it cannot be watched; `gone` is not called
 * then.  Any thread.
 */
struct poller_watch *poller_watch(struct poller *p, unsigned group, int fd,
    short events, poller_ready *ready, poller_gone *gone, void *arg);
/* From now on for `events`; tells at once of what it is ready for.  The thread
 * that may unwatch. */
void poller_rewatch(struct poller_watch *w, short events);
/* From now on in that group, for those events, and the same.  False: it stays as it
 * was, because it is there already, or for want of memory. */
bool poller_move(struct poller_watch *w, unsigned group, short events);
/*
 * Tells of POLLER_TIME once, at that moment or a few milliseconds later; if it is to
 * tell of it later, then not later any more.  So an actor that moves its time forward
 * all the while is told of the first, finds that it is not yet, and asks again.  As
 * poller_rewatch().
 */
void poller_remind(struct poller_watch *w, struct moment when);
/* The end of it, before the descriptor is closed.  Once, any thread. */
void poller_unwatch(struct poller_watch *w);
/* The same, and closes the descriptor, which spares telling the system both. */
void poller_close(struct poller_watch *w);

#endif
