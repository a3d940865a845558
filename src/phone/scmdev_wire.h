/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_SCMDEV_WIRE_H
#define MUXD_PHONE_SCMDEV_WIRE_H

/*
 * Messages of the Socket Control Model, as a device writes and reads them, in
 * both dialects:
 *
 *  8	the document's of 2019: a header of eight bytes, which no device is
 *	known to have spoken;
 *  12	what the devices speak that were sold (HSS, 2020): a header of twelve.
 *
 * Sources: the text "Socket Control Model (SCM)"; github.com/xaptum/hss, its
 * HSS_protocol revision 0.2 and hss.h.  Where both leave something open, the
 * reading is told where it is made.
 *
 * Pure and total.  Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"

/* The document's numbers, as far as it has one. */
enum scmdev_op {
	SCMDEV_OPEN,
	SCMDEV_CONNECT,
	SCMDEV_CLOSE,
	SCMDEV_WRITE, /* 12: TRANSMIT */
	SCMDEV_ACK,
	SCMDEV_REPLY, /* 12: ACKDATA */
	SCMDEV_IOCTL, /* 8 only, as the next two */
	SCMDEV_SETOPT,
	SCMDEV_GETOPT,
	SCMDEV_SHUTDOWN, /* 12 only, as the next */
	SCMDEV_NOOP,
	SCMDEV_OPS,
};

/* Linux' numbers, which are those of the wire. */
enum scmdev_errno {
	SCMDEV_EIO = 5,
	SCMDEV_EINVAL = 22,
	SCMDEV_EPIPE = 32,
	SCMDEV_EPROTO = 71,
	SCMDEV_EPROTONOSUPPORT = 93,
	SCMDEV_ENETUNREACH = 101,
	SCMDEV_ENOTCONN = 107,
	SCMDEV_ETIMEDOUT = 110,
	SCMDEV_ECONNREFUSED = 111,
	SCMDEV_ERRNO_MAX = 4095,
};

/* How the device speaks. */
struct scmdev_style {
	bool hss;      /* dialect 12 */
	/* What the devices do that were sold: no ACK of what the host writes,
	 * no SHUTDOWN, each OPEN for IPv4, and the 12 bytes too many of a
	 * CONNECT for IPv6.  Of dialect 12. */
	bool shipped;
	bool little;   /* port and IPv4 address are little-endian */
	bool short_sockaddr; /* dialect 8: IPv4 without the 8 zeros */
};

#define SCMDEV_HEADER_MAX 12

/* The longest payload that the device takes, and sends. */
#define SCMDEV_PAYLOAD_MAX 65536u

static inline size_t
scmdev_header_size(const struct scmdev_style *style)
{
	return style->hss ? 12 : 8;
}

struct scmdev_message {
	enum scmdev_op op;
	uint16_t id;     /* 8 bits in dialect 8 */
	uint32_t socket; /* likewise */
	/* OPEN */
	bool v6, udp;
	/* ACK and, in dialect 12, REPLY: what is answered, OPS when it is
	 * nothing that exists; and the result, 0 or -errno, or something
	 * positive.  CLOSE, dialect 8: the exit code. */
	enum scmdev_op of;
	int32_t code;
	bool code_unknown; /* dialect 12: none that exists */
	/* What follows: data of WRITE and REPLY; for others see below. */
	const uint8_t *data;
	uint32_t len;
	bool reserved; /* what must be 0 in the header is not */
};

enum scmdev_head {
	SCMDEV_HEAD_OK,
	SCMDEV_HEAD_UNKNOWN,  /* no such opcode; `len` bytes can be skipped */
	SCMDEV_HEAD_LOST,     /* none, and nobody knows where the next begins */
};

/* Reads a header, with `len` what follows it; the data is not there yet. */
enum scmdev_head scmdev_read_head(const struct scmdev_style *style,
    const uint8_t *bytes, struct scmdev_message *m);
/* The `len` bytes behind the header are there: reads them.  False: they are not
 * what such a message has. */
bool scmdev_read_payload(const struct scmdev_style *style,
    const uint8_t *bytes, struct scmdev_message *m);

/* Writes a message; of all but OPEN and ACK, the payload is its data.  How many
 * bytes, or 0 when there is no room. */
size_t scmdev_write(const struct scmdev_style *style,
    const struct scmdev_message *m, uint8_t *out, size_t room);

/* ---- Addresses ---------------------------------------------------------- */

struct scmdev_address {
	bool v6;
	uint8_t bytes[16]; /* 4 of them when not v6 */
	uint16_t port;
};

/* `host` is a literal address: the protocol has no names.  0, or -1 and a
 * cause. */
int scmdev_address_parse(struct scmdev_address *out, const char *host,
    const char *port, struct cause *why);
/* As text, "192.0.2.1:80" or "[2001:db8::1]:80".  Returns `out`. */
#define SCMDEV_ADDRESS_TEXT_MAX 56
const char *scmdev_address_text(char out[SCMDEV_ADDRESS_TEXT_MAX],
    const struct scmdev_address *a);

/* CONNECT's payload: how many bytes. */
#define SCMDEV_SOCKADDR_MAX 40
size_t scmdev_write_sockaddr(const struct scmdev_style *style,
    const struct scmdev_address *a, uint8_t out[SCMDEV_SOCKADDR_MAX]);

/* The name of an opcode, as the document has it. */
const char *scmdev_op_name(enum scmdev_op op);

#endif
