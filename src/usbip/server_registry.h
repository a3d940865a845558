/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_REGISTRY_H
#define MUXD_USBIP_SERVER_REGISTRY_H

/*
 * What the server offers, and who has it.  Behind one lock, because backends
 * plug and unplug from any thread; it is held for short work on memory only,
 * and nothing on the way of a URB takes it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "usbip/server.h"

struct import;

struct usbip_export {
	struct usbip_export *next;
	struct usbip_device *dev;
	struct import *import; /* the one that has it, or NULL */
	struct usbip_description desc; /* its info is a copy on the heap */
};

struct server_registry {
	pthread_mutex_t lock;
	struct usbip_export *plugged; /* in the order of plugging */
	struct usbip_export *gone;    /* unplugged() is still to be called */
	uint64_t generation;          /* counts the changes of `plugged` */
};

void server_registry_init(struct server_registry *r);
/* When it is empty. */
void server_registry_fini(struct server_registry *r);

/* What usbip_server_plug(), _update() and _unplug() promise.  Any thread. */
int server_registry_plug(struct server_registry *r, struct usbip_device *dev,
    const struct usbip_description *desc, struct cause *why);
void server_registry_update(struct server_registry *r,
    struct usbip_device *dev, const struct usbip_description *desc);
void server_registry_unplug(struct server_registry *r,
    struct usbip_device *dev);
void server_registry_unplug_all(struct server_registry *r);

uint64_t server_registry_generation(struct server_registry *r);

/* An OP_REP_DEVLIST of all devices, or only of those that nobody has, on the
 * heap; NULL: out of memory.  `generation` is what it shows. */
uint8_t *server_registry_list(struct server_registry *r, bool all, size_t *len,
    uint64_t *generation);

/*
 * An OP_REP_DEVINFO on the heap; or NULL and a status: USBIP_ST_NODEV, _NA
 * when nothing is known, _ERROR when memory has run out.
 */
uint8_t *server_registry_info(struct server_registry *r, const char *busid,
    size_t *len, uint32_t *status);

/* What usbip_server_snapshot() and _kick() promise. */
size_t server_registry_snapshot(struct server_registry *r,
    struct usbip_server_row *rows, size_t max);
bool server_registry_kick(struct server_registry *r, const char *busid);

/*
 * Gives the device of that busid to `im`, whose `fd` is set.  USBIP_ST_OK,
 * _NODEV, _DEV_BUSY; or REGISTRY_ENDING: who has it has hung up, so it will be
 * free when that import has ended.
 */
#define REGISTRY_ENDING (-1)
int server_registry_claim(struct server_registry *r, const char *busid,
    struct import *im);
/* `im` does not use its device any more. */
void server_registry_release(struct server_registry *r, struct import *im);

/* A device that is gone and that nobody uses any more, or NULL.  The caller
 * frees it. */
struct usbip_export *server_registry_take_gone(struct server_registry *r);
void usbip_export_free(struct usbip_export *e);
bool server_registry_is_empty(struct server_registry *r);

#endif
