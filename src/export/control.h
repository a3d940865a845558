/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_CONTROL_H
#define MUXD_EXPORT_CONTROL_H

/*
 * The control socket, for `muxctl usb` (wire/admin.h has the messages).  Its
 * caller polls; nothing here waits.  Main thread.
 */

#include <poll.h>

#include "base/cause.h"
#include "export/monitor.h"
#include "usbip/server.h"

/* More wait in the listen queue. */
#define CONTROL_CLIENTS_MAX 16

struct control;

/* NULL and a cause when the socket cannot be made. */
struct control *control_open(const char *path, struct usbip_server *server,
    struct monitor *monitor, struct cause *why);
/* Also removes the socket; NULL is allowed. */
void control_close(struct control *c);

/* What to poll: fills at most CONTROL_CLIENTS_MAX + 1 elements. */
int control_pollfds(const struct control *c, struct pollfd *pfd);
/* Serves what poll() has found in those. */
void control_serve(struct control *c, const struct pollfd *pfd);

/* ---- control_answer.c ---- */

#include <plist/plist.h>

/* The answer to a request (NULL: it was none), the caller's. */
plist_t control_answer(struct usbip_server *server, struct monitor *monitor,
    plist_t request);

#endif
