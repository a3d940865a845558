/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Queues and mailboxes, step by step; tests/race runs them from many threads. */

#include <pthread.h>

#include "actor/mailbox.h"
#include "actor/queue.h"
#include "unit.h"

/* ---- Queues ---- */

static struct queue q;
static struct qnode nodes[8];

static void
begin(void)
{
	queue_init(&q);
}

/* `list` is nodes[first], nodes[first + 1], ..., nodes[last]. */
static void
assert_nodes(const struct qnode *list, int first, int last)
{
	for (int i = first; i <= last; i++, list = list->next)
		ck_assert_ptr_eq(list, &nodes[i]);
	ck_assert_ptr_null(list);
}

static enum queue_push
push(int i)
{
	return queue_push(&q, &nodes[i]);
}

START_TEST(what_arrives_leaves_in_its_order)
{
	ck_assert_ptr_null(queue_take(&q));
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(push(i), QUEUE_ADDED);
	assert_nodes(queue_take(&q), 0, 4);
	ck_assert_ptr_null(queue_take(&q));
	ck_assert_int_eq(push(5), QUEUE_ADDED);
	ck_assert_int_eq(push(6), QUEUE_ADDED);
	assert_nodes(queue_take(&q), 5, 6);
}
END_TEST

START_TEST(a_node_can_go_round_again)
{
	for (int i = 0; i < 3; i++) {
		push(0);
		push(1);
		assert_nodes(queue_take(&q), 0, 1);
		push(1);
		assert_nodes(queue_take(&q), 1, 1);
	}
}
END_TEST

START_TEST(only_the_push_that_finds_it_asleep_wakes)
{
	ck_assert(queue_idle(&q));
	ck_assert_int_eq(push(0), QUEUE_WAKE);
	ck_assert_int_eq(push(1), QUEUE_ADDED);
	ck_assert_int_eq(push(2), QUEUE_ADDED);
	assert_nodes(queue_take(&q), 0, 2);
	/* Awake, and busy with what it took. */
	ck_assert_int_eq(push(3), QUEUE_ADDED);
	assert_nodes(queue_take(&q), 3, 3);
	ck_assert(queue_idle(&q));
	ck_assert_int_eq(push(4), QUEUE_WAKE);
}
END_TEST

START_TEST(it_may_not_sleep_over_something)
{
	push(0);
	ck_assert(!queue_idle(&q));
	ck_assert_int_eq(push(1), QUEUE_ADDED); /* idle() left no mark */
	assert_nodes(queue_take(&q), 0, 1);
	ck_assert(queue_idle(&q));
	ck_assert(queue_idle(&q)); /* still */
	push(2);
	ck_assert(!queue_idle(&q));
	assert_nodes(queue_take(&q), 2, 2);
}
END_TEST

START_TEST(a_consumer_that_looks_again_is_awake)
{
	ck_assert(queue_idle(&q));
	ck_assert_ptr_null(queue_take(&q)); /* woken by something else */
	ck_assert_int_eq(push(0), QUEUE_ADDED);
}
END_TEST

START_TEST(emptiness_is_seen_in_every_state)
{
	ck_assert(queue_is_empty(&q));
	ck_assert(queue_idle(&q));
	ck_assert(queue_is_empty(&q));
	push(0);
	ck_assert(!queue_is_empty(&q));
	push(1);
	ck_assert(!queue_is_empty(&q));
	queue_take(&q);
	ck_assert(queue_is_empty(&q));
	queue_close(&q);
	ck_assert(queue_is_empty(&q));
}
END_TEST

/* Closed while: 0 empty, 1 asleep, 2 full, 3 closed already. */
START_TEST(a_closed_queue_refuses_for_good)
{
	struct qnode *left;

	if (_i == 1)
		queue_idle(&q);
	if (_i == 2) {
		push(0);
		push(1);
	}
	if (_i == 3)
		queue_close(&q);
	left = queue_close(&q);
	if (_i == 2)
		assert_nodes(left, 0, 1);
	else
		ck_assert_ptr_null(left);
	nodes[2].next = &nodes[7];
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(push(2), QUEUE_REFUSED);
		/* Still the caller's, untouched. */
		ck_assert_ptr_eq(nodes[2].next, &nodes[7]);
		ck_assert_ptr_null(queue_take(&q));
		ck_assert(!queue_idle(&q)); /* would sleep for ever */
	}
	ck_assert_ptr_null(queue_close(&q));
}
END_TEST

/* ---- Mailboxes ---- */

static unsigned wakes;

static void
count_wake(void *arg)
{
	ck_assert_ptr_eq(arg, &wakes);
	wakes++;
}

START_TEST(a_mailbox_wakes_once_per_batch)
{
	struct mailbox mb;
	struct msg m[4] = { { .type = 1 }, { .type = 2 }, { .type = 3 },
		{ .type = 4 } };
	const struct msg *got;

	wakes = 0;
	mailbox_init(&mb, count_wake, &wakes);
	ck_assert(mailbox_post(&mb, &m[0]));
	ck_assert_uint_eq(wakes, 0); /* its owner has not slept yet */
	ck_assert(!mailbox_idle(&mb));
	ck_assert(!mailbox_is_empty(&mb));
	ck_assert_int_eq(mailbox_take(&mb)->type, 1);
	ck_assert(mailbox_is_empty(&mb));
	ck_assert(mailbox_idle(&mb));
	for (int i = 1; i < 4; i++)
		ck_assert(mailbox_post(&mb, &m[i]));
	ck_assert_uint_eq(wakes, 1);
	got = mailbox_take(&mb);
	for (int i = 2; i <= 4; i++, got = msg_next(got))
		ck_assert_int_eq(got->type, i);
	ck_assert_ptr_null(got);
	ck_assert(mailbox_post(&mb, &m[0]));
	ck_assert_ptr_eq(mailbox_close(&mb), &m[0]);
	ck_assert(!mailbox_post(&mb, &m[1]));
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

static void *
post_late(void *arg)
{
	static struct msg m = { .type = 7 };

	mailbox_post(arg, &m);
	return NULL;
}

START_TEST(who_waits_for_a_mailbox_gets_what_comes)
{
	struct waker *w = waker_new();
	struct mailbox mb;
	pthread_t poster;
	const struct msg *m;

	mailbox_init_waker(&mb, w);
	waker_wake(w); /* an old wake-up is no message */
	ck_assert_int_eq(pthread_create(&poster, NULL, post_late, &mb), 0);
	m = mailbox_wait(&mb, w);
	ck_assert_int_eq(m->type, 7);
	ck_assert_ptr_null(msg_next(m));
	pthread_join(poster, NULL);
	waker_put(w);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("actor/queue, actor/mailbox");
	TCase *tc = tcase_create("queue");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, what_arrives_leaves_in_its_order);
	tcase_add_test(tc, a_node_can_go_round_again);
	tcase_add_test(tc, only_the_push_that_finds_it_asleep_wakes);
	tcase_add_test(tc, it_may_not_sleep_over_something);
	tcase_add_test(tc, a_consumer_that_looks_again_is_awake);
	tcase_add_test(tc, emptiness_is_seen_in_every_state);
	tcase_add_loop_test(tc, a_closed_queue_refuses_for_good, 0, 4);
	suite_add_tcase(s, tc);
	tc = tcase_create("mailbox");
	tcase_add_test(tc, a_mailbox_wakes_once_per_batch);
	tcase_add_test(tc, who_waits_for_a_mailbox_gets_what_comes);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
