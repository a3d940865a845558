/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/bus_limit.h"

/* So many frames show whether the limit is too high. */
#define LOOK_FRAMES 64

/* In so long a bus shows its speed: many times what is with the transport, of
 * which it cannot be told how much the bus has carried. */
#define LOOK_NS 20000000

void
bus_limit_init(struct bus_limit *l)
{
	*l = (struct bus_limit){ .bytes = BUS_LIMIT_FIRST,
		.needed = BUS_LIMIT_MIN, .lowest = UINT32_MAX,
		.rate = BUS_RATE, .most = BUS_PAYLOAD_MAX,
		.trip_us = INT64_MAX };
}

void
bus_limit_note_short(struct bus_limit *l, uint32_t payload)
{
	l->sparse |= payload > 0;
	l->acks |= payload == 0;
}

static uint32_t
clamp(uint64_t limit)
{
	if (limit < BUS_LIMIT_MIN)
		return BUS_LIMIT_MIN;
	return limit < BUS_LIMIT_MAX ? (uint32_t)limit : BUS_LIMIT_MAX;
}

/*
 * The speed of a bus that has always had something to carry, but for this host's
 * delays, is what it has carried; of another one it is the least.  A bus that is
 * slower for once has only been kept waiting.
 */
static void
measure(struct bus_limit *l, uint32_t in_flight, struct moment now)
{
	const int64_t ns = now.ns - l->since.ns;
	int64_t more;

	l->turns++;
	l->empty += in_flight == 0;
	/* It had nothing to carry, which says nothing. */
	l->silent |= in_flight == 0 && !l->held;
	if (ns < LOOK_NS)
		return;
	more = (int64_t)(l->sent * 1000000000 / (uint64_t)ns) -
	    (int64_t)l->rate;
	if (more > 0 || (!l->silent && 8 * l->empty < l->turns))
		l->rate = (uint64_t)((int64_t)l->rate + more / 4);
	l->since = now;
	l->sent = 0;
	l->turns = l->empty = 0;
	l->silent = false;
}

/* The first frame for a transport that had none, and the first that comes back,
 * are the same one. */
static void
time_trips(struct bus_limit *l, uint32_t in_flight, struct moment now)
{
	if (l->timing && in_flight < l->begun_with) {
		const int64_t us = (now.ns - l->begun.ns) / 1000;

		if (us < l->trip_us)
			l->trip_us = us;
		l->timing = false;
	}
	if (in_flight > 0)
		return;
	l->timing = true;
	l->begun = now;
	l->begun_with = 0;
}

/* For how long the bus may be occupied. */
static uint64_t
time_to_fill(const struct bus_limit *l, bool shared)
{
	const int64_t us = shared ? BUS_SHARED_US : BUS_ALONE_US;
	const int64_t trip = l->trip_us == INT64_MAX ? 0 : l->trip_us * 3 / 2;

	return (uint64_t)(us > trip ? us : trip);
}

/* Whether what has been `seen` is still to be reckoned with. */
static bool
lasts(bool *seen, struct moment *until, struct moment now)
{
	if (*seen)
		*until = moment_after_ms(now, BUS_SHARED_MS);
	*seen = false;
	return moment_before(now, *until);
}

/* Once may be this host's delay, which no limit is enough for. */
static void
look_for_starvation(struct bus_limit *l, uint32_t in_flight)
{
	const bool starved = l->held && in_flight == 0;

	if (starved && l->starved) {
		l->needed = clamp(l->bytes + l->bytes / 4);
		l->lowest = UINT32_MAX;
		l->frames = 0;
	} else if (l->held && in_flight < l->lowest) {
		l->lowest = in_flight;
	}
	l->starved = starved;
}

uint32_t
bus_limit_adjust(struct bus_limit *l, uint32_t in_flight, struct moment now)
{
	const bool shared = lasts(&l->sparse, &l->shared_until, now);
	uint64_t carried;

	measure(l, in_flight, now);
	time_trips(l, in_flight, now);
	look_for_starvation(l, in_flight);
	carried = l->rate * time_to_fill(l, shared) / 1000000;
	l->most = lasts(&l->acks, &l->both_until, now)
		? BUS_PAYLOAD_BOTH
		: BUS_PAYLOAD_MAX;
	l->bytes = clamp(l->needed > carried ? l->needed : carried);
	return l->bytes;
}

static void
look_for_excess(struct bus_limit *l)
{
	if (!l->held || ++l->frames < LOOK_FRAMES)
		return;
	if (l->lowest < l->bytes)
		l->needed = clamp(l->needed > l->lowest / 2
			? l->needed - l->lowest / 2
			: 0);
	l->lowest = UINT32_MAX;
	l->frames = 0;
}

void
bus_limit_sent(struct bus_limit *l, uint32_t weight)
{
	l->sent += weight;
	if (l->timing)
		l->begun_with += weight;
	look_for_excess(l);
}

void
bus_limit_hold(struct bus_limit *l, bool held)
{
	l->held = held;
}
