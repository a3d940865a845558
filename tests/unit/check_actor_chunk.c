/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Chunk pools and lists; and the small things of the layer: recyclers,
 * references, counters, threads. */

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "actor/chunk.h"
#include "actor/counter.h"
#include "actor/recycler.h"
#include "actor/ref.h"
#include "actor/thread.h"
#include "unit.h"

/* ---- Chunks ---- */

#define KEEP 2

static struct chunk_pool pool;

static void
begin(void)
{
	chunk_pool_init(&pool, KEEP);
}

static void
end(void)
{
	chunk_pool_fini(&pool);
}

static struct chunk *
take(void)
{
	struct chunk *c = chunk_take(&pool);

	ck_assert_ptr_nonnull(c);
	ck_assert_ptr_null(c->more);
	ck_assert_uint_eq(c->offset, 0);
	ck_assert_uint_eq(c->len, 0);
	ck_assert_ptr_eq(c->pool, &pool);
	ck_assert_ptr_eq(chunk_of_msg(&c->msg), c);
	return c;
}

START_TEST(a_chunk_holds_a_whole_read)
{
	struct chunk *c = take();

	memset(c->data, 0xaa, CHUNK_SIZE);
	chunk_put(c);
	chunk_put(NULL);
}
END_TEST

START_TEST(what_is_put_is_taken_again_and_clean)
{
	struct chunk *c = take(), *again;

	c->more = NULL;
	c->offset = 36;
	c->len = 100;
	chunk_put(c);
	again = take(); /* asserts that it is clean */
	ck_assert_ptr_eq(again, c);
	chunk_put(again);
}
END_TEST

START_TEST(a_chain_is_put_whole)
{
	struct chunk *a = take(), *b = take();
	const struct chunk *got[2];

	a->more = b;
	chunk_put(a);
	got[0] = take();
	got[1] = take();
	ck_assert(got[0] == a ? got[1] == b : got[0] == b && got[1] == a);
	chunk_put(a); /* cut off from each other by take() */
	chunk_put(b);
}
END_TEST

START_TEST(more_than_is_to_be_kept_is_freed)
{
	struct chunk *c[5];

	for (int i = 0; i < 5; i++)
		c[i] = take();
	for (int i = 0; i < 5; i++)
		chunk_put(c[i]);
	ck_assert_uint_eq(pool.spares, 0); /* put() leaves that to the owner */
	c[0] = take(); /* one of the two that were kept; three are freed */
	ck_assert_uint_eq(pool.spares, KEEP - 1);
	chunk_put(c[0]);
	for (int i = 0; i < 5; i++) /* two old ones, three new ones */
		c[i] = take();
	ck_assert_uint_eq(pool.spares, 0);
	for (int i = 0; i < 5; i++)
		chunk_put(c[i]);
}
END_TEST

START_TEST(a_pool_that_keeps_nothing_works)
{
	struct chunk_pool none;

	chunk_pool_init(&none, 0);
	for (int i = 0; i < 3; i++)
		chunk_put(chunk_take(&none));
	ck_assert_uint_eq(none.spares, 0);
	chunk_pool_fini(&none);
}
END_TEST

static void *
put_all(void *arg)
{
	struct chunk **c = arg;

	for (int i = 0; i < 8; i++)
		chunk_put(c[i]);
	return NULL;
}

START_TEST(another_thread_puts_them_back)
{
	struct chunk *c[8];
	pthread_t other;

	for (int i = 0; i < 8; i++)
		c[i] = take();
	ck_assert_int_eq(pthread_create(&other, NULL, put_all, c), 0);
	pthread_join(other, NULL);
	chunk_put(take());
	ck_assert_uint_eq(pool.spares, KEEP - 1);
}
END_TEST

/* ---- Lists ---- */

START_TEST(a_list_gives_chunks_in_their_order)
{
	struct chunk *c[4];
	struct chunk_list l;

	chunk_list_init(&l);
	for (int i = 0; i < 4; i++)
		c[i] = take();
	for (int round = 0; round < 2; round++) { /* also after it was empty */
		for (int i = 0; i < 4; i++)
			chunk_list_append(&l, c[i]);
		for (int i = 0; i < 4; i++) {
			ck_assert_ptr_eq(chunk_list_take(&l), c[i]);
			ck_assert_ptr_null(c[i]->more);
		}
		ck_assert_ptr_null(l.first);
	}
	chunk_list_append(&l, c[0]);
	ck_assert_ptr_eq(chunk_list_take(&l), c[0]);
	for (int i = 0; i < 4; i++)
		chunk_list_append(&l, c[i]);
	chunk_list_drop(&l);
	ck_assert_ptr_null(l.first);
	chunk_list_drop(&l);
	chunk_list_append(&l, take());
	chunk_list_drop(&l);
}
END_TEST

START_TEST(a_recycler_gives_each_object_once)
{
	struct qnode nodes[4];
	struct recycler rc;
	bool seen[4] = { false };

	recycler_init(&rc);
	ck_assert_ptr_null(recycler_take(&rc));
	for (int i = 0; i < 3; i++)
		recycler_give(&rc, &nodes[i]);
	recycler_keep(&rc, &nodes[3]);
	/* What was taken in vain comes first. */
	ck_assert_ptr_eq(recycler_take(&rc), &nodes[3]);
	for (int i = 0; i < 3; i++) {
		const struct qnode *n = recycler_take(&rc);

		ck_assert_ptr_nonnull(n);
		ck_assert(!seen[n - nodes]);
		seen[n - nodes] = true;
	}
	ck_assert_ptr_null(recycler_take(&rc));
	for (int round = 0; round < 3; round++) {
		recycler_give(&rc, &nodes[0]);
		ck_assert_ptr_eq(recycler_take(&rc), &nodes[0]);
		recycler_keep(&rc, &nodes[0]);
		recycler_give(&rc, &nodes[1]);
		ck_assert_ptr_eq(recycler_take(&rc), &nodes[0]);
		ck_assert_ptr_eq(recycler_take(&rc), &nodes[1]);
		ck_assert_ptr_null(recycler_take(&rc));
	}
}
END_TEST

/* ---- References and counters ---- */

START_TEST(only_the_last_reference_is_the_last)
{
	struct ref r;

	ref_init(&r);
	ref_get(&r);
	ref_get(&r);
	ck_assert(!ref_put(&r));
	ck_assert(!ref_put(&r));
	ck_assert(ref_get_unless_gone(&r));
	ck_assert(!ref_put(&r));
	ck_assert(ref_put(&r));
	ck_assert(!ref_get_unless_gone(&r));
	ck_assert(!ref_get_unless_gone(&r));
}
END_TEST

START_TEST(a_counter_is_64_bits_wide)
{
	struct counter c = { 0 };

	counter_add(&c, UINT32_MAX);
	counter_add(&c, 1);
	ck_assert(counter_read(&c) == (uint64_t)UINT32_MAX + 1);
	counter_set(&c, 7);
	ck_assert(counter_read(&c) == 7);
}
END_TEST

/* ---- Threads ---- */

static char long_name[] = "worker 4294967295", cut_name[] = "worker 42949672";

static void *
look_around(void *arg)
{
	sigset_t set;
	char name[32] = "";

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	HOLDS(sigismember(&set, SIGTERM) == 1, "hears SIGTERM");
	HOLDS(sigismember(&set, SIGUSR2) == 1, "hears SIGUSR2");
#ifdef __linux__
	/* The starter names it, perhaps after it has begun. */
	while (strcmp(name, arg) != 0)
		pthread_getname_np(pthread_self(), name, sizeof name);
#else
	(void)name;
#endif
	return NULL;
}

START_TEST(a_thread_has_a_name_and_is_deaf)
{
	struct thread t;
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(thread_start(&t, long_name, look_around, cut_name),
	    0);
	thread_join(&t);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGTERM),
	    sigismember(&before, SIGTERM));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("actor/chunk");
	TCase *tc = tcase_create("chunk");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_chunk_holds_a_whole_read);
	tcase_add_test(tc, what_is_put_is_taken_again_and_clean);
	tcase_add_test(tc, a_chain_is_put_whole);
	tcase_add_test(tc, more_than_is_to_be_kept_is_freed);
	tcase_add_test(tc, a_pool_that_keeps_nothing_works);
	tcase_add_test(tc, another_thread_puts_them_back);
	tcase_add_test(tc, a_list_gives_chunks_in_their_order);
	tcase_add_test(tc, a_recycler_gives_each_object_once);
	suite_add_tcase(s, tc);
	tc = tcase_create("ref, counter, thread");
	tcase_add_test(tc, only_the_last_reference_is_the_last);
	tcase_add_test(tc, a_counter_is_64_bits_wide);
	tcase_add_test(tc, a_thread_has_a_name_and_is_deaf);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
