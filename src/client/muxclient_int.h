/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_CLIENT_MUXCLIENT_INT_H
#define MUXD_CLIENT_MUXCLIENT_INT_H

/* What the library's files share. */

#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/sock.h"
#include "muxclient.h"
#include "wire/client.h"

struct muxclient {
	struct sock_addr addr;
	bool addr_bad; /* the environment named one that is none */
	char addr_text[SOCK_ADDR_TEXT_MAX];
	int timeout_ms;
	struct client_info self;
	/* enum client_form: becomes BINARY when a daemon turns out to speak
	 * nothing else.  Relaxed: a late reader only asks once more. */
	_Atomic int form;
};

/* ---- muxclient.c ---- */

void device_from_wire(struct muxclient_device *out,
    const struct client_device *in);

/* ---- exchange.c ---- */

/* When a call that starts now has to end. */
struct moment exchange_deadline(const struct muxclient *mc);

/* A socket to the daemon. */
enum muxclient_error exchange_open(const struct muxclient *mc,
    struct moment deadline, int *fd);

/* Sends `frame` and frees it.  */
enum muxclient_error exchange_send(int fd, struct moment deadline,
    struct client_frame frame);

/* Receives one message and not a byte more. */
enum muxclient_error exchange_recv(int fd, struct moment deadline,
    struct client_reply *out);

/*
 * A whole request: opens a socket, sends `frame` (freed in any case), receives
 * the answer.  The socket comes back in *fd, or is closed when fd is NULL or
 * the call fails.  A Result that is not OK comes back as an error, by the
 * meaning it has for `kind`.
 */
enum muxclient_error exchange(const struct muxclient *mc,
    struct moment deadline, enum client_kind kind, struct client_frame frame,
    struct client_reply *out, int *fd);

/*
 * The same for LISTEN and CONNECT, which exist in both forms: asks in the
 * plist form, and again in the binary form when the daemon does not know the
 * first.
 */
enum muxclient_error exchange_listen(const struct muxclient *mc,
    struct moment deadline, int *fd);
enum muxclient_error exchange_connect(const struct muxclient *mc,
    struct moment deadline, uint32_t id, uint16_t port, int *fd);

#endif
