/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_SOCKET_H
#define MUXD_SCM_SOCKET_H

/*
 * One socket of a device: what its worker owns.  The engine takes events and
 * says what is to be done; bytes and descriptors are the worker's.
 *
 *	scm_socket_start(), then after it and after each event:
 *		while (scm_socket_next(s, now, &a), a.kind != SCM_DO_NOTHING)
 *			do it
 *	wait for the descriptor, a message, or scm_socket_due()
 *
 * Data of the device waits in the worker, in the order in which it came, and
 * the engine only counts it: it says how many bytes may be written now
 * (scm_socket_writable()) and hears how many were.  Data of the peer waits in
 * the host's socket until the device may be sent some (scm_socket_room()).
 *
 * Pure: no descriptor, no thread, no clock, no allocation.
 */

#include "base/clock.h"
#include "scm/ids.h"
#include "scm/option.h"
#include "scm/policy.h"
#include "wire/scm.h"

/* WRITEs of the device that may be unanswered on one socket: as many as
 * dialect 8 has ids for. */
#define SCM_WRITES_MAX 256

/* The payload of one WRITE to the device: with its header, one read of 16 KiB.
 * A datagram is never cut. */
#define SCM_SEND_MAX (16384 - SCM_HEADER_MAX)
#define SCM_DATAGRAM_MAX 65507

/* How long a device of dialect 8 may take to answer a WRITE. */
#define SCM_ANSWER_MS 30000
/* How long a peer may take nothing of what was written before a CLOSE. */
#define SCM_LINGER_MS 10000
/* How long a device may keep a socket that it was told is closed. */
#define SCM_NOTICE_MS 30000

enum scm_socket_state {
	SCM_STARTING,    /* there is no descriptor yet */
	SCM_UNCONNECTED,
	SCM_CONNECTING,
	SCM_CONNECTED,   /* perhaps only towards the peer, see `peer_ended` */
	SCM_FAILED,      /* no descriptor any more; the device has to CLOSE */
	SCM_CLOSING,     /* the device's CLOSE waits for its data to leave */
	SCM_LEAVING,     /* no descriptor; what still arrives is answered */
	SCM_LEFT,        /* nothing arrives any more */
};
const char *scm_socket_state_name(enum scm_socket_state state);

/* An answer that is owed for a message that takes its time. */
struct scm_answer {
	bool owed, ready;
	uint16_t id;
	int32_t code;
};

/* A WRITE of the device that has not been answered. */
struct scm_write {
	uint16_t id;
	bool done;     /* with `code`; a stream's also when nothing is left */
	int32_t code;
	uint32_t left; /* bytes that the peer has not got */
};

struct scm_socket {
	enum scm_socket_state state;
	enum scm_dialect dialect;
	uint32_t sock;
	uint16_t family; /* enum scm_family */
	bool datagram;
	uint32_t connect_ms, idle_ms;
	struct scm_address peer; /* while CONNECTING and after */
	/* Why it failed, for the log: static words, NULL if it did not. */
	const char *fault;
	int32_t fault_code;

	/* What next() has to give out. */
	bool want_socket;  /* a descriptor, instead of the one there is */
	bool want_connect;
	bool want_close, close_hard;
	bool want_leave, want_end;
	bool has_fd;
	struct scm_answer open, connect, close, shutdown;
	/* The answer to a message that was dealt with at once. */
	struct scm_message reply;
	bool reply_ready;
	/* An option that the worker is to read or set, for `option_of`. */
	bool want_option, option_is_set;
	enum scm_option option;
	struct scm_value value;
	struct scm_message option_of;
	uint8_t option_bytes[SCM_VALUE_MAX]; /* of the REPLY to it */

	/* WRITEs of the device, oldest first. */
	struct scm_write writes[SCM_WRITES_MAX];
	uint32_t first_write, write_count;
	uint32_t arriving;  /* bytes of the newest that have not come */
	uint64_t waiting;   /* bytes of them all that have, and are not gone */
	/* A WRITE under way whose bytes are thrown away. */
	bool refusing;
	int32_t refuse_code;
	bool device_ended; /* SHUTDOWN: no more will come */
	bool fin_sent;

	/* WRITEs to the device. */
	struct scm_ids ids;
	uint32_t unsent;     /* handed out, and not in the device yet */
	bool peer_ended;     /* FIN, or it failed */
	bool notice_sent;    /* CLOSE */

	struct moment connect_by, idle_by, answer_by, close_by, forget_by;

	uint64_t from_device, to_device; /* bytes that have passed */
	uint64_t violations;
};

/* For the OPEN `open`, with what the device's table and limits say.  The socket
 * begins with an action. */
void scm_socket_start(struct scm_socket *s, enum scm_dialect dialect,
    const struct scm_message *open, const struct scm_ids *ids,
    const struct scm_limits *limits, struct moment now);

/* ---- What is to be done ------------------------------------------------- */

enum scm_action_kind {
	SCM_DO_NOTHING,
	/* Make a descriptor of a.family, a.datagram, instead of the one that
	 * there may be, and drop what waits for it; then scm_socket_made(). */
	SCM_DO_SOCKET,
	/* Begin to connect it to a.address; then, at once or later,
	 * scm_socket_connected(). */
	SCM_DO_CONNECT,
	/* Then scm_socket_option_done(). */
	SCM_DO_SETOPT,
	SCM_DO_GETOPT,
	/* Send a.message, which is no WRITE, to the device. */
	SCM_DO_SEND,
	/* No more will be written: shutdown(SHUT_WR). */
	SCM_DO_SHUTDOWN,
	/* Close the descriptor; a.hard: with RST.  Drop what waits for it. */
	SCM_DO_CLOSE,
	/* Tell the reader (scm_device_leave()); when it has answered that
	 * nothing more will come, scm_socket_gone(). */
	SCM_DO_LEAVE,
	/* Tell the reader (scm_device_release(), with s->ids); all is over. */
	SCM_DO_END,
};

struct scm_action {
	enum scm_action_kind kind;
	uint16_t family;
	bool datagram, hard;
	struct scm_address address;
	enum scm_option option;
	struct scm_value value;
	struct scm_message message; /* its data points into the socket */
};

void scm_socket_next(struct scm_socket *s, struct moment now,
    struct scm_action *a);

/* ---- Results of actions ------------------------------------------------- */

/* `error` is an errno of this system, 0 for success, here and below. */
void scm_socket_made(struct scm_socket *s, int error);
void scm_socket_connected(struct scm_socket *s, int error, struct moment now);
/* `value`: of a GETOPT; an errno in SCM_ERROR is this system's. */
void scm_socket_option_done(struct scm_socket *s, int error,
    const struct scm_value *value);

/* ---- From the device ---------------------------------------------------- */

/* A message other than WRITE.  `verdict` is about a CONNECT, else NULL. */
void scm_socket_message(struct scm_socket *s, const struct scm_message *m,
    const struct scm_verdict *verdict, struct moment now);

/* A part of a WRITE.  True: its bytes join what waits.  False: they are not
 * wanted, drop them.  (Each byte that was forwarded is given back with
 * scm_device_taken(), once it is written or dropped.) */
bool scm_socket_data(struct scm_socket *s, const struct scm_message *part,
    struct moment now);
/* SCM_DEVICE_OVERFLOW: bytes of this WRITE are lost, so the socket is. */
void scm_socket_overflow(struct scm_socket *s, const struct scm_message *part,
    struct moment now);

/* Nothing more comes from the device for this socket: it was told so by the
 * reader, because it left, or because the device is gone. */
void scm_socket_gone(struct scm_socket *s);

/* ---- To the peer -------------------------------------------------------- */

/* Bytes that may be written now; of a datagram socket, the next datagram, if
 * *ready (it may be empty).  0: do not wait until the peer takes some. */
uint64_t scm_socket_writable(const struct scm_socket *s, bool *ready);
/* The peer has taken `n` bytes; of a datagram socket: the next datagram, whole,
 * or (`error`) it could not be sent and is dropped. */
void scm_socket_written(struct scm_socket *s, uint64_t n, struct moment now);
void scm_socket_datagram_sent(struct scm_socket *s, int error,
    struct moment now);

/* ---- From the peer ------------------------------------------------------ */

/* How many bytes may be read to be sent in one WRITE.  0: do not read. */
uint32_t scm_socket_room(const struct scm_socket *s);
/* `n` bytes were read, at most that: the WRITE to send them in. */
struct scm_message scm_socket_received(struct scm_socket *s, uint32_t n,
    struct moment now);
/* One of those WRITEs has left the host, or never will. */
void scm_socket_left(struct scm_socket *s);
/* The peer has ended its side. */
void scm_socket_peer_ended(struct scm_socket *s, struct moment now);
/* Reading or writing has failed. */
void scm_socket_broke(struct scm_socket *s, int error, struct moment now);

/* ---- Time --------------------------------------------------------------- */

/* When scm_socket_expire() has something to do; MOMENT_NEVER. */
struct moment scm_socket_due(const struct scm_socket *s);
void scm_socket_expire(struct scm_socket *s, struct moment now);

#endif
