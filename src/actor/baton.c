/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/baton.h"

/* False: it is lent, and will be handed to the owner. */
static bool
take_if_free(struct baton *b)
{
	int state = BATON_FREE;

	/* Acquire: pairs with the release of the borrower before.  Release: with
	 * the acquire of a borrower who cannot return it. */
	while (!atomic_compare_exchange_weak_explicit(&b->state, &state,
	    state == BATON_FREE ? BATON_HELD : BATON_WANTED,
	    memory_order_acq_rel, memory_order_relaxed))
		;
	return state == BATON_FREE;
}

void
baton_take_up(struct baton *b, struct waker *w)
{
	if (take_if_free(b))
		return;
	/* Acquire: the same. */
	while (atomic_load_explicit(&b->state, memory_order_acquire) !=
	    BATON_HELD)
		waker_wait(w, -1);
}
