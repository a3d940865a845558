/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "wire/client_int.h"
#include "wire/plist_guard.h"

/* Requests, as the daemon reads them. */

void
client_request_refuse(struct client_request *out, uint32_t refusal,
    const char *reason)
{
	out->kind = CLIENT_BAD;
	out->refusal = refusal;
	out->reason = reason;
}

void
client_info_read(struct client_info *out, plist_t dict)
{
	client_dict_copy(dict, "ProgName", out->prog_name,
	    sizeof out->prog_name);
	client_dict_copy(dict, "BundleID", out->bundle_id,
	    sizeof out->bundle_id);
	client_dict_copy(dict, "ClientVersionString", out->version,
	    sizeof out->version);
	out->lib_version = client_dict_u32(dict, "kLibUSBMuxVersion");
	out->process_id = client_dict_u32(dict, "ProcessID");
	out->conn_type = client_dict_u32(dict, "ConnType");
}

static void
parse_connect(struct client_request *out, plist_t dict)
{
	uint64_t id, port;

	if (!client_dict_uint(dict, "DeviceID", &id)) {
		client_request_refuse(out, USBMUX_BAD_DEVICE,
		    "Connect without a DeviceID");
		return;
	}
	if (!client_dict_uint(dict, "PortNumber", &port)) {
		client_request_refuse(out, USBMUX_BAD_COMMAND,
		    "Connect without a PortNumber");
		return;
	}
	out->device_id = (uint32_t)id;
	out->port = client_port(port);
}

static void
parse_record_id(struct client_request *out, plist_t dict)
{
	const char *id = client_dict_text(dict, "PairRecordID");

	/* Cutting a long one would name another record. */
	if (id == NULL || strlen(id) >= sizeof out->record_id)
		client_request_refuse(out, USBMUX_RECORD_INVALID,
		    id == NULL ? "no PairRecordID" : "PairRecordID too long");
	else
		strcpy(out->record_id, id);
}

static void
parse_save(struct client_request *out, plist_t dict)
{
	const void *record;
	size_t len;

	parse_record_id(out, dict);
	if (out->kind == CLIENT_BAD)
		return;
	record = client_dict_data(dict, "PairRecordData", &len);
	if (record == NULL || len == 0) {
		client_request_refuse(out, USBMUX_RECORD_INVALID,
		    "no PairRecordData");
		return;
	}
	out->record = malloc(len);
	if (out->record == NULL) {
		client_request_refuse(out, ENOMEM, "out of memory");
		return;
	}
	memcpy(out->record, record, len);
	out->record_len = len;
	out->device_id = client_dict_u32(dict, "DeviceID");
}

static enum client_kind
kind_of(const char *type)
{
	for (int k = CLIENT_LISTEN; k <= CLIENT_DELETE_RECORD; k++)
		if (strcmp(type, client_kind_name((enum client_kind)k)) == 0)
			return (enum client_kind)k;
	return CLIENT_BAD;
}

static void
parse_dict(struct client_request *out, plist_t dict)
{
	const char *type = client_dict_text(dict, "MessageType");

	client_info_read(&out->info, dict);
	out->kind = type != NULL ? kind_of(type) : CLIENT_BAD;
	switch (out->kind) {
	case CLIENT_BAD:
		client_request_refuse(out, USBMUX_BAD_COMMAND, type == NULL
			? "no MessageType" : "unknown MessageType");
		break;
	case CLIENT_CONNECT:
		parse_connect(out, dict);
		break;
	case CLIENT_READ_RECORD:
	case CLIENT_DELETE_RECORD:
		parse_record_id(out, dict);
		break;
	case CLIENT_SAVE_RECORD:
		parse_save(out, dict);
		break;
	case CLIENT_LISTEN:
	case CLIENT_LIST_DEVICES:
	case CLIENT_LIST_LISTENERS:
	case CLIENT_READ_BUID:
		break;
	}
}

void
client_plist_request(struct client_request *out, const void *payload,
    size_t len)
{
	const plist_t dict =
	    plist_guard_parse(payload, len, PLIST_LIMITS_REQUEST);

	if (dict == NULL) {
		client_request_refuse(out, USBMUX_BAD_COMMAND,
		    "not a property list of a request");
		return;
	}
	parse_dict(out, dict);
	plist_free(dict);
}

void
client_request_parse(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len)
{
	memset(out, 0, sizeof *out);
	out->tag = h->tag;
	if (h->version > USBMUX_VERSION_PLIST) {
		client_request_refuse(out, USBMUX_BAD_VERSION,
		    "unknown protocol version");
		return;
	}
	/* The message number tells the form; the reference daemon does not
	 * compare it with the version either. */
	if (h->message != USBMUX_PLIST) {
		client_binary_request(out, h, payload, len);
		return;
	}
	out->form = CLIENT_PLIST;
	if (!client_usual_connect(out, payload, len))
		client_plist_request(out, payload, len);
}

bool
client_connect_parse(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len)
{
	memset(out, 0, sizeof *out);
	out->tag = h->tag;
	if (h->version > USBMUX_VERSION_PLIST)
		return false;
	if (h->message == USBMUX_CONNECT)
		client_binary_request(out, h, payload, len);
	else if (h->message == USBMUX_PLIST)
		client_usual_connect(out, payload, len);
	else
		return false;
	out->form =
	    h->message == USBMUX_PLIST ? CLIENT_PLIST : CLIENT_BINARY;
	return out->kind == CLIENT_CONNECT;
}

void
client_request_fini(struct client_request *r)
{
	free(r->record);
	r->record = NULL;
}
