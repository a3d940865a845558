/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/scm.h"

#include <errno.h>
#include <string.h>

#include "wire/scm_int.h"

static const struct scm_codec *
codec_of(const struct scm_format *f)
{
	return f->dialect == SCM_8 ? &scm8_codec : &scm12_codec;
}

/* ---- Words and numbers -------------------------------------------------- */

const char *
scm_op_name(enum scm_op op)
{
	static const char *const names[SCM_OP_COUNT] = { "OPEN", "CONNECT",
		"CLOSE", "WRITE", "ACK", "REPLY", "IOCTL", "SETOPT", "GETOPT",
		"SHUTDOWN", "NOOP" };

	return (unsigned)op < SCM_OP_COUNT ? names[op] : "?";
}

int32_t
scm_code_of_errno(int error)
{
	static const struct {
		int error;
		int32_t code;
	} codes[] = {
		{ 0, SCM_OK },
		{ EBADF, SCM_EBADF },
		{ ENOMEM, SCM_ENOMEM },
		{ EACCES, SCM_EACCES },
		{ EPERM, SCM_EACCES }, /* a packet filter of the host */
		{ EINVAL, SCM_EINVAL },
		{ EMFILE, SCM_EMFILE },
		{ ENFILE, SCM_EMFILE },
		{ EPIPE, SCM_EPIPE },
		{ EMSGSIZE, SCM_EMSGSIZE },
		{ ENOPROTOOPT, SCM_ENOPROTOOPT },
		{ EPROTONOSUPPORT, SCM_EPROTONOSUPPORT },
		{ EOPNOTSUPP, SCM_EOPNOTSUPP },
		{ EAFNOSUPPORT, SCM_EAFNOSUPPORT },
		{ EADDRINUSE, SCM_EADDRINUSE },
		{ EADDRNOTAVAIL, SCM_EADDRNOTAVAIL },
		{ ENETUNREACH, SCM_ENETUNREACH },
		{ ENETDOWN, SCM_ENETUNREACH },
		{ ECONNABORTED, SCM_ECONNABORTED },
		{ ECONNRESET, SCM_ECONNRESET },
		{ ENOBUFS, SCM_ENOBUFS },
		{ EISCONN, SCM_EISCONN },
		{ ENOTCONN, SCM_ENOTCONN },
		{ ETIMEDOUT, SCM_ETIMEDOUT },
		{ ECONNREFUSED, SCM_ECONNREFUSED },
		{ EHOSTUNREACH, SCM_EHOSTUNREACH },
		{ EALREADY, SCM_EALREADY },
	};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i].error == error)
			return codes[i].code;
	return SCM_EIO;
}

/* ---- Messages ----------------------------------------------------------- */

bool
scm_message_write(struct writer *w, const struct scm_format *f,
    const struct scm_message *m)
{
	if (!codec_of(f)->write(w, f, m))
		w->bad = true;
	return !w->bad;
}

struct scm_message
scm_ack(const struct scm_message *m, int32_t code)
{
	return (struct scm_message){
		.op = SCM_ACK,
		.id = m->id,
		.sock = m->sock,
		.answered = m->op,
		.code = code,
	};
}

void
scm_read_rest(struct reader *r, struct scm_message *m)
{
	m->len = (uint32_t)reader_left(r);
	m->data = read_bytes(r, m->len);
}

/* ---- From a stream of bytes --------------------------------------------- */

void
scm_splitter_init(struct scm_splitter *s, const struct scm_format *f)
{
	memset(s, 0, sizeof *s);
	s->format = *f;
}

/* Moves bytes of the input behind those that are held, until `want` are. */
static bool
hold(struct scm_splitter *s, struct reader *in, size_t want)
{
	const size_t lack = want - s->have;
	const size_t n = reader_left(in) < lack ? reader_left(in) : lack;

	read_copy(in, s->held + s->have, n);
	s->have += (uint32_t)n;
	return s->have == want;
}

/* The header is there: what does it begin?  False: nothing that we know. */
static bool
begin(struct scm_splitter *s, struct cause *why)
{
	struct reader r =
	    reader_over(s->held, scm_header_len(s->format.dialect));
	uint32_t opcode = 0;

	memset(&s->message, 0, sizeof s->message);
	if (!codec_of(&s->format)->read_header(&r, &s->message, &opcode)) {
		cause_set(why, "sent the opcode 0x%02x, which there is not",
		    opcode);
		return false;
	}
	if (s->message.total > SCM_PAYLOAD_MAX) {
		cause_set(why, "announced %u bytes of payload in a %s; more "
		    "than %u are not believed", s->message.total,
		    scm_op_name(s->message.op), SCM_PAYLOAD_MAX);
		return false;
	}
	s->left = s->message.total;
	s->in_payload = true;
	return true;
}

static enum scm_split
give(struct scm_splitter *s, struct scm_message *out)
{
	s->have = 0;
	s->in_payload = false;
	*out = s->message;
	return SCM_SPLIT_MESSAGE;
}

/* What there is of a WRITE's payload. */
static enum scm_split
give_part(struct scm_splitter *s, struct reader *in, struct scm_message *out)
{
	struct scm_message *m = &s->message;

	m->len = s->left;
	if (m->len > reader_left(in))
		m->len = (uint32_t)reader_left(in);
	if (m->len == 0 && s->left > 0)
		return SCM_SPLIT_MORE;
	m->data = read_bytes(in, m->len);
	m->left = s->left -= m->len;
	if (m->left == 0)
		return give(s, out);
	*out = *m;
	return SCM_SPLIT_MESSAGE;
}

/* Any other payload, as soon as it is there. */
static enum scm_split
give_small(struct scm_splitter *s, struct reader *in, struct scm_message *out)
{
	const size_t header = scm_header_len(s->format.dialect);
	const uint32_t total = s->message.total;
	const uint32_t keep = total < SCM_SMALL_MAX ? total : SCM_SMALL_MAX;
	size_t skip = total - keep;
	struct reader r;

	if (!hold(s, in, header + keep))
		return SCM_SPLIT_MORE;
	/* `left` counts what is read over; until here it was the total. */
	if (s->left > skip)
		s->left = (uint32_t)skip;
	skip = s->left < reader_left(in) ? s->left : reader_left(in);
	read_bytes(in, skip);
	s->left -= (uint32_t)skip;
	if (s->left > 0)
		return SCM_SPLIT_MORE;
	r = reader_over(s->held + header, keep);
	s->message.malformed =
	    !codec_of(&s->format)->read_payload(&r, &s->format, &s->message) ||
	    r.bad || (total > keep && s->message.op != SCM_NOOP &&
			 s->message.op != SCM_REPLY);
	return give(s, out);
}

enum scm_split
scm_split(struct scm_splitter *s, struct reader *in, struct scm_message *out,
    struct cause *why)
{
	const size_t header = scm_header_len(s->format.dialect);

	if (!s->in_payload) {
		if (!hold(s, in, header))
			return SCM_SPLIT_MORE;
		if (!begin(s, why))
			return SCM_SPLIT_LOST;
	}
	return s->message.op == SCM_WRITE
	    ? give_part(s, in, out)
	    : give_small(s, in, out);
}
