/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trees of our parser; with an argument, the devices that have these
 * configurations, for umockdev-run. */
#include <stdio.h>
#include <stdlib.h>

#include "usbnet/descriptors.h"
#include "usbnet_like.h"

static void
print_device(unsigned n, const uint8_t *config, size_t len)
{
	printf("P: /devices/usb1/1-%u\nN: bus/usb/001/%03u\n"
	    "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
	    "E: DEVNAME=/dev/bus/usb/001/%03u\nE: BUSNUM=001\nE: DEVNUM=%03u\n"
	    "A: busnum=1\nA: devnum=%u\nA: speed=480\n"
	    "A: bConfigurationValue=7\n"
	    "H: descriptors=120100020000004034%02x%02x%02x000100000001",
	    n, n + 1, n + 1, n + 1, n + 1, LIKE_VENDOR >> 8, n & 0xff, n >> 8);
	for (size_t i = 0; i < len; i++)
		printf("%02x", config[i]);
	printf("\n\n");
}

/* As config.c: what is behind wTotalLength is no part of it. */
static void
print_tree(unsigned n, const uint8_t *bytes, size_t len)
{
	const size_t total = (size_t)(bytes[2] | bytes[3] << 8);
	struct libusb_config_descriptor *config = NULL;
	struct cause note;
	const int rc = un_config_parse(&config, bytes,
	    total < len ? total : len, &note);

	like_print(n, rc, config);
	free(config);
}

int
main(int argc, char **argv)
{
	uint8_t bytes[LIKE_SIZE_MAX];

	(void)argv;
	for (unsigned n = 1; n <= LIKE_CASES; n++) {
		const size_t len = like_case(n, bytes);

		if (argc > 1)
			print_device(n, bytes, len);
		else
			print_tree(n, bytes, len);
	}
	return 0;
}
