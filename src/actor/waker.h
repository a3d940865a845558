/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_WAKER_H
#define MUXD_ACTOR_WAKER_H

/*
 * What a thread sleeps on until another one wakes it.
 *
 * Most threads wait for nothing else.  Theirs is a word in memory, on which the
 * kernel lets them sleep: no descriptor, a system call to sleep, one to wake who
 * sleeps, and none to wake who is awake.  While such a thread waits for a socket,
 * too, a descriptor is lent to it (waker_poll()): thousands of sleepers need a
 * few.
 *
 * A thread that always has something else to poll() has a waker with a
 * descriptor of its own.
 *
 * A waker is counted, because a producer may still hold it when its owner has
 * gone; a late wake-up is then harmless.
 */

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#if defined(__linux__) && !defined(WAKER_PORTABLE) /* which a test defines */
#define WAKER_FUTEX
#else
#include <pthread.h>
#endif

#include "base/clock.h"

struct waker_bell;

struct waker {
	_Atomic uint32_t refs;
	_Atomic uint32_t word; /* enum word of waker.c */
	/* Its own descriptor.  -1: none. */
	int read_fd;
	int write_fd; /* equal to read_fd where the system has eventfd */
	/* The one that is lent to it, or NULL.  Written by the consumer, and
	 * read by who finds it polling. */
	struct waker_bell *bell;
#ifndef WAKER_FUTEX
	pthread_mutex_t lock; /* nothing is under it but the look at the word */
	pthread_cond_t changed;
#endif
};

/* For a thread that mostly waits for nothing else.  NULL when memory has run out
 * (errno). */
struct waker *waker_new(void);
/* For a thread that polls `read_fd`, which is readable from a wake-up until
 * waker_clear().  NULL when descriptors or memory have run out (errno). */
struct waker *waker_new_polled(void);
struct waker *waker_get(struct waker *w);
void waker_put(struct waker *w);

/* Who is woken sees all that the caller has done before.  Any thread; also a
 * signal's handler, where the waker was made to be polled. */
void waker_wake(struct waker *w);

/* Makes the descriptor of one that was made to be polled unreadable again.  The
 * consumer's thread, as all that follows. */
void waker_clear(struct waker *w);
/* Waits until somebody wakes it, and clears it; false when `timeout_ms` (-1:
 * none) have passed, or when it is that late. */
bool waker_wait(struct waker *w, int timeout_ms);
bool waker_wait_until(struct waker *w, struct moment until);
/*
 * poll() of `n` descriptors, of which fds[0] is filled in here and is the
 * waker's.  True: somebody has woken it, and it is clear again; what the others
 * have reported holds in any case.  May return early, with nothing.
 */
bool waker_poll(struct waker *w, struct pollfd *fds, nfds_t n,
    int timeout_ms);
/* The consumer will wait elsewhere for long, or polls no more: what was lent to it
 * is given back. */
void waker_rest(struct waker *w);

/* Descriptors that are lent to one. */
#ifdef WAKER_FUTEX
#define WAKER_LENT 1
#else
#define WAKER_LENT 2 /* the ends of a pipe */
#endif

/* How often that is kept while nobody has it, in the whole process: as often as
 * told, if it is not more than WAKER_KEPT_MAX.  Before threads poll. */
#define WAKER_KEPT_MAX 64
void waker_keep(unsigned count);

#endif
