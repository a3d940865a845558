/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_IMPORT_H
#define MUXD_USBIP_SERVER_IMPORT_H

/*
 * One import inside the server engine: its URBs, and the messages between its
 * threads.
 *
 * Nobody takes a lock to settle the race between a completion and an UNLINK:
 * both are messages in the one queue of tx, and what comes out first has
 * happened first.
 *
 *	TX_COMPLETED	any thread -> tx	a URB, done
 *	TX_UNLINK	rx -> tx		an UNLINK that was read
 *	TX_QUIT		rx -> tx		the last message
 *	RX_URB		any thread -> rx	a URB that nobody holds any more
 *	RX_UNLINK	tx -> rx		an unlink record, answered
 *
 * Only rx takes URBs from the pool, keeps them in its table by seqnum, and
 * puts them back; so what rx finds in the table stays good while it looks at
 * it, whoever completes it meanwhile.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/counter.h"
#include "actor/mailbox.h"
#include "actor/ref.h"
#include "actor/role.h"
#include "actor/thread.h"
#include "base/clock.h"
#include "usbip/server.h"
#include "usbip/server_conn.h"
#include "usbip/server_park.h"
#include "usbip/server_stream.h"

/* The engine's kinds of thread (server.h says what they do). */
extern struct role on_usbip_server;
extern struct role on_usbip_rx;
extern struct role on_usbip_tx;

enum server_msg {
	TX_COMPLETED,
	TX_UNLINK,
	TX_QUIT,
	RX_URB,
	RX_UNLINK,
};

struct import;
struct server_registry;

/* The engine's URB. */
struct urb {
	struct usbip_urb pub; /* first: a pointer to it is one to this */
	struct import *import;
	struct ref refs; /* the way to the wire; each unlink; the backend's */

	/* rx */
	struct urb *next; /* in its chain of the table, or in the pool */
	struct urb *older, *newer; /* in the table, as they were taken */
	uint32_t seqnum;
	uint32_t capacity; /* of the buffer */
	uint32_t iso_room; /* packets that `iso` and `iso_wire` can hold */
	uint8_t size_class;
	bool cancelled; /* cancel() has been called */

	/* The backend has let go of it.  Release in usbip_urb_complete() pairs
	 * with the acquire loads of rx. */
	_Atomic bool completed;
	int32_t status; /* from the completion, for tx */
	uint32_t actual;

	/* tx */
	bool answered;         /* its RET_SUBMIT, or RET_UNLINK, is on its way */
	struct unlink *unlink; /* these wait for its completion */
	int32_t packets;       /* as requested: echoed */
	uint8_t head[USBIP_PDU_SIZE];
	uint8_t *iso_wire; /* descriptors as they go over the wire */
};

/* An UNLINK on its way through tx. */
struct unlink {
	struct msg msg;
	struct unlink *next; /* in the pool, or waiting for the same URB */
	struct urb *urb;     /* holds a reference; NULL: there is none */
	int32_t status;      /* what it is answered with when there is none */
	uint32_t seqnum;     /* of the UNLINK itself */
	/* rx, while its SUBMIT is still to come (struct early) */
	uint32_t target;
	struct moment deadline;
	uint8_t head[USBIP_PDU_SIZE];
};

/* server_tx.c: the engine, as backends reach it. */
extern const struct usbip_urb_host urb_host;

static inline struct urb *
urb_of(struct usbip_urb *u)
{
	return (struct urb *)u;
}

/* ---- URBs: what is asked for (server_urb.c) ------------------------------ */

/* Why this SUBMIT cannot have a buffer, or USBIP_OK. */
int urb_refusal(const struct usbip_pdu *pdu);
/* Everything of the SUBMIT that the backend is to know. */
void urb_fill(struct urb *urb, const struct usbip_pdu *pdu);
/* The descriptors, from `iso_wire`; nothing has come of them yet. */
void urb_decode_iso(struct urb *urb);
/* Whether what has been filled fits together: USBIP_OK, or what it is answered
 * with. */
int urb_check(const struct urb *urb);

/* ---- URBs: pool and table, rx's ----------------------------------------- */

/* Buffers come in powers of two from 512 bytes to USBIP_LENGTH_MAX; class 0
 * has none. */
#define POOL_CLASSES 17
/* URBs and buffers that are kept for reuse: thirty-two reads of 256 KiB. */
#define POOL_SPARE_BYTES (8u * 1024 * 1024)
/* Chains of the table, a power of two; seqnums are consecutive. */
#define POOL_BUCKETS 1024

struct pool {
	struct urb *spare[POOL_CLASSES];
	struct unlink *spare_unlinks;
	struct urb *table[POOL_BUCKETS];
	struct urb *newest; /* of the table */
	size_t spare_bytes;
	uint32_t urbs;    /* in the table */
	uint32_t bytes;   /* of their buffers and packets */
	uint32_t unlinks; /* on their way */
};

/* What a request of `length` bytes and that many packets is accounted with. */
uint32_t pool_bytes(uint32_t length, uint32_t iso_count);

/* A URB in the table, with `length`, `iso_count`, `seqnum` and its buffers set
 * and all else as at the start of a submission.  NULL: out of memory. */
struct urb *pool_take(struct pool *p, struct import *import, uint32_t seqnum,
    uint32_t length, uint32_t iso_count) RUNS_ON(on_usbip_rx);
/* Out of the table, to be reused. */
void pool_put(struct pool *p, struct urb *urb) RUNS_ON(on_usbip_rx);
/* The latest of that seqnum, or NULL. */
struct urb *pool_find(struct pool *p, uint32_t seqnum) RUNS_ON(on_usbip_rx);

struct unlink *pool_take_unlink(struct pool *p) RUNS_ON(on_usbip_rx);
void pool_put_unlink(struct pool *p, struct unlink *u) RUNS_ON(on_usbip_rx);

/* Frees the spares, after all have been put. */
void pool_fini(struct pool *p) RUNS_ON(on_usbip_rx);

/* ---- UNLINKs that come before their SUBMITs (server_early.c), rx's ------- */

/*
 * Linux' vhci_hcd sends what is queued of SUBMITs, then of UNLINKs: a URB that
 * is submitted and taken back in between has its UNLINK on the wire first.  If
 * that were answered with "no such URB", and the SUBMIT then carried out, vhci
 * would take the one answer for the URB's, and the other for nonsense, for
 * which it unplugs the device (seen with its usbtest, case 24).  So such an
 * UNLINK waits for its SUBMIT, which is then never begun.
 */

/* More than a driver queues; those beyond are answered at once.  Below
 * USBIP_SERVER_URBS_MAX, so that these alone never keep rx from reading. */
#define EARLY_MAX 1024

struct early {
	struct unlink *first, **end; /* in the order of the wire */
	uint32_t count;
	uint32_t newest; /* seqnum of the last SUBMIT */
	bool any;        /* there has been one */
};

void early_init(struct early *e);
/* Whether the SUBMIT that this UNLINK means can still come: its seqnum lies
 * between the last one's and the UNLINK's own.  False, too, when EARLY_MAX
 * wait. */
bool early_expects(const struct early *e, const struct usbip_pdu *unlink);
/* `u` waits, for a second at most. */
void early_add(struct early *e, struct unlink *u, uint32_t target);
/* A SUBMIT has come.  Those that mean it, linked through `next`, or NULL; those
 * that mean an earlier one, which will not come any more, are in *late. */
struct unlink *early_submit(struct early *e, uint32_t seqnum,
    struct unlink **late);
/* Those whose time is up by `now`. */
struct unlink *early_expired(struct early *e, struct moment now);
/* Until the first expires, for poll(); -1: none waits. */
int early_timeout_ms(const struct early *e, struct moment now);

/* ---- Import ------------------------------------------------------------- */

/* How tx sleeps: on nothing but its queue. */
struct parker {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool woken;
};

struct import {
	int fd; /* blocking; closed by import_free() */
	struct usbip_device *dev;
	struct usbip_export *export;
	struct server_registry *registry;
	struct mailbox *server; /* is sent `ended` as rx's last act */
	struct msg ended;
	struct usbip_device_entry entry; /* for OP_REP_IMPORT */
	uint32_t devid;
	char peer[CONN_PEER_SIZE]; /* for log lines, and snapshots */
	struct moment since;
	struct conn_end end; /* the server's */

	/* For snapshots.  rx counts what it hands out, tx what comes back. */
	struct counter taken, done, bytes_in, bytes_out;

	/* The device has been unplugged.  Set before the socket is shut down,
	 * whose end of file then makes rx look. */
	_Atomic bool gone;
	/* An operator has ended it.  In the same way. */
	_Atomic bool kicked;

	struct thread rx_thread; /* started and joined by the server thread */
	struct server_stream stream OWNED_BY(on_usbip_rx);
	struct pool pool OWNED_BY(on_usbip_rx);
	struct park park OWNED_BY(on_usbip_rx);
	struct early early OWNED_BY(on_usbip_rx);
	struct mailbox returned; /* to rx */
	struct waker *waker;

	struct thread tx_thread; /* started and joined by rx */
	struct mailbox outgoing; /* to tx */
	struct parker parker;
	struct msg quit;
	/* The importer cannot be reached any more; nothing is sent. */
	bool unreachable OWNED_BY(on_usbip_tx);
};

/* Without a device or a socket (`fd` is -1) yet; NULL: memory or descriptors
 * have run out. */
struct import *import_new(struct server_registry *registry,
    struct mailbox *server, int ended_type);
/* When both threads have ended, or were never started. */
void import_free(struct import *im);
/* In the log, that the device has been refused to the peer, who may try again as
 * often as he likes: one line a second.  The rx thread. */
void import_say_refused(const struct import *im, int status);

/* The device is gone: lets the import end soon.  Any thread that can be sure
 * that the import is not freed meanwhile. */
void import_unplug(struct import *im);

/* The same for an import whose device stays. */
void import_kick(struct import *im);

/* The whole life of an import from imported() to released(). */
void *import_rx_main(void *import);
/* Sends until TX_QUIT. */
void *import_tx_main(void *import);

#endif
