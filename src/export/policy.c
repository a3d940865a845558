/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "wire/usbip.h"

/* ---- Rules -------------------------------------------------------------- */

/* One to four hexadecimal digits that end at `stop`; what is behind it. */
static const char *
parse_hex(const char *text, uint16_t *out, const char *stop)
{
	const size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (digits == 0 || digits > 4 || strchr(stop, text[digits]) == NULL)
		return NULL;
	*out = (uint16_t)strtoul(text, NULL, 16);
	return text + digits;
}

static int
add_rule(struct policy *p, const struct policy_rule *r, struct cause *why)
{
	if (p->rule_count == POLICY_RULES_MAX)
		return cause_set(why, "%d devices can be named at most",
		    POLICY_RULES_MAX);
	p->rules[p->rule_count++] = *r;
	return 0;
}

int
policy_add_id(struct policy *p, const char *text, struct cause *why)
{
	struct policy_rule r = { .busid = NULL };
	const char *at = parse_hex(text, &r.vendor, ":");

	if (at != NULL && *at == ':')
		at = parse_hex(at + 1, &r.product, ":");
	else
		at = NULL;
	if (at == NULL || strcmp(at, ":") == 0)
		return cause_set(why, "'%.60s' names no device; write "
		    "VID:PID or VID:PID:SERIAL, as 05ac:12a8 (lsusb shows "
		    "them)", text);
	if (*at == ':')
		r.serial = at + 1;
	return add_rule(p, &r, why);
}

int
policy_add_busid(struct policy *p, const char *text, struct cause *why)
{
	const struct policy_rule r = { .busid = text };

	if (strlen(text) >= USBIP_BUSID_SIZE || *text < '0' || *text > '9' ||
	    text[strspn(text, "0123456789.-")] != '\0')
		return cause_set(why, "'%.60s' is no busid; write BUS-PORT, "
		    "as 1-4.2 (muxctl usb list shows them)", text);
	return add_rule(p, &r, why);
}

int
policy_deny(struct policy *p, const char *text, struct cause *why)
{
	const char *digits = strncmp(text, "0x", 2) == 0 ? text + 2 : text;
	uint16_t class;

	if (parse_hex(digits, &class, "") == NULL || class > 0xff)
		return cause_set(why, "'%.60s' is no class; write two "
		    "hexadecimal digits, as 03 (HID) or 08 (mass storage)",
		    text);
	p->deny[class] = true;
	return 0;
}

const char *
policy_rule_text(char out[POLICY_RULE_TEXT_MAX], const struct policy_rule *r)
{
	if (r->busid != NULL)
		snprintf(out, POLICY_RULE_TEXT_MAX, "%s", r->busid);
	else
		snprintf(out, POLICY_RULE_TEXT_MAX, "%04x:%04x%s%s", r->vendor,
		    r->product, r->serial != NULL ? ":" : "",
		    r->serial != NULL ? r->serial : "");
	return out;
}

/* ---- Verdicts ----------------------------------------------------------- */

bool
policy_names(const struct policy_rule *r, const struct policy_device *d)
{
	if (r->busid != NULL)
		return strcmp(r->busid, d->busid) == 0;
	return r->vendor == d->vendor && r->product == d->product &&
	    (r->serial == NULL || d->serial == NULL ||
		strcmp(r->serial, d->serial) == 0);
}

static bool
is_named(const struct policy *p, const struct policy_device *d)
{
	for (size_t i = 0; i < p->rule_count; i++)
		if (policy_names(&p->rules[i], d))
			return true;
	return false;
}

static bool
is_denied(const struct policy *p, const struct policy_device *d)
{
	for (size_t i = 0; i < 256; i++)
		if (p->deny[i] && d->classes[i])
			return true;
	return false;
}

static bool
denies(const struct policy *p)
{
	return memchr(p->deny, true, sizeof p->deny) != NULL;
}

enum policy_verdict
policy_judge(const struct policy *p, const struct policy_device *d)
{
	if (d->classes[CLASS_HUB])
		return POLICY_HUB;
	if (is_denied(p, d))
		return POLICY_DENIED;
	if (d->unreadable && denies(p))
		return POLICY_UNREADABLE;
	if (is_named(p, d))
		return POLICY_EXPORT;
	if (!p->all && p->rule_count > 0)
		return POLICY_UNNAMED;
	if (d->keyboard)
		return POLICY_KEYBOARD;
	if (d->unreadable)
		return POLICY_UNREADABLE;
	return d->security_key ? POLICY_SECURITY_KEY : POLICY_EXPORT;
}

const char *
policy_verdict_text(enum policy_verdict v)
{
	switch (v) {
	case POLICY_EXPORT:
		break;
	case POLICY_UNNAMED:
		return "it is not named";
	case POLICY_HUB:
		return "it is a hub";
	case POLICY_DENIED:
		return "its class is denied";
	case POLICY_KEYBOARD:
		return "it is a keyboard, which must be named with -d or -b";
	case POLICY_SECURITY_KEY:
		return "it is, or may be, a security key, which must be named "
		       "with -d or -b";
	case POLICY_UNREADABLE:
		return "not all its configurations can be read; it must be "
		       "named with -d or -b, and no class denied";
	case POLICY_SERIAL_UNREAD:
		return "its serial number cannot be read, and it is not named "
		       "without one";
	}
	return "";
}

/* ---- Security keys ------------------------------------------------------ */

/* Items of a report descriptor (HID 1.11, 6.2.2). */
#define ITEM_LONG 0xfe
#define ITEM_USAGE_PAGE 0x04 /* with its size in the two lowest bits */
#define ITEM_EXTENDED_USAGE 0x0b /* four bytes, whose upper two are its page */
#define ITEM_KIND 0xfc
#define USAGE_PAGE_FIDO 0xf1d0

bool
policy_report_is_fido(const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);

	while (reader_left(&r) > 0 && !r.bad) {
		const uint8_t item = read_u8(&r);
		size_t size = (item & 3) == 3 ? 4 : item & 3;

		if (item == ITEM_LONG) {
			size = read_u8(&r);
			read_u8(&r); /* its tag */
		} else if (item == ITEM_EXTENDED_USAGE) {
			read_le16(&r);
			if (read_le16(&r) == USAGE_PAGE_FIDO && !r.bad)
				return true;
			size = 0;
		} else if ((item & ITEM_KIND) == ITEM_USAGE_PAGE && size >= 2) {
			if (read_le16(&r) == USAGE_PAGE_FIDO && !r.bad)
				return true;
			size -= 2;
		}
		read_bytes(&r, size);
	}
	return false;
}

/* Vendors whose HID devices are security keys, or wallets that serve as such,
 * before all others: Yubico, Feitian, Ledger, Nitrokey (Clay Logic), SatoshiLabs,
 * Token2, Hypersecu, Excelsecu, OneSpan, Swissbit, Thetis (Key-ID). */
static const uint16_t key_vendors[] = { 0x1050, 0x096e, 0x2c97, 0x20a0, 0x534c,
	0x349e, 0x2ccf, 0x1ea8, 0x1a44, 0x1370, 0x32a3 };

#define FIDO_PACKET 64

bool
policy_may_be_fido(const struct policy_hid *h)
{
	for (size_t i = 0; i < sizeof key_vendors / sizeof key_vendors[0]; i++)
		if (h->vendor == key_vendors[i])
			return true;
	return h->subclass == 0 && h->protocol == 0 &&
	    h->in_packet == FIDO_PACKET && h->out_packet == FIDO_PACKET;
}
