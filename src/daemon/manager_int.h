/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_MANAGER_INT_H
#define MUXD_DAEMON_MANAGER_INT_H

/* The manager's own state, shared by its three files: manager.c (loop, start
 * and end), manager_devices.c, manager_clients.c. */

#include <stdint.h>

#include "actor/thread.h"
#include "base/clock.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/manager.h"
#include "daemon/monitor.h"
#include "daemon/roster.h"
#include "daemon/worker.h"

/* Something that a source reports as plugged in, and how far we are with it. */
struct plug {
	struct plug *next;
	struct usb_source *source;
	struct usb_ident ident;
	struct device *device; /* the attempt under way; NULL between two */
	unsigned attempts;     /* failed ones in a row */
	struct moment retry_at;
	bool left;    /* unplugged: waits for its device to end */
	bool given_up;
	bool clear_pipes; /* the last attempt got no answer to VERSION */
	char trouble[256]; /* why the last attempt failed */
};

struct manager {
	struct manager_config config;
	struct mailbox box;
	struct waker *waker;
	struct thread thread;
	struct msg quit_msg, rescan_msg, idle_msg;
	_Atomic bool rescan_posted, idle_posted;
	void (*on_end)(void *);
	void *on_end_arg;
	struct moment started;

	struct monitor **monitors;

	struct plug *plugs OWNED_BY(on_manager);
	uint32_t last_device_id OWNED_BY(on_manager);
	struct roster *roster OWNED_BY(on_manager);
	struct moment phones_since OWNED_BY(on_manager); /* last seen */

	struct client *clients OWNED_BY(on_manager);
	uint32_t client_count OWNED_BY(on_manager);
	uint32_t client_limit; /* so many are accepted; constant */
	bool told_full OWNED_BY(on_manager);
	uint32_t last_client_number OWNED_BY(on_manager);
	struct worker *parked OWNED_BY(on_manager);
	uint32_t parked_count OWNED_BY(on_manager);
	uint32_t worker_count OWNED_BY(on_manager);
	struct moment accept_again OWNED_BY(on_manager); /* paused until then */

	bool quitting OWNED_BY(on_manager);
	struct moment quit_step OWNED_BY(on_manager);
	bool devices_told OWNED_BY(on_manager);
	bool clean OWNED_BY(on_manager); /* everything has ended */
};

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
/* Ordinary clients are let in.  Admins always are, to see why others are not. */
bool clients_have_room(struct manager *m) RUNS_ON(on_manager);
/* Accepts what waits at `listener`. */
void clients_accept(struct manager *m, int listener, bool admin)
    RUNS_ON(on_manager);
void clients_ask(struct manager *m, struct client *c) RUNS_ON(on_manager);
void clients_ended(struct manager *m, struct client *c) RUNS_ON(on_manager);
/* Tells every listener; `news` is copied. */
void clients_notify(struct manager *m, const struct msg_notice *news)
    RUNS_ON(on_manager);
void clients_stop_all(struct manager *m) RUNS_ON(on_manager);
void clients_fini(struct manager *m) RUNS_ON(on_manager);

/* ---- manager_snapshot.c ---- */

struct snapshot *manager_snapshot(struct manager *m) RUNS_ON(on_manager);

#endif
