/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's backend: requests that change what libusb keeps of a device. */
#include <sys/socket.h>
#include <unistd.h>

#include "export/session.h"
#include "export_rig.h"

START_TEST(same_configuration_is_not_set)
{
	const int fd = export_import();

	export_control(fd, 1, SET_CONFIGURATION(1));
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().set_configurations, 0);
	/* But its settings begin anew. */
	export_control(fd, 2, SET_INTERFACE(0, 1));
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	export_control(fd, 3, SET_CONFIGURATION(1));
	rig_expect_ret(fd, 3, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().set_configurations, 0);
	ck_assert_int_eq(fake_counts().setting, 0);
	rig_submit(fd, &x.as, 4, 0x02, 64);
	rig_expect_ret(fd, 4, USBIP_EPIPE, 0);
	ck_assert_int_eq(script.submitted, 0);
	export_release(fd);
}
END_TEST

/* One interface that cannot go back keeps no other. */
START_TEST(same_configuration_in_part)
{
	const int fd = export_import();

	export_control(fd, 1, SET_INTERFACE(0, 1));
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	export_control(fd, 2, SET_INTERFACE(1, 1));
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	fake_set_stuck(1);
	export_control(fd, 3, SET_CONFIGURATION(1));
	rig_expect_ret(fd, 3, USBIP_EPIPE, 0);
	rig_submit(fd, &x.as, 4, 0x02, 64); /* in the other setting only */
	rig_expect_ret(fd, 4, USBIP_EPIPE, 0);
	fake_set_stuck(0);
	export_control(fd, 5, SET_CONFIGURATION(1));
	rig_expect_ret(fd, 5, USBIP_OK, 0);
	export_release(fd);
}
END_TEST

START_TEST(another_configuration)
{
	struct usbip_device_entry entry;
	int fd = export_import(), again;

	export_control(fd, 1, SET_CONFIGURATION(2));
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().configuration, 2);
	ck_assert_uint_eq(fake_counts().claims, 1);
	rig_submit(fd, &x.as, 2, 0x84, 100);
	rig_expect_data(fd, 2, 100);
	rig_submit(fd, &x.as, 3, 0x81, 100);
	rig_expect_ret(fd, 3, USBIP_EPIPE, 0);
	export_release(fd);
	/* It is given back as it was found. */
	ck_assert_int_eq(fake_counts().configuration, 1);
	again = rig_connect(&x.rig);
	ck_assert_uint_eq(rig_try_import(again, "1-2.3", &entry), USBIP_ST_OK);
	ck_assert_uint_eq(entry.configuration, 1);
	ck_assert_uint_eq(entry.interface_count, 2);
	export_release(again);
}
END_TEST

/* What comes meanwhile is for the new configuration: it has no endpoint 81. */
START_TEST(transfers_wait_for_the_configuration)
{
	const int fd = export_import();

	fake_set_slowness(300);
	export_control(fd, 1, SET_CONFIGURATION(2));
	rig_submit(fd, &x.as, 2, 0x81, 64);
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	rig_expect_ret(fd, 2, USBIP_EPIPE, 0);
	fake_set_slowness(0);
	export_control(fd, 3, SET_CONFIGURATION(1));
	rig_submit(fd, &x.as, 4, 0x81, 64);
	rig_expect_ret(fd, 3, USBIP_OK, 0);
	rig_expect_data(fd, 4, 64);
	export_release(fd);
}
END_TEST

/* Its import ends, as nothing of it can be relied on, and it can be had anew.
 * The reset's own answer may come before that. */
START_TEST(reset_that_fails)
{
	static const int errors[] = { LIBUSB_ERROR_NOT_FOUND,
		LIBUSB_ERROR_OTHER };

	for (int i = 0; i < UNIT_COUNT(errors); i++) {
		const int fd = export_import();
		uint8_t answer[256];

		fake_set_reset(errors[i]);
		export_control(fd, 1, PORT_RESET);
		while (recv(fd, answer, sizeof answer, 0) > 0)
			;
		fake_set_reset(0);
		export_release(fd);
	}
}
END_TEST

/* Whatever the reset says, it goes back to the first. */
START_TEST(configuration_is_set_back)
{
	static const int resets[] = { 0, LIBUSB_ERROR_NOT_SUPPORTED,
		LIBUSB_ERROR_OTHER };

	for (int i = 0; i < UNIT_COUNT(resets); i++) {
		const int fd = export_import();

		export_control(fd, 1, SET_CONFIGURATION(2));
		rig_expect_ret(fd, 1, USBIP_OK, 0);
		ck_assert_int_eq(fake_counts().configuration, 2);
		fake_set_reset(resets[i]);
		export_release(fd);
		ck_assert_int_eq(fake_counts().configuration, 1);
	}
}
END_TEST

START_TEST(no_configuration)
{
	const int fd = export_import();

	export_control(fd, 1, SET_CONFIGURATION(0));
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().configuration, -1);
	ck_assert_uint_eq(fake_counts().claims, 0);
	rig_submit(fd, &x.as, 2, 0x81, 100);
	rig_expect_ret(fd, 2, USBIP_EPIPE, 0);
	export_control(fd, 3, SET_CONFIGURATION(1));
	rig_expect_ret(fd, 3, USBIP_OK, 0);
	ck_assert_uint_eq(fake_counts().claims, 3);
	rig_submit(fd, &x.as, 4, 0x81, 100);
	rig_expect_data(fd, 4, 100);
	export_release(fd);
}
END_TEST

START_TEST(clear_halt_and_reset)
{
	const int fd = export_import();

	export_control(fd, 1, CLEAR_HALT(0x81));
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().clear_halts, 1);
	export_control(fd, 2, PORT_RESET);
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().resets, 1);
	fake_set_reset(LIBUSB_ERROR_NOT_SUPPORTED);
	export_control(fd, 3, PORT_RESET);
	rig_expect_ret(fd, 3, USBIP_EINVAL, 0);
	export_control(fd, 4, SET_INTERFACE(5, 0)); /* there is none */
	rig_expect_ret(fd, 4, USBIP_EPIPE, 0);
	ck_assert_int_eq(script.submitted, 0); /* none of them raw */
	fake_set_reset(0);
	export_release(fd);
}
END_TEST

/* A request waits for control transfers before it, and is waited for by those
 * behind it; other endpoints are not concerned. */
START_TEST(set_address_is_not_passed_on)
{
	const int fd = export_import();

	export_control(fd, 1, 0x00, 5, 77, 0, 0);
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	export_control(fd, 2, 0x80, 5, 77, 0, 0);
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	ck_assert_int_eq(script.submitted, 0);
	export_release(fd);
}
END_TEST

/* The direction bit of a request without data means nothing. */
START_TEST(requests_of_any_direction)
{
	const int fd = export_import();

	export_control(fd, 1, 0x80, 9, 2, 0, 0); /* SET_CONFIGURATION */
	rig_expect_ret(fd, 1, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().configuration, 2);
	export_control(fd, 2, 0x81, 11, 0, 0, 0); /* SET_INTERFACE */
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().interface, 0);
	export_control(fd, 3, 0x82, 1, 0, 0x84, 0); /* CLEAR_FEATURE */
	rig_expect_ret(fd, 3, USBIP_OK, 0);
	ck_assert_int_eq(fake_counts().clear_halts, 1);
	ck_assert_int_eq(script.submitted, 0);
	export_release(fd);
}
END_TEST

START_TEST(requests_keep_their_place)
{
	const int fd = export_import();

	script.held = HELD(0);
	export_control(fd, 1, GET_STATUS);
	export_await_submitted(1);
	export_control(fd, 2, CLEAR_HALT(0x81));
	export_control(fd, 3, GET_STATUS);
	rig_submit(fd, &x.as, 4, 0x81, 64);
	rig_expect_data(fd, 4, 64);
	ck_assert_int_eq(fake_counts().clear_halts, 0);
	ck_assert_int_eq(script.submitted, 2);
	ck_assert(fake_finish(x.device, 0, LIBUSB_TRANSFER_STALL, 0));
	rig_expect_ret(fd, 1, USBIP_EPIPE, 0);
	rig_expect_ret(fd, 2, USBIP_OK, 0);
	export_await_submitted(3);
	ck_assert_int_eq(fake_counts().clear_halts, 1);
	ck_assert(fake_finish(x.device, 0, LIBUSB_TRANSFER_STALL, 0));
	rig_expect_ret(fd, 3, USBIP_EPIPE, 0);
	export_release(fd);
}
END_TEST

/* ---- */

int
main(void)
{
	Suite *s = suite_create("export_requests");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_checked_fixture(t, export_set_up, export_tear_down);
	tcase_add_test(t, same_configuration_is_not_set);
	tcase_add_test(t, same_configuration_in_part);
	tcase_add_test(t, another_configuration);
	tcase_add_test(t, transfers_wait_for_the_configuration);
	tcase_add_test(t, reset_that_fails);
	tcase_add_test(t, configuration_is_set_back);
	tcase_add_test(t, no_configuration);
	tcase_add_test(t, clear_halt_and_reset);
	tcase_add_test(t, set_address_is_not_passed_on);
	tcase_add_test(t, requests_of_any_direction);
	tcase_add_test(t, requests_keep_their_place);
	suite_add_tcase(s, t);
	return unit_run(s);
}
