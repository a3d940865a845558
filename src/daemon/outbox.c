/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/outbox.h"

#include "daemon/packet.h"

/* So many frames show whether the limit is too high. */
#define LOOK_FRAMES 64

/* In so long a bus shows its speed: many times what is with the transport, of
 * which it cannot be told how much the bus has carried. */
#define LOOK_NS 20000000

/* ---- Whose turn it is --------------------------------------------------- */

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ .limit = OUTBOX_LIMIT_FIRST,
		.needed = OUTBOX_LIMIT_MIN, .lowest = UINT32_MAX,
		.rate = OUTBOX_RATE, .most = OUTBOX_PAYLOAD_MAX,
		.trip_us = INT64_MAX };
}

/* Behind those that begin before it or with it; but one that has been silent is
 * before those that begin with it and have not. */
static void
enlist(struct outbox *o, struct flow *f)
{
	struct flow **at = &o->flows;

	f->turn = 2 * f->begins + (f->ends < f->begins ? 0 : 1);
	if (o->flows != NULL && o->last->turn <= f->turn)
		at = &o->last->next;
	while (*at != NULL && (*at)->turn <= f->turn)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
	if (f->next == NULL)
		o->last = f;
}

static uint64_t
latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint32_t
weight(const struct packet *p)
{
	return outbox_weight(p->payload_len);
}

/* Its flow has had less than its share, and does not want more. */
static bool
is_sparse(const struct flow *f, const struct packet *p, uint64_t clock)
{
	return f->first == NULL && f->ends < clock &&
	    p->payload_len <= OUTBOX_PAYLOAD_MIN;
}

void
outbox_add(struct outbox *o, struct flow *flow, struct packet *p)
{
	struct flow *f = flow != NULL ? flow : &o->own;
	struct msg *m = &p->tx.msg;

	p->not_before = flow != NULL ? latest(o->clock, o->barrier)
				     : o->horizon;
	m->node.next = NULL;
	if (is_sparse(f, p, o->clock)) {
		o->sparse |= p->payload_len > 0;
		o->acks |= p->payload_len == 0;
	}
	if (f->first != NULL) {
		*f->end = m;
		f->last_ends = latest(f->last_ends, p->not_before) + weight(p);
	} else {
		f->first = m;
		f->begins = latest(f->ends, p->not_before);
		f->last_ends = f->begins + weight(p);
		enlist(o, f);
	}
	f->end = (struct msg **)&m->node.next;
	o->horizon = latest(o->horizon, f->last_ends);
	if (p->barrier)
		o->barrier = o->horizon;
}

uint32_t
outbox_next_weight(const struct outbox *o)
{
	return weight(packet_of_msg(o->flows->first));
}

struct packet *
outbox_next(struct outbox *o)
{
	struct flow *f = o->flows;
	struct packet *p;

	if (f == NULL)
		return NULL;
	p = packet_of_msg(f->first);
	f->first = msg_next(f->first);
	o->clock = f->begins;
	o->sent += weight(p);
	if (o->timing)
		o->begun_with += weight(p);
	f->ends = f->begins + weight(p);
	o->flows = f->next;
	if (f->first != NULL) {
		f->begins = latest(f->ends,
		    packet_of_msg(f->first)->not_before);
		enlist(o, f);
	}
	return p;
}

/* ---- How much may be under way ------------------------------------------ */

static uint32_t
clamp(uint64_t limit)
{
	if (limit < OUTBOX_LIMIT_MIN)
		return OUTBOX_LIMIT_MIN;
	return limit < OUTBOX_LIMIT_MAX ? (uint32_t)limit : OUTBOX_LIMIT_MAX;
}

/*
 * The speed of a bus that has always had something to carry, but for this host's
 * delays, is what it has carried; of another one it is the least.  A bus that is
 * slower for once has only been kept waiting.
 */
static void
measure(struct outbox *o, uint32_t in_flight, struct moment now)
{
	const int64_t ns = now.ns - o->since.ns;
	int64_t more;

	o->turns++;
	o->empty += in_flight == 0;
	if (ns < LOOK_NS)
		return;
	more = (int64_t)(o->sent * 1000000000 / (uint64_t)ns) -
	    (int64_t)o->rate;
	if (more > 0 || o->empty < o->turns / 8)
		o->rate = (uint64_t)((int64_t)o->rate + more / 4);
	o->since = now;
	o->sent = 0;
	o->turns = o->empty = 0;
}

/* The first frame for a transport that had none, and the first that comes back,
 * are the same one. */
static void
time_trips(struct outbox *o, uint32_t in_flight, struct moment now)
{
	if (o->timing && in_flight < o->begun_with) {
		const int64_t us = (now.ns - o->begun.ns) / 1000;

		if (us < o->trip_us)
			o->trip_us = us;
		o->timing = false;
	}
	if (in_flight > 0)
		return;
	o->timing = true;
	o->begun = now;
	o->begun_with = 0;
}

/* For how long the bus may be occupied. */
static uint64_t
time_to_fill(const struct outbox *o, bool shared)
{
	const int64_t us = shared ? OUTBOX_SHARED_US : OUTBOX_ALONE_US;
	const int64_t trip = o->trip_us == INT64_MAX ? 0 : o->trip_us * 3 / 2;

	return (uint64_t)(us > trip ? us : trip);
}

/* Whether what has been `seen` is still to be reckoned with. */
static bool
lasts(bool *seen, struct moment *until, struct moment now)
{
	if (*seen)
		*until = moment_after_ms(now, OUTBOX_SHARED_MS);
	*seen = false;
	return moment_before(now, *until);
}

/* Once may be this host's delay, which no limit is enough for. */
static void
look_for_starvation(struct outbox *o, uint32_t in_flight)
{
	const bool starved = o->held && in_flight == 0;

	if (starved && o->starved) {
		o->needed = clamp(o->limit + o->limit / 4);
		o->lowest = UINT32_MAX;
		o->frames = 0;
	} else if (o->held && in_flight < o->lowest) {
		o->lowest = in_flight;
	}
	o->starved = starved;
}

uint32_t
outbox_adjust(struct outbox *o, uint32_t in_flight, struct moment now)
{
	const bool shared = lasts(&o->sparse, &o->shared_until, now);
	uint64_t carried;

	measure(o, in_flight, now);
	time_trips(o, in_flight, now);
	look_for_starvation(o, in_flight);
	carried = o->rate * time_to_fill(o, shared) / 1000000;
	o->most = lasts(&o->acks, &o->both_until, now)
		? OUTBOX_PAYLOAD_BOTH
		: OUTBOX_PAYLOAD_MAX;
	o->limit = clamp(latest(o->needed, carried));
	return o->limit;
}

void
outbox_count(struct outbox *o)
{
	if (!o->held || ++o->frames < LOOK_FRAMES)
		return;
	if (o->lowest < o->limit)
		o->needed = clamp(o->needed > o->lowest / 2
			? o->needed - o->lowest / 2
			: 0);
	o->lowest = UINT32_MAX;
	o->frames = 0;
}

void
outbox_hold(struct outbox *o, bool held)
{
	o->held = held;
}
