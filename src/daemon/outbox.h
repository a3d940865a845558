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
 * kept to what the bus carries in a certain time, at the speed that it has shown:
 * a short one while a flow that sends little is there to wait for it, and a
 * longer one otherwise, because large frames cost less than small ones.
 *
 * To a bus at the other end of a network frames are under way for longer than
 * that: then it is that time, and a half of it more.  And where all of this is not
 * enough, the rule of Linux' byte queue limits is: when the transport runs empty
 * again and again while frames wait, the limit is too low; when it never does,
 * what is left over is too much.
 *
 * Belongs to the device's writer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "base/clock.h"
#include "daemon/packet.h"

#define OUTBOX_FRAME 4096u /* what a frame counts besides its bytes */

/* Payload that is worth a transfer: 0.1 ms of a high-speed bus.  Bulk data are
 * not cut into less; and a flow with no more than that to say is not bulk. */
#define OUTBOX_PAYLOAD_MIN 4000u

/*
 * And the most, a bit below a phone's 48 KiB: just that would need a zero-length
 * packet each.  Less while other flows acknowledge what the phone sends: its own
 * acknowledgements then wait behind that, and have to begin earlier, lest all of
 * its window be in flight before the first has come.
 */
#define OUTBOX_PAYLOAD_MAX 49000u
#define OUTBOX_PAYLOAD_BOTH 33000u

/*
 * The limit's range, in bytes as outbox_weight() counts them.  The least is two
 * frames, one on the wire and one behind it.
 * The most carries a USB/IP server that is milliseconds away, and is below the
 * 200 frames that a transport has room for however short they are.
 */
#define OUTBOX_LIMIT_MIN \
	(2 * (OUTBOX_PAYLOAD_MIN + PACKET_HEADER_ROOM + OUTBOX_FRAME))
#define OUTBOX_LIMIT_MAX (190 * OUTBOX_FRAME)

/*
 * What the transport may have, in microseconds of the bus.  Alone: at high speed
 * two frames of 40 KB, which is less than a phone's window.  Shared: what it takes
 * until a host that was asleep has heard of one frame's end and has sent the next,
 * and a bit.  For so long the bus counts as shared after a short frame has come
 * that would have had its turn before.
 */
#define OUTBOX_ALONE_US 2000
#define OUTBOX_SHARED_US 245
#define OUTBOX_SHARED_MS 100

/* Until a bus has shown its speed it is taken for a high-speed one. */
#define OUTBOX_RATE 40000000u
#define OUTBOX_LIMIT_FIRST (OUTBOX_RATE / 1000000 * OUTBOX_ALONE_US)

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
	uint32_t needed; /* as what it had left has shown */
	bool held;       /* the limit keeps frames waiting */
	bool starved;    /* and the transport had none when last looked at */
	uint32_t lowest; /* with the transport, since `frames` was 0 */
	uint32_t frames; /* sent while others were held */

	uint64_t rate;       /* of the bus: bytes a second, frames and all */
	struct moment since; /* of the next look at it... */
	uint64_t sent;       /* ...bytes since then... */
	uint32_t turns;      /* ...and how often it was looked whether the */
	uint32_t empty;      /* transport had any, and it had not */
	/* The shortest time in which a frame has been there and back. */
	int64_t trip_us;
	bool timing;         /* since the transport had none... */
	struct moment begun; /* ...and when that was... */
	uint32_t begun_with; /* ...and what it has been given since */
	bool sparse; /* a flow that sends little has sent */
	bool acks;   /* and one that receives */
	struct moment shared_until, both_until;
	uint32_t most; /* payload of a frame */
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

/* Payload that a frame should have at most: half of what may be in flight, since
 * it cannot be interrupted; and a bit, lest a third one finds room when the limit
 * has risen. */
static inline uint32_t
outbox_half(uint32_t limit)
{
	return limit / 16 * 9 - OUTBOX_FRAME - PACKET_HEADER_ROOM;
}

/* The same, and not more than is good for any. */
static inline uint32_t
outbox_payload(const struct outbox *o)
{
	const uint32_t half = outbox_half(o->limit);

	return half < o->most ? half : o->most;
}

/* Before frames are sent, with `in_flight` bytes at the transport: the limit
 * from now on. */
uint32_t outbox_adjust(struct outbox *o, uint32_t in_flight,
    struct moment now);
/* A frame has been sent; and none more can be, `held`: because of the limit. */
void outbox_count(struct outbox *o);
void outbox_hold(struct outbox *o, bool held);

#endif
