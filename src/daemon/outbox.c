/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/outbox.h"

#include "daemon/packet.h"

/* So many frames show whether the limit is too high: some 25 ms of a high-speed
 * bus. */
#define LOOK_FRAMES 64

/* ---- Whose turn it is --------------------------------------------------- */

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ .limit = OUTBOX_LIMIT_MIN,
		.lowest = UINT32_MAX };
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

void
outbox_add(struct outbox *o, struct flow *flow, struct packet *p)
{
	struct flow *f = flow != NULL ? flow : &o->own;
	struct msg *m = &p->tx.msg;

	p->not_before = flow != NULL ? latest(o->clock, o->barrier)
				     : o->horizon;
	m->node.next = NULL;
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
clamp(uint32_t limit)
{
	if (limit < OUTBOX_LIMIT_MIN)
		return OUTBOX_LIMIT_MIN;
	return limit < OUTBOX_LIMIT_MAX ? limit : OUTBOX_LIMIT_MAX;
}

uint32_t
outbox_adjust(struct outbox *o, uint32_t in_flight)
{
	if (o->held && in_flight == 0) {
		o->limit = clamp(o->limit + o->limit / 4);
		o->lowest = UINT32_MAX;
		o->frames = 0;
	} else if (o->held && in_flight < o->lowest) {
		o->lowest = in_flight;
	}
	return o->limit;
}

void
outbox_count(struct outbox *o)
{
	if (!o->held || ++o->frames < LOOK_FRAMES)
		return;
	if (o->lowest < o->limit)
		o->limit = clamp(o->limit - o->lowest / 2);
	o->lowest = UINT32_MAX;
	o->frames = 0;
}

void
outbox_hold(struct outbox *o, bool held)
{
	o->held = held;
}
