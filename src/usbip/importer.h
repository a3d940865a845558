/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_IMPORTER_H
#define MUXD_USBIP_IMPORTER_H

/*
 * The importing side of USB/IP, in user space: one imported device is one
 * socket with URBs in flight.
 *
 * Any thread may submit; exactly one, the receiver, takes completions.
 *
 * Sending.  What is to be sent goes through a lock-free queue, and whoever
 * pushes while the queue's consumer sleeps becomes its consumer: the sender.  A
 * submitter that becomes it sends for all, and may wait until the socket takes
 * more.  The receiver never waits there, since it must go on receiving, or both
 * ends could wait for each other; it stays the sender until there is room.  So
 * no thread but the sender ever waits for room, and none for another thread.
 *
 * What may run beside what (- nothing needed, X must not overlap):
 *
 *			submit	unlink, work	break	abort, fini
 *	submit		-	-		-	X
 *	unlink, work		X (receiver's)	-	X
 *	break				-	X
 *
 * A URB is held by the sender as long as it has bytes to send, and by the
 * server until it has answered.  It completes when both have let go, so an
 * answer that comes too early, by accident or by malice, harms nobody.
 *
 * The server is a stranger: what does not fit what was asked for ends the
 * connection, never more.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/queue.h"
#include "base/cause.h"
#include "base/sock.h"
#include "wire/usbip.h"

/* URBs in flight at a time.  More than any driver queues; a bound, because a
 * server that never answers must not make us grow. */
#define IMPORTER_URBS_MAX 512

struct importer_urb;

/* A PDU on its way out. */
struct importer_send {
	struct qnode node; /* first */
	struct importer_urb *urb;
	uint32_t data; /* bytes of the URB's buffer that follow it */
	uint32_t iso;  /* and bytes of its descriptors */
	uint8_t pdu[USBIP_PDU_SIZE];
};

/*
 * A URB.  The caller zeroes it once, fills the first part before each submit,
 * owns the memory, and must not touch it between importer_submit() and
 * complete().
 */
struct importer_urb {
	uint8_t endpoint; /* address: number, with bit 7 for IN */
	uint32_t flags;   /* enum usbip_flags */
	uint8_t setup[8]; /* endpoint 0, where it tells the direction, too */
	void *buffer;     /* not NULL unless length is 0 */
	uint32_t length;  /* at most USBIP_LENGTH_MAX */
	int32_t interval; /* interrupt and ISO endpoints */
	/* Isochronous: `iso_count` packets inside the buffer (at most
	 * USBIP_ISO_PACKETS_MAX; 0: not isochronous), and as many times
	 * USBIP_ISO_SIZE bytes for the importer to work in. */
	struct usbip_iso *iso;
	uint8_t *iso_bytes;
	uint32_t iso_count;
	int32_t start_frame; /* in and out */
	/* Called once, by the receiver, in importer_work() or
	 * importer_abort().  May submit again. */
	void (*complete)(struct importer_urb *urb);
	void *arg;

	/* The result. */
	int32_t status;  /* 0 or one of enum usbip_errno */
	uint32_t actual; /* bytes moved; at most `length` */

	/* ---- The importer's ---- */
	uint32_t seqnum, unlink_seqnum;
	_Atomic uint32_t holds; /* who still needs it: sends and answers */
	bool answered;  /* the receiver's: its result is there */
	bool in_line;   /* the receiver's: it waits for its turn to complete */
	bool released;  /* the receiver's: nobody else holds it any more */
	struct importer_urb *next_in_line;
	bool unlinking; /* the receiver's: RET_UNLINK is to come */
	struct importer_send send, send_unlink;
};

/*
 * Bytes that are received beside what is expected.  Small answers come many at
 * a time, and are copied out of the buffer, which costs less than a system call
 * for each.  While payloads are big, no more is taken than the heads of several
 * replies, so that the payloads go where they belong.
 */
#define IMPORTER_BUFFER 16384
#define IMPORTER_HEADS 1024
#define IMPORTER_SMALL 4096 /* the largest small payload */

struct importer {
	int fd; /* nonblocking; owned */
	uint32_t devid;
	struct waker *waker; /* the receiver's; a reference */
	_Atomic bool broken; /* the connection is of no use any more */

	/* In flight.  A submitter claims an empty slot; the receiver frees
	 * it. */
	_Atomic(struct importer_urb *) slots[IMPORTER_URBS_MAX];
	_Atomic uint32_t in_flight; /* slots that are claimed, or about to be */
	_Atomic uint32_t next_seqnum;

	/* ---- The sender's: the consumer of `out` ---- */
	struct queue out;
	struct qnode *backlog;
	struct qnode **backlog_end;
	size_t backlog_sent; /* bytes of its first item that have gone */
	uint64_t sent;       /* bytes in all */

	/* ---- The receiver's ---- */
	bool is_sender; /* it could not send all, or waits for more to send */
	bool batching;  /* in importer_work(): sends at its end */
	bool corked;    /* importer_cork() */
	bool drained;   /* the last receive took all that there was */
	bool small;     /* the newest answer is */
	uint8_t buffer[IMPORTER_BUFFER];
	size_t buffered, taken;
	uint64_t received; /* bytes in all */
	struct importer_urb *filling; /* whose payload is being received */
	uint32_t filled, fill_data, fill_iso;
	/* Answered URBs, in the order of their answers, which is the order in
	 * which they complete: reads of one endpoint must not overtake one
	 * another.  The first may wait for the sender to let go of it. */
	struct importer_urb *line;
	struct importer_urb **line_end;
	/* URBs that were answered before the sender had let go of them. */
	struct queue late;
};

/*
 * Takes over a connected socket on which an import has succeeded.  `waker` (the
 * importer takes a reference) is woken when importer_work() has something to do
 * that does not show on the socket.
 */
void importer_init(struct importer *imp, int fd, uint32_t devid,
    struct waker *waker);

/*
 * Sends `count` URBs, one behind the other, with one system call if it can be.
 * `may_block`: the caller is not the receiver, and may wait until the socket
 * has taken them.  False when the connection is broken or too many URBs are in
 * flight: then none is sent, and complete() is not called.
 */
bool importer_submit(struct importer *imp, struct importer_urb *const urbs[],
    unsigned count, bool may_block);

/* While corked, what the receiver submits and unlinks waits until it uncorks, so
 * that one system call sends it all.  The receiver. */
void importer_cork(struct importer *imp, bool corked);

/* Asks for a URB in flight back; its complete() still comes, and its status
 * tells which was first.  The receiver. */
void importer_unlink(struct importer *imp, struct importer_urb *urb);

/* What to poll the socket for.  The receiver. */
short importer_events(const struct importer *imp);

/* True when importer_work() is worth a call without polling first.  The
 * receiver. */
static inline bool
importer_is_ready(struct importer *imp)
{
	return !imp->drained || !queue_is_empty(&imp->late);
}

/*
 * Sends and receives what can be without waiting, and completes URBs.  False
 * when the connection is broken.  The receiver.
 */
bool importer_work(struct importer *imp);

/* Breaks the connection: submits that wait return.  Any thread. */
void importer_break(struct importer *imp);

/*
 * Ends the import and waits, for `timeout_ms` at most, until the server has
 * noticed: whoever asks for the device from then on is not told that somebody
 * has it.  What is in flight is lost.  Only abort() and fini() follow.  The
 * receiver; no other thread may use the importer any more.
 */
void importer_leave(struct importer *imp, int timeout_ms);

/* Completes everything in flight with USBIP_ESHUTDOWN.  No other thread may use
 * the importer any more.  The receiver. */
void importer_abort(struct importer *imp);
/* In the child of a fork: closes the inherited socket, and leaves the connection
 * to the parent.  Here it is broken. */
void importer_drop(struct importer *imp);
/* After an abort: closes the socket. */
void importer_fini(struct importer *imp);

/* ---- Between importer.c and importer_receive.c ---- */

/* The direction, as the server sees it. */
bool importer_urb_is_in(const struct importer_urb *urb);
/* Sends what is queued, and gives up the role.  The sender. */
void importer_send_all(struct importer *imp, bool may_block);
/* The URB's answer is there: it completes behind those before it.  The
 * receiver. */
void importer_line_up(struct importer *imp, struct importer_urb *urb);
/* `n` of those that hold the URB let go; when they were the last it completes.
 * The receiver. */
void importer_let_go(struct importer *imp, struct importer_urb *urb,
    uint32_t n);

/* ---- Isochronous transfers (importer_iso.c) ---- */

void importer_iso_encode(struct importer_urb *urb);
/* Reads the descriptors of the answer, and moves the data, which comes without
 * gaps, to where each packet belongs.  False: nonsense. */
bool importer_iso_take(struct importer_urb *urb, bool in);

/* ---- Operations (importer_ops.c) ---- */

/*
 * Connects and imports `busid`, within `timeout_ms` in all.  Returns the socket
 * and the server's description of the device; or -1, a cause, and *status: the
 * server's (enum usbip_status), or 0 when it did not come to that.  Any thread;
 * blocks.
 */
int importer_attach(const struct sock_addr *server, const char *busid,
    int timeout_ms, struct usbip_device_entry *out, uint32_t *status,
    struct cause *why);

/*
 * Connects and asks what is known of `busid` without importing it (DEVINFO of
 * wire/usbip.h), within `timeout_ms` in all.  0: `*info` has `*info_len` bytes
 * for usbip_info_next(), malloc'ed, the caller's.  -1: a cause, and *status as
 * above; a server that does not know the question closes, so 0.  Any thread;
 * blocks.
 */
int importer_ask_info(const struct sock_addr *server, const char *busid,
    int timeout_ms, struct usbip_device_entry *out, uint8_t **info,
    size_t *info_len, uint32_t *status, struct cause *why);

/* Asks for a list; with `watch`, for a new one after each change. */
bool importer_request_list(int fd, bool watch);

/*
 * Receives one OP_REP_DEVLIST.  `wait` is called before each read: it waits
 * until the socket is readable, or returns false to give up.  The entries are
 * malloc'ed, the caller's.  1: a list.  0: the server closed before its first
 * byte, or `wait` gave up.  -1: a cause.
 */
typedef bool importer_wait(void *arg, int fd);
int importer_receive_list(int fd, importer_wait *wait, void *arg,
    struct usbip_device_entry **entries, size_t *count, struct cause *why);

#endif
