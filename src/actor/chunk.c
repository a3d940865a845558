/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/chunk.h"

#include <stdlib.h>

void
chunk_pool_init(struct chunk_pool *pool, uint32_t keep)
{
	queue_init(&pool->returned);
	pool->spare = NULL;
	pool->spares = 0;
	pool->keep = keep;
}

static void
keep_or_free(struct chunk_pool *pool, struct chunk *c)
{
	if (pool->spares >= pool->keep) {
		free(c);
		return;
	}
	c->more = pool->spare;
	pool->spare = c;
	pool->spares++;
}

static void
drain_returned(struct chunk_pool *pool)
{
	struct qnode *n = queue_take(&pool->returned);

	while (n != NULL) {
		struct qnode *next = n->next;

		keep_or_free(pool, (struct chunk *)n);
		n = next;
	}
}

void
chunk_pool_fini(struct chunk_pool *pool)
{
	pool->keep = 0;
	drain_returned(pool);
	while (pool->spare != NULL) {
		struct chunk *c = pool->spare;

		pool->spare = c->more;
		free(c);
	}
}

struct chunk *
chunk_take(struct chunk_pool *pool)
{
	struct chunk *c;

	drain_returned(pool);
	c = pool->spare;
	if (c != NULL) {
		pool->spare = c->more;
		pool->spares--;
	} else {
		c = malloc(sizeof *c);
		if (c == NULL)
			return NULL;
		c->pool = pool;
	}
	c->more = NULL;
	c->offset = c->len = 0;
	c->pipe = 0;
	return c;
}

void
chunk_put(struct chunk *c)
{
	while (c != NULL) {
		struct chunk *more = c->more;

		queue_push(&c->pool->returned, &c->msg.node);
		c = more;
	}
}
