/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The packets of isochronous URBs. */

#include <string.h>

#include "usbip/importer.h"

void
importer_iso_encode(struct importer_urb *urb)
{
	for (uint32_t i = 0; i < urb->iso_count; i++)
		usbip_iso_encode(urb->iso_bytes + i * USBIP_ISO_SIZE,
		    &urb->iso[i]);
}

/* From the server only what it alone knows: where a packet lies in the buffer
 * we know better. */
static bool
take_results(struct importer_urb *urb)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < urb->iso_count; i++) {
		struct usbip_iso answer;

		usbip_iso_decode(&answer, urb->iso_bytes + i * USBIP_ISO_SIZE);
		if (answer.actual > urb->iso[i].length ||
		    !usbip_iso_fits(&urb->iso[i], urb->length))
			return false;
		urb->iso[i].actual = answer.actual;
		urb->iso[i].status = answer.status;
		sum += answer.actual;
	}
	return sum == urb->actual;
}

/* Last to first, since each moves towards the end; packets that overlap, or go
 * back, are the caller's own fault, and stay inside the buffer. */
static void
spread(struct importer_urb *urb)
{
	uint8_t *bytes = urb->buffer;
	uint32_t from = urb->actual;

	for (uint32_t i = urb->iso_count; i > 0; i--) {
		const struct usbip_iso *p = &urb->iso[i - 1];

		from -= p->actual;
		memmove(bytes + p->offset, bytes + from, p->actual);
	}
}

bool
importer_iso_take(struct importer_urb *urb, bool in)
{
	if (!take_results(urb))
		return false;
	if (in)
		spread(urb);
	return true;
}
