/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What GetValue tells of a phone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "phone/identity.h"
#include "phone/lockdown.h"

/* How a value comes to be. */
enum kind {
	TEXT,   /* as it stands */
	NUMBER, /* as it stands */
	NO,
	YES,
	UDID,   /* the phone's */
	NAME,   /* made from its index */
	SERIAL, /* made from its UDID, as the rest */
	CHIP,
	MAC,    /* the last byte is the number's */
};

struct value {
	const char *domain; /* NULL: of the phone itself */
	const char *key;
	enum kind kind;
	const char *text;
	uint64_t number;
};

#define BATTERY "com.apple.mobile.battery"
#define DISK "com.apple.disk_usage"
#define INTERNATIONAL "com.apple.international"
#define WIRELESS "com.apple.mobile.wireless_lockdown"
#define DEVELOPER "com.apple.security.mac.amfi"

static const struct value values[] = {
	{ NULL, "ActivationState", TEXT, "Activated", 0 },
	{ NULL, "BasebandStatus", TEXT, "NoTelephonyCapabilty", 0 },
	{ NULL, "BluetoothAddress", MAC, NULL, 1 },
	{ NULL, "BuildVersion", TEXT, "19H370", 0 },
	{ NULL, "CPUArchitecture", TEXT, "arm64e", 0 },
	{ NULL, "DeviceClass", TEXT, "iPhone", 0 },
	{ NULL, "DeviceColor", TEXT, "1", 0 },
	{ NULL, "DeviceName", NAME, NULL, 0 },
	{ NULL, "EthernetAddress", MAC, NULL, 2 },
	{ NULL, "HardwareModel", TEXT, "N104AP", 0 },
	{ NULL, "HostAttached", YES, NULL, 0 },
	{ NULL, "ModelNumber", TEXT, "MWLT2", 0 },
	{ NULL, "PasswordProtected", NO, NULL, 0 },
	{ NULL, "ProductName", TEXT, "iPhone OS", 0 },
	{ NULL, "ProductType", TEXT, "iPhone12,1", 0 },
	{ NULL, "ProductVersion", TEXT, "15.7.9", 0 },
	{ NULL, "ProtocolVersion", TEXT, "2", 0 },
	{ NULL, "RegionInfo", TEXT, "LL/A", 0 },
	{ NULL, "SerialNumber", SERIAL, NULL, 0 },
	{ NULL, "TelephonyCapability", NO, NULL, 0 },
	{ NULL, "TimeZone", TEXT, "Etc/UTC", 0 },
	{ NULL, "TrustedHostAttached", NO, NULL, 0 },
	{ NULL, "UniqueChipID", CHIP, NULL, 0 },
	{ NULL, "UniqueDeviceID", UDID, NULL, 0 },
	{ NULL, "WiFiAddress", MAC, NULL, 0 },
	{ BATTERY, "BatteryCurrentCapacity", NUMBER, NULL, 100 },
	{ BATTERY, "BatteryIsCharging", NO, NULL, 0 },
	{ BATTERY, "ExternalConnected", YES, NULL, 0 },
	{ BATTERY, "FullyCharged", YES, NULL, 0 },
	{ BATTERY, "HasBattery", YES, NULL, 0 },
	{ DISK, "TotalDiskCapacity", NUMBER, NULL, UINT64_C(64000000000) },
	{ DISK, "TotalDataCapacity", NUMBER, NULL, UINT64_C(53000000000) },
	{ DISK, "TotalDataAvailable", NUMBER, NULL, UINT64_C(47000000000) },
	{ INTERNATIONAL, "Language", TEXT, "en", 0 },
	{ INTERNATIONAL, "Locale", TEXT, "en_US", 0 },
	{ WIRELESS, "EnableWifiConnections", NO, NULL, 0 },
	{ DEVELOPER, "DeveloperModeStatus", YES, NULL, 0 },
};

/* A locally administered address. */
static plist_t
make_mac(const struct identity *id, uint64_t last)
{
	const uint64_t n = identity_number(id, "address");
	char text[18];

	snprintf(text, sizeof text, "02:%02x:%02x:%02x:%02x:%02x",
	    (unsigned)(n >> 24 & 255), (unsigned)(n >> 16 & 255),
	    (unsigned)(n >> 8 & 255), (unsigned)(n & 255),
	    (unsigned)(last & 255));
	return plist_new_string(text);
}

/* Twelve characters of the kind that such numbers have. */
static plist_t
make_serial(const struct identity *id)
{
	static const char alphabet[] = "0123456789CDFGHJKLMNPQRTVWXY";
	uint64_t n = identity_number(id, "serial");
	char text[13] = "";

	for (int i = 0; i < 12; i++) {
		text[i] = alphabet[n % (sizeof alphabet - 1)];
		n /= sizeof alphabet - 1;
	}
	return plist_new_string(text);
}

static plist_t
make_name(const struct identity *id)
{
	char text[32];

	snprintf(text, sizeof text, "muxphone %u", id->index);
	return plist_new_string(text);
}

static plist_t
make(const struct identity *id, const struct value *v)
{
	switch (v->kind) {
	case TEXT:
		return plist_new_string(v->text);
	case NUMBER:
		return plist_new_uint(v->number);
	case NO:
	case YES:
		return plist_new_bool(v->kind == YES);
	case UDID:
		return plist_new_string(id->udid);
	case NAME:
		return make_name(id);
	case SERIAL:
		return make_serial(id);
	case CHIP:
		return plist_new_uint(identity_number(id, "chip") >> 11);
	case MAC:
		return make_mac(id, v->number);
	}
	return NULL;
}

static bool
in_domain(const struct value *v, const char *domain)
{
	if (domain == NULL || v->domain == NULL)
		return domain == v->domain;
	return strcmp(domain, v->domain) == 0;
}

plist_t
lockdown_value(const struct identity *id, const char *domain, const char *key)
{
	const size_t count = sizeof values / sizeof values[0];
	plist_t all = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct value *v = &values[i];

		if (!in_domain(v, domain))
			continue;
		if (key != NULL) {
			if (strcmp(key, v->key) == 0)
				return make(id, v);
			continue;
		}
		if (all == NULL)
			all = plist_new_dict();
		plist_dict_set_item(all, v->key, make(id, v));
	}
	return all;
}
