/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/control.h"
#include "wire/admin.h"

/* Everything that there is at this moment; the two lists are read one after the
 * other, so a device may be in one of them only. */
struct picture {
	struct monitor_row *devices;
	size_t device_count;
	struct usbip_server_row *exports;
	size_t export_count;
};

static plist_t
result(uint32_t number)
{
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "MessageType", "Result");
	plist_dict_set_item(dict, "Number", plist_new_uint(number));
	return dict;
}

static void
set_uint(plist_t dict, const char *key, uint64_t value)
{
	plist_dict_set_item(dict, key, plist_new_uint(value));
}

/* Lists grow between the count and the copy; what is new is then left out. */
static bool
take_picture(struct picture *p, struct usbip_server *server,
    struct monitor *monitor)
{
	const size_t devices = monitor_list(monitor, NULL, 0);
	const size_t exports = usbip_server_snapshot(server, NULL, 0);
	size_t n;

	p->devices = calloc(devices + 1, sizeof *p->devices);
	p->exports = calloc(exports + 1, sizeof *p->exports);
	if (p->devices == NULL || p->exports == NULL)
		return false;
	n = monitor_list(monitor, p->devices, devices);
	p->device_count = n < devices ? n : devices;
	n = usbip_server_snapshot(server, p->exports, exports);
	p->export_count = n < exports ? n : exports;
	return true;
}

static const struct usbip_server_row *
find_export(const struct picture *p, const char *busid)
{
	for (size_t i = 0; i < p->export_count; i++)
		if (strcmp(p->exports[i].busid, busid) == 0)
			return &p->exports[i];
	return NULL;
}

static uint64_t
bits_per_second(enum usbip_speed speed)
{
	switch (speed) {
	case USBIP_SPEED_LOW:
		return 1500000;
	case USBIP_SPEED_FULL:
		return 12000000;
	case USBIP_SPEED_HIGH:
	case USBIP_SPEED_WIRELESS:
		return 480000000;
	case USBIP_SPEED_SUPER:
		return 5000000000;
	case USBIP_SPEED_SUPER_PLUS:
		return 10000000000;
	case USBIP_SPEED_UNKNOWN:
		break;
	}
	return 0;
}

static const char *
state_name(enum monitor_state state, bool imported)
{
	switch (state) {
	case MONITOR_NEW:
	case MONITOR_PROBING:
		return "probing";
	case MONITOR_OFFERED:
		return imported ? "imported" : "free";
	case MONITOR_KEPT:
		return "kept";
	case MONITOR_LEAVING:
		break;
	}
	return "leaving";
}

static void
set_import(plist_t dict, const struct usbip_server_row *x)
{
	admin_set_text(dict, "Importer", x->peer);
	set_uint(dict, "SinceMS",
	    (uint64_t)moment_ms_between(x->since, clock_now()));
	set_uint(dict, "InFlight", x->in_flight);
	set_uint(dict, "RxBytes", x->bytes_in);
	set_uint(dict, "TxBytes", x->bytes_out);
}

static plist_t
device_row(const struct picture *p, const struct monitor_row *d)
{
	const struct usbip_server_row *x = d->state == MONITOR_OFFERED
	    ? find_export(p, d->ident.busid) : NULL;
	const bool imported = x != NULL && x->peer[0] != '\0';
	plist_t dict = plist_new_dict();

	admin_set_text(dict, "BusID", d->ident.busid);
	set_uint(dict, "Bus", d->ident.bus);
	set_uint(dict, "Address", d->ident.address);
	set_uint(dict, "VendorID", d->ident.vendor);
	set_uint(dict, "ProductID", d->ident.product);
	set_uint(dict, "Class", d->device_class);
	set_uint(dict, "Speed", bits_per_second(d->speed));
	admin_set_text(dict, "Serial", d->serial);
	admin_set_text(dict, "Product", d->product);
	admin_set_text(dict, "State", state_name(d->state, imported));
	admin_set_text(dict, "Reason", d->reason);
	if (imported)
		set_import(dict, x);
	return dict;
}

static plist_t
list(struct usbip_server *server, struct monitor *monitor)
{
	struct picture p = { NULL, 0, NULL, 0 };
	plist_t dict, devices;

	if (!take_picture(&p, server, monitor)) {
		dict = result(ENOMEM);
	} else {
		dict = plist_new_dict();
		devices = plist_new_array();
		for (size_t i = 0; i < p.device_count; i++)
			plist_array_append_item(devices,
			    device_row(&p, &p.devices[i]));
		plist_dict_set_item(dict, "Devices", devices);
	}
	free(p.devices);
	free(p.exports);
	return dict;
}

static bool
is_exported(struct usbip_server *server, struct monitor *monitor,
    const char *busid)
{
	struct picture p = { NULL, 0, NULL, 0 };
	const bool is = take_picture(&p, server, monitor) &&
	    find_export(&p, busid) != NULL;

	free(p.devices);
	free(p.exports);
	return is;
}

static plist_t
kick(struct usbip_server *server, struct monitor *monitor, const char *busid)
{
	plist_t dict;
	bool kicked;

	if (busid == NULL)
		return result(EINVAL);
	kicked = usbip_server_kick(server, busid);
	if (kicked)
		log_notice("device %s: its import is ended by order", busid);
	dict = plist_new_dict();
	set_uint(dict, "Kicked", kicked);
	set_uint(dict, "Exported",
	    kicked || is_exported(server, monitor, busid));
	return dict;
}

plist_t
control_answer(struct usbip_server *server, struct monitor *monitor,
    plist_t request)
{
	const char *type =
	    request != NULL ? admin_text(request, "MessageType") : NULL;

	if (type != NULL && strcmp(type, "USBList") == 0)
		return list(server, monitor);
	if (type != NULL && strcmp(type, "USBKick") == 0)
		return kick(server, monitor, admin_text(request, "BusID"));
	return result(USBMUX_BAD_COMMAND);
}
