/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/outbox.h"

#include "daemon/packet.h"

/* So many that wait keep a bus busy until each of their makers has been asked for
 * one more.  What is read ahead beyond that is memory that is cold when its turn
 * comes: a hundred connections have no less of the bus without. */
#define BUSY_FRAMES 8u

void
outbox_init(struct outbox *o)
{
	*o = (struct outbox){ .stop = false };
	bus_limit_init(&o->bus);
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
	return bus_weight(p->payload_len);
}

/* Its flow has had less than its share, and does not want more. */
static bool
is_sparse(const struct flow *f, const struct packet *p, uint64_t clock)
{
	return f->first == NULL && f->ends < clock &&
	    p->payload_len <= BUS_PAYLOAD_MIN;
}

void
outbox_add(struct outbox *o, struct flow *flow, struct packet *p)
{
	struct flow *f = flow != NULL ? flow : &o->own;
	struct msg *m = &p->tx.msg;

	p->not_before = flow != NULL ? latest(o->clock, o->barrier)
				     : o->horizon;
	m->node.next = NULL;
	if (is_sparse(f, p, o->clock))
		bus_limit_note_short(&o->bus, p->payload_len);
	if (f->first != NULL) {
		*f->end = m;
		f->last_ends = latest(f->last_ends, p->not_before) + weight(p);
	} else {
		f->first = m;
		f->begins = latest(f->ends, p->not_before);
		f->last_ends = f->begins + weight(p);
		enlist(o, f);
		o->flow_count++;
	}
	f->end = (struct msg **)&m->node.next;
	o->horizon = latest(o->horizon, f->last_ends);
	if (p->barrier)
		o->barrier = o->horizon;
}

uint32_t
outbox_flow_frames(const struct outbox *o)
{
	if (o->flow_count >= BUSY_FRAMES)
		return 1;
	return o->flow_count * OUTBOX_FLOW_MAX <= BUSY_FRAMES
	    ? OUTBOX_FLOW_MAX
	    : BUSY_FRAMES / o->flow_count;
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
	} else {
		o->flow_count--;
	}
	return p;
}
