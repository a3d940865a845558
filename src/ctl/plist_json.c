/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/plist_json.h"

#include <stdlib.h>

/* ASCII only, whatever the locale. */
static bool
is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

const char *
plist_json_key(char out[PLIST_JSON_KEY_MAX], const char *key)
{
	bool leading = true;
	size_t i = 0;

	for (; key[i] != '\0' && i < PLIST_JSON_KEY_MAX - 1; i++) {
		const bool begins_word = i > 0 && key[i + 1] >= 'a' &&
		    key[i + 1] <= 'z';

		leading = leading && is_capital(key[i]) && !begins_word;
		out[i] = leading ? (char)(key[i] - 'A' + 'a') : key[i];
	}
	out[i] = '\0';
	return out;
}

void
plist_json_members(struct json *j, plist_t dict)
{
	plist_dict_iter at = NULL;
	char name[PLIST_JSON_KEY_MAX], *key;
	plist_t node;

	plist_dict_new_iter(dict, &at);
	while (at != NULL) {
		key = NULL;
		plist_dict_next_item(dict, at, &key, &node);
		if (key == NULL)
			break;
		plist_json_value(j, plist_json_key(name, key), node);
		free(key);
	}
	free(at);
}

static void
put_array(struct json *j, const char *key, plist_t array)
{
	plist_array_iter at = NULL;
	plist_t node = NULL;

	json_array(j, key);
	plist_array_new_iter(array, &at);
	while (at != NULL) {
		plist_array_next_item(array, at, &node);
		if (node == NULL)
			break;
		plist_json_value(j, NULL, node);
	}
	free(at);
	json_end(j);
}

static void
put_uint(struct json *j, const char *key, plist_t node)
{
	uint64_t value = 0;

	plist_get_uint_val(node, &value);
	json_uint(j, key, value);
}

static void
put_bool(struct json *j, const char *key, plist_t node)
{
	uint8_t value = 0;

	plist_get_bool_val(node, &value);
	json_bool(j, key, value != 0);
}

static void
put_string(struct json *j, const char *key, plist_t node)
{
	uint64_t len = 0;
	const char *text = plist_get_string_ptr(node, &len);

	json_string_len(j, key, text, (size_t)len);
}

void
plist_json_value(struct json *j, const char *key, plist_t node)
{
	switch (plist_get_node_type(node)) {
	case PLIST_DICT:
		json_object(j, key);
		plist_json_members(j, node);
		json_end(j);
		break;
	case PLIST_ARRAY:
		put_array(j, key, node);
		break;
	case PLIST_STRING:
		put_string(j, key, node);
		break;
	case PLIST_UINT:
		put_uint(j, key, node);
		break;
	case PLIST_BOOLEAN:
		put_bool(j, key, node);
		break;
	default:
		json_null(j, key);
	}
}
