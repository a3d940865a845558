/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_IMPORTER_H
#define MUXD_USBIP_IMPORTER_H

/*
 * The importing side of USB/IP, in user space: one imported device is one
 * socket with URBs in flight.
 *
 * Any thread may submit; exactly one, the receiver, takes completions.  What is
 * to be sent goes through a lock-free queue, which whoever comes first empties
 * on behalf of all: the receiver as far as the socket takes bytes without
 * waiting (it must go on receiving, or both ends could wait for each other),
 * any other thread until all is sent.
 *
 * The server is a stranger: what does not fit what was asked for ends the
 * connection, never more.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "actor/queue.h"
#include "base/cause.h"
#include "base/clock.h"
#include "base/sock.h"
#include "wire/usbip.h"

/* URBs in flight at a time.  More than any driver queues; a bound, because a
 * server that never answers must not make us grow. */
#define IMPORTER_URBS_MAX 512

struct importer_urb;

/* A PDU on its way out. */
struct importer_send {
	struct qnode node;
	struct importer_urb *urb; /* whose data follows; NULL: none does */
	uint8_t pdu[USBIP_PDU_SIZE];
};

/*
 * A URB.  The caller fills the first part, owns the memory, and must not touch
 * it between importer_submit() and complete().
 */
struct importer_urb {
	uint8_t endpoint; /* with bit 7 for IN */
	uint32_t flags;   /* enum usbip_flags */
	uint8_t setup[8]; /* endpoint 0 */
	void *buffer;
	uint32_t length;
	/* Called once, by the receiver, or by importer_abort(). */
	void (*complete)(struct importer_urb *urb);
	void *arg;

	/* The result. */
	int32_t status;  /* 0 or one of enum usbip_errno */
	uint32_t actual; /* bytes moved; at most `length` */

	/* The importer's. */
	uint32_t seqnum, unlink_seqnum;
	_Atomic bool sent; /* no byte of it is needed for sending any more */
	bool unlinked;
	struct importer_send send, send_unlink;
};

/* Bytes that are received beside what is expected: enough for the heads of
 * several replies, little enough that big payloads go where they belong. */
#define IMPORTER_BUFFER 1024

struct importer {
	int fd; /* nonblocking */
	uint32_t devid;
	_Atomic bool broken; /* the connection is of no use any more */

	/* In flight.  A submitter claims an empty slot; the receiver frees it. */
	_Atomic(struct importer_urb *) slots[IMPORTER_URBS_MAX];
	_Atomic uint32_t next_seqnum;

	/* ---- Sending: whoever holds `sending` ---- */
	struct queue out;
	_Atomic bool sending;
	_Atomic bool unsent; /* the receiver left some for when there is room */
	struct qnode *backlog;
	size_t backlog_sent; /* bytes of its first item that have gone */

	/* ---- Receiving ---- */
	uint8_t buffer[IMPORTER_BUFFER];
	size_t buffered, taken;
	struct importer_urb *filling; /* whose data is being received */
	uint32_t filled, to_fill;
};

/* Takes over a connected socket on which an import has succeeded. */
void importer_init(struct importer *imp, int fd, uint32_t devid);

/*
 * Sends the URB.  `may_block`: the caller is not the receiver, and waits until
 * the socket has taken it.  False when the connection is broken or too many
 * URBs are in flight: complete() is then not called.
 */
bool importer_submit(struct importer *imp, struct importer_urb *urb,
    bool may_block);

/* Asks for a URB back; its complete() still comes, and tells which was first.
 * The receiver. */
void importer_unlink(struct importer *imp, struct importer_urb *urb);

/* What the receiver polls the socket for. */
short importer_events(struct importer *imp);

/*
 * Sends and receives what can be without waiting, and completes URBs.  False
 * when the connection is broken.  The receiver.
 */
bool importer_work(struct importer *imp);

/* Breaks the connection: submits that wait return.  Any thread. */
void importer_break(struct importer *imp);

/* Completes everything in flight with USBIP_ESHUTDOWN.  No other thread may use
 * the importer any more.  The receiver. */
void importer_abort(struct importer *imp);
/* After that: closes the socket. */
void importer_fini(struct importer *imp);

/* ---- Operations (importer_ops.c) ---- */

/*
 * Connects and imports `busid`.  Returns the socket, blocking, and the server's
 * description of the device; or -1, a cause, and *status: the server's (enum
 * usbip_status), or 0 when it did not come to that.
 */
int importer_attach(const struct sock_addr *server, const char *busid,
    int timeout_ms, struct usbip_device_entry *out, uint32_t *status,
    struct cause *why);

/*
 * Receives one OP_REP_DEVLIST.  `wait` is called before each read: it waits
 * until the socket is readable, or returns false to give up.  The entries are
 * malloc'ed, the caller's.  1: a list.  0: the server closed between lists, or
 * `wait` gave up.  -1: a cause.
 */
typedef bool importer_wait(void *arg, int fd);
int importer_receive_list(int fd, importer_wait *wait, void *arg,
    struct usbip_device_entry **entries, size_t *count, struct cause *why);

/* Asks for a list; with `watch`, for a new one after each change. */
bool importer_request_list(int fd, bool watch);

#endif
