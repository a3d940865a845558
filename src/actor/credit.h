/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_CREDIT_H
#define MUXD_ACTOR_CREDIT_H

/*
 * Credit: how much one thread may have under way at another, in whatever unit.
 *
 * The taker spends it, the giver hands it back when the work is done.  While
 * there is credit left nobody is told anything; when the taker has found none
 * and goes to sleep over it, the next gift posts one message to its mailbox.
 * That message lives inside the credit and is never in two queues.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"

enum credit_state {
	CREDIT_QUIET,  /* nobody waits */
	CREDIT_WANTED, /* the taker found none: the next gift posts */
	CREDIT_POSTED, /* the message is on its way, not yet collected */
};

struct credit {
	struct msg msg; /* posted to `to` when credit has come back */
	struct mailbox *to;
	uint32_t limit; /* the taker may change it at any time */
	_Atomic uint32_t used;
	_Atomic int state; /* enum credit_state */
};

static inline void
credit_init(struct credit *c, uint32_t limit, struct mailbox *to, int type)
{
	c->msg.type = type;
	c->to = to;
	c->limit = limit;
	atomic_init(&c->used, 0);
	atomic_init(&c->state, CREDIT_QUIET);
}

static inline uint32_t
credit_used(const struct credit *c)
{
	return atomic_load_explicit(&c->used, memory_order_relaxed);
}

/*
 * Takes `n`, as long as less than the limit is out; it may be more then, so that
 * no piece is too large for a limit.  False: nothing is left; the message will
 * come when there is, and the taker tries again then, after credit_collect().
 * The taker, as the actor that it is: not from two threads at once.
 */
static inline bool
credit_take(struct credit *c, uint32_t n)
{
	int expected = CREDIT_QUIET;

	/* Sequentially consistent here and in credit_give(): either the taker
	 * sees the gift in `used`, or the giver sees the wish in `state`. */
	if (atomic_load(&c->used) >= c->limit) {
		atomic_compare_exchange_strong(&c->state, &expected,
		    CREDIT_WANTED);
		if (atomic_load(&c->used) >= c->limit)
			return false;
		expected = CREDIT_WANTED;
		atomic_compare_exchange_strong(&c->state, &expected,
		    CREDIT_QUIET);
	}
	atomic_fetch_add(&c->used, n);
	return true;
}

/* Gives `n` back.  True: the taker sleeps, and the caller wakes it with
 * mailbox_wake_owner(), or acts for it.  Any thread. */
static inline bool
credit_return(struct credit *c, uint32_t n)
{
	int expected = CREDIT_WANTED;

	atomic_fetch_sub(&c->used, n);
	return atomic_load(&c->state) == CREDIT_WANTED &&
	    atomic_compare_exchange_strong(&c->state, &expected,
		CREDIT_POSTED) &&
	    mailbox_offer(c->to, &c->msg) == QUEUE_WAKE;
}

/* Gives `n` back, and wakes a taker that waits for it.  Any thread. */
static inline void
credit_give(struct credit *c, uint32_t n)
{
	if (credit_return(c, n))
		mailbox_wake_owner(c->to);
}

/* To be called when the message has been taken from the mailbox, before the
 * next credit_take().  The taker's thread. */
static inline void
credit_collect(struct credit *c)
{
	atomic_store(&c->state, CREDIT_QUIET);
}

#endif
