/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_MANAGER_RIG_H
#define MUXD_TESTS_MANAGER_RIG_H

/*
 * A manager of a test's own, with sockets to connect to, in a directory that goes
 * with it.  The test is main: it makes the manager, starts it and awaits its end.
 */

#include "actor/poller.h"
#include "actor/waker.h"
#include "base/sock.h"
#include "daemon/manager.h"

#define RIG_SOCKETS 2

extern char rig_dir[];
extern struct sock_addr where[RIG_SOCKETS]; /* the sockets are */
extern int sockets[RIG_SOCKETS]; /* that listen, nonblocking; -1: none */
extern struct poller *poller; /* NULL: every actor waits by itself */
extern struct manager *m;
extern struct waker *ended; /* woken when the manager has */

/* Before all else, and after it: the manager has ended. */
void rig_init(void);
void rig_fini(void);

/* There are pollers. */
void rig_poll(void);
/* sockets[i] listens under that name in the directory, or at a TCP port. */
void rig_listen(int i, const char *name);
void rig_listen_port(int i);

void rig_make(const struct manager_config *config);
void rig_start(void);
/* It ends in time, with all of its threads. */
void rig_await_end(void);

/* A client of sockets[i]. */
int rig_connect(int i);

#endif
