/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_REF_H
#define MUXD_ACTOR_REF_H

/* Reference counts.  The object's own get() and put() wrap these. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ref {
	_Atomic uint32_t count;
};

static inline void
ref_init(struct ref *r)
{
	atomic_init(&r->count, 1);
}

static inline void
ref_get(struct ref *r)
{
	/* Relaxed: who can copy a reference already holds one. */
	atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
}

/*
 * For who finds the object in a table that the last put has yet to empty:
 * false when there is no reference any more.  The memory must be good.
 */
static inline bool
ref_get_unless_gone(struct ref *r)
{
	uint32_t n = atomic_load_explicit(&r->count, memory_order_relaxed);

	/* Relaxed: see ref_get(). */
	while (n != 0)
		if (atomic_compare_exchange_weak_explicit(&r->count, &n, n + 1,
			memory_order_relaxed, memory_order_relaxed))
			return true;
	return false;
}

/* True when that was the last one: the caller frees the object. */
static inline bool
ref_put(struct ref *r)
{
	/* Release and acquire pair among the puts: who frees has seen all. */
	return atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel) ==
	    1;
}

#endif
