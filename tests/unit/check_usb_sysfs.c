/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices as Linux shows them, whatever stands there. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "usb/sysfs.h"

static char root[64];

static void
put(const char *key, const char *attribute, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, key);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%s/%s", root, key, attribute);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void
put_device(const char *key, const char *vendor, const char *product)
{
	put(key, "idVendor", vendor);
	put(key, "idProduct", product);
	put(key, "devnum", "7\n");
	put(key, "bcdDevice", "1402\n");
	put(key, "bNumConfigurations", " 4\n");
	put(key, "speed", "480\n");
	put(key, "bConfigurationValue", "4\n");
}

static void
setup(void)
{
	snprintf(root, sizeof root, "/tmp/muxd-sysfs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sysfs_root = sysfs_nodes = root;
	ck_assert(sysfs_exists());
}

static void
clean_up(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

struct seen {
	int count;
	struct usb_ident last;
};

static void
see(void *arg, const struct usb_ident *ident)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last = *ident;
}

static struct seen
look(void)
{
	struct seen seen = { 0 };

	sysfs_each(see, &seen);
	return seen;
}

START_TEST(a_phone)
{
	struct seen seen;

	put_device("1-2.3.4", "05ac\n", "12a8\n");
	seen = look();
	ck_assert_int_eq(seen.count, 1);
	ck_assert_str_eq(seen.last.key, "1-2.3.4");
	ck_assert_uint_eq(seen.last.bus, 1);
	ck_assert_uint_eq(seen.last.address, 7);
	ck_assert_uint_eq(seen.last.port_count, 3);
	ck_assert_uint_eq(seen.last.ports[2], 4);
	ck_assert_uint_eq(seen.last.vendor, 0x05ac);
	ck_assert_uint_eq(seen.last.product, 0x12a8);
	ck_assert_uint_eq(seen.last.release, 0x1402);
	ck_assert_uint_eq(seen.last.configurations, 4);
	ck_assert_int_eq(seen.last.speed, USB_SPEED_HIGH);
	ck_assert(sysfs_has(&seen.last));
	ck_assert_int_eq(sysfs_configuration("1-2.3.4"), 4);
	seen.last.address = 8;
	ck_assert(!sysfs_has(&seen.last));
}
END_TEST

static void
put_bytes(const char *key, const char *attribute, const uint8_t *bytes,
    size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s/%s", root, key, attribute);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

/* Of what is no phone, however it is cut off. */
START_TEST(classes)
{
	static const uint8_t bytes[] = {
		18, 1, 0, 2, 0, 0, 0, 64, 1, 2, 3, 4, 0, 1, 1, 2, 3, 1,
		9, 2, 43, 0, 2, 1, 0, 0x80, 50,
		9, 4, 0, 0, 1, 0xff, 0x53, 0x01, 0,
		7, 5, 0x81, 2, 0, 2, 0,
		9, 4, 0, 1, 1, 0xff, 0x54, 0x01, 0, /* another setting */
		9, 4, 1, 0, 0, 3, 1, 2, 0,
	};
	struct usb_ident ident;

	put_device("1-2", "1209\n", "0001\n");
	put_bytes("1-2", "descriptors", bytes, sizeof bytes);
	ident = look().last;
	ck_assert_uint_eq(ident.class_count, 2);
	ck_assert_uint_eq(ident.classes[0].base, 0xff);
	ck_assert_uint_eq(ident.classes[0].sub, 0x53);
	ck_assert_uint_eq(ident.classes[0].protocol, 1);
	ck_assert_uint_eq(ident.classes[1].base, 3);
	for (size_t len = 0; len < sizeof bytes; len++) {
		put_bytes("1-2", "descriptors", bytes, len);
		ck_assert_uint_eq(look().last.class_count, len >= 36);
	}
	put_bytes("1-2", "descriptors", (uint8_t[]){ 0, 0, 9, 4 }, 4);
	ck_assert_uint_eq(look().last.class_count, 0);
	put_device("1-2", "05ac\n", "12a8\n");
	put_bytes("1-2", "descriptors", bytes, sizeof bytes);
	ck_assert_uint_eq(look().last.class_count, 0);
}
END_TEST

START_TEST(speeds)
{
	static const struct {
		const char *text;
		enum usb_speed speed;
	} all[] = {
		{ "1.5\n", USB_SPEED_LOW },
		{ "12\n", USB_SPEED_FULL },
		{ "480\n", USB_SPEED_HIGH },
		{ "5000\n", USB_SPEED_SUPER },
		{ "10000\n", USB_SPEED_SUPER_PLUS },
		{ "20000\n", USB_SPEED_SUPER_PLUS },
		{ "unknown\n", USB_SPEED_UNKNOWN },
		{ "", USB_SPEED_UNKNOWN },
	};

	put_device("3-1", "05ac\n", "12a8\n");
	put("3-1", "speed", all[_i].text);
	ck_assert_int_eq(look().last.speed, all[_i].speed);
}
END_TEST

/* Names and numbers that are no device's. */
START_TEST(no_devices)
{
	static const char *const keys[] = { "usb1", "1-0:1.0", "1-2:1.0",
		"1-", "-1", "1-2.", "1-2.x", "256-1", "1-256",
		"1-1.1.1.1.1.1.1.1", "1" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		put_device(keys[i], "05ac\n", "12a8\n");
	put_device("1-1", "105ac\n", "12a8\n");
	put_device("1-2", "\n", "12a8\n");
	put_device("1-3", "05ac\n", "-1\n");
	put_device("1-4", "05ac\n", "12a8\n");
	put("1-4", "devnum", "256\n");
	put_device("1-5", "05ac\n", "12a8\n");
	put("1-5", "bNumConfigurations", "");
	ck_assert_int_eq(look().count, 0);
}
END_TEST

START_TEST(gone)
{
	const struct usb_ident ident = { .key = "1-2", .bus = 1,
		.address = 7 };

	ck_assert(!sysfs_has(&ident));
	ck_assert_int_eq(sysfs_configuration("1-2"), USB_ERROR_GONE);
	ck_assert_int_eq(sysfs_open(&ident), USB_ERROR_GONE);
	put_device("1-2", "05ac\n", "12a8\n");
	put("1-2", "bConfigurationValue", "");
	ck_assert_int_eq(sysfs_configuration("1-2"), 0);
	sysfs_root = "/nowhere";
	ck_assert(!sysfs_exists());
	ck_assert_int_eq(look().count, 0);
}
END_TEST

START_TEST(opened)
{
	const struct usb_ident ident = { .key = "1-2", .bus = 1,
		.address = 7 };
	int fd;

	put("001", "007", "");
	fd = sysfs_open(&ident);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usb_sysfs");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, clean_up);
	tcase_add_test(tc, a_phone);
	tcase_add_test(tc, classes);
	tcase_add_loop_test(tc, speeds, 0, 8);
	tcase_add_test(tc, no_devices);
	tcase_add_test(tc, gone);
	tcase_add_test(tc, opened);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
