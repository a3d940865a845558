/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dialect 8: opcode, message id, socket id, a reserved byte; then either an
 * immediate word (OPEN, CLOSE, ACK) or the length of the payload.
 */

#include "wire/scm_int.h"

/* The sizes of a sockaddr: without its padding, sockaddr_in, sockaddr_in6. */
#define ADDRESS_SHORT 8
#define ADDRESS_V4 16
#define ADDRESS_V6 28

static bool
has_payload(enum scm_op op)
{
	return op != SCM_OPEN && op != SCM_CLOSE && op != SCM_ACK;
}

static bool
read_header(struct reader *r, struct scm_message *m, uint32_t *opcode)
{
	*opcode = read_u8(r);
	m->op = (enum scm_op)*opcode;
	m->id = read_u8(r);
	m->sock = read_u8(r);
	read_u8(r); /* reserved */
	if (*opcode > SCM_GETOPT)
		return false;
	if (m->op == SCM_OPEN) {
		m->family = read_le16(r);
		m->protocol = read_le16(r);
	} else if (has_payload(m->op)) {
		m->total = read_le32(r);
	} else {
		m->code = (int32_t)read_le32(r);
	}
	return !r->bad;
}

/* ---- Payloads ----------------------------------------------------------- */

static uint16_t
read_port(struct reader *r, const struct scm_format *f)
{
	return f->little_addresses ? read_le16(r) : read_be16(r);
}

static bool
read_address(struct reader *r, const struct scm_format *f,
    struct scm_address *a)
{
	const size_t len = reader_left(r);

	a->family = read_le16(r);
	a->port = read_port(r, f);
	if (a->family == SCM_INET6) {
		a->flow = read_le32(r);
		read_copy(r, a->ip, 16);
		a->scope = read_le32(r);
		return len == ADDRESS_V6;
	}
	if (f->little_addresses)
		for (int i = 4; i-- > 0;)
			a->ip[i] = read_u8(r);
	else
		read_copy(r, a->ip, 4);
	return len == ADDRESS_SHORT || len == ADDRESS_V4;
}

static bool
read_payload(struct reader *r, const struct scm_format *f,
    struct scm_message *m)
{
	switch (m->op) {
	case SCM_CONNECT:
		return read_address(r, f, &m->address);
	case SCM_REPLY:
		/* No edition says what is in it; where ours begin with a
		 * result, others may be shorter. */
		if (reader_left(r) >= 4)
			m->code = (int32_t)read_le32(r);
		break;
	case SCM_IOCTL:
		m->request = read_le32(r);
		break;
	case SCM_SETOPT:
		m->level = (int32_t)read_le32(r);
		m->name = (int32_t)read_le32(r);
		break;
	case SCM_GETOPT:
		m->level = (int32_t)read_le32(r);
		m->name = (int32_t)read_le32(r);
		m->room = read_le32(r);
		return reader_left(r) == 0;
	default:
		break;
	}
	scm_read_rest(r, m);
	return true;
}

/* ---- To bytes ----------------------------------------------------------- */

static void
write_address(struct writer *w, const struct scm_format *f,
    const struct scm_address *a)
{
	const bool v6 = a->family == SCM_INET6;

	write_le16(w, a->family);
	if (f->little_addresses)
		write_le16(w, a->port);
	else
		write_be16(w, a->port);
	if (v6) {
		write_le32(w, a->flow);
		write_bytes(w, a->ip, 16);
		write_le32(w, a->scope);
		return;
	}
	for (int i = 0; i < 4; i++)
		write_u8(w, a->ip[f->little_addresses ? 3 - i : i]);
	write_zeros(w, ADDRESS_V4 - ADDRESS_SHORT);
}

/* The payload's length. */
static uint32_t
payload_len(const struct scm_message *m)
{
	switch (m->op) {
	case SCM_WRITE:
		return m->total;
	case SCM_CONNECT:
		return m->address.family == SCM_INET6 ? ADDRESS_V6 : ADDRESS_V4;
	case SCM_REPLY:
	case SCM_IOCTL:
		return 4 + m->len;
	case SCM_SETOPT:
		return 8 + m->len;
	default:
		return 12; /* GETOPT */
	}
}

static void
write_payload(struct writer *w, const struct scm_format *f,
    const struct scm_message *m)
{
	switch (m->op) {
	case SCM_CONNECT:
		write_address(w, f, &m->address);
		return;
	case SCM_REPLY:
		write_le32(w, (uint32_t)m->code);
		break;
	case SCM_IOCTL:
		write_le32(w, m->request);
		break;
	case SCM_SETOPT:
	case SCM_GETOPT:
		write_le32(w, (uint32_t)m->level);
		write_le32(w, (uint32_t)m->name);
		break;
	default:
		return;
	}
	if (m->op == SCM_GETOPT)
		write_le32(w, m->room);
	else
		write_bytes(w, m->data, m->len);
}

static bool
write_message(struct writer *w, const struct scm_format *f,
    const struct scm_message *m)
{
	if ((unsigned)m->op > SCM_GETOPT || m->id > 0xff || m->sock > 0xff)
		return false;
	write_u8(w, (uint8_t)m->op);
	write_u8(w, (uint8_t)m->id);
	write_u8(w, (uint8_t)m->sock);
	write_u8(w, 0);
	if (m->op == SCM_OPEN) {
		write_le16(w, m->family);
		write_le16(w, m->protocol);
	} else if (has_payload(m->op)) {
		write_le32(w, payload_len(m));
		write_payload(w, f, m);
	} else {
		write_le32(w, (uint32_t)m->code);
	}
	return true;
}

const struct scm_codec scm8_codec = { read_header, read_payload,
	write_message };
