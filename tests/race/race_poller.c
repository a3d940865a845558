/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Watches come and go while their descriptors become ready and their times come:
 * each edge and each time is told, nothing is told of a watch that is gone, and each
 * is gone once, though its place is another's a moment later.
 */

#include "race.h"

#include "actor/poller.c"

#include "actor/mailbox.h"

#define GROUPS 2
#define WATCHERS 3
#define EDGES 4 /* told of a watch, before it ends */

#ifdef __linux__

/* What a watch is of: of one after the other, so that one which is told too late
 * is seen, and not a crash. */
struct watched {
	_Atomic int told;	/* edges */
	_Atomic int late;	/* times */
	_Atomic bool asked;	/* to be told of one */
	_Atomic int inside;	/* threads that are in it */
	_Atomic bool gone;
	struct waker *told_waker;
};

struct watcher {
	struct thread thread;
	uint32_t seed;
	uint64_t watches;
};

static struct poller *poller;
static struct watcher watchers[WATCHERS];
static _Atomic bool over;

static void
ready(void *arg, short events)
{
	struct watched *w = arg;

	MUST(events == POLLIN ||
	    (events == POLLER_TIME && atomic_load(&w->asked)));
	atomic_fetch_add(&w->inside, 1);
	MUST(!atomic_load(&w->gone));
	atomic_fetch_add(events == POLLIN ? &w->told : &w->late, 1);
	waker_wake(w->told_waker);
	MUST(!atomic_load(&w->gone));
	atomic_fetch_sub(&w->inside, 1);
}

static void
gone(void *arg)
{
	struct watched *w = arg;

	MUST(!atomic_exchange(&w->gone, true));
	MUST(atomic_load(&w->inside) == 0);
	waker_wake(w->told_waker);
}

/* Makes it readable, and waits until that has been told; never, when an edge is
 * lost. */
static void
make_edges(struct watched *w, struct waker *fd)
{
	for (int i = 0; i < EDGES; i++) {
		const int before = atomic_load(&w->told);

		waker_clear(fd);
		waker_wake(fd);
		while (atomic_load(&w->told) == before)
			waker_wait(w->told_waker, -1);
	}
}

/* A time now and then, once or twice; never told of, if it was forgotten. */
static void
let_time_pass(struct watched *w, struct poller_watch *watch)
{
	const int before = atomic_load(&w->late);

	if (race_random() % 64 != 0)
		return;
	atomic_store(&w->asked, true);
	poller_remind(watch, moment_after_ms(clock_now(), race_random() % 8));
	if (race_random() % 2 == 0)
		poller_move(watch, race_random(), POLLIN);
	if (race_random() % 2 == 0)
		poller_remind(watch, clock_now());
	if (race_random() % 2 == 0)
		return; /* it meets the end */
	while (atomic_load(&w->late) == before)
		waker_wait(w->told_waker, -1);
}

/* One watch's life. */
static void
watch_once(struct watched *w, struct waker *fd)
{
	struct poller_watch *watch;

	atomic_store(&w->told, 0);
	atomic_store(&w->late, 0);
	atomic_store(&w->asked, false);
	atomic_store(&w->gone, false);
	watch = poller_watch(poller, race_random(), fd->read_fd, POLLIN,
	    ready, gone, w);
	MUST(watch != NULL);
	make_edges(w, fd);
	if (race_random() % 2 == 0)
		poller_rewatch(watch, POLLIN);
	let_time_pass(w, watch);
	/* And one that meets the end. */
	waker_wake(fd);
	poller_unwatch(watch);
	while (!atomic_load(&w->gone))
		waker_wait(w->told_waker, -1);
}

static void *
watch(void *arg)
{
	struct watcher *me = arg;
	struct watched w = { .told_waker = waker_new() };
	struct waker *fd = waker_new_polled();

	race_seed(me->seed);
	MUST(w.told_waker != NULL && fd != NULL);
	for (; !atomic_load(&over); me->watches++)
		watch_once(&w, fd);
	waker_put(fd);
	waker_put(w.told_waker);
	return NULL;
}

int
main(void)
{
	const struct moment end = race_begin();

	poller = poller_new(GROUPS);
	MUST(poller != NULL);
	for (int i = 0; i < WATCHERS; i++) {
		watchers[i].seed = (uint32_t)i + 2;
		MUST(thread_start(&watchers[i].thread, "watcher", watch,
			 &watchers[i]) == 0);
	}
	while (!race_is_over(end))
		sched_yield();
	atomic_store(&over, true);
	for (int i = 0; i < WATCHERS; i++) {
		thread_join(&watchers[i].thread);
		MUST(watchers[i].watches > 0);
	}
	poller_free(poller);
	return 0;
}

#else

int
main(void)
{
	return 77; /* there is none */
}

#endif
