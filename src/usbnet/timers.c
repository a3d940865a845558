/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/timers.h"

#include <stdint.h>
#include <stdlib.h>

#define SIZE_FIRST 32

void
un_timers_fini(struct un_timers *ts)
{
	free(ts->heap);
	*ts = (struct un_timers){ 0 };
}

static bool
is_earlier(const struct un_timers *ts, size_t a, size_t b)
{
	return moment_before(ts->heap[a]->deadline, ts->heap[b]->deadline);
}

static void
put_at(struct un_timers *ts, size_t place, struct un_timer *t)
{
	ts->heap[place] = t;
	t->place = place;
}

static void
swap(struct un_timers *ts, size_t a, size_t b)
{
	struct un_timer *t = ts->heap[a];

	put_at(ts, a, ts->heap[b]);
	put_at(ts, b, t);
}

static void
rise(struct un_timers *ts, size_t at)
{
	for (; at > 1 && is_earlier(ts, at, at / 2); at /= 2)
		swap(ts, at, at / 2);
}

static void
sink(struct un_timers *ts, size_t at)
{
	for (;;) {
		size_t first = at;

		for (size_t child = 2 * at; child <= 2 * at + 1; child++)
			if (child <= ts->count && is_earlier(ts, child, first))
				first = child;
		if (first == at)
			return;
		swap(ts, at, first);
		at = first;
	}
}

static bool
make_room(struct un_timers *ts)
{
	const size_t size = ts->size > 0 ? 2 * ts->size : SIZE_FIRST;
	struct un_timer **heap;

	if (ts->count + 1 < ts->size)
		return true;
	if (size > SIZE_MAX / sizeof *heap)
		return false;
	heap = realloc(ts->heap, size * sizeof *heap);
	if (heap == NULL)
		return false;
	ts->heap = heap;
	ts->size = size;
	return true;
}

bool
un_timers_add(struct un_timers *ts, struct un_timer *t)
{
	if (!make_room(ts))
		return false;
	put_at(ts, ++ts->count, t);
	rise(ts, ts->count);
	return true;
}

void
un_timers_drop(struct un_timers *ts, struct un_timer *t)
{
	const size_t at = t->place;

	if (at == 0)
		return;
	t->place = 0;
	if (at == ts->count--)
		return;
	put_at(ts, at, ts->heap[ts->count + 1]);
	rise(ts, at);
	sink(ts, at);
}
