/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/descriptors.h"

#include <stdlib.h>
#include <string.h>

#include "usbnet/walk.h"

/* ---- Companions of endpoints ------------------------------------------- */

int
un_companion_parse(struct libusb_ss_endpoint_companion_descriptor **out,
    const uint8_t *extra, size_t len, struct cause *note)
{
	struct reader r = reader_over(extra, len);
	struct descriptor_head h;
	enum look found;

	note->text[0] = '\0';
	*out = NULL;
	while ((found = look(&r, &h)) == LOOK_OK &&
	    h.type != LIBUSB_DT_SS_ENDPOINT_COMPANION)
		take(&r, &h);
	if (found == LOOK_END)
		return LIBUSB_ERROR_NOT_FOUND;
	if (found != LOOK_OK ||
	    h.length < LIBUSB_DT_SS_ENDPOINT_COMPANION_SIZE) {
		cause_set(note, "an endpoint is followed by a descriptor of "
		    "type %u that cannot be %u bytes long", h.type, h.length);
		return LIBUSB_ERROR_IO;
	}
	*out = malloc(sizeof **out);
	if (*out == NULL)
		return LIBUSB_ERROR_NO_MEM;
	r = take(&r, &h);
	(*out)->bLength = read_u8(&r);
	(*out)->bDescriptorType = read_u8(&r);
	(*out)->bMaxBurst = read_u8(&r);
	(*out)->bmAttributes = read_u8(&r);
	(*out)->wBytesPerInterval = read_le16(&r);
	return 0;
}

/* ---- Associations of interfaces ---------------------------------------- */

static void
fill_association(struct libusb_interface_association_descriptor *out,
    struct reader r)
{
	out->bLength = read_u8(&r);
	out->bDescriptorType = read_u8(&r);
	out->bFirstInterface = read_u8(&r);
	out->bInterfaceCount = read_u8(&r);
	out->bFunctionClass = read_u8(&r);
	out->bFunctionSubClass = read_u8(&r);
	out->bFunctionProtocol = read_u8(&r);
	out->iFunction = read_u8(&r);
}

static bool
is_association(const struct descriptor_head *h)
{
	return h->type == LIBUSB_DT_INTERFACE_ASSOCIATION &&
	    h->length >= LIBUSB_DT_INTERFACE_ASSOCIATION_SIZE;
}

/* Fills `into`, unless it is NULL, and counts.  -1: a length that cannot be. */
static int
each_association(struct libusb_interface_association_descriptor *into,
    const uint8_t *config, size_t len)
{
	struct reader r = reader_over(config, len);
	struct descriptor_head h;
	enum look found;
	int n = 0;

	while ((found = look(&r, &h)) == LOOK_OK) {
		const struct reader d = take(&r, &h);

		if (!is_association(&h))
			continue;
		if (into != NULL)
			fill_association(&into[n], d);
		n++;
	}
	return found == LOOK_BAD || found == LOOK_SHORT ? -1 : n;
}

int
un_associations_parse(
    struct libusb_interface_association_descriptor_array **out,
    const uint8_t *config, size_t len, struct cause *note)
{
	const int n = each_association(NULL, config, len);
	struct libusb_interface_association_descriptor_array *array;
	struct libusb_interface_association_descriptor *all;

	note->text[0] = '\0';
	if (n < 0) {
		cause_set(note, "the configuration has a descriptor whose "
		    "length cannot be, so its associations are not known");
		return LIBUSB_ERROR_IO;
	}
	array = calloc(1, sizeof *array + (size_t)n * sizeof *all);
	if (array == NULL)
		return LIBUSB_ERROR_NO_MEM;
	all = (struct libusb_interface_association_descriptor *)(array + 1);
	each_association(all, config, len);
	array->iad = n > 0 ? all : NULL;
	array->length = n;
	*out = array;
	return 0;
}

/* ---- The BOS ----------------------------------------------------------- */

/* Hands out capabilities where they lie: libusb's struct is their bytes. */
static void
build_capabilities(struct libusb_bos_descriptor *bos, struct reader *r,
    uint8_t announced, struct cause *note)
{
	struct descriptor_head h;

	while (bos->bNumDeviceCaps < announced && look(r, &h) == LOOK_OK &&
	    h.type == LIBUSB_DT_DEVICE_CAPABILITY &&
	    h.length >= LIBUSB_DT_DEVICE_CAPABILITY_SIZE)
		bos->dev_capability[bos->bNumDeviceCaps++] =
		    (struct libusb_bos_dev_capability_descriptor *)(uintptr_t)
			take(r, &h).at;
	if (bos->bNumDeviceCaps < announced)
		cause_set(note, "the BOS announces %u capabilities, of which "
		    "%u are there", announced, bos->bNumDeviceCaps);
}

/* What stands in the way is a capability without a capability's head: libusb
 * gives up over that. */
static bool
is_hopeless(const struct reader *r)
{
	struct reader ahead = *r;
	const uint8_t length = read_u8(&ahead);
	const uint8_t type = read_u8(&ahead);

	return reader_left(r) >= LIBUSB_DT_DEVICE_CAPABILITY_SIZE &&
	    type == LIBUSB_DT_DEVICE_CAPABILITY &&
	    length < LIBUSB_DT_DEVICE_CAPABILITY_SIZE;
}

int
un_bos_parse(struct libusb_bos_descriptor **out, const uint8_t *bytes,
    size_t len, struct cause *note)
{
	struct libusb_bos_descriptor *bos;
	struct reader r = reader_over(bytes, len);
	struct descriptor_head h;
	size_t pointers;
	uint8_t *copy;

	note->text[0] = '\0';
	if (look(&r, &h) != LOOK_OK || h.type != LIBUSB_DT_BOS ||
	    h.length < LIBUSB_DT_BOS_SIZE) {
		cause_set(note, "the device gives something else for a BOS");
		return LIBUSB_ERROR_IO;
	}
	pointers = bytes[4] * sizeof bos->dev_capability[0];
	bos = calloc(1, sizeof *bos + pointers + len);
	if (bos == NULL)
		return LIBUSB_ERROR_NO_MEM;
	copy = (uint8_t *)bos + sizeof *bos + pointers;
	memcpy(copy, bytes, len);
	r = reader_over(copy + h.length, len - h.length);
	bos->bLength = h.length;
	bos->bDescriptorType = h.type;
	bos->wTotalLength = (uint16_t)(bytes[2] | bytes[3] << 8);
	build_capabilities(bos, &r, bytes[4], note);
	if (bos->bNumDeviceCaps < bytes[4] && is_hopeless(&r)) {
		free(bos);
		return LIBUSB_ERROR_IO;
	}
	*out = bos;
	return 0;
}
