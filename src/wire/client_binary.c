/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/client_int.h"

/* Version 0: packed structures. */

void
client_binary_request(struct client_request *out,
    const struct client_header *h, const void *payload, size_t len)
{
	struct reader r = reader_over(payload, len);

	switch (h->message) {
	case USBMUX_LISTEN:
		out->kind = CLIENT_LISTEN;
		return;
	case USBMUX_CONNECT:
		if (len != USBMUX_CONNECT_SIZE) {
			client_request_refuse(out, USBMUX_BAD_COMMAND,
			    "binary Connect of a wrong length");
			return;
		}
		out->kind = CLIENT_CONNECT;
		out->device_id = read_le32(&r);
		out->port = read_be16(&r);
		return;
	default:
		client_request_refuse(out, USBMUX_BAD_COMMAND,
		    "unknown message number");
	}
}

static bool
read_device_add(struct client_device *d, struct reader *r)
{
	const uint8_t *serial;
	size_t len;

	d->link = CLIENT_LINK_USB;
	d->id = read_le32(r);
	d->product_id = read_le16(r);
	serial = read_bytes(r, USBMUX_SERIAL_SIZE);
	read_le16(r);
	d->location = read_le32(r);
	if (r->bad)
		return false;
	len = strnlen((const char *)serial, sizeof d->udid - 1);
	memcpy(d->udid, serial, len);
	d->udid[len] = '\0';
	/* As in the plist form: an entry of neither is no device. */
	return d->id != 0 && len > 0;
}

bool
client_binary_reply(struct client_reply *out, const struct client_header *h,
    const void *payload, size_t len)
{
	struct reader r = reader_over(payload, len);

	switch (h->message) {
	case USBMUX_RESULT:
		out->kind = CLIENT_REPLY_RESULT;
		out->result = read_le32(&r);
		return !r.bad;
	case USBMUX_DEVICE_ADD:
		out->kind = CLIENT_REPLY_ATTACHED;
		return read_device_add(&out->device, &r);
	case USBMUX_DEVICE_REMOVE:
		out->kind = CLIENT_REPLY_DETACHED;
		out->device_id = read_le32(&r);
		return !r.bad;
	case USBMUX_DEVICE_PAIRED:
		out->kind = CLIENT_REPLY_PAIRED;
		out->device_id = read_le32(&r);
		return !r.bad;
	default:
		out->kind = CLIENT_REPLY_OTHER;
		return true;
	}
}

struct client_frame
client_binary_result(uint32_t tag, uint32_t result)
{
	struct writer w;
	struct client_frame frame = client_frame_new(USBMUX_VERSION_BINARY,
	    USBMUX_RESULT, tag, 4, &w);

	write_le32(&w, result);
	return frame;
}

struct client_frame
client_binary_attached(const struct client_device *d)
{
	struct writer w;
	struct client_frame frame = client_frame_new(USBMUX_VERSION_BINARY,
	    USBMUX_DEVICE_ADD, 0, USBMUX_DEVICE_ADD_SIZE, &w);
	const size_t len = strnlen(d->udid, sizeof d->udid - 1);

	write_le32(&w, d->id);
	write_le16(&w, d->product_id);
	write_bytes(&w, d->udid, len);
	write_zeros(&w, USBMUX_SERIAL_SIZE - len);
	write_le16(&w, 0);
	write_le32(&w, d->location);
	return frame;
}

struct client_frame
client_binary_notice(uint32_t message, uint32_t device_id)
{
	struct writer w;
	struct client_frame frame = client_frame_new(USBMUX_VERSION_BINARY,
	    message, 0, 4, &w);

	write_le32(&w, device_id);
	return frame;
}

struct client_frame
client_binary_listen(uint32_t tag)
{
	struct writer w;

	return client_frame_new(USBMUX_VERSION_BINARY, USBMUX_LISTEN, tag, 0,
	    &w);
}

struct client_frame
client_binary_connect(uint32_t tag, uint32_t device_id, uint16_t port)
{
	struct writer w;
	struct client_frame frame = client_frame_new(USBMUX_VERSION_BINARY,
	    USBMUX_CONNECT, tag, USBMUX_CONNECT_SIZE, &w);

	write_le32(&w, device_id);
	write_be16(&w, port);
	write_le16(&w, 0);
	return frame;
}
