/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SOCKETS_H
#define MUXD_DAEMON_SOCKETS_H

/*
 * The sockets at which clients are served: those that a supervisor has opened
 * and passed, or else our own.  Main's; the manager is only lent the
 * descriptors.
 */

#include "base/sock.h"
#include "base/supervisor.h"
#include "daemon/options.h"
#include "daemon/process.h"

/* What a supervisor calls the socket for muxctl; all others are for clients. */
#define SOCKETS_CONTROL_NAME "control"

struct sockets {
	int listeners[OPTIONS_SOCKETS_MAX];
	size_t listener_count;
	int control; /* -1: none */
	bool activated; /* the listeners are a supervisor's, which keeps them */
	/* Ours that have a name in the file system, which ends with us. */
	struct sock_addr named[OPTIONS_SOCKETS_MAX + 1];
	size_t named_count;
};

/*
 * Sockets for clients that were passed replace those of --socket, one named
 * SOCKETS_CONTROL_NAME that of --control; the rest is opened.  `owner` (name
 * NULL: nobody) gets our own control socket.  Taken are those of `given`, whose
 * count is then 0.  0, or -1 and a cause.
 */
int sockets_open(struct sockets *s, struct supervisor *given,
    const struct options *o, const struct process_user *owner,
    struct cause *why);

/* Removes our sockets' names, as far as we may: nobody can connect to them any
 * more; those who have are still there to be accepted. */
void sockets_withdraw(struct sockets *s);

void sockets_close(struct sockets *s);

#endif
