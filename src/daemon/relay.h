/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_RELAY_H
#define MUXD_DAEMON_RELAY_H

/* How bytes move between a client's socket and its phone: one step each, none
 * of which waits.  For connection.c, which owns the loop. */

#include <poll.h>
#include <stdbool.h>

#include "actor/mailbox.h"
#include "daemon/roles.h"

struct client;

/* As in poll(): the client sends no more.  Where the system does not tell, a
 * read that finds nothing does. */
#ifdef POLLRDHUP
#define RELAY_CLIENT_EOF POLLRDHUP
#else
#define RELAY_CLIENT_EOF 0
#endif

/* Takes a message of any kind; packets join what waits for the client. */
void relay_take_message(struct client *c, struct msg *m) RUNS_ON(on_worker);

/* Writes what waits, as much as the socket takes (conn->ready). */
void relay_to_client(struct client *c) RUNS_ON(on_worker);

/* The phone takes bytes, and there is a buffer for them. */
bool relay_can_upload(struct client *c) RUNS_ON(on_worker);
/* Reads what the socket has (conn->ready), as long as there is room for it. */
void relay_from_client(struct client *c) RUNS_ON(on_worker);

/* The client reads no more; what it wrote may still be in the socket. */
void relay_client_left(struct client *c) RUNS_ON(on_worker);

/* Sends an acknowledgement if one is due, or notes when it will be. */
void relay_acknowledge(struct client *c) RUNS_ON(on_worker);

/* Brings the gauges of conn->stats up to date. */
void relay_show(struct client *c) RUNS_ON(on_worker);

#endif
