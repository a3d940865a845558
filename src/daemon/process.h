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
 * The process id file is locked as long as the daemon lives (with the lock that
 * usbmuxd takes, so that the two never run beside each other by mistake).  Who
 * holds the lock counts, not the number in the file.  A locked file that is
 * empty is that of a daemon which starts, or may be about to end.
 *
 * process_take_pidfile() returns its descriptor; 0 and *other when a running
 * daemon holds it; -1 and a cause.  One that may be about to end is waited for,
 * for some seconds: until it has ended, or stays.
 */
int process_take_pidfile(const char *path, pid_t *other, struct cause *why);
/* Empties the file, or writes our number into it again. */
void process_mark_pidfile(int fd, bool leaving);
void process_drop_pidfile(int fd, const char *path);

/* The process that holds the file; 0 when none does; -1 and a cause. */
pid_t process_find_other(const char *path, struct cause *why);
/* The daemon that holds the file is not about to end.  Asked after SIGUSR2 was
 * sent: the daemon has got that before it could decide to. */
bool process_other_stays(const char *path);
/* Waits until it is, some seconds at most: who starts after this waits for its
 * end. */
void process_await_leaving(const char *path);
/* Sends a signal to `other` if it still holds the file (its number may be
 * another process's by now).  0 also when it has ended; -1 and a cause. */
int process_signal_other(const char *path, pid_t other, int number,
    struct cause *why);

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
