/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_THREAD_H
#define MUXD_ACTOR_THREAD_H

/* Threads with a name and a small stack, deaf to signals (those are for the
 * main thread). */

#include <pthread.h>
#include <stdbool.h>

/* Enough for libplist on a request that the codec lets through, and for the
 * resolver; touched pages only are paid for. */
#define THREAD_STACK_SIZE (256 * 1024)

struct thread {
	pthread_t id;
};

/* Runs fn(arg) on a new thread; `name` is cut to 15 characters.  0, or an errno
 * value. */
int thread_start(struct thread *t, const char *name, void *(*fn)(void *),
    void *arg);
void thread_join(struct thread *t);
/* For a thread that nobody will join. */
void thread_detach(struct thread *t);

#endif
