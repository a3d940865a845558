/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_POLICY_H
#define MUXD_EXPORT_POLICY_H

/*
 * Which devices are exported.  Pure; any thread.
 *
 * Hubs never are; what is in a denied class is not, though it be named.  Of
 * the rest, those are that a rule names; and with --all, or with no rule, all
 * others too, except those whose loss would be noticed too late: keyboards
 * (what is typed into them, passwords among it, would go to the importer, and
 * the console would lose its keyboard) and security keys.  These must be named.
 *
 * A device of which a configuration cannot be read may be anything in it, and
 * its importer may choose that one: it must be named, and where classes are
 * denied, even that does not help.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"

/* More than a person names on a command line. */
#define POLICY_RULES_MAX 128

enum usb_class {
	CLASS_HID = 0x03,
	CLASS_HUB = 0x09,
};

/* -d or -b. */
struct policy_rule {
	const char *busid; /* NULL: by what it is */
	uint16_t vendor, product;
	const char *serial; /* NULL: any */
};

struct policy {
	bool all;
	size_t rule_count;
	struct policy_rule rules[POLICY_RULES_MAX];
	bool deny[256]; /* classes, of devices or of interfaces */
};

/* What is to be judged. */
struct policy_device {
	const char *busid;
	uint16_t vendor, product;
	/* NULL: not read yet, so a rule's serial number may fit; "" none. */
	const char *serial;
	bool classes[256]; /* the device's and all its interfaces' */
	bool keyboard;     /* has an interface of the boot protocol */
	bool security_key; /* in any configuration and setting, as all these */
	bool unreadable;   /* there is a configuration that libusb cannot read */
};

enum policy_verdict {
	POLICY_EXPORT,
	POLICY_UNNAMED,
	POLICY_HUB,
	POLICY_DENIED,
	POLICY_KEYBOARD,
	POLICY_SECURITY_KEY,
	POLICY_UNREADABLE,
	/* The prober's: a rule names it by a serial number, which it does not
	 * tell. */
	POLICY_SERIAL_UNREAD,
};

/* VID:PID[:SERIAL], as lsusb writes the numbers; BUSID; CLASS in hexadecimal.
 * The texts must outlive the policy.  0, or -1 and a cause. */
int policy_add_id(struct policy *p, const char *text, struct cause *why);
int policy_add_busid(struct policy *p, const char *text, struct cause *why);
int policy_deny(struct policy *p, const char *text, struct cause *why);

enum policy_verdict policy_judge(const struct policy *p,
    const struct policy_device *d);
/* Why a device is not exported: "it is a hub"; "" for POLICY_EXPORT. */
const char *policy_verdict_text(enum policy_verdict v);

/* Whether rule `r` names the device. */
bool policy_names(const struct policy_rule *r, const struct policy_device *d);
/* The rule as it was given. */
#define POLICY_RULE_TEXT_MAX 160
const char *policy_rule_text(char out[POLICY_RULE_TEXT_MAX],
    const struct policy_rule *r);

/* ---- Security keys ---- */

/* Whether a HID report descriptor has the usage page of FIDO, f1d0. */
bool policy_report_is_fido(const uint8_t *bytes, size_t len);

/* One HID interface, when its report descriptor cannot be read. */
struct policy_hid {
	uint16_t vendor;
	uint8_t subclass, protocol;
	/* Largest packets of its interrupt endpoints; 0: there is none. */
	uint16_t in_packet, out_packet;
};
/* Whether it may be a security key: it is of a vendor of such keys, or has
 * their form (no boot protocol, 64-byte reports both ways; CTAP 2.1, 11.2). */
bool policy_may_be_fido(const struct policy_hid *h);

#endif
