/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_WORKER_H
#define MUXD_DAEMON_WORKER_H

/*
 * A thread that serves one client, or one socket of a device (scm_conn.h), at a
 * time.  Between two it waits at the door (door.h); woken there, it knocks at the
 * manager's, which tells it what it is to do.  With pollers clients come without
 * one, and get one when they need it (client.h).
 */

#include <stdbool.h>

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "daemon/roles.h"

struct door;
struct records;

struct worker {
	struct thread thread;
	struct waker *waker; /* for its own mailbox and that of its job */
	struct mailbox box;
	struct msg knock_msg, wait_msg, retire_msg;
	int found; /* what door_wait() has said; with knock_msg */
	struct records *records;
	struct door *door;
	struct mailbox *manager;
	struct worker *next OWNED_BY(on_manager);
	bool retired OWNED_BY(on_manager); /* it was told to end */
};

/* Starts the thread.  The door and the mailbox are there as long as it runs.
 * NULL when memory, descriptors or threads have run out (errno). */
struct worker *worker_new(uint32_t number, struct records *records,
    struct door *door, struct mailbox *manager) RUNS_ON(on_manager);

/* The manager's answers to MSG_KNOCK; a job is another, which is posted to the
 * worker's mailbox: a client or a socket that has the worker's waker. */
void worker_wait_on(struct worker *w) RUNS_ON(on_manager);
void worker_retire(struct worker *w) RUNS_ON(on_manager);

/* Waits for the thread of one that has been told to end, which is at once. */
void worker_join(struct worker *w) RUNS_ON(on_manager);
/* After that. */
void worker_free(struct worker *w) RUNS_ON(on_manager);

#endif
