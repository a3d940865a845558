/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_BUCKET_H
#define MUXD_SCM_BUCKET_H

/*
 * A token bucket: so much a second, and what was saved up during the last one.
 * Time is the caller's.  One thread's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* The highest rate that is counted: a terabyte a second. */
#define SCM_RATE_MAX INT64_C(1000000000000)

struct scm_bucket {
	int64_t rate;  /* tokens a second, and the most that it holds; 0: no
			* limit */
	int64_t level; /* tokens in it; below zero: spent in advance */
	int64_t rest;  /* of a token, in millionths */
	struct moment at; /* for which both are true */
};

/* Full. */
void scm_bucket_init(struct scm_bucket *b, int64_t rate, struct moment now);
/* Another rate from now on; what is in it stays, as far as it fits. */
void scm_bucket_set_rate(struct scm_bucket *b, int64_t rate,
    struct moment now);

/* Takes one token, or takes none and says false. */
bool scm_bucket_take(struct scm_bucket *b, struct moment now);

/* Takes `n`, though they are not there yet. */
void scm_bucket_spend(struct scm_bucket *b, int64_t n, struct moment now);
/* When what was spent in advance is earned; a moment that has passed when
 * nothing was. */
struct moment scm_bucket_ready(const struct scm_bucket *b);

#endif
