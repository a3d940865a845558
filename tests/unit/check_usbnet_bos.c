/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The BOS and its capabilities through libusb's functions; names of errors. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "usbnet_fake.h"

static const uint8_t bos[] = {
	5, 15, 89, 0, 5,
	7, 16, 2, 0x06, 0xf4, 0, 0x80,
	10, 16, 3, 2, 0x0e, 0x00, 1, 10, 0xff, 0x07,
	20, 16, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	20, 16, 10, 0, 0x11, 0, 0, 0, 0x10, 0x11, 0, 0, /* two sublinks: */
	0x30, 0x40, 0x0a, 0, 0xb0, 0x40, 0x0a, 0,
	23, 16, 5, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 7,
	8, 9,
	4, 16, 0x30, 0, /* more than announced */
};
_Static_assert(sizeof bos == 89, "as it says itself");

static struct libusb_bos_descriptor *
plug_bos(const uint8_t *bytes, size_t len, int wanted)
{
	struct libusb_bos_descriptor *b = NULL;

	fake_plug();
	fake.bos = bytes;
	fake.bos_len = len;
	ck_assert_int_eq(libusb_get_bos_descriptor(HANDLE, &b), wanted);
	return b;
}

START_TEST(bos_capabilities)
{
	struct libusb_bos_descriptor *b = plug_bos(bos, sizeof bos, 0);
	struct libusb_usb_2_0_extension_descriptor *extension;
	struct libusb_ss_usb_device_capability_descriptor *ss;
	struct libusb_container_id_descriptor *container;

	ck_assert_uint_eq(b->bNumDeviceCaps, 5);
	ck_assert_uint_eq(b->wTotalLength, 89);
	ck_assert_int_eq(libusb_get_usb_2_0_extension_descriptor(NULL,
			     b->dev_capability[0], &extension), 0);
	ck_assert_uint_eq(extension->bmAttributes, 0x8000f406);
	libusb_free_usb_2_0_extension_descriptor(extension);
	ck_assert_int_eq(libusb_get_ss_usb_device_capability_descriptor(NULL,
			     b->dev_capability[1], &ss), 0);
	ck_assert_uint_eq(ss->bmAttributes, 2);
	ck_assert_uint_eq(ss->wSpeedSupported, 14);
	ck_assert_uint_eq(ss->bFunctionalitySupport, 1);
	ck_assert_uint_eq(ss->bU1DevExitLat, 10);
	ck_assert_uint_eq(ss->bU2DevExitLat, 0x7ff);
	libusb_free_ss_usb_device_capability_descriptor(ss);
	ck_assert_int_eq(libusb_get_container_id_descriptor(NULL,
			     b->dev_capability[2], &container), 0);
	ck_assert_mem_eq(container->ContainerID, bos + 26, 16);
	libusb_free_container_id_descriptor(container);
	ck_assert_int_eq(libusb_get_container_id_descriptor(NULL,
			     b->dev_capability[1], &container),
	    LIBUSB_ERROR_INVALID_PARAM);
	libusb_free_bos_descriptor(b);
}
END_TEST

START_TEST(bos_later_capabilities)
{
	struct libusb_bos_descriptor *b = plug_bos(bos, sizeof bos, 0);
	struct libusb_ssplus_usb_device_capability_descriptor *plus;
	struct libusb_platform_descriptor *platform;

	ck_assert_int_eq(libusb_get_ssplus_usb_device_capability_descriptor(
			     NULL, b->dev_capability[3], &plus), 0);
	ck_assert_uint_eq(plus->numSublinkSpeedAttributes, 2);
	ck_assert_uint_eq(plus->numSublinkSpeedIDs, 2);
	ck_assert_uint_eq(plus->ssid, 0);
	ck_assert_uint_eq(plus->minRxLaneCount, 1);
	ck_assert_uint_eq(plus->minTxLaneCount, 1);
	ck_assert_uint_eq(plus->sublinkSpeedAttributes[1].mantissa, 10);
	ck_assert_uint_eq(plus->sublinkSpeedAttributes[1].exponent,
	    LIBUSB_SSPLUS_ATTR_EXP_GBS);
	ck_assert_uint_eq(plus->sublinkSpeedAttributes[0].direction,
	    LIBUSB_SSPLUS_ATTR_DIR_RX);
	ck_assert_uint_eq(plus->sublinkSpeedAttributes[1].direction,
	    LIBUSB_SSPLUS_ATTR_DIR_TX);
	ck_assert_uint_eq(plus->sublinkSpeedAttributes[1].protocol,
	    LIBUSB_SSPLUS_ATTR_PROT_SSPLUS);
	libusb_free_ssplus_usb_device_capability_descriptor(plus);
	ck_assert_int_eq(libusb_get_platform_descriptor(NULL,
			     b->dev_capability[4], &platform), 0);
	ck_assert_uint_eq(platform->bLength, 23);
	ck_assert_mem_eq(platform->PlatformCapabilityUUID, bos + 66, 16);
	ck_assert_mem_eq(platform->CapabilityData, "\7\10\11", 3);
	libusb_free_platform_descriptor(platform);
	libusb_free_bos_descriptor(b);
}
END_TEST

START_TEST(bos_damaged)
{
	static const uint8_t other[] = { 5, 2, 5, 0, 0 };
	static const uint8_t tiny[] = { 4, 15, 5, 0, 0 };
	static const uint8_t bad_cap[] = { 5, 15, 8, 0, 1, 2, 16, 4 };
	static const uint8_t alien[] = { 5, 15, 9, 0, 1, 4, 17, 4, 4 };

	plug_bos(NULL, 0, LIBUSB_ERROR_PIPE);
	plug_bos(other, sizeof other, LIBUSB_ERROR_IO);
	plug_bos(tiny, sizeof tiny, LIBUSB_ERROR_IO);
	plug_bos(bos, 4, LIBUSB_ERROR_IO);
	plug_bos(bad_cap, sizeof bad_cap, LIBUSB_ERROR_IO);
	for (size_t len = 5; len < 85; len++) {
		uint8_t *copy = malloc(len);
		struct libusb_bos_descriptor *b;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, bos, len);
		b = plug_bos(copy, len, 0);
		ck_assert_uint_eq(b->bNumDeviceCaps, (len >= 12) +
		    (len >= 22) + (len >= 42) + (len >= 62));
		ck_assert_uint_eq(fake.warnings, 1);
		libusb_free_bos_descriptor(b);
		free(copy);
	}
	libusb_free_bos_descriptor(plug_bos(alien, sizeof alien, 0));
	libusb_free_bos_descriptor(NULL);
}
END_TEST

/* ---- Names ------------------------------------------------------------- */

START_TEST(error_names)
{
	ck_assert_str_eq(libusb_error_name(0), "LIBUSB_SUCCESS");
	ck_assert_str_eq(libusb_error_name(LIBUSB_ERROR_NO_DEVICE),
	    "LIBUSB_ERROR_NO_DEVICE");
	ck_assert_str_eq(libusb_error_name(LIBUSB_ERROR_OTHER),
	    "LIBUSB_ERROR_OTHER");
	ck_assert_str_eq(libusb_error_name(1), "**UNKNOWN**");
	ck_assert_str_eq(libusb_error_name(-50), "**UNKNOWN**");
	ck_assert_str_eq(libusb_strerror(LIBUSB_ERROR_PIPE), "Pipe error");
	ck_assert_str_eq(libusb_strerror(-50), "Other error");
	ck_assert_int_eq(libusb_setlocale(NULL), LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_setlocale("e"), LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_setlocale("english"),
	    LIBUSB_ERROR_INVALID_PARAM);
	ck_assert_int_eq(libusb_setlocale("en_GB.UTF-8"), 0);
	ck_assert_int_eq(libusb_setlocale("xx"), LIBUSB_ERROR_NOT_FOUND);
	ck_assert_uint_eq(libusb_get_version()->major, 1);
	ck_assert_uint_eq(libusb_get_version()->micro, 26);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet_bos");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, bos_capabilities);
	tcase_add_test(tc, bos_later_capabilities);
	tcase_add_test(tc, bos_damaged);
	tcase_add_test(tc, error_names);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
