/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/socket_int.h"

#include <errno.h>
#include <string.h>

const char *
scm_socket_state_name(enum scm_socket_state state)
{
	static const char *const names[] = { "starting", "unconnected",
		"connecting", "connected", "failed", "closing", "leaving",
		"left" };

	return names[state];
}

/* ---- What states have in common ----------------------------------------- */

static void
answer_later(struct scm_answer *a, const struct scm_message *m)
{
	*a = (struct scm_answer){ .owed = true, .id = m->id };
}

static void
answer_is(struct scm_answer *a, int32_t code)
{
	a->ready = a->owed;
	a->code = code;
}

void
scm_socket_reply(struct scm_socket *s, const struct scm_message *m,
    int32_t code)
{
	s->reply = scm_ack(m, code);
	s->reply_ready = true;
}

void
scm_socket_touch(struct scm_socket *s, struct moment now)
{
	if (s->idle_ms > 0 && s->state != SCM_CLOSING)
		s->idle_by = moment_after_ms(now, s->idle_ms);
	if (s->state == SCM_CLOSING)
		s->close_by = moment_after_ms(now, SCM_LINGER_MS);
	else if (s->notice_sent)
		s->forget_by = moment_after_ms(now, SCM_NOTICE_MS);
}

/* No WRITE of the device reaches the peer any more.  The one that is arriving
 * is answered at its end. */
static void
fail_writes(struct scm_socket *s, int32_t code)
{
	if (s->arriving > 0) {
		s->write_count--;
		s->arriving = 0;
		s->refusing = true;
		s->refuse_code = code;
	}
	for (uint32_t i = 0; i < s->write_count; i++) {
		struct scm_write *w =
		    &s->writes[(s->first_write + i) % SCM_WRITES_MAX];

		if (!w->done) {
			w->done = true;
			w->code = code;
		}
	}
	s->waiting = 0;
	answer_is(&s->shutdown, code);
}

void
scm_socket_fail(struct scm_socket *s, int32_t code, const char *fault,
    struct moment now)
{
	if (s->state == SCM_LEAVING || s->state == SCM_LEFT ||
	    s->state == SCM_FAILED)
		return;
	s->fault = fault;
	s->fault_code = code;
	fail_writes(s, code);
	answer_is(&s->connect, code);
	s->want_connect = s->want_socket = false;
	s->want_close = s->close_hard = s->has_fd;
	s->answer_by = s->connect_by = s->idle_by = MOMENT_NEVER;
	if (s->state == SCM_CLOSING) {
		answer_is(&s->close, code);
		return;
	}
	s->state = SCM_FAILED;
	s->peer_ended = true;
	s->forget_by = moment_after_ms(now, SCM_NOTICE_MS);
}

/* ---- Begin -------------------------------------------------------------- */

void
scm_socket_start(struct scm_socket *s, enum scm_dialect dialect,
    const struct scm_message *open, const struct scm_ids *ids,
    const struct scm_limits *limits, struct moment now)
{
	memset(s, 0, sizeof *s);
	s->state = SCM_STARTING;
	s->dialect = dialect;
	s->sock = open->sock;
	s->family = open->family;
	s->datagram = open->protocol == SCM_UDP;
	s->ids = *ids;
	s->connect_ms = limits->connect_ms;
	s->idle_ms = limits->idle_ms;
	s->want_socket = true;
	s->connect_by = s->idle_by = s->answer_by = MOMENT_NEVER;
	s->close_by = s->forget_by = MOMENT_NEVER;
	answer_later(&s->open, open);
	scm_socket_touch(s, now);
}

void
scm_socket_made(struct scm_socket *s, int error)
{
	s->has_fd = error == 0;
	if (s->open.owed)
		answer_is(&s->open, scm_code_of_errno(error));
	if (error == 0) {
		if (s->state == SCM_STARTING)
			s->state = SCM_UNCONNECTED;
		return;
	}
	/* There is no socket: nothing of it is left but that answer. */
	s->fault = "no descriptor for it";
	s->fault_code = scm_code_of_errno(error);
	s->want_connect = false;
	if (!s->connect.ready)
		answer_is(&s->connect, s->fault_code);
	if (s->open.owed) {
		s->want_leave = true;
		return;
	}
	s->state = SCM_FAILED;
	s->peer_ended = true;
}

/* ---- CONNECT ------------------------------------------------------------ */

static void
begin_connect(struct scm_socket *s, const struct scm_message *m,
    struct moment now)
{
	/* Devices of dialect 12 say IPv4 in each OPEN, and mean it in CONNECT
	 * only. */
	if (m->address.family != s->family) {
		s->family = m->address.family;
		s->want_socket = true;
	}
	s->peer = m->address;
	s->state = SCM_CONNECTING;
	s->want_connect = true;
	s->connect_by = moment_after_ms(now, s->connect_ms);
	answer_later(&s->connect, m);
	scm_socket_touch(s, now);
}

static void
take_connect(struct scm_socket *s, const struct scm_message *m,
    const struct scm_verdict *verdict, struct moment now)
{
	const bool known = m->address.family == SCM_INET ||
	    m->address.family == SCM_INET6;

	switch (s->state) {
	case SCM_CONNECTING:
		scm_socket_reply(s, m, SCM_EALREADY);
		return;
	case SCM_CONNECTED:
		scm_socket_reply(s, m, SCM_EISCONN);
		return;
	case SCM_FAILED:
		scm_socket_reply(s, m, SCM_EPIPE);
		return;
	case SCM_UNCONNECTED:
		break;
	default:
		scm_socket_reply(s, m, SCM_EBADF);
		return;
	}
	if (m->malformed)
		scm_socket_reply(s, m, SCM_EINVAL);
	else if (!known ||
	    (s->dialect == SCM_8 && m->address.family != s->family))
		scm_socket_reply(s, m, SCM_EAFNOSUPPORT);
	else if (verdict == NULL || !verdict->allowed)
		scm_socket_reply(s, m, SCM_ECONNREFUSED);
	else
		begin_connect(s, m, now);
}

void
scm_socket_connected(struct scm_socket *s, int error, struct moment now)
{
	if (s->state != SCM_CONNECTING || s->want_connect)
		return;
	s->connect_by = MOMENT_NEVER;
	answer_is(&s->connect, scm_code_of_errno(error));
	if (error == 0) {
		s->state = SCM_CONNECTED;
		scm_socket_touch(s, now);
		return;
	}
	/* What a descriptor is after that, systems do not agree on. */
	s->state = SCM_UNCONNECTED;
	s->want_socket = true;
	fail_writes(s, SCM_ENOTCONN);
}

/* ---- The end ------------------------------------------------------------ */

static void
take_close(struct scm_socket *s, const struct scm_message *m,
    struct moment now)
{
	switch (s->state) {
	case SCM_CONNECTING:
		answer_is(&s->connect, SCM_ECONNABORTED);
		fail_writes(s, SCM_ECONNABORTED);
		s->want_connect = s->want_socket = false;
		break;
	case SCM_UNCONNECTED:
	case SCM_CONNECTED:
	case SCM_FAILED:
		break;
	default:
		scm_socket_reply(s, m, SCM_EBADF);
		return;
	}
	s->state = SCM_CLOSING;
	s->connect_by = s->idle_by = s->answer_by = MOMENT_NEVER;
	s->forget_by = MOMENT_NEVER;
	s->close_by = moment_after_ms(now, SCM_LINGER_MS);
	answer_later(&s->close, m);
	answer_is(&s->close, SCM_OK);
}

static void
take_shutdown(struct scm_socket *s, const struct scm_message *m)
{
	if (s->state == SCM_FAILED)
		scm_socket_reply(s, m, SCM_EPIPE);
	else if (s->state == SCM_CLOSING || s->state == SCM_LEAVING)
		scm_socket_reply(s, m, SCM_EBADF);
	else if (s->state != SCM_CONNECTED || s->datagram)
		scm_socket_reply(s, m, SCM_ENOTCONN);
	else if (s->device_ended)
		scm_socket_reply(s, m, SCM_OK);
	else {
		s->device_ended = true;
		answer_later(&s->shutdown, m);
	}
}

void
scm_socket_gone(struct scm_socket *s)
{
	s->state = SCM_LEFT;
	s->want_leave = false;
	s->want_close = s->close_hard = s->has_fd;
	s->want_end = true;
	s->waiting = 0;
	s->write_count = 0;
	s->connect_by = s->idle_by = s->answer_by = MOMENT_NEVER;
	s->close_by = s->forget_by = MOMENT_NEVER;
}

/* ---- Options ------------------------------------------------------------ */

static void
take_option(struct scm_socket *s, const struct scm_message *m)
{
	int32_t code = SCM_OK;

	if (s->state == SCM_FAILED)
		code = SCM_EPIPE;
	else if (!s->has_fd || s->state == SCM_CLOSING)
		code = SCM_EBADF;
	else
		code = scm_option_find(m, &s->option, &s->value);
	if (code != SCM_OK) {
		scm_socket_reply(s, m, code);
		return;
	}
	s->option_of = *m;
	s->want_option = true;
	s->option_is_set = m->op == SCM_SETOPT;
}

void
scm_socket_option_done(struct scm_socket *s, int error,
    const struct scm_value *value)
{
	struct scm_value v = { { 0 } };

	scm_socket_reply(s, &s->option_of, scm_code_of_errno(error));
	if (error != 0 || s->option_is_set)
		return;
	v = *value;
	/* What waits here has not been sent either. */
	if (s->option == SCM_OUTQ)
		v.v[0] += s->waiting < INT32_MAX / 2 ? (int32_t)s->waiting
						     : INT32_MAX / 2;
	s->reply.op = SCM_REPLY;
	s->reply.data = s->option_bytes;
	s->reply.len = scm_value_write(s->option_bytes, s->option, &v);
}

/* ---- Answers ------------------------------------------------------------ */

static void
take_answer(struct scm_socket *s, const struct scm_message *m,
    struct moment now)
{
	const bool notice =
	    (s->ids.optional & scm_ids_bit(&s->ids, m->id)) != 0;

	if (s->ids.round)
		return;
	if (!scm_ids_answered(&s->ids, m->id)) {
		s->violations++; /* a second answer, or one to nothing */
		return;
	}
	if (s->answer_by.ns != MOMENT_NEVER.ns)
		s->answer_by = scm_ids_owed(&s->ids) != 0
		    ? moment_after_ms(now, SCM_ANSWER_MS)
		    : MOMENT_NEVER;
	if (!notice && m->code < 0 && s->state == SCM_CONNECTED)
		scm_socket_fail(s, SCM_ECONNABORTED,
		    "the device did not take the peer's data", now);
}

void
scm_socket_message(struct scm_socket *s, const struct scm_message *m,
    const struct scm_verdict *verdict, struct moment now)
{
	switch (m->op) {
	case SCM_CONNECT:
		take_connect(s, m, verdict, now);
		break;
	case SCM_CLOSE:
		take_close(s, m, now);
		break;
	case SCM_SHUTDOWN:
		take_shutdown(s, m);
		break;
	case SCM_SETOPT:
	case SCM_GETOPT:
	case SCM_IOCTL:
		take_option(s, m);
		break;
	case SCM_ACK:
	case SCM_REPLY:
		take_answer(s, m, now);
		break;
	default: /* the device's side keeps the others */
		break;
	}
}

/* ---- Time --------------------------------------------------------------- */

struct moment
scm_socket_due(const struct scm_socket *s)
{
	const struct moment a = moment_earlier(s->connect_by, s->idle_by);
	const struct moment b = moment_earlier(s->answer_by, s->close_by);

	return moment_earlier(moment_earlier(a, b), s->forget_by);
}

static bool
passed(struct moment *by, struct moment now)
{
	if (by->ns == MOMENT_NEVER.ns || moment_before(now, *by))
		return false;
	*by = MOMENT_NEVER;
	return true;
}

void
scm_socket_expire(struct scm_socket *s, struct moment now)
{
	if (passed(&s->connect_by, now)) {
		s->want_connect = false;
		scm_socket_connected(s, ETIMEDOUT, now);
	}
	if (passed(&s->answer_by, now))
		scm_socket_fail(s, SCM_ETIMEDOUT,
		    "the device does not answer WRITEs", now);
	if (passed(&s->idle_by, now))
		scm_socket_fail(s, SCM_ETIMEDOUT,
		    "nothing has passed for too long", now);
	if (passed(&s->close_by, now) && s->state == SCM_CLOSING)
		scm_socket_fail(s, SCM_ETIMEDOUT, "the peer does not take "
		    "what was written before the end", now);
	if (passed(&s->forget_by, now)) {
		if (s->fault == NULL)
			s->fault = "the device keeps a socket that has ended";
		fail_writes(s, SCM_EPIPE);
		s->want_close = s->has_fd;
		s->want_leave = true;
	}
}
