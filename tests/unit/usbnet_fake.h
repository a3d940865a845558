/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USBNET_FAKE_H
#define TESTS_UNIT_USBNET_FAKE_H

/*
 * A device for the drop-in libusb's functions over descriptors: it gives
 * whatever bytes a case wants.  There is one; it stands where the library has
 * its devices and its log (usbnet/device.h).
 */

#include "usbnet/device.h"

#define FAKE_CONFIGURATIONS 4

extern struct fake {
	const uint8_t *bos, *config[FAKE_CONFIGURATIONS];
	size_t bos_len, config_len[FAKE_CONFIGURATIONS];
	uint8_t active; /* bConfigurationValue */
	int speed;      /* enum libusb_speed */
	unsigned warnings; /* lines in the log */
} fake;

#define DEV ((libusb_device *)&fake)
#define HANDLE ((libusb_device_handle *)&fake)

/* Has two configurations. */
extern const uint8_t fake_device_bytes[LIBUSB_DT_DEVICE_SIZE];

/* A high-speed device, not configured, with nothing but its own descriptor. */
void fake_plug(void);

/* Gives it the bytes of a configuration, which must stay. */
void fake_config(unsigned index, const void *bytes, size_t len);

#endif
