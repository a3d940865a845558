/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_LOGGER_H
#define MUXD_DAEMON_LOGGER_H

/*
 * The logger: a thread that owns the log's sink, so that no other thread waits
 * for a disk, a terminal or syslog.  Its queue is bounded; what does not fit is
 * dropped and counted, and the count is logged when there is room again.
 */

#include <stdint.h>

#include "base/cause.h"
#include "daemon/roles.h"

enum logger_sink {
	LOGGER_STDERR, /* with a time in front */
	LOGGER_SYSLOG,
	LOGGER_FILE, /* appended to, with date and time in front */
};

/* Starts it; from then on log_*() goes there.  `path` is for LOGGER_FILE and
 * stays the caller's.  0, or -1 and a cause. */
int logger_start(enum logger_sink sink, const char *path, struct cause *why)
    RUNS_ON(on_main);

/* Opens the files again (after they were renamed). */
void logger_reopen(void) RUNS_ON(on_main);

/* Writes what is queued and ends it; later lines go to standard error. */
void logger_stop(void) RUNS_ON(on_main);

/* Gives it a message, which it owns from then on.  Any thread, while it runs. */
struct msg;
void logger_post(struct msg *m);

/* Lines dropped so far.  Any thread. */
uint64_t logger_dropped(void);

#endif
