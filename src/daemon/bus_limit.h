/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_BUS_LIMIT_H
#define MUXD_DAEMON_BUS_LIMIT_H

/*
 * How much the transport may have of what a writer sends.
 *
 * Whatever is with the transport is before all that comes later, however urgent.
 * So that is kept to what the bus carries in a certain time, at the speed that it
 * has shown: a short one while a flow that sends little is there to wait for it,
 * and a longer one otherwise, because large frames cost less than small ones.
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

#include "base/clock.h"
#include "daemon/packet.h"

#define BUS_FRAME 4096u /* what a frame counts besides its bytes */

/* Payload that is worth a transfer: 0.1 ms of a high-speed bus.  Bulk data are
 * not cut into less; and a flow with no more than that to say is not bulk. */
#define BUS_PAYLOAD_MIN 4000u

/*
 * And the most, a bit below a phone's 48 KiB: just that would need a zero-length
 * packet each.  Less while other flows acknowledge what the phone sends: its own
 * acknowledgements then wait behind that, and have to begin earlier, lest all of
 * its window be in flight before the first has come.
 */
#define BUS_PAYLOAD_MAX 49000u
#define BUS_PAYLOAD_BOTH 33000u

/*
 * The limit's range, in bytes as bus_weight() counts them.  The least is two
 * frames, one on the wire and one behind it.
 * The most carries a USB/IP server that is milliseconds away, and is below the
 * 200 frames that a transport has room for however short they are.
 */
#define BUS_LIMIT_MIN \
	(2 * (BUS_PAYLOAD_MIN + PACKET_HEADER_ROOM + BUS_FRAME))
#define BUS_LIMIT_MAX (190 * BUS_FRAME)

/*
 * What the transport may have, in microseconds of the bus.  Alone: at high speed
 * two frames of 40 KB, which is less than a phone's window.  Shared: what it takes
 * until a host that was asleep has heard of one frame's end and has sent the next,
 * and a bit.  For so long the bus counts as shared after a short frame has come
 * that would have had its turn before.
 */
#define BUS_ALONE_US 2000
#define BUS_SHARED_US 245
#define BUS_SHARED_MS 100

/* Until a bus has shown its speed it is taken for a high-speed one. */
#define BUS_RATE 40000000u
#define BUS_LIMIT_FIRST (BUS_RATE / 1000000 * BUS_ALONE_US)

struct bus_limit {
	uint32_t bytes;  /* that the transport may have */
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
	bool silent;         /* and nothing waited, either */
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

void bus_limit_init(struct bus_limit *l);

/* What a frame with `len` bytes of payload counts as. */
static inline uint32_t
bus_weight(uint32_t len)
{
	return len + PACKET_HEADER_ROOM + BUS_FRAME;
}

/* Payload that a frame should have at most: half of what may be in flight, since
 * it cannot be interrupted; and a bit, lest a third one finds room when the limit
 * has risen. */
static inline uint32_t
bus_half(uint32_t limit)
{
	return limit / 16 * 9 - BUS_FRAME - PACKET_HEADER_ROOM;
}

/* The same, and not more than is good for any. */
static inline uint32_t
bus_limit_payload(const struct bus_limit *l)
{
	const uint32_t half = bus_half(l->bytes);

	return half < l->most ? half : l->most;
}

/* A short frame, of a flow that sends little, waits; one without payload is an
 * acknowledgement. */
void bus_limit_note_short(struct bus_limit *l, uint32_t payload);
/* Before frames are sent, with `in_flight` bytes at the transport: the limit
 * from now on. */
uint32_t bus_limit_adjust(struct bus_limit *l, uint32_t in_flight,
    struct moment now);
/* A frame has been sent, of so much; and none more can be, `held`: because of the
 * limit. */
void bus_limit_sent(struct bus_limit *l, uint32_t weight);
void bus_limit_hold(struct bus_limit *l, bool held);

#endif
