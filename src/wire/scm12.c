/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dialect 12 ("HSS"): opcode and message id of 16 bits, socket and payload
 * length of 32.  Where its document and what shipped differ, what shipped is
 * right: both of its sides were compiled from one header.
 */

#include "wire/scm_int.h"

enum opcode {
	OPCODE_OPEN = 0,
	OPCODE_CONNECT = 1,
	OPCODE_SHUTDOWN = 2,
	OPCODE_TRANSMIT = 3,
	OPCODE_ACK = 4,
	OPCODE_ACKDATA = 5,
	OPCODE_CLOSE = 6,
	OPCODE_NOOP = 0xffff,
};

enum code {
	CODE_SUCCESS = 0,
	CODE_HOSTERR = 1,
	CODE_INVAL = 2,
	CODE_CONNREFUSED = 3,
	CODE_PROTONOSUPPORT = 4,
	CODE_NETUNREACH = 5,
	CODE_TIMEDOUT = 6,
	CODE_MISMATCH = 7,
	CODE_NOTCONN = 8,
};

#define CONNECT_V4 8
#define CONNECT_V6 28
/* Devices count the header twice, and send as many bytes. */
#define CONNECT_V6_SHIPPED 40

/* ---- Numbers ------------------------------------------------------------ */

static const struct {
	uint16_t opcode;
	enum scm_op op;
} opcodes[] = {
	{ OPCODE_OPEN, SCM_OPEN },
	{ OPCODE_CONNECT, SCM_CONNECT },
	{ OPCODE_SHUTDOWN, SCM_SHUTDOWN },
	{ OPCODE_TRANSMIT, SCM_WRITE },
	{ OPCODE_ACK, SCM_ACK },
	{ OPCODE_ACKDATA, SCM_REPLY },
	{ OPCODE_CLOSE, SCM_CLOSE },
	{ OPCODE_NOOP, SCM_NOOP },
};
#define OPCODE_COUNT (sizeof opcodes / sizeof opcodes[0])

static bool
op_of_opcode(uint32_t opcode, enum scm_op *op)
{
	for (size_t i = 0; i < OPCODE_COUNT; i++)
		if (opcodes[i].opcode == opcode) {
			*op = opcodes[i].op;
			return true;
		}
	return false;
}

static bool
opcode_of_op(enum scm_op op, uint16_t *opcode)
{
	for (size_t i = 0; i < OPCODE_COUNT; i++)
		if (opcodes[i].op == op) {
			*opcode = opcodes[i].opcode;
			return true;
		}
	return false;
}

static uint8_t
code_of_errno(int32_t error)
{
	switch (error) {
	case SCM_OK:
		return CODE_SUCCESS;
	case SCM_EINVAL:
		return CODE_INVAL;
	case SCM_ECONNREFUSED:
		return CODE_CONNREFUSED;
	case SCM_EPROTONOSUPPORT:
	case SCM_EAFNOSUPPORT:
		return CODE_PROTONOSUPPORT;
	case SCM_ENETUNREACH:
	case SCM_EHOSTUNREACH:
		return CODE_NETUNREACH;
	case SCM_ETIMEDOUT:
		return CODE_TIMEDOUT;
	case SCM_ENOTCONN:
	case SCM_EPIPE:
		return CODE_NOTCONN;
	default:
		return CODE_HOSTERR;
	}
}

static int32_t
errno_of_code(uint8_t code)
{
	switch (code) {
	case CODE_SUCCESS:
		return SCM_OK;
	case CODE_INVAL:
	case CODE_MISMATCH:
		return SCM_EINVAL;
	case CODE_CONNREFUSED:
		return SCM_ECONNREFUSED;
	case CODE_PROTONOSUPPORT:
		return SCM_EPROTONOSUPPORT;
	case CODE_NETUNREACH:
		return SCM_ENETUNREACH;
	case CODE_TIMEDOUT:
		return SCM_ETIMEDOUT;
	case CODE_NOTCONN:
		return SCM_ENOTCONN;
	default:
		return SCM_EIO;
	}
}

/* Families, protocols and types are 1 and 2 here; what is neither is passed on
 * as a number that is none of Linux' either. */
#define NONE_OF_LINUX 0xffff

static uint16_t
linux_number(uint16_t v, uint16_t one, uint16_t two)
{
	return v == 1 ? one : v == 2 ? two : NONE_OF_LINUX;
}

static uint16_t
own_number(uint16_t v, uint16_t one, uint16_t two)
{
	return v == one ? 1 : v == two ? 2 : NONE_OF_LINUX;
}

/* ---- From bytes --------------------------------------------------------- */

static bool
read_header(struct reader *r, struct scm_message *m, uint32_t *opcode)
{
	*opcode = read_le16(r);
	m->id = read_le16(r);
	m->sock = read_le32(r);
	m->total = read_le32(r);
	return op_of_opcode(*opcode, &m->op) && !r->bad;
}

static bool
read_open(struct reader *r, struct scm_message *m)
{
	uint8_t type;

	/* The handle is what all later messages have in their header. */
	m->sock = read_le32(r);
	m->family = linux_number(read_le16(r), SCM_INET, SCM_INET6);
	m->protocol = linux_number(read_le16(r), SCM_TCP, SCM_UDP);
	type = read_u8(r);
	return reader_left(r) == 0 &&
	    type == (m->protocol == SCM_UDP ? 2 : 1);
}

static bool
read_connect(struct reader *r, struct scm_address *a)
{
	const size_t len = reader_left(r);

	a->family = linux_number(read_le16(r), SCM_INET, SCM_INET6);
	a->port = read_be16(r);
	if (a->family == SCM_INET6) {
		a->flow = read_le32(r);
		a->scope = read_le32(r);
		read_copy(r, a->ip, 16);
		return len == CONNECT_V6 || len == CONNECT_V6_SHIPPED;
	}
	read_copy(r, a->ip, 4);
	return len == CONNECT_V4;
}

static bool
read_ack(struct reader *r, struct scm_message *m)
{
	const uint16_t opcode = read_le16(r);

	m->code = errno_of_code(read_u8(r));
	return op_of_opcode(opcode, &m->answered) &&
	    (m->op == SCM_REPLY || reader_left(r) == 0);
}

static bool
read_payload(struct reader *r, const struct scm_format *f,
    struct scm_message *m)
{
	(void)f;
	switch (m->op) {
	case SCM_OPEN:
		return read_open(r, m);
	case SCM_CONNECT:
		return read_connect(r, &m->address);
	case SCM_ACK:
		return read_ack(r, m);
	case SCM_REPLY:
		if (!read_ack(r, m))
			return false;
		break;
	case SCM_CLOSE:
	case SCM_SHUTDOWN:
		return reader_left(r) == 0;
	default:
		break;
	}
	scm_read_rest(r, m);
	return true;
}

/* ---- To bytes ----------------------------------------------------------- */

static void
write_open(struct writer *w, const struct scm_message *m)
{
	write_le32(w, m->sock);
	write_le16(w, own_number(m->family, SCM_INET, SCM_INET6));
	write_le16(w, own_number(m->protocol, SCM_TCP, SCM_UDP));
	write_u8(w, m->protocol == SCM_UDP ? 2 : 1);
}

static void
write_connect(struct writer *w, const struct scm_address *a)
{
	write_le16(w, own_number(a->family, SCM_INET, SCM_INET6));
	write_be16(w, a->port);
	if (a->family == SCM_INET6) {
		write_le32(w, a->flow);
		write_le32(w, a->scope);
		write_bytes(w, a->ip, 16);
	} else {
		write_bytes(w, a->ip, 4);
	}
}

static uint32_t
payload_len(const struct scm_message *m)
{
	switch (m->op) {
	case SCM_OPEN:
		return 9;
	case SCM_CONNECT:
		return m->address.family == SCM_INET6 ? CONNECT_V6 : CONNECT_V4;
	case SCM_ACK:
		return 3;
	case SCM_REPLY:
		return 3 + m->len;
	case SCM_WRITE:
		return m->total;
	case SCM_NOOP:
		return m->len;
	default:
		return 0;
	}
}

static void
write_payload(struct writer *w, const struct scm_message *m, uint16_t answered)
{
	switch (m->op) {
	case SCM_OPEN:
		write_open(w, m);
		break;
	case SCM_CONNECT:
		write_connect(w, &m->address);
		break;
	case SCM_ACK:
	case SCM_REPLY:
		write_le16(w, answered);
		write_u8(w, code_of_errno(m->code));
		if (m->op == SCM_REPLY)
			write_bytes(w, m->data, m->len);
		break;
	case SCM_NOOP:
		write_bytes(w, m->data, m->len);
		break;
	default:
		break;
	}
}

static bool
write_message(struct writer *w, const struct scm_format *f,
    const struct scm_message *m)
{
	const bool answer = m->op == SCM_ACK || m->op == SCM_REPLY;
	uint16_t opcode, answered = 0;

	(void)f;
	if (!opcode_of_op(m->op, &opcode) ||
	    (answer && !opcode_of_op(m->answered, &answered)))
		return false;
	write_le16(w, opcode);
	write_le16(w, m->id);
	write_le32(w, m->op == SCM_OPEN ? 0 : m->sock);
	write_le32(w, payload_len(m));
	write_payload(w, m, answered);
	return true;
}

const struct scm_codec scm12_codec = { read_header, read_payload,
	write_message };
