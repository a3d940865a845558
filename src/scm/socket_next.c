/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a socket does next.  The order in which things are looked at here is the
 * order in which they reach the device and the peer, and so the protocol: data
 * before CLOSE, the end of a socket's number before the answer that lets the
 * device use it again.
 */

#include "scm/socket.h"

/* ---- Answers ------------------------------------------------------------ */

static bool
send_message(struct scm_action *a, const struct scm_message *m)
{
	a->kind = SCM_DO_SEND;
	a->message = *m;
	return true;
}

static bool
send_answer(const struct scm_socket *s, struct scm_answer *answer,
    enum scm_op op, struct scm_action *a)
{
	const struct scm_message m = {
		.op = SCM_ACK,
		.id = answer->id,
		.sock = s->sock,
		.answered = op,
		.code = answer->code,
	};

	if (!answer->owed || !answer->ready)
		return false;
	*answer = (struct scm_answer){ .owed = false };
	return send_message(a, &m);
}

/* The oldest WRITE, once nothing of it is left. */
static bool
answer_write(struct scm_socket *s, struct scm_action *a)
{
	const struct scm_write *w = &s->writes[s->first_write];
	struct scm_answer answer = { .owed = true, .ready = true };

	if (s->write_count == 0 ||
	    (!w->done && (s->datagram || w->left > 0)))
		return false;
	answer.id = w->id;
	answer.code = w->code;
	s->first_write = (s->first_write + 1) % SCM_WRITES_MAX;
	s->write_count--;
	return send_answer(s, &answer, SCM_WRITE, a);
}

static bool
answer_something(struct scm_socket *s, struct scm_action *a)
{
	if (s->reply_ready) {
		s->reply_ready = false;
		return send_message(a, &s->reply);
	}
	/* An OPEN that has failed is answered when its number is free. */
	if (s->open.code == SCM_OK && send_answer(s, &s->open, SCM_OPEN, a))
		return true;
	return send_answer(s, &s->connect, SCM_CONNECT, a) ||
	    answer_write(s, a);
}

/* ---- The descriptor ----------------------------------------------------- */

static bool
make_socket(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_socket)
		return false;
	s->want_socket = false;
	a->kind = SCM_DO_SOCKET;
	a->family = s->family;
	a->datagram = s->datagram;
	return true;
}

static bool
use_option(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_option)
		return false;
	s->want_option = false;
	a->kind = s->option_is_set ? SCM_DO_SETOPT : SCM_DO_GETOPT;
	a->option = s->option;
	a->value = s->value;
	return true;
}

static bool
connect_socket(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_connect)
		return false;
	s->want_connect = false;
	a->kind = SCM_DO_CONNECT;
	a->address = s->peer;
	return true;
}

static bool
shut_down(struct scm_socket *s, struct scm_action *a)
{
	if (!s->device_ended || s->fin_sent || s->write_count > 0 ||
	    s->state != SCM_CONNECTED)
		return false;
	s->fin_sent = true;
	s->shutdown.ready = s->shutdown.owed;
	a->kind = SCM_DO_SHUTDOWN;
	return true;
}

static bool
close_socket(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_close)
		return false;
	s->want_close = false;
	s->has_fd = false;
	a->kind = SCM_DO_CLOSE;
	a->hard = s->close_hard;
	return true;
}

/* ---- The end ------------------------------------------------------------ */

/* What the device wrote before its CLOSE has left: so does the socket. */
static void
finish_closing(struct scm_socket *s)
{
	if (s->state != SCM_CLOSING || s->write_count > 0 || s->want_leave)
		return;
	s->want_close = s->has_fd;
	s->want_leave = true;
}

/* The peer has ended, and the device has been sent all that it said. */
static bool
send_notice(struct scm_socket *s, struct moment now, struct scm_action *a)
{
	struct scm_message m = { .op = SCM_CLOSE, .sock = s->sock };

	if (!s->peer_ended || s->notice_sent || s->unsent > 0 ||
	    (s->state != SCM_CONNECTED && s->state != SCM_FAILED) ||
	    scm_ids_free(&s->ids) == 0)
		return false;
	m.id = scm_ids_take(&s->ids);
	s->ids.optional |= scm_ids_bit(&s->ids, m.id);
	s->notice_sent = true;
	s->forget_by = moment_after_ms(now, SCM_NOTICE_MS);
	return send_message(a, &m);
}

static bool
leave(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_leave)
		return false;
	s->want_leave = false;
	s->state = SCM_LEAVING;
	s->connect_by = s->idle_by = s->answer_by = MOMENT_NEVER;
	s->close_by = s->forget_by = MOMENT_NEVER;
	a->kind = SCM_DO_LEAVE;
	return true;
}

static bool
send_last_answer(struct scm_socket *s, struct scm_action *a)
{
	return send_answer(s, &s->shutdown, SCM_SHUTDOWN, a) ||
	    (s->state == SCM_LEAVING &&
		(send_answer(s, &s->open, SCM_OPEN, a) ||
		    send_answer(s, &s->close, SCM_CLOSE, a)));
}

static bool
end(struct scm_socket *s, struct scm_action *a)
{
	if (!s->want_end)
		return false;
	s->want_end = false;
	a->kind = SCM_DO_END;
	return true;
}

void
scm_socket_next(struct scm_socket *s, struct moment now, struct scm_action *a)
{
	*a = (struct scm_action){ .kind = SCM_DO_NOTHING };
	if (s->state == SCM_LEFT) { /* nobody hears an answer */
		if (!close_socket(s, a))
			end(s, a);
		return;
	}
	if (use_option(s, a) || make_socket(s, a) || answer_something(s, a) ||
	    connect_socket(s, a) || shut_down(s, a))
		return;
	finish_closing(s);
	if (close_socket(s, a) || send_notice(s, now, a) || leave(s, a))
		return;
	send_last_answer(s, a);
}
