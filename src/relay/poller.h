/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_RELAY_POLLER_H
#define MUXD_RELAY_POLLER_H

/*
 * Waits for many descriptors: epoll where the system has it, poll() elsewhere.
 * Level-triggered.  A descriptor of which nothing is wanted is not watched at
 * all, because a hang-up would otherwise be reported again and again.
 *
 * One thread.
 */

#include <stddef.h>

struct poll_entry {
	int fd;
	short wanted; /* POLLIN | POLLOUT, or 0: not watched; poller_want() */
	size_t slot;  /* the poller's own */
	/* `events` are poll()'s.  May change and end any entries; memory of an
	 * entry that had been watched must stay until poller_wait() returns. */
	void (*ready)(struct poll_entry *e, short events);
};

struct poller;

/* NULL and errno. */
struct poller *poller_new(void);
void poller_free(struct poller *p);

/* Changes what is wanted of `e`.  0, or -1 and errno; 0 is always possible. */
int poller_want(struct poller *p, struct poll_entry *e, short wanted);

/* Waits `timeout_ms` at most (-1: for ever), and calls ready() for each entry
 * that is.  0, or -1 and errno. */
int poller_wait(struct poller *p, int timeout_ms);

#endif
