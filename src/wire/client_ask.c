/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/client_int.h"

/* Requests, as a client builds them. */

static plist_t
dict_request(enum client_kind kind, const struct client_info *self)
{
	const plist_t dict = plist_new_dict();

	client_dict_set_text(dict, "MessageType", client_kind_name(kind));
	client_dict_set_text(dict, "ClientVersionString", self->version);
	client_dict_set_text(dict, "ProgName", self->prog_name);
	if (self->bundle_id[0] != '\0')
		client_dict_set_text(dict, "BundleID", self->bundle_id);
	client_dict_set_uint(dict, "kLibUSBMuxVersion", self->lib_version);
	if (self->process_id != 0)
		client_dict_set_uint(dict, "ProcessID", self->process_id);
	return dict;
}

struct client_frame
client_ask_listen(enum client_form form, uint32_t tag,
    const struct client_info *self)
{
	plist_t dict;

	if (form == CLIENT_BINARY)
		return client_binary_listen(tag);
	dict = dict_request(CLIENT_LISTEN, self);
	client_dict_set_uint(dict, "ConnType", self->conn_type);
	return client_plist_frame(tag, dict);
}

struct client_frame
client_ask_connect(enum client_form form, uint32_t tag,
    const struct client_info *self, uint32_t device_id, uint16_t port)
{
	plist_t dict;

	if (form == CLIENT_BINARY)
		return client_binary_connect(tag, device_id, port);
	dict = dict_request(CLIENT_CONNECT, self);
	client_dict_set_uint(dict, "DeviceID", device_id);
	/* The number that the port's two bytes, swapped, make. */
	client_dict_set_uint(dict, "PortNumber",
	    (uint16_t)(port << 8 | port >> 8));
	return client_plist_frame(tag, dict);
}

struct client_frame
client_ask_simple(enum client_kind kind, uint32_t tag,
    const struct client_info *self)
{
	return client_plist_frame(tag, dict_request(kind, self));
}

struct client_frame
client_ask_record(enum client_kind kind, uint32_t tag,
    const struct client_info *self, const char *record_id)
{
	const plist_t dict = dict_request(kind, self);

	client_dict_set_text(dict, "PairRecordID", record_id);
	return client_plist_frame(tag, dict);
}

struct client_frame
client_ask_save_record(uint32_t tag, const struct client_info *self,
    const char *record_id, const void *record, size_t len, uint32_t device_id)
{
	const plist_t dict = dict_request(CLIENT_SAVE_RECORD, self);

	client_dict_set_text(dict, "PairRecordID", record_id);
	client_dict_set_data(dict, "PairRecordData", record, len);
	if (device_id != 0)
		client_dict_set_uint(dict, "DeviceID", device_id);
	return client_plist_frame(tag, dict);
}
