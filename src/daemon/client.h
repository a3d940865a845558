/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_CLIENT_H
#define MUXD_DAEMON_CLIENT_H

/*
 * One accepted socket.  The manager makes it and keeps it listed until its
 * worker says that it has ended; the worker owns the conversation, and then the
 * connection to the phone.
 *
 * Most clients connect, and many leave again soon.  So with pollers a client has
 * no worker at first: its baton is free, and whoever has something for it acts as
 * its worker (client_act.c) until something might block, takes time or has to be
 * waited for, or bytes begin to move.  Then a worker is called, goes on from
 * there, and stays.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "actor/baton.h"
#include "actor/mailbox.h"
#include "actor/poller.h"
#include "actor/ref.h"
#include "daemon/connection.h"
#include "daemon/msg.h"
#include "daemon/roles.h"
#include "daemon/roster.h"
#include "wire/client.h"

struct snapshot;

/* What a worker wants of the manager. */
enum ask_kind {
	ASK_ROSTER,    /* the devices there are: answer `roster` */
	ASK_LISTEN,    /* the same, and MSG_NOTICE from then on */
	ASK_CONNECT,   /* device_id, port: answer `result`; conn->device and
			* conn->route are set when it is 0 */
	ASK_DISCONNECT, /* the route is not wanted any more */
	ASK_LISTENERS, /* answer `listeners`, `count`, malloc'ed */
	ASK_PAIRED,    /* tell listeners that device_id is paired */
	ASK_SNAPSHOT,  /* answer `snapshot` (snapshot.h) */
	ASK_RESCAN,    /* look for devices again */
	ASK_SCM,       /* answer `scm`, the settings in force */
	ASK_SCM_LOADED, /* `scm`, a reference, is to be in force */
};

struct ask {
	struct msg msg; /* MSG_ASK on its way there, MSG_ANSWER back */
	enum ask_kind kind;
	uint32_t device_id;
	uint16_t port;
	uint32_t tag; /* of the request that it is asked for, with CONNECT */
	struct client_info info; /* of the client, with LISTEN and CONNECT */
	/* The answer.  References and memory are the worker's. */
	uint32_t result; /* enum usbmux_result */
	struct roster *roster; /* NULL: out of memory */
	struct client_listener *listeners;
	size_t count;
	struct snapshot *snapshot;
	struct scm_settings *scm; /* NULL: no device is served by SCM */
};

/* For display. */
enum client_phase {
	CLIENT_PHASE_COMMAND,
	CLIENT_PHASE_LISTENING,
	CLIENT_PHASE_CONNECTED,
	CLIENT_PHASE_ADMIN,
};

struct client {
	struct ref refs;

	/* ---- Never change ---- */
	uint32_t number;
	int fd; /* the worker's until its end; nonblocking */
	bool is_unix;
	bool admin;     /* came in by the control socket */
	pid_t pid;      /* 0: not known */
	struct mailbox *manager;
	struct poller *poller; /* set by its maker; NULL: there is none */

	/* ---- Messages ---- */
	struct ask ask;
	struct msg serve_msg, ended_msg, stop_msg, call_msg, arrived_msg;
	struct msg socket_msg; /* in a mailbox as long as the next is not 0 */
	/* Of poll(): what pollers have told, and the worker has not taken. */
	_Atomic int socket_events;

	struct mailbox box; /* read by the worker */
	struct baton baton; /* of the worker, as long as it serves this client */
	/* The worker's; a reference.  NULL: it has none.  Release and acquire
	 * pair where it is set and where it is woken. */
	_Atomic(struct waker *) waker;
	/* Somebody has called a worker, or nobody is to any more.  See
	 * client_wake_owner(). */
	_Atomic bool called;

	/* ---- The worker's ---- */
	char name[80]; /* see client_name(); "" as long as nobody has asked */
	enum client_form form OWNED_BY(on_worker); /* of answers */
	/* Messages that arrived while it waited for another, oldest first. */
	struct msg *put_by OWNED_BY(on_worker);
	struct msg **put_by_end OWNED_BY(on_worker);
	bool stopped OWNED_BY(on_worker); /* MSG_CLIENT_STOP has come */
	/* Of its socket, while it is connected; NULL: its worker polls. */
	struct poller_watch *watch OWNED_BY(on_worker);
	uint32_t group OWNED_BY(on_worker); /* of the watch */

	struct connection conn;

	/* ---- The manager's ---- */
	struct client *next OWNED_BY(on_manager);
	struct client **prev_next OWNED_BY(on_manager);
	enum client_phase phase OWNED_BY(on_manager);
	bool stop_posted OWNED_BY(on_manager); /* stop_msg, once at most */
	bool served OWNED_BY(on_manager); /* it has a worker, or will have */
	struct moment asked_at OWNED_BY(on_manager); /* ASK_CONNECT */
	struct client_info info OWNED_BY(on_manager);
	/* Of its connection; references, or NULL. */
	struct device *device OWNED_BY(on_manager);
	struct route *route OWNED_BY(on_manager);
	uint16_t dport OWNED_BY(on_manager);
};

/* With one reference, the caller's.  Takes `fd` over on success only.  `waker`
 * NULL: it has no worker yet.  NULL when out of memory. */
struct client *client_new(int fd, uint32_t number, bool admin,
    struct waker *waker, struct mailbox *manager);
struct client *client_get(struct client *c);

/* "client 12 (pid 345 idevice_id)", for the log: looked up when it is asked for
 * first, because most clients come and go without a line.  Its worker's. */
const char *client_name(struct client *c);
/* The name of that process's program, as the system has it now; "": none. */
void client_program(pid_t pid, char *out, size_t size);

void client_put(struct client *c);

/* The caller, who is woken by `waker`, is the worker of a client that had none,
 * from now on. */
void client_attach(struct client *c, struct waker *waker) RUNS_ON(on_worker);

/* Serves the client to its end; the socket is closed then.  Needs the record
 * store. */
struct records;
void client_serve(struct client *c, struct records *records)
    RUNS_ON(on_worker);

/* ---- For those who have something for a client: any thread ---- */

/* Acts as its worker if that is nobody, or sleeps; or wakes it, or calls one.
 * Needs a reference. */
void client_act_or_wake(struct client *c);
/* Posts a message, and the same.  False: `m` is still the caller's. */
bool client_post(struct client *c, struct msg *m);
/* Gives a packet with its port to the worker of the connection; takes it in any
 * case.  True: that sleeps, and client_attend() has to follow.  Reader. */
bool client_deliver(struct client *c, struct chunk *packet);
/* Acts for the worker, which has got so much payload, or wakes it.  Reader. */
void client_attend(struct client *c, uint32_t bytes);
/* The mailbox's wake function: `arg` is the client. */
void client_wake_owner(void *arg);

/* ---- For the worker's own files: conversation, listener, connection ---- */

/* Puts the question in c->ask to the manager and waits for its answer. */
void client_ask(struct client *c) RUNS_ON(on_worker);
/* The same in its parts; the answer is there once. */
void client_put_question(struct client *c) RUNS_ON(on_worker);
bool client_has_answer(struct client *c) RUNS_ON(on_worker);
void client_await_answer(struct client *c) RUNS_ON(on_worker);

/* Pollers tell of its socket from now on (MSG_SOCKET).  False, for want of
 * something: its worker has to poll. */
bool client_watch(struct client *c, short events) RUNS_ON(on_worker);
void client_unwatch(struct client *c) RUNS_ON(on_worker);

/* True, once: there is no worker, none will be called, and nothing is to be
 * awaited at the client's end.  The caller then does that. */
bool client_claim_end(struct client *c) RUNS_ON(on_worker);
void client_end(struct client *c) RUNS_ON(on_worker);

/* Frees a message that nobody wants to read. */
void client_discard(struct msg *m);
/* Frees all messages, and refuses any other from now on. */
void client_close_box(struct client *c) RUNS_ON(on_worker);

/* The next message, of those put by first; NULL when there is none. */
struct msg *client_next_message(struct client *c) RUNS_ON(on_worker);

/*
 * Waits for a message, for the moment, or for the socket: `events` as in poll()
 * (0: its hang-up only), or CLIENT_NO_SOCKET.  *revents is what the socket
 * reported.
 */
#define CLIENT_NO_SOCKET (-1)
void client_wait(struct client *c, int events, struct moment until,
    short *revents) RUNS_ON(on_worker);

/* The same, and with the baton laid down meanwhile: others may act as the
 * worker.  While pollers watch the socket (c->watch) they tell of it. */
void client_wait_lending(struct client *c, int events, struct moment until,
    short *revents) RUNS_ON(on_worker);

/* Waits for the socket alone; messages are put by.  False when the time is over
 * or the client is to end. */
bool client_wait_socket(struct client *c, short events,
    struct moment deadline) RUNS_ON(on_worker);

/* Sends a frame whole and frees it; waits while the client does not read, but
 * not longer than it lives or CLIENT_SEND_MS.  False: the client is lost. */
#define CLIENT_SEND_MS 10000
bool client_send(struct client *c, struct client_frame frame)
    RUNS_ON(on_worker);

/* One received message: header and payload (malloc'ed, the caller's).  False
 * when the client is gone or sends nonsense (logged). */
bool client_receive(struct client *c, struct client_header *h,
    uint8_t **payload) RUNS_ON(on_worker);

/* The phases that a conversation may turn into, each to its end.  A connection
 * that did not come about leaves the conversation open: true.  Otherwise packets
 * may be in the mailbox; connection_leave() when that is closed. */
void listener_serve(struct client *c, uint32_t tag,
    const struct client_info *info) RUNS_ON(on_worker);
bool connection_serve(struct client *c) RUNS_ON(on_worker);
void connection_leave(struct client *c) RUNS_ON(on_worker);
void admin_serve(struct client *c) RUNS_ON(on_worker);

#endif
