/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_ROUTES_H
#define MUXD_DAEMON_ROUTES_H

/* A reader's table: which client a port's packets go to. */

#include "daemon/device.h"

/* The route of `port`, or NULL. */
struct route *routes_find(struct device *d, uint16_t port)
    RUNS_ON(on_reader);
/* Takes over the caller's reference.  False (and it stays the caller's) when
 * out of memory. */
bool routes_add(struct device *d, struct route *r) RUNS_ON(on_reader);
/* Gives the entry's reference to the caller; NULL when there is none. */
struct route *routes_remove(struct device *d, uint16_t port)
    RUNS_ON(on_reader);
/* Removes any one entry, as above; NULL when the table is empty. */
struct route *routes_remove_any(struct device *d) RUNS_ON(on_reader);

#endif
