/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which thread tells of what, above all when one of them is kept waiting. */

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "actor/mailbox.h"
#include "actor/poller.h"
#include "unit.h"

/* A descriptor that is watched.  Who tells of it rings those of `rings`, and is
 * kept until it is let go where there is a `let_go`. */
struct bell {
	struct waker *fd, *told, *let_go;
	struct bell *const *rings; /* RUNG of them, or NULL */
	struct poller_watch *watch;
	pthread_t by; /* who told last; read after `told` */
};

#define RUNG 4

static struct poller *poller;

static void
ready(void *arg, short events)
{
	struct bell *b = arg;

	ck_assert_int_eq(events, POLLIN);
	b->by = pthread_self();
	for (int i = 0; b->rings != NULL && i < RUNG; i++)
		waker_wake(b->rings[i]->fd);
	waker_wake(b->told);
	if (b->let_go != NULL) {
		waker_wait(b->let_go, -1);
		waker_wake(b->told);
	}
}

static void
gone(void *arg)
{
	struct bell *b = arg;

	waker_put(b->fd);
	waker_put(b->told);
	if (b->let_go != NULL)
		waker_put(b->let_go);
	free(b);
}

static struct bell *
hang(unsigned group, bool keeps, struct bell *const rings[])
{
	struct bell *b = calloc(1, sizeof *b);

	b->fd = waker_new_polled();
	b->told = waker_new();
	if (keeps)
		b->let_go = waker_new();
	b->rings = rings;
	b->watch = poller_watch(poller, group, b->fd->read_fd, POLLIN, ready,
	    gone, b);
	ck_assert_ptr_nonnull(b->watch);
	return b;
}

static void
ring(struct bell *b)
{
	waker_wake(b->fd);
}

static void
await_told(struct bell *b)
{
	HOLDS(waker_wait(b->told, UNIT_PATIENCE_MS), "not told");
}

/* One that keeps who has told of it. */
static void
let_go(struct bell *b)
{
	waker_wake(b->let_go);
	await_told(b);
}

/* Told of, and by whom. */
static pthread_t
teller(struct bell *b)
{
	ring(b);
	await_told(b);
	return b->by;
}

static void
begin(unsigned groups)
{
	poller = poller_new(groups);
	ck_assert_ptr_nonnull(poller);
}

START_TEST(a_group_is_told_of_by_one_thread)
{
	struct bell *a, *b, *other;

	begin(2);
	a = hang(4, false, NULL);
	b = hang(6, false, NULL);
	other = hang(5, false, NULL);
	for (int i = 0; i < 100; i++) {
		const pthread_t by = teller(a);

		ck_assert(pthread_equal(teller(b), by));
		ck_assert(!pthread_equal(teller(other), by));
	}
	poller_unwatch(a->watch);
	poller_unwatch(b->watch);
	poller_unwatch(other->watch);
	poller_free(poller);
}
END_TEST

START_TEST(a_thread_that_is_kept_is_replaced)
{
	struct bell *slow, *b;

	begin(1);
	slow = hang(0, true, NULL);
	b = hang(0, false, NULL);
	for (int i = 0; i < 5; i++) {
		const pthread_t kept = teller(slow);

		ck_assert(!pthread_equal(teller(b), kept));
		let_go(slow);
	}
	/* By somebody. */
	teller(b);
	poller_unwatch(slow->watch);
	poller_unwatch(b->watch);
	poller_free(poller);
}
END_TEST

/* A thread finds all at once that were rung while it was at work, and is kept at
 * the first of them. */
START_TEST(what_it_had_taken_is_told_by_the_next)
{
	struct bell *all, *b[RUNG];

	begin(1);
	for (int i = 0; i < RUNG; i++)
		b[i] = hang(0, i == 0, NULL);
	all = hang(0, false, b);
	ring(all);
	for (int i = 0; i < RUNG; i++)
		await_told(b[i]);
	for (int i = 1; i < RUNG; i++) {
		ck_assert(!pthread_equal(b[i]->by, b[0]->by));
		poller_unwatch(b[i]->watch);
	}
	let_go(b[0]);
	poller_unwatch(b[0]->watch);
	poller_unwatch(all->watch);
	poller_free(poller);
}
END_TEST

START_TEST(another_group_is_not_kept)
{
	struct bell *slow[2], *b[2];

	begin(2);
	for (unsigned i = 0; i < 2; i++) {
		slow[i] = hang(i, true, NULL);
		b[i] = hang(i, false, NULL);
	}
	/* With as many kept as there are groups, there is one for each left. */
	teller(slow[0]);
	teller(b[1]);
	teller(slow[1]);
	teller(b[0]);
	teller(b[1]);
	for (int i = 0; i < 2; i++) {
		let_go(slow[i]);
		poller_unwatch(slow[i]->watch);
		poller_unwatch(b[i]->watch);
	}
	poller_free(poller);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("actor/poller");
	TCase *tc = tcase_create("poller");

	poller = poller_new(1);
	if (poller == NULL)
		return 77; /* not on this system */
	poller_free(poller);
	tcase_set_timeout(tc, 2 * UNIT_PATIENCE_MS / 1000.0);
	tcase_add_test(tc, a_group_is_told_of_by_one_thread);
	tcase_add_test(tc, a_thread_that_is_kept_is_replaced);
	tcase_add_test(tc, what_it_had_taken_is_told_by_the_next);
	tcase_add_test(tc, another_group_is_not_kept);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
