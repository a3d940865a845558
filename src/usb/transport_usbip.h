/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_TRANSPORT_USBIP_H
#define MUXD_USB_TRANSPORT_USBIP_H

/* What the files of the USB/IP transport share: transport_usbip.c (reading,
 * writing, life), transport_usbip_control.c (waiting, requests). */

#include "usb/transport.h"
#include "usbip/importer.h"

/* Reads in flight: half a megabyte over a network's round trip of a
 * millisecond keeps a high-speed bus busy, and costs one system call less than
 * waiting. */
#define READS 8

struct usbip_transport;

struct read_urb {
	struct importer_urb urb;
	struct usbip_transport *t;
	struct chunk *chunk;
	bool in_flight;
};

struct write_urb {
	struct importer_urb urb;
	struct qnode node; /* spare, or returned */
	struct usbip_transport *t;
	struct tx *tx;
};

struct usbip_transport {
	struct transport base; /* first */
	struct importer imp;
	struct usbip_source *source;
	char busid[USBIP_BUSID_SIZE + 1];
	struct waker *waker;

	/* ---- The reader's ---- */
	struct chunk_pool *pool;
	uint8_t in;
	struct read_urb reads[READS];
	struct chunk *ready; /* completed, oldest first, through `more` */
	struct chunk **ready_end;
	bool stalled;
	int failure; /* a usb_error that ends it; USB_OK */

	/* ---- The writer's, but for what comes back ---- */
	uint8_t out;
	struct qnode *spare;
	struct queue returned;
};

static inline struct usbip_transport *
usbip_self(struct transport *t)
{
	return (struct usbip_transport *)t;
}

/* The usb_error of a URB's status. */
int usbip_error_of(int32_t status);

/* Waits for the socket or an interrupt, and works.  False: interrupted.  The
 * reader. */
bool usbip_wait_and_work(struct usbip_transport *t, int timeout_ms);

/* Members of transport_ops. */
int usbip_control(struct transport *base,
    const struct usb_setup_packet *setup, void *data, unsigned timeout_ms);
int usbip_get_configuration(struct transport *t);
int usbip_set_configuration(struct transport *t, int value, int interfaces);
int usbip_claim(struct transport *t, int interface);
int usbip_clear_halt(struct transport *t, uint8_t endpoint);
int usbip_reset(struct transport *base);

#endif
