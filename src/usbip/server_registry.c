/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_registry.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "usbip/server_import.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* an orderly close is then noticed a little later */
#endif

void
server_registry_init(struct server_registry *r)
{
	memset(r, 0, sizeof *r);
	pthread_mutex_init(&r->lock, NULL);
}

void
server_registry_fini(struct server_registry *r)
{
	pthread_mutex_destroy(&r->lock);
}

static struct usbip_export *
find(struct server_registry *r, const char *busid)
{
	struct usbip_export *e = r->plugged;

	while (e != NULL && strcmp(e->desc.device.busid, busid) != 0)
		e = e->next;
	return e;
}

void
usbip_export_free(struct usbip_export *e)
{
	free((void *)e->desc.info);
	free(e);
}

/* `desc` with an info of its own.  False: it is too long, or there is no memory
 * for it: then the copy has none. */
static bool
copy_description(struct usbip_description *out,
    const struct usbip_description *desc)
{
	uint8_t *info;

	*out = *desc;
	out->info = NULL;
	if (desc->info == NULL)
		return true;
	info = desc->info_len <= USBIP_INFO_MAX ? malloc(desc->info_len + 1)
						: NULL;
	if (info == NULL)
		return false;
	memcpy(info, desc->info, desc->info_len);
	out->info = info;
	return true;
}

static int
check_description(const struct usbip_description *desc, struct cause *why)
{
	const size_t len = strnlen(desc->device.busid, USBIP_BUSID_SIZE);

	if (len == 0 || len == USBIP_BUSID_SIZE)
		return cause_set(why, "a busid has 1 to %d characters",
		    USBIP_BUSID_SIZE - 1);
	if (desc->device.interface_count > USBIP_SERVER_INTERFACES_MAX)
		return cause_set(why, "device %s has more than %d interfaces",
		    desc->device.busid, USBIP_SERVER_INTERFACES_MAX);
	if (desc->device.bus > 0xffff || desc->device.address > 0xffff)
		return cause_set(why, "device %s: bus and address have 16 bits "
		    "each", desc->device.busid);
	if (desc->info != NULL && desc->info_len > USBIP_INFO_MAX)
		return cause_set(why, "device %s has descriptors of more than "
		    "%d bytes", desc->device.busid, USBIP_INFO_MAX);
	return 0;
}

static int
plug_locked(struct server_registry *r, struct usbip_export *e,
    struct cause *why)
{
	struct usbip_export **end = &r->plugged;

	if (find(r, e->desc.device.busid) != NULL)
		return cause_set(why, "busid %s is taken",
		    e->desc.device.busid);
	while (*end != NULL)
		end = &(*end)->next;
	*end = e;
	e->dev->engine = e;
	r->generation++;
	return 0;
}

int
server_registry_plug(struct server_registry *r, struct usbip_device *dev,
    const struct usbip_description *desc, struct cause *why)
{
	struct usbip_export *e;
	int rc;

	if (check_description(desc, why) < 0)
		return -1;
	e = calloc(1, sizeof *e);
	if (e == NULL || !copy_description(&e->desc, desc)) {
		free(e);
		return cause_set(why, "device %s: out of memory",
		    desc->device.busid);
	}
	e->dev = dev;
	pthread_mutex_lock(&r->lock);
	rc = plug_locked(r, e, why);
	pthread_mutex_unlock(&r->lock);
	if (rc < 0)
		usbip_export_free(e);
	return rc;
}

void
server_registry_update(struct server_registry *r, struct usbip_device *dev,
    const struct usbip_description *desc)
{
	struct usbip_description copy;
	const uint8_t *before;

	if (!copy_description(&copy, desc))
		log_warning("device %s: its descriptors cannot be told",
		    desc->device.busid);
	pthread_mutex_lock(&r->lock);
	before = dev->engine->desc.info;
	dev->engine->desc = copy;
	pthread_mutex_unlock(&r->lock);
	free((void *)before);
}

static void
unplug_locked(struct server_registry *r, struct usbip_export *e)
{
	struct usbip_export **at = &r->plugged;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	e->next = r->gone;
	r->gone = e;
	r->generation++;
	if (e->import != NULL)
		import_unplug(e->import);
}

void
server_registry_unplug(struct server_registry *r, struct usbip_device *dev)
{
	pthread_mutex_lock(&r->lock);
	unplug_locked(r, dev->engine);
	pthread_mutex_unlock(&r->lock);
}

void
server_registry_unplug_all(struct server_registry *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->plugged != NULL)
		unplug_locked(r, r->plugged);
	pthread_mutex_unlock(&r->lock);
}

uint64_t
server_registry_generation(struct server_registry *r)
{
	uint64_t generation;

	pthread_mutex_lock(&r->lock);
	generation = r->generation;
	pthread_mutex_unlock(&r->lock);
	return generation;
}

/* ---- DEVLIST ------------------------------------------------------------ */

static bool
is_listed(const struct usbip_export *e, bool all)
{
	return all || e->import == NULL;
}

static size_t
list_size(const struct server_registry *r, bool all, uint32_t *count)
{
	size_t size = USBIP_DEVLIST_HEAD_SIZE;

	*count = 0;
	for (const struct usbip_export *e = r->plugged; e != NULL;
	     e = e->next) {
		if (!is_listed(e, all))
			continue;
		size += USBIP_DEVICE_SIZE + (size_t)USBIP_INTERFACE_SIZE *
		    e->desc.device.interface_count;
		++*count;
	}
	return size;
}

static void
write_export(struct writer *w, const struct usbip_export *e)
{
	usbip_device_encode(write_room(w, USBIP_DEVICE_SIZE), &e->desc.device);
	for (int i = 0; i < e->desc.device.interface_count; i++)
		usbip_interface_encode(write_room(w, USBIP_INTERFACE_SIZE),
		    &e->desc.interfaces[i]);
}

static uint8_t *
list_locked(struct server_registry *r, bool all, size_t *len)
{
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = USBIP_REP_DEVLIST, .status = USBIP_ST_OK };
	uint32_t count;
	uint8_t *reply;
	struct writer w;

	*len = list_size(r, all, &count);
	reply = malloc(*len);
	if (reply == NULL)
		return NULL;
	w = writer_over(reply, *len);
	usbip_op_encode(write_room(&w, USBIP_OP_SIZE), &op);
	write_be32(&w, count);
	for (const struct usbip_export *e = r->plugged; e != NULL; e = e->next)
		if (is_listed(e, all))
			write_export(&w, e);
	return reply;
}

uint8_t *
server_registry_list(struct server_registry *r, bool all, size_t *len,
    uint64_t *generation)
{
	uint8_t *reply;

	pthread_mutex_lock(&r->lock);
	*generation = r->generation;
	reply = list_locked(r, all, len);
	pthread_mutex_unlock(&r->lock);
	return reply;
}

/* ---- DEVINFO ------------------------------------------------------------ */

static uint8_t *
info_locked(struct server_registry *r, const char *busid, size_t *len,
    uint32_t *status)
{
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = USBIP_REP_DEVINFO, .status = USBIP_ST_OK };
	const struct usbip_export *e = find(r, busid);
	uint8_t *reply;
	struct writer w;

	*status = e == NULL ? USBIP_ST_NODEV : USBIP_ST_NA;
	if (e == NULL || e->desc.info == NULL)
		return NULL;
	*len = USBIP_REP_DEVINFO_HEAD_SIZE + e->desc.info_len;
	*status = USBIP_ST_ERROR;
	reply = malloc(*len);
	if (reply == NULL)
		return NULL;
	w = writer_over(reply, *len);
	usbip_op_encode(write_room(&w, USBIP_OP_SIZE), &op);
	usbip_device_encode(write_room(&w, USBIP_DEVICE_SIZE),
	    &e->desc.device);
	write_be32(&w, (uint32_t)e->desc.info_len);
	write_bytes(&w, e->desc.info, e->desc.info_len);
	return reply;
}

uint8_t *
server_registry_info(struct server_registry *r, const char *busid,
    size_t *len, uint32_t *status)
{
	uint8_t *reply;

	pthread_mutex_lock(&r->lock);
	reply = info_locked(r, busid, len, status);
	pthread_mutex_unlock(&r->lock);
	return reply;
}

/* ---- Imports ------------------------------------------------------------ */

/* Why nobody else can have the device now. */
static int
busy_status(const struct import *im)
{
	struct pollfd pfd = { .fd = im->fd, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) > 0 ? REGISTRY_ENDING : USBIP_ST_DEV_BUSY;
}

static int
claim_locked(struct server_registry *r, const char *busid, struct import *im)
{
	struct usbip_export *e = find(r, busid);

	if (e == NULL)
		return USBIP_ST_NODEV;
	if (e->import != NULL)
		return busy_status(e->import);
	e->import = im;
	im->export = e;
	im->dev = e->dev;
	im->entry = e->desc.device;
	im->devid = usbip_devid(im->entry.bus, im->entry.address);
	im->since = clock_now();
	return USBIP_ST_OK;
}

int
server_registry_claim(struct server_registry *r, const char *busid,
    struct import *im)
{
	int status;

	pthread_mutex_lock(&r->lock);
	status = claim_locked(r, busid, im);
	pthread_mutex_unlock(&r->lock);
	return status;
}

void
server_registry_release(struct server_registry *r, struct import *im)
{
	pthread_mutex_lock(&r->lock);
	im->export->import = NULL;
	pthread_mutex_unlock(&r->lock);
}

bool
server_registry_kick(struct server_registry *r, const char *busid)
{
	struct usbip_export *e;
	bool found;

	pthread_mutex_lock(&r->lock);
	e = find(r, busid);
	found = e != NULL && e->import != NULL;
	if (found)
		import_kick(e->import);
	pthread_mutex_unlock(&r->lock);
	return found;
}

static void
fill_row(struct usbip_server_row *row, const struct usbip_export *e)
{
	const struct import *im = e->import;
	uint64_t taken;

	memset(row, 0, sizeof *row);
	memcpy(row->busid, e->desc.device.busid, sizeof row->busid);
	if (im == NULL)
		return;
	memcpy(row->peer, im->peer, sizeof row->peer);
	row->since = im->since;
	row->urbs = counter_read(&im->done);
	taken = counter_read(&im->taken);
	/* Two counters, read at two moments. */
	row->in_flight = taken > row->urbs ? (uint32_t)(taken - row->urbs) : 0;
	row->bytes_in = counter_read(&im->bytes_in);
	row->bytes_out = counter_read(&im->bytes_out);
}

size_t
server_registry_snapshot(struct server_registry *r,
    struct usbip_server_row *rows, size_t max)
{
	size_t count = 0;

	pthread_mutex_lock(&r->lock);
	for (const struct usbip_export *e = r->plugged; e != NULL;
	     e = e->next, count++)
		if (count < max)
			fill_row(&rows[count], e);
	pthread_mutex_unlock(&r->lock);
	return count;
}

/* ---- After unplug() ----------------------------------------------------- */

struct usbip_export *
server_registry_take_gone(struct server_registry *r)
{
	struct usbip_export **at, *e;

	pthread_mutex_lock(&r->lock);
	at = &r->gone;
	while (*at != NULL && (*at)->import != NULL)
		at = &(*at)->next;
	e = *at;
	if (e != NULL)
		*at = e->next;
	pthread_mutex_unlock(&r->lock);
	return e;
}

bool
server_registry_is_empty(struct server_registry *r)
{
	bool empty;

	pthread_mutex_lock(&r->lock);
	empty = r->plugged == NULL && r->gone == NULL;
	pthread_mutex_unlock(&r->lock);
	return empty;
}
