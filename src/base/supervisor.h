/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_SUPERVISOR_H
#define MUXD_BASE_SUPERVISOR_H

/*
 * What a supervisor (systemd, or another that speaks its protocol) hands to a
 * service, and what the service tells it: listening sockets (sd_listen_fds(3)),
 * readiness, a line of status and a watchdog (sd_notify(3)).  Both pages describe
 * the protocol itself and promise that it stays: environment variables, file
 * descriptors from 3 on, and one datagram for each piece of news.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cause.h"

/* So many sockets are taken at most. */
#define SUPERVISOR_SOCKETS_MAX 17

struct supervisor_socket {
	int fd;        /* listening, close-on-exec and nonblocking */
	char name[32]; /* as the supervisor calls it; "" when it has no name */
};

struct supervisor {
	int notify_fd; /* -1: nobody wants to be told */
	struct sockaddr_un notify;
	socklen_t notify_len;
	unsigned watchdog_ms; /* a sign of life is due this often; 0: none */
	struct supervisor_socket sockets[SUPERVISOR_SOCKETS_MAX];
	size_t socket_count; /* the descriptors are whose who takes them */
};

/*
 * Reads the environment and removes from it what it has read, so that no child
 * takes it for its own.  Before the first fork and the first thread: what is
 * meant for another process id is left alone.  0, or -1 and a cause when
 * something was passed that is no listening stream socket.
 */
int supervisor_init(struct supervisor *s, struct cause *why);
void supervisor_fini(struct supervisor *s);

/*
 * Sends "NAME=VALUE", or several, a line each.  Does not wait; false when the
 * supervisor's queue is full at this moment (nobody to tell is a success).  Any
 * thread.
 */
bool supervisor_notify(const struct supervisor *s, const char *state);

/*
 * Sends a mark: the descriptor that this returns hangs up (POLLHUP) as soon as
 * the supervisor has acted on everything that was sent before.  The caller
 * closes it.  -1 when there is nobody to wait for.  Any thread.
 */
int supervisor_mark(const struct supervisor *s);

#endif
