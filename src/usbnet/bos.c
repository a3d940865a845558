/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "usbnet/descriptors.h"
#include "usbnet/device.h"

/*
 * libusb's questions for the BOS, and for the capabilities in it.  What a
 * program passes back as a capability is believed to have as many bytes as it
 * says, since it came from here.  Any thread.
 */

int
libusb_get_bos_descriptor(libusb_device_handle *dev_handle,
    struct libusb_bos_descriptor **bos)
{
	libusb_device *dev = libusb_get_device(dev_handle);
	struct cause note;
	const uint8_t *bytes;
	size_t len;
	int rc;

	rc = un_device_descriptor_bytes(dev, LIBUSB_DT_BOS, 0, 0, &bytes, &len);
	if (rc < 0) /* a device without one stalls */
		return rc == LIBUSB_ERROR_NOT_FOUND ? LIBUSB_ERROR_PIPE : rc;
	rc = un_bos_parse(bos, bytes, len, &note);
	if (note.text[0] != '\0')
		un_log(un_device_context(dev), LIBUSB_LOG_LEVEL_WARNING, "%s",
		    note.text);
	return rc;
}

void
libusb_free_bos_descriptor(struct libusb_bos_descriptor *bos)
{
	free(bos);
}

/*
 * Begins with a capability of a type: `r` gets its bytes, *out zeroed memory of
 * `size` bytes.  0, LIBUSB_ERROR_INVALID_PARAM for another type,
 * LIBUSB_ERROR_IO when it is shorter than `least`, LIBUSB_ERROR_NO_MEM.
 */
static int
begin(libusb_context *ctx, const struct libusb_bos_dev_capability_descriptor *c,
    uint8_t type, size_t least, size_t size, struct reader *r, void **out)
{
	if (c->bDevCapabilityType != type) {
		un_log(ctx, LIBUSB_LOG_LEVEL_ERROR,
		    "a capability of type %u was given where %u is expected",
		    c->bDevCapabilityType, type);
		return LIBUSB_ERROR_INVALID_PARAM;
	}
	if (c->bLength < least) {
		un_log(ctx, LIBUSB_LOG_LEVEL_ERROR,
		    "a capability of type %u has only %u bytes", type,
		    c->bLength);
		return LIBUSB_ERROR_IO;
	}
	*out = calloc(1, size);
	if (*out == NULL)
		return LIBUSB_ERROR_NO_MEM;
	*r = reader_over(c, c->bLength);
	return 0;
}

int
libusb_get_usb_2_0_extension_descriptor(libusb_context *ctx,
    struct libusb_bos_dev_capability_descriptor *dev_cap,
    struct libusb_usb_2_0_extension_descriptor **usb_2_0_extension)
{
	struct libusb_usb_2_0_extension_descriptor *d;
	struct reader r;
	void *memory;
	const int rc = begin(ctx, dev_cap, LIBUSB_BT_USB_2_0_EXTENSION,
	    LIBUSB_BT_USB_2_0_EXTENSION_SIZE, sizeof *d, &r, &memory);

	if (rc < 0)
		return rc;
	d = memory;
	d->bLength = read_u8(&r);
	d->bDescriptorType = read_u8(&r);
	d->bDevCapabilityType = read_u8(&r);
	d->bmAttributes = read_le32(&r);
	*usb_2_0_extension = d;
	return 0;
}

void
libusb_free_usb_2_0_extension_descriptor(
    struct libusb_usb_2_0_extension_descriptor *usb_2_0_extension)
{
	free(usb_2_0_extension);
}

int
libusb_get_ss_usb_device_capability_descriptor(libusb_context *ctx,
    struct libusb_bos_dev_capability_descriptor *dev_cap,
    struct libusb_ss_usb_device_capability_descriptor **ss_usb_device_cap)
{
	struct libusb_ss_usb_device_capability_descriptor *d;
	struct reader r;
	void *memory;
	const int rc = begin(ctx, dev_cap, LIBUSB_BT_SS_USB_DEVICE_CAPABILITY,
	    LIBUSB_BT_SS_USB_DEVICE_CAPABILITY_SIZE, sizeof *d, &r, &memory);

	if (rc < 0)
		return rc;
	d = memory;
	d->bLength = read_u8(&r);
	d->bDescriptorType = read_u8(&r);
	d->bDevCapabilityType = read_u8(&r);
	d->bmAttributes = read_u8(&r);
	d->wSpeedSupported = read_le16(&r);
	d->bFunctionalitySupport = read_u8(&r);
	d->bU1DevExitLat = read_u8(&r);
	d->bU2DevExitLat = read_le16(&r);
	*ss_usb_device_cap = d;
	return 0;
}

void
libusb_free_ss_usb_device_capability_descriptor(
    struct libusb_ss_usb_device_capability_descriptor *ss_usb_device_cap)
{
	free(ss_usb_device_cap);
}

int
libusb_get_container_id_descriptor(libusb_context *ctx,
    struct libusb_bos_dev_capability_descriptor *dev_cap,
    struct libusb_container_id_descriptor **container_id)
{
	struct libusb_container_id_descriptor *d;
	struct reader r;
	void *memory;
	const int rc = begin(ctx, dev_cap, LIBUSB_BT_CONTAINER_ID,
	    LIBUSB_BT_CONTAINER_ID_SIZE, sizeof *d, &r, &memory);

	if (rc < 0)
		return rc;
	d = memory;
	d->bLength = read_u8(&r);
	d->bDescriptorType = read_u8(&r);
	d->bDevCapabilityType = read_u8(&r);
	d->bReserved = read_u8(&r);
	read_copy(&r, d->ContainerID, sizeof d->ContainerID);
	*container_id = d;
	return 0;
}

void
libusb_free_container_id_descriptor(
    struct libusb_container_id_descriptor *container_id)
{
	free(container_id);
}

int
libusb_get_platform_descriptor(libusb_context *ctx,
    struct libusb_bos_dev_capability_descriptor *dev_cap,
    struct libusb_platform_descriptor **platform_descriptor)
{
	struct reader r;
	void *memory;
	const int rc = begin(ctx, dev_cap, LIBUSB_BT_PLATFORM_DESCRIPTOR,
	    LIBUSB_BT_PLATFORM_DESCRIPTOR_MIN_SIZE,
	    sizeof **platform_descriptor + dev_cap->bLength, &r, &memory);

	if (rc < 0)
		return rc;
	read_copy(&r, memory, dev_cap->bLength); /* bytes only */
	*platform_descriptor = memory;
	return 0;
}

void
libusb_free_platform_descriptor(
    struct libusb_platform_descriptor *platform_descriptor)
{
	free(platform_descriptor);
}

/* ---- Super speed plus (USB 3.2, 9.6.2.5) ------------------------------- */

static void
fill_sublink(struct libusb_ssplus_sublink_attribute *out, uint32_t bits)
{
	out->ssid = bits & 0xf;
	out->exponent = bits >> 4 & 3;
	out->type = (bits & 1u << 6) != 0 ? LIBUSB_SSPLUS_ATTR_TYPE_ASYM
					  : LIBUSB_SSPLUS_ATTR_TYPE_SYM;
	out->direction = (bits & 1u << 7) != 0 ? LIBUSB_SSPLUS_ATTR_DIR_TX
					       : LIBUSB_SSPLUS_ATTR_DIR_RX;
	out->protocol = (bits & 1u << 14) != 0 ? LIBUSB_SSPLUS_ATTR_PROT_SSPLUS
					       : LIBUSB_SSPLUS_ATTR_PROT_SS;
	out->mantissa = (uint16_t)(bits >> 16);
}

int
libusb_get_ssplus_usb_device_capability_descriptor(libusb_context *ctx,
    struct libusb_bos_dev_capability_descriptor *dev_cap,
    struct libusb_ssplus_usb_device_capability_descriptor **ssplus)
{
	struct libusb_ssplus_usb_device_capability_descriptor *d;
	struct reader r;
	void *memory;
	uint32_t attributes;
	uint16_t support;
	const int rc = begin(ctx, dev_cap, LIBUSB_BT_SUPERSPEED_PLUS_CAPABILITY,
	    LIBUSB_BT_SSPLUS_USB_DEVICE_CAPABILITY_SIZE,
	    sizeof *d + 16 * sizeof d->sublinkSpeedAttributes[0], &r, &memory);

	if (rc < 0)
		return rc;
	d = memory;
	read_bytes(&r, 4); /* length, types, reserved */
	attributes = read_le32(&r);
	support = read_le16(&r);
	read_bytes(&r, 2);
	d->numSublinkSpeedAttributes = (attributes & 0xf) + 1;
	d->numSublinkSpeedIDs = (attributes >> 4 & 0xf) + 1;
	d->ssid = support & 0xf;
	d->minRxLaneCount = support >> 8 & 0xf;
	d->minTxLaneCount = support >> 12 & 0xf;
	for (unsigned i = 0; i < d->numSublinkSpeedAttributes; i++)
		fill_sublink(&d->sublinkSpeedAttributes[i], read_le32(&r));
	if (r.bad) {
		free(d);
		return LIBUSB_ERROR_IO;
	}
	*ssplus = d;
	return 0;
}

void
libusb_free_ssplus_usb_device_capability_descriptor(
    struct libusb_ssplus_usb_device_capability_descriptor *ssplus)
{
	free(ssplus);
}
