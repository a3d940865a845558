/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "wire/client_int.h"
#include "wire/plist_guard.h"

/* Answers and notifications, as a client reads them. */

/* The daemon says the id twice, some daemons only inside. */
static bool
read_attached(struct client_device *d, plist_t dict)
{
	const plist_t p = plist_dict_get_item(dict, "Properties");
	const char *type;
	const void *address;

	memset(d, 0, sizeof *d);
	if (p == NULL || plist_get_node_type(p) != PLIST_DICT)
		return false;
	d->id = client_dict_u32(dict, "DeviceID");
	if (d->id == 0)
		d->id = client_dict_u32(p, "DeviceID");
	client_dict_copy(p, "SerialNumber", d->udid, sizeof d->udid);
	if (d->id == 0 || d->udid[0] == '\0')
		return false;
	d->location = client_dict_u32(p, "LocationID");
	d->product_id = (uint16_t)client_dict_u32(p, "ProductID");
	client_dict_uint(p, "ConnectionSpeed", &d->speed);

	type = client_dict_text(p, "ConnectionType");
	if (type == NULL || strcmp(type, "Network") != 0)
		return true;
	d->link = CLIENT_LINK_NETWORK;
	d->interface_index = client_dict_u32(p, "InterfaceIndex");
	client_dict_copy(p, "EscapedFullServiceName", d->service,
	    sizeof d->service);
	address = client_dict_data(p, "NetworkAddress", &d->address_len);
	if (d->address_len > sizeof d->address)
		d->address_len = sizeof d->address;
	if (d->address_len > 0)
		memcpy(d->address, address, d->address_len);
	return true;
}

/* Room for `count` items of `size`, at least one, so that NULL is an error. */
static void *
new_list(size_t count, size_t size)
{
	return calloc(count > 0 ? count : 1, size);
}

/* The next item of an array; iterated, because access by index is a walk. */
static plist_t
next_dict(plist_t array, plist_array_iter at)
{
	plist_t item = NULL;

	do
		plist_array_next_item(array, at, &item);
	while (item != NULL && plist_get_node_type(item) != PLIST_DICT);
	return item;
}

static bool
read_devices(struct client_reply *out, plist_t array)
{
	plist_array_iter at = NULL;
	plist_t item;

	out->kind = CLIENT_REPLY_DEVICES;
	out->devices = new_list(plist_array_get_size(array),
	    sizeof *out->devices);
	if (out->devices == NULL)
		return false;
	plist_array_new_iter(array, &at);
	while ((item = next_dict(array, at)) != NULL)
		if (read_attached(&out->devices[out->count], item))
			out->count++;
	free(at);
	return true;
}

static bool
read_listeners(struct client_reply *out, plist_t array)
{
	plist_array_iter at = NULL;
	plist_t item;

	out->kind = CLIENT_REPLY_LISTENERS;
	out->listeners = new_list(plist_array_get_size(array),
	    sizeof *out->listeners);
	if (out->listeners == NULL)
		return false;
	plist_array_new_iter(array, &at);
	while ((item = next_dict(array, at)) != NULL) {
		struct client_listener *l = &out->listeners[out->count++];
		const char *id = client_dict_text(item, "ID String");

		client_info_read(&l->info, item);
		l->number = id != NULL ? (uint32_t)strtoul(id, NULL, 10) : 0;
	}
	free(at);
	return true;
}

static bool
keep_data(struct client_reply *out, enum client_reply_kind kind,
    const void *bytes, size_t len)
{
	out->kind = kind;
	out->data = malloc(len + 1);
	if (out->data == NULL)
		return false;
	memcpy(out->data, bytes, len);
	out->data[len] = '\0';
	out->len = len;
	return true;
}

static bool
read_typed(struct client_reply *out, plist_t dict, const char *type)
{
	uint64_t number;

	if (strcmp(type, "Result") == 0) {
		out->kind = CLIENT_REPLY_RESULT;
		if (!client_dict_uint(dict, "Number", &number))
			return false;
		out->result = (uint32_t)number;
	} else if (strcmp(type, "Attached") == 0) {
		out->kind = CLIENT_REPLY_ATTACHED;
		return read_attached(&out->device, dict);
	} else if (strcmp(type, "Detached") == 0) {
		out->kind = CLIENT_REPLY_DETACHED;
		out->device_id = client_dict_u32(dict, "DeviceID");
	} else if (strcmp(type, "Paired") == 0) {
		out->kind = CLIENT_REPLY_PAIRED;
		out->device_id = client_dict_u32(dict, "DeviceID");
	} else {
		out->kind = CLIENT_REPLY_OTHER;
	}
	return true;
}

static plist_t
dict_array(plist_t dict, const char *key)
{
	const plist_t node = plist_dict_get_item(dict, key);

	return node != NULL && plist_get_node_type(node) == PLIST_ARRAY ? node
									: NULL;
}

/* What it is shows in its keys: the lists have no MessageType, see
 * client_build.c. */
static bool
read_dict(struct client_reply *out, plist_t dict)
{
	const char *text = client_dict_text(dict, "MessageType");
	const void *record;
	plist_t array;
	size_t len;

	if ((array = dict_array(dict, "DeviceList")) != NULL)
		return read_devices(out, array);
	if ((array = dict_array(dict, "ListenerList")) != NULL)
		return read_listeners(out, array);
	if ((record = client_dict_data(dict, "PairRecordData", &len)) != NULL)
		return keep_data(out, CLIENT_REPLY_RECORD, record, len);
	if (text != NULL)
		return read_typed(out, dict, text);
	text = client_dict_text(dict, "BUID");
	if (text != NULL)
		return keep_data(out, CLIENT_REPLY_BUID, text, strlen(text));
	out->kind = CLIENT_REPLY_OTHER;
	return true;
}

bool
client_reply_parse(struct client_reply *out, const struct client_header *h,
    const void *payload, size_t len)
{
	plist_t dict;
	bool ok;

	memset(out, 0, sizeof *out);
	if (h->message != USBMUX_PLIST) {
		ok = client_binary_reply(out, h, payload, len);
	} else {
		dict = plist_guard_parse(payload, len, PLIST_LIMITS_REPLY);
		ok = dict != NULL && read_dict(out, dict);
		plist_free(dict);
	}
	out->tag = h->tag;
	if (!ok) {
		client_reply_fini(out);
		memset(out, 0, sizeof *out);
	}
	return ok;
}

void
client_reply_fini(struct client_reply *r)
{
	free(r->devices);
	free(r->listeners);
	free(r->data);
	r->devices = NULL;
	r->listeners = NULL;
	r->data = NULL;
}
