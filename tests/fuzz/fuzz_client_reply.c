/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "wire/client.h"

/* What a daemon sends to a client: messages one behind the other. */

static void
check_device(const struct client_device *d)
{
	MUST(d->id != 0);
	MUST(memchr(d->udid, '\0', sizeof d->udid) != NULL);
	MUST(memchr(d->service, '\0', sizeof d->service) != NULL);
	MUST(d->address_len <= sizeof d->address);
}

static void
check_reply(const struct client_reply *r)
{
	if (r->kind == CLIENT_REPLY_ATTACHED)
		check_device(&r->device);
	for (size_t i = 0; r->devices != NULL && i < r->count; i++)
		check_device(&r->devices[i]);
	for (size_t i = 0; r->listeners != NULL && i < r->count; i++)
		MUST(memchr(r->listeners[i].info.prog_name, '\0',
			 CLIENT_TEXT_MAX) != NULL);
	MUST(r->kind != CLIENT_REPLY_BUID || r->data[r->len] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	while (len >= USBMUX_HEADER_SIZE) {
		struct client_header h;
		struct client_reply r;

		if (!client_header_read(&h, bytes, CLIENT_REPLY_MAX) ||
		    h.length > len)
			return 0;
		if (client_reply_parse(&r, &h, bytes + USBMUX_HEADER_SIZE,
			h.length - USBMUX_HEADER_SIZE)) {
			check_reply(&r);
			client_reply_fini(&r);
		}
		bytes += h.length;
		len -= h.length;
	}
	return 0;
}
