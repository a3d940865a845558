/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_CONN_H
#define MUXD_USBIP_SERVER_CONN_H

/*
 * A connection before its operation is known, and all its life when that is
 * DEVLIST or DEVINFO.  Server thread; the socket is in non-blocking mode, so a slow or
 * silent client costs nothing but its descriptor.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/role.h"
#include "base/clock.h"
#include "usbip/server.h"
#include "wire/usbip.h"

extern struct role on_usbip_server;

/* For a request to arrive, or a plain list to be fetched. */
#define CONN_OPERATION_MS 10000

enum conn_state {
	CONN_REQUEST, /* reading */
	CONN_IMPORT,  /* IMPORT has been read, and is to be decided */
	CONN_INFO,    /* DEVINFO has been read, and is to be answered */
	CONN_REPLY,   /* sending; then closing */
	CONN_WATCH,   /* sending, or waiting for a change */
	CONN_CLOSED,  /* to be freed */
};

#define CONN_PEER_SIZE USBIP_SERVER_PEER_SIZE

/* Who wants to know that a connection has ended. */
struct conn_end {
	void (*ended)(void *arg); /* or NULL */
	void *arg;
};

static inline void
conn_end_tell(const struct conn_end *end)
{
	if (end->ended != NULL)
		end->ended(end->arg);
}

struct conn {
	struct conn *next;
	int fd; /* -1 when an import has taken it over */
	enum conn_state state;
	struct moment deadline;
	size_t have; /* of the request */
	uint8_t request[USBIP_REQ_IMPORT_SIZE];
	char busid[USBIP_BUSID_SIZE + 1]; /* CONN_IMPORT, CONN_INFO */
	uint8_t *reply; /* NULL: nothing to send */
	size_t reply_len, reply_at;
	uint64_t generation; /* CONN_WATCH: which one `reply` shows, or showed */
	char peer[CONN_PEER_SIZE];
	/* Whom to tell of the end, unless an import has taken that over. */
	struct conn_end end;
};

/* Who is at the other end, in words. */
void conn_name_peer(char out[CONN_PEER_SIZE], int fd);

/* Takes over `fd`, in any case.  NULL: out of memory. */
struct conn *conn_new(int fd) RUNS_ON(on_usbip_server);
/* Closes, and tells of it. */
void conn_free(struct conn *c) RUNS_ON(on_usbip_server);

/* What to wait for, as poll() wants it. */
short conn_events(const struct conn *c) RUNS_ON(on_usbip_server);

/*
 * The socket is readable.  A whole request changes the state: to CONN_IMPORT
 * or CONN_INFO; or, for DEVLIST, to CONN_REPLY or CONN_WATCH without a reply, which the
 * caller then gives.
 */
void conn_receive(struct conn *c) RUNS_ON(on_usbip_server);

/* Sends as much as the socket takes. */
void conn_send(struct conn *c) RUNS_ON(on_usbip_server);

/* Begins to send a reply, which becomes the connection's; NULL closes. */
void conn_reply(struct conn *c, uint8_t *reply, size_t len)
    RUNS_ON(on_usbip_server);

/* Answers IMPORT or DEVINFO with an error. */
void conn_refuse(struct conn *c, uint32_t status) RUNS_ON(on_usbip_server);

#endif
