/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Credit, step by step, in every order that taker and giver may meet in. */

#include "actor/credit.h"
#include "actor/mailbox.h"
#include "unit.h"

#define LIMIT 3
#define TYPE 42

static struct mailbox box;
static struct credit c;
static unsigned wakes;

static void
count_wake(void *arg)
{
	(void)arg;
	wakes++;
}

static void
begin(void)
{
	wakes = 0;
	mailbox_init(&box, count_wake, NULL);
	credit_init(&c, LIMIT, &box, TYPE);
}

static void
assert_no_message(void)
{
	ck_assert_ptr_null(mailbox_take(&box));
}

/* The message is there once; it is collected. */
static void
collect(void)
{
	const struct msg *m = mailbox_take(&box);

	ck_assert_ptr_eq(m, &c.msg);
	ck_assert_int_eq(m->type, TYPE);
	ck_assert_ptr_null(msg_next(m));
	credit_collect(&c);
}

static void
take_all(void)
{
	for (int i = 0; i < LIMIT; i++)
		ck_assert(credit_take(&c, 1));
}

START_TEST(as_much_as_the_limit_can_be_taken)
{
	for (uint32_t i = 0; i < LIMIT; i++) {
		ck_assert_uint_eq(credit_used(&c), i);
		ck_assert(credit_take(&c, 1));
	}
	ck_assert(!credit_take(&c, 1));
	ck_assert_uint_eq(credit_used(&c), LIMIT);
	ck_assert(!credit_take(&c, 1));
	ck_assert_uint_eq(credit_used(&c), LIMIT);
}
END_TEST

/* The last piece may be larger than what is left, and no larger piece waits for
 * ever; what is out counts whole. */
START_TEST(pieces_may_be_of_any_size)
{
	ck_assert(credit_take(&c, LIMIT - 1));
	ck_assert(credit_take(&c, 100));
	ck_assert_uint_eq(credit_used(&c), LIMIT + 99);
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, LIMIT - 1);
	collect();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 100);
	collect();
	ck_assert(credit_take(&c, 1));
	/* The limit is the taker's to change. */
	c.limit = 1;
	ck_assert(!credit_take(&c, 1));
	c.limit = 2;
	ck_assert(credit_take(&c, 1));
}
END_TEST

/* Who wants to act for the taker itself is told when it sleeps. */
START_TEST(a_taker_that_sleeps_is_left_to_the_giver)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	ck_assert(!credit_return(&c, 1)); /* it is awake */
	collect();
	ck_assert(credit_take(&c, 1));
	ck_assert(!credit_take(&c, 1));
	ck_assert(mailbox_idle(&box));
	ck_assert(credit_return(&c, 1));
	ck_assert_uint_eq(wakes, 0);
	collect();
}
END_TEST

START_TEST(nobody_is_told_who_did_not_ask)
{
	take_all();
	credit_give(&c, 1);
	assert_no_message();
	ck_assert_uint_eq(credit_used(&c), LIMIT - 1);
	ck_assert(credit_take(&c, 1));
}
END_TEST

START_TEST(who_asked_is_told_once)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1);
	credit_give(&c, 1);
	credit_give(&c, 1);
	collect();
	assert_no_message();
	take_all();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1);
	collect();
}
END_TEST

/* The message has been posted, and is in the mailbox still. */
START_TEST(the_message_is_never_in_two_queues)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1); /* posts */
	/* The taker looks by itself, takes, and finds none left again. */
	ck_assert(credit_take(&c, 1));
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1);
	credit_give(&c, 1);
	collect();
	assert_no_message();
}
END_TEST

/* After that, the wish of while it was posted must not be forgotten. */
START_TEST(a_wish_while_it_was_posted_is_heard_after_it)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1);
	ck_assert(credit_take(&c, 1));
	ck_assert(!credit_take(&c, 1)); /* wants one, while POSTED */
	collect();
	ck_assert(!credit_take(&c, 1)); /* tries again, as it must */
	credit_give(&c, 1);
	collect();
	ck_assert(credit_take(&c, 1));
}
END_TEST

/* A gift between the wish and the second look leaves no wish behind. */
START_TEST(a_wish_that_is_met_is_taken_back)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	credit_give(&c, 1);
	collect();
	ck_assert(credit_take(&c, 1));
	/* Full again, and not asked: a gift posts nothing. */
	credit_give(&c, 1);
	assert_no_message();
}
END_TEST

START_TEST(a_wish_that_was_dropped_costs_a_message_at_most)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	/* The taker turns to something else and does not ask again. */
	for (int i = 0; i < LIMIT; i++)
		credit_give(&c, 1);
	ck_assert_uint_eq(credit_used(&c), 0);
	collect();
	take_all();
	for (int i = 0; i < LIMIT; i++)
		credit_give(&c, 1);
	assert_no_message();
}
END_TEST

START_TEST(a_sleeper_is_woken_by_the_gift)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	ck_assert(mailbox_idle(&box));
	credit_give(&c, 1);
	ck_assert_uint_eq(wakes, 1);
	collect();
}
END_TEST

START_TEST(a_gift_to_a_closed_mailbox_is_lost_in_peace)
{
	take_all();
	ck_assert(!credit_take(&c, 1));
	ck_assert_ptr_null(mailbox_close(&box));
	for (int i = 0; i < LIMIT; i++)
		credit_give(&c, 1);
	ck_assert_uint_eq(credit_used(&c), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("actor/credit");
	TCase *tc = tcase_create("credit");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, as_much_as_the_limit_can_be_taken);
	tcase_add_test(tc, pieces_may_be_of_any_size);
	tcase_add_test(tc, a_taker_that_sleeps_is_left_to_the_giver);
	tcase_add_test(tc, nobody_is_told_who_did_not_ask);
	tcase_add_test(tc, who_asked_is_told_once);
	tcase_add_test(tc, the_message_is_never_in_two_queues);
	tcase_add_test(tc, a_wish_while_it_was_posted_is_heard_after_it);
	tcase_add_test(tc, a_wish_that_is_met_is_taken_back);
	tcase_add_test(tc, a_wish_that_was_dropped_costs_a_message_at_most);
	tcase_add_test(tc, a_sleeper_is_woken_by_the_gift);
	tcase_add_test(tc, a_gift_to_a_closed_mailbox_is_lost_in_peace);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
