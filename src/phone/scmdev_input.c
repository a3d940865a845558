/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the host, as strict as can be: transfers to messages, and what each
 * message may be at that moment.
 *
 * The document has it both ways: a message "shall not be split across
 * transfers", and its figure carries the rest of one over.  Here messages are
 * carried over, and that is counted.
 */
#include "phone/scmdev.h"

#include <string.h>

const struct strict_table scmdev_violations = {
	.device = "scm",
	.kinds = SCMDEV_V_KINDS,
	.names = {
		[SCMDEV_V_SPLIT] = "split",
		[SCMDEV_V_ZLP_MISSING] = "zlp_missing",
		[SCMDEV_V_ZLP_NEEDLESS] = "zlp_needless",
		[SCMDEV_V_PIPE] = "pipe",
		[SCMDEV_V_OPCODE] = "opcode",
		[SCMDEV_V_DIRECTION] = "direction",
		[SCMDEV_V_LENGTH] = "length",
		[SCMDEV_V_RESERVED] = "reserved",
		[SCMDEV_V_ACK_UNKNOWN] = "ack_unknown",
		[SCMDEV_V_ACK_TWICE] = "ack_twice",
		[SCMDEV_V_ACK_SOCKET] = "ack_socket",
		[SCMDEV_V_ACK_KIND] = "ack_kind",
		[SCMDEV_V_ACK_CODE] = "ack_code",
		[SCMDEV_V_ID_REUSED] = "id_reused",
		[SCMDEV_V_SOCKET] = "unknown_socket",
		[SCMDEV_V_EARLY] = "early",
		[SCMDEV_V_LATE] = "late",
	},
};

_Static_assert(SCMDEV_V_KINDS <= STRICT_KINDS_MAX, "counters for all kinds");

/* A message with the bytes that it was read from. */
struct heard {
	const uint8_t *bytes;
	size_t len;
	const struct scmdev_message *m;
};

#define VIOLATION(s, h, kind, ...) \
	strict_count(&(s)->strict, kind, (h)->bytes, (h)->len, __VA_ARGS__)

void
scmdev_input_reset(struct scmdev *s)
{
	struct scmdev_input *in = &s->in;

	in->used = 0;
	in->skip = 0;
	in->whole = in->lost = in->open = false;
	memset(s->host_waits, 0, sizeof s->host_waits);
}

/* ---- Answers of the host's ---------------------------------------------- */

/* Which ones a message has: a REPLY where it asks for data, when all is well. */
static bool
wants_reply(enum scmdev_op op)
{
	return op == SCMDEV_GETOPT || op == SCMDEV_IOCTL;
}

static bool
is_code(const struct scmdev *s, const struct scmdev_sent *at,
    const struct scmdev_message *m)
{
	if (s->style.hss)
		return !m->code_unknown;
	if (m->code > 0) /* "needs to change sending behaviour" */
		return at->op == SCMDEV_WRITE || m->op == SCMDEV_REPLY;
	return m->code >= -SCMDEV_ERRNO_MAX;
}

/* What it says of itself, if it is an answer to that message at all. */
static void
judge_answer(struct scmdev *s, const struct heard *h,
    const struct scmdev_sent *at)
{
	const struct scmdev_message *m = h->m;

	if (m->socket != at->socket)
		VIOLATION(s, h, SCMDEV_V_ACK_SOCKET,
		    "%s of message %u names socket %u, not %u",
		    scmdev_op_name(m->op), m->id, m->socket, at->socket);
	else if (s->style.hss && m->of != at->op)
		VIOLATION(s, h, SCMDEV_V_ACK_KIND, "ACK of %s for %s %u",
		    scmdev_op_name(m->of), scmdev_op_name(at->op), m->id);
	else if ((m->op == SCMDEV_REPLY) != wants_reply(at->op) &&
	    (m->op == SCMDEV_REPLY || m->code >= 0))
		VIOLATION(s, h, SCMDEV_V_ACK_KIND, "%s for %s %u",
		    scmdev_op_name(m->op), scmdev_op_name(at->op), m->id);
	else if (!is_code(s, at, m))
		VIOLATION(s, h, SCMDEV_V_ACK_CODE, "%s %u is answered with %d",
		    scmdev_op_name(at->op), m->id, m->code);
}

/* The message's socket knows, and a tester who has sent it. */
static void
pass_on_answer(struct scmdev *s, const struct heard *h,
    const struct scmdev_sent *at)
{
	struct scmdev_socket *sock;

	if (at->recorded)
		scmdev_hear(s, h->bytes, h->len);
	if (at->extra)
		return;
	sock = scmdev_socket_find(s, at->socket);
	if (sock != NULL)
		scmdev_socket_answered(s, sock, at->op, h->m->code);
}

static void
take_answer(struct scmdev *s, const struct heard *h)
{
	const struct scmdev_message *m = h->m;
	struct scmdev_sent *at = &s->sent[m->id % SCMDEV_IDS];
	const bool known = at->known && at->id == m->id;

	s->count.answers_in++;
	if (!known || !at->waiting) {
		VIOLATION(s, h,
		    known ? SCMDEV_V_ACK_TWICE : SCMDEV_V_ACK_UNKNOWN,
		    "%s for message %u, which %s", scmdev_op_name(m->op),
		    m->id, known ? "has been answered" : "never was");
		return;
	}
	judge_answer(s, h, at);
	at->waiting = false;
	s->waiting--;
	pass_on_answer(s, h, at);
}

/* ---- Messages about a socket -------------------------------------------- */

/* It may be on its way on one pipe while the other has ended its socket, or not
 * begun it yet: pipes do not wait for one another. */
static bool
has_two_pipes(const struct scmdev *s)
{
	return s->events && s->style.hss;
}

static bool
was_mine(const struct scmdev *s, uint32_t id)
{
	const unsigned slot = id % SCMDEV_SOCKETS;

	return s->style.hss && s->laps[slot] << 8 == (id & 0xffffff00);
}

/* NULL: nothing can come of it, and the host knows why. */
static struct scmdev_socket *
judge_socket(struct scmdev *s, const struct heard *h)
{
	const struct scmdev_message *m = h->m;
	struct scmdev_socket *sock = scmdev_socket_find(s, m->socket);

	if (sock == NULL && has_two_pipes(s) && was_mine(s, m->socket)) {
		s->count.late++;
		return NULL;
	}
	if (sock == NULL) {
		VIOLATION(s, h, SCMDEV_V_SOCKET, "%s for socket %u, which is "
		    "not open", scmdev_op_name(m->op), m->socket);
		return NULL;
	}
	if (sock->state == SCMDEV_S_CLOSING) {
		s->count.late++;
		return NULL;
	}
	if (sock->host_closed) {
		VIOLATION(s, h, SCMDEV_V_LATE, "%s for socket %u behind CLOSE",
		    scmdev_op_name(m->op), m->socket);
		return NULL;
	}
	return sock;
}

static bool
is_early(const struct scmdev *s, const struct scmdev_socket *sock)
{
	return sock->state != SCMDEV_S_CONNECTED &&
	    (sock->state != SCMDEV_S_CONNECTING || !has_two_pipes(s));
}

static void
take_write(struct scmdev *s, const struct heard *h)
{
	const struct scmdev_message *m = h->m;
	struct scmdev_socket *sock = judge_socket(s, h);
	int32_t code = -SCMDEV_EPIPE;

	s->count.writes_in++;
	s->count.data_in += m->len;
	if (sock != NULL && is_early(s, sock)) {
		VIOLATION(s, h, SCMDEV_V_EARLY, "WRITE for socket %u, which is "
		    "not connected", m->socket);
		code = -SCMDEV_ENOTCONN;
	} else if (sock != NULL && sock->raw) {
		scmdev_hear(s, h->bytes, h->len);
		code = 0;
	} else if (sock != NULL && !sock->leaving) {
		if (scmdev_socket_receive(s, sock, m))
			return; /* it is answered when it has been taken */
		scmdev_socket_abort(s, sock);
	}
	scmdev_answer(s, SCMDEV_WRITE, m->id, m->socket, code);
}

static void
take_close(struct scmdev *s, const struct heard *h)
{
	const struct scmdev_message *m = h->m;
	struct scmdev_socket *sock = judge_socket(s, h);

	if (sock != NULL && sock->state == SCMDEV_S_OPENING)
		VIOLATION(s, h, SCMDEV_V_EARLY, "CLOSE for socket %u, which is "
		    "not open yet", m->socket);
	else if (sock != NULL) {
		s->count.host_closed++;
		sock->host_closed = true;
		if (sock->raw)
			scmdev_hear(s, h->bytes, h->len);
		scmdev_notice(s);
	}
	scmdev_answer(s, SCMDEV_CLOSE, m->id, m->socket, 0);
}

/* Of dialect 8; in the other one ids are not taken that seriously. */
static void
judge_id(struct scmdev *s, const struct heard *h)
{
	bool *waits = &s->host_waits[h->m->id % SCMDEV_IDS];

	if (s->style.hss)
		return;
	if (*waits)
		VIOLATION(s, h, SCMDEV_V_ID_REUSED,
		    "%s with id %u, which waits for its answer",
		    scmdev_op_name(h->m->op), h->m->id);
	*waits = true;
}

/* ---- Messages ----------------------------------------------------------- */

static void
take_message(struct scmdev *s, const uint8_t *bytes, size_t len,
    struct scmdev_message *m)
{
	const struct heard h = { bytes, len, m };

	s->count.messages_in++;
	if (m->reserved || (m->op == SCMDEV_CLOSE && m->code != 0))
		VIOLATION(s, &h, SCMDEV_V_RESERVED, "%s with a %s",
		    scmdev_op_name(m->op), m->reserved
			? "reserved byte that is not 0" : "code");
	if (!scmdev_read_payload(&s->style, bytes +
		scmdev_header_size(&s->style), m)) {
		VIOLATION(s, &h, SCMDEV_V_LENGTH, "%s with %u bytes behind its "
		    "header", scmdev_op_name(m->op), m->len);
		return;
	}
	switch (m->op) {
	case SCMDEV_ACK:
	case SCMDEV_REPLY:
		take_answer(s, &h);
		break;
	case SCMDEV_WRITE:
		judge_id(s, &h);
		take_write(s, &h);
		break;
	case SCMDEV_CLOSE:
		judge_id(s, &h);
		take_close(s, &h);
		break;
	case SCMDEV_NOOP:
		break;
	default:
		VIOLATION(s, &h, SCMDEV_V_DIRECTION,
		    "%s, which only devices send", scmdev_op_name(m->op));
	}
}

/* False: its data has no room at the moment. */
static bool
has_room(const struct scmdev *s, const struct scmdev_message *m)
{
	const struct scmdev_socket *sock;

	if (!scmdev_accepts(s))
		return false;
	sock = scmdev_socket_find(s, m->socket);
	if (sock == NULL || (m->op != SCMDEV_WRITE && m->op != SCMDEV_CLOSE))
		return true;
	if (sock->raw)
		return s->heard_count < SCMDEV_HEARD_MAX &&
		    s->heard_bytes < SCMDEV_HEARD_BYTES_MAX;
	return sock->rx.used < SCMDEV_RX_MAX && sock->due_count < SCMDEV_IDS;
}

/* ---- The bulk pipe: a stream of bytes ----------------------------------- */

/* The header is there. */
static void
begin_message(struct scmdev *s)
{
	struct scmdev_input *in = &s->in;
	const struct heard h = { in->bytes, in->used, &in->m };

	switch (scmdev_read_head(&s->style, in->bytes, &in->m)) {
	case SCMDEV_HEAD_OK:
		break;
	case SCMDEV_HEAD_UNKNOWN:
		VIOLATION(s, &h, SCMDEV_V_OPCODE, "no such opcode");
		in->skip = in->m.len;
		in->used = 0;
		return;
	case SCMDEV_HEAD_LOST:
		VIOLATION(s, &h, SCMDEV_V_OPCODE, "no such opcode; nobody "
		    "knows where the next message begins");
		in->lost = true;
		return;
	}
	if (in->m.len <= SCMDEV_PAYLOAD_MAX) {
		if (has_two_pipes(s) && in->m.op != SCMDEV_WRITE &&
		    in->m.op != SCMDEV_NOOP)
			VIOLATION(s, &h, SCMDEV_V_PIPE, "%s on the bulk pipe",
			    scmdev_op_name(in->m.op));
		return;
	}
	VIOLATION(s, &h, SCMDEV_V_LENGTH, "%s with %u bytes: %u at most",
	    scmdev_op_name(in->m.op), in->m.len, SCMDEV_PAYLOAD_MAX);
	in->lost = true;
}

/* Gathers a message up to `size` bytes.  How many it has taken. */
static size_t
gather(struct scmdev_input *in, const uint8_t *bytes, size_t len, size_t size)
{
	const size_t missing = size - in->used;
	const size_t n = len < missing ? len : missing;

	memcpy(in->bytes + in->used, bytes, n);
	in->used += n;
	return n;
}

/* Hands on the message that is whole, if there is room for it. */
static bool
finish_message(struct scmdev *s)
{
	struct scmdev_input *in = &s->in;

	in->whole = !has_room(s, &in->m);
	if (in->whole)
		return false;
	take_message(s, in->bytes, in->used, &in->m);
	in->used = 0;
	return true;
}

/* A part of one message.  How many bytes it was. */
static size_t
take_part(struct scmdev *s, const uint8_t *bytes, size_t len)
{
	const size_t head = scmdev_header_size(&s->style);
	struct scmdev_input *in = &s->in;
	size_t n;

	if (in->skip > 0) {
		n = len < in->skip ? len : in->skip;
		in->skip -= (uint32_t)n;
		return n;
	}
	if (in->used >= head) {
		n = gather(in, bytes, len, head + in->m.len);
	} else {
		n = gather(in, bytes, len, head);
		if (in->used == head)
			begin_message(s);
	}
	if (!in->lost && in->used >= head && in->used == head + in->m.len)
		finish_message(s);
	return n;
}

/* How many of the bytes have been taken; all of them, unless a message of
 * theirs has no room. */
static size_t
take_bytes(struct scmdev *s, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	if (s->in.whole && !finish_message(s))
		return 0;
	while (at < len && !s->in.lost && !s->in.whole)
		at += take_part(s, bytes + at, len - at);
	return s->in.lost ? len : at;
}

/* ---- Where transfers end ------------------------------------------------ */

static void
end_transfer(struct scmdev *s)
{
	const struct scmdev_input *in = &s->in;
	const struct heard h = { in->bytes, in->used, &in->m };

	if (in->used > 0 && !in->lost)
		VIOLATION(s, &h, SCMDEV_V_SPLIT, "the transfer ends amid a "
		    "message, of which %zu bytes are here", in->used);
	s->in.open = false;
}

static void
judge_end(struct scmdev *s, const struct endpoint *e,
    const struct usbip_urb *urb)
{
	const struct heard h = { urb->buffer, urb->length, NULL };
	const bool full = urb->length % e->packet == 0;

	if (urb->length == 0 && !s->in.open) {
		VIOLATION(s, &h, SCMDEV_V_ZLP_NEEDLESS,
		    "a zero-length packet that ends nothing");
		return;
	}
	if (urb->length == 0 || !full ||
	    (urb->flags & USBIP_ZERO_PACKET) != 0) {
		end_transfer(s);
		return;
	}
	s->in.open = true;
	s->in.open_since = clock_now();
	scmdev_notice(s);
}

/* A transfer that stays open behind a whole message: a device's controller
 * would wait for its end, and its host for an answer. */
void
scmdev_input_tick(struct scmdev *s, struct moment *until)
{
	static const struct heard nothing = { (const uint8_t *)"", 0, NULL };
	struct scmdev_input *in = &s->in;
	const struct moment end = moment_after_ms(in->open_since,
	    SCMDEV_ZLP_MS);

	if (!in->open || in->used > 0)
		return;
	if (moment_before(clock_now(), end)) {
		*until = moment_earlier(*until, end);
		return;
	}
	in->open = false;
	VIOLATION(s, &nothing, SCMDEV_V_ZLP_MISSING, "a transfer whose last "
	    "packet is full has not been ended");
}

static bool
serve_bulk(struct scmdev *s, struct endpoint *e, const struct usbip_urb *urb,
    struct outcome *out)
{
	out->actual = e->progress;
	e->progress += (uint32_t)take_bytes(s, urb->buffer + e->progress,
	    urb->length - e->progress);
	if (e->progress < urb->length || s->in.whole)
		return false;
	out->actual = urb->length;
	judge_end(s, e, urb);
	traffic_take(&s->bulk, e, urb, urb->length);
	return true;
}

/* ---- The interrupt pipe: a message in each transfer --------------------- */

static void
take_event(struct scmdev *s, const struct usbip_urb *urb)
{
	const size_t head = scmdev_header_size(&s->style);
	struct scmdev_message m;
	const struct heard h = { urb->buffer, urb->length, &m };

	if (urb->length < head ||
	    scmdev_read_head(&s->style, urb->buffer, &m) != SCMDEV_HEAD_OK)
		VIOLATION(s, &h, urb->length < head ? SCMDEV_V_LENGTH
						    : SCMDEV_V_OPCODE,
		    "no message on the interrupt pipe");
	else if (m.len != urb->length - head)
		VIOLATION(s, &h, SCMDEV_V_LENGTH, "%s with %u bytes in a "
		    "transfer of %u", scmdev_op_name(m.op), m.len,
		    urb->length);
	else {
		if (!has_two_pipes(s) || m.op == SCMDEV_WRITE)
			VIOLATION(s, &h, SCMDEV_V_PIPE,
			    "%s on the interrupt pipe", scmdev_op_name(m.op));
		take_message(s, urb->buffer, urb->length, &m);
	}
}

static bool
serve_event(struct scmdev *s, struct endpoint *e, const struct usbip_urb *urb,
    struct outcome *out)
{
	if (!scmdev_accepts(s))
		return false;
	take_event(s, urb);
	out->actual = urb->length;
	traffic_take(&s->event, e, urb, urb->length);
	return true;
}

bool
scmdev_serve_out(struct scmdev *s, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	if (s->misbehaviour == SCMDEV_M_DEAF || s->usb.leaving)
		return false;
	return e->address == SCMDEV_OUT ? serve_bulk(s, e, urb, out)
					: serve_event(s, e, urb, out);
}
