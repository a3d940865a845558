/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/control.h"

#include <stdlib.h>

#include "wire/admin.h"

static size_t
measure(const uint8_t *bytes, size_t len)
{
	struct client_header h;

	if (len < USBMUX_HEADER_SIZE)
		return 0;
	if (!client_header_read(&h, bytes, CLIENT_REQUEST_MAX))
		return RESPONDER_NONSENSE;
	return h.length <= len ? h.length : 0;
}

static uint8_t *
answer(void *arg, uint8_t *request, size_t len, size_t *answer_len)
{
	const struct control *c = arg;
	plist_t dict = admin_parse_request(request + USBMUX_HEADER_SIZE,
	    len - USBMUX_HEADER_SIZE);
	struct client_frame frame = { NULL, 0 };
	struct client_header h;

	if (client_header_read(&h, request, CLIENT_REQUEST_MAX))
		frame = admin_frame(h.tag,
		    control_answer(c->server, c->monitor, dict));
	plist_free(dict);
	*answer_len = frame.len;
	return frame.bytes;
}

struct responder *
control_open(struct control *c, const char *path, struct cause *why)
{
	static const struct responder_ops ops = {
		.request_max = CLIENT_REQUEST_MAX,
		.measure = measure,
		.answer = answer,
	};

	return responder_open(path, CONTROL_CLIENTS_MAX, &ops, c, why);
}
