/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_RELAY_TARGET_H
#define MUXD_RELAY_TARGET_H

/*
 * Which phone to connect to, at the moment of connecting.
 *
 * The target keeps a watch on the daemon's devices, so that a connection costs
 * one exchange with the daemon and not two.  The watch also tells when the
 * daemon was restarted: its device numbers then mean other phones.
 *
 * Any thread.
 */

#include <stdint.h>

#include "base/cause.h"
#include "muxclient.h"

struct target;

/* `udid` NULL: the first device; `id` not 0: that device, whatever it is.
 * `links` as for muxclient_find().  `mc` and `udid` must outlive the target.
 * NULL on lack of memory. */
struct target *target_new(const struct muxclient *mc, const char *udid,
    uint32_t id, unsigned links);
void target_free(struct target *t);

/* A connected, blocking descriptor, or -1 and a cause. */
int target_connect(struct target *t, uint16_t port, struct cause *why);

#endif
