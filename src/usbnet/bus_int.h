/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_BUS_INT_H
#define MUXD_USBNET_BUS_INT_H

/* Between the files bus*.c.  Everything under the context's lock. */

#include <netdb.h>

#include "base/sock.h"
#include "usbnet/bus.h"
#include "usbnet/bus_list.h"

enum un_bus_state {
	UN_BUS_IDLE,       /* no socket; not yet, unless `settled` */
	UN_BUS_CONNECTING, /* to one of its host's addresses */
	UN_BUS_RECEIVING,  /* has been asked */
	UN_BUS_WATCHING,   /* has answered; more lists come when they like */
};

struct un_bus {
	struct libusb_context *ctx;
	uint8_t number;
	struct sock_addr server;
	struct addrinfo *hosts; /* TCP: found once, tried in turn */
	struct addrinfo *next_host;
	struct moment resolve_again; /* not before */
	const char *why_unknown;     /* its host's name; static */

	enum un_bus_state state;
	int fd;                 /* -1 when idle */
	uint32_t sockets;       /* so many it has had: numbers come again */
	struct moment deadline; /* of this step; idle: when to ask again */
	struct moment limit;    /* of all of them, list included */
	struct un_list list;
	bool plain;        /* does not answer when asked to push its list */
	bool pushes;       /* has done so */
	bool settled;      /* has answered, or failed, since it was started */
	unsigned lists;    /* that this connection has given */
	unsigned closings; /* in a row, after one list: it does not push */
	size_t failures;   /* in a row */
	_Atomic int64_t silent_until; /* un_bus_may_ask(); any thread */
	/* No server, but the devices of this process (bus_virtual.h). */
	bool is_virtual;
	uint32_t generation; /* of its list */
	/* un_bus_may_describe(); any thread. */
	_Atomic enum un_bus_answer {
		UN_BUS_UNKNOWN,
		UN_BUS_YES,
		UN_BUS_NO,
	} describes;
};

/* Looks up its host's name, if it is to be started and that is not known.  This
 * takes as long as the system likes; the lock is let go meanwhile. */
void un_bus_resolve(struct un_bus *b);
/* Begins to ask. */
void un_bus_start(struct un_bus *b);
void un_bus_stop(struct un_bus *b);
/* Moves what can be moved. */
void un_bus_move(struct un_bus *b);
/* It is worth waiting for its word.  Any server may keep a connection open and
 * say no more; only one of ours describes devices, too. */
bool un_bus_is_trusted(const struct un_bus *b);
/* Watched: when to ask all the same. */
void un_bus_doubt(struct un_bus *b);
/* Its deadline has passed. */
void un_bus_run_out(struct un_bus *b);
/* What the server has: all of it. */
void un_bus_apply(struct un_bus *b, const struct usbip_device_entry *entries,
    size_t count);
/* The server is away: what it had is, too, but for what is in use. */
void un_bus_apply_nothing(struct un_bus *b);

#endif
