/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The Socket Control Model as a device protocol: its reader's side, and what the
 * writer needs to know (scm_host.h). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/protocol.h"
#include "daemon/scm_conn.h"
#include "daemon/scm_host.h"

/* What is wrong but harmless is logged so often in so long, and counted
 * always. */
#define NOTES_MAX 20
#define NOTES_MS 10000

/* ---- Life --------------------------------------------------------------- */

static bool
init(struct device *d)
{
	d->scm_state = calloc(1, sizeof *d->scm_state);
	if (d->scm_state == NULL)
		return false;
	d->scm_state->starved_msg.type = MSG_SCM_STARVED;
	credit_init(&d->scm_state->unread, UINT32_MAX, &d->reader_box,
	    MSG_SCM_UNREAD_CREDIT);
	return true;
}

static void
do_free(struct device *d) ROLE_UNCHECKED /* nobody else has it any more */
{
	scm_settings_put(d->scm_state->settings);
	free(d->scm_state);
}

/* An interface of the device, whose serial number is known by now. */
static bool
fits(void *arg, const struct usb_class *c)
{
	const struct device *d = arg;
	const struct scm_identity *who = &d->scm_state->who;

	return scm_policy_serves(d->scm->policy, who, c->base, c->sub,
	    c->protocol);
}

static void
start_engine(struct device *d) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const struct scm_format format =
	    scm_policy_format(d->scm->policy, &s->who);

	s->settings = scm_settings_get(d->scm);
	scm_device_init(&s->engine, &format, s->settings->policy, &s->who,
	    &s->settings->host, clock_now());
	scm_audit_init(&s->audit, d->id, &s->who, &s->engine.limits);
	atomic_store_explicit(&s->pace.rate, s->engine.limits.bytes,
	    memory_order_relaxed);
}

static int
bring_up(struct device *d, struct transport *t, usb_step_hook *hook,
    void *hook_arg, struct cause *why) RUNS_ON(on_reader)
{
	int error;

	if (d->scm == NULL) {
		cause_set(why, "device %s: no settings to serve it by",
		    d->ident.key);
		return USB_ERROR_UNSUPPORTED;
	}
	d->scm_state->who = (struct scm_identity){ .vendor = d->ident.vendor,
		.product = d->ident.product,
		.serial = d->phone.udid,
		.busid = d->ident.key };
	error = usb_bring_up_function(t, &d->ident, fits, d, d->anew, hook,
	    hook_arg, &d->phone, why);
	if (error == USB_OK)
		start_engine(d);
	return error;
}

/* ---- Sockets ------------------------------------------------------------ */

static void
answer(void *arg, const struct scm_message *m)
{
	struct scm_message ack;

	if (m->op == SCM_ACK || m->op == SCM_REPLY ||
	    (m->op == SCM_WRITE && m->left > 0))
		return;
	ack = scm_ack(m, SCM_EBADF);
	scm_send(arg, NULL, &ack);
}

static void
refuse(struct device *d, uint32_t slot, const struct scm_message *open,
    int32_t code) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const struct scm_message m =
	    scm_device_refuse(&s->engine, slot, open, code);

	counter_add(&s->stats.open_refused, 1);
	scm_audit_open(&s->audit, open, code);
	scm_send(d, NULL, &m);
}

static void
open_socket(struct device *d, const struct scm_event *e) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	struct scm_conn *c = scm_conn_new(d, e->slot, &e->message);
	static struct log_limit limit;
	char more[LOG_LIMIT_MAX];

	if (c == NULL) {
		if (log_limit_pass(&limit, more) != NULL)
			log_error("%s: no memory for its socket %u%s", d->name,
			    e->message.sock, more);
		refuse(d, e->slot, &e->message, SCM_ENOMEM);
		return;
	}
	counter_add(&s->stats.opened, 1);
	scm_device_opened(&s->engine, e->slot, c);
	/* The manager's box is open as long as readers run. */
	mailbox_post(d->manager, &scm_conn_get(c)->opened_msg);
}

/* There is no worker for it: nobody has read what was forwarded. */
static void
take_unserved(struct device *d, struct scm_conn *c) RUNS_ON(on_reader)
{
	const struct scm_slot *slot = &d->scm_state->engine.slots[c->slot];
	const bool told = slot->state != SCM_SLOT_OPEN;

	refuse(d, c->slot, &c->open, SCM_ENOBUFS);
	/* With it goes the table's reference, if it was told at the device's
	 * end. */
	scm_conn_discard(c, answer, d);
	if (!told)
		scm_conn_put(c);
	scm_conn_put(c); /* the message's */
}

/* Nothing more will come.  The table's reference goes with the message. */
static void
tell_gone(struct scm_conn *c)
{
	if (!mailbox_post(&c->box, &c->gone_msg))
		scm_conn_put(c);
}

static void
show(struct scm_state *s) RUNS_ON(on_reader)
{
	const struct scm_device *engine = &s->engine;

	counter_set(&s->stats.messages, engine->messages);
	counter_set(&s->stats.violations, engine->violations);
	counter_set(&s->stats.splits, engine->splits);
	counter_set(&s->stats.refused, engine->refused);
	counter_set(&s->stats.open, engine->open);
	counter_set(&s->stats.held,
	    atomic_load_explicit(&engine->held, memory_order_relaxed));
}

static void
take_leave(struct device *d, struct scm_conn *c) RUNS_ON(on_reader)
{
	struct scm_device *engine = &d->scm_state->engine;

	/* It may have been told so at the device's end already. */
	if (engine->slots[c->slot].state == SCM_SLOT_OPEN) {
		scm_device_leave(engine, c->slot);
		tell_gone(c);
	}
	scm_conn_put(c);
}

static void
take_release(struct device *d, struct scm_conn *c) RUNS_ON(on_reader)
{
	scm_device_release(&d->scm_state->engine, c->slot, &c->ids);
	scm_conn_put(c);
}

static void
take_settings(struct device *d) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	struct scm_settings *old = s->settings;

	s->settings = scm_inbox_take(&d->scm_inbox);
	if (old != NULL) {
		scm_device_set_policy(&s->engine, s->settings->policy,
		    &s->settings->host, clock_now());
		scm_audit_set_limits(&s->audit, &s->engine.limits);
		atomic_store_explicit(&s->pace.rate, s->engine.limits.bytes,
		    memory_order_relaxed);
	}
	scm_settings_put(old);
}

static void
take(struct device *d, struct msg *m) RUNS_ON(on_reader)
{
	switch ((enum msg_type)m->type) {
	case MSG_SCM_UNSERVED:
		take_unserved(d, scm_conn_of_unserved(m));
		break;
	case MSG_SCM_LEAVE:
		take_leave(d, scm_conn_of_leave(m));
		break;
	case MSG_SCM_RELEASE:
		take_release(d, scm_conn_of_release(m));
		break;
	case MSG_SCM_SETTINGS:
		take_settings(d);
		break;
	case MSG_SCM_UNREAD_CREDIT:
		credit_collect(&d->scm_state->unread);
		break;
	case MSG_SCM_STARVED:
		reader_end(d, DEVICE_END_SHORT,
		    "no memory for what it is to be told");
		break;
	default:
		break;
	}
	show(d->scm_state);
}

/* The reader has told every socket that its device is gone. */
static void
discard(struct msg *m)
{
	struct scm_conn *c;

	switch ((enum msg_type)m->type) {
	case MSG_SCM_UNSERVED:
		c = scm_conn_of_unserved(m);
		scm_conn_discard(c, NULL, NULL);
		scm_conn_put(c);
		break;
	case MSG_SCM_LEAVE:
		scm_conn_put(scm_conn_of_leave(m));
		break;
	case MSG_SCM_RELEASE:
		scm_conn_put(scm_conn_of_release(m));
		break;
	default:
		break;
	}
}

static void
fini(struct device *d) RUNS_ON(on_reader)
{
	struct scm_device *engine = &d->scm_state->engine;

	for (uint32_t slot = 0;
	     (slot = scm_device_next(engine, slot)) != SCM_NO_SLOT; slot++) {
		struct scm_conn *c = engine->slots[slot].owner;

		if (engine->slots[slot].state != SCM_SLOT_OPEN)
			continue;
		scm_device_leave(engine, slot);
		tell_gone(c);
	}
}

/* ---- From the device ---------------------------------------------------- */

/* The read at hand, as far as sockets have parts of it. */
struct input {
	struct chunk *chunk; /* NULL: it is the share's */
	struct scm_share *share;
};

/* The share in the read that a long part is to have.  False: out of memory. */
static bool
share_read(struct input *in)
{
	if (in->share == NULL) {
		in->share = scm_share_new(in->chunk);
		if (in->share != NULL)
			in->chunk = NULL;
	}
	return in->share != NULL;
}

static void
put_read(struct input *in)
{
	chunk_put(in->chunk);
	if (in->share != NULL)
		scm_share_put(in->share);
}

/* False: out of memory. */
static bool
forward(const struct scm_event *e, struct input *in)
{
	const struct scm_message *m = &e->message;
	const bool is_data = m->op == SCM_WRITE;
	const bool shared = is_data && m->len > SCM_COPY_MAX;
	struct scm_conn *c = e->owner;
	struct credit *unread = &c->device->scm_state->unread;
	enum scm_news_kind kind = is_data ? SCM_NEWS_DATA : SCM_NEWS_MESSAGE;
	struct scm_message empty = *m;
	struct scm_news *n;

	if (e->kind == SCM_DEVICE_OVERFLOW) {
		kind = SCM_NEWS_OVERFLOW;
		empty.data = NULL;
		empty.len = 0;
	}
	if (kind == SCM_NEWS_DATA && shared && !share_read(in))
		return false;
	n = scm_news_new(kind, kind == SCM_NEWS_OVERFLOW ? &empty : m,
	    kind == SCM_NEWS_DATA && shared ? in->share : NULL);
	if (n == NULL)
		return false;
	if (kind == SCM_NEWS_OVERFLOW)
		n->message.len = m->len;
	n->verdict = e->verdict;
	credit_take(unread, 1);
	if (!mailbox_post(&c->box, &n->msg)) {
		scm_news_free(n);
		credit_give(unread, 1);
	}
	return true;
}

static void
note_connect(struct device *d, const struct scm_event *e) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const struct scm_message *m = &e->message;

	if (m->op == SCM_CONNECT && !m->malformed)
		scm_audit_connect(&s->audit, s->settings, m->sock,
		    s->engine.slots[e->slot].protocol, &m->address,
		    &e->verdict);
}

static void
note(struct device *d, const char *what) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const struct moment now = clock_now();

	if (moment_ms_between(s->notes_since, now) >= NOTES_MS) {
		s->notes_since = now;
		s->notes = 0;
	}
	if (s->notes++ < NOTES_MAX)
		log_info("%s: ignored: %s", d->name, what);
}

static void
reply(struct device *d, const struct scm_message *m) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;

	if (m->op == SCM_ACK && m->answered == SCM_OPEN) {
		counter_add(&s->stats.open_refused, 1);
		scm_audit_open(&s->audit, m, m->code);
	}
	scm_send(d, NULL, m);
}

/* Does what the engine asks for.  False: it asks for nothing more, and
 * *verdict says how it ends. */
static bool
obey(struct device *d, const struct scm_event *e, struct input *in,
    enum protocol_verdict *verdict, struct cause *why) RUNS_ON(on_reader)
{
	switch (e->kind) {
	case SCM_DEVICE_IDLE:
		return false;
	case SCM_DEVICE_OPEN:
		open_socket(d, e);
		break;
	case SCM_DEVICE_FORWARD:
	case SCM_DEVICE_OVERFLOW:
		note_connect(d, e);
		if (forward(e, in))
			break;
		*verdict = PROTOCOL_REFUSED;
		cause_set(why, "no memory for what it sends");
		return false;
	case SCM_DEVICE_REPLY:
		reply(d, &e->message);
		break;
	case SCM_DEVICE_NOTE:
		note(d, e->why.text);
		break;
	case SCM_DEVICE_BROKEN:
		*verdict = PROTOCOL_BROKEN;
		*why = e->why;
		return false;
	}
	return true;
}

/* A transfer that ends before the read is full has ended. */
static bool
is_short(const struct device *d, const struct chunk *read)
{
	return read->len < (read->pipe == USB_PIPE_INTERRUPT
		? d->phone.pipes.interrupt_in_packet
		: CHUNK_SIZE);
}

static enum protocol_verdict
input(struct device *d, struct chunk *read, struct chunk **packet,
    uint16_t *port, struct cause *why) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const enum scm_pipe pipe = read->pipe == USB_PIPE_INTERRUPT
	    ? SCM_INTERRUPT
	    : SCM_BULK;
	struct reader bytes = reader_over(read->data + read->offset, read->len);
	const bool ended = is_short(d, read);
	enum protocol_verdict verdict = PROTOCOL_TAKEN;
	struct input in = { .chunk = read };
	struct scm_event e;

	(void)packet;
	(void)port;
	counter_add(&d->stats.rx_bytes, read->len);
	do
		scm_device_input(&s->engine, pipe, &bytes, clock_now(), &e);
	while (obey(d, &e, &in, &verdict, why));
	if (ended)
		scm_device_transfer_ended(&s->engine, pipe);
	put_read(&in);
	show(s);
	return verdict;
}

/* Workers keep up.  If not, MSG_SCM_UNREAD_CREDIT tells when they do. */
static bool
is_taken(struct scm_state *s) RUNS_ON(on_reader)
{
	bool taken;

	if (credit_used(&s->unread) < SCM_UNREAD_MAX)
		return true;
	s->unread.limit = SCM_UNREAD_MAX;
	taken = credit_take(&s->unread, 1);
	s->unread.limit = UINT32_MAX;
	if (taken)
		credit_give(&s->unread, 1);
	return taken;
}

static bool
may_read(struct device *d, int *timeout_ms) RUNS_ON(on_reader)
{
	struct scm_state *s = d->scm_state;
	const struct moment ready = scm_bucket_ready(&s->engine.bytes);
	const struct moment now = clock_now();
	int left;

	if (!moment_before(now, ready))
		return atomic_load_explicit(&s->answers,
			   memory_order_relaxed) < SCM_ANSWERS_MAX &&
		    is_taken(s);
	left = moment_poll_timeout(now, ready);
	if (*timeout_ms < 0 || left < *timeout_ms)
		*timeout_ms = left;
	return false;
}

/* ---- To the device ------------------------------------------------------ */

/* The whole message is there, and its header (scm_send(), send_write()). */
static void
frame(struct device *d, struct packet *p) RUNS_ON(on_writer)
{
	p->tx.offset = (uint32_t)(PACKET_HEADER_ROOM - p->inner_len);
	p->tx.len = p->inner_len + p->payload_len;
	p->tx.interrupt = scm_pipe_of(d->scm_state->engine.format.dialect,
	    d->phone.pipes.interrupt_out != 0, (enum scm_op)p->kind) ==
	    SCM_INTERRUPT;
}

const struct protocol protocol_scm = {
	.name = "scm",
	.init = init,
	.free = do_free,
	.bring_up = bring_up,
	.may_read = may_read,
	.input = input,
	.take = take,
	.discard = discard,
	.frame = frame,
	.fini = fini,
};
