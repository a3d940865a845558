/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_CLIENT_INT_H
#define MUXD_WIRE_CLIENT_INT_H

/* What the files of the client protocol's codec share; nobody else includes
 * this.  Pure, like all of it. */

#include <plist/plist.h>

#include "base/cursor.h"
#include "wire/client.h"

/* ---- client_header.c ---- */

/* A frame of that header with `len` bytes of payload to be filled in, which
 * *payload then covers.  On lack of memory bytes is NULL and *payload empty. */
struct client_frame client_frame_new(uint32_t version, uint32_t message,
    uint32_t tag, size_t len, struct writer *payload);

/* ---- client_binary.c ---- */

void client_binary_request(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len);
bool client_binary_reply(struct client_reply *out,
    const struct client_header *h, const void *payload, size_t len);

struct client_frame client_binary_result(uint32_t tag, uint32_t result);
struct client_frame client_binary_attached(const struct client_device *d);
struct client_frame client_binary_notice(uint32_t message,
    uint32_t device_id);
struct client_frame client_binary_listen(uint32_t tag);
struct client_frame client_binary_connect(uint32_t tag, uint32_t device_id,
    uint16_t port);

/* ---- client_plist.c: access to dictionaries ---- */

/* False, and *out untouched, when the key is missing or is no integer. */
bool client_dict_uint(plist_t dict, const char *key, uint64_t *out);
/* Low 32 bits of an integer (some clients encode with a sign), or 0. */
uint32_t client_dict_u32(plist_t dict, const char *key);
/* The string where it lies, or NULL. */
const char *client_dict_text(plist_t dict, const char *key);
/* Copies the string, cut to `size` with its end; "" when there is none. */
void client_dict_copy(plist_t dict, const char *key, char *out, size_t size);
/* The bytes where they lie, or NULL. */
const void *client_dict_data(plist_t dict, const char *key, size_t *len);

/* Sets a string, in which all that XML does not allow (control characters,
 * what is not UTF-8) becomes '?': one client's name is shown to another. */
void client_dict_set_text(plist_t dict, const char *key, const char *text);
void client_dict_set_uint(plist_t dict, const char *key, uint64_t value);
void client_dict_set_data(plist_t dict, const char *key, const void *bytes,
    size_t len);

/* Makes a message of `dict` and frees it. */
struct client_frame client_plist_frame(uint32_t tag, plist_t dict);

/* ---- client_usual.c ---- */

/* Fills `out`, which is all zero but for `tag` and `form`, with the Connect that
 * the payload is.  False, and `out` untouched, when it is something else, or not
 * of the usual form: libplist may know. */
bool client_usual_connect(struct client_request *out, const void *payload,
    size_t len);
/* A Result as a property list. */
struct client_frame client_usual_result(uint32_t tag, uint32_t result);

/* ---- client_request.c, client_reply.c ---- */

/* The same as client_usual_connect(), for a request of any kind and form. */
void client_plist_request(struct client_request *out, const void *payload,
    size_t len);

/* Requests have the port byte-swapped, and with a sign by some clients. */
static inline uint16_t
client_port(uint64_t sent)
{
	return (uint16_t)((sent & 0xff) << 8 | (sent >> 8 & 0xff));
}

void client_request_refuse(struct client_request *out, uint32_t refusal,
    const char *reason);
void client_info_read(struct client_info *out, plist_t dict);

#endif
