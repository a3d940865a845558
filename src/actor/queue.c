/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/queue.h"

struct qnode queue_asleep;

struct qnode *
queue_take(struct queue *q)
{
	struct qnode *newest, *oldest = NULL;

	/* A look before the exchange: polling an empty queue must not take the
	 * line away from its producers. */
	if (atomic_load_explicit(&q->head, memory_order_relaxed) == NULL)
		return NULL;
	/* Acquire: pairs with the release of every push in the list. */
	newest = atomic_exchange_explicit(&q->head, NULL, memory_order_acquire);
	if (newest == &queue_asleep)
		return NULL;
	while (newest != NULL) {
		struct qnode *before = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = before;
	}
	return oldest;
}
