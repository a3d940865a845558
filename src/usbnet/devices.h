/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_DEVICES_H
#define MUXD_USBNET_DEVICES_H

/*
 * The devices of a context.  One that leaves stays what it is as long as
 * somebody has a reference; should it come back, it is another one.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "usbnet/context.h"
#include "usbnet/device.h"
#include "wire/usbip.h"

struct sock_addr;
struct un_descriptor;

#define UN_PORTS_MAX 7 /* as deep as USB goes */

struct libusb_device {
	_Atomic unsigned refs;
	struct libusb_context *ctx; /* a reference */
	struct un_bus *bus;
	struct libusb_device *next; /* among the attached; the context's lock */
	_Atomic bool attached;

	/* From the server's list; never changed. */
	char busid[USBIP_BUSID_SIZE + 1];
	struct usbip_device_entry entry;
	uint8_t bus_number, address;
	uint8_t ports[UN_PORTS_MAX], port_count;
	enum libusb_speed speed;

	_Atomic uint8_t configuration; /* bConfigurationValue; 0: none */
	/* The context's lock. */
	bool seen;              /* in the newest list */
	struct moment resets;   /* until then, after a close: below */

	/* The link is made, shared and given up by open and close, and the
	 * descriptors are fetched, one at a time for each device: outside the
	 * context's lock, inside the events lock; held while waiting. */
	pthread_mutex_t opening;
	struct un_link *link;    /* under the context's lock, too */

	/* ---- Descriptors (store.c) ---- */
	pthread_mutex_t descs_lock;   /* inside all others */
	struct un_descriptor *descs;  /* under it; only ever grow */
	uint8_t *info;                /* they may lie in it */
	bool fetched;                 /* under it: all are there */
	struct moment fetch_again;    /* under `opening`: not before... */
	int fetch_error;              /* ...and why not */
	bool is_made;                 /* under it: */
	uint8_t made[LIBUSB_DT_DEVICE_SIZE]; /* for want of the device's own */
};

/* ---- The list (the context's lock) ---- */

/* A new attached device, as a server's list has it; the list's reference.  NULL
 * without memory. */
struct libusb_device *un_device_attach(struct libusb_context *ctx,
    struct un_bus *bus, uint8_t bus_number,
    const struct usbip_device_entry *entry);
/* All that are attached, with a reference each, as libusb_get_device_list()
 * gives them. */
ssize_t un_devices_list(struct libusb_context *ctx, libusb_device ***list);
/* It has been closed.  The kernel's server resets it then, and for that time does
 * not list it, and calls it busy. */
void un_device_note_closed(struct libusb_device *dev);
bool un_device_may_reset(const struct libusb_device *dev);
/* It has left: those who want to know are told. */
void un_device_detach(struct libusb_device *dev);

/* ---- Not under it ---- */

/* Its connection is lost; when the server still has it, it arrives anew. */
void un_device_lost(struct libusb_device *dev);

const struct sock_addr *un_device_server(const struct libusb_device *dev);
/* bConfigurationValue, as the server says, or as it has been set; 0: none. */
uint8_t un_device_configuration(struct libusb_device *dev);
void un_device_set_configuration(struct libusb_device *dev, uint8_t value);

/* ---- Descriptors ---- */

/* That of the configuration of this value, or of the first one, if it is there
 * already.  Does not block. */
bool un_device_cached_configuration(struct libusb_device *dev, uint8_t value,
    const uint8_t **bytes, size_t *len);
bool un_device_first_configuration(struct libusb_device *dev,
    const uint8_t **bytes, size_t *len);

/* Has them all there: asks the server, or else the device itself, over `l`, or
 * over a link of its own when that is NULL.  0, or LIBUSB_ERROR_*.  Blocks;
 * under `opening`. */
int un_device_fetch(struct libusb_device *dev, struct un_link *l);

void un_descriptors_free(struct libusb_device *dev);

#endif
