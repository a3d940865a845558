/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the drop-in libusb makes of servers that are away, or odd. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"
#include "usbnet_rig.h"

static struct usbnet_rig r;

static int
count_devices(void)
{
	libusb_device **list;
	const int n = (int)libusb_get_device_list(r.ctx, &list);

	ck_assert_int_ge(n, 0);
	libusb_free_device_list(list, 1);
	return n;
}

/* ---- What it says on standard error ---- */

/* Standard error becomes a pipe.  Its reading end. */
static int
pipe_stderr(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	usbnet_set_servers("unix:/nowhere/at/all");
	unsetenv("USBNET_QUIET");
	return ends[0];
}

START_TEST(it_says_who_is_away)
{
	char text[300] = "";
	const int fd = pipe_stderr();

	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "usbnet: server unix:/nowhere/"));
	libusb_exit(r.ctx);
	close(fd);
}
END_TEST

START_TEST(nobody_reads_what_it_says)
{
	signal(SIGPIPE, SIG_DFL);
	close(pipe_stderr());
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	libusb_exit(r.ctx);
}
END_TEST

START_TEST(who_reads_what_it_says_has_stopped)
{
	const int fd = pipe_stderr();
	const char text[4096] = "";

	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (write(STDERR_FILENO, text, sizeof text) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, 0);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	libusb_exit(r.ctx);
	close(fd);
}
END_TEST

/* A daemon has closed its own, and another file has its number. */
START_TEST(standard_error_is_another_file)
{
	FILE *file = tmpfile();
	struct stat st;

	usbnet_serve(&r);
	unsetenv("USBNET_QUIET");
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	rig_unplug(&r.server, &r.dev);
	rig_device_fini(&r.dev);
	usbip_server_free(r.server.server);
	while (count_devices() > 0)
		;
	count_devices();
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	libusb_exit(r.ctx);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet servers");
	TCase *words = tcase_create("words");

	tcase_set_timeout(words, 2 * RIG_PATIENCE_S);
	tcase_add_test(words, it_says_who_is_away);
	tcase_add_test(words, nobody_reads_what_it_says);
	tcase_add_test(words, who_reads_what_it_says_has_stopped);
	tcase_add_test(words, standard_error_is_another_file);
	suite_add_tcase(s, words);
	return unit_run(s);
}
