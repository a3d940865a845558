/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An operator's files: read whole, or refused with a reason. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "unit.h"

static char dir[] = "/tmp/check_base_file.XXXXXX";
static char path[64];
static struct cause why;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/file", dir);
	why.text[0] = '\0';
}

static void
teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void
write_file(const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

/* It is refused for this reason, which is told with the file's name. */
static void
assert_refused(const char *name, size_t most, int error, const char *words)
{
	size_t len = 1;

	ck_assert_ptr_null(file_read(name, most, &len, &why));
	ck_assert_int_eq(errno, error);
	ck_assert_ptr_nonnull(strstr(why.text, name));
	ck_assert_ptr_nonnull(strstr(why.text, words));
}

START_TEST(all_bytes_are_read_and_a_zero_stands_behind)
{
	size_t len = 0;
	char *text;

	write_file("a\0b\n", 4);
	text = file_read(path, 4, &len, &why);
	ck_assert_msg(text != NULL, "%s", why.text);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(text, "a\0b\n\0", 5);
	free(text);
}
END_TEST

START_TEST(an_empty_file_is_one)
{
	size_t len = 1;
	char *text;

	write_file("", 0);
	text = file_read(path, 4, &len, &why);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(text[0], 0);
	free(text);
}
END_TEST

START_TEST(a_byte_too_many_is_refused)
{
	write_file("abcde", 5);
	assert_refused(path, 4, EFBIG, "too long");
}
END_TEST

START_TEST(so_is_one_that_was_shorter_when_it_was_opened)
{
	/* Of no length, and long. */
	assert_refused("/proc/self/status", 4, EFBIG, "too long");
}
END_TEST

START_TEST(what_is_not_there_is_told)
{
	assert_refused(path, 4, ENOENT, "No such file");
}
END_TEST

START_TEST(a_directory_is_no_file)
{
	assert_refused(dir, 4, EISDIR, "directory");
}
END_TEST

START_TEST(a_fifo_is_not_waited_for)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_refused(path, 4, EINVAL, "not a regular file");
}
END_TEST

START_TEST(a_terminal_or_a_device_is_no_file)
{
	assert_refused("/dev/zero", 4, EINVAL, "not a regular file");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base/file");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_bytes_are_read_and_a_zero_stands_behind);
	tcase_add_test(t, an_empty_file_is_one);
	tcase_add_test(t, a_byte_too_many_is_refused);
	tcase_add_test(t, so_is_one_that_was_shorter_when_it_was_opened);
	tcase_add_test(t, what_is_not_there_is_told);
	tcase_add_test(t, a_directory_is_no_file);
	tcase_add_test(t, a_fifo_is_not_waited_for);
	tcase_add_test(t, a_terminal_or_a_device_is_no_file);
	suite_add_tcase(s, t);
	return unit_run(s);
}
