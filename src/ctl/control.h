/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_CTL_CONTROL_H
#define MUXD_CTL_CONTROL_H

/*
 * The daemon's control socket, from the other side (wire/admin.h has the
 * messages).  Everything here blocks, but not for longer than
 * CONTROL_TIMEOUT_MS in which the daemon does nothing; causes name the socket
 * and what to do about it.
 */

#include <plist/plist.h>

#include "base/cause.h"
#include "base/sock.h"

/* A daemon answers within milliseconds; on a host that swaps, in seconds. */
#define CONTROL_TIMEOUT_MS 10000

struct control {
	const char *daemon; /* its program, for messages */
	int fd; /* -1: not open */
	uint32_t tag;
	char name[SOCK_ADDR_TEXT_MAX]; /* the address, for messages */
};

/* 0, or -1 and a cause.  control_close() may follow either. */
int control_open(struct control *c, const struct sock_addr *addr,
    struct cause *why);
void control_close(struct control *c);

/*
 * Sends `request`, a dictionary, which it frees, with MessageType: type added,
 * and waits for the answer: a dictionary, the caller's, or NULL and a cause.  A
 * Result other than 0 is a cause, too.
 */
plist_t control_ask(struct control *c, const char *type, plist_t request,
    struct cause *why);

/*
 * After Watch has been answered: the next event, the caller's.  Waits for it as
 * long as it takes, or until nobody reads `out_fd` any more (-1: no matter).
 * NULL and a cause when the daemon has gone; NULL and an empty cause when the
 * reader has.
 */
plist_t control_next_event(struct control *c, int out_fd, struct cause *why);

#endif
