/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A local device for a reader that sleeps elsewhere, over a libusb without USB. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_libusb.h"
#include "unit.h"
#include "usb/sysfs.h"
#include "usb_local_rig.h"
#include "usb_trees.h"

START_TEST(watched)
{
	struct pollfd fds[2];

	local_rig_start();
	ck_assert_int_eq(t->ops->watched(t, fds, 2), 1);
	ck_assert_int_eq(fds[0].fd, FAKE_POLL_FD);
	ck_assert_int_eq(fds[0].events, POLLIN);
	ck_assert_int_eq(t->ops->watched(t, fds, 0), -1);
	fake_set_poll_fd(socket(AF_UNIX, SOCK_STREAM, 0));
	ck_assert_int_eq(t->ops->watched(t, fds, 2), -1);
	fake_set_poll_fd(FAKE_POLL_FD);
	ck_assert_int_eq(t->ops->watched(t, fds, 2), 1);
	fake_set_timerless(true);
	ck_assert_int_eq(t->ops->watched(t, fds, 2), -1);
	local_rig_finish();
}
END_TEST

/* All that is there, though libusb takes only so many at a time, and frames
 * among it. */
START_TEST(looks_at_everything)
{
	_Atomic int finished = 0;
	struct frame f[60];
	struct chunk *c;
	int reads = 0;

	local_rig_start();
	fake_hold(device, true);
	for (int i = 0; i < 60; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 32, true);
		f[i].finished = &finished;
		t->ops->write(t, &f[i].tx);
	}
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	fake_hold(device, false);
	for (int i = 0; i < LOCAL_READS; i++)
		fake_send(device, (uint8_t)i, 10);
	for (; t->ops->look(t, &c) == 1; reads++) {
		ck_assert_int_eq(c->data[0], reads);
		chunk_put(c);
	}
	ck_assert_int_eq(reads, LOCAL_READS);
	ck_assert_int_eq(finished, 60);
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	ck_assert_int_gt(t->ops->patience(t), 1000);
	local_rig_finish();
}
END_TEST

/* That libusb had no more is true until the reader has asked it again. */
START_TEST(what_a_read_has_left_is_looked_at)
{
	_Atomic int finished = 0;
	struct frame f[60];
	struct chunk *c;

	local_rig_start();
	fake_send(device, 1, 10);
	ck_assert_int_eq(t->ops->look(t, &c), 1);
	chunk_put(c);
	fake_hold(device, true);
	for (int i = 0; i < 60; i++) {
		local_rig_frame(&f[i], (uint32_t)i, 32, false);
		f[i].finished = &finished;
		t->ops->write(t, &f[i].tx);
	}
	fake_hold(device, false);
	ck_assert_int_eq(t->ops->read(t, &c, 0), 0);
	ck_assert_int_lt(finished, 60);
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	ck_assert_int_eq(finished, 60);
	local_rig_finish();
}
END_TEST

/* What asks of the device or takes time is the reader's own. */
START_TEST(looking_never_blocks)
{
	struct chunk *c;

	local_rig_start();
	fake_send(device, 1, 10);
	fake_send_status(device, LIBUSB_TRANSFER_STALL);
	ck_assert_int_eq(t->ops->look(t, &c), 1);
	chunk_put(c);
	ck_assert_int_eq(t->ops->look(t, &c), -1);
	ck_assert_int_eq(fake_counts().clear_halts, 0);
	/* Also when it was the reader who looked. */
	ck_assert_int_lt(t->ops->patience(t), 100);
	ck_assert_int_eq(t->ops->read(t, &c, 1000), USB_ERROR_STALL);
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	fake_set_memory(0);
	for (int i = 0; i < LOCAL_READS; i++)
		fake_send(device, 2, 10);
	for (int i = 0; i < LOCAL_READS; i++) {
		ck_assert_int_eq(t->ops->look(t, &c), 1);
		chunk_put(c);
	}
	ck_assert_int_eq(t->ops->look(t, &c), -1);
	ck_assert_int_lt(t->ops->patience(t), 100);
	fake_set_memory(-1);
	ck_assert_int_eq(t->ops->read(t, &c, 0), 0);
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	t->ops->halt(t);
	ck_assert_int_eq(t->ops->look(t, &c), -1);
	local_rig_finish();
}
END_TEST

/* Another program takes the device: nothing is asked of it but by the reader. */
START_TEST(taken)
{
	char folder[160], link[176];
	struct chunk *c;

	show_trees();
	choose_direct();
	snprintf(folder, sizeof folder, "%s/1-2.3:4.1", sysfs_root);
	snprintf(link, sizeof link, "%s/driver", folder);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(symlink("usbfs", link), 0);
	local_rig_setup();
	ck_assert_int_eq(t->ops->set_configuration(t, 4, 0), USB_OK);
	local_rig_start();
	fake_send(device, 1, 10);
	ck_assert_int_eq(t->ops->look(t, &c), 1);
	chunk_put(c);
	ck_assert_int_eq(t->ops->look(t, &c), 0);
	fake_set_locked(true);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(t->ops->look(t, &c), -1);
	ck_assert_int_eq(t->ops->look(t, &c), -1);
	fake_set_locked(false);
	if (_i == 1)
		fake_unplug(device);
	ck_assert_int_eq(t->ops->read(t, &c, 1000),
	    _i == 1 ? USB_ERROR_GONE : USB_ERROR_TAKEN);
	local_rig_finish();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_look");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, local_rig_setup, NULL);
	tcase_add_test(tc, watched);
	tcase_add_test(tc, looks_at_everything);
	tcase_add_test(tc, what_a_read_has_left_is_looked_at);
	tcase_add_test(tc, looking_never_blocks);
	suite_add_tcase(s, tc);
	if (can_open_directly()) {
		tc = tcase_create("direct");
		tcase_add_loop_test(tc, taken, 0, 2);
		suite_add_tcase(s, tc);
	}
	return unit_run(s);
}
