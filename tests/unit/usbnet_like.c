/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbnet_like.h"

#include <stdio.h>
#include <string.h>

#include "usb_layouts.h"

/* Everything that a configuration can have, in its place. */
static const uint8_t whole[] = {
	U_CONFIG(119, 2, 7),
	8, 11, 0, 2, 14, 3, 0, 4, /* an association */
	U_INTERFACE(0, 0, 1, 14, 1, 0),
	5, 0x24, 1, 2, 3, 4, 0x24, 9, 9,
	7, 5, 0x83, 3, 64, 0, 8,
	6, 48, 0, 0, 64, 0, /* a companion */
	5, 0x25, 3, 64, 0,
	U_INTERFACE(1, 0, 0, 14, 2, 0),
	U_INTERFACE(1, 1, 2, 14, 2, 0),
	7, 5, 0x81, 5, 0x00, 0x0c, 1,
	6, 48, 2, 1, 0x00, 0x18,
	9, 5, 0x02, 13, 0xc0, 0x00, 4, 7, 0x81, /* audio */
	U_INTERFACE(1, 2, 1, 14, 2, 9),
	7, 5, 0x81, 1, 0x20, 0x13, 1,
	10, 0x24, 1, 2, 3, 4, 5, 6, 7, 8,
};
_Static_assert(sizeof whole == 119, "as it says itself");

/* The same numbers everywhere and always. */
static unsigned
any(uint32_t *state, unsigned below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

/* Behind the head, which libusb wants good before it lists the device. */
static void
damage(uint32_t *state, uint8_t *bytes, size_t len)
{
	static const uint8_t often[] = { 0, 1, 2, 4, 5, 6, 7, 9, 11, 33, 48,
		255 };
	const size_t at = 9 + any(state, (unsigned)len - 9);

	bytes[at] = any(state, 2) == 0
	    ? often[any(state, sizeof often)] : (uint8_t)any(state, 256);
}

size_t
like_case(unsigned n, uint8_t out[LIKE_SIZE_MAX])
{
	uint32_t state = n;
	size_t len = sizeof whole;

	memcpy(out, whole, sizeof whole);
	if (n % 4 == 1) /* cut */
		len = 10 + any(&state, sizeof whole - 10);
	for (unsigned i = n % 4; i > 0 && len > 9; i--)
		damage(&state, out, len);
	if (n % 8 == 3) /* other numbers of interfaces */
		out[4] = (uint8_t)any(&state, 36);
	if (n % 3 != 0) { /* its length fits, or is too great */
		out[2] = (uint8_t)len;
		out[3] = 0;
	}
	return len;
}

static void
print_bytes(const unsigned char *bytes, int len)
{
	printf(" [");
	for (int i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	printf("]");
}

static void
print_setting(const struct libusb_interface_descriptor *s)
{
	/* The real one may announce endpoints that it has no array for. */
	const unsigned count = s->endpoint != NULL ? s->bNumEndpoints : 0;

	printf(" setting %u.%u.%u %u.%u.%u.%u (%u, %u)", s->bInterfaceNumber,
	    s->bAlternateSetting, count, s->bInterfaceClass,
	    s->bInterfaceSubClass, s->bInterfaceProtocol, s->iInterface,
	    s->bLength, s->bDescriptorType);
	print_bytes(s->extra, s->extra_length);
	for (unsigned i = 0; i < count; i++) {
		const struct libusb_endpoint_descriptor *e = &s->endpoint[i];

		printf(" endpoint %02x %u.%u.%u.%u.%u (%u, %u)",
		    e->bEndpointAddress, e->bmAttributes, e->wMaxPacketSize,
		    e->bInterval, e->bRefresh, e->bSynchAddress, e->bLength,
		    e->bDescriptorType);
		print_bytes(e->extra, e->extra_length);
	}
}

void
like_print(unsigned n, int rc, const struct libusb_config_descriptor *c)
{
	printf("%03u: ", n);
	if (rc != 0) {
		printf("error %d\n", rc);
		return;
	}
	printf("config %u.%u.%u.%u.%u (%u, %u) %u interfaces",
	    c->wTotalLength, c->bConfigurationValue, c->iConfiguration,
	    c->bmAttributes, c->MaxPower, c->bLength, c->bDescriptorType,
	    c->bNumInterfaces);
	print_bytes(c->extra, c->extra_length);
	for (unsigned i = 0; i < c->bNumInterfaces; i++) {
		printf(" interface");
		for (int k = 0; k < c->interface[i].num_altsetting; k++)
			print_setting(&c->interface[i].altsetting[k]);
	}
	printf("\n");
}
