/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_UDC_INT_H
#define MUXD_PHONE_UDC_INT_H

/*
 * The parts of udc.h among themselves.
 *
 *	udc.c		life, the thread, plugging
 *	udc_control.c	events, and requests on endpoint 0
 *	udc_data.c	the two bulk endpoints
 *
 * All of it is the udc's thread's, but for what is said to be another's.  It
 * sleeps on its waker, which the kernel wakes for events and for transfers that
 * have ended, and the device for URBs that it has completed.
 */

#include <stdatomic.h>

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "phone/aio.h"
#include "phone/configfs.h"
#include "phone/udc.h"

#define UDC_TRANSFERS 4
/* What a read or a write of FunctionFS has in one piece: a multiple of all
 * packet sizes, and as much as a host asks for. */
#define UDC_TRANSFER_SIZE 16384
/* The kernel's own limit for a request's data. */
#define UDC_CONTROL_SIZE 4096

struct pipe;

/* One transfer, which goes round between the kernel and the device. */
struct transfer {
	struct usbip_urb urb; /* first */
	struct pipe *pipe;
	/* An IN transfer that fills its last packet and is the last of what the
	 * device had to say is followed by an empty one. */
	struct iocb data, zlp;
	unsigned flying; /* of these two, in the kernel */
	bool in_device;  /* or on its way back */
	unsigned session; /* in which it was begun */
	int status;       /* the device's, with `actual` */
	uint32_t actual;
	uint8_t buffer[UDC_TRANSFER_SIZE];
};

struct pipe {
	struct udc *udc;
	const struct desc_endpoint *endpoint;
	int fd;
	unsigned flying; /* in the kernel, of all transfers */
	/* The device has halted it.  The kernel is told when it has nothing
	 * under way; then the halt is the kernel's. */
	bool halt_due;
	struct transfer transfers[UDC_TRANSFERS];
};

/* The one request on endpoint 0. */
struct control {
	struct usbip_urb urb; /* first */
	struct udc *udc;
	bool pending; /* the device has not answered */
	struct moment since;
	int status;
	uint32_t actual;
	uint8_t buffer[UDC_CONTROL_SIZE];
};

struct udc {
	struct gadget *gadget; /* since it was first plugged */
	const char *wanted;
	struct waker *waker;
	struct thread thread;
	bool running; /* main thread's: the thread has been started */
	_Atomic bool quitting;
	/* Set by the main thread when it has pulled the cable, for the thread to
	 * tell the device. */
	_Atomic bool unbound;
	/* Set by the main thread: a tester has halted an endpoint. */
	_Atomic bool halted;
	struct mailbox done; /* URBs from the device */

	/* The main thread's. */
	struct configfs configfs;
	char name[CONFIGFS_UDC_MAX];

	int dir_fd, ep0_fd;
	aio_context_t aio;
	uint8_t value; /* bConfigurationValue, of the one with the mux */
	/* The host has configured the device, and transfers can be begun.  Each
	 * time is another session; what was begun in an earlier one is
	 * dropped. */
	bool moving;
	unsigned session;
	struct control control;
	struct pipe out, in;
};

/* ---- udc_control.c ------------------------------------------------------ */

extern const struct usbip_urb_host udc_control_host;

/* Works on all events that have come, up to a request that the device does not
 * answer at once: those behind it wait. */
void udc_take_events(struct udc *u);
/* The device has answered. */
void udc_control_done(struct control *c);

/* ---- udc_data.c --------------------------------------------------------- */

/* Opens its file.  0, or -1 and a cause. */
int pipe_open(struct pipe *p, struct udc *u, const char *name,
    const struct desc_endpoint *e, struct cause *why);
/* When nothing is under way. */
void pipe_close(struct pipe *p);

/* Begins what can be begun. */
void pipe_run(struct pipe *p);
/* Hands a halt that the device has on to the kernel. */
void pipe_look_for_halt(struct pipe *p);
/* The device has had enough of it. */
void pipe_done(struct transfer *t);
/* Takes what the kernel has ended.  False: nothing. */
bool udc_take_ended(struct udc *u);

#endif
