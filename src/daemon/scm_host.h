/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SCM_HOST_H
#define MUXD_DAEMON_SCM_HOST_H

/*
 * What the Socket Control Model keeps of a device (protocol_scm.c): the engine's
 * side of it, which the reader owns, and a few things that the device's sockets
 * share with it.  Each socket is a struct scm_conn with a worker of its own.
 *
 *	device -> peer	bulk IN -> reader, scm_device_input() -(a share in the
 *			chunk)-> socket's mailbox -> worker -> sendmsg()
 *	peer -> device	recv() into a packet with room for the header ->
 *			worker, which writes it -> writer -> bulk OUT (+ ZLP)
 */

#include <stdatomic.h>

#include "actor/counter.h"
#include "actor/credit.h"
#include "base/clock.h"
#include "daemon/roles.h"
#include "daemon/scm_audit.h"
#include "scm/device.h"

struct device;
struct scm_conn;

/*
 * Answers that may be on their way to a device; beyond that nothing more is read
 * of it.  A bound on memory, for a device that asks and does not listen.  Of its
 * 256 message ids a device has no use for more.
 */
#define SCM_ANSWERS_MAX 1024

/*
 * Messages that the reader has forwarded and workers have not taken; beyond that
 * nothing more is read of the device.  Not every message has bytes that count as
 * waiting, and an answer counts when it is made: without this a device could send
 * them faster than a worker takes them, until memory is gone.  Many times what a
 * worker takes at once, and a few megabytes.
 */
#define SCM_UNREAD_MAX 4096

/*
 * Bytes per second to a device, shared by its sockets' workers: the moment until
 * which what has been sent is paid for, up to a second in advance.  Relaxed: a
 * rate, which orders nothing.
 */
struct scm_pace {
	_Atomic uint64_t rate; /* 0: no limit */
	_Atomic int64_t paid_ns;
};

/* For muxctl.  Written by the reader, but for those of the sockets' workers. */
struct scm_stats {
	struct counter opened, open_refused, refused;
	struct counter messages, violations, splits, open, held;
	_Atomic uint64_t connected, connect_failed, lost; /* workers; relaxed */
	_Atomic uint64_t from_device, to_device;          /* the same */
};

struct scm_state {
	/* The reader's, but for scm_device_taken(). */
	struct scm_device engine;
	struct scm_identity who; /* of d->ident and d->phone */
	/* That the engine asks; a reference. */
	struct scm_settings *settings OWNED_BY(on_reader);
	struct scm_audit audit; /* any thread */
	/* Notes that were logged in this while. */
	uint32_t notes OWNED_BY(on_reader);
	struct moment notes_since OWNED_BY(on_reader);

	struct scm_pace pace;
	/* Answers that have not left; relaxed, a bound that may be late by what
	 * is under way. */
	_Atomic uint32_t answers;
	/* The reader takes for what it forwards, workers give.  There is always
	 * some, but while the reader asks whether it may read. */
	struct credit unread;
	/* Memory has run out in a way that a device cannot be told of, so it is
	 * ended.  Whoever sets the flag posts the message; relaxed. */
	_Atomic bool starved;
	struct msg starved_msg;
	struct scm_stats stats;
};

/* The device cannot go on for want of memory.  Any thread. */
void scm_starve(struct device *d);

/* Sends a message that is no WRITE, behind those of `c` before it (NULL: of no
 * socket).  Any thread. */
void scm_send(struct device *d, struct scm_conn *c,
    const struct scm_message *m);

/* When more may be sent to the device; and that `n` bytes have been. */
struct moment scm_pace_ready(const struct scm_pace *p);
void scm_pace_spend(struct scm_pace *p, uint64_t n, struct moment now);

/* "192.0.2.1:80", "[2001:db8::1]:80". */
#define SCM_ADDRESS_TEXT_MAX (SCM_IP_TEXT_MAX + 8)
const char *scm_address_text(char out[SCM_ADDRESS_TEXT_MAX],
    const struct scm_address *a);

#endif
