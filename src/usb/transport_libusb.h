/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_TRANSPORT_LIBUSB_H
#define MUXD_USB_TRANSPORT_LIBUSB_H

/*
 * The USB of this host, through libusb: what its source, the opening of a
 * device and its transfers share.
 *
 * Each opened device has a libusb context of its own, whose events its reader
 * handles; so no device waits for another's callbacks.  How they are found and
 * opened is told in transport_libusb_open.c; all else is portable.
 *
 * Threads: the reader's, but for what is said to be the writer's.  Between the
 * two stand two lock-free queues and a few atomics; libusb does the rest.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <libusb.h>

#include "actor/queue.h"
#include "actor/recycler.h"
#include "base/clock.h"
#include "usb/claim_mark.h"
#include "usb/read_budget.h"
#include "usb/reading.h"
#include "usb/transport.h"

/*
 * Reads in flight that a device wants: 512 KiB are 1.3 ms of SuperSpeed and 13 ms
 * of a high-speed bus, during which the host may be busy with something else.  A
 * phone that is faster than that is worked on in batches: with a quarter of them
 * reader and phone mostly wait for one another.
 */
#define LOCAL_READS 32
/* And of its interrupt endpoint, if it has one: one packet each. */
#define LOCAL_EVENTS 2

struct local_transport;

struct local_read {
	struct local_transport *t;
	struct libusb_transfer *transfer; /* NULL: no such endpoint */
	enum usb_pipe pipe;
	struct chunk *chunk; /* being filled; NULL: not in flight */
};

/*
 * A frame on its way out: its data and, behind it, its empty packet.  Kept for
 * reuse: the writer takes it, the reader returns it.
 */
struct local_write {
	struct qnode node; /* spare, returned or parked */
	struct local_write *next; /* of all that the device has */
	struct local_transport *t;
	struct tx *tx;
	uint64_t number; /* the writer's count of frames, this one included */
	struct libusb_transfer *data, *zlp;
	/* Of whoever submits: the writer, or the reader if it is parked. */
	bool has_zlp, data_submitted;
	_Atomic int left;    /* transfers that are not done; 0: not in use */
	_Atomic int error;   /* the first of them */
};

struct local_transport {
	struct transport base; /* first */
	char key[64];          /* of the device, for log lines */
	/* Until stop().  The lock is for interrupt(), which any thread may call
	 * after that; the others need none. */
	pthread_mutex_t wake_lock;
	libusb_context *ctx;
	libusb_device_handle *handle;
	int fd; /* the device's file that the handle is for; -1: it has its own */
	int claimed; /* interface, -1: none */
	int configuration; /* that it must be in; -1: any */

	_Atomic bool interrupted;
	_Atomic bool halted;
	/* A usb_error after which nothing will work again; the first counts. */
	_Atomic int failure;
	bool explained; /* the reader has asked what is behind it */
	/* Transfers that libusb has, of both directions. */
	_Atomic int flying;

	/* ---- Reading: the reader's ---- */
	struct read_budget *budget;
	struct read_claim claim;
	struct chunk_pool *pool; /* NULL before start() */
	struct reading reading;
	struct local_read reads[LOCAL_READS + LOCAL_EVENTS];
	uint8_t in[USB_PIPES]; /* endpoints; 0: there is none */
	bool wrote; /* frames have been done since read() has returned */
	uint32_t reaped; /* transfers that have come back, ever */
	bool drained;    /* libusb had no more when it was last asked */
	bool leaked;     /* transfers did not end: neither can this be freed */
	/* Since when nothing could be submitted for want of memory. */
	struct moment starved_since;
	struct claim_mark mark; /* set by start() */
	bool unchecked;         /* reads have completed since the last look */
	struct moment check_at; /* the next one, not before that */

	/* ---- Writing ---- */
	uint8_t out, event_out;
	/* Frames that found no memory wait here for the reader to submit them.
	 * While there are any, the writer puts its frames behind them. */
	struct queue parked;
	_Atomic int parked_count;
	struct qnode *unparked; /* taken from there; the reader's */
	struct recycler frames; /* taken by the writer */
	struct local_write *writes; /* all; the writer's, at the end anyone's */
	uint64_t frames_taken;      /* ever; the writer's */
};

static inline struct local_transport *
local_of(struct transport *t)
{
	return (struct local_transport *)t;
}

/* libusb's error codes as a usb_error. */
int local_error(int libusb_error);

/* Opens the device at the place of `ident`.  A usb_error and a cause, or
 * USB_OK and *out.  Any thread. */
int local_open(struct read_budget *budget, const struct usb_ident *ident,
    struct transport **out, struct cause *why);

/* Ends the transport; the first failure counts.  Any thread. */
void local_fail(struct local_transport *t, int error);

/* Whether the device is, as far as can be seen, as it was when it was claimed:
 * USB_OK or USB_ERROR_TAKEN. */
int local_verify(struct local_transport *t);
/* What is behind an error: another program's doing is USB_ERROR_TAKEN. */
int local_explain(struct local_transport *t, int error);

/* A transfer is handed to libusb, or libusb refuses it: one of its codes. */
int local_submit(struct local_transport *t, struct libusb_transfer *x);
/* It has come back: a usb_error. */
int local_reap(struct local_transport *t, const struct libusb_transfer *x);

static inline int
local_failure(struct local_transport *t)
{
	return atomic_load_explicit(&t->failure, memory_order_relaxed);
}

/* ---- transport_libusb_open.c ---- */

/*
 * Chooses how devices are opened by this process, once and before the first.
 * `ctx` is the context that finds them: where they are opened directly, those
 * that are made later find none (libusb has that by the process).
 */
void local_choose_way(libusb_context *ctx);
bool local_is_direct(void);

/* What a device is called, and where it is.  False: it cannot be told. */
bool local_describe(libusb_device *device, struct usb_ident *out);

/* Gives a new transport its context and its device.  A usb_error, after which it
 * has neither. */
int local_attach(struct local_transport *t, const struct usb_ident *ident);
/* Gives up the device. */
void local_close(struct local_transport *t);

/* ---- transport_libusb_read.c ---- */

int local_start(struct transport *t, const struct usb_pipes *pipes,
    struct chunk_pool *pool);
int local_read(struct transport *t, struct chunk **out, int timeout_ms);
int local_watched(struct transport *t, struct pollfd *fds, int max);
int local_look(struct transport *t, struct chunk **out);
int local_patience(struct transport *t);
/* Handles libusb's events, `timeout_ms` at most, or until the first.  False:
 * libusb cannot. */
bool local_handle_events(struct local_transport *t, int timeout_ms);
void local_reads_cancel(struct local_transport *t, enum usb_pipe pipe);
/* Puts back the chunks that nobody took. */
void local_reads_drop(struct local_transport *t);
void local_reads_fini(struct local_transport *t);

/* ---- transport_libusb_write.c ---- */

void local_write(struct transport *t, struct tx *tx);
/* Submits what is parked, as far as there is memory. */
void local_writes_unpark(struct local_transport *t);
/* Calls done() for every frame that is not yet done. */
void local_writes_abandon(struct local_transport *t);
/* What the device has not taken by now it never gets; and it gets nothing that
 * was written after that. */
void local_writes_cancel(struct local_transport *t);
void local_writes_fini(struct local_transport *t);

#endif
