/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The records of DEVINFO. */

#include "wire/usbip.h"

bool
usbip_info_next(struct reader *r, struct usbip_info_record *out)
{
	out->type = read_u8(r);
	out->index = read_u8(r);
	out->langid = read_be16(r);
	out->length = read_be32(r);
	out->bytes = read_bytes(r, out->length);
	return !r->bad;
}

bool
usbip_info_add(struct writer *w, const struct usbip_info_record *record)
{
	const size_t room = (size_t)(w->end - w->at);

	if (w->bad || room < USBIP_INFO_RECORD_SIZE ||
	    record->length > room - USBIP_INFO_RECORD_SIZE)
		return false;
	write_u8(w, record->type);
	write_u8(w, record->index);
	write_be16(w, record->langid);
	write_be32(w, record->length);
	write_bytes(w, record->bytes, record->length);
	return true;
}
