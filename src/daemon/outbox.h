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
 * The clock cannot help against what is already with the transport: bus_limit.h
 * is about that.
 *
 * Belongs to the device's writer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "daemon/bus_limit.h"
#include "daemon/packet.h"

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
	uint32_t flow_count;
	uint64_t clock;
	struct flow own; /* of what belongs to no connection */
	uint64_t horizon; /* all that waits ends before, if its turn comes */
	uint64_t barrier; /* nothing new begins before */
	bool stop;       /* send what there is, then end */

	struct bus_limit bus; /* of what is with the transport */
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

/* Frames that a flow should have at a time: OUTBOX_FLOW_MAX, so that it never
 * waits for its maker; fewer while others keep the bus busy meanwhile. */
#define OUTBOX_FLOW_MAX 4
uint32_t outbox_flow_frames(const struct outbox *o);

/* What the next frame counts as; there is one. */
uint32_t outbox_next_weight(const struct outbox *o);

#endif
