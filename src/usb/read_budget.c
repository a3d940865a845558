/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/read_budget.h"

/* Everything here is relaxed: numbers, which order nothing. */

void
read_budget_init(struct read_budget *b)
{
	atomic_init(&b->left, READ_BUDGET);
	atomic_init(&b->claims, 0);
}

void
read_budget_join(struct read_budget *b, struct read_claim *c, int wanted)
{
	atomic_fetch_add_explicit(&b->claims, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&b->left, 1, memory_order_relaxed);
	c->held = 1;
	c->wanted = wanted;
}

static void
give_back(struct read_budget *b, struct read_claim *c, int n)
{
	atomic_fetch_add_explicit(&b->left, n, memory_order_relaxed);
	c->held -= n;
}

void
read_budget_leave(struct read_budget *b, struct read_claim *c)
{
	give_back(b, c, c->held);
	atomic_fetch_sub_explicit(&b->claims, 1, memory_order_relaxed);
}

static bool
take_one(struct read_budget *b, struct read_claim *c)
{
	int left = atomic_load_explicit(&b->left, memory_order_relaxed);

	while (left > 0)
		if (atomic_compare_exchange_weak_explicit(&b->left, &left,
			left - 1, memory_order_relaxed, memory_order_relaxed)) {
			c->held++;
			return true;
		}
	return false;
}

/* What the claim may grow to: at least 1. */
static int
share(struct read_budget *b, const struct read_claim *c)
{
	const int claims =
	    atomic_load_explicit(&b->claims, memory_order_relaxed);
	const int each = claims < READ_BUDGET ? READ_BUDGET / claims : 1;

	return c->wanted < each ? c->wanted : each;
}

void
read_budget_adjust(struct read_budget *b, struct read_claim *c, int idle)
{
	const int goal = share(b, c);

	if (c->held > goal && idle > 0)
		give_back(b, c, c->held - goal < idle ? c->held - goal : idle);
	while (c->held < goal && take_one(b, c))
		;
}
