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
};

struct protocol {
	const char *name;

	/* Sends the first frame of the handshake; may be called again when no
	 * answer came.  0, or -1 when out of memory.  Reader. */
	int (*hello)(struct device *d);

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

	/* Fills the outer header in front of p->inner_len and the payload, and
	 * sets tx.offset and tx.len.  Writer. */
	void (*frame)(struct device *d, struct packet *p);

	/* Gives back what is half gathered.  Reader. */
	void (*fini)(struct device *d);
};

extern const struct protocol protocol_mux;

#endif
