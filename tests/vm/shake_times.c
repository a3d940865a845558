/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Milliseconds, and what they come to. */
#include "shake.h"

#include <stdio.h>
#include <stdlib.h>

void
times_add(struct times *t, int64_t ms)
{
	if (t->count == TIMES_MAX)
		die("more than %d times of a kind", TIMES_MAX);
	t->ms[t->count++] = (int)ms;
}

void
times_sum(struct times *to, const struct times *t)
{
	for (unsigned i = 0; i < t->count; i++)
		times_add(to, t->ms[i]);
}

static int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void
times_print(struct times *t, const char *what)
{
	qsort(t->ms, t->count, sizeof t->ms[0], compare);
	printf("%s: %u times, median %d ms, at most %d ms\n", what, t->count,
	    t->count > 0 ? t->ms[t->count / 2] : 0,
	    t->count > 0 ? t->ms[t->count - 1] : 0);
}
