/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_PHONE_H
#define MUXD_PHONE_PHONE_H

/*
 * One virtual phone, as the USB/IP server has it and as a tester has it.
 *
 * It has no thread of its own.  URBs are worked on where they arrive, on the
 * import's rx thread; testers' commands and what is due by time run on the main
 * thread.  The phone's lock is held around each, for as long as that takes to
 * move what can be moved; nothing under it blocks, and completing a URB takes
 * no lock, so it is the only lock on the way.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "phone/device.h"
#include "phone/identity.h"
#include "usbip/server.h"

struct json;

/* How long a phone stays away that was told to leave and to come back. */
#define PHONE_AWAY_MS 100

enum phone_place {
	PHONE_AWAY,    /* the server does not know of it */
	PHONE_PLUGGED,
	PHONE_LEAVING, /* unplugged; the server has not let go of it yet */
};

struct phone {
	struct usbip_device usb; /* first: the server's pointer is ours */
	struct usbip_server *server;
	struct waker *waker; /* the main thread's; not ours */
	struct identity id;
	struct device device;
	pthread_mutex_t lock; /* of all that follows, and of `device` */

	enum phone_place place; /* AWAY to PLUGGED to LEAVING: main thread */
	bool imported;
	bool wanted;            /* to be plugged when it is away */
	struct moment back_at;  /* and from when on */
	unsigned next_mode;     /* in which it comes back */
	uint8_t lap;            /* makes a new address each time */
	struct moment armed;    /* when the main thread will look again */
};

/* `server` and `waker` must outlive it; `p->id` is set.  Main thread. */
void phone_init(struct phone *p, struct usbip_server *server,
    struct waker *waker, enum desc_speed speed);
/* After the server has let go of it. */
void phone_fini(struct phone *p);

/* Offers it for the first time.  0, or -1 and a cause.  Main thread. */
int phone_plug_in(struct phone *p, struct cause *why);

/*
 * Does what is due: pumps a slow phone, lets one leave or come back.  When to
 * call it again, unless the waker calls earlier.  Main thread.
 */
struct moment phone_tick(struct phone *p);

/* ---- What a tester can do; main thread ---------------------------------- */

/* As somebody who pulls the cable, and puts it in again: the mode is the
 * initial one afterwards. */
void phone_plug(struct phone *p);
void phone_unplug(struct phone *p);
/* Both, with a little time between. */
void phone_bounce(struct phone *p);

/* The device, to change something in; and to let it go on afterwards. */
struct device *phone_lock(struct phone *p);
void phone_unlock(struct phone *p);

/* The members of an object: where it is; and what it has counted. */
void phone_describe(struct phone *p, struct json *j);
void phone_report(struct phone *p, struct json *j, bool connections);

#endif
