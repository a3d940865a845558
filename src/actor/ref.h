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

/* True when that was the last one: the caller frees the object. */
static inline bool
ref_put(struct ref *r)
{
	/* Release and acquire pair among the puts: who frees has seen all. */
	return atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel) ==
	    1;
}

#endif
