/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/poller_times.h"

#ifdef __linux__

#include <sys/timerfd.h>
#include <unistd.h>

bool
times_init(struct times *t)
{
	pthread_mutex_init(&t->lock, NULL);
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return t->fd >= 0;
}

void
times_fini(struct times *t)
{
	if (t->fd >= 0)
		close(t->fd);
	pthread_mutex_destroy(&t->lock);
}

/* The first step that does not begin before; never 0. */
static int64_t
step_from(int64_t ns)
{
	const int64_t steps = (ns + TIMES_STEP_NS - 1) / TIMES_STEP_NS;

	return (steps > 0 ? steps : 1) * TIMES_STEP_NS;
}

/* ---- Under the lock ---- */

static void
ring_at(struct times *t, int64_t ns)
{
	const struct itimerspec at = { .it_value = {
		.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 } };

	t->rings = ns;
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Mostly the last. */
static void
enlist(struct times *t, struct poller_watch *w, int64_t due)
{
	struct poller_watch *before = t->last;

	while (before != NULL && before->due > due)
		before = before->sooner;
	w->sooner = before;
	w->later = before != NULL ? before->later : t->first;
	*(w->later != NULL ? &w->later->sooner : &t->last) = w;
	*(before != NULL ? &before->later : &t->first) = w;
	w->times = t;
	atomic_store_explicit(&w->due, due, memory_order_relaxed);
}

static void
unlist(struct times *t, struct poller_watch *w)
{
	*(w->sooner != NULL ? &w->sooner->later : &t->first) = w->later;
	*(w->later != NULL ? &w->later->sooner : &t->last) = w->sooner;
	/* Release: pairs with the acquire in due_of(). */
	atomic_store_explicit(&w->due, 0, memory_order_release);
}

/* ---- For those who watch, and for who tells them ---- */

/* Who sees a time that has just come is told after that. */
static int64_t
due_of(const struct poller_watch *w)
{
	return atomic_load_explicit(&w->due, memory_order_acquire);
}

void
times_add(struct times *t, struct poller_watch *w, struct moment when)
{
	const int64_t due = step_from(when.ns);

	if (due_of(w) != 0 && due_of(w) <= due)
		return;
	times_forget(w);
	pthread_mutex_lock(&t->lock);
	enlist(t, w, due);
	if (t->rings == 0 || due < t->rings)
		ring_at(t, due);
	pthread_mutex_unlock(&t->lock);
}

void
times_forget(struct poller_watch *w)
{
	struct times *t = w->times;

	if (due_of(w) == 0)
		return;
	pthread_mutex_lock(&t->lock);
	if (due_of(w) != 0)
		unlist(t, w);
	pthread_mutex_unlock(&t->lock);
}

struct poller_watch *
times_next(struct times *t, struct moment now)
{
	struct poller_watch *w, *held = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->rings <= now.ns)
		t->rings = 0;
	w = t->first;
	if (w != NULL && due_of(w) <= now.ns) {
		/* While it is listed its owner has not let go. */
		held = places_hold(w->all, places_name(w));
		unlist(t, w);
	}
	if (t->first != NULL && t->rings == 0) {
		const int64_t next = step_from(now.ns + 1);

		ring_at(t, due_of(t->first) > next ? due_of(t->first) : next);
	}
	pthread_mutex_unlock(&t->lock);
	return held;
}

#endif
