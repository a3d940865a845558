/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/client_int.h"

/* Access to dictionaries by key and type, over the part of libplist that every
 * version since 2.2 has. */

static plist_t
dict_node(plist_t dict, const char *key, plist_type type)
{
	const plist_t node = plist_dict_get_item(dict, key);

	return node != NULL && plist_get_node_type(node) == type ? node : NULL;
}

bool
client_dict_uint(plist_t dict, const char *key, uint64_t *out)
{
	const plist_t node = dict_node(dict, key, PLIST_UINT);

	if (node == NULL)
		return false;
	plist_get_uint_val(node, out);
	return true;
}

uint32_t
client_dict_u32(plist_t dict, const char *key)
{
	uint64_t value = 0;

	client_dict_uint(dict, key, &value);
	return (uint32_t)value;
}

const char *
client_dict_text(plist_t dict, const char *key)
{
	const plist_t node = dict_node(dict, key, PLIST_STRING);

	return node != NULL ? plist_get_string_ptr(node, NULL) : NULL;
}

void
client_dict_copy(plist_t dict, const char *key, char *out, size_t size)
{
	const char *text = client_dict_text(dict, key);
	const size_t len = text != NULL ? strnlen(text, size - 1) : 0;

	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

const void *
client_dict_data(plist_t dict, const char *key, size_t *len)
{
	const plist_t node = dict_node(dict, key, PLIST_DATA);
	uint64_t size = 0;
	const void *bytes;

	*len = 0;
	if (node == NULL)
		return NULL;
	bytes = plist_get_data_ptr(node, &size);
	*len = (size_t)size;
	/* Data of no bytes is there nevertheless. */
	return bytes != NULL ? bytes : "";
}

/* Length of the UTF-8 character at `s` if XML 1.0 allows it, else 0. */
static size_t
xml_char(const uint8_t *s)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0
	    ? 3 : 2;
	uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the text's end is none either */
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
	    c == 0xfffe || c == 0xffff || c == 0x7f ||
	    (c < 0x20 && c != '\t') || (s[0] & 0xc0) == 0x80 || s[0] >= 0xf8)
		return 0;
	return len;
}

void
client_dict_set_text(plist_t dict, const char *key, const char *text)
{
	const uint8_t *from = (const uint8_t *)text;
	char clean[2 * CLIENT_TEXT_MAX]; /* longer than any text here */
	size_t used = 0;

	while (*from != '\0') {
		const size_t len = xml_char(from);

		if (used + (len > 0 ? len : 1) >= sizeof clean)
			break;
		if (len == 0)
			clean[used++] = '?';
		else
			memcpy(clean + used, from, len);
		used += len;
		from += len > 0 ? len : 1;
	}
	clean[used] = '\0';
	plist_dict_set_item(dict, key, plist_new_string(clean));
}

void
client_dict_set_uint(plist_t dict, const char *key, uint64_t value)
{
	plist_dict_set_item(dict, key, plist_new_uint(value));
}

void
client_dict_set_data(plist_t dict, const char *key, const void *bytes,
    size_t len)
{
	plist_dict_set_item(dict, key, plist_new_data(bytes, len));
}

struct client_frame
client_plist_frame(uint32_t tag, plist_t dict)
{
	struct client_frame frame = { NULL, 0 };
	struct writer w;
	uint32_t len = 0;
	char *xml = NULL;

	plist_to_xml(dict, &xml, &len);
	plist_free(dict);
	if (xml == NULL)
		return frame;
	frame = client_frame_new(USBMUX_VERSION_PLIST, USBMUX_PLIST, tag, len,
	    &w);
	write_bytes(&w, xml, len);
	plist_to_xml_free(xml);
	return frame;
}
