/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/bucket.h"

#define US_PER_S INT64_C(1000000)

/* Adds what has been earned since `at`.  Second by second, since a longer time
 * times the rate could be more than a number holds; a full bucket stops it. */
static void
fill(struct scm_bucket *b, struct moment now)
{
	while (b->level < b->rate && b->at.ns < now.ns - 999) {
		int64_t us = (now.ns - b->at.ns) / 1000, earned;

		us = us < US_PER_S ? us : US_PER_S;
		earned = b->rest + b->rate * us;
		b->level += earned / US_PER_S;
		b->rest = earned % US_PER_S;
		b->at.ns += us * 1000;
	}
	if (b->level >= b->rate) {
		b->level = b->rate;
		b->rest = 0;
		if (b->at.ns < now.ns)
			b->at = now;
	}
}

static int64_t
bounded(int64_t rate)
{
	return rate < 0 ? 0 : rate < SCM_RATE_MAX ? rate : SCM_RATE_MAX;
}

void
scm_bucket_init(struct scm_bucket *b, int64_t rate, struct moment now)
{
	b->rate = b->level = bounded(rate);
	b->rest = 0;
	b->at = now;
}

void
scm_bucket_set_rate(struct scm_bucket *b, int64_t rate, struct moment now)
{
	if (b->rate == 0 || rate <= 0) {
		scm_bucket_init(b, rate, now);
		return;
	}
	fill(b, now);
	b->rate = bounded(rate);
	if (b->level > b->rate)
		b->level = b->rate;
}

bool
scm_bucket_take(struct scm_bucket *b, struct moment now)
{
	if (b->rate == 0)
		return true;
	fill(b, now);
	if (b->level < 1)
		return false;
	b->level--;
	return true;
}

void
scm_bucket_spend(struct scm_bucket *b, int64_t n, struct moment now)
{
	if (b->rate == 0)
		return;
	fill(b, now);
	b->level -= n;
}

struct moment
scm_bucket_ready(const struct scm_bucket *b)
{
	const int64_t debt = -b->level;

	if (b->rate == 0 || debt <= 0)
		return (struct moment){ INT64_MIN };
	/* Whole seconds and the rest, so that nothing overflows. */
	return (struct moment){ b->at.ns +
		(debt / b->rate * US_PER_S +
		    (debt % b->rate * US_PER_S + b->rate - 1) / b->rate) *
		    1000 };
}
