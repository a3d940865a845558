/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/poller_places.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

void
places_init(struct places *p)
{
	pthread_mutex_init(&p->lock, NULL);
}

void
places_fini(struct places *p)
{
	for (uint32_t i = 0; i < p->block_count; i++)
		free(atomic_load_explicit(&p->blocks[i], memory_order_relaxed));
	pthread_mutex_destroy(&p->lock);
}

static uint32_t
use_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

/* One more block of free places.  Under the lock. */
static bool
add_block(struct places *p)
{
	struct poller_watch *block;

	if (p->block_count == PLACES_BLOCKS) {
		errno = ENOMEM;
		return false;
	}
	block = calloc(PLACES_BLOCK, sizeof *block);
	if (block == NULL)
		return false;
	for (uint32_t i = PLACES_BLOCK; i-- > 0;) {
		atomic_init(&block[i].state, 0);
		atomic_init(&block[i].due, 0);
		block[i].all = p;
		block[i].place = p->block_count * PLACES_BLOCK + i;
		block[i].next = p->free;
		p->free = &block[i];
	}
	atomic_store_explicit(&p->blocks[p->block_count++], block,
	    memory_order_release);
	return true;
}

struct poller_watch *
places_take(struct places *p)
{
	struct poller_watch *w = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->free != NULL || add_block(p)) {
		w = p->free;
		p->free = w->next;
	}
	pthread_mutex_unlock(&p->lock);
	return w;
}

static void
give(struct poller_watch *w)
{
	struct places *p = w->all;

	pthread_mutex_lock(&p->lock);
	w->next = p->free;
	p->free = w;
	pthread_mutex_unlock(&p->lock);
}

void
places_begin(struct poller_watch *w)
{
	const uint64_t before =
	    atomic_load_explicit(&w->state, memory_order_relaxed);

	/* Release: pairs with the acquire in places_hold(). */
	atomic_store_explicit(&w->state,
	    ((uint64_t)use_of(before) + 1) << 32 | 1, memory_order_release);
}

void
places_drop(struct poller_watch *w)
{
	const uint64_t state =
	    atomic_load_explicit(&w->state, memory_order_relaxed);

	atomic_store_explicit(&w->state, state - 1, memory_order_relaxed);
	give(w);
}

uint64_t
places_name(const struct poller_watch *w)
{
	const uint64_t state =
	    atomic_load_explicit(&w->state, memory_order_relaxed);

	return (uint64_t)use_of(state) << 32 | w->place;
}

struct poller_watch *
places_hold(struct places *p, uint64_t name)
{
	const uint32_t place = (uint32_t)name;
	struct poller_watch *w =
	    atomic_load_explicit(&p->blocks[place / PLACES_BLOCK],
		memory_order_acquire) + place % PLACES_BLOCK;
	uint64_t state =
	    atomic_load_explicit(&w->state, memory_order_relaxed);

	do {
		if (use_of(state) != use_of(name) || (uint32_t)state == 0)
			return NULL;
		/* Acquire: pairs with the release in places_begin(). */
	} while (!atomic_compare_exchange_weak_explicit(&w->state, &state,
	    state + 1, memory_order_acquire, memory_order_relaxed));
	return w;
}

void
places_let_go(struct poller_watch *w)
{
	/* Release and acquire pair among all who let go: the last one sees what
	 * the others did. */
	const uint64_t before = atomic_fetch_sub_explicit(&w->state, 1,
	    memory_order_acq_rel);

	if ((uint32_t)before != 1)
		return;
	w->gone(w->arg);
	give(w);
}
