/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_RELAY_PAIR_H
#define MUXD_RELAY_PAIR_H

/*
 * Two sockets joined: what comes out of one goes into the other, in both
 * directions, independently.
 *
 * A direction reads only when it holds nothing, so it never holds more than
 * one read (PAIR_READ_SIZE), and a slow receiver slows its sender and nobody
 * else.  The end of one side is passed on as a half-close after its last
 * bytes; the pair ends when both directions have.
 *
 * TCP does not tell a half-close from a close, and the phone has no half-close
 * at all.  So once the local side has ended, the phone's answer is drained
 * until it pauses for `linger_ms`.
 *
 * All on the loop's thread.
 */

#include <stdbool.h>

#include "base/clock.h"
#include "relay/poller.h"

#define PAIR_READ_SIZE 65536

struct pair;

/* What pairs share; the loop has one. */
struct pairs {
	struct poller *poller;
	int linger_ms;		/* 0: no limit */
	unsigned count;		/* live ones */
	struct pair *all;	/* doubly linked */
	struct pair *lingering; /* oldest first; their times are in order */
	struct pair *lingering_last;
	struct pair *dead; /* to be freed between two waits */
};

/* Joins the two sockets, which are the pair's from then on, also on failure:
 * -1 and errno, and they are closed. */
int pair_join(struct pairs *all, int local, int remote);

/* Ends those whose answer has paused for too long, and frees what has ended;
 * between two waits.  Returns when it wants to be called next. */
struct moment pairs_tend(struct pairs *all);

/* Ends all. */
void pairs_fini(struct pairs *all);

#endif
