/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * To the host: messages, the ids that they wait for answers with, and the
 * transfers that they are sent in.
 *
 * Answers are queued when they become due; what sockets have to say is made
 * when the bus has room for it, one socket after another.
 */
#include "phone/scmdev.h"

#include <stdlib.h>
#include <string.h>

/* ---- Transfers ---------------------------------------------------------- */

static struct scmdev_transfer *
transfer_new(size_t room)
{
	struct scmdev_transfer *t = malloc(sizeof *t + room);

	if (t != NULL)
		*t = (struct scmdev_transfer){ .len = room };
	return t;
}

static void
append(struct scmdev_pipe *p, struct scmdev_transfer *t)
{
	if (p->last != NULL)
		p->last->next = t;
	else
		p->first = t;
	p->last = t;
	p->count++;
}

static void
drop_first(struct scmdev_pipe *p)
{
	struct scmdev_transfer *t = p->first;

	p->first = t->next;
	if (p->first == NULL)
		p->last = NULL;
	p->count--;
	free(t);
}

bool
scmdev_queue(struct scmdev *s, unsigned pipe, const void *bytes, size_t len)
{
	struct scmdev_transfer *t = transfer_new(len);

	if (t == NULL)
		return false;
	if (len > 0)
		memcpy(t->bytes, bytes, len);
	append(&s->out[pipe], t);
	return true;
}

void
scmdev_output_reset(struct scmdev *s)
{
	for (unsigned i = 0; i < 2; i++) {
		while (s->out[i].first != NULL)
			drop_first(&s->out[i]);
		s->out[i].zlp_due = false;
	}
	memset(s->sent, 0, sizeof s->sent);
	s->waiting = 0;
	s->next_id = 0;
}

bool
scmdev_accepts(const struct scmdev *s)
{
	return s->out[SCMDEV_BULK].count < SCMDEV_QUEUE_MAX &&
	    s->out[SCMDEV_EVENT].count < SCMDEV_QUEUE_MAX;
}

/* ---- Messages ----------------------------------------------------------- */

/* Where there is an interrupt pair, it has all but data; but dialect 8 has one
 * stream of messages. */
unsigned
scmdev_pipe_of(const struct scmdev *s, enum scmdev_op op)
{
	return s->events && s->style.hss && op != SCMDEV_WRITE &&
		op != SCMDEV_NOOP
	    ? SCMDEV_EVENT
	    : SCMDEV_BULK;
}

/* A message is one transfer, or two when it is to be cut. */
static bool
queue_message(struct scmdev *s, const struct scmdev_message *m)
{
	const size_t room = SCMDEV_HEADER_MAX + 9 + m->len;
	struct scmdev_transfer *t = transfer_new(room);
	const unsigned pipe = scmdev_pipe_of(s, m->op);
	size_t cut;

	if (t == NULL)
		return false;
	t->len = scmdev_write(&s->style, m, t->bytes, room);
	cut = scmdev_misbehave_cut(s, t->len);
	if (cut > 0 &&
	    !scmdev_queue(s, pipe, t->bytes, cut)) {
		free(t);
		return false;
	}
	t->at = cut;
	append(&s->out[pipe], t);
	s->count.messages_out++;
	return true;
}

/* Between what a misbehaviour has before the message and behind it. */
static bool
send_message(struct scmdev *s, const struct scmdev_message *m)
{
	bool sent;

	scmdev_misbehave_before(s, m);
	sent = queue_message(s, m);
	if (sent)
		scmdev_misbehave_after(s, m);
	return sent;
}

/* The next id that no message waits with. */
static struct scmdev_sent *
take_id(struct scmdev *s)
{
	struct scmdev_sent *at;

	if (s->waiting == SCMDEV_IDS)
		return NULL;
	do
		at = &s->sent[s->next_id++ % SCMDEV_IDS];
	while (at->waiting);
	*at = (struct scmdev_sent){
		.known = true,
		.waiting = true,
		.id = (uint16_t)(s->next_id - 1),
	};
	if (!s->style.hss)
		at->id %= SCMDEV_IDS;
	if (++s->waiting > s->count.most_waiting)
		s->count.most_waiting = s->waiting;
	return at;
}

static struct scmdev_sent *
register_message(struct scmdev *s, struct scmdev_message *m)
{
	struct scmdev_sent *at = take_id(s);

	if (at == NULL)
		return NULL;
	m->id = at->id;
	at->op = m->op;
	at->socket = m->socket;
	return at;
}

static void
take_back(struct scmdev *s, struct scmdev_sent *at)
{
	*at = (struct scmdev_sent){ 0 };
	s->waiting--;
}

bool
scmdev_request(struct scmdev *s, struct scmdev_message *m,
    struct scmdev_socket *sock, bool recorded)
{
	struct scmdev_sent *at = register_message(s, m);

	if (at == NULL)
		return false;
	at->recorded = recorded;
	at->extra = sock == NULL;
	if (!send_message(s, m)) {
		take_back(s, at);
		return false;
	}
	if (m->op == SCMDEV_WRITE) {
		s->count.writes_out++;
		s->count.data_out += m->len;
	}
	if (sock != NULL) {
		sock->waiting++;
		sock->writes += m->op == SCMDEV_WRITE;
	}
	return true;
}

bool
scmdev_request_extra(struct scmdev *s, struct scmdev_message *m)
{
	struct scmdev_sent *at = register_message(s, m);

	if (at == NULL)
		return false;
	at->extra = true;
	if (queue_message(s, m))
		return true;
	take_back(s, at);
	return false;
}

void
scmdev_answer(struct scmdev *s, enum scmdev_op op, uint16_t id,
    uint32_t socket, int32_t code)
{
	const struct scmdev_message m = {
		.op = SCMDEV_ACK, .id = id, .socket = socket,
		.of = op, .code = code,
	};

	if (!s->acks || s->misbehaviour == SCMDEV_M_NEVER_ACK)
		return;
	s->host_waits[id % SCMDEV_IDS] = false;
	s->count.answers_out++;
	send_message(s, &m);
}

/* ---- To the bus --------------------------------------------------------- */

/* Something to send, if there is anything. */
static bool
fill(struct scmdev *s, unsigned pipe)
{
	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		struct scmdev_socket *sock = s->sockets[s->turn];

		s->turn = (s->turn + 1) % SCMDEV_SOCKETS;
		if (sock != NULL && scmdev_socket_step(s, sock, pipe))
			return true;
	}
	return false;
}

/* Joins the first two transfers.  False: there are not two, or out of memory. */
static bool
join(struct scmdev *s, unsigned pipe)
{
	struct scmdev_pipe *p = &s->out[pipe];
	struct scmdev_transfer *a = p->first, *b = a->next, *both;
	size_t a_len = a->len - a->at, b_len;

	if (b == NULL)
		return false;
	b_len = b->len - b->at;
	both = transfer_new(a_len + b_len);
	if (both == NULL)
		return false;
	memcpy(both->bytes, a->bytes + a->at, a_len);
	memcpy(both->bytes + a_len, b->bytes + b->at, b_len);
	drop_first(p);
	drop_first(p);
	both->next = p->first;
	p->first = both;
	if (p->last == NULL)
		p->last = both;
	p->count++;
	return true;
}

/* As many messages in one transfer as there are, up to the number. */
static void
pack(struct scmdev *s, unsigned pipe)
{
	const uint64_t most = s->misbehaviour_arg > 0 ? s->misbehaviour_arg : 2;
	struct scmdev_pipe *p = &s->out[pipe];

	while (p->count < most && fill(s, pipe))
		continue;
	for (uint64_t n = 1; n < most && join(s, pipe); n++)
		s->misbehaved++;
}

/* What is to be sent now, from its beginning or in the middle of it. */
static struct scmdev_transfer *
next_transfer(struct scmdev *s, unsigned pipe)
{
	struct scmdev_pipe *p = &s->out[pipe];

	if (p->first == NULL && !fill(s, pipe))
		return NULL;
	if (s->misbehaviour == SCMDEV_M_PACK && pipe == SCMDEV_BULK &&
	    p->first->at == 0)
		pack(s, pipe);
	return p->first;
}

/* The rest of a packet for which the host has no room is lost. */
static void
lose_rest(struct scmdev_transfer *t, const struct endpoint *e, uint32_t room)
{
	const size_t rest = e->packet - room % e->packet;
	const size_t left = t->len - t->at;

	t->at += rest < left ? rest : left;
}

/* The transfer has been sent, or an URB is full of it. */
static void
conclude(struct scmdev_pipe *p, struct scmdev_transfer *t,
    const struct endpoint *e, struct usbip_urb *urb, struct outcome *out)
{
	const bool full = out->actual == urb->length;

	if (t->at < t->len && urb->length % e->packet != 0) {
		out->status = USBIP_EOVERFLOW;
		lose_rest(t, e, urb->length);
	}
	if (t->at < t->len)
		return;
	p->zlp_due = full && out->status == USBIP_OK && out->actual > 0 &&
	    out->actual % e->packet == 0;
	drop_first(p);
}

/* False: the cable is pulled amid this transfer. */
static bool
give(struct scmdev *s, struct endpoint *e, struct usbip_urb *urb,
    struct scmdev_transfer *t, struct outcome *out)
{
	const size_t left = t->len - t->at;
	size_t n = left < urb->length ? left : urb->length;
	const size_t allowed = scmdev_misbehave_unplug(s, n);

	memcpy(urb->buffer, t->bytes + t->at, allowed);
	out->actual = (uint32_t)allowed;
	t->at += allowed;
	if (allowed == n)
		return true;
	e->progress = (uint32_t)allowed;
	s->usb.leaving = true;
	return false;
}

bool
scmdev_serve_in(struct scmdev *s, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	const unsigned pipe = e->address == SCMDEV_IN ? SCMDEV_BULK
						      : SCMDEV_EVENT;
	struct scmdev_pipe *p = &s->out[pipe];
	struct scmdev_transfer *t;

	if (s->usb.leaving)
		return false;
	if (p->zlp_due)
		p->zlp_due = false;
	else if ((t = next_transfer(s, pipe)) == NULL)
		return false;
	else if (!give(s, e, urb, t, out))
		return false;
	else
		conclude(p, t, e, urb, out);
	traffic_give(pipe == SCMDEV_BULK ? &s->bulk : &s->event, e, urb, out);
	return true;
}
