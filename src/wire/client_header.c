/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "wire/client_int.h"

#define TAG_OFFSET 12 /* of the header */

bool
client_header_read(struct client_header *out, const void *bytes, uint32_t max)
{
	struct reader r = reader_over(bytes, USBMUX_HEADER_SIZE);

	out->length = read_le32(&r);
	out->version = read_le32(&r);
	out->message = read_le32(&r);
	out->tag = read_le32(&r);
	return out->length >= USBMUX_HEADER_SIZE && out->length <= max;
}

struct client_frame
client_frame_new(uint32_t version, uint32_t message, uint32_t tag, size_t len,
    struct writer *payload)
{
	struct client_frame frame = { NULL, 0 };
	const size_t whole = USBMUX_HEADER_SIZE + len;

	*payload = writer_over(NULL, 0);
	if (len > UINT32_MAX - USBMUX_HEADER_SIZE)
		return frame;
	frame.bytes = malloc(whole);
	if (frame.bytes == NULL)
		return frame;
	frame.len = whole;
	*payload = writer_over(frame.bytes, whole);
	write_le32(payload, (uint32_t)whole);
	write_le32(payload, version);
	write_le32(payload, message);
	write_le32(payload, tag);
	return frame;
}

void
client_frame_set_tag(struct client_frame *frame, uint32_t tag)
{
	struct writer w;

	if (frame->bytes == NULL)
		return;
	w = writer_over(frame->bytes + TAG_OFFSET, 4);
	write_le32(&w, tag);
}

const char *
client_kind_name(enum client_kind kind)
{
	switch (kind) {
	case CLIENT_BAD:
		break;
	case CLIENT_LISTEN:
		return "Listen";
	case CLIENT_CONNECT:
		return "Connect";
	case CLIENT_LIST_DEVICES:
		return "ListDevices";
	case CLIENT_LIST_LISTENERS:
		return "ListListeners";
	case CLIENT_READ_BUID:
		return "ReadBUID";
	case CLIENT_READ_RECORD:
		return "ReadPairRecord";
	case CLIENT_SAVE_RECORD:
		return "SavePairRecord";
	case CLIENT_DELETE_RECORD:
		return "DeletePairRecord";
	}
	return "bad request";
}
