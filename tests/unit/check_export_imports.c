/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's backend: what is offered, who gets it, and how that ends. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/session.h"
#include "export_rig.h"
#include "usbip/importer.h"

/* ---- Descriptions ---- */

START_TEST(entry_and_interfaces)
{
	struct usbip_device_entry e;
	const int fd = rig_connect(&x.rig);

	ck_assert_uint_eq(rig_try_import(fd, "1-2.3", &e), USBIP_ST_OK);
	ck_assert_str_eq(e.busid, "1-2.3");
	ck_assert_str_eq(e.path, "/sys/bus/usb/devices/1-2.3");
	ck_assert_uint_eq(e.bus, 1);
	ck_assert_uint_eq(e.address, 7);
	ck_assert_uint_eq(e.speed, USBIP_SPEED_SUPER);
	ck_assert_uint_eq(e.vendor, 0x0525);
	ck_assert_uint_eq(e.product, 0xa4a0);
	ck_assert_uint_eq(e.release, 0x0123);
	ck_assert_uint_eq(e.configuration, 1);
	ck_assert_uint_eq(e.configurations, 2);
	ck_assert_uint_eq(e.interface_count, 2);
	export_release(fd);
}
END_TEST

static struct usbip_info_record
find_record(const uint8_t *info, size_t len, uint8_t type, uint8_t index)
{
	struct reader r = reader_over(info, len);
	struct usbip_info_record record = { .length = 0 };

	while (usbip_info_next(&r, &record))
		if (record.type == type && record.index == index)
			return record;
	ck_abort_msg("no record of type %u, index %u", type, index);
}

static void
expect_record(const uint8_t *info, size_t info_len, uint8_t type,
    uint8_t index, const void *bytes, size_t len)
{
	const struct usbip_info_record r =
	    find_record(info, info_len, type, index);

	ck_assert_uint_eq(r.length, len);
	ck_assert_mem_eq(r.bytes, bytes, len);
}

START_TEST(info_has_all_descriptors)
{
	static const char configuration_2[] = "\x09\x02\x28\0\x01\x02\0\xc0\0"
	    "\x08\x0b\0\x01\xff\0\0\x06" "\x09\x04\0\0\x01\x0a\0\0\0"
	    "\x09\x05\x84\x02\0\x02\0\x01\x02" "\x05\x24\x01\x02\x03";
	struct usbip_device_entry e;
	struct sock_addr addr;
	struct cause why;
	uint32_t status;
	uint8_t *info;
	size_t len;

	ck_assert_int_eq(sock_addr_parse(&addr, x.rig.path, NULL, &why), 0);
	ck_assert_int_eq(importer_ask_info(&addr, "1-2.3", UNIT_PATIENCE_MS,
	    &e, &info, &len, &status, &why), 0);
	expect_record(info, len, USBIP_INFO_DEVICE, 0,
	    "\x12\x01\x10\x02\0\0\0\x40\x25\x05\xa0\xa4\x23\x01\x01\x02\x03"
	    "\x02", 18);
	ck_assert_uint_eq(find_record(info, len, USBIP_INFO_CONFIGURATION,
	    0).length, 9 + 9 + 14 + 9 + 28 + 9 + 14);
	expect_record(info, len, USBIP_INFO_CONFIGURATION, 1, configuration_2,
	    sizeof configuration_2 - 1);
	expect_record(info, len, USBIP_INFO_STRING, 0, "\x04\x03\x09\x04", 4);
	expect_record(info, len, USBIP_INFO_STRING, 3, "\x06\x03S\0001\0", 6);
	ck_assert_uint_eq(find_record(info, len, USBIP_INFO_STRING, 1).langid,
	    0x0409);
	find_record(info, len, USBIP_INFO_STRING, 4); /* a configuration's */
	find_record(info, len, USBIP_INFO_STRING, 6); /* an association's */
	expect_record(info, len, USBIP_INFO_BOS, 0, "\x05\x0f\x05\0\0", 5);
	free(info);
}
END_TEST

#define LONG_BOS 300

static int
answer_long_bos(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	static const uint8_t bos[LONG_BOS] = { 5, 15, LONG_BOS & 0xff,
		LONG_BOS >> 8, 1, [LONG_BOS - 1] = 0x55 };

	(void)d, (void)type, (void)index;
	if (request != LIBUSB_REQUEST_GET_DESCRIPTOR ||
	    value != LIBUSB_DT_BOS << 8)
		return LIBUSB_ERROR_PIPE;
	memcpy(data, bos, length < LONG_BOS ? length : LONG_BOS);
	return length < LONG_BOS ? length : LONG_BOS;
}

START_TEST(info_has_all_of_a_long_bos)
{
	struct fake_spec spec = rig_spec;
	struct usbip_device_entry e;
	struct usbip_info_record r;
	struct sock_addr addr;
	struct cause why;
	uint32_t status;
	uint8_t *info;
	size_t len;

	spec.ports[1] = 4;
	fake_on_control(fake_plug_as(&spec, &rig_descriptor,
	    rig_configurations), answer_long_bos);
	export_set_up();
	ck_assert_int_eq(sock_addr_parse(&addr, x.rig.path, NULL, &why), 0);
	ck_assert_int_eq(importer_ask_info(&addr, "1-2.4", UNIT_PATIENCE_MS,
	    &e, &info, &len, &status, &why), 0);
	r = find_record(info, len, USBIP_INFO_BOS, 0);
	ck_assert_uint_eq(r.length, LONG_BOS);
	ck_assert_uint_eq(r.bytes[LONG_BOS - 1], 0x55);
	free(info);
	export_tear_down();
}
END_TEST

START_TEST(rows_have_texts)
{
	struct monitor_row row;

	ck_assert_uint_eq(monitor_list(x.monitor, &row, 1), 1);
	ck_assert_str_eq(row.serial, "S1");
	ck_assert_str_eq(row.product, "A?B");
	ck_assert_int_eq(row.state, MONITOR_OFFERED);
	ck_assert_uint_eq(row.speed, USBIP_SPEED_SUPER);
}
END_TEST

/* ---- One importer ---- */

START_TEST(second_importer_is_refused)
{
	const int first = export_import(), second = rig_connect(&x.rig);
	int third;

	ck_assert_uint_eq(rig_try_import(second, "1-2.3", NULL),
	    USBIP_ST_DEV_BUSY);
	rig_submit(first, &x.as, 1, 0x81, 64);
	rig_expect_data(first, 1, 64);
	close(second);
	export_release(first);
	third = export_import();
	rig_submit(third, &x.as, 1, 0x81, 64);
	rig_expect_data(third, 1, 64);
	export_release(third);
}
END_TEST

START_TEST(claimed_and_given_back)
{
	const int fd = export_import();
	struct fake_counts c = fake_counts();

	ck_assert_uint_eq(c.claims, 3);
	ck_assert_int_eq(c.detached, 1);
	ck_assert_int_eq(c.attached, 0);
	ck_assert_int_eq(c.resets, 0);
	export_release(fd);
	c = fake_counts();
	ck_assert_uint_eq(c.claims, 0);
	ck_assert_int_eq(c.attached, 1);
	ck_assert_int_eq(c.resets, 1);
	ck_assert_int_eq(c.set_configurations, 0);
}
END_TEST

START_TEST(refusals)
{
	static const struct { int open, claim; uint32_t status; } cases[] = {
		{ LIBUSB_ERROR_ACCESS, 0, USBIP_ST_NA },
		{ LIBUSB_ERROR_NO_DEVICE, 0, USBIP_ST_NODEV },
		{ LIBUSB_ERROR_IO, 0, USBIP_ST_DEV_ERR },
		{ 0, LIBUSB_ERROR_BUSY, USBIP_ST_DEV_BUSY },
		{ 0, LIBUSB_ERROR_OTHER, USBIP_ST_DEV_ERR } };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		const int fd = rig_connect(&x.rig);

		fake_set_open(cases[i].open);
		fake_set_claim(cases[i].claim);
		ck_assert_uint_eq(rig_try_import(fd, "1-2.3", NULL),
		    cases[i].status);
		ck_assert_int_eq(fake_counts().handles, 0);
		close(fd);
	}
	fake_set_init(LIBUSB_ERROR_OTHER);
	{
		const int fd = rig_connect(&x.rig);

		ck_assert_uint_eq(rig_try_import(fd, "1-2.3", NULL),
		    USBIP_ST_DEV_ERR);
		close(fd);
	}
	fake_set_init(0);
	fake_set_open(0);
	fake_set_claim(0);
	export_release(export_import());
}
END_TEST

static _Atomic int cannot;

static void
count_cannot(enum log_level level, const char *line)
{
	(void)level;
	cannot += strstr(line, "device 1-2.3: cannot open it: ") != NULL;
}

START_TEST(refusals_fill_no_log)
{
	enum { TIMES = 30 };
	const struct moment begin = clock_now();

	log_set_sink(count_cannot);
	log_set_level(LOG_LEVEL_WARNING);
	fake_set_open(LIBUSB_ERROR_IO);
	for (int i = 0; i < TIMES; i++) {
		const int fd = rig_connect(&x.rig);

		ck_assert_uint_eq(rig_try_import(fd, "1-2.3", NULL),
		    USBIP_ST_DEV_ERR);
		close(fd);
	}
	log_set_level(LOG_LEVEL_FATAL);
	ck_assert_int_ge(cannot, 1);
	ck_assert_int_le(cannot,
	    1 + moment_ms_between(begin, clock_now()) / 1000);
	fake_set_open(0);
}
END_TEST

/* The driver of interface 0 may want interface 1, which could be claimed. */
START_TEST(refused_with_some_claimed)
{
	const int fd = rig_connect(&x.rig);
	struct fake_counts c;

	fake_set_claim(LIBUSB_ERROR_BUSY);
	fake_set_claim_of(0);
	ck_assert_uint_eq(rig_try_import(fd, "1-2.3", NULL),
	    USBIP_ST_DEV_BUSY);
	c = fake_counts();
	ck_assert_uint_eq(c.claims, 0);
	ck_assert_int_eq(c.attached, 1);
	close(fd);
}
END_TEST

START_TEST(importer_goes_amid_transfers)
{
	const int fd = export_import();

	script.held = HELD(0x81) | HELD(0x01) | HELD(0);
	for (uint32_t i = 0; i < 40; i++)
		rig_submit(fd, &x.as, i, i % 2 != 0 ? 0x81 : 0x01, 512);
	export_control(fd, 99, 0x80, 0, 0, 0, 2);
	export_await_submitted(41);
	export_release(fd);
}
END_TEST

START_TEST(kick)
{
	const int fd = export_import();

	script.held = HELD(0x81);
	rig_submit(fd, &x.as, 1, 0x81, 512);
	export_await_submitted(1);
	ck_assert(usbip_server_kick(x.rig.server, "1-2.3"));
	rig_expect_end(fd);
	export_release(fd);
	ck_assert(!usbip_server_kick(x.rig.server, "1-2.3"));
	export_release(export_import());
}
END_TEST

/* ---- Coming and going ---- */

START_TEST(unplugged_amid_transfers)
{
	const int fd = export_import();

	script.held = HELD(0x81) | HELD(0x01);
	for (uint32_t i = 0; i < 10; i++)
		rig_submit(fd, &x.as, i, i % 2 != 0 ? 0x81 : 0x01, 512);
	export_await_submitted(10);
	fake_unplug(x.device);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(rig_receive_pdu(fd).ret_submit.status,
		    USBIP_ESHUTDOWN);
	rig_expect_end(fd);
	export_release(fd);
	while (monitor_list(x.monitor, NULL, 0) > 0)
		poll(NULL, 0, 1);
}
END_TEST

START_TEST(plugged_in_again)
{
	struct fake_spec spec = rig_spec;
	struct fake_device *d;
	struct monitor_row row;

	for (uint8_t i = 0; i < 5; i++) {
		fake_unplug(i == 0 ? x.device : d);
		spec.address = (uint8_t)(20 + i);
		d = fake_plug_as(&spec, &rig_descriptor, rig_configurations);
		while (monitor_list(x.monitor, &row, 1) != 1 ||
		    row.ident.address != spec.address ||
		    row.state != MONITOR_OFFERED)
			poll(NULL, 0, 1);
	}
}
END_TEST

START_TEST(without_hotplug)
{
	struct fake_spec spec = rig_spec;

	fake_set_hotplug(false);
	export_set_up();
	spec.ports[1] = 4;
	fake_plug_as(&spec, &rig_descriptor, rig_configurations);
	export_await_state("1-2.4", MONITOR_OFFERED);
	fake_unplug(x.device);
	while (monitor_list(x.monitor, NULL, 0) != 1)
		poll(NULL, 0, 1);
	export_tear_down();
}
END_TEST

static atomic_bool let_go;

static int
answer_late(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	(void)d, (void)type, (void)request, (void)value, (void)index;
	(void)data, (void)length;
	while (!let_go)
		poll(NULL, 0, 10);
	return LIBUSB_ERROR_TIMEOUT;
}

/* A device that keeps its look waiting keeps no other one. */
START_TEST(slow_at_the_start)
{
	struct fake_spec spec = rig_spec;
	int fd;

	spec.ports[1] = 4;
	fake_on_control(fake_plug_as(&spec, &rig_descriptor,
	    rig_configurations), answer_late);
	export_set_up();
	export_await_state("1-2.3", MONITOR_OFFERED);
	export_await_state("1-2.4", MONITOR_PROBING);
	fd = export_import();
	let_go = true;
	export_await_state("1-2.4", MONITOR_OFFERED);
	export_release(fd);
	export_tear_down();
}
END_TEST

/* ---- */

int
main(void)
{
	Suite *s = suite_create("export_imports");
	TCase *t = tcase_create("all"), *alone = tcase_create("alone");

	tcase_set_timeout(t, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_checked_fixture(t, export_set_up, export_tear_down);
	tcase_add_test(t, entry_and_interfaces);
	tcase_add_test(t, info_has_all_descriptors);
	tcase_add_test(t, rows_have_texts);
	tcase_add_test(t, second_importer_is_refused);
	tcase_add_test(t, claimed_and_given_back);
	tcase_add_test(t, refusals);
	tcase_add_test(t, refusals_fill_no_log);
	tcase_add_test(t, refused_with_some_claimed);
	tcase_add_test(t, importer_goes_amid_transfers);
	tcase_add_test(t, kick);
	tcase_add_test(t, unplugged_amid_transfers);
	tcase_add_test(t, plugged_in_again);
	suite_add_tcase(s, t);
	tcase_set_timeout(alone, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_test(alone, info_has_all_of_a_long_bos);
	tcase_add_test(alone, without_hotplug);
	tcase_add_test(alone, slow_at_the_start);
	suite_add_tcase(s, alone);
	return unit_run(s);
}
