/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "client/muxclient_int.h"

/* The commands that exist as property lists only. */

enum muxclient_error
muxclient_read_buid(const struct muxclient *mc, char out[MUXCLIENT_BUID_MAX])
{
	struct client_reply reply;
	enum muxclient_error error = exchange(mc, exchange_deadline(mc),
	    CLIENT_READ_BUID, client_ask_simple(CLIENT_READ_BUID, 1, &mc->self),
	    &reply, NULL);

	if (error != MUXCLIENT_OK)
		return error;
	if (reply.kind != CLIENT_REPLY_BUID || reply.len >= MUXCLIENT_BUID_MAX)
		error = MUXCLIENT_GARBLED;
	else
		memcpy(out, reply.data, reply.len + 1);
	client_reply_fini(&reply);
	return error;
}

enum muxclient_error
muxclient_read_record(const struct muxclient *mc, const char *udid,
    void **bytes, size_t *len)
{
	struct client_reply reply;
	const enum muxclient_error error = exchange(mc, exchange_deadline(mc),
	    CLIENT_READ_RECORD,
	    client_ask_record(CLIENT_READ_RECORD, 1, &mc->self, udid), &reply,
	    NULL);

	if (error != MUXCLIENT_OK)
		return error;
	if (reply.kind != CLIENT_REPLY_RECORD) {
		client_reply_fini(&reply);
		return MUXCLIENT_GARBLED;
	}
	*bytes = reply.data;
	*len = reply.len;
	return MUXCLIENT_OK;
}

static enum muxclient_error
change_record(const struct muxclient *mc, enum client_kind kind,
    struct client_frame frame)
{
	struct client_reply reply;
	enum muxclient_error error = exchange(mc, exchange_deadline(mc), kind,
	    frame, &reply, NULL);

	if (error == MUXCLIENT_OK) {
		if (reply.kind != CLIENT_REPLY_RESULT)
			error = MUXCLIENT_GARBLED;
		client_reply_fini(&reply);
	}
	return error;
}

enum muxclient_error
muxclient_save_record(const struct muxclient *mc, const char *udid,
    const void *bytes, size_t len, uint32_t device_id)
{
	/* In base64 it would not fit in a request. */
	if (len > CLIENT_REQUEST_MAX / 2)
		return MUXCLIENT_INVALID;
	return change_record(mc, CLIENT_SAVE_RECORD,
	    client_ask_save_record(1, &mc->self, udid, bytes, len, device_id));
}

enum muxclient_error
muxclient_delete_record(const struct muxclient *mc, const char *udid)
{
	return change_record(mc, CLIENT_DELETE_RECORD,
	    client_ask_record(CLIENT_DELETE_RECORD, 1, &mc->self, udid));
}
