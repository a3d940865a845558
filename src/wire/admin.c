/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/admin.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "wire/client_int.h"
#include "wire/plist_guard.h"

/* A status of many thousand clients, 15 values each. */
#define LIMITS_REPLY ((struct plist_limits){ 8, 2 * 1000 * 1000 })

struct client_frame
admin_frame(uint32_t tag, plist_t dict)
{
	struct client_frame frame = { NULL, 0 };
	char *bin = NULL;
	uint32_t len = 0;
	struct writer w;

	plist_to_bin(dict, &bin, &len);
	plist_free(dict);
	if (bin == NULL)
		return frame;
	frame.bytes = malloc(USBMUX_HEADER_SIZE + (size_t)len);
	if (frame.bytes != NULL) {
		frame.len = USBMUX_HEADER_SIZE + (size_t)len;
		w = writer_over(frame.bytes, frame.len);
		write_le32(&w, (uint32_t)frame.len);
		write_le32(&w, USBMUX_VERSION_PLIST);
		write_le32(&w, USBMUX_PLIST);
		write_le32(&w, tag);
		write_bytes(&w, bin, len);
	}
	free(bin);
	return frame;
}

plist_t
admin_parse_request(const void *payload, size_t len)
{
	return plist_guard_parse(payload, len, PLIST_LIMITS_REQUEST);
}

plist_t
admin_parse_reply(const void *payload, size_t len)
{
	return plist_guard_parse(payload, len, LIMITS_REPLY);
}

const char *
admin_text(plist_t dict, const char *key)
{
	plist_t node = plist_dict_get_item(dict, key);

	if (node == NULL || plist_get_node_type(node) != PLIST_STRING)
		return NULL;
	return plist_get_string_ptr(node, NULL);
}

void
admin_set_text(plist_t dict, const char *key, const char *text)
{
	client_dict_set_text(dict, key, text);
}

uint64_t
admin_number(plist_t dict, const char *key)
{
	plist_t node = plist_dict_get_item(dict, key);
	uint64_t value = 0;

	if (node != NULL && plist_get_node_type(node) == PLIST_UINT)
		plist_get_uint_val(node, &value);
	return value;
}
