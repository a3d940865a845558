/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_ADMIN_INT_H
#define MUXD_DAEMON_ADMIN_INT_H

/* What the files of the control socket share: admin.c (requests about phones
 * and the daemon), admin_scm.c (about devices that open sockets). */

#include "daemon/client.h"
#include "wire/admin.h"

void admin_set_uint(plist_t dict, const char *key, uint64_t value);

/* {MessageType: Result, Number}.  False: the client is lost, as below. */
bool admin_send_result(struct client *c, uint32_t tag, uint32_t number)
    RUNS_ON(on_worker);

/* Answers a request whose type begins with SCM. */
bool admin_serve_scm(struct client *c, uint32_t tag, const char *type,
    plist_t request) RUNS_ON(on_worker);

#endif
