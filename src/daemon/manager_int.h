/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MANAGER_INT_H
#define MUXD_DAEMON_MANAGER_INT_H

/* The manager's own state, shared by its files: manager.c (loop, start and
 * end), manager_clients.c, manager_devices.c, manager_idle.c (leaving when nobody
 * is there), manager_report.c (supervisor), manager_scm.c (what devices may
 * connect to), manager_snapshot.c, manager_sockets.c (those of devices),
 * manager_workers.c (who serves both, and where they come). */

#include <stdint.h>

#include "actor/baton.h"
#include "actor/thread.h"
#include "base/clock.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/door.h"
#include "daemon/manager.h"
#include "daemon/monitor.h"
#include "daemon/roster.h"
#include "daemon/scm_conn.h"
#include "daemon/snapshot.h"
#include "daemon/worker.h"

/* Something that a source reports as plugged in, and how far we are with it. */
struct plug {
	struct plug *next;
	struct usb_source *source;
	struct usb_ident ident;
	struct device *device; /* the attempt under way; NULL between two */
	unsigned attempts;     /* failed ones in a row */
	unsigned faults;       /* those of them that were its own */
	struct moment retry_at;
	bool left;    /* unplugged: waits for its device to end */
	bool given_up;
	bool anew;        /* the last attempt failed before it was ready */
	char trouble[256]; /* why the last attempt failed */
};

/* How far the looks at a source have come (usb_listener.scanned). */
struct watch {
	uint32_t asked, answered; /* rescans */
	bool looked; /* once at least */
	bool ended;  /* it is not watched any more */
};

/* manager_idle.c tells what each step waits for. */
enum idle_step { IDLE_STAYS, IDLE_TELLS, IDLE_LOOKS, IDLE_DRAINS };

struct idle {
	enum idle_step step;
	bool asked;           /* by -x: without the grace time */
	bool told;            /* the supervisor, that we stop */
	bool somebody;        /* at the last look */
	struct moment since;  /* nobody is there; or the sockets have gone */
	struct moment limit;  /* of the step; none of IDLE_STAYS */
	int mark;             /* see supervisor_mark(); -1: none */
};

/* Where clients come: a listener, or the control socket. */
struct entrance {
	struct msg msg; /* MSG_CAME; in a mailbox as long as `posted` */
	_Atomic bool posted;
	/* Its end has been told, not just of a client; relaxed, the message
	 * orders it. */
	_Atomic bool hung_up;
	struct manager *manager;
	struct poller_watch *watch; /* NULL: workers wait at the door */
	unsigned group; /* of the watch; its own as long as nobody has to wait */
	bool watched; /* for who comes next */
	bool shut;    /* for good: another who has the socket shut it down */
};

/* manager_scm.c: news of this host's addresses. */
struct scm_watch {
	int fd; /* the system's; -1: it tells none, so they are looked at */
	bool changed;         /* they are to be listed again, */
	struct moment not_before; /* at this moment at the earliest */
};

struct manager {
	struct manager_config config;
	struct mailbox box;
	struct waker *waker;
	struct baton baton;
	struct thread thread;
	/* What a borrower has taken and may not do; oldest first. */
	struct msg *put_by OWNED_BY(on_manager);
	struct msg **put_by_end OWNED_BY(on_manager);
	struct msg quit_msg, rescan_msg, idle_msg, main_runs_msg;
	_Atomic bool rescan_posted, idle_posted, main_runs_posted;
	void (*on_end)(void *);
	void *on_end_arg;
	struct moment started;

	struct monitor **monitors;
	struct watch *watches OWNED_BY(on_manager); /* of each source */

	struct plug *plugs OWNED_BY(on_manager);
	uint32_t last_device_id OWNED_BY(on_manager);
	struct roster *roster OWNED_BY(on_manager);

	struct client *clients OWNED_BY(on_manager);
	uint32_t client_count OWNED_BY(on_manager);
	uint32_t connected_count OWNED_BY(on_manager); /* of the clients */
	uint32_t descriptor_limit; /* of them and of sockets; constant */
	bool told_full OWNED_BY(on_manager);
	uint32_t last_client_number OWNED_BY(on_manager);
	/* Where workers wait: at the listeners, and last the control socket. */
	struct door *door;
	struct entrance *entrances; /* in that order; see there */
	/* Clients that have been let in, to begin with when the role has been
	 * given back; references, their arrived_msg. */
	struct msg *arrived OWNED_BY(on_manager);
	struct msg **arrived_end OWNED_BY(on_manager);
	/* When connections are looked at that may have waited too long, and
	 * until when the thread sleeps. */
	struct moment look_at OWNED_BY(on_manager);
	bool connects OWNED_BY(on_manager); /* there were, since the last look */
	struct moment sleeps_until OWNED_BY(on_manager);
	struct worker *workers OWNED_BY(on_manager); /* all */
	uint32_t worker_count OWNED_BY(on_manager);
	uint32_t parked_count OWNED_BY(on_manager); /* without a job */
	uint32_t called OWNED_BY(on_manager); /* door_call()s not yet answered */
	uint32_t retired_count OWNED_BY(on_manager); /* to be joined */
	uint32_t last_worker_number OWNED_BY(on_manager); /* for its name */
	struct msg *jobs OWNED_BY(on_manager); /* that wait for a worker */
	struct msg **jobs_end OWNED_BY(on_manager);
	struct moment accept_again OWNED_BY(on_manager); /* paused till; or 0 */
	bool told_short OWNED_BY(on_manager); /* since the last client */

	/* Sockets that devices have opened, with their workers. */
	struct scm_conn *sockets OWNED_BY(on_manager);
	uint32_t socket_count OWNED_BY(on_manager);

	struct idle idle OWNED_BY(on_manager);
	struct scm_watch scm OWNED_BY(on_manager);
	bool told_ready OWNED_BY(on_manager);
	size_t told_phones OWNED_BY(on_manager); /* SIZE_MAX: nothing yet */
	struct moment ask_main_at OWNED_BY(on_manager);

	bool quitting OWNED_BY(on_manager);
	bool again OWNED_BY(on_manager); /* see manager_wants_again() */
	struct moment quit_step OWNED_BY(on_manager);
	bool devices_told OWNED_BY(on_manager);
	bool clean OWNED_BY(on_manager); /* everything has ended */
};

/* ---- manager.c ---- */

void manager_begin_quit(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_devices.c ---- */

void devices_plugged(struct manager *m, const struct msg_plug *p)
    RUNS_ON(on_manager);
void devices_unplugged(struct manager *m, const struct msg_plug *p)
    RUNS_ON(on_manager);
void devices_ready(struct manager *m, struct device *d) RUNS_ON(on_manager);
void devices_ended(struct manager *m, struct device *d) RUNS_ON(on_manager);
/* Starts the attempts that are due; the moment of the next one. */
struct moment devices_run_due(struct manager *m) RUNS_ON(on_manager);
/* Those that were left alone are tried again. */
void devices_retry_all(struct manager *m) RUNS_ON(on_manager);
void devices_stop_all(struct manager *m) RUNS_ON(on_manager);
/* The ready device of that id, or NULL. */
struct device *devices_find(struct manager *m, uint32_t id)
    RUNS_ON(on_manager);
/* Phones that are ready, or on their way to it. */
bool devices_any(struct manager *m) RUNS_ON(on_manager);
bool devices_all_ended(struct manager *m) RUNS_ON(on_manager);
void devices_fini(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_clients.c ---- */

/* Before the thread starts. */
void clients_init(struct manager *m);
/* Ordinary clients are let in, and sockets of devices.  Admins always are, to see
 * why others are not. */
bool clients_have_room(struct manager *m) RUNS_ON(on_manager);
/* One more is there: the log says when it was the last. */
void clients_note_room(struct manager *m) RUNS_ON(on_manager);
/* One is there no more: others are let in. */
void clients_left_room(struct manager *m) RUNS_ON(on_manager);
/* Clients that are at something else than listening. */
bool clients_any_busy(struct manager *m) RUNS_ON(on_manager);
/* A client has come, and is given to that worker; NULL: it is one of those that
 * have arrived.  False when memory has run out: `fd` is still the caller's. */
bool clients_came(struct manager *m, struct worker *w, int fd, bool admin)
    RUNS_ON(on_manager);
/* Those that have arrived, for clients_begin(), which needs no role: it begins
 * with them, on the calling thread, or after some leaves the others to the
 * manager's (MSG_ARRIVED). */
struct msg *clients_take_arrived(struct manager *m) RUNS_ON(on_manager);
void clients_begin(struct manager *m, struct msg *arrived);
void clients_arrived(struct manager *m, struct msg *arrived)
    RUNS_ON(on_manager);
void clients_forget_arrived(struct msg *arrived);
/* MSG_CLIENT_CALLS: it gets a worker. */
void clients_call(struct manager *m, struct client *c) RUNS_ON(on_manager);
/* A phone has been asked for a connection, and the thread sleeps too long. */
bool clients_need_own_thread(struct manager *m) RUNS_ON(on_manager);
/* Workers for those whose phone does not answer; the moment of the next look. */
struct moment clients_run(struct manager *m) RUNS_ON(on_manager);
void clients_ask(struct manager *m, struct client *c) RUNS_ON(on_manager);
/* Answering that neither blocks nor takes long, however many are there. */
bool clients_ask_is_quick(const struct client *c);
void clients_ended(struct manager *m, struct client *c) RUNS_ON(on_manager);
/* Tells every listener; `news` is copied. */
void clients_notify(struct manager *m, const struct msg_notice *news)
    RUNS_ON(on_manager);
void clients_stop_all(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_workers.c ---- */

/* Pollers wait at the listeners, if there are pollers. */
void workers_open_entrances(struct manager *m) RUNS_ON(on_manager);
void workers_close_entrances(struct manager *m) RUNS_ON(on_manager);
/* MSG_CAME. */
void workers_came(struct manager *m, struct entrance *e) RUNS_ON(on_manager);
/* MSG_KNOCK. */
void workers_knock(struct manager *m, struct worker *w) RUNS_ON(on_manager);
/* One has no job any more, and is on its way to the door. */
void workers_park(struct manager *m) RUNS_ON(on_manager);
/* All who are at the door are spoken for.  Makes another, then: false (errno)
 * when there can be none. */
bool workers_are_few(struct manager *m) RUNS_ON(on_manager);
bool workers_make(struct manager *m) RUNS_ON(on_manager);
/* One of those who are not (see above) gets `job`. */
void workers_give(struct manager *m, struct msg *job) RUNS_ON(on_manager);
/* Has the sockets watched at which clients are let in. */
void workers_watch(struct manager *m) RUNS_ON(on_manager);
/* Of entrances[which]; -1: there is none. */
int workers_socket(const struct manager *m, size_t which);
/* There is something for workers_run() to do. */
bool workers_need_own_thread(struct manager *m) RUNS_ON(on_manager);
/* What blocks, or takes long; the moment of the next. */
struct moment workers_run(struct manager *m) RUNS_ON(on_manager);
/* Nobody has a job any more: ends their threads. */
void workers_fini(struct manager *m) RUNS_ON(on_manager);
/* After that, when nobody looks at what they have posted. */
void workers_free(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_sockets.c ---- */

/* MSG_SCM_OPENED and MSG_SCM_ENDED. */
void sockets_opened(struct manager *m, struct scm_conn *c)
    RUNS_ON(on_manager);
void sockets_ended(struct manager *m, struct scm_conn *c)
    RUNS_ON(on_manager);
/* The rows of devices of the Socket Control Model, and of their sockets. */
void sockets_fill(struct manager *m, struct snapshot *s) RUNS_ON(on_manager);

/* ---- manager_idle.c ---- */

/* Before the thread starts. */
void idle_init(struct manager *m);
/* Clients are let in at present. */
bool idle_lets_in(struct manager *m) RUNS_ON(on_manager);
/* Takes the next step when it is due; the moment of the one after it. */
struct moment idle_run(struct manager *m) RUNS_ON(on_manager);
/* No client that comes, goes or changes what it does brings a step about. */
bool idle_ignores_clients(struct manager *m) RUNS_ON(on_manager);
/* The daemon ends, for whatever reason: who comes waits. */
void idle_quit(struct manager *m) RUNS_ON(on_manager);
void idle_fini(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_report.c ---- */

/* MSG_SCANNED and MSG_UNWATCHED. */
void report_scanned(struct manager *m, const struct msg_scan *s)
    RUNS_ON(on_manager);
/* Every source has been looked at once. */
bool report_ready(struct manager *m) RUNS_ON(on_manager);
/* Every source takes a look; report_looked() tells when all have. */
void report_look(struct manager *m) RUNS_ON(on_manager);
bool report_looked(struct manager *m) RUNS_ON(on_manager);
/* MSG_MAIN_RUNS. */
void report_main_runs(struct manager *m) RUNS_ON(on_manager);
/* Tells what is due; the moment of the next news. */
struct moment report_run(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_scm.c ---- */

/* Before the thread starts. */
void scm_init(struct manager *m);
void scm_fini(struct manager *m) RUNS_ON(on_manager);
/* A reference on the settings in force; NULL when no device is served so. */
struct scm_settings *scm_in_force(struct manager *m) RUNS_ON(on_manager);
/* Settings that were read, a reference: in force from now on, unless others that
 * were read later are. */
void scm_loaded(struct manager *m, struct scm_settings *s)
    RUNS_ON(on_manager);
/* The system has news. */
void scm_hear_addresses(struct manager *m) RUNS_ON(on_manager);
/* Lists the addresses when it is time; the moment of the next look. */
struct moment scm_run(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_snapshot.c ---- */

struct snapshot *manager_snapshot(struct manager *m) RUNS_ON(on_manager);

#endif
