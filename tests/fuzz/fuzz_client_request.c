/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "wire/client_int.h"

/* What a client sends to the daemon: messages one behind the other. */

/* What is understood without libplist means the same to libplist. */
static void
compare(const uint8_t *payload, size_t len)
{
	struct client_request ours, theirs;

	memset(&ours, 0, sizeof ours);
	memset(&theirs, 0, sizeof theirs);
	if (client_usual_connect(&ours, payload, len)) {
		client_plist_request(&theirs, payload, len);
		MUST(memcmp(&ours, &theirs, sizeof ours) == 0);
	}
}

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
		compare(bytes + USBMUX_HEADER_SIZE,
		    h.length - USBMUX_HEADER_SIZE);
		bytes += h.length;
		len -= h.length;
	}
	return 0;
}
