/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/usbip.h"

#include <string.h>

#include "base/cursor.h"

const char *
usbip_status_text(uint32_t status)
{
	switch (status) {
	case USBIP_ST_OK:
		return "ok";
	case USBIP_ST_NA:
		return "the device cannot be exported";
	case USBIP_ST_DEV_BUSY:
		return "the device is in use by another importer";
	case USBIP_ST_DEV_ERR:
		return "the device is in an error state";
	case USBIP_ST_NODEV:
		return "there is no such device";
	default:
		return "the server reports an error";
	}
}

/* A string in a field of `size` bytes: cut to size - 1, the rest zeros, as the
 * kernel's tools do it. */
static void
write_text(struct writer *w, const char *text, size_t size)
{
	const size_t len = strnlen(text, size - 1);

	write_bytes(w, text, len);
	write_zeros(w, size - len);
}

/* `out` has size + 1 bytes, because the field need not end in a zero.  What
 * stands behind a zero is dropped. */
static void
read_text(struct reader *r, char *out, size_t size)
{
	size_t len;

	read_copy(r, out, size);
	out[size] = '\0';
	len = strlen(out);
	memset(out + len, 0, size - len);
}

void
usbip_op_encode(uint8_t out[USBIP_OP_SIZE], const struct usbip_op *op)
{
	struct writer w = writer_over(out, USBIP_OP_SIZE);

	write_be16(&w, op->version);
	write_be16(&w, op->code);
	write_be32(&w, op->status);
}

void
usbip_op_decode(struct usbip_op *out, const uint8_t in[USBIP_OP_SIZE])
{
	struct reader r = reader_over(in, USBIP_OP_SIZE);

	out->version = read_be16(&r);
	out->code = read_be16(&r);
	out->status = read_be32(&r);
}

void
usbip_busid_encode(uint8_t out[USBIP_BUSID_SIZE], const char *busid)
{
	struct writer w = writer_over(out, USBIP_BUSID_SIZE);

	write_text(&w, busid, USBIP_BUSID_SIZE);
}

void
usbip_busid_decode(char out[USBIP_BUSID_SIZE + 1],
    const uint8_t in[USBIP_BUSID_SIZE])
{
	struct reader r = reader_over(in, USBIP_BUSID_SIZE);

	read_text(&r, out, USBIP_BUSID_SIZE);
}

void
usbip_device_encode(uint8_t out[USBIP_DEVICE_SIZE],
    const struct usbip_device_entry *dev)
{
	struct writer w = writer_over(out, USBIP_DEVICE_SIZE);

	write_text(&w, dev->path, USBIP_PATH_SIZE);
	write_text(&w, dev->busid, USBIP_BUSID_SIZE);
	write_be32(&w, dev->bus);
	write_be32(&w, dev->address);
	write_be32(&w, dev->speed);
	write_be16(&w, dev->vendor);
	write_be16(&w, dev->product);
	write_be16(&w, dev->release);
	write_u8(&w, dev->device_class);
	write_u8(&w, dev->device_subclass);
	write_u8(&w, dev->device_protocol);
	write_u8(&w, dev->configuration);
	write_u8(&w, dev->configurations);
	write_u8(&w, dev->interface_count);
}

void
usbip_device_decode(struct usbip_device_entry *out,
    const uint8_t in[USBIP_DEVICE_SIZE])
{
	struct reader r = reader_over(in, USBIP_DEVICE_SIZE);

	read_text(&r, out->path, USBIP_PATH_SIZE);
	read_text(&r, out->busid, USBIP_BUSID_SIZE);
	out->bus = read_be32(&r);
	out->address = read_be32(&r);
	out->speed = read_be32(&r);
	out->vendor = read_be16(&r);
	out->product = read_be16(&r);
	out->release = read_be16(&r);
	out->device_class = read_u8(&r);
	out->device_subclass = read_u8(&r);
	out->device_protocol = read_u8(&r);
	out->configuration = read_u8(&r);
	out->configurations = read_u8(&r);
	out->interface_count = read_u8(&r);
}

void
usbip_interface_encode(uint8_t out[USBIP_INTERFACE_SIZE],
    const struct usbip_interface *intf)
{
	struct writer w = writer_over(out, USBIP_INTERFACE_SIZE);

	write_u8(&w, intf->interface_class);
	write_u8(&w, intf->interface_subclass);
	write_u8(&w, intf->interface_protocol);
	write_u8(&w, 0);
}

void
usbip_interface_decode(struct usbip_interface *out,
    const uint8_t in[USBIP_INTERFACE_SIZE])
{
	struct reader r = reader_over(in, USBIP_INTERFACE_SIZE);

	out->interface_class = read_u8(&r);
	out->interface_subclass = read_u8(&r);
	out->interface_protocol = read_u8(&r);
}

static void
write_body(struct writer *w, const struct usbip_pdu *pdu)
{
	switch (pdu->command) {
	case USBIP_CMD_SUBMIT:
		write_be32(w, pdu->submit.flags);
		write_be32(w, (uint32_t)pdu->submit.length);
		write_be32(w, (uint32_t)pdu->submit.start_frame);
		write_be32(w, (uint32_t)pdu->submit.packets);
		write_be32(w, (uint32_t)pdu->submit.interval);
		write_bytes(w, pdu->submit.setup, sizeof pdu->submit.setup);
		break;
	case USBIP_CMD_UNLINK:
		write_be32(w, pdu->unlink.seqnum);
		break;
	case USBIP_RET_SUBMIT:
		write_be32(w, (uint32_t)pdu->ret_submit.status);
		write_be32(w, (uint32_t)pdu->ret_submit.actual);
		write_be32(w, (uint32_t)pdu->ret_submit.start_frame);
		write_be32(w, (uint32_t)pdu->ret_submit.packets);
		write_be32(w, (uint32_t)pdu->ret_submit.errors);
		break;
	case USBIP_RET_UNLINK:
		write_be32(w, (uint32_t)pdu->ret_unlink.status);
		break;
	}
}

void
usbip_pdu_encode(uint8_t out[USBIP_PDU_SIZE], const struct usbip_pdu *pdu)
{
	struct writer w = writer_over(out, USBIP_PDU_SIZE);

	write_be32(&w, pdu->command);
	write_be32(&w, pdu->seqnum);
	write_be32(&w, pdu->devid);
	write_be32(&w, pdu->direction);
	write_be32(&w, pdu->endpoint);
	write_body(&w, pdu);
	write_zeros(&w, USBIP_PDU_SIZE - writer_used(&w));
}

static void
read_body(struct reader *r, struct usbip_pdu *out)
{
	switch (out->command) {
	case USBIP_CMD_SUBMIT:
		out->submit.flags = read_be32(r);
		out->submit.length = (int32_t)read_be32(r);
		out->submit.start_frame = (int32_t)read_be32(r);
		out->submit.packets = (int32_t)read_be32(r);
		out->submit.interval = (int32_t)read_be32(r);
		read_copy(r, out->submit.setup, sizeof out->submit.setup);
		break;
	case USBIP_CMD_UNLINK:
		out->unlink.seqnum = read_be32(r);
		break;
	case USBIP_RET_SUBMIT:
		out->ret_submit.status = (int32_t)read_be32(r);
		out->ret_submit.actual = (int32_t)read_be32(r);
		out->ret_submit.start_frame = (int32_t)read_be32(r);
		out->ret_submit.packets = (int32_t)read_be32(r);
		out->ret_submit.errors = (int32_t)read_be32(r);
		break;
	case USBIP_RET_UNLINK:
		out->ret_unlink.status = (int32_t)read_be32(r);
		break;
	default:
		r->bad = true;
		break;
	}
}

int
usbip_pdu_decode(struct usbip_pdu *out, const uint8_t in[USBIP_PDU_SIZE])
{
	struct reader r = reader_over(in, USBIP_PDU_SIZE);

	memset(out, 0, sizeof *out);
	out->command = read_be32(&r);
	out->seqnum = read_be32(&r);
	out->devid = read_be32(&r);
	out->direction = read_be32(&r);
	out->endpoint = read_be32(&r);
	read_body(&r, out);
	return r.bad ? -1 : 0;
}

void
usbip_iso_encode(uint8_t out[USBIP_ISO_SIZE], const struct usbip_iso *iso)
{
	struct writer w = writer_over(out, USBIP_ISO_SIZE);

	write_be32(&w, iso->offset);
	write_be32(&w, iso->length);
	write_be32(&w, iso->actual);
	write_be32(&w, (uint32_t)iso->status);
}

void
usbip_iso_decode(struct usbip_iso *out, const uint8_t in[USBIP_ISO_SIZE])
{
	struct reader r = reader_over(in, USBIP_ISO_SIZE);

	out->offset = read_be32(&r);
	out->length = read_be32(&r);
	out->actual = read_be32(&r);
	out->status = (int32_t)read_be32(&r);
}

int64_t
usbip_submit_payload(const struct usbip_pdu *pdu)
{
	const int32_t length = pdu->submit.length;
	const int32_t packets = pdu->submit.packets;

	if (pdu->direction > 1 || length < 0 || packets < -1 ||
	    packets > USBIP_ISO_PACKETS_MAX)
		return -1;
	return (pdu->direction == 0 ? (int64_t)length : 0) +
	    (int64_t)usbip_iso_count(packets) * USBIP_ISO_SIZE;
}

int64_t
usbip_ret_submit_payload(const struct usbip_pdu *pdu, bool in,
    uint32_t length, uint32_t packets)
{
	const int32_t actual = pdu->ret_submit.actual;

	if (actual < 0 || (uint32_t)actual > length ||
	    usbip_iso_count(pdu->ret_submit.packets) != packets ||
	    packets > USBIP_ISO_PACKETS_MAX)
		return -1;
	return (in ? (int64_t)actual : 0) + (int64_t)packets * USBIP_ISO_SIZE;
}

bool
usbip_iso_fits(const struct usbip_iso *iso, uint32_t length)
{
	return iso->offset <= length && iso->length <= length - iso->offset;
}
