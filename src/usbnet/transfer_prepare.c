/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From what a program has filled in to a URB. */

#include <string.h>

#include "base/cursor.h"
#include "usbnet/link.h"
#include "usbnet/transfer.h"

/* The setup packet lies in front of the data. */
static int
prepare_control(struct un_transfer *t, const struct libusb_transfer *public)
{
	struct reader r;

	if (public->buffer == NULL ||
	    public->length < (int)LIBUSB_CONTROL_SETUP_SIZE)
		return LIBUSB_ERROR_INVALID_PARAM;
	memcpy(t->urb.setup, public->buffer, sizeof t->urb.setup);
	r = reader_over(t->urb.setup + 6, 2);
	t->urb.length = read_le16(&r);
	t->urb.buffer = public->buffer + LIBUSB_CONTROL_SETUP_SIZE;
	if (t->urb.length >
	    (uint32_t)public->length - LIBUSB_CONTROL_SETUP_SIZE)
		return LIBUSB_ERROR_INVALID_PARAM;
	return 0;
}

static int
prepare_packets(struct un_transfer *t, const struct libusb_transfer *public)
{
	uint64_t at = 0;

	if (public->num_iso_packets <= 0 ||
	    public->num_iso_packets > t->iso_max ||
	    public->num_iso_packets > USBIP_ISO_PACKETS_MAX)
		return LIBUSB_ERROR_INVALID_PARAM;
	t->urb.iso_count = (uint32_t)public->num_iso_packets;
	for (uint32_t i = 0; i < t->urb.iso_count; i++) {
		const unsigned length = public->iso_packet_desc[i].length;

		t->iso[i] = (struct usbip_iso){ .offset = (uint32_t)at,
			.length = length, .status = USBIP_EXDEV };
		at += length;
		if (at > (uint64_t)public->length)
			return LIBUSB_ERROR_INVALID_PARAM;
	}
	t->urb.iso = t->iso;
	t->urb.iso_bytes = t->iso_bytes;
	t->urb.length = (uint32_t)at;
	return 0;
}

static uint32_t
flags_of(const struct un_transfer *t, const struct libusb_transfer *public)
{
	uint32_t flags = 0;

	if (t->urb.iso_count > 0)
		return USBIP_ISO_ASAP;
	if ((public->flags & LIBUSB_TRANSFER_SHORT_NOT_OK) != 0 &&
	    importer_urb_is_in(&t->urb))
		flags |= USBIP_SHORT_NOT_OK;
	if ((public->flags & LIBUSB_TRANSFER_ADD_ZERO_PACKET) != 0 &&
	    !importer_urb_is_in(&t->urb))
		flags |= USBIP_ZERO_PACKET;
	return flags;
}

/* Never 0, which the kernel's server refuses; the endpoint may not be known. */
static int32_t
interval_of(const struct un_link *l, uint8_t endpoint)
{
	const int32_t known = l->endpoints[un_endpoint_index(endpoint)].interval;

	return known > 0 ? known : 1;
}

int
un_transfer_prepare(struct un_transfer *t, const struct un_link *l)
{
	const struct libusb_transfer *public = un_transfer_public(t);
	int rc = 0;

	if (public->length < 0 ||
	    (public->buffer == NULL && public->length > 0))
		return LIBUSB_ERROR_INVALID_PARAM;
	t->urb.endpoint = public->endpoint & 0x8f;
	t->urb.buffer = public->buffer;
	t->urb.length = (uint32_t)public->length;
	t->urb.iso_count = 0;
	t->urb.interval = 0;
	t->urb.start_frame = 0;
	memset(t->urb.setup, 0, sizeof t->urb.setup);
	switch (public->type) {
	case LIBUSB_TRANSFER_TYPE_CONTROL:
		rc = prepare_control(t, public);
		break;
	case LIBUSB_TRANSFER_TYPE_ISOCHRONOUS:
		rc = prepare_packets(t, public);
		t->urb.interval = interval_of(l, public->endpoint);
		break;
	case LIBUSB_TRANSFER_TYPE_INTERRUPT:
		t->urb.interval = interval_of(l, public->endpoint);
		break;
	case LIBUSB_TRANSFER_TYPE_BULK:
		/* The endpoint may be an interrupt endpoint all the same, as
		 * usbfs allows; a bulk endpoint's is 0. */
		t->urb.interval =
		    l->endpoints[un_endpoint_index(public->endpoint)].interval;
		break;
	case LIBUSB_TRANSFER_TYPE_BULK_STREAM:
		return LIBUSB_ERROR_NOT_SUPPORTED;
	default:
		return LIBUSB_ERROR_INVALID_PARAM;
	}
	t->urb.flags = flags_of(t, public);
	/* What the kernel says to so much memory. */
	return rc == 0 && t->urb.length > USBIP_LENGTH_MAX ? LIBUSB_ERROR_NO_MEM
							   : rc;
}
