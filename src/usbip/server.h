/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_H
#define MUXD_USBIP_SERVER_H

/*
 * USB/IP server engine: offers devices to importers over TCP and UNIX sockets.
 * What a device does with a URB is its backend's affair (a virtual device, or
 * a real one behind libusb); this is the contract between the two.
 *
 * Threads of the engine:
 *	server	one: accepts, answers DEVLIST, watches and DEVINFO, starts
 *		imports.  Never blocks.
 *	rx	one per import: reads PDUs, calls submit() and cancel().
 *	tx	one per import: decides between completion and unlink, sends
 *		replies, several with one system call.
 *
 * Life of a device: plug() - [imported() - submit(), cancel() ... - released()]
 * any number of times - unplug() - unplugged().  The engine's calls of
 * imported, submit, cancel, forget and released for one import all come from
 * its rx thread, one after another.
 *
 * Life of a URB: the engine takes it from the import's pool, fills it and
 * hands it to submit(); the backend owns it and its buffer until it calls
 * usbip_urb_complete(), exactly once, whatever happens.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "actor/mailbox.h"
#include "base/cause.h"
#include "base/clock.h"
#include "usbip/urb.h"
#include "wire/usbip.h"

/* ---- Bounds ------------------------------------------------------------- */

/* URBs of one import under way, unsent replies included: one import must not
 * take the host's memory.  At the bound a SUBMIT waits.  Those without data are
 * put aside meanwhile, so that an UNLINK behind them is still read; but one
 * behind a SUBMIT with data waits with it, so a driver's queues must fit. */
#define USBIP_SERVER_URBS_MAX 4096
/* Bytes of their buffers, and of their ISO packets, 32 each: four of the
 * largest.  What a backend needs besides (a buffer in another form, a system's
 * transfer) comes on top. */
#define USBIP_SERVER_BYTES_MAX (64u * 1024 * 1024)
/* Interfaces that a description may list (Linux' USB_MAXINTERFACES). */
#define USBIP_SERVER_INTERFACES_MAX 32

/* ---- Device ------------------------------------------------------------- */

/*
 * Keeps the URB's memory from being reused beyond its completion, for a
 * backend that hands cancel() on to another thread: get() inside cancel(),
 * put() when the message has been looked at.  The import's end waits for it.
 * get: the rx thread in cancel(), or the URB's owner; put: any thread.
 */
void usbip_urb_get(struct usbip_urb *urb);
void usbip_urb_put(struct usbip_urb *urb);

/* What DEVLIST, IMPORT and DEVINFO tell. */
struct usbip_description {
	struct usbip_device_entry device; /* busid names it; unique */
	/* device.interface_count of them */
	struct usbip_interface interfaces[USBIP_SERVER_INTERFACES_MAX];
	/* Records of usbip_info_add(), at most USBIP_INFO_MAX bytes; the
	 * caller's, copied.  NULL: none, and DEVINFO is refused. */
	const uint8_t *info;
	size_t info_len;
};

/* A member of the backend's own structure, which knows how to get from here
 * to there. */
struct usbip_device {
	const struct usbip_device_ops *ops;
	struct usbip_export *engine; /* the engine's */
};

struct usbip_device_ops {
	/*
	 * An importer wants the device: open, claim, reset, whatever it takes.
	 * USBIP_ST_OK, or the status that the importer is refused with
	 * (USBIP_ST_DEV_ERR: the device does not work; USBIP_ST_NA: it cannot
	 * be had).  After a refusal neither submit() nor released() follow.
	 * rx thread; may block for a second or two.  May be NULL.
	 */
	int (*imported)(struct usbip_device *dev);

	/*
	 * The import is over: every URB of it has been completed, and
	 * forgotten.  Once for each imported() that succeeded; the next
	 * importer is let in only after it has returned.  rx thread; may block
	 * for a second or two (reset, re-attach a driver).  May be NULL.
	 */
	void (*released)(struct usbip_device *dev);

	/*
	 * Takes the URB and begins on it, or queues it.  URBs of one endpoint
	 * come in the order of the wire and must be worked on in that order;
	 * no endpoint may hold up another.  What is wrong with the URB (no such
	 * endpoint, ISO on a bulk endpoint) is said by completing it.  Requests
	 * on endpoint 0 come as they are: a backend over a real bus carries out
	 * SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE(ENDPOINT_HALT) and
	 * port reset by its library's functions instead of sending them raw.
	 * rx thread; must not wait for the device or for another thread.
	 */
	void (*submit)(struct usbip_device *dev, struct usbip_urb *urb);

	/*
	 * The URB is no longer wanted: complete it soon (within a second), with
	 * USBIP_ECONNRESET unless it is done already; URBs behind it on the
	 * endpoint stay.  Called at most once a submit().  The URB may have been
	 * completed by another thread meanwhile: then nothing is to be done.  Its
	 * memory, `backend` and `backend_state` are good during this call in
	 * any case.  rx thread; must not wait.
	 */
	void (*cancel)(struct usbip_device *dev, struct usbip_urb *urb);

	/*
	 * The engine is about to free the URB object: free what `backend`
	 * points to.  rx thread.  May be NULL.
	 */
	void (*forget)(struct usbip_device *dev, struct usbip_urb *urb);

	/*
	 * The end of usbip_server_unplug(): the engine will not touch the
	 * device again, and the backend may free it.  Server thread; must not
	 * block.  May be NULL.
	 */
	void (*unplugged)(struct usbip_device *dev);
};

/* ---- Server ------------------------------------------------------------- */

struct usbip_server;

/* Starts the server's thread, with neither sockets nor devices.  NULL and a
 * cause on failure. */
struct usbip_server *usbip_server_new(struct cause *why);

/*
 * Takes over a listening socket (from sock_listen(); its address is the
 * caller's choice and there is no authentication: who reaches it owns the
 * devices).  0, or -1 and a cause; the descriptor is the server's in any case.
 * Removing a UNIX socket's file at the end is the caller's affair.  Any thread.
 */
int usbip_server_listen(struct usbip_server *s, int fd, struct cause *why);

/*
 * The same with a connected stream socket, as if it had been accepted, but the
 * gate is not asked.  `ended` (may be NULL) is called when the connection has
 * been closed, and the import that came of it, if any, is over: once, unless
 * this returns -1.  Server thread; it must not block.
 */
int usbip_server_adopt(struct usbip_server *s, int fd,
    void (*ended)(void *arg), void *arg, struct cause *why);

/*
 * Who may come: `admit` is asked about each connection that is accepted, with
 * the address that accept() gave, and one that it refuses is closed at once.
 * Before the first listen(); `admit` runs on the server thread, and must not
 * block.
 */
void usbip_server_set_gate(struct usbip_server *s,
    bool (*admit)(void *arg, const struct sockaddr *peer, socklen_t len),
    void *arg);

/*
 * Offers `dev`, whose `ops` are set, under `desc` (copied); it must live until
 * unplugged() has been called.  Watchers are told.  0, or -1 and a cause: the
 * busid is taken or malformed, memory has run out.  imported() may be called
 * before this returns.  Any thread; does not block.
 */
int usbip_server_plug(struct usbip_server *s, struct usbip_device *dev,
    const struct usbip_description *desc, struct cause *why);

/* The description has changed (the current configuration, say; the busid must
 * not).  For later lists; watchers are not told.  Without memory for the info it
 * has none.  Any thread, between plug() and unplug(); does not block. */
void usbip_server_update(struct usbip_server *s, struct usbip_device *dev,
    const struct usbip_description *desc);

/*
 * The device is gone.  Watchers are told; an import of it ends: its URBs are
 * cancelled and answered with USBIP_ESHUTDOWN, the connection is closed, and
 * released() called.  Then comes unplugged().  Returns at once; any thread,
 * also from within the device's own functions; once.
 */
void usbip_server_unplug(struct usbip_server *s, struct usbip_device *dev);

#define USBIP_SERVER_PEER_SIZE 64

/* A device, and who has it. */
struct usbip_server_row {
	char busid[USBIP_BUSID_SIZE + 1];
	/* The importer's address; "": nobody has it, and the rest is 0. */
	char peer[USBIP_SERVER_PEER_SIZE];
	struct moment since;
	uint32_t in_flight; /* URBs */
	uint64_t urbs;      /* done, of this import */
	uint64_t bytes_in, bytes_out; /* that they moved; IN: from the device */
};

/* What is plugged now, in the order of plugging: how many devices, of which the
 * first `max` are in `rows`.  Any thread; does not block. */
size_t usbip_server_snapshot(struct usbip_server *s,
    struct usbip_server_row *rows, size_t max);

/* Ends the import of that device as if its importer had gone; the device stays
 * plugged.  Returns at once: the import ends soon.  False: nobody has it.  Any
 * thread. */
bool usbip_server_kick(struct usbip_server *s, const char *busid);

/* Closes the sockets, unplugs what is still plugged, waits until every import
 * has ended and every unplugged() has been called, and frees the server.  Not
 * from a thread of the engine; nothing else may use the server meanwhile,
 * usbip_urb_complete() and usbip_urb_put() excepted. */
void usbip_server_free(struct usbip_server *s);

#endif
