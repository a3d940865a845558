/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_CONTROL_H
#define MUXD_PHONE_CONTROL_H

/*
 * The control socket: a line in, a line out.  Main thread.
 */

#include "base/cause.h"
#include "base/responder.h"

struct farm;

/* More wait in the listen queue. */
#define CONTROL_CLIENTS_MAX 64
/* The longest line: an `inject` of MUX_INJECT_MAX bytes. */
#define CONTROL_LINE_MAX (2 * 131072 + 64)

/* Answers with command_run().  NULL and a cause when the socket cannot be
 * made. */
struct responder *control_open(struct farm *f, const char *path,
    struct cause *why);

#endif
