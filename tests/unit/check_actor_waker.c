/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Wakers, step by step; tests/race runs them from many threads. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "actor/waker.h"
#include "base/clock.h"
#include "unit.h"

static struct waker *w;

/* Both kinds. */
static struct waker *(*const kinds[])(void) = { waker_new, waker_new_polled };

static void
begin(void)
{
	w = waker_new();
	ck_assert_ptr_nonnull(w);
}

static void
end(void)
{
	waker_put(w);
}

static bool
is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void *
wake(void *arg)
{
	waker_wake(arg);
	return NULL;
}

/* Once the caller has had the time to fall asleep. */
static void *
wake_late(void *arg)
{
	poll(NULL, 0, 20);
	return wake(arg);
}

static void
run_beside(pthread_t *thread, void *(*fn)(void *))
{
	ck_assert_int_eq(pthread_create(thread, NULL, fn, w), 0);
}

/* ---- Both kinds ---- */

START_TEST(waiting_ends_in_time)
{
	struct moment begun = clock_now();
	pthread_t other;

	end();
	w = kinds[_i]();
	ck_assert(!waker_wait(w, 0));
	ck_assert(!waker_wait_until(w, MOMENT_PAST));
	ck_assert(!waker_wait(w, 50));
	ck_assert_int_ge(moment_ms_between(begun, clock_now()), 50);
	waker_wake(w);
	waker_wake(w);
	begun = clock_now();
	ck_assert(waker_wait(w, UNIT_PATIENCE_MS));
	ck_assert(!waker_wait(w, 0));
	waker_wake(w);
	ck_assert(waker_wait(w, -1));
	waker_wake(w);
	ck_assert(waker_wait_until(w, MOMENT_PAST));
	run_beside(&other, wake_late);
	ck_assert(waker_wait(w, -1));
	ck_assert_int_lt(moment_ms_between(begun, clock_now()),
	    UNIT_PATIENCE_MS);
	pthread_join(other, NULL);
}
END_TEST

START_TEST(polling_hears_the_waker_and_the_others)
{
	struct pollfd fds[2] = { { 0 } };
	pthread_t other;
	int pipe_fds[2];

	end();
	w = kinds[_i]();
	ck_assert_int_eq(pipe(pipe_fds), 0);
	fds[1] = (struct pollfd){ .fd = pipe_fds[0], .events = POLLIN };
	ck_assert(!waker_poll(w, fds, 2, 0));
	ck_assert(!waker_poll(w, fds, 2, 20));
	waker_wake(w);
	ck_assert(waker_poll(w, fds, 2, -1));
	ck_assert_int_eq(fds[1].revents, 0);
	ck_assert(!waker_poll(w, fds, 2, 0));
	run_beside(&other, wake_late);
	ck_assert(waker_poll(w, fds, 2, -1));
	pthread_join(other, NULL);
	ck_assert_int_eq(write(pipe_fds[1], "", 1), 1);
	ck_assert(!waker_poll(w, fds, 2, -1));
	ck_assert_int_eq(fds[1].revents, POLLIN);
	waker_wake(w);
	ck_assert(waker_poll(w, fds, 2, -1));
	ck_assert_int_eq(fds[1].revents, POLLIN);
	ck_assert(!waker_wait(w, 0));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

START_TEST(waking_leaves_errno_alone)
{
	end();
	w = kinds[_i]();
	errno = EXDEV;
	waker_wake(w);
	waker_wake(w);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

/* ---- Those that are polled ---- */

START_TEST(it_is_readable_from_wake_to_clear)
{
	end();
	w = waker_new_polled();
	ck_assert(!is_readable(w->read_fd));
	/* More wake-ups than a pipe would hold are one. */
	for (int i = 0; i < 100000; i++)
		waker_wake(w);
	ck_assert(is_readable(w->read_fd));
	waker_clear(w);
	ck_assert(!is_readable(w->read_fd));
	errno = EXDEV;
	waker_clear(w);
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(the_last_reference_closes_it)
{
	struct waker *polled = waker_new_polled();
	const int fd = polled->read_fd;

	ck_assert_ptr_eq(waker_get(polled), polled);
	waker_put(polled);
	waker_wake(polled); /* late, and harmless */
	ck_assert(is_readable(fd));
	waker_put(polled);
	ck_assert_int_eq(close(fd), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

/* ---- Those that are not ---- */

START_TEST(who_sleeps_has_no_descriptor)
{
	const int before = unit_descriptors();
	struct pollfd fds[1];
	struct waker *many[200];

	for (int i = 0; i < UNIT_COUNT(many); i++) {
		many[i] = waker_new();
		waker_poll(many[i], fds, 1, 1);
		waker_wake(many[i]);
		ck_assert(waker_wait(many[i], -1));
	}
	/* What was lent to each of them in turn. */
	ck_assert_int_le(unit_descriptors(), before + WAKER_LENT);
	for (int i = 0; i < UNIT_COUNT(many); i++)
		waker_put(many[i]);
}
END_TEST

START_TEST(few_of_what_was_lent_at_a_time_is_kept)
{
	const int before = unit_descriptors();
	struct pollfd fds[1];
	struct waker *many[200];

	for (int i = 0; i < UNIT_COUNT(many); i++) {
		many[i] = waker_new();
		waker_poll(many[i], fds, 1, 1);
	}
	ck_assert_int_ge(unit_descriptors(), before + UNIT_COUNT(many));
	for (int i = 0; i < UNIT_COUNT(many); i++)
		waker_put(many[i]);
	ck_assert_int_le(unit_descriptors(),
	    before + WAKER_KEPT_MAX * WAKER_LENT);
}
END_TEST

START_TEST(who_rests_gives_back_what_was_lent)
{
	const int before = unit_descriptors();
	struct pollfd fds[1];
	struct waker *many[20];

	for (int i = 0; i < UNIT_COUNT(many); i++) {
		many[i] = waker_new();
		waker_rest(many[i]); /* nothing yet */
		waker_poll(many[i], fds, 1, 1);
		waker_rest(many[i]);
		waker_wake(many[i]);
		ck_assert(waker_poll(many[i], fds, 1, -1));
		waker_rest(many[i]);
	}
	ck_assert_int_le(unit_descriptors(), before + WAKER_LENT);
	for (int i = 0; i < UNIT_COUNT(many); i++)
		waker_put(many[i]);
}
END_TEST

START_TEST(as_many_are_kept_as_told)
{
	const int before = unit_descriptors();
	struct pollfd fds[1];
	struct waker *many[20];

	waker_keep(5);
	for (int i = 0; i < UNIT_COUNT(many); i++) {
		many[i] = waker_new();
		waker_poll(many[i], fds, 1, 1);
	}
	for (int i = 0; i < UNIT_COUNT(many); i++)
		waker_put(many[i]);
	ck_assert_int_le(unit_descriptors(), before + 5 * WAKER_LENT);
	waker_keep(10000);
}
END_TEST

/* It has to look by itself, and does so often enough, but does not spin. */
START_TEST(without_a_descriptor_it_is_woken_as_well)
{
	const struct rlimit few = { 32, 32 };
	struct pollfd fds[1];
	const int first = dup(0);
	pthread_t other;
	int last = first, fd, looks = 0;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((fd = dup(0)) >= 0)
		last = fd;
	ck_assert_int_eq(errno, EMFILE);
	run_beside(&other, wake_late);
	while (!waker_poll(w, fds, 1, -1))
		looks++;
	ck_assert_int_lt(looks, 1000);
	waker_wake(w);
	ck_assert(waker_poll(w, fds, 1, -1));
	pthread_join(other, NULL);
	/* A sanitizer that looks for leaks at the end needs some. */
	for (fd = first; fd <= last; fd++)
		close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("actor/waker");
	TCase *tc = tcase_create("waker");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(tc, waiting_ends_in_time, 0, UNIT_COUNT(kinds));
	tcase_add_loop_test(tc, polling_hears_the_waker_and_the_others, 0,
	    UNIT_COUNT(kinds));
	tcase_add_loop_test(tc, waking_leaves_errno_alone, 0,
	    UNIT_COUNT(kinds));
	tcase_add_test(tc, it_is_readable_from_wake_to_clear);
	tcase_add_test(tc, the_last_reference_closes_it);
	tcase_add_test(tc, who_sleeps_has_no_descriptor);
	tcase_add_test(tc, few_of_what_was_lent_at_a_time_is_kept);
	tcase_add_test(tc, who_rests_gives_back_what_was_lent);
	tcase_add_test(tc, as_many_are_kept_as_told);
	tcase_add_test(tc, without_a_descriptor_it_is_woken_as_well);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
