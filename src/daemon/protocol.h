/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_PROTOCOL_H
#define MUXD_DAEMON_PROTOCOL_H

/*
 * The contract between a device's two threads and the protocol that the device
 * speaks.  The reader asks it whom a packet is for, the writer how to frame
 * one; neither knows what is inside.
 *
 * The compiler does not check roles through pointers to functions, so each
 * member says whose it is, and each implementation carries RUNS_ON().
 */

#include "actor/chunk.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/roles.h"

enum protocol_verdict {
	PROTOCOL_NOTHING, /* part of a packet, or an empty read */
	PROTOCOL_TAKEN,   /* a packet that the protocol has dealt with */
	PROTOCOL_PACKET,  /* *packet is for the connection on *port */
	PROTOCOL_READY,   /* the handshake is done */
	PROTOCOL_REFUSED, /* the device cannot be served (cause) */
	PROTOCOL_BAD,     /* malformed, and dropped */
	PROTOCOL_BROKEN,  /* beyond repair: the device is to be reset (cause) */
};

struct protocol {
	const char *name;
	bool is_phone; /* clients are told of such devices, and connect to them */

	/* Makes what the protocol keeps of a device.  False: out of memory.
	 * Whoever makes the device.  NULL: it lies in the device. */
	bool (*init)(struct device *d);
	/* Frees that, with the device. */
	void (*free)(struct device *d);

	/* From an opened device to d->phone, as usb_bring_up().  Reader. */
	int (*bring_up)(struct device *d, struct transport *t,
	    usb_step_hook *hook, void *hook_arg, struct cause *why);

	/* Sends the first frame of the handshake; may be called again when no
	 * answer came.  0, or -1 when out of memory.  NULL: there is none.
	 * Reader. */
	int (*hello)(struct device *d);

	/* Whether the device may send more at this moment; if not, when to ask
	 * again is put into *timeout_ms (-1: at the next message), unless that
	 * is sooner.  NULL: it always may.  Reader. */
	bool (*may_read)(struct device *d, int *timeout_ms);

	/*
	 * Takes a completed read.  The chunk is the protocol's, also when it
	 * is BAD, except after PACKET: then *packet is the caller's, a chain
	 * with the payload and what the headers said.  Reader.
	 */
	enum protocol_verdict (*input)(struct device *d, struct chunk *read,
	    struct chunk **packet, uint16_t *port, struct cause *why);

	/* Answers a packet that belongs to no connection.  The packet stays
	 * the caller's.  Reader. */
	void (*stray)(struct device *d, const struct chunk *packet,
	    uint16_t port);

	/* A message that is for the protocol itself.  NULL: there are none.
	 * Reader. */
	void (*take)(struct device *d, struct msg *m);
	/* The same, of a device whose reader has ended.  Manager. */
	void (*discard)(struct msg *m);

	/* Fills the outer header in front of p->inner_len and the payload, and
	 * sets tx.offset, tx.len and tx.interrupt.  Writer. */
	void (*frame)(struct device *d, struct packet *p);

	/* The device has ended: gives back what is half gathered, and tells
	 * those that are the protocol's own.  Reader. */
	void (*fini)(struct device *d);
};

extern const struct protocol protocol_mux;
extern const struct protocol protocol_scm;

#endif
