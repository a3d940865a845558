/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "usb/descriptors.h"

/*
 * What a device says of itself.  The first byte says how many configurations
 * follow, each with a byte of length before it; all the bytes are also read as
 * a device descriptor and as a string.
 */

static void
serial(const uint8_t *bytes, size_t len)
{
	char out[USB_SERIAL_LENGTH_MAX + 1];
	const int n = usb_serial_parse(out, bytes, len);

	if (n < 0)
		return;
	MUST(n > 0 && n <= USB_SERIAL_LENGTH_MAX);
	MUST(strlen(out) == (size_t)n);
	MUST(strspn(out, "0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "abcdefghijklmnopqrstuvwxyz") == (size_t)n);
}

static void
configuration(struct usb_configuration *c, const uint8_t *bytes, size_t len)
{
	if (usb_configuration_parse(c, bytes, len) < 0) {
		memset(c, 0, sizeof *c);
		return;
	}
	MUST(usb_configuration_total(bytes, len) >=
	    USB_CONFIGURATION_HEAD_SIZE);
	if (!c->has_mux)
		return;
	MUST((c->mux_pipes.in & 0x80) != 0 && (c->mux_pipes.out & 0x80) == 0);
	MUST(c->mux_pipes.max_packet > 0 && c->mux_pipes.max_packet < 2048);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct usb_configuration all[8];
	struct usb_device_descriptor device;
	const unsigned count = len > 0 ? bytes[0] % 9 : 0;
	size_t at = 1;

	usb_device_parse(&device, bytes, len);
	usb_string_language(bytes, len);
	serial(bytes, len);
	for (unsigned i = 0; i < count; i++) {
		const size_t left = at < len ? len - at - 1 : 0;
		size_t n = at < len ? bytes[at] : 0;

		if (n > left)
			n = left;
		configuration(&all[i], at < len ? bytes + at + 1 : bytes, n);
		at += 1 + n;
	}
	MUST(usb_guess_mode(all, count) <= 5);
	return 0;
}
