/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "usbip/server_import.h"

#define SMALLEST 512u
/* A packet's descriptor, for the backend and as it goes over the wire. */
#define PACKET_BYTES (sizeof(struct usbip_iso) + USBIP_ISO_SIZE)
/* A URB with room for more packets is not kept for reuse: no driver that
 * streams has so many in one, and the backend's own object for it is as
 * large. */
#define SPARE_PACKETS 64

/* What `buffer` of a URB without data points to. */
static uint8_t no_data;

static uint8_t
class_of(uint32_t length)
{
	uint8_t class = 0;

	if (length > 0)
		for (class = 1; SMALLEST << (class - 1) < length; class++)
			;
	return class;
}

static uint32_t
class_capacity(uint8_t class)
{
	return class == 0 ? 0 : SMALLEST << (class - 1);
}

static uint32_t
bytes_for(uint32_t capacity, uint32_t packets)
{
	return capacity + packets * (uint32_t)PACKET_BYTES;
}

uint32_t
pool_bytes(uint32_t length, uint32_t iso_count)
{
	return bytes_for(class_capacity(class_of(length)), iso_count);
}

static uint32_t
bytes_of(const struct urb *urb)
{
	return bytes_for(urb->capacity, urb->iso_room);
}

static void
urb_free(struct urb *urb)
{
	if (urb->capacity > 0)
		free(urb->pub.buffer);
	free(urb->pub.iso);
	free(urb->iso_wire);
	free(urb);
}

static struct urb *
urb_new(struct import *import, uint8_t class)
{
	struct urb *urb = calloc(1, sizeof *urb);

	if (urb == NULL)
		return NULL;
	urb->import = import;
	urb->pub.host = &urb_host;
	urb->pub.dev = import->dev;
	urb->size_class = class;
	urb->capacity = class_capacity(class);
	urb->pub.buffer = urb->capacity > 0 ? malloc(urb->capacity) : &no_data;
	if (urb->pub.buffer == NULL) {
		free(urb);
		return NULL;
	}
	return urb;
}

static int
reserve_iso(struct urb *urb, uint32_t count)
{
	if (count <= urb->iso_room)
		return 0;
	free(urb->pub.iso);
	free(urb->iso_wire);
	urb->pub.iso = malloc(count * sizeof *urb->pub.iso);
	urb->iso_wire = malloc((size_t)count * USBIP_ISO_SIZE);
	urb->iso_room = count;
	if (urb->pub.iso != NULL && urb->iso_wire != NULL)
		return 0;
	urb->iso_room = 0;
	return -1;
}

static struct urb *
take_spare(struct pool *p, uint8_t class)
{
	struct urb *urb = p->spare[class];

	if (urb != NULL) {
		p->spare[class] = urb->next;
		p->spare_bytes -= bytes_of(urb) + sizeof *urb;
	}
	return urb;
}

static void
forget_and_free(struct urb *urb)
{
	struct usbip_device *dev = urb->import->dev;

	if (dev->ops->forget != NULL)
		dev->ops->forget(dev, &urb->pub);
	urb_free(urb);
}

static void
keep_or_free(struct pool *p, struct urb *urb)
{
	const size_t bytes = bytes_of(urb) + sizeof *urb;

	if (urb->iso_room > SPARE_PACKETS ||
	    p->spare_bytes + bytes > POOL_SPARE_BYTES) {
		forget_and_free(urb);
		return;
	}
	p->spare_bytes += bytes;
	urb->next = p->spare[urb->size_class];
	p->spare[urb->size_class] = urb;
}

static struct urb **
bucket_of(struct pool *p, uint32_t seqnum)
{
	return &p->table[seqnum & (POOL_BUCKETS - 1)];
}

static void
enter(struct pool *p, struct urb *urb)
{
	struct urb **bucket = bucket_of(p, urb->seqnum);

	urb->next = *bucket;
	*bucket = urb;
	urb->newer = NULL;
	urb->older = p->newest;
	if (urb->older != NULL)
		urb->older->newer = urb;
	p->newest = urb;
	p->urbs++;
	p->bytes += bytes_of(urb);
}

static void
leave(struct pool *p, struct urb *urb)
{
	struct urb **at = bucket_of(p, urb->seqnum);

	while (*at != urb)
		at = &(*at)->next;
	*at = urb->next;
	if (urb->older != NULL)
		urb->older->newer = urb->newer;
	if (urb->newer != NULL)
		urb->newer->older = urb->older;
	else
		p->newest = urb->older;
	p->urbs--;
	p->bytes -= bytes_of(urb);
}

struct urb *
pool_take(struct pool *p, struct import *import, uint32_t seqnum,
    uint32_t length, uint32_t iso_count)
{
	const uint8_t class = class_of(length);
	struct urb *urb = take_spare(p, class);

	if (urb == NULL)
		urb = urb_new(import, class);
	if (urb == NULL)
		return NULL;
	if (reserve_iso(urb, iso_count) < 0) {
		keep_or_free(p, urb);
		return NULL;
	}
	ref_init(&urb->refs);
	urb->seqnum = seqnum;
	urb->cancelled = urb->answered = false;
	urb->unlink = NULL;
	atomic_init(&urb->completed, false);
	urb->pub.length = length;
	urb->pub.iso_count = iso_count;
	urb->pub.backend_state = 0;
	enter(p, urb);
	return urb;
}

void
pool_put(struct pool *p, struct urb *urb)
{
	leave(p, urb);
	keep_or_free(p, urb);
}

struct urb *
pool_find(struct pool *p, uint32_t seqnum)
{
	struct urb *urb = *bucket_of(p, seqnum);

	while (urb != NULL && urb->seqnum != seqnum)
		urb = urb->next;
	return urb;
}

struct unlink *
pool_take_unlink(struct pool *p)
{
	struct unlink *u = p->spare_unlinks;

	if (u != NULL)
		p->spare_unlinks = u->next;
	else
		u = malloc(sizeof *u);
	if (u != NULL)
		p->unlinks++;
	return u;
}

void
pool_put_unlink(struct pool *p, struct unlink *u)
{
	p->unlinks--;
	u->next = p->spare_unlinks;
	p->spare_unlinks = u;
}

void
pool_fini(struct pool *p)
{
	for (int i = 0; i < POOL_CLASSES; i++) {
		struct urb *urb;

		while ((urb = take_spare(p, (uint8_t)i)) != NULL)
			forget_and_free(urb);
	}
	while (p->spare_unlinks != NULL) {
		struct unlink *u = p->spare_unlinks;

		p->spare_unlinks = u->next;
		free(u);
	}
}
