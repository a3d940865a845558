/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_MONITOR_H
#define MUXD_EXPORT_MONITOR_H

/*
 * What is plugged into this host: watches the bus, has a look at each device
 * that comes, and plugs those into the engine that the policy lets through.
 *
 * Whatever happens (libusb's hotplug callback, the clock where there is none),
 * the answer is the same: read the list of devices and see what is different.
 */

#include <stdbool.h>
#include <stddef.h>

#include "actor/mailbox.h"
#include "export/policy.h"
#include "export/probe.h"

/* Where libusb cannot tell of changes, the list is read this often. */
#define MONITOR_POLL_MS 1000
/* The devices that are there at the start are offered together, but wait no
 * longer than this for those that are slow. */
#define MONITOR_SETTLE_MS 4000
/* Looks at a time: each has a thread and a libusb context. */
#define MONITOR_PROBES_MAX 16

struct monitor;

enum monitor_state {
	MONITOR_NEW,     /* will be looked at */
	MONITOR_PROBING, /* is being looked at */
	MONITOR_OFFERED, /* is with the engine */
	MONITOR_KEPT,    /* is not exported; there is a reason */
	MONITOR_LEAVING, /* has gone; the engine or the prober still has it */
};

/* A device, as monitor_list() gives it. */
struct monitor_row {
	struct bus_ident ident;
	enum monitor_state state;
	uint8_t device_class;
	enum usbip_speed speed;
	char serial[PROBE_TEXT_MAX], product[PROBE_TEXT_MAX];
	char reason[128]; /* KEPT: a sentence without its period */
};

/*
 * Starts watching.  `policy` and `server` must live until monitor_free().
 * `settled` is woken once, when all devices that were there at the start have
 * been looked at, or MONITOR_SETTLE_MS have passed.  NULL and a cause.  Main thread, as for all functions here.
 */
struct monitor *monitor_start(const struct policy *policy,
    struct usbip_server *server, struct waker *settled, struct cause *why);

/* Whether that has happened. */
bool monitor_settled(struct monitor *m);

/* How many devices there are, of which the first `max` are in `rows`; any
 * thread. */
size_t monitor_list(struct monitor *m, struct monitor_row *rows, size_t max);

/* Ends the thread; nothing is plugged any more.  Blocks as long as a look may
 * take. */
void monitor_stop(struct monitor *m);
/* After usbip_server_free(), which lets go of the devices. */
void monitor_free(struct monitor *m);

#endif
