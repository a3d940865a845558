/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What other programs do to a local device, at each moment of its life. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake_libusb.h"
#include "unit.h"
#include "usb_trees.h"
#include "usb/sysfs.h"
#include "usb/transport_libusb.h"

static const struct fake_spec spec = { .bus = 1, .address = 7,
	.ports = { 2, 3 }, .port_count = 2, .vendor = 0x05ac,
	.product = 0x12a8, .speed = LIBUSB_SPEED_HIGH };
static const struct usb_pipes pipes = { .in = 0x85, .out = 0x04,
	.max_packet = 512 };
static const struct usb_ident ident = { .key = "1-2.3", .bus = 1,
	.address = 7 };

static struct fake_device *device;
static struct read_budget budget;
static struct chunk_pool pool;
static struct transport *t;
static char root[64], folder[128], link_name[144];

/* The kernel gives the interface to a driver: a new link, which gets a number
 * that no other has had. */
static void
bind_driver(int number)
{
	char target[32];

	snprintf(target, sizeof target, "usbfs-%d", number);
	ck_assert_int_eq(symlink(target, link_name), 0);
}

/* Away and back, as in the kernel; the file system of a test could give a new
 * link the old one's number. */
static void
bind_again(void)
{
	char old[160];

	snprintf(old, sizeof old, "%s.old", link_name);
	ck_assert_int_eq(rename(link_name, old), 0);
	bind_driver(2);
}

/* Opened, and in configuration 4. */
static void
set_up(void)
{
	struct cause why;

	log_set_level(LOG_LEVEL_FATAL);
	snprintf(folder, sizeof folder, "%s/1-2.3:4.1", sysfs_root);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	snprintf(link_name, sizeof link_name, "%s/driver", folder);
	bind_driver(1);

	device = fake_plug(&spec);
	read_budget_init(&budget);
	chunk_pool_init(&pool, 16);
	ck_assert_int_eq(local_open(&budget, &ident, &t, &why), USB_OK);
	ck_assert_int_eq(t->ops->set_configuration(t, 4, 0), USB_OK);
}

static void
setup(void)
{
	snprintf(root, sizeof root, "/tmp/muxd-taken.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sysfs_root = root;
	set_up();
}

static void
setup_direct(void)
{
	show_trees();
	choose_direct();
	set_up();
}

static void
start(void)
{
	ck_assert_int_eq(t->ops->claim(t, 1), USB_OK);
	ck_assert_int_eq(t->ops->start(t, &pipes, &pool), USB_OK);
}

static void
finish(void)
{
	char command[128];

	t->ops->stop(t);
	t->ops->free(t);
	chunk_pool_fini(&pool);
	ck_assert_int_eq(fake_counts().in_flight, 0);
	ck_assert_int_eq(fake_counts().handles, 0);
	ck_assert_int_eq(fake_counts().contexts, 0);
	hide_trees();
	if (root[0] == '\0')
		return;
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* How long until reading fails with that; other reads are dropped. */
static int64_t
ms_until(int error)
{
	const struct moment before = clock_now();
	struct chunk *c;
	int n;

	while ((n = t->ops->read(t, &c, 5000)) == 1)
		chunk_put(c);
	ck_assert_int_eq(n, error);
	return moment_ms_between(before, clock_now());
}

/* ---- Bring-up ---- */

static int
no_device(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	(void)d, (void)type, (void)request, (void)value, (void)index;
	(void)data, (void)length;
	return LIBUSB_ERROR_NO_DEVICE;
}

/* A request that is in flight ends as if the device had gone; `_i`: it has. */
START_TEST(amid_a_request)
{
	const struct usb_setup_packet setup = { .request_type = 0x80,
		.request = 6, .value = 0x100, .length = 18 };
	uint8_t bytes[18];

	fake_on_control(device, no_device);
	if (_i == 1)
		fake_unplug(device);
	ck_assert_int_eq(t->ops->control(t, &setup, bytes, 100),
	    _i == 1 ? USB_ERROR_GONE : USB_ERROR_TAKEN);
	finish();
}
END_TEST

/* The kernel changes no configuration of which another program holds an
 * interface. */
START_TEST(before_the_configuration)
{
	fake_set_configuring(LIBUSB_ERROR_BUSY);
	ck_assert_int_eq(t->ops->set_configuration(t, 3, 0), USB_ERROR_BUSY);
	fake_set_configuring(LIBUSB_ERROR_NO_DEVICE);
	ck_assert_int_eq(t->ops->set_configuration(t, 3, 0), USB_ERROR_TAKEN);
	fake_set_configuring(0);
	finish();
}
END_TEST

/* The interface is not there in configurations 0 and 1. */
START_TEST(before_the_claim)
{
	fake_reconfigure(device, _i);
	fake_set_claim(LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(t->ops->claim(t, 1), USB_ERROR_TAKEN);
	fake_unplug(device);
	ck_assert_int_eq(t->ops->claim(t, 1), USB_ERROR_GONE);
	fake_set_claim(0);
	finish();
}
END_TEST

/* The interface is there, but it is another one. */
START_TEST(before_the_claim_of_another)
{
	fake_reconfigure(device, 1);
	ck_assert_int_eq(t->ops->claim(t, 1), USB_ERROR_TAKEN);
	/* The next attempt sees what there is. */
	ck_assert_int_eq(t->ops->get_configuration(t), 1);
	ck_assert_int_eq(t->ops->set_configuration(t, 4, 1), USB_OK);
	start();
	finish();
}
END_TEST

/* The kernel's own choice comes late. */
START_TEST(before_the_start)
{
	ck_assert_int_eq(t->ops->claim(t, 1), USB_OK);
	fake_reconfigure(device, 1);
	ck_assert_int_eq(t->ops->start(t, &pipes, &pool), USB_ERROR_TAKEN);
	finish();
}
END_TEST

/* No session has begun: nothing is lost. */
START_TEST(a_reset_before_the_start)
{
	ck_assert_int_eq(t->ops->claim(t, 1), USB_OK);
	fake_reconfigure(device, 4);
	bind_again();
	start();
	fake_send(device, 1, 10);
	struct chunk *c;
	ck_assert_int_eq(t->ops->read(t, &c, 1000), 1);
	chunk_put(c);
	ck_assert_int_eq(t->ops->read(t, &c, 600), 0);
	finish();
}
END_TEST

/* ---- Running ---- */

/* Reads are in flight: with another configuration, or with the same (a reset
 * sets it, too). */
START_TEST(amid_reads)
{
	static const int values[] = { 0, 1, 4 };

	start();
	fake_reconfigure(device, values[_i]);
	ck_assert_int_lt(ms_until(USB_ERROR_TAKEN), 1000);
	ck_assert_int_eq(ms_until(USB_ERROR_TAKEN), 0);
	finish();
}
END_TEST

static void
count_done(struct tx *tx, int error)
{
	ck_assert_int_ne(error, USB_OK);
	tx->transport_private = NULL;
	tx->len = 0;
}

/* A frame that the device did not take, in whichever way that is told. */
START_TEST(amid_writes)
{
	uint8_t bytes[64] = { 0 };
	struct tx tx = { .done = count_done, .len = 40, .data = bytes };

	start();
	if (_i == 0)
		fake_hold(device, true);
	else
		fake_fail_write(device, LIBUSB_TRANSFER_ERROR);
	if (_i == 2)
		bind_again();
	t->ops->write(t, &tx);
	if (_i == 0)
		fake_reconfigure(device, 4);
	ck_assert_int_lt(ms_until(_i == 1 ? USB_ERROR_IO : USB_ERROR_TAKEN),
	    1000);
	/* The read's end may have been among the first that libusb told of, and
	 * the frame's among the next. */
	finish();
	ck_assert_uint_eq(tx.len, 0);
}
END_TEST

/*
 * All reads had completed before the interface was lost and got back, so none
 * fails; and nothing more comes, since the device has forgotten its session.
 */
START_TEST(between_reads)
{
	start();
	for (int i = 0; i < 4; i++)
		fake_send(device, (uint8_t)i, 100);
	bind_again();
	ck_assert_int_lt(ms_until(USB_ERROR_TAKEN), 1000);
	finish();
}
END_TEST

/* The same, but nobody has claimed it yet. */
START_TEST(between_reads_for_good)
{
	start();
	fake_send(device, 1, 100);
	ck_assert_int_eq(unlink(link_name), 0);
	ck_assert_int_lt(ms_until(USB_ERROR_TAKEN), 1000);
	finish();
}
END_TEST

/* What is ours stays so; and where the system does not tell, nothing is
 * inferred. */
START_TEST(nobody)
{
	struct chunk *c;

	if (_i == 1)
		ck_assert_int_eq(unlink(link_name), 0);
	start();
	for (int i = 0; i < 8; i++) {
		fake_send(device, (uint8_t)i, 100);
		ck_assert_int_eq(t->ops->read(t, &c, 1000), 1);
		chunk_put(c);
		ck_assert_int_eq(t->ops->read(t, &c, 100), 0);
	}
	finish();
}
END_TEST

static TCase *
all_tests(const char *name, void (*prepare)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, prepare, NULL);
	tcase_add_loop_test(tc, amid_a_request, 0, 2);
	tcase_add_test(tc, before_the_configuration);
	tcase_add_loop_test(tc, before_the_claim, 0, 2);
	tcase_add_test(tc, before_the_claim_of_another);
	tcase_add_test(tc, before_the_start);
	tcase_add_test(tc, a_reset_before_the_start);
	tcase_add_loop_test(tc, amid_reads, 0, 3);
	tcase_add_loop_test(tc, amid_writes, 0, 3);
	tcase_add_test(tc, between_reads);
	tcase_add_test(tc, between_reads_for_good);
	tcase_add_loop_test(tc, nobody, 0, 2);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("usb_taken");

	suite_add_tcase(s, all_tests("found", setup));
	if (can_open_directly())
		suite_add_tcase(s, all_tests("direct", setup_direct));
	return unit_run(s);
}
