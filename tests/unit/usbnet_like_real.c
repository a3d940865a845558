/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trees of the system's libusb, of the devices that it sees. */
#include <stdio.h>

#include "usbnet_like.h"

static void
print_device(libusb_device *dev)
{
	struct libusb_config_descriptor *config = NULL;
	struct libusb_device_descriptor d;
	int rc;

	if (libusb_get_device_descriptor(dev, &d) != 0 ||
	    d.idVendor != LIKE_VENDOR)
		return;
	rc = libusb_get_config_descriptor(dev, 0, &config);
	like_print(d.idProduct, rc, config);
	if (rc == 0)
		libusb_free_config_descriptor(config);
}

int
main(void)
{
	libusb_context *ctx;
	libusb_device **list;

	if (libusb_init(&ctx) != 0 || libusb_get_device_list(ctx, &list) < 0) {
		fprintf(stderr, "libusb lists no devices\n");
		return 1;
	}
	for (libusb_device **dev = list; *dev != NULL; dev++)
		print_device(*dev);
	libusb_free_device_list(list, 1);
	libusb_exit(ctx);
	return 0;
}
