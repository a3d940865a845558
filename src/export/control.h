/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_CONTROL_H
#define MUXD_EXPORT_CONTROL_H

/*
 * The control socket, for `muxctl usb` (wire/admin.h has the messages).  Main
 * thread.
 */

#include "base/cause.h"
#include "base/responder.h"
#include "export/monitor.h"
#include "usbip/server.h"

/* More wait in the listen queue. */
#define CONTROL_CLIENTS_MAX 16

/* What the answers are about. */
struct control {
	struct usbip_server *server;
	struct monitor *monitor;
};

/* `c` must outlive it.  NULL and a cause when the socket cannot be made. */
struct responder *control_open(struct control *c, const char *path,
    struct cause *why);

/* ---- control_answer.c ---- */

#include <plist/plist.h>

/* The answer to a request (NULL: it was none), the caller's. */
plist_t control_answer(struct usbip_server *server, struct monitor *monitor,
    plist_t request);

#endif
