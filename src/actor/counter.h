/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_COUNTER_H
#define MUXD_ACTOR_COUNTER_H

/*
 * A counter that one thread writes and any thread reads.  Relaxed throughout:
 * it tells a number and orders nothing.  One writer, so no locked instruction.
 */

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t value;
};

static inline void
counter_add(struct counter *c, uint64_t n)
{
	atomic_store_explicit(&c->value,
	    atomic_load_explicit(&c->value, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
counter_set(struct counter *c, uint64_t n)
{
	atomic_store_explicit(&c->value, n, memory_order_relaxed);
}

static inline uint64_t
counter_read(const struct counter *c)
{
	return atomic_load_explicit(&c->value, memory_order_relaxed);
}

#endif
