/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/descriptors.h"

#include <string.h>

#include "base/cursor.h"

/* What one descriptor is written for.  "Other speed" is full speed, too. */
struct speed_rules {
	uint16_t usb;            /* bcdUSB */
	uint8_t control_packet;  /* bMaxPacketSize0, as it stands there */
	uint8_t power_unit;      /* of bMaxPower, in mA */
	uint16_t bulk_packet;
	uint16_t interrupt_max, iso_max; /* largest packets */
	bool companions;
};
static const struct speed_rules rules[] = {
	[DESC_FULL] = { 0x0110, 64, 2, 64, 64, 1023, false },
	[DESC_HIGH] = { 0x0200, 64, 2, 512, 1024, 1024, false },
	/* Super speed has the packet of endpoint 0 as a power of 2. */
	[DESC_SUPER] = { 0x0300, 9, 8, 1024, 1024, 1024, true },
};

uint16_t
desc_packet(const struct desc_endpoint *e, enum desc_speed speed)
{
	const unsigned kind = e->attributes & 3;
	const uint16_t most = kind == DESC_BULK ? rules[speed].bulk_packet
	    : kind == DESC_INTERRUPT		? rules[speed].interrupt_max
						: rules[speed].iso_max;

	return e->packet != 0 && e->packet < most ? e->packet : most;
}

const struct desc_configuration *
desc_configuration(const struct desc_device *d, unsigned value)
{
	return value >= 1 && value <= d->configuration_count
	    ? &d->configurations[value - 1]
	    : NULL;
}

const struct desc_interface *
desc_setting(const struct desc_configuration *c, unsigned number,
    unsigned alternate)
{
	for (unsigned i = 0; i < c->setting_count; i++)
		if (c->settings[i]->number == number &&
		    c->settings[i]->alternate == alternate)
			return c->settings[i];
	return NULL;
}

static void
write_device(struct writer *w, const struct desc_profile *p)
{
	const struct desc_device *d = p->device;

	write_u8(w, 18);
	write_u8(w, DESC_DEVICE);
	write_le16(w, rules[p->speed].usb);
	write_u8(w, d->class);
	write_u8(w, d->subclass);
	write_u8(w, d->protocol);
	write_u8(w, rules[p->speed].control_packet);
	write_le16(w, d->vendor);
	write_le16(w, d->product);
	write_le16(w, d->release);
	write_u8(w, DESC_S_MANUFACTURER);
	write_u8(w, DESC_S_PRODUCT);
	write_u8(w, DESC_S_SERIAL);
	write_u8(w, d->configuration_count);
}

/* What the device would be at full speed. */
static void
write_qualifier(struct writer *w, const struct desc_profile *p)
{
	const struct desc_device *d = p->device;

	write_u8(w, 10);
	write_u8(w, DESC_QUALIFIER);
	write_le16(w, 0x0200);
	write_u8(w, d->class);
	write_u8(w, d->subclass);
	write_u8(w, d->protocol);
	write_u8(w, 64);
	write_u8(w, d->configuration_count);
	write_u8(w, 0);
}

static void
write_bos(struct writer *w)
{
	write_u8(w, 5);
	write_u8(w, DESC_BOS);
	write_le16(w, 5 + 7 + 10);
	write_u8(w, 2);
	/* USB 2.0 extension: link power management. */
	write_u8(w, 7);
	write_u8(w, DESC_CAPABILITY);
	write_u8(w, 2);
	write_le32(w, 0x00000002);
	/* SuperSpeed: full, high and super speed; all functions from high. */
	write_u8(w, 10);
	write_u8(w, DESC_CAPABILITY);
	write_u8(w, 3);
	write_u8(w, 0);
	write_le16(w, 0x000e);
	write_u8(w, 2);
	write_u8(w, 10);
	write_le16(w, 2047);
}

/* At super speed each endpoint has a companion: how many packets may go in one
 * burst, and what a periodic endpoint moves in one interval. */
static void
write_endpoint(struct writer *w, const struct desc_endpoint *e,
    enum desc_speed speed)
{
	const unsigned kind = e->attributes & 3;
	const uint16_t packet = desc_packet(e, speed);

	write_u8(w, 7);
	write_u8(w, DESC_ENDPOINT);
	write_u8(w, e->address);
	write_u8(w, e->attributes);
	write_le16(w, packet);
	write_u8(w, e->interval);
	if (!rules[speed].companions)
		return;
	write_u8(w, 6);
	write_u8(w, DESC_SS_COMPANION);
	write_u8(w, kind == DESC_BULK ? 15 : 0); /* bMaxBurst */
	write_u8(w, 0);
	write_le16(w, kind == DESC_BULK ? 0 : packet);
}

void
desc_write_setting(struct writer *w, const struct desc_interface *s,
    enum desc_speed speed)
{
	write_u8(w, 9);
	write_u8(w, DESC_INTERFACE);
	write_u8(w, s->number);
	write_u8(w, s->alternate);
	write_u8(w, s->endpoint_count);
	write_u8(w, s->class);
	write_u8(w, s->subclass);
	write_u8(w, s->protocol);
	write_u8(w, s->name);
	write_bytes(w, s->extra, s->extra_len);
	for (unsigned i = 0; i < s->endpoint_count; i++)
		write_endpoint(w, &s->endpoints[i], speed);
}

/* The header, which knows the length of all, is written last. */
static void
write_configuration(struct writer *w, const struct desc_profile *p,
    enum desc_type type, unsigned index, enum desc_speed speed)
{
	const struct desc_configuration *c =
	    desc_configuration(p->device, index + 1);
	struct writer head = *w;

	if (c == NULL)
		return;
	write_room(w, 9);
	for (unsigned i = 0; i < c->setting_count; i++)
		desc_write_setting(w, c->settings[i], speed);

	write_u8(&head, 9);
	write_u8(&head, (uint8_t)type);
	write_le16(&head, (uint16_t)writer_used(w));
	write_u8(&head, c->interface_count);
	write_u8(&head, (uint8_t)(index + 1));
	write_u8(&head, c->name);
	write_u8(&head, 0xc0); /* it has power of its own */
	write_u8(&head,
	    (uint8_t)(p->device->milliamps / rules[speed].power_unit));
}

static void
write_string(struct writer *w, const char *text)
{
	write_u8(w, (uint8_t)(2 + 2 * strlen(text)));
	write_u8(w, DESC_STRING);
	for (; *text != '\0'; text++)
		write_le16(w, (uint8_t)*text);
}

static void
get_string(struct writer *w, const struct desc_profile *p, unsigned index,
    uint16_t language)
{
	const struct desc_device *d = p->device;
	const char *text = index == DESC_S_SERIAL ? p->serial
	    : index < d->text_count		  ? d->texts[index]
						  : NULL;

	if (index == DESC_S_LANGUAGES) {
		write_u8(w, 4);
		write_u8(w, DESC_STRING);
		write_le16(w, DESC_LANGUAGE);
	} else if (language == DESC_LANGUAGE && text != NULL)
		write_string(w, text);
}

size_t
desc_get(const struct desc_profile *p, uint16_t value, uint16_t index,
    uint8_t out[DESC_LEN_MAX])
{
	struct writer w = writer_over(out, DESC_LEN_MAX);
	const unsigned which = value & 0xff;

	switch (value >> 8) {
	case DESC_DEVICE:
		if (which == 0)
			write_device(&w, p);
		break;
	case DESC_CONFIGURATION:
		write_configuration(&w, p, DESC_CONFIGURATION, which, p->speed);
		break;
	case DESC_STRING:
		get_string(&w, p, which, index);
		break;
	case DESC_QUALIFIER:
		if (p->speed == DESC_HIGH && which == 0)
			write_qualifier(&w, p);
		break;
	case DESC_OTHER_SPEED:
		if (p->speed == DESC_HIGH)
			write_configuration(&w, p, DESC_OTHER_SPEED, which,
			    DESC_FULL);
		break;
	case DESC_BOS:
		if (p->speed == DESC_SUPER && which == 0)
			write_bos(&w);
		break;
	}
	return w.bad ? 0 : writer_used(&w);
}
