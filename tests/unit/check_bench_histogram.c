/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <stdlib.h>

#include "histogram.h"

/* Static: it is larger than a stack should hold. */
static struct histogram h, other;

static void
empty(void)
{
	h = other = (struct histogram){ 0 };
}

/* No cell is wider than one part in HISTOGRAM_STEPS / 2 of what is in it. */
static void
near(uint64_t got, uint64_t wanted)
{
	ck_assert_uint_ge(got, wanted);
	ck_assert_uint_le(got, wanted + wanted / (HISTOGRAM_STEPS / 2));
}

START_TEST(nothing_is_zero)
{
	ck_assert_uint_eq(histogram_at(&h, 0.5), 0);
	histogram_add(&h, 0);
	ck_assert_uint_eq(histogram_at(&h, 0.99), 0);
	ck_assert_uint_eq(h.count, 1);
}
END_TEST

START_TEST(every_size_keeps_its_value)
{
	for (unsigned bit = 0; bit < 39; bit++)
		for (int off = -1; off <= 1; off++) {
			const uint64_t ns = (1ull << bit) + (uint64_t)off;

			empty();
			histogram_add(&h, ns);
			histogram_add(&h, 1ull << 39);
			near(histogram_at(&h, 0.5), ns);
		}
}
END_TEST

START_TEST(percentiles_are_ranks)
{
	for (uint64_t ns = 1; ns <= 100000; ns++)
		histogram_add(&h, ns * 10);
	near(histogram_at(&h, 0.5), 500000);
	near(histogram_at(&h, 0.99), 990000);
	ck_assert_uint_eq(histogram_at(&h, 1), 1000000);
	ck_assert_uint_eq(h.max, 1000000);
	near(histogram_at(&h, 0), 10);
}
END_TEST

START_TEST(what_is_too_long_counts_as_the_longest)
{
	histogram_add(&h, UINT64_MAX);
	histogram_add(&h, 1000);
	near(histogram_at(&h, 0.5), 1000);
	ck_assert_uint_gt(histogram_at(&h, 1), 1ull << 39);
}
END_TEST

START_TEST(two_become_one)
{
	for (uint64_t ns = 0; ns < 1000; ns++)
		histogram_add(ns % 2 != 0 ? &h : &other, ns);
	histogram_merge(&h, &other);
	ck_assert_uint_eq(h.count, 1000);
	ck_assert_uint_eq(h.max, 999);
	near(histogram_at(&h, 0.5), 499);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("histogram");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, empty, NULL);
	tcase_add_test(t, nothing_is_zero);
	tcase_add_test(t, every_size_keeps_its_value);
	tcase_add_test(t, percentiles_are_ranks);
	tcase_add_test(t, what_is_too_long_counts_as_the_longest);
	tcase_add_test(t, two_become_one);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
