/* SPDX-License-Identifier: GPL-3.0-or-later */

/* muxctl usb: what it asks usbexportd, and what it prints. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl_rig.h"
#include "unit.h"

static plist_t
device(const char *busid, uint64_t bus, const char *state)
{
	plist_t dict = plist_new_dict();

	rig_set(dict, "BusID", busid);
	rig_set_number(dict, "Bus", bus);
	rig_set_number(dict, "VendorID", 0x5ac);
	rig_set_number(dict, "ProductID", 0x12a8);
	rig_set_number(dict, "Speed", 480000000);
	rig_set(dict, "Serial", "");
	rig_set(dict, "Product", "Phone\x1b[2J");
	rig_set(dict, "State", state);
	rig_set(dict, "Reason", strcmp(state, "kept") == 0 ? "a hub" : "");
	return dict;
}

static void
say_list(void)
{
	plist_t dict = plist_new_dict(), devices = plist_new_array();
	plist_t imported = device("1-4.2", 1, "imported");

	rig_set(imported, "Importer", "10.0.0.9");
	rig_set_number(imported, "SinceMS", 61000);
	rig_set_number(imported, "InFlight", 8);
	rig_set_number(imported, "RxBytes", 1048576);
	rig_set_number(imported, "TxBytes", 100);
	plist_array_append_item(devices, device("2-1", 2, "kept"));
	plist_array_append_item(devices, imported);
	plist_dict_set_item(dict, "Devices", devices);
	rig_say(dict);
}

START_TEST(list)
{
	say_list();
	ck_assert_int_eq(SERVED("usb", "list"), 0);
	ck_assert_str_eq(rig.request, "USBList");
	ck_assert_str_eq(rig.err, "");
	ck_assert_str_eq(rig.out,
	    "BUSID  VENDOR  PRODUCT  SPEED  SERIAL  STATE     IMPORTER  "
	    "SINCE  URBS    RX   TX  NAME       REASON\n"
	    "1-4.2  05ac    12a8      480M  -       imported  10.0.0.9  "
	    "1m 1s     8  1.0M  100  Phone?[2J  -\n"
	    "2-1    05ac    12a8      480M  -       kept      -         "
	    "    -     -     -    -  Phone?[2J  a hub\n");
}
END_TEST

START_TEST(list_as_json)
{
	say_list();
	ck_assert_int_eq(SERVED("usb", "list", "--json"), 0);
	assert_contains(rig.out, "[{\"busID\":\"1-4.2\",\"bus\":1,");
	assert_contains(rig.out, "\"importer\":\"10.0.0.9\",\"sinceMS\":61000,"
				 "\"inFlight\":8,\"rxBytes\":1048576,");
}
END_TEST

static int
kick(uint64_t kicked, uint64_t exported)
{
	plist_t dict = plist_new_dict();

	rig_set_number(dict, "Kicked", kicked);
	rig_set_number(dict, "Exported", exported);
	rig_say(dict);
	return SERVED("usb", "kick", "1-4.2");
}

START_TEST(kicks)
{
	ck_assert_int_eq(kick(1, 1), 0);
	ck_assert_str_eq(rig.request, "USBKick");
	ck_assert_str_eq(rig.busid, "1-4.2");
	ck_assert_str_eq(rig.out, "");
}
END_TEST

START_TEST(kicks_a_free_device)
{
	ck_assert_int_eq(kick(0, 1), 1);
	assert_contains(rig.err, "nobody has imported device 1-4.2");
}
END_TEST

START_TEST(kicks_no_device)
{
	ck_assert_int_eq(kick(0, 0), 1);
	assert_contains(rig.err, "no device 1-4.2 is exported");
}
END_TEST

START_TEST(usage)
{
	ck_assert_int_eq(MUXCTL("usb"), 2);
	assert_contains(rig.err, "write 'usb list', or 'usb kick BUSID'");
	ck_assert_int_eq(MUXCTL("usb", "kick"), 2);
	ck_assert_int_eq(MUXCTL("usb", "list", "1-1"), 2);
	ck_assert_int_eq(MUXCTL("usb", "list", "1", "2"), 2);
	assert_contains(rig.err, "takes 2 arguments only");
}
END_TEST

/* The words and the usual place are usbexportd's. */
START_TEST(nobody_there)
{
	setenv("MUXD_CONTROL", rig.path, 1);
	setenv("USBEXPORTD_CONTROL", "/nonexistent/socket", 1);
	ck_assert_int_eq(MUXCTL("usb", "list"), 1);
	assert_contains(rig.err, "/nonexistent/socket: ");
	assert_contains(rig.err, "is usbexportd running?");
	setenv("USBEXPORTD_CONTROL", "nonsense", 1);
	ck_assert_int_eq(MUXCTL("usb", "list"), 2);
	assert_contains(rig.err, "USBEXPORTD_CONTROL: ");
}
END_TEST

START_TEST(another_daemon)
{
	rig_say_result(1);
	ck_assert_int_eq(SERVED("usb", "list"), 1);
	assert_contains(rig.err, "it is not usbexportd's control socket");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl/usb");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, UNIT_PATIENCE_MS / 1000);
	tcase_add_checked_fixture(t, rig_set_up, rig_tear_down);
	tcase_add_test(t, list);
	tcase_add_test(t, list_as_json);
	tcase_add_test(t, kicks);
	tcase_add_test(t, kicks_a_free_device);
	tcase_add_test(t, kicks_no_device);
	tcase_add_test(t, usage);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, another_daemon);
	suite_add_tcase(s, t);
	return unit_run(s);
}
