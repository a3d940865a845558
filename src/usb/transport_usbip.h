/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_TRANSPORT_USBIP_H
#define MUXD_USB_TRANSPORT_USBIP_H

/* What the files of the USB/IP transport share: transport_usbip.c (reading,
 * writing, life), transport_usbip_control.c (waiting, requests). */

#include "actor/recycler.h"
#include "usb/reading.h"
#include "usb/transport.h"
#include "usbip/importer.h"

/* Reads in flight: 128 KiB are more than a high-speed bus moves in the round
 * trip of a local network. */
#define READS 8
/* And of its interrupt endpoint, if it has one: one packet each. */
#define EVENTS 2

struct usbip_transport;

struct read_urb {
	struct importer_urb urb;
	enum usb_pipe pipe;
	struct chunk *chunk; /* being filled; NULL: not in flight */
};

/*
 * A frame on its way out: its data and, behind it, its empty packet.  (The flag
 * that makes one of both is not known to every server.)  Kept for reuse: the
 * writer takes it, the reader returns it.
 */
struct write_urb {
	struct qnode node; /* first; spare or returned */
	struct write_urb *next; /* of all that the device has */
	struct importer_urb data, zlp;
	struct tx *tx;
	int left;  /* URBs that are not done; the reader's */
	int error; /* the first of them */
};

struct usbip_transport {
	struct transport base; /* first */
	struct importer imp;
	struct usbip_source *source;
	char busid[USBIP_BUSID_SIZE + 1];
	struct waker *waker;
	_Atomic bool interrupted;
	/* A usb_error after which nothing will work again; the first counts. */
	_Atomic int failure;

	/* ---- The reader's ---- */
	struct chunk_pool *pool;
	struct reading reading;
	struct read_urb reads[READS + EVENTS];
	uint8_t in[USB_PIPES]; /* endpoints; 0: there is none */
	bool wrote; /* frames have been done since read() was called */

	/* The one request at a time.  It stays when its caller has lost
	 * patience, until the server gives it back. */
	struct importer_urb request;
	bool request_flying;
	uint8_t *request_bytes;
	size_t request_size;

	/* ---- The writer's, but for what comes back ---- */
	uint8_t out, event_out;
	uint16_t event_interval; /* of event_out */
	struct recycler frames; /* taken by the writer */
	struct write_urb *writes; /* all; at the end anyone's */
};

static inline struct usbip_transport *
usbip_self(struct transport *t)
{
	return (struct usbip_transport *)t;
}

/* The usb_error of a URB's status. */
int usbip_error_of(int32_t status);

/* Ends the transport; the first failure counts.  Any thread. */
void usbip_fail(struct usbip_transport *t, int error);

static inline int
usbip_failure(struct usbip_transport *t)
{
	return atomic_load_explicit(&t->failure, memory_order_relaxed);
}

/* Waits for the socket or a wake-up, `timeout_ms` at most, and works.  The
 * reader. */
void usbip_wait_and_work(struct usbip_transport *t, int timeout_ms);

/* Members of transport_ops. */
int usbip_control(struct transport *base,
    const struct usb_setup_packet *setup, void *data, unsigned timeout_ms);
int usbip_get_configuration(struct transport *t);
int usbip_set_configuration(struct transport *t, int value, int interfaces);
int usbip_claim(struct transport *t, int interface);
int usbip_clear_halt(struct transport *t, uint8_t endpoint);
int usbip_reset(struct transport *base);

#endif
