/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_DEVICE_H
#define MUXD_SCM_DEVICE_H

/*
 * The side of a device that its reader owns: from bytes to messages, from
 * messages to sockets, and what concerns all sockets of the device at once (how
 * many there are, message ids, the policy).  What happens in a socket is
 * scm/socket.h, which that socket's worker owns; the two share nothing, and
 * what one has to tell the other is an argument here and there.
 *
 * The reader's loop:
 *
 *	after a read:     scm_device_input() until it says SCM_DEVICE_IDLE,
 *			  doing what each event asks for
 *	from a worker:    scm_device_leave() when a socket's engine says
 *			  SCM_DO_LEAVE: the reader then posts "nothing more will
 *			  come" to that worker
 *			  scm_device_release() when it says SCM_DO_END
 *
 * A worker posts its "leave" before it posts the ACK of a CLOSE to the writer.
 * So a device that opens the same number again, having seen that ACK, finds it
 * free, if the reader takes its messages before it takes a read.
 *
 * One thing is shared: how many bytes wait for each peer, which the reader adds
 * to and the worker takes from, scm_device_taken().
 *
 * Pure: no descriptor, no thread, no clock, no allocation.
 */

#include <stdatomic.h>

#include "scm/bucket.h"
#include "scm/ids.h"
#include "scm/policy.h"
#include "wire/scm.h"

/* On which endpoints a message travels. */
enum scm_pipe {
	SCM_BULK,
	SCM_INTERRUPT, /* of devices that have the pair */
};

/* The pipe for a message to the device: with an interrupt pair, dialect 12 has
 * everything there but WRITEs.  They keep no order, see scm_socket_left(). */
static inline enum scm_pipe
scm_pipe_of(enum scm_dialect d, bool has_interrupts, enum scm_op op)
{
	return d == SCM_12 && has_interrupts && op != SCM_WRITE
	    ? SCM_INTERRUPT
	    : SCM_BULK;
}

/* Open sockets, and those whose workers have not let go yet. */
#define SCM_SLOTS 256
#define SCM_NO_SLOT SCM_SLOTS

enum scm_slot_state {
	SCM_SLOT_FREE,
	SCM_SLOT_OPEN,
	SCM_SLOT_LEAVING, /* its number is free, its ids are not */
};

struct scm_slot {
	enum scm_slot_state state;
	uint32_t sock; /* the device's number */
	uint16_t protocol; /* enum scm_protocol */
	void *owner;   /* the caller's; NULL until scm_device_opened() */
	/* Bytes that were forwarded, and that its worker has neither written
	 * nor dropped.  Relaxed, as is the device's: a bound on memory, which
	 * may be late by what is under way. */
	_Atomic uint64_t held;
	struct scm_ids ids;
	uint32_t late; /* answered while it was leaving; bits as in ids.busy */
};

/* What a message id of dialect 8 is doing. */
enum scm_id_state {
	SCM_ID_FREE,
	SCM_ID_HELD,   /* a slot's */
	SCM_ID_ORPHAN, /* its socket has gone, its answer has not come */
	/* The same, but that answer need not come: not every device answers a
	 * CLOSE.  It is used again when there is no other. */
	SCM_ID_RESTING,
};

struct scm_id {
	uint8_t state; /* enum scm_id_state */
	uint8_t slot;  /* HELD */
	uint8_t sock;  /* ORPHAN, RESTING */
	uint32_t since; /* RESTING: the lower, the longer */
};

struct scm_device {
	struct scm_format format;
	struct scm_splitter splitters[2]; /* by enum scm_pipe */
	bool broken;	   /* it has broken the protocol, */
	struct cause fault; /* by this */

	/* Policy; scm_device_set_policy(). */
	const struct scm_policy *policy;
	struct scm_identity who;
	struct scm_host host;
	struct scm_limits limits;
	struct scm_bucket connects;
	struct scm_bucket bytes; /* from the device: the reader waits for
				  * scm_bucket_ready() before it reads on.
				  * The writer has one of its own. */

	struct scm_slot slots[SCM_SLOTS];
	uint32_t open;	 /* slots in use, as these two */
	uint32_t leaving;
	uint32_t recent; /* slot that was found last */
	_Atomic uint64_t held; /* of all slots */
	/* The WRITE under way on each pipe: whose it is (SCM_NO_SLOT: nobody's,
	 * to be answered at its end), or that it was answered: dropped.  A
	 * socket has one at a time. */
	struct {
		bool dropped;
		uint32_t slot;
	} writes[2];

	/* Dialect 8 only.  Free ids in the order in which they became so, that
	 * each rests as long as possible. */
	struct scm_id ids[256];
	uint8_t free_ids[256];
	uint32_t first_free, free_count;
	uint32_t orphans, resting;
	uint32_t rested; /* ever */

	/* For the log and for muxctl. */
	uint64_t messages;   /* received */
	uint64_t violations; /* of those, what was not as it should be */
	uint64_t splits;     /* transfers that ended inside a message */
	uint64_t refused;    /* CONNECTs, by the policy */
};

/* `policy` and what `who` and `host` point to outlive the device, or are
 * replaced. */
void scm_device_init(struct scm_device *d, const struct scm_format *f,
    const struct scm_policy *policy, const struct scm_identity *who,
    const struct scm_host *host, struct moment now);

/* Another policy, from the next message on.  What is connected stays so. */
void scm_device_set_policy(struct scm_device *d,
    const struct scm_policy *policy, const struct scm_host *host,
    struct moment now);

/* ---- From the device ---------------------------------------------------- */

enum scm_event_kind {
	SCM_DEVICE_IDLE, /* the input is used up */
	/* `message` is an OPEN that can be granted: make a worker for `slot`,
	 * with d->slots[slot].ids and d->limits, then scm_device_opened(); or
	 * scm_device_refuse(), whose answer is to be sent. */
	SCM_DEVICE_OPEN,
	/* `message` is for `owner`: scm_socket_message(); a part of a WRITE:
	 * scm_socket_data().  `verdict` belongs to a CONNECT. */
	SCM_DEVICE_FORWARD,
	/* `owner`'s device has sent more than may wait; `message` is the first
	 * part of the WRITE, of which nothing is forwarded:
	 * scm_socket_overflow(). */
	SCM_DEVICE_OVERFLOW,
	/* Send `message` to the device. */
	SCM_DEVICE_REPLY,
	/* Something wrong but harmless was ignored, and counted (why). */
	SCM_DEVICE_NOTE,
	/* It has broken the protocol (why): reset it.  Every further input is
	 * answered like this. */
	SCM_DEVICE_BROKEN,
};

struct scm_event {
	enum scm_event_kind kind;
	uint32_t slot;
	void *owner;
	struct scm_message message;
	struct scm_verdict verdict;
	struct cause why;
};

/*
 * Takes bytes of a pipe, until there is something to do; `in` says how far it
 * got, and a WRITE's data lies in it.
 *
 * A socket may have waiting at most what all of them together leave free of the
 * limit: so one whose peer does not read gets half of it, the next one half of
 * the rest, and there is always something left for those whose peers do.
 */
void scm_device_input(struct scm_device *d, enum scm_pipe pipe,
    struct reader *in, struct moment now, struct scm_event *out);

/* `n` of the bytes forwarded to the slot's owner have been written, or dropped.
 * The slot's worker, while it has the slot. */
void scm_device_taken(struct scm_device *d, uint32_t slot, uint64_t n);

/* A transfer of `pipe` has ended (a short packet).  Counts those that end
 * inside a message. */
void scm_device_transfer_ended(struct scm_device *d, enum scm_pipe pipe);

/* ---- Sockets ------------------------------------------------------------ */

/* The socket that SCM_DEVICE_OPEN was about has an owner; never NULL. */
void scm_device_opened(struct scm_device *d, uint32_t slot, void *owner);
/* It could not be made; the answer to its OPEN. */
struct scm_message scm_device_refuse(struct scm_device *d, uint32_t slot,
    const struct scm_message *open, int32_t code);

/* Nothing more is forwarded to the slot's owner; its number may be opened
 * again. */
void scm_device_leave(struct scm_device *d, uint32_t slot);
/* Its worker is done, and gives back its ids, having seen all that was
 * forwarded; what of it still counted as waiting does so no more. */
void scm_device_release(struct scm_device *d, uint32_t slot,
    const struct scm_ids *ids);

/* The next slot in use from `slot` on, SCM_NO_SLOT at the end: for telling
 * every owner that the device is gone. */
uint32_t scm_device_next(const struct scm_device *d, uint32_t slot);

#endif
