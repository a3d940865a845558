/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
json_init(struct json *j)
{
	memset(j, 0, sizeof *j);
}

void
json_fini(struct json *j)
{
	free(j->text);
	json_init(j);
}

void
json_clear(struct json *j)
{
	j->len = 0;
	j->array = 0;
	j->depth = 0;
	j->comma = false;
	j->bad = false;
}

/* Room for `len` bytes and a terminating zero. */
static bool
make_room(struct json *j, size_t len)
{
	size_t size = j->size > 0 ? j->size : 256;
	char *text;

	if (j->bad)
		return false;
	if (len < j->size && j->len < j->size - len)
		return true;
	while (size - j->len <= len) {
		if (size > SIZE_MAX / 2) {
			j->bad = true;
			return false;
		}
		size *= 2;
	}
	text = realloc(j->text, size);
	if (text == NULL) {
		j->bad = true;
		return false;
	}
	j->text = text;
	j->size = size;
	return true;
}

static void
put(struct json *j, const char *bytes, size_t len)
{
	if (!make_room(j, len))
		return;
	memcpy(j->text + j->len, bytes, len);
	j->len += len;
}

/*
 * Length of the UTF-8 sequence at the start of `s` (RFC 3629: no overlong
 * form, no surrogate, nothing above U+10FFFF), 0 when there is none.
 */
static size_t
utf8_length(const unsigned char *s, size_t len)
{
	const size_t want = s[0] < 0x80 ? 1
	    : s[0] < 0xc2		? 0
	    : s[0] < 0xe0		? 2
	    : s[0] < 0xf0		? 3
	    : s[0] < 0xf5		? 4
					: 0;

	if (want > len)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return want;
}

/* Controls of ASCII, and U+0080 to U+009F, by which terminals take orders too:
 * the character, or -1 when `s` starts with none. */
static int
control_at(const unsigned char *s, size_t n)
{
	if (n == 1 && (s[0] < 0x20 || s[0] == 0x7f))
		return s[0];
	if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
		return s[1];
	return -1;
}

static void
put_escaped(struct json *j, int c)
{
	char escape[8];

	switch (c) {
	case '"':
	case '\\':
		snprintf(escape, sizeof escape, "\\%c", c);
		break;
	case '\n':
		snprintf(escape, sizeof escape, "\\n");
		break;
	case '\r':
		snprintf(escape, sizeof escape, "\\r");
		break;
	case '\t':
		snprintf(escape, sizeof escape, "\\t");
		break;
	default:
		snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c & 0xff);
	}
	put(j, escape, strlen(escape));
}

static void
put_quoted(struct json *j, const char *value, size_t len)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t i = 0;

	put(j, "\"", 1);
	while (i < len) {
		const size_t n = utf8_length(s + i, len - i);
		const int control = control_at(s + i, n);

		if (n == 0)
			put(j, "\xef\xbf\xbd", 3); /* U+FFFD */
		else if (control >= 0)
			put_escaped(j, control);
		else if (s[i] == '"' || s[i] == '\\')
			put_escaped(j, s[i]);
		else
			put(j, value + i, n);
		i += n > 0 ? n : 1;
	}
	put(j, "\"", 1);
}

/* What stands before a value: a comma, and the key in an object. */
static void
begin_value(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (key == NULL)
		return;
	put_quoted(j, key, strlen(key));
	put(j, ":", 1);
}

static void
open_level(struct json *j, const char *key, bool array)
{
	begin_value(j, key);
	if (j->depth == JSON_DEPTH_MAX) {
		j->bad = true;
		return;
	}
	put(j, array ? "[" : "{", 1);
	j->array = j->array << 1 | array;
	j->depth++;
	j->comma = false;
}

void
json_object(struct json *j, const char *key)
{
	open_level(j, key, false);
}

void
json_array(struct json *j, const char *key)
{
	open_level(j, key, true);
}

void
json_end(struct json *j)
{
	if (j->depth == 0) {
		j->bad = true;
		return;
	}
	put(j, (j->array & 1) != 0 ? "]" : "}", 1);
	j->array >>= 1;
	j->depth--;
	j->comma = true;
}

void
json_string_len(struct json *j, const char *key, const char *value, size_t len)
{
	begin_value(j, key);
	put_quoted(j, value, len);
}

void
json_string(struct json *j, const char *key, const char *value)
{
	if (value == NULL)
		json_null(j, key);
	else
		json_string_len(j, key, value, strlen(value));
}

void
json_uint(struct json *j, const char *key, uint64_t value)
{
	char number[24];

	begin_value(j, key);
	put(j, number, (size_t)snprintf(number, sizeof number, "%" PRIu64,
	    value));
}

void
json_int(struct json *j, const char *key, int64_t value)
{
	char number[24];

	begin_value(j, key);
	put(j, number, (size_t)snprintf(number, sizeof number, "%" PRId64,
	    value));
}

void
json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	put(j, value ? "true" : "false", value ? 4 : 5);
}

void
json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	put(j, "null", 4);
}

const char *
json_text(struct json *j)
{
	if (j->bad || j->depth > 0 || j->len == 0)
		return NULL;
	j->text[j->len] = '\0';
	return j->text;
}
