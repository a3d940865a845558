/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/device.h"

#include <string.h>

/* When half of dialect 8's message ids wait for answers that do not come, the
 * device is given up: it would soon have none to be sent anything with. */
#define ORPHANS_MAX 128

/* ---- Life --------------------------------------------------------------- */

void
scm_device_init(struct scm_device *d, const struct scm_format *f,
    const struct scm_policy *policy, const struct scm_identity *who,
    const struct scm_host *host, struct moment now)
{
	memset(d, 0, sizeof *d);
	d->format = *f;
	d->who = *who;
	d->policy = policy;
	d->host = *host;
	d->limits = scm_policy_limits(policy, who);
	scm_bucket_init(&d->connects, d->limits.connects, now);
	scm_bucket_init(&d->bytes, (int64_t)d->limits.bytes, now);
	for (int i = 0; i < 2; i++) {
		scm_splitter_init(&d->splitters[i], f);
		d->writes[i].slot = SCM_NO_SLOT;
	}
	for (int i = 0; i < 256; i++)
		d->free_ids[i] = (uint8_t)i;
	d->free_count = 256;
}

void
scm_device_set_policy(struct scm_device *d, const struct scm_policy *policy,
    const struct scm_host *host, struct moment now)
{
	d->policy = policy;
	d->host = *host;
	d->limits = scm_policy_limits(policy, &d->who);
	scm_bucket_set_rate(&d->connects, d->limits.connects, now);
	scm_bucket_set_rate(&d->bytes, (int64_t)d->limits.bytes, now);
}

/* It has broken the protocol; only the first time counts. */
static void
break_off(struct scm_device *d, const char *why)
{
	if (!d->broken)
		cause_set(&d->fault, "%s", why);
	d->broken = true;
}

/* ---- Message ids -------------------------------------------------------- */

static void
free_id(struct scm_device *d, uint16_t id)
{
	d->ids[id].state = SCM_ID_FREE;
	d->free_ids[(d->first_free + d->free_count++) % 256] = (uint8_t)id;
}

static uint16_t
hold_id(struct scm_device *d, uint32_t slot)
{
	const uint8_t id = d->free_ids[d->first_free];

	d->first_free = (d->first_free + 1) % 256;
	d->free_count--;
	d->ids[id].state = SCM_ID_HELD;
	d->ids[id].slot = (uint8_t)slot;
	return id;
}

/* Uses again what has rested longest, until `n` are free or none rests. */
static void
wake_ids(struct scm_device *d, uint32_t n)
{
	while (d->free_count < n && d->resting > 0) {
		unsigned oldest = 0;

		for (unsigned i = 1; i < 256; i++)
			if (d->ids[i].state == SCM_ID_RESTING &&
			    (d->ids[oldest].state != SCM_ID_RESTING ||
				d->ids[i].since < d->ids[oldest].since))
				oldest = i;
		d->resting--;
		free_id(d, (uint16_t)oldest);
	}
}

/* A socket gives back an id; what the device may still say to it? */
static void
give_back_id(struct scm_device *d, const struct scm_slot *s, unsigned i,
    const struct scm_ids *ids)
{
	struct scm_id *id = &d->ids[s->ids.ids[i]];
	const uint32_t open = ids->busy & ~s->late;

	id->sock = (uint8_t)s->sock;
	if ((open & ids->optional) >> i & 1) {
		id->state = SCM_ID_RESTING;
		id->since = d->rested++;
		d->resting++;
	} else if (open >> i & 1) {
		id->state = SCM_ID_ORPHAN;
		d->orphans++;
	} else {
		free_id(d, s->ids.ids[i]);
	}
}

/*
 * Gives a new socket its ids: the least, and a part of what is to spare when
 * every socket that may yet come has the least, too.  False: there are none.
 */
static bool
allot_ids(struct scm_device *d, uint32_t slot)
{
	struct scm_ids *ids = &d->slots[slot].ids;
	uint32_t reserve, n = SCM_IDS_MIN;

	memset(ids, 0, sizeof *ids);
	if (!scm_writes_are_answered(d->format.dialect)) {
		ids->round = true;
		ids->next = (uint16_t)(slot << 8);
		return true;
	}
	wake_ids(d, SCM_IDS_MIN);
	if (d->free_count < SCM_IDS_MIN)
		return false;
	reserve = d->limits.sockets > d->open
	    ? SCM_IDS_MIN * (d->limits.sockets - d->open)
	    : SCM_IDS_MIN;
	if (d->free_count > reserve)
		n += (d->free_count - reserve) / 8;
	if (n > SCM_IDS_MAX)
		n = SCM_IDS_MAX;
	for (uint32_t i = 0; i < n; i++)
		ids->ids[i] = hold_id(d, slot);
	ids->count = (uint8_t)n;
	return true;
}

/* ---- Slots -------------------------------------------------------------- */

/* The open socket of this number, or SCM_NO_SLOT. */
static uint32_t
find_slot(struct scm_device *d, uint32_t sock)
{
	for (uint32_t i = 0; i < SCM_SLOTS; i++) {
		const uint32_t slot = (d->recent + i) % SCM_SLOTS;

		if (d->slots[slot].state == SCM_SLOT_OPEN &&
		    d->slots[slot].sock == sock) {
			d->recent = slot;
			return slot;
		}
	}
	return SCM_NO_SLOT;
}

static uint32_t
find_free_slot(const struct scm_device *d)
{
	uint32_t slot = 0;

	while (slot < SCM_SLOTS && d->slots[slot].state != SCM_SLOT_FREE)
		slot++;
	return slot;
}

uint32_t
scm_device_next(const struct scm_device *d, uint32_t slot)
{
	while (slot < SCM_SLOTS && d->slots[slot].state == SCM_SLOT_FREE)
		slot++;
	return slot;
}

void
scm_device_opened(struct scm_device *d, uint32_t slot, void *owner)
{
	d->slots[slot].owner = owner;
}

struct scm_message
scm_device_refuse(struct scm_device *d, uint32_t slot,
    const struct scm_message *open, int32_t code)
{
	scm_device_leave(d, slot);
	scm_device_release(d, slot, &d->slots[slot].ids);
	return scm_ack(open, code);
}

void
scm_device_taken(struct scm_device *d, uint32_t slot, uint64_t n)
{
	atomic_fetch_sub_explicit(&d->slots[slot].held, n,
	    memory_order_relaxed);
	atomic_fetch_sub_explicit(&d->held, n, memory_order_relaxed);
}

void
scm_device_leave(struct scm_device *d, uint32_t slot)
{
	struct scm_slot *s = &d->slots[slot];

	if (s->state != SCM_SLOT_OPEN)
		return;
	s->state = SCM_SLOT_LEAVING;
	s->late = 0;
	d->open--;
	d->leaving++;
	for (int i = 0; i < 2; i++)
		if (d->writes[i].slot == slot)
			d->writes[i].slot = SCM_NO_SLOT;
}

void
scm_device_release(struct scm_device *d, uint32_t slot,
    const struct scm_ids *ids)
{
	struct scm_slot *s = &d->slots[slot];

	scm_device_leave(d, slot);
	if (s->state != SCM_SLOT_LEAVING)
		return;
	for (unsigned i = 0; i < s->ids.count; i++)
		give_back_id(d, s, i, ids);
	scm_device_taken(d, slot,
	    atomic_load_explicit(&s->held, memory_order_relaxed));
	s->state = SCM_SLOT_FREE;
	s->owner = NULL;
	d->leaving--;
	if (d->orphans >= ORPHANS_MAX)
		break_off(d, "has not answered 128 WRITEs, so that their "
		    "message ids cannot be used any more");
}

/* ---- Messages ----------------------------------------------------------- */

static bool
reply(struct scm_event *out, const struct scm_message *m, int32_t code)
{
	out->message = scm_ack(m, code);
	out->kind = SCM_DEVICE_REPLY;
	return true;
}

static bool
note(struct scm_device *d, struct scm_event *out, const char *what,
    const struct scm_message *m)
{
	d->violations++;
	out->kind = SCM_DEVICE_NOTE;
	cause_set(&out->why, "%s: %s, message id %u, socket %u", what,
	    scm_op_name(m->op), m->id, m->sock);
	return true;
}

static bool
forward(struct scm_device *d, struct scm_event *out, uint32_t slot,
    const struct scm_message *m)
{
	out->kind = SCM_DEVICE_FORWARD;
	out->slot = slot;
	out->owner = d->slots[slot].owner;
	out->message = *m;
	return true;
}

/* What is wrong with an OPEN, or SCM_OK. */
static int32_t
judge_open(struct scm_device *d, const struct scm_message *m)
{
	if (m->malformed)
		return SCM_EINVAL;
	if (m->family != SCM_INET && m->family != SCM_INET6)
		return SCM_EAFNOSUPPORT;
	if (m->protocol != SCM_TCP && m->protocol != SCM_UDP)
		return SCM_EPROTONOSUPPORT;
	if (m->protocol == SCM_UDP &&
	    !scm_policy_allows_some(d->policy, &d->who, SCM_UDP))
		return SCM_EPROTONOSUPPORT;
	if (find_slot(d, m->sock) != SCM_NO_SLOT) {
		d->violations++;
		return SCM_EEXIST;
	}
	return d->open >= d->limits.sockets ? SCM_EMFILE : SCM_OK;
}

static bool
take_open(struct scm_device *d, struct scm_event *out,
    const struct scm_message *m)
{
	struct scm_message open = *m;
	uint32_t slot;
	int32_t code;

	if (open.protocol == 0)
		open.protocol = SCM_TCP;
	code = judge_open(d, &open);
	slot = find_free_slot(d);
	if (code == SCM_OK && (slot == SCM_NO_SLOT || !allot_ids(d, slot)))
		code = SCM_ENOBUFS;
	if (code != SCM_OK) {
		reply(out, m, code);
		/* For whoever wants to know what was refused. */
		out->message.family = m->family;
		out->message.protocol = m->protocol;
		return true;
	}
	d->slots[slot].state = SCM_SLOT_OPEN;
	d->slots[slot].sock = open.sock;
	d->slots[slot].protocol = open.protocol;
	d->open++;
	forward(d, out, slot, &open);
	out->kind = SCM_DEVICE_OPEN;
	return true;
}

static void
judge_connect(struct scm_device *d, struct scm_event *out, uint32_t slot,
    const struct scm_message *m, struct moment now)
{
	out->verdict = scm_policy_judge(d->policy, &d->who,
	    d->slots[slot].protocol, &m->address, &d->host);
	if (!scm_bucket_take(&d->connects, now) && out->verdict.allowed) {
		out->verdict.allowed = false;
		out->verdict.reason = SCM_TOO_MANY;
	}
	if (!out->verdict.allowed)
		d->refused++;
}

/* CONNECT, CLOSE and what else is about one socket. */
static bool
take_command(struct scm_device *d, struct scm_event *out,
    const struct scm_message *m, struct moment now)
{
	const uint32_t slot = find_slot(d, m->sock);

	if (m->malformed)
		d->violations++;
	if (slot == SCM_NO_SLOT)
		return reply(out, m, SCM_EBADF);
	if (m->op == SCM_CONNECT && !m->malformed)
		judge_connect(d, out, slot, m, now);
	return forward(d, out, slot, m);
}

/* In dialect 8 the message id says whose answer it is. */
static bool
take_answer(struct scm_device *d, struct scm_event *out,
    const struct scm_message *m)
{
	struct scm_id *id;
	struct scm_slot *s;

	if (!scm_writes_are_answered(d->format.dialect))
		return m->malformed && note(d, out, "malformed", m);
	id = &d->ids[m->id];
	s = &d->slots[id->slot];
	if ((id->state == SCM_ID_ORPHAN || id->state == SCM_ID_RESTING) &&
	    id->sock == m->sock) {
		--*(id->state == SCM_ID_ORPHAN ? &d->orphans : &d->resting);
		free_id(d, m->id);
		return false;
	}
	if (id->state != SCM_ID_HELD || s->sock != m->sock)
		return note(d, out, "answer to nothing", m);
	if (s->state == SCM_SLOT_OPEN)
		return forward(d, out, id->slot, m);
	if (s->late & scm_ids_bit(&s->ids, m->id))
		return note(d, out, "second answer", m);
	s->late |= scm_ids_bit(&s->ids, m->id);
	return false;
}

/* As many bytes may wait for one peer as all of them leave free. */
static bool
may_wait(const struct scm_device *d, uint32_t slot, uint32_t n)
{
	const uint64_t all =
	    atomic_load_explicit(&d->held, memory_order_relaxed);
	const uint64_t own =
	    atomic_load_explicit(&d->slots[slot].held, memory_order_relaxed);

	return own + n + all <= d->limits.buffered;
}

/* The first part of a WRITE says what becomes of it. */
static bool
begin_write(struct scm_device *d, enum scm_pipe pipe, struct scm_event *out,
    const struct scm_message *m)
{
	const uint32_t slot = find_slot(d, m->sock);

	d->writes[pipe].slot = slot;
	d->writes[pipe].dropped = false;
	if (slot == SCM_NO_SLOT)
		return false;
	if (d->writes[!pipe].slot == slot) {
		break_off(d, "has begun a WRITE of a socket while another, on "
		    "the other pair of endpoints, is under way");
		return false;
	}
	if (may_wait(d, slot, m->total))
		return false;
	d->writes[pipe].dropped = true;
	forward(d, out, slot, m);
	out->kind = SCM_DEVICE_OVERFLOW;
	return true;
}

static bool
take_write(struct scm_device *d, enum scm_pipe pipe, struct scm_event *out,
    const struct scm_message *m, struct moment now)
{
	uint32_t slot;

	scm_bucket_spend(&d->bytes, m->len, now);
	if (m->len + m->left == m->total && begin_write(d, pipe, out, m))
		return true;
	slot = d->writes[pipe].slot;
	if (m->left == 0)
		d->writes[pipe].slot = SCM_NO_SLOT;
	if (d->broken || d->writes[pipe].dropped)
		return false;
	if (slot == SCM_NO_SLOT)
		return m->left == 0 && reply(out, m, SCM_EBADF);
	atomic_fetch_add_explicit(&d->slots[slot].held, m->len,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&d->held, m->len, memory_order_relaxed);
	return forward(d, out, slot, m);
}

/* True: *out says what is to be done. */
static bool
take_message(struct scm_device *d, enum scm_pipe pipe, struct scm_event *out,
    const struct scm_message *m, struct moment now)
{
	if (m->op != SCM_WRITE || m->left == 0)
		d->messages++;
	switch (m->op) {
	case SCM_OPEN:
		return take_open(d, out, m);
	case SCM_WRITE:
		return take_write(d, pipe, out, m, now);
	case SCM_ACK:
	case SCM_REPLY:
		return take_answer(d, out, m);
	case SCM_NOOP:
		return false;
	default:
		return take_command(d, out, m, now);
	}
}

void
scm_device_input(struct scm_device *d, enum scm_pipe pipe, struct reader *in,
    struct moment now, struct scm_event *out)
{
	struct scm_message m;

	memset(out, 0, sizeof *out);
	out->slot = SCM_NO_SLOT;
	while (!d->broken) {
		switch (scm_split(&d->splitters[pipe], in, &m, &d->fault)) {
		case SCM_SPLIT_MORE:
			out->kind = SCM_DEVICE_IDLE;
			return;
		case SCM_SPLIT_MESSAGE:
			if (take_message(d, pipe, out, &m, now))
				return;
			break;
		case SCM_SPLIT_LOST:
			d->violations++;
			d->broken = true;
			break;
		}
	}
	out->kind = SCM_DEVICE_BROKEN;
	out->why = d->fault;
}

void
scm_device_transfer_ended(struct scm_device *d, enum scm_pipe pipe)
{
	if (scm_splitter_is_inside(&d->splitters[pipe]))
		d->splits++;
}
