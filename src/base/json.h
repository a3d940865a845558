/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_JSON_H
#define MUXD_BASE_JSON_H

/*
 * A small JSON writer (RFC 8259).  It writes one value on one line into a
 * buffer of its own; the caller says what comes next and need not think of
 * commas, quotes or escapes:
 *
 *	json_init(&j);
 *	json_object(&j, NULL);
 *	json_string(&j, "udid", udid);
 *	json_array(&j, "ports");
 *	json_uint(&j, NULL, 7);
 *	json_end(&j);
 *	json_end(&j);
 *	text = json_text(&j);
 *
 * `key` names a member of the object that is open, and is NULL in an array and
 * at the top.  Running out of memory, or nesting deeper than JSON_DEPTH_MAX,
 * spoils the whole: everything later does nothing and json_text() is NULL, so
 * a caller asks once, at its end.  No thread of its own, no state elsewhere.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32 /* objects and arrays open at once */

struct json {
	char *text;     /* what has been written; owned */
	size_t len;     /* without the terminating zero, for which is room */
	size_t size;    /* allocated */
	uint32_t array; /* bit per open level, innermost lowest: an array */
	unsigned depth; /* levels open */
	bool comma;     /* something stands before the next value */
	bool bad;
};

void json_init(struct json *j);
/* Frees the text. */
void json_fini(struct json *j);
/* Ready for another value, in the same memory. */
void json_clear(struct json *j);

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* Closes the innermost object or array. */
void json_end(struct json *j);

/* Bytes that are not UTF-8 become U+FFFD each, so that the result always is
 * valid JSON; controls are escaped, so that a terminal may show it.  A NULL
 * `value` is written as null. */
void json_string(struct json *j, const char *key, const char *value);
void json_string_len(struct json *j, const char *key, const char *value,
    size_t len);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/*
 * The finished text, terminated, without a newline; the writer's, until the
 * next call.  NULL when memory ran out, or something is still open, or nothing
 * has been written.
 */
const char *json_text(struct json *j);

#endif
