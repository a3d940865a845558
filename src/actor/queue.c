/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/queue.h"

struct qnode queue_asleep, queue_closed;

/* The list from `newest` on, turned round. */
static struct qnode *
oldest_first(struct qnode *newest)
{
	struct qnode *oldest = NULL;

	while (newest != NULL) {
		struct qnode *before = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = before;
	}
	return oldest;
}

/* Replaces the head.  Acquire: pairs with the release of every push in the
 * list. */
static struct qnode *
take_all(struct queue *q, struct qnode *head)
{
	struct qnode *newest =
	    atomic_exchange_explicit(&q->head, head, memory_order_acquire);

	if (newest == &queue_asleep || newest == &queue_closed)
		return NULL;
	return oldest_first(newest);
}

struct qnode *
queue_take(struct queue *q)
{
	struct qnode *head =
	    atomic_load_explicit(&q->head, memory_order_relaxed);

	/* A look before the exchange: polling an empty queue must not take the
	 * line away from its producers. */
	if (head == NULL || head == &queue_closed)
		return NULL;
	return take_all(q, NULL);
}

struct qnode *
queue_close(struct queue *q)
{
	return take_all(q, &queue_closed);
}
