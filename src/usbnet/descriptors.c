/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/descriptors.h"

#include <stdlib.h>
#include <string.h>

#include "usbnet/walk.h"

int
un_device_parse(struct libusb_device_descriptor *out, const uint8_t *bytes,
    size_t len)
{
	struct reader r = reader_over(bytes, len);

	*out = (struct libusb_device_descriptor){
		.bLength = read_u8(&r),
		.bDescriptorType = read_u8(&r),
	};
	out->bcdUSB = read_le16(&r);
	out->bDeviceClass = read_u8(&r);
	out->bDeviceSubClass = read_u8(&r);
	out->bDeviceProtocol = read_u8(&r);
	out->bMaxPacketSize0 = read_u8(&r);
	out->idVendor = read_le16(&r);
	out->idProduct = read_le16(&r);
	out->bcdDevice = read_le16(&r);
	out->iManufacturer = read_u8(&r);
	out->iProduct = read_u8(&r);
	out->iSerialNumber = read_u8(&r);
	out->bNumConfigurations = read_u8(&r);
	return r.bad ? LIBUSB_ERROR_IO : 0;
}

/* ---- A configuration, as a tree ---------------------------------------- */

/*
 * A tree that is being built.  The arrays have room for every descriptor of
 * their kind in the bytes; `setting` and `endpoint` are their next free
 * elements.
 */
struct builder {
	struct libusb_config_descriptor *config;
	struct libusb_interface *interfaces;
	struct libusb_interface_descriptor *setting;
	struct libusb_endpoint_descriptor *endpoint;
	struct reader r; /* over the tree's copy of the bytes */
	struct cause *note;
};

/* How a part ended. */
enum part {
	PART_DONE,
	PART_CUT, /* what is behind it is dropped */
	PART_BAD, /* and so is all of the configuration */
};

static enum part
cut(struct builder *b, const char *what)
{
	if (b->note->text[0] == '\0')
		cause_set(b->note, "the configuration ends within %s, of which "
		    "%zu bytes are there: the rest is left out", what,
		    reader_left(&b->r));
	return PART_CUT;
}

static enum part
bad(struct builder *b, const char *what, unsigned number)
{
	cause_set(b->note, "the configuration has %s %u", what, number);
	return PART_BAD;
}

static bool
is_standard(uint8_t type)
{
	return type == LIBUSB_DT_DEVICE || type == LIBUSB_DT_CONFIG ||
	    type == LIBUSB_DT_INTERFACE || type == LIBUSB_DT_ENDPOINT;
}

/* The descriptors of classes and vendors, up to the next one of the standard's
 * four.  `extra` and `extra_length` stay as they are unless all are whole. */
static enum part
take_extra(struct builder *b, const unsigned char **extra, int *extra_length)
{
	const uint8_t *begin = b->r.at;
	struct descriptor_head h;
	enum look found;

	while ((found = look(&b->r, &h)) == LOOK_OK && !is_standard(h.type))
		take(&b->r, &h);
	if (found == LOOK_BAD)
		return bad(b, "an extra descriptor of length", h.length);
	if (found == LOOK_SHORT)
		return cut(b, "an extra descriptor");
	if (b->r.at > begin) {
		*extra = begin;
		*extra_length = (int)(b->r.at - begin);
	}
	return PART_DONE;
}

static void
fill_endpoint(struct libusb_endpoint_descriptor *out, struct reader r)
{
	out->bLength = read_u8(&r);
	out->bDescriptorType = read_u8(&r);
	out->bEndpointAddress = read_u8(&r);
	out->bmAttributes = read_u8(&r);
	out->wMaxPacketSize = read_le16(&r);
	out->bInterval = read_u8(&r);
	if (reader_left(&r) >=
	    LIBUSB_DT_ENDPOINT_AUDIO_SIZE - LIBUSB_DT_ENDPOINT_SIZE) {
		out->bRefresh = read_u8(&r);
		out->bSynchAddress = read_u8(&r);
	}
}

static enum part
build_endpoint(struct builder *b)
{
	struct libusb_endpoint_descriptor *e = b->endpoint;
	struct descriptor_head h;
	const enum look found = look(&b->r, &h);

	if (found == LOOK_END)
		return bad(b, "no endpoint where one is announced, bytes left:",
		    (unsigned)reader_left(&b->r));
	if (h.type != LIBUSB_DT_ENDPOINT)
		return PART_CUT;
	if (h.length < LIBUSB_DT_ENDPOINT_SIZE)
		return bad(b, "an endpoint of length", h.length);
	if (found == LOOK_SHORT)
		return cut(b, "an endpoint");
	b->endpoint++;
	fill_endpoint(e, take(&b->r, &h));
	return take_extra(b, &e->extra, &e->extra_length) == PART_BAD
	    ? PART_BAD : PART_DONE;
}

static void
fill_setting(struct libusb_interface_descriptor *out, struct reader r)
{
	out->bLength = read_u8(&r);
	out->bDescriptorType = read_u8(&r);
	out->bInterfaceNumber = read_u8(&r);
	out->bAlternateSetting = read_u8(&r);
	out->bNumEndpoints = read_u8(&r);
	out->bInterfaceClass = read_u8(&r);
	out->bInterfaceSubClass = read_u8(&r);
	out->bInterfaceProtocol = read_u8(&r);
	out->iInterface = read_u8(&r);
}

/* One alternate setting with its endpoints; PART_CUT before it is counted when
 * there is none here. */
static enum part
build_setting(struct builder *b, struct libusb_interface *of)
{
	struct libusb_interface_descriptor *s = b->setting;
	struct descriptor_head h;
	const enum look found = look(&b->r, &h);
	enum part part;
	uint8_t announced;

	if (found == LOOK_END || h.type != LIBUSB_DT_INTERFACE)
		return PART_CUT;
	if (h.length < LIBUSB_DT_INTERFACE_SIZE)
		return bad(b, "an interface of length", h.length);
	if (found == LOOK_SHORT)
		return cut(b, "an interface");
	b->setting++;
	of->num_altsetting++;
	fill_setting(s, take(&b->r, &h));
	announced = s->bNumEndpoints;
	s->bNumEndpoints = 0; /* never more than the array has */
	if (announced > UN_CONFIG_ENDPOINTS_MAX)
		return bad(b, "an interface with endpoints:", announced);
	part = take_extra(b, &s->extra, &s->extra_length);
	if (part == PART_DONE && announced > 0)
		s->endpoint = b->endpoint;
	while (part == PART_DONE && s->bNumEndpoints < announced) {
		part = build_endpoint(b);
		s->bNumEndpoints += part == PART_DONE;
	}
	return part == PART_BAD ? PART_BAD : PART_DONE;
}

/* The next setting belongs to the interface with this number. */
static bool
goes_on(const struct builder *b, uint8_t number)
{
	struct reader r = b->r;
	uint8_t type, its_number;

	if (reader_left(&r) < LIBUSB_DT_INTERFACE_SIZE)
		return false;
	read_u8(&r);
	type = read_u8(&r);
	its_number = read_u8(&r);
	return type == LIBUSB_DT_INTERFACE && its_number == number;
}

static enum part
build_interface(struct builder *b, struct libusb_interface *out)
{
	enum part part = PART_CUT;

	out->altsetting = b->setting;
	if (reader_left(&b->r) >= LIBUSB_DT_INTERFACE_SIZE)
		part = build_setting(b, out);
	while (part == PART_DONE &&
	    goes_on(b, out->altsetting->bInterfaceNumber))
		part = build_setting(b, out);
	if (part == PART_BAD)
		return PART_BAD;
	return out->num_altsetting > 0 ? PART_DONE : PART_CUT;
}

static enum part
build_interfaces(struct builder *b, uint8_t announced)
{
	struct libusb_config_descriptor *c = b->config;
	enum part part = PART_DONE;

	while (c->bNumInterfaces < announced) {
		/* Other than before the first there is nothing to find. */
		part = take_extra(b, &c->extra, &c->extra_length);
		if (part == PART_DONE)
			part = build_interface(b,
			    &b->interfaces[c->bNumInterfaces]);
		if (part != PART_DONE)
			return part;
		c->bNumInterfaces++;
	}
	return part;
}

/* Fills the head; PART_BAD when it is none. */
static enum part
build_config(struct builder *b)
{
	struct libusb_config_descriptor *c = b->config;
	struct descriptor_head h;
	const enum look found = look(&b->r, &h);
	struct reader r;
	uint8_t announced;

	if (found == LOOK_END || h.type != LIBUSB_DT_CONFIG)
		return bad(b, "instead of itself a descriptor of type", h.type);
	if (h.length < LIBUSB_DT_CONFIG_SIZE || found == LOOK_SHORT)
		return bad(b, "a head of length", h.length);
	r = take(&b->r, &h);
	c->bLength = read_u8(&r);
	c->bDescriptorType = read_u8(&r);
	c->wTotalLength = read_le16(&r);
	announced = read_u8(&r);
	c->bConfigurationValue = read_u8(&r);
	c->iConfiguration = read_u8(&r);
	c->bmAttributes = read_u8(&r);
	c->MaxPower = read_u8(&r);
	if (announced > UN_CONFIG_INTERFACES_MAX)
		return bad(b, "interfaces:", announced);
	return build_interfaces(b, announced);
}

/* How many descriptors of a type there are, at most. */
static size_t
count_type(const uint8_t *bytes, size_t len, uint8_t type)
{
	struct reader r = reader_over(bytes, len);
	struct descriptor_head h;
	size_t n = 0;

	while (look(&r, &h) == LOOK_OK) {
		n += h.type == type;
		take(&r, &h);
	}
	return n;
}

/* The next `size` bytes of a block.  All that it is asked for is a multiple of
 * a pointer's alignment, but the bytes, which come last. */
static void *
carve(uint8_t **block, size_t size)
{
	void *here = *block;

	*block += size;
	return here;
}

/* The block for a tree over these bytes; false when memory is short. */
static bool
builder_init(struct builder *b, const uint8_t *bytes, size_t len,
    struct cause *note)
{
	const size_t settings = count_type(bytes, len, LIBUSB_DT_INTERFACE) *
	    sizeof *b->setting;
	const size_t endpoints = count_type(bytes, len, LIBUSB_DT_ENDPOINT) *
	    sizeof *b->endpoint;
	const size_t interfaces =
	    UN_CONFIG_INTERFACES_MAX * sizeof *b->interfaces;
	uint8_t *block = calloc(1, sizeof *b->config + interfaces + settings +
	    endpoints + len);
	uint8_t *copy;

	if (block == NULL)
		return false;
	b->config = carve(&block, sizeof *b->config);
	b->interfaces = carve(&block, interfaces);
	b->setting = carve(&block, settings);
	b->endpoint = carve(&block, endpoints);
	copy = carve(&block, len);
	memcpy(copy, bytes, len);
	b->config->interface = b->interfaces;
	b->r = reader_over(copy, len);
	b->note = note;
	return true;
}

int
un_config_parse(struct libusb_config_descriptor **out, const uint8_t *bytes,
    size_t len, struct cause *note)
{
	struct builder b;

	note->text[0] = '\0';
	if (len < LIBUSB_DT_CONFIG_SIZE) {
		cause_set(note, "of a configuration, %zu bytes are not enough",
		    len);
		return LIBUSB_ERROR_IO;
	}
	if (!builder_init(&b, bytes, len, note))
		return LIBUSB_ERROR_NO_MEM;
	if (build_config(&b) == PART_BAD) {
		free(b.config);
		return LIBUSB_ERROR_IO;
	}
	if (reader_left(&b.r) > 0 && note->text[0] == '\0')
		cause_set(note, "of the configuration's bytes, %zu are left "
		    "over", reader_left(&b.r));
	*out = b.config;
	return 0;
}

int
un_config_value(const uint8_t *bytes, size_t len)
{
	if (len < LIBUSB_DT_CONFIG_SIZE || bytes[1] != LIBUSB_DT_CONFIG)
		return -1;
	return bytes[5];
}
