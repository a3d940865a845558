/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_SOCK_H
#define MUXD_BASE_SOCK_H

/*
 * Stream sockets by address text.  One text form serves every program:
 *
 *	unix:PATH, UNIX:PATH, /PATH	a UNIX socket
 *	HOST:PORT, [V6]:PORT		TCP
 *
 * Descriptors that these return are close-on-exec and owned by the caller.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cause.h"

struct sock_addr {
	bool is_unix;
	char path[108]; /* UNIX: the path */
	char host[256]; /* TCP: name or number, without brackets */
	char port[6];   /* TCP: decimal */
};

/*
 * Parses `text`.  With `default_port` (may be NULL) a HOST alone is taken,
 * without it the port is required.  0, or -1 and a cause.
 */
int sock_addr_parse(struct sock_addr *out, const char *text,
    const char *default_port, struct cause *why);

/* The address as text again, for messages.  Returns `out`. */
#define SOCK_ADDR_TEXT_MAX 280
const char *sock_addr_text(char out[SOCK_ADDR_TEXT_MAX],
    const struct sock_addr *addr);

/*
 * A listening socket.  A UNIX path is bound under its final name, after the
 * stale socket of a server that is gone has been removed (one that still
 * answers is "busy"); it gets mode `mode`.  TCP takes the first address that
 * the name gives and sets SO_REUSEADDR.  Returns the descriptor, or -1 and a
 * cause that names the address.
 */
int sock_listen(const struct sock_addr *addr, mode_t mode, int backlog,
    struct cause *why);

/*
 * A connected socket; waits `timeout_ms` at most (-1: as long as the system
 * does) in all.  TCP gets TCP_NODELAY.  Returns the descriptor (blocking mode),
 * or -1 with errno (0 when the host's name is not known) and a cause that names
 * the address.
 */
int sock_connect(const struct sock_addr *addr, int timeout_ms,
    struct cause *why);

/* The same, but gives up with ECANCELED as soon as `cancel_fd` is readable
 * (TCP only, and not while the host's name is looked up). */
int sock_connect_or_cancel(const struct sock_addr *addr, int timeout_ms,
    int cancel_fd, struct cause *why);

/* Local port of a listening TCP socket, 0 when it is none. */
uint16_t sock_local_port(int fd);
/* A socket's own address as text, for messages.  Returns `out`. */
const char *sock_local_text(char out[SOCK_ADDR_TEXT_MAX], int fd);

int sock_set_nonblocking(int fd, bool on);

/* Keepalive after 10 s, 3 s apart, 3 times, and 25 s for unacknowledged data,
 * so that a peer whose machine is gone is noticed.  No effect on UNIX. */
void sock_set_keepalive(int fd);

/* Sends or receives all of `len` on a blocking socket: 0, or -1 with errno
 * (ECONNRESET when the peer closed before `len` bytes). */
int sock_send_all(int fd, const void *bytes, size_t len);
int sock_recv_all(int fd, void *bytes, size_t len);

#endif
