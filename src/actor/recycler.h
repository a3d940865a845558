/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_RECYCLER_H
#define MUXD_ACTOR_RECYCLER_H

/*
 * Objects that go from one thread to others and come back for reuse, so that a
 * steady stream allocates nothing.  One owner takes; anybody gives back.  The
 * objects are linked through a node of theirs; whoever makes one bounds how
 * many there are.
 */

#include "actor/queue.h"

struct recycler {
	struct queue returned; /* given by anyone */
	struct qnode *spare;   /* the owner's own list */
};

static inline void
recycler_init(struct recycler *r)
{
	queue_init(&r->returned);
	r->spare = NULL;
}

/* One that has come back; NULL: make a new one.  The owner. */
static inline struct qnode *
recycler_take(struct recycler *r)
{
	struct qnode *n = r->spare;

	if (n == NULL)
		n = queue_take(&r->returned);
	if (n != NULL)
		r->spare = n->next;
	return n;
}

/* Gives one back.  Any thread. */
static inline void
recycler_give(struct recycler *r, struct qnode *n)
{
	queue_push(&r->returned, n);
}

/* The same, for one that was taken in vain.  The owner. */
static inline void
recycler_keep(struct recycler *r, struct qnode *n)
{
	n->next = r->spare;
	r->spare = n;
}

#endif
