/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SCM_SETTINGS_H
#define MUXD_DAEMON_SCM_SETTINGS_H

/*
 * What is in force for devices of the Socket Control Model: scm.conf(5) as it
 * was read, and this host's addresses.
 *
 *	main (start, SIGHUP) --+
 *	                       +- scm_settings_load() -> manager -> readers
 *	worker (muxctl) -------+
 *
 * Settings never change: who has a reference reads them without asking.  The
 * manager has those in force, and puts others in their place (manager_scm.c):
 * when a file was read whole, or when this host's addresses have changed.  Each
 * reader has those that it was given last, and asks them for each CONNECT.
 * What is connected stays so.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/ref.h"
#include "daemon/roles.h"
#include "scm/host.h"
#include "scm/policy.h"

struct scm_settings {
	struct msg msg; /* MSG_SCM_LOADED, with the reference */
	struct ref refs;
	/* Of the load: who began to read later has seen a newer file. */
	uint64_t number;
	const char *path;  /* the caller's, for the daemon's life */
	bool has_file;     /* false: there is none, everything is denied */
	struct scm_host host;
	struct scm_policy *policy; /* not changed, and freed with its owner: */
	struct scm_settings *rules; /* a reference; NULL: this */
};

/*
 * Reads the file and lists this host's addresses; one reference, the caller's.
 * A file that is not there is an empty one.  NULL and a cause, with line,
 * column and remedy.  Any thread; blocks on the disk.
 */
struct scm_settings *scm_settings_load(const char *path, struct cause *why);
/* Those of a host where everything is denied, for want of others; NULL when out
 * of memory. */
struct scm_settings *scm_settings_empty(const char *path);

/* The same rules with this host's addresses as they are now; `s` itself, with
 * one reference more, when they are the same.  NULL and a cause. */
struct scm_settings *scm_settings_refresh(struct scm_settings *s,
    struct cause *why);

struct scm_settings *scm_settings_get(struct scm_settings *s);
/* NULL is allowed. */
void scm_settings_put(struct scm_settings *s);

/* ---- Those in force ----------------------------------------------------- */

/*
 * Where they lie.  Main makes it, the manager puts others into it, and whoever
 * has no mailbox to be told by (a monitor, which has to know what is served)
 * gets a reference here.  The lock is held for the exchange of a pointer.
 */
struct scm_store {
	pthread_mutex_t lock;
	struct scm_settings *current; /* never NULL; under the lock */
};

/* Takes the reference. */
void scm_store_init(struct scm_store *st, struct scm_settings *s);
/* When no other thread knows it. */
void scm_store_fini(struct scm_store *st);
/* A reference.  Any thread. */
struct scm_settings *scm_store_get(struct scm_store *st);
/* Takes the reference. */
void scm_store_set(struct scm_store *st, struct scm_settings *s)
    RUNS_ON(on_manager);

/* ---- On their way to a reader ------------------------------------------- */

/*
 * Where the manager leaves settings for a device's reader: the newest only, and
 * without memory that may be missing.
 */
struct scm_inbox {
	struct msg msg; /* MSG_SCM_SETTINGS */
	/* Not NULL: `msg` is on its way.  Exchanged by both, release and
	 * acquire in each. */
	struct scm_settings *_Atomic fresh;
};

void scm_inbox_init(struct scm_inbox *in);
/* When nobody posts any more. */
void scm_inbox_fini(struct scm_inbox *in);
/* Leaves a reference of its own. */
void scm_inbox_give(struct scm_inbox *in, struct mailbox *reader,
    struct scm_settings *s) RUNS_ON(on_manager);
/* At MSG_SCM_SETTINGS: the reference; never NULL. */
struct scm_settings *scm_inbox_take(struct scm_inbox *in)
    RUNS_ON(on_reader);

#endif
