/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MONITOR_H
#define MUXD_DAEMON_MONITOR_H

/* The thread that watches one source and tells the manager what it sees. */

#include "actor/mailbox.h"
#include "usb/transport.h"

struct monitor;
struct scm_store;

/* Starts watching; `scm` says which devices are wanted beside phones (NULL:
 * none).  NULL when out of memory or threads. */
struct monitor *monitor_start(struct usb_source *source,
    struct mailbox *manager, struct scm_store *scm);
/* Ends it and waits for its thread.  False when it did not end within
 * `timeout_ms`; then nothing is freed. */
bool monitor_stop(struct monitor *m, int timeout_ms);

#endif
