/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_WORKER_H
#define MUXD_DAEMON_WORKER_H

/*
 * A thread that serves one client, or one socket of a device (scm_conn.h), at a
 * time.  Between two it is parked with the manager, which gives it the next.
 */

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "daemon/roles.h"

struct client;
struct records;
struct scm_conn;

struct worker {
	struct thread thread;
	struct waker *waker; /* for its own mailbox and that of its job */
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
/* Gives it a socket. */
void worker_serve_socket(struct worker *w, struct scm_conn *c)
    RUNS_ON(on_manager);
/* Ends a parked worker: waits for its thread, which is at once. */
void worker_free(struct worker *w) RUNS_ON(on_manager);

#endif
