/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_SESSION_H
#define MUXD_USBNET_SESSION_H

/* One ssh of the gateway: its process, and what it says on standard error.  One
 * thread. */

#include <poll.h>
#include <sys/types.h>

#include "usbnet/launch.h"

struct session {
	pid_t pid; /* 0: this place is free */
	int err;   /* ssh's standard error; nonblocking */
	bool err_ended;	 /* nobody writes to it any more */
	char words[512]; /* the last that it said there */
	size_t words_len;
	int status; /* as from waitpid(), once pid is 0 */
};

/* As ssh_spawn(); `fd` stays the caller's.  0, or -1 with errno. */
int session_start(struct session *s, const struct launch_options *o,
    const struct sock_addr *inner, const char *control, int fd);

/* What to poll for ssh's words, and what to do then: keeps the last of them. */
struct pollfd session_poll(const struct session *s);
void session_take_words(struct session *s);

/* The last line of them, where the reason stands.  False when there is none. */
bool session_last_words(const struct session *s, char *out, size_t size);

/* True when the session has ended: its place is free then, and its words and
 * status are still there. */
bool session_reap(struct session *s);

/* Of one that has ended: it broke, or never got there.  One that ended because
 * either side had enough has status 0, or usbexportd's. */
bool session_failed(const struct session *s);

#endif
