/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_VIRTUAL_H
#define MUXD_USBNET_VIRTUAL_H

/*
 * Devices that are simulated inside the program's process: the contract between
 * the drop-in libusb, which is their host, and the module that simulates them.
 *
 * The module is a library of its own, because it needs more than the C library;
 * it is loaded when USBNET_VIRTUAL says what there shall be, and not before.  It
 * exports one symbol, VIRTUAL_SYMBOL.  Its devices live from the first context
 * to the end of the process, and are seen by all contexts; the threads on which
 * they work are there as long as there is one.
 *
 * What the environment says:
 *	USBNET_VIRTUAL		KIND[=COUNT][,OPTION[=VALUE]...], with blanks
 *				between several
 *	USBNET_VIRTUAL_MODULE	the module's path
 *	USBNET_VIRTUAL_THREADS	how many threads, at most
 *	USBNET_VIRTUAL_REPORT	file for what the devices have counted
 *	USBNET_VIRTUAL_CONTROL	socket for testers
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "usbip/importer.h"
#include "wire/usbip.h"

#define VIRTUAL_SYMBOL "usbnet_virtual"
#define VIRTUAL_MODULE_NAME "usbnet-virtual.so"

struct waker;
struct virtual_open; /* a device that a link has open */

struct virtual_ops {
	/* That of the package; who differs, is not of the same build. */
	const char *version;

	/* Whether the description makes sense, which is tried out.  0, or -1
	 * and a cause.  For the launcher. */
	int (*check)(const char *description, struct cause *why);

	/* In the child of a fork, where the threads are not: nothing has begun,
	 * and all that the parent had open is for drop(). */
	void (*forget)(void);

	/* ---- The bus; any thread ---- */

	/* A context begins, with which the devices begin, unless they have: `w`
	 * is woken when something comes or goes.  0, or -1 and a cause. */
	int (*enter)(struct waker *w, struct cause *why);
	/* It ends, and has nothing open any more. */
	void (*leave)(struct waker *w);
	/* The rest is for contexts that have entered. */
	/* Changes whenever the list does. */
	uint32_t (*generation)(void);
	/* What is plugged in: malloc'ed, the caller's.  NULL: out of memory. */
	struct usbip_device_entry *(*list)(size_t *count);
	/* Its descriptors, for usbip_info_next(); malloc'ed, the caller's.
	 * False: it is not there. */
	bool (*info)(const char *busid, uint8_t **info, size_t *len);

	/* ---- A link ---- */

	/* Opens the device that the list has told of; any number of times.  `w`
	 * is woken when there is something to do.  NULL: it has left, or memory
	 * has run out.  Any thread. */
	struct virtual_open *(*open)(const struct usbip_device_entry *e,
	    struct waker *w);
	/* bConfigurationValue. */
	uint8_t (*configuration)(struct virtual_open *o);
	/* Readable when there is something to do, while somebody watches it who
	 * does not wait for `w`: begins, and ends.  Any thread. */
	int (*fd)(const struct virtual_open *o);
	void (*attend)(struct virtual_open *o, bool on);

	/* The following one at a time: under the link's lock. */

	void (*submit)(struct virtual_open *o, struct importer_urb *urb);
	void (*unlink)(struct virtual_open *o, struct importer_urb *urb);
	/* Completes what is done.  False: the device has left. */
	bool (*work)(struct virtual_open *o);
	/* work() has something to do; if not, there will be a wake-up. */
	bool (*ready)(struct virtual_open *o);
	uint64_t (*moved)(const struct virtual_open *o); /* URBs completed */
	/* Ends what is in flight, with USBIP_ESHUTDOWN, and waits until the
	 * device has let go of it.  Only free() follows. */
	void (*abort)(struct virtual_open *o);
	/* In the child of a fork: only abort() and free() follow. */
	void (*drop)(struct virtual_open *o);
	void (*free)(struct virtual_open *o);
};

#endif
