/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "usbnet/descriptors.h"

/*
 * Descriptors of a device behind a stranger's server: the bytes are read as a
 * configuration and as a BOS.  Every byte that a tree points to is touched, so
 * that a sanitizer sees a wrong pointer.
 */

static unsigned touched;

static void
touch(const unsigned char *bytes, int len)
{
	MUST(len >= 0 && (len == 0) == (bytes == NULL));
	for (int i = 0; i < len; i++)
		touched += bytes[i];
}

static void
setting(const struct libusb_interface_descriptor *s)
{
	MUST(s->bLength >= LIBUSB_DT_INTERFACE_SIZE);
	MUST(s->bNumEndpoints <= UN_CONFIG_ENDPOINTS_MAX);
	touch(s->extra, s->extra_length);
	for (unsigned i = 0; i < s->bNumEndpoints; i++) {
		struct libusb_ss_endpoint_companion_descriptor *companion;
		const struct libusb_endpoint_descriptor *e = &s->endpoint[i];
		struct cause note;

		MUST(e->bDescriptorType == LIBUSB_DT_ENDPOINT);
		touch(e->extra, e->extra_length);
		if (un_companion_parse(&companion, e->extra,
			(size_t)e->extra_length, &note) == 0)
			free(companion);
	}
}

static void
configuration(const uint8_t *bytes, size_t len)
{
	struct libusb_interface_association_descriptor_array *all;
	struct libusb_config_descriptor *c;
	struct cause note;

	if (un_associations_parse(&all, bytes, len, &note) == 0) {
		for (int i = 0; i < all->length; i++)
			touched += all->iad[i].bFirstInterface;
		free(all);
	}
	if (un_config_parse(&c, bytes, len, &note) < 0)
		return;
	MUST(c->bNumInterfaces <= UN_CONFIG_INTERFACES_MAX);
	MUST(un_config_value(bytes, len) == c->bConfigurationValue);
	touch(c->extra, c->extra_length);
	for (unsigned i = 0; i < c->bNumInterfaces; i++) {
		MUST(c->interface[i].num_altsetting > 0);
		for (int k = 0; k < c->interface[i].num_altsetting; k++)
			setting(&c->interface[i].altsetting[k]);
	}
	free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct libusb_bos_descriptor *bos;
	struct libusb_device_descriptor device;
	struct cause note;

	un_device_parse(&device, bytes, len);
	configuration(bytes, len);
	if (un_bos_parse(&bos, bytes, len, &note) == 0) {
		for (unsigned i = 0; i < bos->bNumDeviceCaps; i++)
			touch((const unsigned char *)bos->dev_capability[i],
			    bos->dev_capability[i]->bLength);
		free(bos);
	}
	return 0;
}
