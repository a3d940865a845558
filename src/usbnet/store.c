/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The descriptors of a device, as bytes.  libusb gives them without the device
 * being open, and a list of USB/IP has next to none of them.  A server of ours
 * is asked for all (DEVINFO).  With any other, the device is asked, over a
 * link that exists only for that; which is why it is done when somebody wants
 * them, and once.
 */

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "usbip/importer.h"
#include "usbnet/bus_virtual.h"
#include "usbnet/devices.h"
#include "usbnet/link.h"
#include "usbnet/virtual.h"

struct un_descriptor {
	struct un_descriptor *next;
	uint8_t type, index;
	uint16_t langid;
	size_t len;
	const uint8_t *bytes; /* in the device's `info`, or here: */
	uint8_t own[];
};

/* What could not be had is not asked for again before. */
#define AGAIN_MS 5000

/* From this version on, a device has a BOS descriptor. */
#define BOS_SINCE 0x0201

void
un_descriptors_free(struct libusb_device *dev)
{
	while (dev->descs != NULL) {
		struct un_descriptor *d = dev->descs;

		dev->descs = d->next;
		free(d);
	}
	free(dev->info);
}

/* ---- The store ---- */

/* Under `descs_lock`. */
static const struct un_descriptor *
find(const struct libusb_device *dev, uint8_t type, uint8_t index,
    uint16_t langid)
{
	const struct un_descriptor *d = dev->descs;

	while (d != NULL && (d->type != type || d->index != index ||
			      d->langid != langid))
		d = d->next;
	return d;
}

/* What is there already, stays.  With `copy`, of the bytes; without, they live
 * as long as the device. */
static void
add(struct libusb_device *dev, const struct usbip_info_record *r, bool copy)
{
	bool is_there;

	struct un_descriptor *d =
	    malloc(sizeof *d + (copy ? r->length : 0));

	if (d == NULL)
		return;
	d->type = r->type;
	d->index = r->index;
	d->langid = r->langid;
	d->len = r->length;
	d->bytes = r->bytes;
	if (copy) {
		memcpy(d->own, r->bytes, r->length);
		d->bytes = d->own;
	}
	pthread_mutex_lock(&dev->descs_lock);
	is_there = find(dev, r->type, r->index, r->langid) != NULL;
	if (!is_there) {
		d->next = dev->descs;
		dev->descs = d;
	}
	pthread_mutex_unlock(&dev->descs_lock);
	if (is_there) /* of a try that failed later on */
		free(d);
}

/* ---- From the server ---- */

static void
add_all(struct libusb_device *dev, size_t len)
{
	struct reader r = reader_over(dev->info, len);
	struct usbip_info_record record;

	while (usbip_info_next(&r, &record))
		add(dev, &record, false);
}

/* LIBUSB_ERROR_NOT_SUPPORTED: it has nothing to say, and says so.
 * LIBUSB_ERROR_TIMEOUT: it does not even do that. */
static int
ask_server(struct libusb_device *dev)
{
	const struct moment begin = clock_now();
	const int timeout_ms = dev->ctx->timeout_ms;
	struct usbip_device_entry entry;
	struct cause why;
	uint32_t status;
	size_t len;

	if (!un_bus_may_describe(dev->bus))
		return LIBUSB_ERROR_NOT_SUPPORTED;
	if (importer_ask_info(un_device_server(dev), dev->busid, timeout_ms,
		&entry, &dev->info, &len, &status, &why) < 0) {
		un_log(dev->ctx, LIBUSB_LOG_LEVEL_INFO, "%s", why.text);
		if (status != USBIP_ST_OK)
			un_bus_note_describes(dev->bus, true);
		return moment_ms_between(begin, clock_now()) < timeout_ms
		    ? LIBUSB_ERROR_NOT_SUPPORTED
		    : LIBUSB_ERROR_TIMEOUT;
	}
	un_bus_note_describes(dev->bus, true);
	add_all(dev, len);
	return 0;
}

static int
ask_module(struct libusb_device *dev)
{
	size_t len;

	if (!un_virtual()->info(dev->busid, &dev->info, &len))
		return LIBUSB_ERROR_NO_DEVICE;
	add_all(dev, len);
	return 0;
}

/* ---- From the device ---- */

/* One descriptor of at most `size` bytes; its length, or LIBUSB_ERROR_*. */
static int
ask_device(struct un_link *l, uint8_t type, uint8_t index, uint8_t *into,
    uint16_t size)
{
	const int n = un_link_control(l, LIBUSB_ENDPOINT_IN,
	    LIBUSB_REQUEST_GET_DESCRIPTOR, (uint16_t)(type << 8 | index), 0,
	    into, size);

	if (n >= 0 && (n < 2 || into[1] != type))
		return LIBUSB_ERROR_IO;
	return n;
}

/* One with its total length in its third and fourth byte. */
static int
ask_long(struct libusb_device *dev, struct un_link *l, uint8_t type,
    uint8_t index)
{
	struct usbip_info_record record = { .type = type, .index = index };
	uint8_t head[5], *bytes;
	struct reader r;
	int n = ask_device(l, type, index, head, sizeof head);
	uint16_t total;

	if (n < (int)sizeof head)
		return n < 0 ? n : LIBUSB_ERROR_IO;
	r = reader_over(head + 2, 2);
	total = read_le16(&r);
	bytes = malloc(total > 0 ? total : 1);
	if (bytes == NULL)
		return LIBUSB_ERROR_NO_MEM;
	n = ask_device(l, type, index, bytes, total);
	if (n >= 0) {
		record.bytes = bytes;
		record.length = (uint32_t)n;
		add(dev, &record, true);
	}
	free(bytes);
	return n;
}

static int
ask_all(struct libusb_device *dev, struct un_link *l)
{
	uint8_t bytes[LIBUSB_DT_DEVICE_SIZE];
	struct usbip_info_record record = { .type = LIBUSB_DT_DEVICE,
		.bytes = bytes, .length = sizeof bytes };
	struct reader r = reader_over(bytes + 2, 2);
	int n = ask_device(l, LIBUSB_DT_DEVICE, 0, bytes, sizeof bytes);

	if (n < (int)sizeof bytes)
		return n < 0 ? n : LIBUSB_ERROR_IO;
	add(dev, &record, true);
	for (unsigned i = 0; i < bytes[17] && n >= 0; i++)
		n = ask_long(dev, l, LIBUSB_DT_CONFIG, (uint8_t)i);
	/* Not every device that should has one. */
	if (n >= 0 && read_le16(&r) >= BOS_SINCE)
		ask_long(dev, l, LIBUSB_DT_BOS, 0);
	return n < 0 ? n : 0;
}

/* ---- Fetching ---- */

static int
import_briefly(struct libusb_device *dev)
{
	struct un_link *l;
	int rc = un_link_open(dev, &l);

	if (rc != 0)
		return rc;
	rc = ask_all(dev, l);
	un_link_close(l);
	pthread_mutex_lock(&dev->ctx->lock);
	un_device_note_closed(dev);
	pthread_mutex_unlock(&dev->ctx->lock);
	return rc;
}

static bool
is_fetched(struct libusb_device *dev)
{
	bool yes;

	pthread_mutex_lock(&dev->descs_lock);
	yes = dev->fetched;
	pthread_mutex_unlock(&dev->descs_lock);
	return yes;
}

/* The device, when the server does not describe it.  A server that `was_silent`
 * may just not know that question, and then goes on with others. */
static int
fetch_from_device(struct libusb_device *dev, struct un_link *l,
    bool was_silent)
{
	const int rc = l != NULL ? ask_all(dev, l) : import_briefly(dev);

	if (was_silent && (rc == LIBUSB_ERROR_TIMEOUT ||
			      rc == LIBUSB_ERROR_NO_DEVICE))
		un_bus_note_silence(dev->bus);
	else if (was_silent)
		un_bus_note_describes(dev->bus, false);
	return rc;
}

int
un_device_fetch(struct libusb_device *dev, struct un_link *l)
{
	int rc;

	if (is_fetched(dev))
		return 0;
	if (l == NULL && moment_before(clock_now(), dev->fetch_again))
		return dev->fetch_error;
	if (l == NULL && !un_bus_may_ask(dev->bus))
		return LIBUSB_ERROR_TIMEOUT;
	if (un_bus_is_virtual(dev->bus)) {
		rc = ask_module(dev);
	} else {
		rc = un_bus_may_ask(dev->bus) ? ask_server(dev)
					      : LIBUSB_ERROR_NOT_SUPPORTED;
		if (rc != 0)
			rc = fetch_from_device(dev, l,
			    rc == LIBUSB_ERROR_TIMEOUT);
	}
	dev->fetch_error = rc;
	dev->fetch_again = moment_after_ms(clock_now(), AGAIN_MS);
	pthread_mutex_lock(&dev->descs_lock);
	dev->fetched = rc == 0;
	pthread_mutex_unlock(&dev->descs_lock);
	return rc;
}

/* What a list tells, in the form of a descriptor: until the device's own can be
 * had.  Once, since the program may read it already. */
static void
make_device_descriptor(struct libusb_device *dev)
{
	const struct usbip_device_entry *e = &dev->entry;
	const bool is_super = dev->speed >= LIBUSB_SPEED_SUPER;
	struct writer w = writer_over(dev->made, sizeof dev->made);

	if (dev->is_made)
		return;
	dev->is_made = true;
	write_u8(&w, sizeof dev->made);
	write_u8(&w, LIBUSB_DT_DEVICE);
	write_le16(&w, is_super ? 0x0300 : 0x0200);
	write_u8(&w, e->device_class);
	write_u8(&w, e->device_subclass);
	write_u8(&w, e->device_protocol);
	write_u8(&w, is_super ? 9 : dev->speed == LIBUSB_SPEED_LOW ? 8 : 64);
	write_le16(&w, e->vendor);
	write_le16(&w, e->product);
	write_le16(&w, e->release);
	write_zeros(&w, 3); /* strings: none known */
	write_u8(&w, e->configurations);
}

static bool
get(struct libusb_device *dev, const struct un_descriptor *key,
    const uint8_t **bytes, size_t *len)
{
	const struct un_descriptor *d;

	pthread_mutex_lock(&dev->descs_lock);
	d = find(dev, key->type, key->index, key->langid);
	pthread_mutex_unlock(&dev->descs_lock);
	if (d == NULL)
		return false;
	*bytes = d->bytes;
	*len = d->len;
	return true;
}

int
un_device_descriptor_bytes(libusb_device *dev, uint8_t type, uint8_t index,
    uint16_t langid, const uint8_t **bytes, size_t *len)
{
	const struct un_descriptor key = { .type = type, .index = index,
		.langid = langid };
	int rc = 0;

	if (get(dev, &key, bytes, len))
		return 0;
	pthread_mutex_lock(&dev->opening);
	if (atomic_load(&dev->attached))
		rc = un_device_fetch(dev, dev->link);
	if (get(dev, &key, bytes, len)) {
		rc = 0;
	} else if (type == LIBUSB_DT_DEVICE) {
		make_device_descriptor(dev);
		*bytes = dev->made;
		*len = sizeof dev->made;
		rc = 0;
	} else if (rc == 0) {
		rc = LIBUSB_ERROR_NOT_FOUND;
	}
	pthread_mutex_unlock(&dev->opening);
	return rc;
}

static bool
give(const struct un_descriptor *d, const uint8_t **bytes, size_t *len)
{
	if (d == NULL || d->len < LIBUSB_DT_CONFIG_SIZE)
		return false;
	*bytes = d->bytes;
	*len = d->len;
	return true;
}

bool
un_device_first_configuration(struct libusb_device *dev,
    const uint8_t **bytes, size_t *len)
{
	const struct un_descriptor *d;

	pthread_mutex_lock(&dev->descs_lock);
	d = find(dev, LIBUSB_DT_CONFIG, 0, 0);
	pthread_mutex_unlock(&dev->descs_lock);
	return give(d, bytes, len);
}

bool
un_device_cached_configuration(struct libusb_device *dev, uint8_t value,
    const uint8_t **bytes, size_t *len)
{
	const struct un_descriptor *d;

	pthread_mutex_lock(&dev->descs_lock);
	for (d = dev->descs; d != NULL; d = d->next)
		if (d->type == LIBUSB_DT_CONFIG &&
		    d->len >= LIBUSB_DT_CONFIG_SIZE && d->bytes[5] == value)
			break;
	pthread_mutex_unlock(&dev->descs_lock);
	return give(d, bytes, len);
}
