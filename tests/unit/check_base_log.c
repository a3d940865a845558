/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The log, causes, and the arithmetic of moments. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cause.h"
#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

/* ---- A sink that remembers ---- */

static char last[LOG_LINE_MAX + 1];
static enum log_level last_level;
static unsigned lines;

static void
remember(enum log_level level, const char *line)
{
	ck_assert_uint_lt(strlen(line), LOG_LINE_MAX);
	snprintf(last, sizeof last, "%s", line);
	last_level = level;
	lines++;
	errno = ENOTTY; /* as a failing sink would leave it */
}

static void
listen_to_log(void)
{
	lines = 0;
	log_set_sink(remember);
	log_set_level(LOG_LEVEL_DEBUG);
}

START_TEST(a_line_arrives_formatted_with_its_level)
{
	log_warning("%s: %d", "answer", 42);
	ck_assert_uint_eq(lines, 1);
	ck_assert_int_eq(last_level, LOG_LEVEL_WARNING);
	ck_assert_str_eq(last, "answer: 42");
}
END_TEST

START_TEST(control_characters_cannot_make_a_second_line)
{
	char all[128];
	size_t n = 0;

	for (int c = 1; c < 128; c++)
		all[n++] = (char)c;
	all[n] = '\0';
	log_error("%s", all);
	ck_assert_uint_eq(strlen(last), n);
	for (size_t i = 0; i < n; i++)
		HOLDS(last[i] == (all[i] < 0x20 || all[i] == 0x7f ? '?' : all[i]),
		    "character 0x%02x became 0x%02x", all[i], last[i]);
	/* Text beyond ASCII passes. */
	log_error("\xc3\xa4");
	ck_assert_str_eq(last, "\xc3\xa4");
	log_error("\xc2\xa0\xc2");
	ck_assert_str_eq(last, "\xc2\xa0\xc2");
	/* Controls there do not: here one that a terminal takes for ESC [. */
	log_error("\xc2\x9b" "31m \xc2\x80\xc2\x9f");
	ck_assert_str_eq(last, "??31m ????");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char text[2 * LOG_LINE_MAX];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_notice("%s", text);
	ck_assert_uint_eq(strlen(last), LOG_LINE_MAX - 1);
	text[LOG_LINE_MAX - 1] = '\0';
	ck_assert_str_eq(last, text);
}
END_TEST

START_TEST(errno_survives)
{
	errno = EXDEV;
	log_error("x");
	ck_assert_int_eq(errno, EXDEV);
	log_packet("not wanted");
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_uint_eq(lines, 1);
}
END_TEST

static int evaluated;

static int
evaluate(void)
{
	return ++evaluated;
}

START_TEST(what_nobody_wants_is_not_formatted)
{
	for (int level = LOG_LEVEL_FATAL; level <= LOG_LEVEL_PACKET; level++) {
		lines = 0;
		evaluated = 0;
		log_set_level((enum log_level)level);
		ck_assert_int_eq(log_get_level(), level);
		log_fatal("%d", evaluate());
		log_error("%d", evaluate());
		log_warning("%d", evaluate());
		log_notice("%d", evaluate());
		log_info("%d", evaluate());
		log_debug("%d", evaluate());
		log_packet("%d", evaluate());
		ck_assert_int_eq(evaluated, level - LOG_LEVEL_FATAL + 1);
		ck_assert_uint_eq(lines, (unsigned)evaluated);
	}
}
END_TEST

START_TEST(levels_go_by_name_and_by_number)
{
	static const char *const bad[] = { "", "1", "9", "10", "22", "loud",
		"Error", "error ", " 3", "3x", "-2" };

	for (int level = LOG_LEVEL_FATAL; level <= LOG_LEVEL_PACKET; level++) {
		char number[12];

		snprintf(number, sizeof number, "%d", level);
		ck_assert_int_eq(log_level_parse(number), level);
		ck_assert_int_eq(log_level_parse(
				     log_level_name((enum log_level)level)),
		    level);
	}
	for (int i = 0; i < UNIT_COUNT(bad); i++)
		HOLDS(log_level_parse(bad[i]) == -1, "'%s' is a level", bad[i]);
}
END_TEST

START_TEST(without_a_sink_lines_go_to_standard_error)
{
	char path[] = "/tmp/check_base_log.XXXXXX", got[128] = "";
	const int fd = mkstemp(path);
	FILE *f;

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_ptr_nonnull(freopen(path, "w", stderr));
	log_set_sink(NULL);
	log_warning("to %s", "stderr");
	fflush(stderr);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(got, sizeof got, f));
	ck_assert_str_eq(got, "warning: to stderr\n");
	fclose(f);
	unlink(path);
}
END_TEST

START_TEST(bytes_are_shown_as_hex)
{
	uint8_t bytes[17];
	char out[LOG_HEX_MAX];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(0xf0 + i);
	ck_assert_str_eq(log_hex(out, bytes, 0), "");
	ck_assert_str_eq(log_hex(out, NULL, 0), "");
	ck_assert_str_eq(log_hex(out, bytes, 1), "f0");
	ck_assert_str_eq(log_hex(out, bytes, 4), "f0f1f2f3");
	ck_assert_str_eq(log_hex(out, bytes, 5), "f0f1f2f3 f4");
	ck_assert_str_eq(log_hex(out, bytes, 17),
	    "f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff");
}
END_TEST

START_TEST(a_limit_lets_one_line_a_second_through)
{
	struct log_limit limit = { 0 };
	char more[LOG_LIMIT_MAX];

	for (int second = 0; second < 3; second++) {
		const int64_t before = clock_now().ns;
		const char *end = log_limit_pass(&limit, more);

		ck_assert_ptr_nonnull(end);
		ck_assert_str_eq(end,
		    second == 0 ? "" : " (and 5 more like it)");
		HOLDS(limit.next_ns >= before + 1000000000,
		    "the next in less than a second");
		/* However slow this machine is. */
		limit.next_ns = INT64_MAX;
		for (int i = 0; i < 5; i++)
			ck_assert_ptr_null(log_limit_pass(&limit, more));
		limit.next_ns = clock_now().ns;
	}
}
END_TEST

/* ---- Causes ---- */

START_TEST(a_cause_is_cut_and_terminated)
{
	struct {
		struct cause why;
		char guard;
	} c = { .guard = 'g' };
	char text[1024];

	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ck_assert_int_eq(cause_set(&c.why, "%s", text), -1);
	ck_assert_uint_eq(strlen(c.why.text), sizeof c.why.text - 1);
	ck_assert_int_eq(c.guard, 'g');
	ck_assert_int_eq(cause_set(&c.why, "short"), -1);
	ck_assert_str_eq(c.why.text, "short");
}
END_TEST

/* ---- Moments ---- */

static struct moment
at_ns(int64_t ns)
{
	return (struct moment){ ns };
}

#define MS INT64_C(1000000)

static const struct {
	int64_t now, deadline;
	int expected;
} timeouts[] = {
	{ 5, INT64_MAX, -1 },	      /* never */
	{ 5, 5, 0 },		      /* now */
	{ 6, 5, 0 },		      /* has passed */
	{ 5, 6, 1 },		      /* a nanosecond is waited for, not spun */
	{ 0, MS, 1 },
	{ 0, MS + 1, 2 },
	{ 0, MS - 1, 1 },
	{ 7, 7 + 10 * MS, 10 },
	{ 0, 86400000 * MS, 86400000 },
	{ 0, 86400000 * MS + 1, 86400000 }, /* poll() is called again */
	{ 0, INT64_MAX - 1, 86400000 },
	{ INT64_MAX - 1, INT64_MAX - 1, 0 },
	{ 5, 0, 0 }, /* "at once" is the moment zero */
};

START_TEST(poll_is_told_to_wait_long_enough)
{
	ck_assert_int_eq(moment_poll_timeout(at_ns(timeouts[_i].now),
			     at_ns(timeouts[_i].deadline)),
	    timeouts[_i].expected);
}
END_TEST

START_TEST(moments_compare_and_move)
{
	const struct moment a = at_ns(3 * MS), b = moment_after_ms(a, 4);

	ck_assert_int_eq(b.ns, 7 * MS);
	ck_assert(moment_before(a, b));
	ck_assert(!moment_before(b, a));
	ck_assert(!moment_before(a, a));
	ck_assert_int_eq(moment_earlier(a, b).ns, a.ns);
	ck_assert_int_eq(moment_earlier(b, a).ns, a.ns);
	ck_assert_int_eq(moment_earlier(MOMENT_NEVER, b).ns, b.ns);
	ck_assert_int_eq(moment_ms_between(a, b), 4);
	ck_assert_int_eq(moment_ms_between(b, a), -4);
	ck_assert_int_eq(moment_ms_between(a, at_ns(b.ns - 1)), 3);
}
END_TEST

START_TEST(the_clock_does_not_go_back)
{
	struct moment before = clock_now();

	for (int i = 0; i < 10000; i++) {
		const struct moment now = clock_now();

		HOLDS(!moment_before(now, before), "went back");
		before = now;
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base/log");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, listen_to_log, NULL);
	tcase_add_test(tc, a_line_arrives_formatted_with_its_level);
	tcase_add_test(tc, control_characters_cannot_make_a_second_line);
	tcase_add_test(tc, a_long_line_is_cut);
	tcase_add_test(tc, errno_survives);
	tcase_add_test(tc, what_nobody_wants_is_not_formatted);
	tcase_add_test(tc, levels_go_by_name_and_by_number);
	tcase_add_test(tc, without_a_sink_lines_go_to_standard_error);
	tcase_add_test(tc, bytes_are_shown_as_hex);
	tcase_add_test(tc, a_limit_lets_one_line_a_second_through);
	suite_add_tcase(s, tc);
	tc = tcase_create("cause and clock");
	tcase_add_test(tc, a_cause_is_cut_and_terminated);
	tcase_add_loop_test(tc, poll_is_told_to_wait_long_enough, 0,
	    UNIT_COUNT(timeouts));
	tcase_add_test(tc, moments_compare_and_move);
	tcase_add_test(tc, the_clock_does_not_go_back);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
