/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SCM_CONN_H
#define MUXD_DAEMON_SCM_CONN_H

/*
 * A socket that a device of the Socket Control Model has opened.  The reader
 * makes it, the manager finds a worker for it, and that worker serves it until
 * scm/socket.h says that all is over; then it is free for others.
 *
 * References: the reader's, which goes with MSG_SCM_GONE; the manager's, as long
 * as it is listed; one of each message but that and each frame on its way.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/chunk.h"
#include "actor/counter.h"
#include "actor/credit.h"
#include "actor/mailbox.h"
#include "actor/recycler.h"
#include "actor/ref.h"
#include "base/clock.h"
#include "daemon/outbox.h"
#include "daemon/roles.h"
#include "scm/device.h"
#include "scm/socket.h"

struct device;

/* WRITEs of one socket that may be with the writer and the transport at a time:
 * as many as frames of a phone's connection, for the same reasons. */
#define SCM_UPLOAD_PACKETS 4

/* ---- From the reader ---------------------------------------------------- */

/* A chunk that several sockets may have parts of; it goes back to its pool with
 * the last of them. */
struct scm_share {
	struct ref refs;
	struct chunk *chunk;
};
/* Takes the chunk over on success; NULL when out of memory. */
struct scm_share *scm_share_new(struct chunk *c);
void scm_share_put(struct scm_share *s);

/*
 * Parts of a WRITE that are not longer are copied, because each would otherwise
 * keep a chunk of 16 KiB from its pool: so what waits for a peer takes at most
 * sixteen times the memory that its bytes are.  Of longer ones the bytes stay in
 * the chunk.
 */
#define SCM_COPY_MAX 1024

enum scm_news_kind {
	SCM_NEWS_MESSAGE,
	SCM_NEWS_DATA,     /* a part of a WRITE */
	SCM_NEWS_OVERFLOW, /* SCM_DEVICE_OVERFLOW */
};

/* What an event of the reader's engine brings to a socket's worker, which frees
 * it. */
struct scm_news {
	struct msg msg;
	struct scm_news *next; /* of those that wait for the peer */
	enum scm_news_kind kind;
	struct scm_message message; /* data in `bytes`, or in the share */
	struct scm_verdict verdict; /* of a CONNECT */
	/* DATA: what has not been written. */
	struct scm_share *share; /* NULL: in `bytes` */
	const uint8_t *data;
	uint32_t len;
	uint32_t capacity; /* of `bytes` */
	uint8_t bytes[];
};
/* With a copy of the message's data, if `share` is NULL; otherwise with a
 * reference on that.  NULL when out of memory.  Any thread, as the next. */
struct scm_news *scm_news_new(enum scm_news_kind kind,
    const struct scm_message *m, struct scm_share *share);
void scm_news_free(struct scm_news *n);
struct scm_news *scm_news_of_msg(struct msg *m);

/* ---- The socket --------------------------------------------------------- */

struct scm_conn {
	struct ref refs;

	/* ---- Never change ---- */
	struct device *device; /* a reference */
	struct mailbox *manager;
	uint32_t slot; /* in the engine's table */
	struct scm_message open; /* the device's OPEN */
	struct scm_format format;
	struct scm_limits limits;
	struct moment since;

	/* Message ids that it was given, for the worker; and that it gives back,
	 * for the reader, with MSG_SCM_RELEASE. */
	struct scm_ids ids;

	/* ---- Messages: each is sent once at most ---- */
	struct msg opened_msg, unserved_msg, serve_msg, ended_msg;
	struct msg leave_msg, release_msg, gone_msg;

	struct mailbox box; /* read by the worker */
	/* The worker's; a reference.  Set once by it before it first sleeps;
	 * release there, acquire in the wake function. */
	_Atomic(struct waker *) waker;
	struct credit upload; /* SCM_UPLOAD_PACKETS */
	/* Packet buffers: the worker takes, whoever has sent one gives. */
	struct recycler buffers;
	/* WRITEs that have left or never will, in all.  Release by whoever is
	 * done with one, before the credit; acquire by the worker. */
	_Atomic uint32_t left;
	struct flow flow OWNED_BY(on_writer);

	/* ---- For muxctl; written by the worker ---- */
	_Atomic int state;         /* enum scm_socket_state; relaxed */
	struct counter from_device, to_device, held, unsent;
	/* The peer, if the port is not 0: IP, and family and port.  Relaxed: one
	 * that changes may be seen half for a moment. */
	_Atomic uint64_t peer_ip[2];
	_Atomic uint32_t peer_port;

	/* ---- The worker's ---- */
	struct scm_socket socket OWNED_BY(on_worker);
	int fd OWNED_BY(on_worker); /* -1: none */
	bool connecting OWNED_BY(on_worker); /* connect() is under way */
	bool blocked OWNED_BY(on_worker); /* the peer's buffer is full */
	bool reserved OWNED_BY(on_worker); /* credit is taken for what comes */
	uint32_t left_seen OWNED_BY(on_worker);
	bool over OWNED_BY(on_worker);
	/* For the peer, in order. */
	struct scm_news *pending OWNED_BY(on_worker);
	struct scm_news *pending_end OWNED_BY(on_worker);

	/* ---- The manager's ---- */
	struct scm_conn *next OWNED_BY(on_manager);
	struct scm_conn **prev_next OWNED_BY(on_manager);
};

/* For an OPEN that was granted, with one reference, the caller's.  NULL when out
 * of memory.  Reader. */
struct scm_conn *scm_conn_new(struct device *d, uint32_t slot,
    const struct scm_message *open) RUNS_ON(on_reader);
struct scm_conn *scm_conn_get(struct scm_conn *c);
void scm_conn_put(struct scm_conn *c);

/* Of each message that is part of it. */
struct scm_conn *scm_conn_of_opened(struct msg *m);
struct scm_conn *scm_conn_of_unserved(struct msg *m);
struct scm_conn *scm_conn_of_serve(struct msg *m);
struct scm_conn *scm_conn_of_ended(struct msg *m);
struct scm_conn *scm_conn_of_leave(struct msg *m);
struct scm_conn *scm_conn_of_release(struct msg *m);
struct scm_conn *scm_conn_of_gone(struct msg *m);

/* The peer as it is shown: family 0 when there is none yet.  Any thread. */
struct scm_address scm_conn_peer(const struct scm_conn *c);

/* Serves the socket to its end; `waker` is the worker's. */
void scm_conn_serve(struct scm_conn *c, struct waker *waker)
    RUNS_ON(on_worker);

/* What is in its mailbox, which is closed, for one that no worker serves:
 * `answer` is called for each message of the device; all is freed. */
void scm_conn_discard(struct scm_conn *c,
    void (*answer)(void *arg, const struct scm_message *m), void *arg);

/* ---- Bytes (scm_relay.c) ------------------------------------------------ */

/* A part of a WRITE joins what waits for the peer. */
void scm_relay_keep(struct scm_conn *c, struct scm_news *n) RUNS_ON(on_worker);
/* Writes what waits, as far as the peer takes it. */
void scm_relay_to_peer(struct scm_conn *c) RUNS_ON(on_worker);
/* Nothing of it is wanted any more. */
void scm_relay_drop(struct scm_conn *c) RUNS_ON(on_worker);
/* Reads what the peer has sent, as far as the device may be sent it. */
void scm_relay_from_peer(struct scm_conn *c) RUNS_ON(on_worker);
/* Whether to wait for the peer's data; *until: when to look again (later is no
 * harm). */
bool scm_relay_can_read(struct scm_conn *c, struct moment *until)
    RUNS_ON(on_worker);
/* Tells the engine of WRITEs that have left. */
void scm_relay_collect(struct scm_conn *c) RUNS_ON(on_worker);

/* ---- The descriptor (scm_descriptor.c) ---------------------------------- */

/* Does what the engine asks for, until it asks for nothing. */
void scm_conn_obey(struct scm_conn *c) RUNS_ON(on_worker);
/* The descriptor of a connection under way has become writable. */
void scm_conn_finish_connect(struct scm_conn *c) RUNS_ON(on_worker);

#endif
