/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Devices: their list, references, and where they are plugged in. */

#include "usbnet/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usbnet/bus.h"
#include "usbnet/hotplug.h"

/* A reset takes a second or two, with what the device needs to come back. */
#define RESET_MS 3000

/* ---- References ---- */

libusb_device *
libusb_ref_device(libusb_device *dev)
{
	/* Relaxed: who can copy a reference already holds one. */
	atomic_fetch_add_explicit(&dev->refs, 1, memory_order_relaxed);
	return dev;
}

void
libusb_unref_device(libusb_device *dev)
{
	/* Release and acquire pair among them: the last one sees all uses. */
	if (dev == NULL || atomic_fetch_sub_explicit(&dev->refs, 1,
			       memory_order_acq_rel) != 1)
		return;
	un_descriptors_free(dev);
	pthread_mutex_destroy(&dev->opening);
	pthread_mutex_destroy(&dev->descs_lock);
	un_context_put(dev->ctx);
	free(dev);
}

/* ---- Coming and going ---- */

/* USB/IP's 4 is wireless, libusb's is SUPER. */
static enum libusb_speed
speed_of(uint32_t speed)
{
	switch (speed) {
	case USBIP_SPEED_LOW:
		return LIBUSB_SPEED_LOW;
	case USBIP_SPEED_FULL:
		return LIBUSB_SPEED_FULL;
	case USBIP_SPEED_HIGH:
	case USBIP_SPEED_WIRELESS:
		return LIBUSB_SPEED_HIGH;
	case USBIP_SPEED_SUPER:
		return LIBUSB_SPEED_SUPER;
	case USBIP_SPEED_SUPER_PLUS:
		return LIBUSB_SPEED_SUPER_PLUS;
	default:
		return LIBUSB_SPEED_UNKNOWN;
	}
}

/* A busid is "BUS-PORT.PORT...", as the kernel names devices. */
static void
parse_ports(struct libusb_device *dev)
{
	const char *at = strchr(dev->busid, '-');

	while (at != NULL && dev->port_count < UN_PORTS_MAX) {
		char *end;
		const unsigned long port = strtoul(at + 1, &end, 10);

		if (end == at + 1 || port == 0 || port > 255)
			return;
		dev->ports[dev->port_count++] = (uint8_t)port;
		at = *end == '.' ? end : NULL;
	}
}

/* The server's number where it can be ours: a byte, and nobody else's.  0 when
 * there is none left. */
static uint8_t
choose_address(const struct libusb_context *ctx, uint8_t bus, uint32_t wanted)
{
	bool taken[256] = { false };

	for (const struct libusb_device *d = ctx->devices; d != NULL;
	     d = d->next)
		if (d->bus_number == bus)
			taken[d->address] = true;
	if (wanted > 0 && wanted < 256 && !taken[wanted])
		return (uint8_t)wanted;
	for (unsigned a = 1; a < 256; a++)
		if (!taken[a])
			return (uint8_t)a;
	return 0;
}

struct libusb_device *
un_device_attach(struct libusb_context *ctx, struct un_bus *bus,
    uint8_t bus_number, const struct usbip_device_entry *entry)
{
	const uint8_t address =
	    choose_address(ctx, bus_number, entry->address);
	struct libusb_device *dev =
	    address > 0 ? calloc(1, sizeof *dev) : NULL;
	struct libusb_device **end;

	if (dev == NULL)
		return NULL;
	atomic_init(&dev->refs, 1);
	dev->ctx = un_context_get(ctx);
	dev->bus = bus;
	dev->entry = *entry;
	snprintf(dev->busid, sizeof dev->busid, "%s", entry->busid);
	dev->bus_number = bus_number;
	dev->address = address;
	dev->speed = speed_of(entry->speed);
	parse_ports(dev);
	atomic_init(&dev->configuration, entry->configuration);
	atomic_init(&dev->attached, true);
	pthread_mutex_init(&dev->opening, NULL);
	pthread_mutex_init(&dev->descs_lock, NULL);
	for (end = &ctx->devices; *end != NULL; end = &(*end)->next)
		;
	*end = dev;
	un_hotplug_post(dev, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
	return dev;
}

void
un_device_detach(struct libusb_device *dev)
{
	struct libusb_device **at = &dev->ctx->devices;

	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	dev->next = NULL;
	atomic_store(&dev->attached, false);
	un_hotplug_post(dev, LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT);
	/* The list's reference.  Not the last: who asked has one, or the post
	 * has; and if not, freeing takes no lock that we hold. */
	libusb_unref_device(dev);
}

void
un_device_note_closed(struct libusb_device *dev)
{
	dev->resets = moment_after_ms(clock_now(), RESET_MS);
}

bool
un_device_may_reset(const struct libusb_device *dev)
{
	return moment_before(clock_now(), dev->resets);
}

void
un_device_lost(struct libusb_device *dev)
{
	struct libusb_context *ctx = dev->ctx;

	pthread_mutex_lock(&ctx->lock);
	if (atomic_load(&dev->attached)) {
		un_device_detach(dev);
		un_bus_ask_again(dev->bus);
	}
	pthread_mutex_unlock(&ctx->lock);
}

void
un_device_set_configuration(struct libusb_device *dev, uint8_t value)
{
	atomic_store_explicit(&dev->configuration, value,
	    memory_order_relaxed);
}

uint8_t
un_device_configuration(struct libusb_device *dev)
{
	return atomic_load_explicit(&dev->configuration,
	    memory_order_relaxed);
}

/* A device that nobody has imported may have none yet; but a host configures
 * what is plugged in, and opening it does here. */
uint8_t
un_device_active_configuration(libusb_device *dev)
{
	const uint8_t value = un_device_configuration(dev);
	const uint8_t *bytes;
	bool is_open;
	size_t len;

	pthread_mutex_lock(&dev->ctx->lock);
	is_open = dev->link != NULL;
	pthread_mutex_unlock(&dev->ctx->lock);
	if (value != 0 || is_open ||
	    un_device_descriptor_bytes(dev, LIBUSB_DT_CONFIG, 0, 0, &bytes,
		&len) != 0 ||
	    len < LIBUSB_DT_CONFIG_SIZE)
		return value;
	return bytes[5];
}

libusb_context *
un_device_context(libusb_device *dev)
{
	return dev->ctx;
}

/* ---- Lists ---- */

ssize_t
un_devices_list(struct libusb_context *ctx, libusb_device ***list)
{
	libusb_device **out;
	size_t n = 0;

	for (const libusb_device *d = ctx->devices; d != NULL; d = d->next)
		n++;
	out = malloc((n + 1) * sizeof(libusb_device *));
	if (out == NULL)
		return LIBUSB_ERROR_NO_MEM;
	n = 0;
	for (libusb_device *d = ctx->devices; d != NULL; d = d->next)
		out[n++] = libusb_ref_device(d);
	out[n] = NULL;
	*list = out;
	return (ssize_t)n;
}

ssize_t
libusb_get_device_list(libusb_context *asked, libusb_device ***list)
{
	struct libusb_context *ctx = un_context(asked);
	ssize_t n;

	if (ctx == NULL || list == NULL)
		return LIBUSB_ERROR_INVALID_PARAM;
	un_buses_refresh(ctx);
	pthread_mutex_lock(&ctx->lock);
	n = un_devices_list(ctx, list);
	pthread_mutex_unlock(&ctx->lock);
	return n;
}

void
libusb_free_device_list(libusb_device **list, int unref_devices)
{
	if (list == NULL)
		return;
	if (unref_devices)
		for (libusb_device **d = list; *d != NULL; d++)
			libusb_unref_device(*d);
	free(list);
}

/* ---- Where it is ---- */

uint8_t
libusb_get_bus_number(libusb_device *dev)
{
	return dev->bus_number;
}

uint8_t
libusb_get_device_address(libusb_device *dev)
{
	return dev->address;
}

int
libusb_get_device_speed(libusb_device *dev)
{
	return (int)dev->speed;
}

uint8_t
libusb_get_port_number(libusb_device *dev)
{
	return dev->port_count > 0 ? dev->ports[dev->port_count - 1] : 0;
}

int
libusb_get_port_numbers(libusb_device *dev, uint8_t *port_numbers,
    int port_numbers_len)
{
	if (port_numbers == NULL || port_numbers_len <= 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (port_numbers_len < dev->port_count)
		return LIBUSB_ERROR_OVERFLOW;
	memcpy(port_numbers, dev->ports, dev->port_count);
	return dev->port_count;
}

int
libusb_get_port_path(libusb_context *ctx, libusb_device *dev,
    uint8_t *port_numbers, uint8_t port_numbers_len)
{
	(void)ctx;
	return libusb_get_port_numbers(dev, port_numbers, port_numbers_len);
}

/* No server lists hubs. */
libusb_device *
libusb_get_parent(libusb_device *dev)
{
	(void)dev;
	return NULL;
}
