/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_PACKET_H
#define MUXD_DAEMON_PACKET_H

/*
 * A frame on its way to a device: one buffer with room for every header in
 * front of the payload, so that the payload stays where recv() put it.
 *
 * Its maker fills the payload and the protocol's inner header; the writer fills
 * the outer header (device->protocol->frame()) and hands it to the transport,
 * which calls packet_done() when it has been sent or has failed.
 */

#include <stdint.h>

#include "usb/transport.h"

struct device;
struct flow;
struct route;
struct scm_conn;

/* Bytes in front of the payload: a version-2 mux header and a TCP header.  The
 * other device protocols need less. */
#define PACKET_HEADER_ROOM 36

struct packet {
	struct tx tx; /* first, so that a message to the writer is a packet */
	struct device *device; /* on whose writer's queue it is */
	/* Of the connection that it belongs to, a reference; NULL: none. */
	struct route *route;
	/* Of a socket of the other protocol, a reference on which the maker's
	 * done() gives back; its flow, or NULL. */
	struct scm_conn *conn;
	struct flow *flow;
	bool upload;          /* holds a credit of the connection, which gets
			       * the buffer back */
	uint32_t counted;     /* credit of the device's writer that it holds */
	bool reply;           /* counted in device->replies */
	bool barrier;         /* what is posted after it leaves after it */
	uint16_t kind;        /* the protocol's own number, for frame() */
	uint64_t not_before;  /* on the outbox's clock; the writer's */
	uint32_t capacity;    /* bytes at `payload` */
	uint32_t payload_len;
	uint32_t inner_len;   /* bytes right before the payload that are filled */
	uint8_t bytes[];      /* PACKET_HEADER_ROOM, then the payload */
};

/* NULL when out of memory. */
struct packet *packet_new(uint32_t capacity);
void packet_free(struct packet *p);

static inline uint8_t *
packet_payload(struct packet *p)
{
	return p->bytes + PACKET_HEADER_ROOM;
}

static inline struct packet *
packet_of_msg(struct msg *m)
{
	return (struct packet *)m; /* tx, and in it msg, come first */
}

/* Gives `p` to `device`'s writer, or back to its owner when that has ended.  Any
 * thread. */
void packet_post(struct packet *p, struct device *device);

#endif
