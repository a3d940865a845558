/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_DOOR_H
#define MUXD_DAEMON_DOOR_H

/*
 * Where workers without a job wait: at the sockets themselves, so that a client
 * that connects wakes the one who will serve it, and nobody else.
 *
 * One worker is woken for each event, on Linux the one that came last, whose
 * stack and cache are warm.  A socket that has woken somebody is not watched any
 * more until the manager wants that again.
 */

#include <stddef.h>

struct door;

/* At those sockets, which stay the caller's and are not watched yet; -1: none.
 * NULL when memory or descriptors have run out. */
struct door *door_new(const int *sockets, size_t count);
/* When nobody waits there any more. */
void door_free(struct door *d);

/* From now on, or at once, whoever comes to sockets[which] wakes one worker.
 * The manager. */
void door_watch(struct door *d, size_t which);
/* Wakes one worker for each call.  The manager. */
void door_call(struct door *d);
/* Sends everybody away, those too who come later.  The manager. */
void door_close(struct door *d);

#define DOOR_CALLED (-1)
#define DOOR_CLOSED (-2)

/* Waits.  What for, in the end: the index of a socket, or one of these two.  Any
 * worker. */
int door_wait(struct door *d);

#endif
