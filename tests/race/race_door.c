/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Workers at the door: each call, and each socket that is watched, wakes one of
 * them, none is missed, and in the end all are sent away.
 */

#include "race.h"

#include "daemon/door.c"

#include "actor/thread.h"

#define WORKERS 3
#define SOCKETS 2
#define UNDER_WAY 4 /* calls that have not been taken, at most */

struct worker {
	struct thread thread;
	uint32_t seed;
	uint64_t woken;
};

static struct door *door;
static struct worker workers[WORKERS];
static struct waker *sockets[SOCKETS], *taken;
static _Atomic bool watched[SOCKETS];
static _Atomic int calls;

static void *
work(void *arg)
{
	struct worker *me = arg;
	int found;

	race_seed(me->seed);
	while ((found = door_wait(door)) != DOOR_CLOSED) {
		me->woken++;
		if (found == DOOR_CALLED) {
			MUST(atomic_fetch_sub(&calls, 1) > 0);
		} else {
			MUST(found >= 0 && found < SOCKETS);
			waker_clear(sockets[found]);
			/* Nobody else, until it is watched again. */
			MUST(atomic_exchange(&watched[found], false));
		}
		waker_wake(taken);
	}
	return NULL;
}

/* Somebody comes to the socket, before it is watched or after. */
static void
come(size_t i)
{
	const bool early = race_random() % 2 == 0;

	if (early)
		waker_wake(sockets[i]);
	atomic_store(&watched[i], true);
	door_watch(door, i);
	if (!early)
		waker_wake(sockets[i]);
}

/* True: nobody is on his way, nor to be. */
static bool
make_work(bool more)
{
	bool quiet = atomic_load(&calls) == 0;

	while (more && atomic_load(&calls) < UNDER_WAY &&
	    race_random() % 4 != 0) {
		atomic_fetch_add(&calls, 1);
		door_call(door);
	}
	for (size_t i = 0; i < SOCKETS; i++) {
		quiet = quiet && !atomic_load(&watched[i]);
		if (more && !atomic_load(&watched[i]))
			come(i);
	}
	return quiet;
}

int
main(void)
{
	const struct moment end = race_begin();
	int fds[SOCKETS];

	taken = waker_new();
	MUST(taken != NULL);
	for (int i = 0; i < SOCKETS; i++) {
		sockets[i] = waker_new_polled();
		MUST(sockets[i] != NULL);
		fds[i] = sockets[i]->read_fd;
	}
	door = door_new(fds, SOCKETS);
	MUST(door != NULL);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].seed = (uint32_t)i + 2;
		MUST(thread_start(&workers[i].thread, "worker", work,
			 &workers[i]) == 0);
	}
	while (!race_is_over(end)) {
		make_work(true);
		/* For ever, when something was missed. */
		while (!make_work(false))
			waker_wait(taken, -1);
	}
	door_close(door);
	for (int i = 0; i < WORKERS; i++) {
		thread_join(&workers[i].thread);
		MUST(workers[i].woken > 0);
	}
	door_free(door);
	for (int i = 0; i < SOCKETS; i++)
		waker_put(sockets[i]);
	waker_put(taken);
	return 0;
}
