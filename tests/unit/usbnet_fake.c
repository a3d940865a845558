/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbnet_fake.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct fake fake;

const uint8_t fake_device_bytes[LIBUSB_DT_DEVICE_SIZE] = { 18, 1, 0x10, 0x02,
	0xef, 2, 1, 64, 0xac, 0x05, 0xa8, 0x12, 0x04, 0x15, 1, 2, 3, 2 };

int
un_device_descriptor_bytes(libusb_device *dev, uint8_t type, uint8_t index,
    uint16_t langid, const uint8_t **bytes, size_t *len)
{
	ck_assert_ptr_eq(dev, DEV);
	ck_assert_uint_eq(langid, 0);
	*bytes = NULL;
	*len = 0;
	if (type == LIBUSB_DT_DEVICE) {
		*bytes = fake_device_bytes;
		*len = sizeof fake_device_bytes;
	} else if (type == LIBUSB_DT_BOS) {
		*bytes = fake.bos;
		*len = fake.bos_len;
	} else if (type == LIBUSB_DT_CONFIG &&
	    index < FAKE_CONFIGURATIONS) {
		*bytes = fake.config[index];
		*len = fake.config_len[index];
	}
	return *bytes != NULL ? 0 : LIBUSB_ERROR_NOT_FOUND;
}

uint8_t
un_device_active_configuration(libusb_device *dev)
{
	ck_assert_ptr_eq(dev, DEV);
	return fake.active;
}

libusb_context *
un_device_context(libusb_device *dev)
{
	ck_assert_ptr_eq(dev, DEV);
	return NULL;
}

void
un_log(libusb_context *ctx, enum libusb_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	ck_assert_int_gt(vsnprintf(line, sizeof line, fmt, ap), 0);
	va_end(ap);
	ck_assert_ptr_null(ctx);
	ck_assert_int_le(level, LIBUSB_LOG_LEVEL_WARNING);
	fake.warnings++;
}

libusb_device *
libusb_get_device(libusb_device_handle *handle)
{
	ck_assert_ptr_eq(handle, HANDLE);
	return DEV;
}

int
libusb_get_device_speed(libusb_device *dev)
{
	ck_assert_ptr_eq(dev, DEV);
	return fake.speed;
}

void
fake_plug(void)
{
	memset(&fake, 0, sizeof fake);
	fake.speed = LIBUSB_SPEED_HIGH;
}

void
fake_config(unsigned index, const void *bytes, size_t len)
{
	ck_assert_uint_lt(index, FAKE_CONFIGURATIONS);
	fake.config[index] = bytes;
	fake.config_len[index] = len;
}
