/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a SUBMIT asks for, and whether it can be had. */

#include <string.h>

#include "usbip/server_import.h"

/* Which flags mean something here depends on the transfer (the kernel's
 * masking_bogus_flags()). */
static uint32_t
mask_flags(const struct usbip_pdu *pdu, uint32_t iso_count)
{
	if (iso_count > 0)
		return pdu->submit.flags & USBIP_ISO_ASAP;
	if (pdu->direction == 1)
		return pdu->submit.flags & USBIP_SHORT_NOT_OK;
	return pdu->submit.flags & USBIP_ZERO_PACKET;
}

void
urb_fill(struct urb *urb, const struct usbip_pdu *pdu)
{
	struct usbip_urb *u = &urb->pub;

	u->endpoint = (uint8_t)((pdu->endpoint & 0xf) |
	    (pdu->direction == 1 ? 0x80 : 0));
	u->flags = mask_flags(pdu, u->iso_count);
	u->interval = pdu->submit.interval;
	u->start_frame = pdu->submit.start_frame;
	memcpy(u->setup, pdu->submit.setup, sizeof u->setup);
	urb->packets = pdu->submit.packets;
}

void
urb_decode_iso(struct urb *urb)
{
	for (uint32_t i = 0; i < urb->pub.iso_count; i++) {
		struct usbip_iso *iso = &urb->pub.iso[i];

		usbip_iso_decode(iso, urb->iso_wire + i * USBIP_ISO_SIZE);
		iso->actual = 0;
		iso->status = USBIP_EXDEV;
	}
}

/* Each packet inside the buffer, and together no more than that. */
static bool
iso_is_sound(const struct usbip_urb *u)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < u->iso_count; i++) {
		if (!usbip_iso_fits(&u->iso[i], u->length))
			return false;
		sum += u->iso[i].length;
	}
	return sum <= u->length;
}

static bool
setup_is_sound(const struct usbip_urb *u)
{
	const uint32_t wlength = u->setup[6] | (uint32_t)u->setup[7] << 8;

	return u->iso_count == 0 && wlength <= u->length &&
	    (wlength == 0 || (u->setup[0] & 0x80) == (u->endpoint & 0x80));
}

int
urb_check(const struct urb *urb)
{
	const struct usbip_urb *u = &urb->pub;
	const bool sound = (u->endpoint & 0xf) == 0 ? setup_is_sound(u)
						    : iso_is_sound(u);

	return sound ? USBIP_OK : USBIP_EINVAL;
}

int
urb_refusal(const struct usbip_pdu *pdu)
{
	if (pdu->submit.length > USBIP_LENGTH_MAX)
		return USBIP_ENOMEM;
	return pdu->endpoint > USBIP_ENDPOINT_MAX ? USBIP_EPIPE : USBIP_OK;
}
