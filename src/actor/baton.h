/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_BATON_H
#define MUXD_ACTOR_BATON_H

/*
 * A baton: the right to act as a certain actor.
 *
 * To wake a thread costs more than much of what it is woken for.  So an actor's
 * thread lays its baton down before it sleeps, and whoever has something for it
 * may borrow the baton, do the actor's work on the spot, and return it.  What
 * the actor owns has one owner all the time: the holder of the baton.
 *
 * Borrowing never waits.  The owner, when it wakes for a reason of its own,
 * waits until the baton is back; so a borrower does no more than what does not
 * block, and a bounded amount of it.
 *
 * A borrower has posted to the actor's mailbox first (mailbox_offer()), and
 * returns the baton only when the mailbox is idle again, or wakes the owner to
 * do the rest.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "actor/mailbox.h"

enum baton_state {
	BATON_HELD,   /* by the owner, which is awake */
	BATON_FREE,   /* the owner sleeps */
	BATON_LENT,
	BATON_WANTED, /* lent, and the owner waits for it */
};

struct baton {
	_Atomic int state; /* enum baton_state */
};

static inline void
baton_init(struct baton *b)
{
	atomic_init(&b->state, BATON_HELD);
}

/* Of an actor that has no thread yet: the first to come for it is a borrower. */
static inline void
baton_init_free(struct baton *b)
{
	atomic_init(&b->state, BATON_FREE);
}

/* The owner is about to sleep. */
static inline void
baton_lay_down(struct baton *b)
{
	/* Release: pairs with the acquire of baton_borrow(). */
	atomic_store_explicit(&b->state, BATON_FREE, memory_order_release);
}

/* The owner is awake again; `w` is its waker, whose wake-ups may be lost here:
 * it looks into its mailbox next. */
void baton_take_up(struct baton *b, struct waker *w);

/* True: the caller is the actor until baton_return().  Any thread. */
static inline bool
baton_borrow(struct baton *b)
{
	int free = BATON_FREE;

	/* A look first: mostly it is not free, and the line stays shared. */
	return atomic_load_explicit(&b->state, memory_order_relaxed) ==
	    BATON_FREE &&
	    atomic_compare_exchange_strong_explicit(&b->state, &free,
		BATON_LENT, memory_order_acquire, memory_order_relaxed);
}

/* The borrower is done.  False: the owner waits for it, and is given it with
 * baton_hand_over(). */
static inline bool
baton_try_return(struct baton *b)
{
	int lent = BATON_LENT;

	/* Release: pairs with the acquires of borrow and take_up.  Acquire: what
	 * the owner did before it wanted the baton is seen, its waker too. */
	return atomic_compare_exchange_strong_explicit(&b->state, &lent,
	    BATON_FREE, memory_order_acq_rel, memory_order_acquire);
}

/* `w` is the owner's waker, which must be good even if the owner ends at
 * once. */
static inline void
baton_hand_over(struct baton *b, struct waker *w)
{
	/* Release: pairs with the acquire of take_up. */
	atomic_store_explicit(&b->state, BATON_HELD, memory_order_release);
	waker_wake(w);
}

/* Both, for an owner that is the same all the time. */
static inline void
baton_return(struct baton *b, struct waker *w)
{
	if (!baton_try_return(b))
		baton_hand_over(b, w);
}

#endif
