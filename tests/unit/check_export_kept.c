/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's backend: which devices are offered, and which are kept. */
#include <stdlib.h>
#include <string.h>

#include "export_rig.h"

static const struct libusb_endpoint_descriptor hid_endpoints[] = {
	{ .bLength = 7, .bDescriptorType = 5, .bEndpointAddress = 0x81,
	    .bmAttributes = 3, .wMaxPacketSize = 64 },
	{ .bLength = 7, .bDescriptorType = 5, .bEndpointAddress = 0x01,
	    .bmAttributes = 3, .wMaxPacketSize = 64 } };
static struct libusb_interface_descriptor hid_setting = { .bLength = 9,
	.bDescriptorType = 4, .bNumEndpoints = 2, .bInterfaceClass = 3,
	.endpoint = hid_endpoints };
static const struct libusb_interface hid_interface = { &hid_setting, 1 };
static const struct libusb_config_descriptor hid_configuration = {
	.bLength = 9, .bDescriptorType = 2, .bNumInterfaces = 1,
	.bConfigurationValue = 1, .interface = &hid_interface };
static const struct libusb_config_descriptor *hid_configurations[2] = {
	&hid_configuration };
static struct libusb_device_descriptor hid_descriptor = { .bLength = 18,
	.bDescriptorType = 1, .bcdUSB = 0x0200, .bMaxPacketSize0 = 8,
	.idVendor = 0x1234, .idProduct = 1, .bNumConfigurations = 1 };

static const uint8_t *report;
static int report_length;

static int
answer_report(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	(void)d, (void)index;
	if (report == NULL || type != 0x81 || request != 6 ||
	    value != LIBUSB_DT_REPORT << 8 || length < report_length)
		return LIBUSB_ERROR_PIPE;
	memcpy(data, report, (size_t)report_length);
	return report_length;
}

static fake_control *answer = answer_report;

/* The state and the reason that such a device gets, beside the usual one. */
static struct monitor_row
judge(void)
{
	const struct fake_spec spec = { .bus = 1, .address = 9, .ports = { 9 },
		.port_count = 1, .vendor = hid_descriptor.idVendor,
		.product = hid_descriptor.idProduct,
		.speed = LIBUSB_SPEED_FULL };
	struct fake_device *d = fake_plug(&spec);
	struct monitor_row rows[2];

	fake_describe(d, &hid_descriptor, hid_configurations);
	fake_on_control(d, answer);
	export_set_up();
	ck_assert_uint_eq(monitor_list(x.monitor, rows, 2), 2);
	export_tear_down();
	return rows[strcmp(rows[0].ident.busid, "1-9") == 0 ? 0 : 1];
}

static void
expect_kept(const char *reason)
{
	const struct monitor_row row = judge();

	ck_assert_int_eq(row.state, MONITOR_KEPT);
	ck_assert_msg(strstr(row.reason, reason) != NULL, "'%s' is not '%s'",
	    row.reason, reason);
}

START_TEST(hub)
{
	hid_descriptor.bDeviceClass = 9;
	ck_assert_int_eq(policy_add_busid(&x.policy, "1-9", &(struct cause){
	    "" }), 0);
	expect_kept("hub");
}
END_TEST

START_TEST(keyboard)
{
	hid_setting.bInterfaceSubClass = 1;
	hid_setting.bInterfaceProtocol = 1;
	expect_kept("keyboard");
}
END_TEST

START_TEST(named_keyboard)
{
	struct cause why;

	hid_setting.bInterfaceSubClass = 1;
	hid_setting.bInterfaceProtocol = 1;
	ck_assert_int_eq(policy_add_id(&x.policy, "1234:0001", &why), 0);
	ck_assert_int_eq(judge().state, MONITOR_OFFERED);
}
END_TEST

START_TEST(security_key_by_its_report)
{
	/* FIDO CTAP 2.1, 11.2.8.1 */
	static const uint8_t fido[] = { 0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1,
		0x01, 0xc0 };

	report = fido;
	report_length = sizeof fido;
	hid_setting.bNumEndpoints = 1; /* its form alone would not tell */
	expect_kept("security key");
}
END_TEST

START_TEST(security_key_by_its_form)
{
	expect_kept("security key");
}
END_TEST

static const struct libusb_interface_descriptor plain_setting = { .bLength = 9,
	.bDescriptorType = 4, .bInterfaceClass = 0xff };

START_TEST(security_key_in_another_setting)
{
	static struct libusb_interface_descriptor settings[2];
	static const struct libusb_interface interface = { settings, 2 };
	static struct libusb_config_descriptor configuration;

	settings[0] = plain_setting;
	settings[1] = hid_setting;
	settings[1].bAlternateSetting = 1;
	configuration = hid_configuration;
	configuration.interface = &interface;
	hid_configurations[0] = &configuration;
	expect_kept("security key");
}
END_TEST

START_TEST(security_key_in_another_configuration)
{
	static const struct libusb_interface interface = { &plain_setting, 1 };
	static struct libusb_config_descriptor first, second;

	first = second = hid_configuration;
	first.interface = &interface;
	second.bConfigurationValue = 2;
	hid_configurations[0] = &first;
	hid_configurations[1] = &second;
	hid_descriptor.bNumConfigurations = 2;
	expect_kept("security key");
}
END_TEST

START_TEST(no_security_key)
{
	/* A vendor's page; the form is that of a key. */
	static const uint8_t vendor[] = { 0x06, 0x00, 0xff, 0x09, 0x01, 0xa1,
		0x01, 0xc0 };

	report = vendor;
	report_length = sizeof vendor;
	ck_assert_int_eq(judge().state, MONITOR_OFFERED);
}
END_TEST

START_TEST(denied_class)
{
	struct cause why;

	ck_assert_int_eq(policy_deny(&x.policy, "03", &why), 0);
	ck_assert_int_eq(policy_add_busid(&x.policy, "1-9", &why), 0);
	expect_kept("denied");
}
END_TEST

/* A configuration that cannot be read may be anything. */
START_TEST(unreadable)
{
	struct cause why;

	hid_setting.bInterfaceClass = 0xff;
	hid_descriptor.bNumConfigurations = 2;
	expect_kept("not all its configurations can be read");
	ck_assert_int_eq(policy_add_busid(&x.policy, "1-9", &why), 0);
	ck_assert_int_eq(judge().state, MONITOR_OFFERED);
	ck_assert_int_eq(policy_deny(&x.policy, "08", &why), 0);
	expect_kept("not all its configurations can be read");
}
END_TEST

START_TEST(named_by_serial_number)
{
	struct cause why;

	ck_assert_int_eq(policy_add_id(&x.policy, "0525:a4a0:S1", &why), 0);
	ck_assert_int_eq(policy_add_id(&x.policy, "1234:0001:S9", &why), 0);
	export_set_up();
	export_await_state("1-2.3", MONITOR_OFFERED);
	export_tear_down();
	expect_kept("not named");
}
END_TEST

START_TEST(serial_number_cannot_be_read)
{
	struct monitor_row row;
	struct cause why;

	ck_assert_int_eq(policy_add_id(&x.policy, "0525:a4a0:S1", &why), 0);
	fake_set_open(LIBUSB_ERROR_ACCESS);
	export_set_up();
	ck_assert_uint_eq(monitor_list(x.monitor, &row, 1), 1);
	ck_assert_int_eq(row.state, MONITOR_KEPT);
	ck_assert(strstr(row.reason, "serial number cannot be read") != NULL);
	export_tear_down();
}
END_TEST

/* One that cannot be opened is offered all the same, without its strings. */
/* ---- More than can be told ---------------------------------------------- */

static _Atomic int left_out;

static void
count_left_out(enum log_level level, const char *line)
{
	(void)level;
	if (strstr(line, "device 1-9: it has more descriptors") != NULL)
		left_out = atoi(strstr(line, "import: ") + 8);
}

/* As many and as long as can be, in four languages. */
static int
answer_strings(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	const bool languages = value == LIBUSB_DT_STRING << 8;
	uint8_t *bytes = data;
	const int n = languages ? 10 : 254;

	(void)d, (void)index;
	if (type != 0x80 || request != 6 || value >> 8 != LIBUSB_DT_STRING ||
	    length < n)
		return LIBUSB_ERROR_PIPE;
	memset(bytes, 1, (size_t)n);
	for (int i = 0; languages && i < 4; i++)
		bytes[2 + 2 * i] = (uint8_t)(1 + i);
	bytes[0] = (uint8_t)n;
	bytes[1] = LIBUSB_DT_STRING;
	return n;
}

START_TEST(more_than_can_be_told)
{
	static uint8_t names[255][8];
	struct libusb_config_descriptor c = hid_configuration;
	const unsigned all = 4 * 255 * (8 + 254);

	for (int i = 0; i < 255; i++)
		memcpy(names[i], (uint8_t[]){ 8, 0x0b, 0, 1, 0, 0, 0,
		    (uint8_t)(1 + i) }, 8);
	c.extra = &names[0][0];
	c.extra_length = sizeof names;
	hid_configurations[0] = &c;
	hid_setting.bInterfaceClass = 0xff;
	answer = answer_strings;
	export_log_level = LOG_LEVEL_WARNING;
	log_set_sink(count_left_out);
	ck_assert_uint_eq(judge().state, MONITOR_OFFERED);
	ck_assert_int_gt(left_out, (int)(all - USBIP_INFO_MAX) / (8 + 254));
	ck_assert_int_lt(left_out, 50);
}
END_TEST

START_TEST(not_to_be_opened)
{
	struct monitor_row row;

	fake_set_open(LIBUSB_ERROR_ACCESS);
	export_set_up();
	ck_assert_uint_eq(monitor_list(x.monitor, &row, 1), 1);
	ck_assert_int_eq(row.state, MONITOR_OFFERED);
	ck_assert_str_eq(row.serial, "");
	export_tear_down();
}
END_TEST

/* ---- */

int
main(void)
{
	Suite *s = suite_create("export_kept");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 3 * UNIT_PATIENCE_MS / 1000);
	tcase_add_test(t, hub);
	tcase_add_test(t, keyboard);
	tcase_add_test(t, named_keyboard);
	tcase_add_test(t, security_key_by_its_report);
	tcase_add_test(t, security_key_by_its_form);
	tcase_add_test(t, security_key_in_another_setting);
	tcase_add_test(t, security_key_in_another_configuration);
	tcase_add_test(t, no_security_key);
	tcase_add_test(t, denied_class);
	tcase_add_test(t, unreadable);
	tcase_add_test(t, named_by_serial_number);
	tcase_add_test(t, serial_number_cannot_be_read);
	tcase_add_test(t, more_than_can_be_told);
	tcase_add_test(t, not_to_be_opened);
	suite_add_tcase(s, t);
	return unit_run(s);
}
