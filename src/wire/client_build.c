/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "wire/client_int.h"

/* Answers and notifications, as the daemon builds them. */

static plist_t
dict_typed(const char *type)
{
	const plist_t dict = plist_new_dict();

	client_dict_set_text(dict, "MessageType", type);
	return dict;
}

static void
set_network(plist_t properties, const struct client_device *d)
{
	client_dict_set_text(properties, "EscapedFullServiceName", d->service);
	client_dict_set_uint(properties, "InterfaceIndex", d->interface_index);
	client_dict_set_data(properties, "NetworkAddress", d->address,
	    d->address_len < sizeof d->address ? d->address_len
					       : sizeof d->address);
	client_dict_set_text(properties, "SerialNumber", d->udid);
}

/* The keys that every known client needs and no known client minds. */
static plist_t
dict_attached(const struct client_device *d)
{
	const plist_t dict = dict_typed("Attached");
	const plist_t properties = plist_new_dict();

	client_dict_set_uint(dict, "DeviceID", d->id);
	if (d->link == CLIENT_LINK_NETWORK) {
		client_dict_set_text(properties, "ConnectionType", "Network");
		client_dict_set_uint(properties, "DeviceID", d->id);
		set_network(properties, d);
	} else {
		client_dict_set_uint(properties, "ConnectionSpeed", d->speed);
		client_dict_set_text(properties, "ConnectionType", "USB");
		client_dict_set_uint(properties, "DeviceID", d->id);
		client_dict_set_uint(properties, "LocationID", d->location);
		client_dict_set_uint(properties, "ProductID", d->product_id);
		client_dict_set_text(properties, "SerialNumber", d->udid);
	}
	plist_dict_set_item(dict, "Properties", properties);
	return dict;
}

struct client_frame
client_build_result(enum client_form form, uint32_t tag, uint32_t result)
{
	return form == CLIENT_BINARY ? client_binary_result(tag, result)
				     : client_usual_result(tag, result);
}

struct client_frame
client_build_attached(enum client_form form, const struct client_device *device)
{
	if (form == CLIENT_BINARY)
		return client_binary_attached(device);
	return client_plist_frame(0, dict_attached(device));
}

static struct client_frame
build_notice(const char *type, uint32_t device_id)
{
	const plist_t dict = dict_typed(type);

	client_dict_set_uint(dict, "DeviceID", device_id);
	return client_plist_frame(0, dict);
}

struct client_frame
client_build_detached(enum client_form form, uint32_t device_id)
{
	if (form == CLIENT_BINARY)
		return client_binary_notice(USBMUX_DEVICE_REMOVE, device_id);
	return build_notice("Detached", device_id);
}

struct client_frame
client_build_paired(enum client_form form, uint32_t device_id)
{
	if (form == CLIENT_BINARY)
		return client_binary_notice(USBMUX_DEVICE_PAIRED, device_id);
	return build_notice("Paired", device_id);
}

/* The lists and records carry no MessageType: a widespread client takes any
 * answer that has one for a Result or a notification. */

struct client_frame
client_build_device_list(uint32_t tag, const struct client_device *devices,
    size_t count)
{
	const plist_t dict = plist_new_dict();
	const plist_t list = plist_new_array();

	for (size_t i = 0; i < count; i++)
		plist_array_append_item(list, dict_attached(&devices[i]));
	plist_dict_set_item(dict, "DeviceList", list);
	return client_plist_frame(tag, dict);
}

static plist_t
dict_listener(const struct client_listener *l)
{
	const plist_t dict = plist_new_dict();
	char id[CLIENT_TEXT_MAX + 16];

	snprintf(id, sizeof id, "%u-%s", l->number, l->info.prog_name);
	plist_dict_set_item(dict, "Blacklisted", plist_new_bool(0));
	if (l->info.bundle_id[0] != '\0')
		client_dict_set_text(dict, "BundleID", l->info.bundle_id);
	client_dict_set_uint(dict, "ConnType", l->info.conn_type);
	client_dict_set_text(dict, "ID String", id);
	client_dict_set_text(dict, "ProgName", l->info.prog_name);
	client_dict_set_uint(dict, "kLibUSBMuxVersion", l->info.lib_version);
	return dict;
}

struct client_frame
client_build_listener_list(uint32_t tag,
    const struct client_listener *listeners, size_t count)
{
	const plist_t dict = plist_new_dict();
	const plist_t list = plist_new_array();

	for (size_t i = 0; i < count; i++)
		plist_array_append_item(list, dict_listener(&listeners[i]));
	plist_dict_set_item(dict, "ListenerList", list);
	return client_plist_frame(tag, dict);
}

struct client_frame
client_build_buid(uint32_t tag, const char *buid)
{
	const plist_t dict = plist_new_dict();

	client_dict_set_text(dict, "BUID", buid);
	return client_plist_frame(tag, dict);
}

struct client_frame
client_build_record(uint32_t tag, const void *record, size_t len)
{
	const plist_t dict = plist_new_dict();

	client_dict_set_data(dict, "PairRecordData", record, len);
	return client_plist_frame(tag, dict);
}
