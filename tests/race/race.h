/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_RACE_H
#define MUXD_TESTS_RACE_H

/*
 * For tests that run an algorithm of src/actor from many threads at once.
 *
 * Such a test includes this file first and then the sources that it tests, not
 * their library: every atomic operation in them then yields at random before
 * and after it, so that threads meet between any two steps.  Run under
 * ThreadSanitizer it also checks that each memory order is enough.
 *
 * A test runs for RACE_MS and ends the process when something is not so; what
 * it waits for without end, the alarm ends.
 */

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define RACE_MS 1000
#define RACE_ALARM_S 60

/* What must hold however threads run. */
#define MUST(claim)                                                       \
	do {                                                              \
		if (!(claim)) {                                           \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
			    __LINE__, #claim);                            \
			abort();                                          \
		}                                                         \
	} while (0)

/* Each thread's own chance, from a seed that is the same in every run. */
static _Thread_local uint32_t race_state;

static inline void
race_seed(uint32_t seed)
{
	race_state = seed * 2654435761u + 1;
}

static inline uint32_t
race_random(void)
{
	race_state ^= race_state << 13;
	race_state ^= race_state >> 17;
	race_state ^= race_state << 5;
	return race_state;
}

/* Mostly nothing; now and then a short delay, or another thread's turn. */
static inline void
race_yield(void)
{
	const uint32_t r = race_random();

	if (r % 64 == 0)
		sched_yield();
	else if (r % 16 == 0)
		for (volatile uint32_t i = 0; i < (r >> 24); i++)
			;
}

static inline struct moment
race_begin(void)
{
	alarm(RACE_ALARM_S);
	race_seed(1);
	return moment_after_ms(clock_now(), RACE_MS);
}

static inline bool
race_is_over(struct moment end)
{
	return !moment_before(clock_now(), end);
}

/* ---- The operations of <stdatomic.h> that src/actor uses ---- */

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit

#ifdef __clang__
#define RACE_OP(name) __c11_atomic_##name
#define RACE_CAS(kind, weak, o, e, v, s, f) \
	__c11_atomic_compare_exchange_##kind(o, e, v, s, f)
#else
#define RACE_OP(name) RACE_GNU_##name
#define RACE_GNU_load __atomic_load_n
#define RACE_GNU_store __atomic_store_n
#define RACE_GNU_exchange __atomic_exchange_n
#define RACE_GNU_fetch_add __atomic_fetch_add
#define RACE_GNU_fetch_sub __atomic_fetch_sub
#define RACE_CAS(kind, weak, o, e, v, s, f) \
	__atomic_compare_exchange_n(o, e, v, weak, s, f)
#endif

/* Yields before the operation, and again before what follows it. */
#define RACE_AROUND(op)                                \
	__extension__({                                \
		race_yield();                          \
		__auto_type race_result = (op);        \
		race_yield();                          \
		race_result;                           \
	})

#define atomic_load_explicit(o, m) RACE_AROUND(RACE_OP(load)(o, m))
#define atomic_store_explicit(o, v, m) (race_yield(), RACE_OP(store)(o, v, m))
#define atomic_exchange_explicit(o, v, m) \
	RACE_AROUND(RACE_OP(exchange)(o, v, m))
#define atomic_fetch_add_explicit(o, v, m) \
	RACE_AROUND(RACE_OP(fetch_add)(o, v, m))
#define atomic_fetch_sub_explicit(o, v, m) \
	RACE_AROUND(RACE_OP(fetch_sub)(o, v, m))
#define atomic_compare_exchange_strong_explicit(o, e, v, s, f) \
	RACE_AROUND(RACE_CAS(strong, 0, o, e, v, s, f))
#define atomic_compare_exchange_weak_explicit(o, e, v, s, f) \
	RACE_AROUND(RACE_CAS(weak, 1, o, e, v, s, f))

#define atomic_load(o) atomic_load_explicit(o, memory_order_seq_cst)
#define atomic_store(o, v) atomic_store_explicit(o, v, memory_order_seq_cst)
#define atomic_exchange(o, v) \
	atomic_exchange_explicit(o, v, memory_order_seq_cst)
#define atomic_fetch_add(o, v) \
	atomic_fetch_add_explicit(o, v, memory_order_seq_cst)
#define atomic_fetch_sub(o, v) \
	atomic_fetch_sub_explicit(o, v, memory_order_seq_cst)
#define atomic_compare_exchange_strong(o, e, v)                            \
	atomic_compare_exchange_strong_explicit(o, e, v,                   \
	    memory_order_seq_cst, memory_order_seq_cst)
#define atomic_compare_exchange_weak(o, e, v)                            \
	atomic_compare_exchange_weak_explicit(o, e, v,                   \
	    memory_order_seq_cst, memory_order_seq_cst)

#endif
