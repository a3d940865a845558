/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/descriptors.h"

#include <string.h>

#include "base/cursor.h"

/* Endpoint descriptors: bEndpointAddress, bmAttributes, wMaxPacketSize. */
#define ENDPOINT_IN 0x80
#define ENDPOINT_NUMBER 0x0f
#define TRANSFER_TYPE 0x03
#define TRANSFER_BULK 0x02
#define TRANSFER_INTERRUPT 0x03
#define MAX_PACKET_BITS 0x07ff

int
usb_device_parse(struct usb_device_descriptor *out, const void *bytes,
    size_t len)
{
	struct reader r = reader_over(bytes, len);
	const uint8_t size = read_u8(&r);
	const uint8_t type = read_u8(&r);

	read_bytes(&r, 6); /* bcdUSB, class triple, bMaxPacketSize0 */
	out->vendor = read_le16(&r);
	out->product = read_le16(&r);
	out->release = read_le16(&r);
	read_bytes(&r, 2); /* iManufacturer, iProduct */
	out->serial_index = read_u8(&r);
	out->configurations = read_u8(&r);
	return r.bad || size < USB_DEVICE_DESCRIPTOR_SIZE ||
		type != USB_DESCRIPTOR_DEVICE
	    ? -1
	    : 0;
}

/* Reads the head of a configuration; false when it is none. */
static bool
read_configuration_head(struct reader *r, struct usb_configuration *out,
    uint16_t *total)
{
	const uint8_t size = read_u8(r);
	const uint8_t type = read_u8(r);

	memset(out, 0, sizeof *out);
	*total = read_le16(r);
	out->interfaces = read_u8(r);
	out->value = read_u8(r);
	/* iConfiguration, bmAttributes, bMaxPower, and what a longer one has */
	if (size > 6)
		read_bytes(r, size - 6u);
	return !r->bad && size >= USB_CONFIGURATION_HEAD_SIZE &&
	    type == USB_DESCRIPTOR_CONFIGURATION && *total >= size;
}

int
usb_configuration_total(const void *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	struct usb_configuration head;
	uint16_t total;

	return read_configuration_head(&r, &head, &total) ? total : -1;
}

/* The interface whose endpoints are being read. */
struct open_interface {
	bool is_mux;
	uint8_t number;
	uint8_t endpoints; /* of any kind, as counted here */
	uint8_t bulk_in, bulk_out;
	struct usb_pipes pipes;
};

/* The interface is complete: is it the mux? */
static void
close_interface(struct usb_configuration *out, struct open_interface *i)
{
	if (i->is_mux && !out->has_mux && i->endpoints == 2 &&
	    i->bulk_in == 1 && i->bulk_out == 1 && i->pipes.max_packet > 0) {
		out->has_mux = true;
		out->mux_interface = i->number;
		out->mux_pipes = i->pipes;
	}
	memset(i, 0, sizeof *i);
}

static void
read_interface(struct reader *r, struct usb_configuration *out,
    struct open_interface *i)
{
	uint8_t alternate, class, subclass, protocol;

	i->number = read_u8(r);
	alternate = read_u8(r);
	read_u8(r); /* bNumEndpoints: they are counted */
	class = read_u8(r);
	subclass = read_u8(r);
	protocol = read_u8(r);
	if (r->bad)
		return;
	/* An alternate setting would have to be chosen first; no phone hides
	 * its mux in one. */
	i->is_mux = class == 0xff && subclass == 0xfe && protocol == 2 &&
	    alternate == 0;
	out->has_valeria |=
	    class == 0xff && subclass == 0x2a && protocol == 0xff;
	out->has_ncm |= class == 0x02 && subclass == 0x0d;
}

static void
read_endpoint(struct reader *r, struct open_interface *i)
{
	const uint8_t address = read_u8(r);
	const uint8_t attributes = read_u8(r);
	const uint16_t max_packet = read_le16(r) & MAX_PACKET_BITS;

	/* Saturates: many are as wrong as three. */
	if (i->endpoints < 3)
		i->endpoints++;
	if (r->bad || (attributes & TRANSFER_TYPE) != TRANSFER_BULK ||
	    (address & ENDPOINT_NUMBER) == 0)
		return;
	if (address & ENDPOINT_IN) {
		i->bulk_in++;
		i->pipes.in = address & (ENDPOINT_IN | ENDPOINT_NUMBER);
	} else {
		i->bulk_out++;
		i->pipes.out = address & ENDPOINT_NUMBER;
		i->pipes.max_packet = max_packet;
	}
}

/* The reader over what follows a configuration's head; false: there is no
 * configuration. */
static bool
open_configuration(struct reader *all, struct usb_configuration *out,
    const void *bytes, size_t len)
{
	uint16_t total;

	*all = reader_over(bytes, len);
	if (!read_configuration_head(all, out, &total))
		return false;
	if (total < len)
		all->end = (const uint8_t *)bytes + total;
	return true;
}

/* The type of the next descriptor, and a reader over what follows that; 0 at the
 * end or at the first damage. */
static uint8_t
next_descriptor(struct reader *all, struct reader *one)
{
	const uint8_t size = reader_left(all) >= 2 ? all->at[0] : 0;
	const uint8_t *bytes = size < 2 ? NULL : read_bytes(all, size);

	if (bytes == NULL)
		return 0;
	*one = reader_over(bytes + 2, size - 2u);
	return bytes[1];
}

int
usb_configuration_parse(struct usb_configuration *out, const void *bytes,
    size_t len)
{
	struct open_interface i = { 0 };
	struct reader all, r;
	uint8_t type;

	if (!open_configuration(&all, out, bytes, len))
		return -1;
	while ((type = next_descriptor(&all, &r)) != 0) {
		if (type == USB_DESCRIPTOR_INTERFACE) {
			close_interface(out, &i);
			read_interface(&r, out, &i);
		} else if (type == USB_DESCRIPTOR_ENDPOINT) {
			read_endpoint(&r, &i);
		}
	}
	close_interface(out, &i);
	return 0;
}

/* ---- An interface that somebody has asked for ---- */

struct open_function {
	bool fits;
	/* How many there are of each kind; saturates, many are as wrong as
	 * two. */
	uint8_t bulk_in, bulk_out, interrupt_in, interrupt_out;
	struct usb_pipes pipes;
	uint8_t interface;
};

static void
read_function(struct reader *r, struct open_function *f, usb_class_fits *fits,
    void *arg)
{
	struct usb_class c;
	uint8_t alternate;

	memset(f, 0, sizeof *f);
	f->interface = read_u8(r);
	alternate = read_u8(r);
	read_u8(r); /* bNumEndpoints: they are counted */
	c.base = read_u8(r);
	c.sub = read_u8(r);
	c.protocol = read_u8(r);
	f->fits = !r->bad && alternate == 0 && fits(arg, &c);
}

static void
count_one(uint8_t *count)
{
	if (*count < 2)
		++*count;
}

static void
read_function_endpoint(struct reader *r, struct open_function *f)
{
	const uint8_t address = read_u8(r);
	const uint8_t type = read_u8(r) & TRANSFER_TYPE;
	const uint16_t max_packet = read_le16(r) & MAX_PACKET_BITS;
	const uint8_t interval = read_u8(r);
	const bool in = (address & ENDPOINT_IN) != 0;

	if (r->bad || (address & ENDPOINT_NUMBER) == 0 || max_packet == 0)
		return;
	if (type == TRANSFER_BULK && in) {
		count_one(&f->bulk_in);
		f->pipes.in = address & (ENDPOINT_IN | ENDPOINT_NUMBER);
	} else if (type == TRANSFER_BULK) {
		count_one(&f->bulk_out);
		f->pipes.out = address & ENDPOINT_NUMBER;
		f->pipes.max_packet = max_packet;
	} else if (type == TRANSFER_INTERRUPT && in) {
		count_one(&f->interrupt_in);
		f->pipes.interrupt_in =
		    address & (ENDPOINT_IN | ENDPOINT_NUMBER);
		f->pipes.interrupt_in_packet = max_packet;
		f->pipes.interrupt_in_interval = interval;
	} else if (type == TRANSFER_INTERRUPT) {
		count_one(&f->interrupt_out);
		f->pipes.interrupt_out = address & ENDPOINT_NUMBER;
		f->pipes.interrupt_out_packet = max_packet;
		f->pipes.interrupt_out_interval = interval;
	}
}

/* The interface is complete: is it the one? */
static bool
close_function(struct open_function *f)
{
	if (!f->fits || f->bulk_in != 1 || f->bulk_out != 1)
		return false;
	if (f->interrupt_in != 1 || f->interrupt_out != 1)
		f->pipes = (struct usb_pipes){ .in = f->pipes.in,
			.out = f->pipes.out,
			.max_packet = f->pipes.max_packet };
	return true;
}

bool
usb_function_find(struct usb_function *out, const void *bytes, size_t len,
    usb_class_fits *fits, void *arg)
{
	struct usb_configuration head;
	struct open_function f = { 0 };
	struct reader all, r;
	bool found = false;
	uint8_t type;

	if (!open_configuration(&all, &head, bytes, len))
		return false;
	while (!found && (type = next_descriptor(&all, &r)) != 0) {
		if (type == USB_DESCRIPTOR_ENDPOINT)
			read_function_endpoint(&r, &f);
		if (type != USB_DESCRIPTOR_INTERFACE)
			continue;
		found = close_function(&f);
		if (!found)
			read_function(&r, &f, fits, arg);
	}
	found = found || close_function(&f);
	*out = (struct usb_function){ .configuration = head.value,
		.interfaces = head.interfaces,
		.interface = f.interface,
		.pipes = f.pipes };
	return found;
}

uint8_t
usb_guess_mode(const struct usb_configuration *all, unsigned count)
{
	switch (count) {
	case 0:
		return 0;
	case 1:
		return 5;
	case 2:
	case 3:
	case 4:
		return 1;
	case 5:
		break;
	case 6:
		return 4;
	default:
		return 0;
	}
	for (unsigned i = 0; i < count; i++) {
		if (all[i].value != 5)
			continue;
		if (all[i].has_valeria)
			return 2;
		if (all[i].has_ncm)
			return 3;
	}
	return 0;
}

/* A reader over the text of a string descriptor; an empty one when it is none. */
static struct reader
string_text(const void *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	const uint8_t size = read_u8(&r);
	const uint8_t type = read_u8(&r);

	if (r.bad || type != USB_DESCRIPTOR_STRING || size < 2 || size > len)
		return reader_over(bytes, 0);
	return reader_over(r.at, size - 2u);
}

uint16_t
usb_string_language(const void *bytes, size_t len)
{
	struct reader r = string_text(bytes, len);

	return read_le16(&r);
}

static char
plain(uint16_t c)
{
	const bool is_plain = (c >= '0' && c <= '9') ||
	    (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

	return is_plain ? (char)c : '-';
}

/* How many UTF-16 units are left without the zeros and blanks at the end. */
static size_t
trimmed_units(const struct reader *text)
{
	size_t units = reader_left(text) / 2;

	while (units > 0) {
		struct reader last = reader_over(text->at + 2 * (units - 1), 2);
		const uint16_t c = read_le16(&last);

		if (c != 0 && c != ' ')
			break;
		units--;
	}
	return units;
}

int
usb_serial_parse(char out[USB_SERIAL_LENGTH_MAX + 1], const void *bytes,
    size_t len)
{
	struct reader text = string_text(bytes, len);
	const size_t units = trimmed_units(&text);
	int n = 0;

	if (units == 0 || units > USB_SERIAL_LENGTH_MAX)
		return -1;
	for (size_t i = 0; i < units; i++) {
		if (units == 24 && i == 8)
			out[n++] = '-';
		out[n++] = plain(read_le16(&text));
	}
	out[n] = '\0';
	return n;
}
