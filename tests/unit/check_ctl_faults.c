/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What muxctl says when something is wrong, and how it ends then. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "ctl_rig.h"
#include "unit.h"
#include "wire/admin.h"

/* ---- Daemons that are none, or no good ---- */

static void
fails_with(const char *part)
{
	ck_assert_int_eq(SERVED("list"), 1);
	ck_assert_str_eq(rig.out, "");
	ck_assert_int_eq(strncmp(rig.err, "muxctl: ", 8), 0);
	assert_contains(rig.err, rig.path);
	assert_contains(rig.err, part);
	/* One sentence. */
	ck_assert_ptr_eq(strchr(rig.err, '\n') + 1, strchr(rig.err, '\0'));
}

START_TEST(a_daemon_that_says_no)
{
	rig_say_result(1);
	fails_with(": does not know 'Status': ");
}
END_TEST

START_TEST(a_daemon_without_memory)
{
	rig_say_result(ENOMEM);
	fails_with("refuses 'Status': Cannot allocate memory");
}
END_TEST

START_TEST(a_daemon_with_an_unknown_reason)
{
	rig_say_result(UINT64_MAX);
	fails_with("refuses 'Status': for an unknown reason");
}
END_TEST

START_TEST(a_daemon_that_closes)
{
	fails_with("the daemon has closed it");
}
END_TEST

START_TEST(an_answer_to_something_else)
{
	rig_say_status();
	rig.tag_offset = 1;
	fails_with("no control socket of muxd");
}
END_TEST

/* A header of these words, and `len` bytes of zeros. */
static void
say_raw(uint32_t length, uint32_t message, size_t len)
{
	struct writer w;

	rig.raw.len = USBMUX_HEADER_SIZE + len;
	rig.raw.bytes = calloc(1, rig.raw.len);
	w = writer_over(rig.raw.bytes, rig.raw.len);
	write_le32(&w, length);
	write_le32(&w, USBMUX_VERSION_PLIST);
	write_le32(&w, message);
	write_le32(&w, 1);
}

START_TEST(a_length_that_cannot_be)
{
	static const uint32_t lengths[] = { 0, 15, ADMIN_REPLY_MAX + 1,
		UINT32_MAX };

	say_raw(lengths[_i], USBMUX_PLIST, 0);
	fails_with("no control socket of muxd");
}
END_TEST

START_TEST(an_answer_that_is_no_plist)
{
	static const struct {
		uint32_t message;
		size_t len;
	} answers[] = { { USBMUX_PLIST, 0 }, { USBMUX_PLIST, 500 },
		{ USBMUX_RESULT, 4 } };

	say_raw((uint32_t)(USBMUX_HEADER_SIZE + answers[_i].len),
	    answers[_i].message, answers[_i].len);
	fails_with("no control socket of muxd");
}
END_TEST

START_TEST(an_answer_that_ends_midway)
{
	say_raw(USBMUX_HEADER_SIZE + 500, USBMUX_PLIST, 100);
	fails_with("the daemon has closed it");
}
END_TEST

START_TEST(no_daemon_at_all)
{
	close(rig.listener);
	ck_assert_int_eq(MUXCTL("-c", rig.path, "list"), 1);
	assert_contains(rig.err, rig.path);
	assert_contains(rig.err, "Connection refused; is muxd running?");
	unlink(rig.path);
	ck_assert_int_eq(MUXCTL("-c", rig.path, "watch"), 1);
	assert_contains(rig.err, "No such file or directory; is muxd ");
	ck_assert_int_eq(MUXCTL("-c", "127.0.0.1:1", "log", "info"), 1);
	assert_contains(rig.err, "127.0.0.1:1: Connection refused; ");
}
END_TEST

START_TEST(no_permission)
{
	/* Root has it, so become nobody; others have none as they are. */
	ck_assert_int_eq(chmod(rig.path, 0), 0);
	ck_assert_int_eq(chmod(rig.dir, 0755), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(MUXCTL("-c", rig.path, "list"), 1);
	assert_contains(rig.err, rig.path);
	assert_contains(rig.err, "Permission denied; it is for the daemon's "
				  "user and group: try as root");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* ---- Usage ---- */

#define USAGE_CASES 12

START_TEST(wrong_usage)
{
	static const struct {
		const char *args[4];
		const char *sentence;
	} cases[] = {
		{ { NULL }, "a command is missing" },
		{ { "" }, "'' is the beginning of several commands: list, " },
		{ { "l" }, "'l' is the beginning of several commands: list, "
			   "log;" },
		{ { "c" }, "several commands: connections, clients;" },
		{ { "listing" }, "there is no command 'listing'; there are "
				 "list, devices, " },
		{ { "list", "1" }, "'list' takes no argument" },
		{ { "log", "1", "2" }, "'log' takes one argument only" },
		{ { "-q", "list" }, "unknown option '-q'" },
		{ { "--quiet", "list" }, "unknown option '--quiet'" },
		{ { "--json=yes", "list" }, "option '--json=yes' takes no value" },
		{ { "list", "-c" }, "option '-c' needs a value" },
		{ { "list", "-c", "here" }, "-c: 'here': expected HOST:PORT" },
	};

	ck_assert_int_eq(UNIT_COUNT(cases), USAGE_CASES);
	ck_assert_int_eq(rig_run(cases[_i].args), 2);
	ck_assert_str_eq(rig.out, "");
	assert_contains(rig.err, cases[_i].sentence);
	assert_contains(rig.err, "; see muxctl --help\n");
}
END_TEST

START_TEST(help_and_version)
{
	ck_assert_int_eq(MUXCTL("--help"), 0);
	assert_contains(rig.out, "\n  watch ");
	assert_contains(rig.out, ADMIN_SOCKET_PATH);
	ck_assert_int_eq(MUXCTL("-V"), 0);
	ck_assert_int_eq(strncmp(rig.out, "muxctl ", 7), 0);
}
END_TEST

START_TEST(the_environment_names_the_socket)
{
	const char *const args[] = { "list", NULL };

	rig_say_status();
	setenv(ADMIN_SOCKET_VARIABLE, rig.path, 1);
	ck_assert_int_eq(rig_run_served(args), 0);
	assert_contains(rig.out, "AA");
	setenv(ADMIN_SOCKET_VARIABLE, "nonsense", 1);
	ck_assert_int_eq(MUXCTL("list"), 2);
	assert_contains(rig.err, ADMIN_SOCKET_VARIABLE ": 'nonsense'");
}
END_TEST

START_TEST(output_that_cannot_be_written)
{
	const char *const args[] = { "-c", rig.path, "list", NULL };
	FILE *full = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(full);
	rig_say_status();
	ck_assert_int_eq(rig_run_served_to(full, args), 1);
	ck_assert_str_eq(rig.err, "muxctl: cannot write the output: "
				   "No space left on device\n");
	fclose(full);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl/faults");
	TCase *t = tcase_create("faults");

	tcase_add_checked_fixture(t, rig_set_up, rig_tear_down);
	tcase_add_test(t, a_daemon_that_says_no);
	tcase_add_test(t, a_daemon_without_memory);
	tcase_add_test(t, a_daemon_with_an_unknown_reason);
	tcase_add_test(t, a_daemon_that_closes);
	tcase_add_test(t, an_answer_to_something_else);
	tcase_add_loop_test(t, a_length_that_cannot_be, 0, 4);
	tcase_add_loop_test(t, an_answer_that_is_no_plist, 0, 3);
	tcase_add_test(t, an_answer_that_ends_midway);
	tcase_add_test(t, no_daemon_at_all);
	tcase_add_test(t, no_permission);
	tcase_add_loop_test(t, wrong_usage, 0, USAGE_CASES);
	tcase_add_test(t, help_and_version);
	tcase_add_test(t, the_environment_names_the_socket);
	tcase_add_test(t, output_that_cannot_be_written);
	suite_add_tcase(s, t);
	return unit_run(s);
}
