/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors through libusb's functions, against trees that were written down
 * by hand from the USB standard and libusb's documentation.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "usb_layouts.h"
#include "usbnet/descriptors.h"
#include "usbnet_fake.h"

#define PLUG_CONFIG(index, bytes) fake_config(index, bytes, sizeof(bytes))

/* Parses a copy that is exactly `len` long, so that a sanitizer sees one byte
 * too far.  NULL when there is an error, which is then *rc. */
static struct libusb_config_descriptor *
parse(const uint8_t *bytes, size_t len, int *rc)
{
	struct libusb_config_descriptor *c = NULL;
	struct cause note;
	uint8_t *copy = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	*rc = un_config_parse(&c, copy, len, &note);
	free(copy);
	ck_assert(*rc == 0 ? c != NULL : c == NULL && note.text[0] != '\0');
	fake.warnings = note.text[0] != '\0';
	return c;
}

static struct libusb_config_descriptor *
must_parse(const uint8_t *bytes, size_t len)
{
	int rc;
	struct libusb_config_descriptor *c = parse(bytes, len, &rc);

	ck_assert_int_eq(rc, 0);
	return c;
}
#define MUST_PARSE(bytes) must_parse(bytes, sizeof(bytes))

static void
must_refuse(const uint8_t *bytes, size_t len)
{
	int rc;

	ck_assert_ptr_null(parse(bytes, len, &rc));
	ck_assert_int_eq(rc, LIBUSB_ERROR_IO);
}
#define MUST_REFUSE(bytes) must_refuse(bytes, sizeof(bytes))

/* ---- Whole trees ------------------------------------------------------- */

/* A camera-like device at super speed: an association, class descriptors at
 * each level, alternate settings, companions, an audio endpoint of 9 bytes. */
#define IAD(first, count) 8, 11, first, count, 14, 3, 0, 4
#define COMPANION(burst, attributes, bytes) \
	6, 48, burst, attributes, (bytes) & 0xff, (bytes) >> 8
static const uint8_t rich[] = {
	U_CONFIG(119, 2, 7),
	IAD(0, 2), /* 9 */
	U_INTERFACE(0, 0, 1, 14, 1, 0), /* 17 */
	5, 0x24, 1, 2, 3, /* 26 */
	4, 0x24, 9, 9, /* 31 */
	7, 5, 0x83, 3, 64, 0, 8, /* 35 */
	COMPANION(0, 0, 64), /* 42 */
	5, 0x25, 3, 64, 0, /* 48 */
	U_INTERFACE(1, 0, 0, 14, 2, 0), /* 53 */
	U_INTERFACE(1, 1, 2, 14, 2, 0), /* 62 */
	7, 5, 0x81, 5, 0x00, 0x0c, 1, /* 71 */
	COMPANION(2, 1, 6144), /* 78 */
	9, 5, 0x02, 13, 0xc0, 0x00, 4, 7, 0x81, /* 84 */
	U_INTERFACE(1, 2, 1, 14, 2, 9), /* 93 */
	7, 5, 0x81, 1, 0x20, 0x13, 1, /* 102 */
	10, 0x24, 1, 2, 3, 4, 5, 6, 7, 8, /* 109 */
};
_Static_assert(sizeof rich == 119, "as it says itself");

static void
extra_is(const unsigned char *extra, int length, size_t at, int wanted)
{
	ck_assert_int_eq(length, wanted);
	if (wanted == 0)
		ck_assert_ptr_null(extra);
	else
		ck_assert_mem_eq(extra, rich + at, (size_t)wanted);
}

START_TEST(rich_head)
{
	struct libusb_config_descriptor *c = MUST_PARSE(rich);

	ck_assert_uint_eq(fake.warnings, 0);
	ck_assert_uint_eq(c->bLength, 9);
	ck_assert_uint_eq(c->bDescriptorType, LIBUSB_DT_CONFIG);
	ck_assert_uint_eq(c->wTotalLength, 119);
	ck_assert_uint_eq(c->bNumInterfaces, 2);
	ck_assert_uint_eq(c->bConfigurationValue, 7);
	ck_assert_uint_eq(c->iConfiguration, 0);
	ck_assert_uint_eq(c->bmAttributes, 0xc0);
	ck_assert_uint_eq(c->MaxPower, 250);
	extra_is(c->extra, c->extra_length, 9, 8);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(rich_first_interface)
{
	struct libusb_config_descriptor *c = MUST_PARSE(rich);
	const struct libusb_interface_descriptor *s =
	    c->interface[0].altsetting;
	const struct libusb_endpoint_descriptor *e = s->endpoint;

	ck_assert_int_eq(c->interface[0].num_altsetting, 1);
	ck_assert_uint_eq(s->bInterfaceNumber, 0);
	ck_assert_uint_eq(s->bInterfaceClass, 14);
	ck_assert_uint_eq(s->bInterfaceSubClass, 1);
	ck_assert_uint_eq(s->bNumEndpoints, 1);
	extra_is(s->extra, s->extra_length, 26, 9);
	ck_assert_uint_eq(e->bEndpointAddress, 0x83);
	ck_assert_uint_eq(e->bmAttributes, 3);
	ck_assert_uint_eq(e->wMaxPacketSize, 64);
	ck_assert_uint_eq(e->bInterval, 8);
	ck_assert_uint_eq(e->bRefresh, 0);
	extra_is(e->extra, e->extra_length, 42, 11);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(rich_alternate_settings)
{
	struct libusb_config_descriptor *c = MUST_PARSE(rich);
	const struct libusb_interface *i = &c->interface[1];
	const struct libusb_endpoint_descriptor *e;

	ck_assert_int_eq(i->num_altsetting, 3);
	ck_assert_uint_eq(i->altsetting[0].bNumEndpoints, 0);
	ck_assert_ptr_null(i->altsetting[0].endpoint);
	ck_assert_uint_eq(i->altsetting[1].bAlternateSetting, 1);
	ck_assert_uint_eq(i->altsetting[1].bNumEndpoints, 2);
	e = i->altsetting[1].endpoint;
	extra_is(e[0].extra, e[0].extra_length, 78, 6);
	ck_assert_uint_eq(e[1].bLength, 9);
	ck_assert_uint_eq(e[1].wMaxPacketSize, 192);
	ck_assert_uint_eq(e[1].bRefresh, 7);
	ck_assert_uint_eq(e[1].bSynchAddress, 0x81);
	extra_is(e[1].extra, e[1].extra_length, 0, 0);
	ck_assert_uint_eq(i->altsetting[2].bInterfaceProtocol, 9);
	e = i->altsetting[2].endpoint;
	extra_is(e->extra, e->extra_length, 109, 10);
	libusb_free_config_descriptor(c);
}
END_TEST

/* ---- Trees of damaged bytes -------------------------------------------- */

/* What libusb makes of the first `len` bytes of `rich`: how many interfaces, or
 * -1 for LIBUSB_ERROR_IO.  An interface whose endpoints are announced and
 * missing to the last byte is an error; one whose endpoints are cut in two is
 * kept without them. */
static int
interfaces_of_prefix(size_t len)
{
	if (len < 9 || len == 35 || len == 36)
		return -1;
	/* Behind interface 1, setting 1 (two endpoints), and setting 2. */
	if (len == 71 || len == 72 || len == 84 || len == 85 || len == 102 ||
	    len == 103)
		return -1;
	/* Class descriptors cut such that not even a head is left. */
	if (len == 26 || len == 27 || len == 31 || len == 32 || len == 78 ||
	    len == 79)
		return -1;
	return len < 26 ? 0 : len < 62 ? 1 : 2;
}

START_TEST(prefixes)
{
	for (size_t len = 0; len < sizeof rich; len++) {
		int rc;
		struct libusb_config_descriptor *c = parse(rich, len, &rc);

		ck_assert_msg((c != NULL ? c->bNumInterfaces : -1) ==
		    interfaces_of_prefix(len), "%zu bytes: %d, %d", len, rc,
		    c != NULL ? c->bNumInterfaces : -1);
		libusb_free_config_descriptor(c);
	}
}
END_TEST

START_TEST(cut_setting_has_no_endpoints)
{
	static const uint8_t bytes[] = { U_CONFIG(25, 1, 1),
		U_INTERFACE(0, 0, 2, 255, 0, 0), 7, 5, 0x81, 2, 0, 2 };
	struct libusb_config_descriptor *c = MUST_PARSE(bytes);

	ck_assert_uint_eq(fake.warnings, 1);
	ck_assert_uint_eq(c->bNumInterfaces, 1);
	ck_assert_uint_eq(c->interface[0].altsetting->bNumEndpoints, 0);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(more_endpoints_than_announced)
{
	static const uint8_t bytes[] = { U_CONFIG(48, 2, 1),
		U_INTERFACE(0, 0, 1, 255, 0, 0), U_ENDPOINT(0x81, 2, 512),
		U_ENDPOINT(0x01, 2, 512), U_INTERFACE(1, 0, 0, 255, 0, 0),
		U_ENDPOINT(0x82, 2, 512) };
	struct libusb_config_descriptor *c = MUST_PARSE(bytes);

	ck_assert_uint_eq(fake.warnings, 1);
	ck_assert_uint_eq(c->bNumInterfaces, 1);
	ck_assert_uint_eq(c->interface[0].altsetting->bNumEndpoints, 1);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(fewer_endpoints_than_announced)
{
	static const uint8_t bytes[] = { U_CONFIG(41, 2, 1),
		U_INTERFACE(0, 0, 3, 255, 0, 0), U_ENDPOINT(0x81, 2, 512),
		U_INTERFACE(1, 0, 1, 255, 0, 0), U_ENDPOINT(0x82, 2, 512) };
	struct libusb_config_descriptor *c = MUST_PARSE(bytes);

	ck_assert_uint_eq(c->bNumInterfaces, 2);
	ck_assert_uint_eq(c->interface[0].altsetting->bNumEndpoints, 1);
	ck_assert_uint_eq(c->interface[1].altsetting->bNumEndpoints, 1);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(duplicates)
{
	/* The same setting twice in a row is kept twice; an interface that
	 * comes again later is one of its own, if it has been announced. */
	static const uint8_t bytes[] = { U_CONFIG(45, 2, 1),
		U_INTERFACE(0, 0, 0, 255, 0, 0),
		U_INTERFACE(0, 0, 0, 255, 0, 0),
		U_INTERFACE(1, 0, 0, 255, 0, 0),
		U_INTERFACE(0, 1, 0, 255, 0, 0) };
	struct libusb_config_descriptor *c = MUST_PARSE(bytes);

	ck_assert_uint_eq(fake.warnings, 1); /* 9 bytes are left over */
	ck_assert_uint_eq(c->bNumInterfaces, 2);
	ck_assert_int_eq(c->interface[0].num_altsetting, 2);
	ck_assert_int_eq(c->interface[1].num_altsetting, 1);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(nothing_but_a_head)
{
	static const uint8_t announced[] = { U_CONFIG(9, 3, 1) };
	static const uint8_t none[] = { U_CONFIG(9, 0, 1) };
	struct libusb_config_descriptor *c = MUST_PARSE(announced);

	ck_assert_uint_eq(c->bNumInterfaces, 0);
	libusb_free_config_descriptor(c);
	c = MUST_PARSE(none);
	ck_assert_uint_eq(c->bNumInterfaces, 0);
	ck_assert_ptr_nonnull(c->interface);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(hopeless)
{
	static const uint8_t other_type[] = { 9, 1, 9, 0, 0, 1, 0, 0, 0 };
	static const uint8_t short_head[] = { 8, 2, 9, 0, 0, 1, 0, 0, 0 };
	static const uint8_t long_head[] = { 10, 2, 9, 0, 0, 1, 0, 0, 0 };
	static const uint8_t many[] = { U_CONFIG(9, 33, 1) };
	static const uint8_t zero[] = { U_CONFIG(11, 1, 1), 0, 0x24 };
	static const uint8_t interface[] = { U_CONFIG(18, 1, 1), 8, 4, 0, 0, 0,
		0, 0, 0, 0 };
	static const uint8_t endpoint[] = { U_CONFIG(24, 1, 1),
		U_INTERFACE(0, 0, 1, 0, 0, 0), 6, 5, 0x81, 2, 0, 2 };
	static const uint8_t endpoints[] = { U_CONFIG(18, 1, 1),
		U_INTERFACE(0, 0, 33, 0, 0, 0) };

	MUST_REFUSE(other_type);
	MUST_REFUSE(short_head);
	MUST_REFUSE(long_head);
	MUST_REFUSE(many);
	MUST_REFUSE(zero);
	MUST_REFUSE(interface);
	MUST_REFUSE(endpoint);
	MUST_REFUSE(endpoints);
	must_refuse(NULL, 0);
}
END_TEST

/* Every byte with every value, under a sanitizer: a tree or LIBUSB_ERROR_IO. */
START_TEST(any_byte)
{
	uint8_t bytes[sizeof rich];

	for (size_t i = 0; i < sizeof rich; i++)
		for (unsigned v = 0; v < 256; v++) {
			int rc;

			memcpy(bytes, rich, sizeof rich);
			bytes[i] = (uint8_t)v;
			libusb_free_config_descriptor(
			    parse(bytes, sizeof bytes, &rc));
			ck_assert(rc == 0 || rc == LIBUSB_ERROR_IO);
		}
}
END_TEST

/* ---- Through the device ------------------------------------------------ */

START_TEST(device_descriptor)
{
	struct libusb_device_descriptor d;

	fake_plug();
	ck_assert_int_eq(libusb_get_device_descriptor(DEV, &d), 0);
	ck_assert_uint_eq(d.bLength, 18);
	ck_assert_uint_eq(d.bcdUSB, 0x0210);
	ck_assert_uint_eq(d.bDeviceClass, 0xef);
	ck_assert_uint_eq(d.bMaxPacketSize0, 64);
	ck_assert_uint_eq(d.idVendor, 0x05ac);
	ck_assert_uint_eq(d.idProduct, 0x12a8);
	ck_assert_uint_eq(d.bcdDevice, 0x1504);
	ck_assert_uint_eq(d.iSerialNumber, 3);
	ck_assert_uint_eq(d.bNumConfigurations, 2);
}
END_TEST

START_TEST(which_configuration)
{
	struct libusb_config_descriptor *c;

	fake_plug();
	PLUG_CONFIG(0, layout_mux);
	PLUG_CONFIG(1, rich);
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 0, &c), 0);
	ck_assert_uint_eq(c->bConfigurationValue, 3);
	libusb_free_config_descriptor(c);
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 2, &c),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_get_config_descriptor_by_value(DEV, 7, &c), 0);
	ck_assert_uint_eq(c->bConfigurationValue, 7);
	libusb_free_config_descriptor(c);
	ck_assert_int_eq(libusb_get_config_descriptor_by_value(DEV, 1, &c),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_get_active_config_descriptor(DEV, &c),
	    LIBUSB_ERROR_NOT_FOUND);
	fake.active = 7;
	ck_assert_int_eq(libusb_get_active_config_descriptor(DEV, &c), 0);
	ck_assert_uint_eq(c->bConfigurationValue, 7);
	libusb_free_config_descriptor(c);
	libusb_free_config_descriptor(NULL);
}
END_TEST

START_TEST(configuration_value)
{
	ck_assert_int_eq(un_config_value(rich, sizeof rich), 7);
	ck_assert_int_eq(un_config_value(rich, 8), -1);
	ck_assert_int_eq(un_config_value(fake_device_bytes,
			     sizeof fake_device_bytes), -1);
}
END_TEST

START_TEST(total_length)
{
	uint8_t bytes[sizeof rich + 20] = { 0 };
	struct libusb_config_descriptor *c;

	fake_plug();
	memcpy(bytes, rich, sizeof rich);
	PLUG_CONFIG(0, bytes); /* what is behind the configuration is not it */
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 0, &c), 0);
	ck_assert_uint_eq(c->bNumInterfaces, 2);
	ck_assert_uint_eq(fake.warnings, 0);
	libusb_free_config_descriptor(c);
	fake_config(0, rich, 60); /* half of it: two warnings */
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 0, &c), 0);
	ck_assert_uint_eq(c->bNumInterfaces, 1);
	ck_assert_uint_eq(fake.warnings, 2);
	libusb_free_config_descriptor(c);
	fake_config(0, rich, 8);
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 0, &c),
	    LIBUSB_ERROR_IO);
	bytes[2] = 8;
	PLUG_CONFIG(0, bytes);
	ck_assert_int_eq(libusb_get_config_descriptor(DEV, 0, &c),
	    LIBUSB_ERROR_IO);
}
END_TEST

START_TEST(packet_sizes)
{
	fake_plug();
	PLUG_CONFIG(0, rich);
	ck_assert_int_eq(libusb_get_max_packet_size(DEV, 0x81),
	    LIBUSB_ERROR_OTHER); /* not configured */
	fake.active = 7;
	ck_assert_int_eq(libusb_get_max_packet_size(DEV, 0x81), 0x0c00);
	ck_assert_int_eq(libusb_get_max_packet_size(DEV, 0x83), 64);
	ck_assert_int_eq(libusb_get_max_packet_size(DEV, 0x84),
	    LIBUSB_ERROR_NOT_FOUND);
	/* High speed: 1024 bytes, and one more transaction. */
	ck_assert_int_eq(libusb_get_max_iso_packet_size(DEV, 0x81), 2048);
	/* In setting 2: 800 bytes, 3 transactions. */
	ck_assert_int_eq(libusb_get_max_alt_packet_size(DEV, 1, 2, 0x81), 2400);
	ck_assert_int_eq(libusb_get_max_alt_packet_size(DEV, 1, 0, 0x81),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_int_eq(libusb_get_max_alt_packet_size(DEV, 0, 1, 0x83),
	    LIBUSB_ERROR_NOT_FOUND);
	fake.speed = LIBUSB_SPEED_SUPER; /* the companion says it */
	ck_assert_int_eq(libusb_get_max_iso_packet_size(DEV, 0x81), 6144);
	ck_assert_int_eq(libusb_get_max_iso_packet_size(DEV, 0x02), 192);
}
END_TEST

START_TEST(companions)
{
	struct libusb_config_descriptor *c = MUST_PARSE(rich);
	const struct libusb_endpoint_descriptor *e =
	    c->interface[1].altsetting[1].endpoint;
	struct libusb_ss_endpoint_companion_descriptor *s;
	struct libusb_endpoint_descriptor broken = e[0];
	static const uint8_t cut[] = { 6, 48, 1 }, tiny[] = { 5, 48, 1, 2, 3 };

	ck_assert_int_eq(
	    libusb_get_ss_endpoint_companion_descriptor(NULL, e, &s), 0);
	ck_assert_uint_eq(s->bMaxBurst, 2);
	ck_assert_uint_eq(s->bmAttributes, 1);
	ck_assert_uint_eq(s->wBytesPerInterval, 6144);
	libusb_free_ss_endpoint_companion_descriptor(s);
	ck_assert_int_eq(
	    libusb_get_ss_endpoint_companion_descriptor(NULL, e + 1, &s),
	    LIBUSB_ERROR_NOT_FOUND);
	ck_assert_ptr_null(s);
	broken.extra = cut;
	broken.extra_length = sizeof cut;
	ck_assert_int_eq(
	    libusb_get_ss_endpoint_companion_descriptor(NULL, &broken, &s),
	    LIBUSB_ERROR_IO);
	broken.extra = tiny;
	broken.extra_length = sizeof tiny;
	ck_assert_int_eq(
	    libusb_get_ss_endpoint_companion_descriptor(NULL, &broken, &s),
	    LIBUSB_ERROR_IO);
	libusb_free_config_descriptor(c);
}
END_TEST

START_TEST(associations)
{
	struct libusb_interface_association_descriptor_array *a;

	fake_plug();
	PLUG_CONFIG(0, rich);
	PLUG_CONFIG(1, layout_mux);
	ck_assert_int_eq(
	    libusb_get_interface_association_descriptors(DEV, 0, &a), 0);
	ck_assert_int_eq(a->length, 1);
	ck_assert_uint_eq(a->iad[0].bFirstInterface, 0);
	ck_assert_uint_eq(a->iad[0].bInterfaceCount, 2);
	ck_assert_uint_eq(a->iad[0].bFunctionClass, 14);
	ck_assert_uint_eq(a->iad[0].iFunction, 4);
	libusb_free_interface_association_descriptors(a);
	fake.active = 3;
	ck_assert_int_eq(
	    libusb_get_active_interface_association_descriptors(DEV, &a), 0);
	ck_assert_int_eq(a->length, 0);
	ck_assert_ptr_null(a->iad);
	libusb_free_interface_association_descriptors(a);
	fake_config(0, rich, 62);
	ck_assert_int_eq(
	    libusb_get_interface_association_descriptors(DEV, 0, &a), 0);
	libusb_free_interface_association_descriptors(a);
	fake_config(0, rich, 61); /* within a descriptor */
	ck_assert_int_eq(
	    libusb_get_interface_association_descriptors(DEV, 0, &a),
	    LIBUSB_ERROR_IO);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet_config");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, rich_head);
	tcase_add_test(tc, rich_first_interface);
	tcase_add_test(tc, rich_alternate_settings);
	tcase_add_test(tc, prefixes);
	tcase_add_test(tc, cut_setting_has_no_endpoints);
	tcase_add_test(tc, more_endpoints_than_announced);
	tcase_add_test(tc, fewer_endpoints_than_announced);
	tcase_add_test(tc, duplicates);
	tcase_add_test(tc, nothing_but_a_head);
	tcase_add_test(tc, hopeless);
	tcase_add_test(tc, any_byte);
	tcase_add_test(tc, device_descriptor);
	tcase_add_test(tc, which_configuration);
	tcase_add_test(tc, configuration_value);
	tcase_add_test(tc, total_length);
	tcase_add_test(tc, packet_sizes);
	tcase_add_test(tc, companions);
	tcase_add_test(tc, associations);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
