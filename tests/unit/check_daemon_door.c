/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How many workers a call at the door wakes; tests/race does the rest. */

#include "actor/waker.h"
#include "unit.h"

static _Atomic unsigned hearings;

/* What each does that has been woken by a call. */
static void
note_clear(struct waker *w)
{
	hearings++;
	waker_clear(w);
}

#define waker_clear note_clear
#include "daemon/door.c"
#undef waker_clear

#include "actor/thread.h"

#define WORKERS 4
#define CALLS 2000

static struct door *door;
static struct thread workers[WORKERS];
static struct waker *taken;

static void *
work(void *arg)
{
	while (door_wait(door) == DOOR_CALLED)
		waker_wake(taken);
	return arg;
}

START_TEST(a_call_wakes_one)
{
	door = door_new(NULL, 0);
	taken = waker_new();
	HOLDS(door != NULL && taken != NULL, "nothing to wait at");
	for (int i = 0; i < WORKERS; i++)
		HOLDS(thread_start(&workers[i], "worker", work, NULL) == 0,
		    "no worker");
	for (int i = 0; i < CALLS; i++) {
		door_call(door);
		HOLDS(waker_wait(taken, UNIT_PATIENCE_MS), "nobody comes");
	}
	ck_assert_uint_eq(hearings, CALLS);
	door_close(door);
	for (int i = 0; i < WORKERS; i++)
		thread_join(&workers[i]);
	door_free(door);
	waker_put(taken);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/door");
	TCase *tc = tcase_create("door");

	tcase_set_timeout(tc, 30);
#ifdef DOOR_EPOLL
	tcase_add_test(tc, a_call_wakes_one);
#endif
	suite_add_tcase(s, tc);
	return unit_run(s);
}
