/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_VIRTUAL_UNIT_H
#define MUXD_VIRTUAL_UNIT_H

/*
 * A simulated device, as its host in this process has it: a gadget on a bus that
 * is only a list, and those who have opened it.
 *
 * URBs come as messages to the unit's runner (runner.h) and go back through a
 * queue of the one who has opened it.  Only the runner works on them; the
 * gadget's lock is held around that, for testers' sake and for those who look
 * or open, and is next to never waited for.
 */

#include "actor/mailbox.h"
#include "phone/gadget.h"
#include "usbnet/virtual.h"

struct runner;

struct unit {
	struct gadget *gadget;
	struct runner *runner;
	struct unit *next;  /* of the runner */
	struct moment due;  /* the runner's: when the gadget is to be ticked */

	/* ---- Under the gadget's lock ---- */
	bool offered;
	struct usbip_device_entry entry;
	uint8_t *info; /* owned */
	size_t info_len;
	struct virtual_open *opens;
};

/* What is in the runner's mailbox, and in the queue of an open. */
enum unit_message {
	UNIT_SUBMIT, /* a URB: to the device... */
	UNIT_CANCEL, /* ...wanted back... */
	UNIT_DETACH, /* an open: to be forgotten */
	UNIT_DONE,   /* a URB: from the device... */
	UNIT_CANCELLED, /* ...of which nobody speaks any more */
	UNIT_LEFT,      /* an open: the device has been unplugged */
};

/* A transfer of the host's, for as long as it is in flight; then it is used
 * again. */
struct unit_urb {
	struct usbip_urb usb; /* first: the device's, between SUBMIT and DONE */
	struct virtual_open *open;
	int32_t status; /* the result */
	uint32_t actual;

	/* ---- The link's lock ---- */
	struct importer_urb *from;
	struct unit_urb *next_free, *next_of_all;
	bool busy;       /* in flight */
	bool cancelling; /* CANCEL is on its way, there or back */
};

struct virtual_open {
	struct unit *unit;
	struct queue done; /* the link's lock: its consumer */
	struct waker *handler; /* references */
	struct waker *other;
	_Atomic unsigned attending; /* those who wait for `other` */

	/* ---- The link's lock ---- */
	struct unit_urb *free, *all;
	uint64_t moved;
	bool left, dropped;

	/* ---- The gadget's lock ---- */
	struct virtual_open *next; /* of the unit's */
	bool attached;
	struct msg detach, leave;

	/* ---- The runner's ---- */
	struct virtual_open *next_woken;
	bool woken; /* it is to be woken at the end of the batch */

	bool detached; /* under the lock `detaching` */
};

/* The gadget's bus, whose argument is a unit. */
extern const struct gadget_bus unit_bus;

/* ---- The runner --------------------------------------------------------- */

void unit_submit(struct unit *u, struct unit_urb *urb);
void unit_cancel(struct unit *u, struct unit_urb *urb);
/* Takes back what the open has in flight.  open_detached() when it has been
 * woken for the last time. */
void unit_detach(struct unit *u, struct virtual_open *o);
void open_detached(struct virtual_open *o);

/* Wakes who waits for it. */
void open_wake(struct virtual_open *o);

/* ---- The host (open.c) -------------------------------------------------- */

struct virtual_open *open_new(struct unit *u,
    const struct usbip_device_entry *e, struct waker *w);
uint8_t open_configuration(struct virtual_open *o);
int open_fd(const struct virtual_open *o);
void open_attend(struct virtual_open *o, bool on);
void open_submit(struct virtual_open *o, struct importer_urb *from);
void open_unlink(struct virtual_open *o, struct importer_urb *from);
bool open_work(struct virtual_open *o);
bool open_ready(struct virtual_open *o);
uint64_t open_moved(const struct virtual_open *o);
void open_abort(struct virtual_open *o);
void open_drop(struct virtual_open *o);
void open_free(struct virtual_open *o);

#endif
