/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_GADGET_H
#define MUXD_PHONE_GADGET_H

/*
 * One virtual device, as a bus has it (a USB/IP server's, say) and as a tester
 * has it.
 *
 * It has no thread of its own.  URBs are worked on where the bus has them;
 * what is due by time is done by one thread that ticks it.  The gadget's lock is
 * held around each, for as long as that takes to move what can be moved; nothing
 * under it blocks, and completing a URB takes no lock, so it is the only lock on
 * the way.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "phone/device.h"
#include "usbip/server.h"

struct json;
struct pollfd;

/* How long a device stays away that was told to leave and to come back. */
#define GADGET_AWAY_MS 100

enum gadget_place {
	GADGET_AWAY,    /* the server does not know of it */
	GADGET_PLUGGED,
	GADGET_LEAVING, /* unplugged; the server has not let go of it yet */
};

struct gadget;
struct usbip_description;

/* Where hosts find it.  Not under its lock. */
struct gadget_bus {
	/* Offers it.  0, or -1 and a cause.  Who ticks it. */
	int (*plug)(struct gadget *g, const struct usbip_description *desc,
	    struct cause *why);
	/* Takes it away from its hosts, whatever they are doing with it;
	 * gadget_gone() when they have let go of it. */
	void (*unplug)(struct gadget *g);
	/* A tester has halted an endpoint.  May be NULL: the device remembers
	 * it until a host comes there. */
	void (*halted)(struct gadget *g);
	/* What the bus calls its place.  May be NULL: the identity's busid. */
	const char *(*place)(const struct gadget *g);
};

struct gadget {
	struct usbip_device usb; /* first: the server's pointer is ours */
	const struct gadget_bus *bus;
	void *bus_arg;
	struct waker *waker; /* of who ticks it, if anybody; not ours */
	struct device *device; /* owned; what it is and its identity stay */
	pthread_mutex_t lock;  /* of all that follows, and of *device */

	enum gadget_place place; /* AWAY to PLUGGED: who ticks it */
	bool imported;
	bool wanted;          /* to be plugged when it is away */
	bool by_itself;       /* and nobody has touched the cable */
	struct moment back_at; /* and from when on */
	uint8_t lap;          /* makes a new address each time */
	struct moment armed;  /* when the main thread will look again */
	/* Descriptors that it is being polled for: the main thread's own. */
	unsigned watching;
};

/* Takes over `device`; `bus_arg` and `waker` must outlive it. */
void gadget_init(struct gadget *g, const struct gadget_bus *bus, void *bus_arg,
    struct waker *waker, struct device *device);
/* After its bus has let go of it. */
void gadget_fini(struct gadget *g);

/* Offers it for the first time.  0, or -1 and a cause.  Who ticks it. */
int gadget_plug_in(struct gadget *g, struct cause *why);

/*
 * Does what is due: pumps a device for which only time was lacking, lets one
 * leave or come back.  When to call it again, unless the waker calls earlier.
 * Always the same thread.
 */
struct moment gadget_tick(struct gadget *g);

/* What the kind wants to be polled, at most its `descriptors`, and when it
 * wants to be called at the latest; and what poll() has found.  Who ticks it. */
unsigned gadget_watch(struct gadget *g, struct pollfd *pfd,
    struct moment *until);
void gadget_watched(struct gadget *g, const struct pollfd *pfd,
    unsigned count);

/* ---- What a tester can do ----------------------------------------------- */

/* As somebody who pulls the cable, and puts it in again. */
void gadget_plug(struct gadget *g);
void gadget_unplug(struct gadget *g);
/* Both, with a little time between. */
void gadget_bounce(struct gadget *g);

/* device_halt(). */
bool gadget_halt(struct gadget *g, uint8_t address);

/* The device, to change something in; and to let it go on afterwards. */
struct device *gadget_lock(struct gadget *g);
void gadget_unlock(struct gadget *g);
/* The same for the one who ticks it: when to do so. */
struct moment gadget_release(struct gadget *g);

/* Where it is, for people. */
const char *gadget_place(const struct gadget *g);

/* The members of an object: where it is; and what it has counted. */
void gadget_describe(struct gadget *g, struct json *j);
void gadget_report(struct gadget *g, struct json *j, bool more);

/* ---- For buses ---------------------------------------------------------- */

/* No host has it any more. */
void gadget_gone(struct gadget *g);

/* gadget_usbip.c: a USB/IP server, which is the `bus_arg`. */
extern const struct gadget_bus gadget_bus_usbip;

#endif
