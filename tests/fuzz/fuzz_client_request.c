/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "wire/client.h"

/* What a client sends to the daemon: messages one behind the other. */

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	while (len >= USBMUX_HEADER_SIZE) {
		struct client_header h;
		struct client_request r;

		if (!client_header_read(&h, bytes, CLIENT_REQUEST_MAX) ||
		    h.length > len)
			return 0;
		client_request_parse(&r, &h, bytes + USBMUX_HEADER_SIZE,
		    h.length - USBMUX_HEADER_SIZE);
		MUST(r.kind != CLIENT_BAD || r.refusal != 0);
		MUST(r.kind != CLIENT_BAD || r.reason != NULL);
		MUST(memchr(r.record_id, '\0', sizeof r.record_id) != NULL);
		MUST(memchr(r.info.prog_name, '\0', CLIENT_TEXT_MAX) != NULL);
		MUST(memchr(r.info.bundle_id, '\0', CLIENT_TEXT_MAX) != NULL);
		MUST(memchr(r.info.version, '\0', CLIENT_TEXT_MAX) != NULL);
		MUST(r.record_len <= h.length);
		client_request_fini(&r);
		bytes += h.length;
		len -= h.length;
	}
	return 0;
}
