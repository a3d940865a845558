/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXCLIENT_H
#define MUXCLIENT_H

/*
 * libmuxclient: what a program says to muxd, or to any other daemon of the
 * usbmux protocol.  It lists and watches devices, connects to their ports, and
 * keeps pair records.  libmuxclient(3) tells it with examples.
 *
 * A handle holds settings only.  Each call opens a connection of its own and
 * closes it again, so once a handle is set up any number of threads may use it
 * at the same time; the library has no global state.  It never raises SIGPIPE,
 * never writes to standard error and never exits.
 *
 * Calls return MUXCLIENT_OK (0) or another value of enum muxclient_error, and
 * leave what their out-parameters point to alone unless they succeed.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---- */

enum muxclient_error {
	MUXCLIENT_OK = 0,
	MUXCLIENT_AGAIN,       /* no event has arrived yet: poll, then call again */
	MUXCLIENT_BAD_ADDRESS, /* the daemon's address cannot be understood */
	MUXCLIENT_NO_DAEMON,   /* nobody listens at that address */
	MUXCLIENT_TIMEOUT,     /* the daemon or the device took too long */
	MUXCLIENT_CLOSED,      /* the daemon hung up */
	MUXCLIENT_GARBLED,     /* the daemon's answer cannot be understood */
	MUXCLIENT_UNSUPPORTED, /* the daemon does not know this request */
	MUXCLIENT_NO_DEVICE,   /* no such device is attached */
	MUXCLIENT_REFUSED,     /* the device refused: nothing serves that port */
	MUXCLIENT_NO_RECORD,   /* the host has no such pair record */
	MUXCLIENT_INVALID,     /* an id or a record that cannot be one */
	MUXCLIENT_STORE,       /* the daemon cannot store that; errno says why */
	MUXCLIENT_NO_MEMORY,
	MUXCLIENT_SYSTEM,      /* the local system refused a socket; see errno */
};

/* A sentence without its full stop, for any value.  Static text. */
const char *muxclient_strerror(enum muxclient_error error);

/* ---- The handle ---- */

struct muxclient;

/*
 * A handle for the daemon that USBMUXD_SOCKET_ADDRESS names, or else for the
 * one at the system's usual place (/var/run/usbmuxd); timeout 5000 ms.  NULL
 * when memory has run out.  Free it when no call and no watch uses it.
 */
struct muxclient *muxclient_new(void);
void muxclient_free(struct muxclient *mc);

/*
 * Settings, to be made before the handle is shared between threads.
 *
 * The address is "unix:/path" (or "UNIX:/path", or a path with a '/'),
 * "host:port" or "[v6]:port".  MUXCLIENT_BAD_ADDRESS when it is neither; an
 * environment variable that is not comes out of the first request instead.
 */
enum muxclient_error muxclient_set_address(struct muxclient *mc,
    const char *address);
/* How long one call may take in all, in milliseconds; -1: no limit. */
void muxclient_set_timeout(struct muxclient *mc, int ms);
/* How the program presents itself to the daemon: its name, and a reversed
 * domain name (may be NULL). */
void muxclient_set_program(struct muxclient *mc, const char *name,
    const char *bundle_id);

/* The daemon's address as text, as long as the handle lives and no other is
 * set. */
const char *muxclient_address(const struct muxclient *mc);

/* ---- Devices ---- */

enum muxclient_link { /* bits, so that a search can name several */
	MUXCLIENT_USB = 1,
	MUXCLIENT_NETWORK = 2,
};

#define MUXCLIENT_UDID_MAX 64
#define MUXCLIENT_ADDRESS_MAX 128

struct muxclient_device {
	uint32_t id; /* the daemon's number for it, until it is detached */
	enum muxclient_link link;
	char udid[MUXCLIENT_UDID_MAX];
	uint16_t product_id; /* USB's idProduct; 0 unknown */
	uint32_t location;   /* where it is plugged in; 0 unknown */
	uint64_t speed;	     /* of the bus, bits per second; 0 unknown */
	/* MUXCLIENT_NETWORK only: its mDNS name, interface, and a sockaddr. */
	char service[MUXCLIENT_ADDRESS_MAX];
	uint32_t interface_index;
	uint8_t address[MUXCLIENT_ADDRESS_MAX];
	size_t address_len;
};

/* The attached devices in the daemon's order: an array of *count (maybe 0),
 * to be freed with free(). */
enum muxclient_error muxclient_list(const struct muxclient *mc,
    struct muxclient_device **list, size_t *count);

/*
 * One attached device: with that UDID (hyphens and case do not matter), or the
 * first when `udid` is NULL, on one of the `links` (bits of muxclient_link); a
 * USB one is preferred.  MUXCLIENT_NO_DEVICE when there is none.
 */
enum muxclient_error muxclient_find(const struct muxclient *mc,
    const char *udid, unsigned links, struct muxclient_device *out);

/*
 * Connects to `port` of device `id`.  *fd is then a connected stream socket in
 * blocking mode, close-on-exec and the caller's: the first byte read from it
 * is the first that the device sent.  MUXCLIENT_NO_DEVICE, MUXCLIENT_REFUSED.
 */
enum muxclient_error muxclient_connect(const struct muxclient *mc, uint32_t id,
    uint16_t port, int *fd);

/* ---- Watching ---- */

enum muxclient_event_type {
	MUXCLIENT_ATTACHED,
	MUXCLIENT_DETACHED,
	MUXCLIENT_PAIRED, /* a pair record has been stored for it */
};

struct muxclient_event {
	enum muxclient_event_type type;
	uint32_t id;
	struct muxclient_device device; /* ATTACHED only */
};

struct muxclient_watch;

/*
 * Starts watching: every device that is attached now gives an ATTACHED event,
 * then each change gives one.  A watch has one user at a time; it does not
 * need the handle any more.
 */
enum muxclient_error muxclient_watch_open(const struct muxclient *mc,
    struct muxclient_watch **out);
void muxclient_watch_close(struct muxclient_watch *w);

/* To be polled for reading.  The watch's own: do not read from it. */
int muxclient_watch_fd(const struct muxclient_watch *w);

/*
 * The next event, without waiting: MUXCLIENT_AGAIN when there is none yet.
 * MUXCLIENT_CLOSED, MUXCLIENT_GARBLED: the watch is over and all devices are
 * to be taken as detached; close it, and open another to go on.
 */
enum muxclient_error muxclient_watch_next(struct muxclient_watch *w,
    struct muxclient_event *event);

/* ---- Pair records ---- */

#define MUXCLIENT_BUID_MAX 128

/* The id of this host, which stands in every pair record that it makes. */
enum muxclient_error muxclient_read_buid(const struct muxclient *mc,
    char out[MUXCLIENT_BUID_MAX]);

/* The record's property list, XML or binary as it was stored; free *bytes with
 * free().  MUXCLIENT_NO_RECORD. */
enum muxclient_error muxclient_read_record(const struct muxclient *mc,
    const char *udid, void **bytes, size_t *len);

/* Stores a record.  With `device_id` (0: none) whoever watches is told that
 * this device has been paired. */
enum muxclient_error muxclient_save_record(const struct muxclient *mc,
    const char *udid, const void *bytes, size_t len, uint32_t device_id);

enum muxclient_error muxclient_delete_record(const struct muxclient *mc,
    const char *udid);

#ifdef __cplusplus
}
#endif

#endif
