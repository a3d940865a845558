/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_PROCESS_H
#define MUXD_DAEMON_PROCESS_H

/* The daemon as a process: background, process id file, user, limits.  All on
 * the main thread, before any other is started, or after all have ended. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/cause.h"

/*
 * Goes into the background: returns in the child, in a session of its own and
 * with its standard descriptors on /dev/null; the parent waits for
 * process_report() and exits with what it says.  0, or -1 and a cause (in the
 * parent).
 */
int process_daemonise(struct cause *why);

/* Ends the parent's wait: NULL for success, or the sentence that it prints
 * before it exits with 1.  Nothing in the foreground. */
void process_report(const char *failure);

/*
 * Takes the process id file, locked as long as we live (the same lock that
 * usbmuxd takes, so that the two never run beside each other by mistake).
 * Returns its descriptor; 0 and *other when a running daemon holds it; -1 and a
 * cause.
 */
int process_take_pidfile(const char *path, pid_t *other, struct cause *why);
void process_drop_pidfile(int fd, const char *path);

/* The process that holds the file; 0 when none does; -1 and a cause. */
pid_t process_find_other(const char *path, struct cause *why);

/* The user's ids.  0, or -1 and a cause. */
struct process_user {
	const char *name;
	uid_t uid;
	gid_t gid;
};
int process_find_user(const char *name, struct process_user *out,
    struct cause *why);
/* Becomes that user, for good, with its groups. */
int process_become(const struct process_user *user, struct cause *why);

/* As many open files as the system lets us have. */
void process_raise_limits(void);

#endif
