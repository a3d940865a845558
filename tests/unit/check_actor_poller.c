/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which thread tells of what, above all when one of them is kept waiting; and of a
 * time, when it has come. */

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "actor/mailbox.h"
#include "actor/poller.h"
#include "actor/poller_times.h"
#include "unit.h"

/* A descriptor that is watched.  Who tells of it rings those of `rings`, and is
 * kept until it is let go where there is a `let_go`. */
struct bell {
	struct waker *fd, *told, *let_go;
	struct bell *const *rings; /* RUNG of them, or NULL */
	struct poller_watch *watch;
	pthread_t by; /* who told last; read after `told` */
	struct moment at; /* the same, and when */
	short of; /* all that it has been told of */
};

#define RUNG 4

static struct poller *poller;

static void
ready(void *arg, short events)
{
	struct bell *b = arg;

	if ((events & POLLIN) != 0)
		waker_clear(b->fd);
	b->of |= events;
	b->by = pthread_self();
	b->at = clock_now();
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
	ck_assert_int_eq(b->of, POLLIN);
	return b->by;
}

static void
begin(unsigned groups)
{
	poller = poller_new(groups);
	ck_assert_ptr_nonnull(poller);
}

/* A thread that the machine keeps from going on is replaced, too; seldom. */
START_TEST(a_group_is_told_of_by_one_thread)
{
	struct bell *a, *b, *other;
	int same = 0, apart = 0;

	begin(2);
	a = hang(4, false, NULL);
	b = hang(6, false, NULL);
	other = hang(5, false, NULL);
	for (int i = 0; i < 100; i++) {
		const pthread_t by = teller(a);

		same += pthread_equal(teller(b), by) != 0;
		apart += !pthread_equal(teller(other), by);
	}
	ck_assert_int_ge(same, 90);
	ck_assert_int_ge(apart, 90);
	poller_unwatch(a->watch);
	poller_unwatch(b->watch);
	poller_unwatch(other->watch);
	poller_free(poller);
}
END_TEST

/* Also of what it had been ready for before. */
START_TEST(who_moves_is_told_of_by_another)
{
	struct bell *slow, *b;

	begin(2);
	ck_assert_uint_eq(poller_groups(poller), 2);
	slow = hang(0, true, NULL);
	b = hang(0, false, NULL);
	ring(slow);
	await_told(slow); /* its thread is kept */
	ring(b);
	ck_assert(poller_move(b->watch, 1, POLLIN));
	await_told(b);
	ck_assert(!pthread_equal(b->by, slow->by));
	ck_assert(!poller_move(b->watch, 3, POLLIN)); /* the same */
	(void)teller(b);
	let_go(slow);
	poller_unwatch(slow->watch);
	poller_unwatch(b->watch);
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

/* ---- Times ---- */

static struct moment
in_ms(int ms)
{
	return moment_after_ms(clock_now(), ms);
}

/* Told of that time, not before it. */
static void
await_time(struct bell *b, struct moment when)
{
	await_told(b);
	ck_assert_int_eq(b->of, POLLER_TIME);
	ck_assert(!moment_before(b->at, when));
}

/* What must not be told of has long been when something later is told of. */
static void
hears_nothing(struct bell *b, struct bell *other)
{
	const struct moment when = in_ms(30);

	poller_remind(other->watch, when);
	await_time(other, when);
	ck_assert(!waker_wait(b->told, 0));
}

START_TEST(a_time_is_told_of_once)
{
	struct bell *b, *other;

	begin(1);
	b = hang(0, false, NULL);
	other = hang(0, false, NULL);
	for (int i = 0; i < 3; i++) {
		const struct moment when = in_ms(10);

		poller_remind(b->watch, when);
		await_time(b, when);
	}
	hears_nothing(b, other);
	/* One that has passed. */
	poller_remind(b->watch, MOMENT_PAST);
	await_time(b, MOMENT_PAST);
	poller_unwatch(b->watch);
	poller_unwatch(other->watch);
	poller_free(poller);
}
END_TEST

START_TEST(the_earliest_time_is_told_of)
{
	const struct moment early = in_ms(10);
	struct bell *b, *other;

	begin(1);
	b = hang(0, false, NULL);
	other = hang(0, false, NULL);
	poller_remind(b->watch, in_ms(86400000));
	poller_remind(b->watch, early);
	poller_remind(b->watch, in_ms(20));
	await_time(b, early);
	hears_nothing(b, other);
	poller_unwatch(b->watch);
	poller_unwatch(other->watch);
	poller_free(poller);
}
END_TEST

#define MANY 100

START_TEST(times_come_in_their_order)
{
	const struct moment now = clock_now();
	struct moment when[MANY];
	struct bell *b[MANY];

	begin(2);
	for (int i = 0; i < MANY; i++) {
		b[i] = hang((unsigned)i, false, NULL);
		/* Each once, in no order. */
		when[i] = moment_after_ms(now, 20 + i * 37 % MANY);
		poller_remind(b[i]->watch, when[i]);
	}
	for (int i = 0; i < MANY; i++)
		await_time(b[i], when[i]);
	for (int i = 0; i < MANY; i++)
		for (int j = i % 2; j < MANY; j += 2)
			ck_assert(when[i].ns + TIMES_STEP_NS > when[j].ns ||
			    !moment_before(b[j]->at, b[i]->at));
	for (int i = 0; i < MANY; i++)
		poller_unwatch(b[i]->watch);
	poller_free(poller);
}
END_TEST

/* Neither the first of a list, nor one in the middle, nor the last. */
START_TEST(what_is_unwatched_is_told_of_no_time)
{
	const struct moment later = in_ms(30);
	struct waker *told[3];
	struct bell *b[4];

	begin(1);
	for (int i = 0; i < 4; i++) {
		b[i] = hang(0, false, NULL);
		if (i < 3)
			told[i] = waker_get(b[i]->told);
		poller_remind(b[i]->watch, i < 3 ? in_ms(10 + 5 * i) : later);
	}
	poller_unwatch(b[_i]->watch);
	/* What must not be told of has long been. */
	await_time(b[3], later);
	for (int i = 0; i < 3; i++) {
		ck_assert(waker_wait(told[i], 0) == (i != _i));
		waker_put(told[i]);
	}
	for (int i = 0; i < 4; i++)
		if (i != _i)
			poller_unwatch(b[i]->watch);
	poller_free(poller);
}
END_TEST

/* A thread is kept by the first of those whose time has come. */
START_TEST(times_that_it_had_to_tell_are_told_by_the_next)
{
	const struct moment when = in_ms(10);
	struct bell *slow, *b;

	begin(1);
	slow = hang(0, true, NULL);
	b = hang(0, false, NULL);
	poller_remind(slow->watch, when);
	poller_remind(b->watch, when);
	await_time(slow, when);
	await_time(b, when);
	ck_assert(!pthread_equal(slow->by, b->by));
	let_go(slow);
	poller_unwatch(slow->watch);
	poller_unwatch(b->watch);
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
	tcase_add_test(tc, who_moves_is_told_of_by_another);
	tcase_add_test(tc, a_thread_that_is_kept_is_replaced);
	tcase_add_test(tc, what_it_had_taken_is_told_by_the_next);
	tcase_add_test(tc, another_group_is_not_kept);
	tcase_add_test(tc, a_time_is_told_of_once);
	tcase_add_test(tc, the_earliest_time_is_told_of);
	tcase_add_test(tc, times_come_in_their_order);
	tcase_add_loop_test(tc, what_is_unwatched_is_told_of_no_time, 0, 3);
	tcase_add_test(tc, times_that_it_had_to_tell_are_told_by_the_next);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
