/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bytes of a socket, both ways: which are wanted, which may go now, and
 * which WRITEs they are. */

#include "scm/socket_int.h"

/* ---- From the device ---------------------------------------------------- */

static struct scm_write *
newest_write(struct scm_socket *s)
{
	return &s->writes[(s->first_write + s->write_count - 1) %
	    SCM_WRITES_MAX];
}

/* Why a WRITE that begins now is not taken; SCM_OK. */
static int32_t
refusal(const struct scm_socket *s, const struct scm_message *part)
{
	switch (s->state) {
	case SCM_CONNECTING:
	case SCM_CONNECTED:
		break;
	case SCM_FAILED:
		return SCM_EPIPE;
	case SCM_UNCONNECTED:
		return SCM_ENOTCONN;
	default:
		return SCM_EBADF;
	}
	if (s->device_ended)
		return SCM_EPIPE;
	if (s->datagram && part->total > SCM_DATAGRAM_MAX)
		return SCM_EMSGSIZE;
	return SCM_OK;
}

static void
begin_write(struct scm_socket *s, const struct scm_message *part,
    struct moment now)
{
	s->refuse_code = refusal(s, part);
	if (s->refuse_code == SCM_OK && s->write_count == SCM_WRITES_MAX) {
		scm_socket_fail(s, SCM_ENOBUFS,
		    "too many WRITEs of the device are unanswered", now);
		s->refuse_code = SCM_ENOBUFS;
	}
	s->refusing = s->refuse_code != SCM_OK;
	if (s->refusing)
		return;
	s->write_count++;
	*newest_write(s) =
	    (struct scm_write){ .id = part->id, .left = part->total };
	s->arriving = part->total;
}

bool
scm_socket_data(struct scm_socket *s, const struct scm_message *part,
    struct moment now)
{
	if (part->len + part->left == part->total)
		begin_write(s, part, now);
	if (s->refusing) {
		if (part->left == 0) {
			s->refusing = false;
			scm_socket_reply(s, part, s->refuse_code);
		}
		return false;
	}
	if (part->len > s->arriving) /* the rest of what is lost */
		return false;
	s->arriving -= part->len;
	s->waiting += part->len;
	s->from_device += part->len;
	scm_socket_touch(s, now);
	return part->len > 0;
}

void
scm_socket_overflow(struct scm_socket *s, const struct scm_message *part,
    struct moment now)
{
	int32_t code = refusal(s, part);

	if (code == SCM_OK) {
		code = SCM_ENOBUFS;
		scm_socket_fail(s, code, "the peer does not take what the "
		    "device sends, and no more may wait", now);
	}
	s->refusing = false;
	scm_socket_reply(s, part, code);
}

static bool
may_write(const struct scm_socket *s)
{
	return s->has_fd && !s->want_close &&
	    (s->state == SCM_CONNECTED || s->state == SCM_CLOSING);
}

uint64_t
scm_socket_writable(const struct scm_socket *s, bool *ready)
{
	const struct scm_write *first = &s->writes[s->first_write];

	*ready = false;
	if (!may_write(s) || s->write_count == 0)
		return 0;
	if (!s->datagram) {
		*ready = s->waiting > 0;
		return s->waiting;
	}
	*ready = !first->done && (s->write_count > 1 || s->arriving == 0);
	return *ready ? first->left : 0;
}

void
scm_socket_written(struct scm_socket *s, uint64_t n, struct moment now)
{
	s->waiting -= n;
	scm_socket_touch(s, now);
	for (uint32_t i = 0; n > 0 && i < s->write_count; i++) {
		struct scm_write *w =
		    &s->writes[(s->first_write + i) % SCM_WRITES_MAX];
		const uint32_t part = n < w->left ? (uint32_t)n : w->left;

		w->left -= part;
		n -= part;
	}
}

void
scm_socket_datagram_sent(struct scm_socket *s, int error, struct moment now)
{
	struct scm_write *w = &s->writes[s->first_write];

	s->waiting -= w->left;
	w->left = 0;
	w->done = true;
	w->code = scm_code_of_errno(error);
	scm_socket_touch(s, now);
}

/* ---- From the peer ------------------------------------------------------ */

uint32_t
scm_socket_room(const struct scm_socket *s)
{
	/* One id is kept for the CLOSE. */
	if (s->state != SCM_CONNECTED || s->peer_ended ||
	    scm_ids_free(&s->ids) < 2)
		return 0;
	return s->datagram ? SCM_DATAGRAM_MAX : SCM_SEND_MAX;
}

struct scm_message
scm_socket_received(struct scm_socket *s, uint32_t n, struct moment now)
{
	if (!s->ids.round && scm_ids_owed(&s->ids) == 0)
		s->answer_by = moment_after_ms(now, SCM_ANSWER_MS);
	s->unsent++;
	s->to_device += n;
	scm_socket_touch(s, now);
	return (struct scm_message){
		.op = SCM_WRITE,
		.id = scm_ids_take(&s->ids),
		.sock = s->sock,
		.total = n,
	};
}

void
scm_socket_left(struct scm_socket *s)
{
	if (s->unsent > 0)
		s->unsent--;
}

void
scm_socket_peer_ended(struct scm_socket *s, struct moment now)
{
	(void)now;
	if (s->state == SCM_CONNECTED && !s->datagram)
		s->peer_ended = true;
}

void
scm_socket_broke(struct scm_socket *s, int error, struct moment now)
{
	/* What an earlier datagram met is no end of a datagram socket. */
	if (s->datagram && s->state == SCM_CONNECTED)
		return;
	scm_socket_fail(s, scm_code_of_errno(error),
	    "the peer broke the connection", now);
}
