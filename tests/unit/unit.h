/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_UNIT_H
#define MUXD_TESTS_UNIT_H

/* What the programs of Check here have in common. */

#include <check.h>
#include <dirent.h>

/* Longer than anything that a test waits for takes, under any sanitizer and on
 * a busy machine.  Only a test that fails waits that long. */
#define UNIT_PATIENCE_MS 20000

#define UNIT_COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* An assertion for inner loops: Check's own write a file each time. */
#define HOLDS(cond, ...)                           \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/* That are open in this process, and a few: to be compared. */
static inline int
unit_descriptors(void)
{
	DIR *dir = opendir("/dev/fd");
	int count = 0;

	HOLDS(dir != NULL, "no /dev/fd");
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Runs the suite and frees it; the program's exit status. */
static inline int
unit_run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}

#endif
