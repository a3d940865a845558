/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_OUTBOX_H
#define MUXD_DAEMON_OUTBOX_H

/*
 * What a writer has to send, and in which order.
 *
 * The frames of a connection wait in its flow and never overtake one another.
 * Flows share the bus by start-time fair queueing: each frame begins, on a clock
 * that counts bytes, where its flow's last one ended, or now; the one that began
 * first is next.  So a flow that sends little is not kept waiting by those that
 * send much, and those get equal shares.  What belongs to no connection leaves
 * behind all that waits already: an answer to a stray packet must not overtake
 * the last frames of the connection that the phone still believes in.  Some of
 * that also holds back all that comes later (packet->barrier): there is no
 * connection before the phone has been set up.
 *
 * The clock cannot help against what is already with the transport.  That is
 * kept as short as it may be without the bus ever waiting for us, by the rule of
 * Linux' byte queue limits: when the transport ran empty while frames waited,
 * the limit was too low; when it never did, what was left over was too much.  It
 * finds the speed of the bus, and how fast this host reacts, by itself.
 *
 * Belongs to the device's writer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "daemon/packet.h"

/*
 * The limit's range, in bytes as outbox_weight() counts them.  The least is two
 * frames of nearly 16 KiB (just 16 KiB would need a zero-length packet each), one
 * on the wire and one behind it: 0.8 ms at high speed.
 * The most carries a USB/IP server that is milliseconds away, and is below the
 * 200 frames that a transport has room for however short they are.
 */
#define OUTBOX_FRAME 4096u /* what a frame counts besides its bytes */
#define OUTBOX_LIMIT_MIN (2 * (16320u + OUTBOX_FRAME))
#define OUTBOX_LIMIT_MAX (190 * OUTBOX_FRAME)

/* Part of a route, on which frames hold a reference; all zeros at first. */
struct flow {
	struct msg *first; /* frames, the oldest first */
	struct msg **end;
	struct flow *next;  /* in the outbox, while it has frames */
	uint64_t begins;    /* its first frame, on the outbox's clock */
	uint64_t turn;      /* the same, twice; odd: not before its equals */
	uint64_t ends;      /* the last one that was sent */
	uint64_t last_ends; /* the last one that waits, if its turn comes */
};

struct outbox {
	struct flow *flows; /* with frames, the next to send first */
	struct flow *last;
	uint64_t clock;
	struct flow own; /* of what belongs to no connection */
	uint64_t horizon; /* all that waits ends before, if its turn comes */
	uint64_t barrier; /* nothing new begins before */
	bool stop;       /* send what there is, then end */

	uint32_t limit;  /* of bytes with the transport */
	bool held;       /* the limit keeps frames waiting */
	uint32_t lowest; /* with the transport, since `frames` was 0 */
	uint32_t frames; /* sent while others were held */
};

void outbox_init(struct outbox *o);

/* A frame of `flow` (NULL: of no connection) waits until outbox_next(). */
void outbox_add(struct outbox *o, struct flow *flow, struct packet *p);
/* The next frame, or NULL. */
struct packet *outbox_next(struct outbox *o);

static inline bool
outbox_is_empty(const struct outbox *o)
{
	return o->flows == NULL;
}

/* What the next frame counts as; there is one. */
uint32_t outbox_next_weight(const struct outbox *o);

/* What a frame with `len` bytes of payload counts as. */
static inline uint32_t
outbox_weight(uint32_t len)
{
	return len + PACKET_HEADER_ROOM + OUTBOX_FRAME;
}

/* Payload that a frame should have at most: worth a transfer, and no more than
 * half of what may be in flight, since it cannot be interrupted. */
static inline uint32_t
outbox_payload(uint32_t limit)
{
	return limit / 2 - OUTBOX_FRAME - PACKET_HEADER_ROOM;
}

/* Before frames are sent, with `in_flight` bytes at the transport: the limit
 * from now on. */
uint32_t outbox_adjust(struct outbox *o, uint32_t in_flight);
/* A frame has been sent; and none more can be, `held`: because of the limit. */
void outbox_count(struct outbox *o);
void outbox_hold(struct outbox *o, bool held);

#endif
