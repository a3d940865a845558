/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/scmdev_wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

#define NOOP_HSS 0xffff
#define ACK_SIZE_HSS 3 /* opcode, code */

const char *
scmdev_op_name(enum scmdev_op op)
{
	static const char *const names[SCMDEV_OPS + 1] = {
		"OPEN", "CONNECT", "CLOSE", "WRITE", "ACK", "REPLY", "IOCTL",
		"SETOPT", "GETOPT", "SHUTDOWN", "NOOP", "?",
	};

	return names[op];
}

/* ---- Opcodes of dialect 12 ---------------------------------------------- */

static const uint8_t hss_opcodes[] = {
	SCMDEV_OPEN, SCMDEV_CONNECT, SCMDEV_SHUTDOWN, SCMDEV_WRITE, SCMDEV_ACK,
	SCMDEV_REPLY, SCMDEV_CLOSE,
};

static enum scmdev_op
op_of_hss(uint16_t opcode)
{
	if (opcode == NOOP_HSS)
		return SCMDEV_NOOP;
	return opcode < sizeof hss_opcodes ? hss_opcodes[opcode] : SCMDEV_OPS;
}

static uint16_t
hss_of_op(enum scmdev_op op)
{
	for (uint16_t i = 0; i < sizeof hss_opcodes; i++)
		if (hss_opcodes[i] == op)
			return i;
	return NOOP_HSS;
}

/* ---- Results of dialect 12 ----------------------------------------------
 * hss.h's numbers; the document has 3 and 4 the other way round. */

static const int16_t hss_codes[] = {
	0, -SCMDEV_EIO, -SCMDEV_EINVAL, -SCMDEV_ECONNREFUSED,
	-SCMDEV_EPROTONOSUPPORT, -SCMDEV_ENETUNREACH, -SCMDEV_ETIMEDOUT,
	-SCMDEV_EPROTO /* mismatch */, -SCMDEV_ENOTCONN,
};
#define HSS_CODES (sizeof hss_codes / sizeof hss_codes[0])
#define HSS_HOSTERR 1

static uint8_t
hss_of_code(int32_t code)
{
	if (code == -SCMDEV_EPIPE)
		code = -SCMDEV_ENOTCONN;
	for (uint8_t i = 0; i < HSS_CODES; i++)
		if (hss_codes[i] == code)
			return i;
	return HSS_HOSTERR;
}

/* ---- Reading ------------------------------------------------------------ */

static bool
is_command(enum scmdev_op op)
{
	return op == SCMDEV_OPEN || op == SCMDEV_CLOSE || op == SCMDEV_ACK;
}

static enum scmdev_head
read_head_8(struct reader *r, struct scmdev_message *m)
{
	const uint8_t opcode = read_u8(r);
	uint32_t last;

	m->op = opcode <= SCMDEV_GETOPT ? (enum scmdev_op)opcode : SCMDEV_OPS;
	m->id = read_u8(r);
	m->socket = read_u8(r);
	m->reserved = read_u8(r) != 0;
	last = read_le32(r);
	m->of = SCMDEV_OPS;
	if (is_command(m->op))
		m->code = (int32_t)last;
	else
		m->len = last;
	return m->op == SCMDEV_OPS ? SCMDEV_HEAD_LOST : SCMDEV_HEAD_OK;
}

static enum scmdev_head
read_head_12(struct reader *r, struct scmdev_message *m)
{
	m->op = op_of_hss(read_le16(r));
	m->id = read_le16(r);
	m->socket = read_le32(r);
	m->len = read_le32(r);
	m->of = SCMDEV_OPS;
	return m->op == SCMDEV_OPS ? SCMDEV_HEAD_UNKNOWN : SCMDEV_HEAD_OK;
}

enum scmdev_head
scmdev_read_head(const struct scmdev_style *style, const uint8_t *bytes,
    struct scmdev_message *m)
{
	struct reader r = reader_over(bytes, scmdev_header_size(style));

	memset(m, 0, sizeof *m);
	return style->hss ? read_head_12(&r, m) : read_head_8(&r, m);
}

/* What is answered, and how. */
static bool
read_answer_12(struct scmdev_message *m)
{
	struct reader r = reader_over(m->data, m->len);
	uint8_t code;

	m->of = op_of_hss(read_le16(&r));
	code = read_u8(&r);
	m->code_unknown = code >= HSS_CODES;
	m->code = m->code_unknown ? -SCMDEV_EIO : hss_codes[code];
	m->data = r.at;
	m->len = (uint32_t)reader_left(&r);
	return !r.bad && (m->op == SCMDEV_REPLY || m->len == 0);
}

/* A REPLY of dialect 8 has its result, and then the data. */
static bool
read_reply_8(struct scmdev_message *m)
{
	struct reader r = reader_over(m->data, m->len);

	m->code = (int32_t)read_le32(&r);
	m->data = r.at;
	m->len = (uint32_t)reader_left(&r);
	return !r.bad;
}

bool
scmdev_read_payload(const struct scmdev_style *style, const uint8_t *bytes,
    struct scmdev_message *m)
{
	m->data = bytes;
	if (style->hss && (m->op == SCMDEV_ACK || m->op == SCMDEV_REPLY))
		return read_answer_12(m);
	if (m->op == SCMDEV_REPLY)
		return read_reply_8(m);
	return m->op != SCMDEV_CLOSE || m->len == 0;
}

/* ---- Writing ------------------------------------------------------------ */

static void
write_8(struct writer *w, const struct scmdev_message *m)
{
	write_u8(w, (uint8_t)m->op);
	write_u8(w, (uint8_t)m->id);
	write_u8(w, (uint8_t)m->socket);
	write_u8(w, 0);
	if (m->op == SCMDEV_OPEN) { /* AF_INET6, AF_INET; IPPROTO_UDP, _TCP */
		write_le16(w, m->v6 ? 10 : 2);
		write_le16(w, m->udp ? 17 : 6);
	} else if (is_command(m->op))
		write_le32(w, (uint32_t)m->code);
	else {
		write_le32(w, m->len);
		write_bytes(w, m->data, m->len);
	}
}

/* The socket's number stands behind the header. */
static void
write_open_12(struct writer *w, const struct scmdev_style *style,
    const struct scmdev_message *m)
{
	write_le32(w, 0);
	write_le32(w, 9);
	write_le32(w, m->socket);
	write_le16(w, m->v6 && !style->shipped ? 2 : 1);
	write_le16(w, m->udp && !style->shipped ? 2 : 1);
	write_u8(w, m->udp && !style->shipped ? 2 : 1);
}

static void
write_12(struct writer *w, const struct scmdev_style *style,
    const struct scmdev_message *m)
{
	write_le16(w, hss_of_op(m->op));
	write_le16(w, m->id);
	if (m->op == SCMDEV_OPEN) {
		write_open_12(w, style, m);
		return;
	}
	write_le32(w, m->socket);
	if (m->op == SCMDEV_ACK) {
		write_le32(w, ACK_SIZE_HSS);
		write_le16(w, hss_of_op(m->of));
		write_u8(w, hss_of_code(m->code));
	} else {
		write_le32(w, m->len);
		write_bytes(w, m->data, m->len);
	}
}

size_t
scmdev_write(const struct scmdev_style *style, const struct scmdev_message *m,
    uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room);

	if (style->hss)
		write_12(&w, style, m);
	else
		write_8(&w, m);
	return w.bad ? 0 : writer_used(&w);
}

/* ---- Addresses ---------------------------------------------------------- */

int
scmdev_address_parse(struct scmdev_address *out, const char *host,
    const char *port, struct cause *why)
{
	char *end = NULL;
	const unsigned long n = strtoul(port, &end, 10);

	memset(out, 0, sizeof *out);
	out->v6 = strchr(host, ':') != NULL;
	if (inet_pton(out->v6 ? AF_INET6 : AF_INET, host, out->bytes) != 1)
		return cause_set(why,
		    "'%.60s' is no address of IPv4 or IPv6; the protocol "
		    "carries no names", host);
	if (*port < '0' || *port > '9' || *end != '\0' || n < 1 || n > 65535)
		return cause_set(why, "'%.60s' is no port from 1 to 65535",
		    port);
	out->port = (uint16_t)n;
	return 0;
}

const char *
scmdev_address_text(char out[SCMDEV_ADDRESS_TEXT_MAX],
    const struct scmdev_address *a)
{
	char host[INET6_ADDRSTRLEN] = "?";

	inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, host, sizeof host);
	snprintf(out, SCMDEV_ADDRESS_TEXT_MAX, a->v6 ? "[%s]:%u" : "%s:%u",
	    host, a->port);
	return out;
}

static void
write_port(struct writer *w, const struct scmdev_style *style, uint16_t port)
{
	if (style->little)
		write_le16(w, port);
	else
		write_be16(w, port);
}

static void
write_v4(struct writer *w, const struct scmdev_style *style,
    const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++)
		write_u8(w, bytes[style->little ? 3 - i : i]);
}

/* Linux' sockaddr_in and sockaddr_in6. */
static void
write_sockaddr_8(struct writer *w, const struct scmdev_style *style,
    const struct scmdev_address *a)
{
	write_le16(w, a->v6 ? 10 : 2);
	write_port(w, style, a->port);
	if (!a->v6) {
		write_v4(w, style, a->bytes);
		write_zeros(w, style->short_sockaddr ? 0 : 8);
		return;
	}
	write_le32(w, 0); /* flow */
	write_bytes(w, a->bytes, 16);
	write_le32(w, 0); /* scope */
}

static void
write_sockaddr_12(struct writer *w, const struct scmdev_style *style,
    const struct scmdev_address *a)
{
	write_le16(w, a->v6 ? 2 : 1);
	write_port(w, style, a->port);
	if (!a->v6) {
		write_v4(w, style, a->bytes);
		return;
	}
	write_le32(w, 0); /* flow */
	write_le32(w, 0); /* scope */
	write_bytes(w, a->bytes, 16);
	write_zeros(w, style->shipped ? 12 : 0);
}

size_t
scmdev_write_sockaddr(const struct scmdev_style *style,
    const struct scmdev_address *a, uint8_t out[SCMDEV_SOCKADDR_MAX])
{
	struct writer w = writer_over(out, SCMDEV_SOCKADDR_MAX);

	if (style->hss)
		write_sockaddr_12(&w, style, a);
	else
		write_sockaddr_8(&w, style, a);
	return writer_used(&w);
}
