/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_SESSION_INT_H
#define MUXD_EXPORT_SESSION_INT_H

/*
 * What the parts of a session share.
 *
 *	session.c		beginning and end (rx thread)
 *	session_events.c	the events thread: queues, order, memory
 *	session_transfer.c	a URB as a libusb transfer (events thread)
 *	session_requests.c	the requests thread
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "base/clock.h"
#include "export/roles.h"
#include "export/session.h"

/* Linux' USB_MAXINTERFACES: nothing beyond can be claimed. */
#define INTERFACES_MAX 32
/* By number and direction; those of control are one. */
#define ENDPOINTS_MAX 32

/* usbip_urb.backend_state */
enum urb_state {
	URB_NEW,        /* in the events thread's mailbox */
	URB_WAITING,    /* in its endpoint's queue */
	URB_FLYING,     /* libusb has it */
	URB_CANCELLING, /* the same, and was asked to give it back */
	URB_REQUESTED,  /* the requests thread carries it out */
	URB_DONE,       /* completed: the engine's */
};

struct endpoint {
	bool exists; /* in the current configuration and settings */
	uint8_t type; /* enum libusb_transfer_type */
	uint16_t max_packet;
	unsigned flying; /* its transfers that libusb has */
	/* What could not be submitted yet; through usbip_urb.msg. */
	struct usbip_urb *first, *last;
	/* When the first began to wait for memory; MOMENT_NEVER: it does not. */
	struct moment starved;
};

/* A transfer, in usbip_urb.backend; the events thread's, and rx' to free. */
struct flight {
	struct session *s;
	struct usbip_urb *urb;
	struct libusb_transfer *x;
	int iso_room; /* packets that it can have */
	/* Where the data cannot lie in the URB's buffer: behind a setup packet,
	 * or packets with gaps between them.  May be NULL. */
	uint8_t *bounce;
	size_t bounce_size;
};

enum request_kind {
	REQUEST_NONE, /* an ordinary control transfer */
	REQUEST_CONFIGURATION,
	REQUEST_INTERFACE,
	REQUEST_CLEAR_HALT,
	REQUEST_RESET,
	REQUEST_ADDRESS,
	/* SET_CONFIGURATION of the current one: its settings go back to 0. */
	REQUEST_FIRST_SETTINGS,
};

/* The blocking request of a session; there is one at a time.  Whose turn it is
 * owns it: EVENTS_REQUEST and REQUESTS_DO pass it on. */
struct request {
	struct msg msg;
	enum request_kind kind;
	uint16_t value, index; /* of its setup packet */
	/* FIRST_SETTINGS: a bit for each interface, and when it is done, for
	 * each with which that went well. */
	uint32_t settings;
	int result; /* 0 or a libusb error */
	/* CONFIGURATION: the new one, NULL when it is none. */
	struct libusb_config_descriptor *configuration;
};

struct session {
	struct bus_ident ident;
	libusb_context *ctx;
	libusb_device_handle *handle;
	const struct session_ops *ops;
	void *arg;

	struct thread events_thread, requests_thread;
	struct mailbox events; /* woken through libusb */
	struct mailbox requests;
	struct waker *requests_waker;
	struct msg events_quit, requests_quit;

	/* The interfaces of the current configuration, a bit for each: rx
	 * before the threads start and after they ended, in between the
	 * requests thread. */
	uint32_t claimed, detached;
	int first_configuration; /* when it was opened; 0: none */

	/* ---- The events thread's ---- */
	/* NULL: the device is in none. */
	struct libusb_config_descriptor *configuration
	    OWNED_BY(on_export_events);
	uint8_t settings[INTERFACES_MAX] OWNED_BY(on_export_events);
	struct endpoint endpoints[ENDPOINTS_MAX] OWNED_BY(on_export_events);
	bool quitting OWNED_BY(on_export_events);
	bool starving OWNED_BY(on_export_events); /* some endpoint is */
	struct request request; /* see there */
	bool requesting OWNED_BY(on_export_events); /* it is under way */
	/* Whose it is; NULL: cancelled meanwhile. */
	struct usbip_urb *request_urb OWNED_BY(on_export_events);
};

static inline unsigned
endpoint_index(uint8_t address)
{
	return (address & 15) == 0 ? 0
	    : (address & 15u) | ((address & 0x80) != 0 ? 16 : 0);
}

/* libusb's error as a URB's status. */
int session_error(int error);

/* ---- session_events.c ---- */

void *session_events_main(void *arg);
/* The mailbox' wake function. */
void session_wake(void *arg);

/* ---- session_transfer.c ---- */

/* Makes a transfer of the URB and submits it.  0 or a libusb error. */
int transfer_start(struct session *s, struct usbip_urb *urb,
    const struct endpoint *e) RUNS_ON(on_export_events);
/* What has come of it, in the URB's buffer and packets: its status and bytes. */
int transfer_finish(struct usbip_urb *urb, uint32_t *actual)
    RUNS_ON(on_export_events);

/* ---- session_requests.c ---- */

void *session_requests_main(void *arg);

/* Which kind of request this setup packet is; its `index` and `value` are then
 * in `r`. */
enum request_kind request_kind_of(const uint8_t setup[8], struct request *r);

/* Takes the interfaces of `c` (may be NULL) from their drivers and claims
 * them.  0, or libusb's error: then as many are claimed as could be.  The
 * requests thread, or rx while that does not run. */
int interfaces_claim(struct session *s,
    const struct libusb_config_descriptor *c);
/* The reverse: releases what is claimed; `attach` gives their drivers back. */
void interfaces_release(struct session *s, bool attach);

#endif
