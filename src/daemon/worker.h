/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_WORKER_H
#define MUXD_DAEMON_WORKER_H

/*
 * A thread that serves one client at a time.  Between clients it is parked with
 * the manager, which gives it the next one.
 */

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "daemon/roles.h"

struct client;
struct records;

struct worker {
	struct thread thread;
	struct waker *waker; /* for its own mailbox and its client's */
	struct mailbox box;
	struct msg retire_msg;
	struct records *records;
	struct worker *next OWNED_BY(on_manager); /* parked */
};

/* Starts the thread.  NULL when memory, descriptors or threads have run out
 * (errno). */
struct worker *worker_new(uint32_t number, struct records *records)
    RUNS_ON(on_manager);
/* Gives it a client (whose waker is the worker's). */
void worker_serve(struct worker *w, struct client *c) RUNS_ON(on_manager);
/* Ends a parked worker: waits for its thread, which is at once. */
void worker_free(struct worker *w) RUNS_ON(on_manager);

#endif
