/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_QUEUE_H
#define MUXD_ACTOR_QUEUE_H

/*
 * Intrusive queue, many producers and one consumer, lock-free.
 *
 * Producers push onto a stack; the consumer takes the whole stack at once and
 * turns it round, so that what it gets is in the order of arrival.  Because
 * only whole lists leave, a node cannot come back while a push still looks at
 * it, and the usual ABA trap of a lock-free stack does not exist.
 *
 * The head also says whether the consumer sleeps.  Only the push that finds it
 * asleep has to wake it: one wake-up per batch, none while it is busy.
 *
 * A queue can be closed by its consumer; from then on pushes are refused, and
 * whoever wanted to push still owns the node.
 *
 * What may run beside what (- nothing needed, X must not overlap):
 *
 *		push	take	idle	close
 *	push	-	-	-	-
 *	take		X	X	X
 *	idle			X	X
 *	close				X
 *
 * take, idle and close belong to the one consumer.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct qnode {
	struct qnode *next;
};

struct queue {
	/* NULL: empty, the consumer is awake.  &queue_asleep: empty, and the
	 * consumer waits to be woken.  &queue_closed.  Otherwise: the newest
	 * node. */
	_Atomic(struct qnode *) head;
};

extern struct qnode queue_asleep, queue_closed;

enum queue_push {
	QUEUE_REFUSED, /* closed: the node is still the caller's */
	QUEUE_ADDED,
	QUEUE_WAKE, /* added, and the consumer sleeps: wake it */
};

static inline void
queue_init(struct queue *q)
{
	atomic_init(&q->head, NULL);
}

/* Adds `n`, which the queue owns until it is taken.  Any thread. */
static inline enum queue_push
queue_push(struct queue *q, struct qnode *n)
{
	struct qnode *old =
	    atomic_load_explicit(&q->head, memory_order_relaxed);

	do {
		if (old == &queue_closed)
			return QUEUE_REFUSED;
		n->next = old == &queue_asleep ? NULL : old;
		/* Release: pairs with the acquire in queue_take(), which makes
		 * the node's contents visible to the consumer.  Acquire: pairs
		 * with the release in queue_idle(); who wakes a sleeper sees
		 * where it sleeps. */
	} while (!atomic_compare_exchange_weak_explicit(&q->head, &old, n,
	    memory_order_acq_rel, memory_order_relaxed));
	return old == &queue_asleep ? QUEUE_WAKE : QUEUE_ADDED;
}

/*
 * Everything that has been pushed, oldest first, linked through `next`; NULL
 * when there is nothing.  The consumer counts as awake afterwards.
 */
struct qnode *queue_take(struct queue *q);

/* Nothing to take at this moment.  Sequentially consistent, for consumers that
 * hand their role to whoever pushes next. */
static inline bool
queue_is_empty(struct queue *q)
{
	const struct qnode *head = atomic_load(&q->head);

	return head == NULL || head == &queue_asleep || head == &queue_closed;
}

/* Closes the queue for good; what was in it comes back as from queue_take(). */
struct qnode *queue_close(struct queue *q);

/*
 * Declares the consumer asleep, unless something has been pushed meanwhile.
 * True: it may block until a producer wakes it.  False: take again.
 */
static inline bool
queue_idle(struct queue *q)
{
	struct qnode *empty = NULL;

	/* Acquire/release: a push that comes later sees the mark and wakes, and
	 * sees what the consumer has written before. */
	return atomic_compare_exchange_strong_explicit(&q->head, &empty,
		   &queue_asleep, memory_order_acq_rel, memory_order_relaxed) ||
	    empty == &queue_asleep;
}

#endif
