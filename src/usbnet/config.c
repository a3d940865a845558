/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "usbnet/descriptors.h"
#include "usbnet/device.h"

/*
 * libusb's questions for descriptors of a device and its configurations.  The
 * bytes come from device.h's cache.  Any thread, like all of libusb's.
 */

static void
warn(libusb_context *ctx, const struct cause *note)
{
	if (note->text[0] != '\0')
		un_log(ctx, LIBUSB_LOG_LEVEL_WARNING, "%s", note->text);
}

int
libusb_get_device_descriptor(libusb_device *dev,
    struct libusb_device_descriptor *desc)
{
	const uint8_t *bytes;
	size_t len;
	const int rc = un_device_descriptor_bytes(dev, LIBUSB_DT_DEVICE, 0, 0,
	    &bytes, &len);

	return rc < 0 ? rc : un_device_parse(desc, bytes, len);
}

/* ---- Configurations ---------------------------------------------------- */

/* The bytes of the configuration of this index, of which those behind its
 * wTotalLength are no part.  0 or LIBUSB_ERROR_*. */
static int
config_bytes(libusb_device *dev, uint8_t index, const uint8_t **bytes,
    size_t *len)
{
	struct libusb_device_descriptor device;
	size_t total;
	int rc = libusb_get_device_descriptor(dev, &device);

	if (rc < 0)
		return rc;
	if (index >= device.bNumConfigurations)
		return LIBUSB_ERROR_NOT_FOUND;
	rc = un_device_descriptor_bytes(dev, LIBUSB_DT_CONFIG, index, 0, bytes,
	    len);
	if (rc < 0)
		return rc;
	if (*len < LIBUSB_DT_CONFIG_SIZE)
		return LIBUSB_ERROR_IO;
	total = (size_t)((*bytes)[2] | (*bytes)[3] << 8);
	if (total < *len)
		*len = total;
	else if (total > *len)
		un_log(un_device_context(dev), LIBUSB_LOG_LEVEL_WARNING,
		    "of configuration %u, %zu of %zu bytes are there", index,
		    *len, total);
	return 0;
}

/* The index of the configuration with this bConfigurationValue, or
 * LIBUSB_ERROR_NOT_FOUND. */
static int
index_of(libusb_device *dev, uint8_t value)
{
	struct libusb_device_descriptor device;
	const int rc = libusb_get_device_descriptor(dev, &device);
	const uint8_t *bytes;
	size_t len;

	if (rc < 0)
		return rc;
	for (int i = 0; i < device.bNumConfigurations; i++)
		if (config_bytes(dev, (uint8_t)i, &bytes, &len) == 0 &&
		    un_config_value(bytes, len) == value)
			return i;
	return LIBUSB_ERROR_NOT_FOUND;
}

static int
active_index(libusb_device *dev)
{
	const uint8_t value = un_device_active_configuration(dev);

	return value != 0 ? index_of(dev, value) : LIBUSB_ERROR_NOT_FOUND;
}

/* `index` may be the error of looking for it. */
static int
get_config(libusb_device *dev, int index,
    struct libusb_config_descriptor **config)
{
	struct cause note;
	const uint8_t *bytes;
	size_t len;
	int rc = index;

	if (rc >= 0)
		rc = config_bytes(dev, (uint8_t)index, &bytes, &len);
	if (rc < 0)
		return rc;
	rc = un_config_parse(config, bytes, len, &note);
	warn(un_device_context(dev), &note);
	return rc;
}

int
libusb_get_active_config_descriptor(libusb_device *dev,
    struct libusb_config_descriptor **config)
{
	return get_config(dev, active_index(dev), config);
}

int
libusb_get_config_descriptor(libusb_device *dev, uint8_t config_index,
    struct libusb_config_descriptor **config)
{
	return get_config(dev, config_index, config);
}

int
libusb_get_config_descriptor_by_value(libusb_device *dev,
    uint8_t bConfigurationValue, struct libusb_config_descriptor **config)
{
	return get_config(dev, index_of(dev, bConfigurationValue), config);
}

void
libusb_free_config_descriptor(struct libusb_config_descriptor *config)
{
	free(config);
}

/* ---- What follows an endpoint ------------------------------------------ */

int
libusb_get_ss_endpoint_companion_descriptor(libusb_context *ctx,
    const struct libusb_endpoint_descriptor *endpoint,
    struct libusb_ss_endpoint_companion_descriptor **ep_comp)
{
	struct cause note;
	const int rc = un_companion_parse(ep_comp, endpoint->extra,
	    endpoint->extra_length > 0 ? (size_t)endpoint->extra_length : 0,
	    &note);

	warn(ctx, &note);
	return rc;
}

void
libusb_free_ss_endpoint_companion_descriptor(
    struct libusb_ss_endpoint_companion_descriptor *ep_comp)
{
	free(ep_comp);
}

static const struct libusb_endpoint_descriptor *
endpoint_of_setting(const struct libusb_interface_descriptor *setting,
    uint8_t address)
{
	for (unsigned i = 0; i < setting->bNumEndpoints; i++)
		if (setting->endpoint[i].bEndpointAddress == address)
			return &setting->endpoint[i];
	return NULL;
}

/* The endpoint in the first setting that has it; with `interface` and `alt`
 * not negative, in this setting only. */
static const struct libusb_endpoint_descriptor *
find_endpoint(const struct libusb_config_descriptor *config, int interface,
    int alt, uint8_t address)
{
	const struct libusb_interface_descriptor *s;
	const struct libusb_endpoint_descriptor *found;

	for (unsigned i = 0; i < config->bNumInterfaces; i++)
		for (int k = 0; k < config->interface[i].num_altsetting; k++) {
			s = &config->interface[i].altsetting[k];
			if ((interface < 0 ||
				s->bInterfaceNumber == interface) &&
			    (alt < 0 || s->bAlternateSetting == alt) &&
			    (found = endpoint_of_setting(s, address)) != NULL)
				return found;
		}
	return NULL;
}

int
libusb_get_max_packet_size(libusb_device *dev, unsigned char endpoint)
{
	struct libusb_config_descriptor *config;
	const struct libusb_endpoint_descriptor *e;
	int rc;

	if (libusb_get_active_config_descriptor(dev, &config) < 0)
		return LIBUSB_ERROR_OTHER;
	e = find_endpoint(config, -1, -1, endpoint);
	rc = e != NULL ? e->wMaxPacketSize : LIBUSB_ERROR_NOT_FOUND;
	free(config);
	return rc;
}

/* What an endpoint can move in one service interval: at super speed its
 * companion says so; at high speed two bits count additional transactions. */
static int
bytes_per_interval(libusb_device *dev,
    const struct libusb_endpoint_descriptor *e)
{
	const int type = e->bmAttributes & LIBUSB_TRANSFER_TYPE_MASK;
	struct libusb_ss_endpoint_companion_descriptor *companion;
	int rc = e->wMaxPacketSize & 0x07ff;

	if (libusb_get_device_speed(dev) >= LIBUSB_SPEED_SUPER &&
	    libusb_get_ss_endpoint_companion_descriptor(
		un_device_context(dev), e, &companion) == 0) {
		rc = companion->wBytesPerInterval;
		free(companion);
	} else if (type == LIBUSB_ENDPOINT_TRANSFER_TYPE_ISOCHRONOUS ||
	    type == LIBUSB_ENDPOINT_TRANSFER_TYPE_INTERRUPT) {
		rc *= 1 + (e->wMaxPacketSize >> 11 & 3);
	}
	return rc;
}

static int
max_iso_packet_size(libusb_device *dev, int interface, int alt,
    uint8_t address)
{
	struct libusb_config_descriptor *config;
	const struct libusb_endpoint_descriptor *e;
	int rc;

	if (libusb_get_active_config_descriptor(dev, &config) < 0)
		return LIBUSB_ERROR_OTHER;
	e = find_endpoint(config, interface, alt, address);
	rc = e != NULL ? bytes_per_interval(dev, e) : LIBUSB_ERROR_NOT_FOUND;
	free(config);
	return rc;
}

int
libusb_get_max_iso_packet_size(libusb_device *dev, unsigned char endpoint)
{
	return max_iso_packet_size(dev, -1, -1, endpoint);
}

int
libusb_get_max_alt_packet_size(libusb_device *dev, int interface_number,
    int alternate_setting, unsigned char endpoint)
{
	if (interface_number < 0 || alternate_setting < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	return max_iso_packet_size(dev, interface_number, alternate_setting,
	    endpoint);
}

/* ---- Which interfaces are one function --------------------------------- */

static int
get_associations(libusb_device *dev, int index,
    struct libusb_interface_association_descriptor_array **out)
{
	struct cause note;
	const uint8_t *bytes;
	size_t len;
	int rc = index;

	if (out == NULL)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (rc >= 0)
		rc = config_bytes(dev, (uint8_t)index, &bytes, &len);
	if (rc < 0)
		return rc;
	rc = un_associations_parse(out, bytes, len, &note);
	warn(un_device_context(dev), &note);
	return rc;
}

int
libusb_get_interface_association_descriptors(libusb_device *dev,
    uint8_t config_index,
    struct libusb_interface_association_descriptor_array **iad_array)
{
	return get_associations(dev, config_index, iad_array);
}

int
libusb_get_active_interface_association_descriptors(libusb_device *dev,
    struct libusb_interface_association_descriptor_array **iad_array)
{
	return get_associations(dev, active_index(dev), iad_array);
}

void
libusb_free_interface_association_descriptors(
    struct libusb_interface_association_descriptor_array *iad_array)
{
	free(iad_array);
}
