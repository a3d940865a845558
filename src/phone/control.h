/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_CONTROL_H
#define MUXD_PHONE_CONTROL_H

/*
 * The control socket: a line in, a line out, several clients at once.  Its
 * callers poll; nothing here waits.  Main thread.
 */

#include <poll.h>

#include "base/cause.h"

struct farm;

/* More wait in the listen queue. */
#define CONTROL_CLIENTS_MAX 64
/* The longest line: an `inject` of MUX_INJECT_MAX bytes. */
#define CONTROL_LINE_MAX (2 * 131072 + 64)

struct control;

/* NULL and a cause when the socket cannot be made. */
struct control *control_open(const char *path, struct cause *why);
/* Also removes the socket. */
void control_close(struct control *c);

/* What to poll: fills at most CONTROL_CLIENTS_MAX + 1 elements. */
int control_pollfds(const struct control *c, struct pollfd *pfd);
/* Serves what poll() has found in those. */
void control_serve(struct control *c, struct farm *f,
    const struct pollfd *pfd);

#endif
