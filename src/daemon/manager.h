/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MANAGER_H
#define MUXD_DAEMON_MANAGER_H

/*
 * The manager: who is there (devices, clients, listeners), which ids and ports
 * are taken, who is told what.  It never waits for a device or a client.
 */

#include <stdbool.h>

#include "actor/mailbox.h"
#include "base/cause.h"
#include "daemon/roles.h"

struct poller;
struct records;
struct scm_settings;
struct scm_store;
struct supervisor;
struct usb_source;

/* What becomes of the daemon when nobody is there (manager_idle.c), or when it
 * is told to quit (the first). */
enum manager_leave {
	MANAGER_LEAVING, /* it goes, or may be about to: who comes waits */
	MANAGER_STAYS,   /* it does not go after all */
	MANAGER_CLOSES,  /* it goes: nobody is to find its sockets any more */
};

/* The exit status that asks the supervisor to start the daemon again: a phone
 * has come when it was going already (sysexits.h: EX_TEMPFAIL). */
#define MANAGER_AGAIN 75

struct manager_config {
	const int *listeners; /* client sockets, listening and nonblocking */
	size_t listener_count;
	int control; /* the admin socket, the same; -1: none */
	struct usb_source **sources;
	size_t source_count;
	struct records *records;
	struct scm_store *scm; /* NULL: no device is served by SCM */
	struct poller *poller; /* NULL: every actor waits by itself */
	int wanted_mode;   /* see usb_bring_up() */
	bool exit_if_idle; /* -z: end when nobody has been there for idle_ms */
	unsigned idle_ms;
	bool activated; /* the sockets are a supervisor's, which keeps them */
	const struct supervisor *supervisor; /* NULL: nobody is told */
	/* Called on the manager's thread, with `host`; each may be NULL.
	 * ask_main: main is to call manager_main_runs() soon. */
	void *host;
	void (*leave)(void *host, enum manager_leave what);
	void (*ask_main)(void *host);
};

struct manager;

/* The descriptors, sources and records stay the caller's.  NULL and a cause. */
struct manager *manager_new(const struct manager_config *config,
    struct cause *why);

/* Starts its thread and those of the sources' monitors.  0, or -1 and a
 * cause. */
int manager_start(struct manager *m, struct cause *why) RUNS_ON(on_main);

/* Requests.  Any thread. */
void manager_rescan(struct manager *m);
void manager_exit_if_idle(struct manager *m);
void manager_quit(struct manager *m);
/* scm.conf has been read anew; takes the reference. */
void manager_scm_loaded(struct manager *m, struct scm_settings *s);
/* Main's answer to ask_main. */
void manager_main_runs(struct manager *m);

/* Called on the manager's thread when it has ended by itself (exit_if_idle), so
 * that main can be told. */
void manager_on_end(struct manager *m, void (*fn)(void *), void *arg);

/*
 * Waits for the end that manager_quit() has asked for, or that came by itself.
 * False when some thread could not be ended in time: then nothing may be freed,
 * and the process should end at once.
 */
bool manager_join(struct manager *m) RUNS_ON(on_main);

/* After the join: a phone came when the daemon was going because nobody was
 * there. */
bool manager_wants_again(const struct manager *m);

/* After a join that was true. */
void manager_free(struct manager *m);

#endif
