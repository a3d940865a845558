/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_POLLER_PLACES_H
#define MUXD_ACTOR_POLLER_PLACES_H

/*
 * Where a poller's watches lie.
 *
 * An event may be in some thread's hands when its watch has ended and the next one
 * has begun in the same place.  So places stay as long as the poller, and an event
 * carries a name: of the place, and of the use that is made of it.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "actor/poller.h"

struct group;
struct times;

struct poller_watch {
	/* The use of the place in the upper half; in the lower how many hold
	 * it: whoever watches, and threads that are in ready(). */
	_Atomic uint64_t state;
	struct places *all;
	uint32_t place;
	struct poller_watch *next; /* free; under the lock */
	/* ---- The poller's, not touched here but for gone() ---- */
	struct group *group;
	int fd;
	poller_ready *ready;
	poller_gone *gone;
	void *arg;
	/* ---- When it is to be told of the time, see poller_times.h ---- */
	/* Nanoseconds, 0: never.  Written under the list's lock. */
	_Atomic int64_t due;
	struct times *times; /* the list; of the thread that may unwatch */
	struct poller_watch *sooner, *later; /* under its lock */
};

/* They come in blocks. */
#define PLACES_BLOCK 256
#define PLACES_BLOCKS 4096

struct places {
	/* Places come and go with connections; bytes do not pass it. */
	pthread_mutex_t lock;
	struct poller_watch *free;
	uint32_t block_count;
	/* Release: when a block is made.  Acquire: by a thread that has an
	 * event of it. */
	_Atomic(struct poller_watch *) blocks[PLACES_BLOCKS];
};

/* Of memory that is zero. */
void places_init(struct places *p);
void places_fini(struct places *p);

/* One that nobody can hold yet; NULL (ENOMEM): none left.  Any thread, as all
 * that follows. */
struct poller_watch *places_take(struct places *p);
/* What is in it is there: from now on it can be held, and the caller does. */
void places_begin(struct poller_watch *w);
/* Undoes that, while no event can be of it. */
void places_drop(struct poller_watch *w);
/* The name of an event of it. */
uint64_t places_name(const struct poller_watch *w);
/* The watch that an event is of, held; NULL when it has ended since. */
struct poller_watch *places_hold(struct places *p, uint64_t name);
/* The last one calls gone(). */
void places_let_go(struct poller_watch *w);

#endif
