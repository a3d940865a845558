/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_SCM_H
#define MUXD_WIRE_SCM_H

/*
 * The Socket Control Model on the wire: bytes <-> structs, both dialects, both
 * directions, everything little-endian but port and address.
 *
 * Dialect 8 is the protocol's document ("Socket Control Model", 2019-09-03)
 * with its header of 8 bytes; dialect 12 is what shipped devices (VID 2fe0)
 * speak, with one of 12.  Nothing in a header tells them apart, so whoever
 * opens the device has to know.  A message is the same struct in both, in the
 * numbers of Linux: AF_*, IPPROTO_*, and 0 or a negative errno, whatever the
 * numbers of this system are.
 *
 * Pure and total: no allocation, no state but the splitter's, any thread.
 * scm(7) tells the protocol, and how we read what its texts leave open.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/cursor.h"

enum scm_dialect {
	SCM_8,
	SCM_12,
};

/* What a device's configuration says of its bytes. */
struct scm_format {
	enum scm_dialect dialect;
	/* Port and IPv4 address of a CONNECT as dialect 8's text has them,
	 * rather than in network order as its next edition and all devices. */
	bool little_addresses;
};

/* The first nine are dialect 8's opcodes; the others exist in dialect 12 only,
 * and are numbered here. */
enum scm_op {
	SCM_OPEN,    /* device: a socket, by a number that the device chose */
	SCM_CONNECT, /* device: its peer */
	SCM_CLOSE,   /* device: end it; host: the peer has ended it */
	SCM_WRITE,   /* either (TRANSMIT in dialect 12) */
	SCM_ACK,     /* either: a message is done, or failed */
	SCM_REPLY,   /* either: an ACK with data (ACKDATA) */
	SCM_IOCTL,   /* device; dialect 8 only, as the two below */
	SCM_SETOPT,
	SCM_GETOPT,
	SCM_SHUTDOWN, /* device: it will write no more */
	SCM_NOOP,     /* either: fills a transfer */
};
#define SCM_OP_COUNT (SCM_NOOP + 1)
/* "OPEN"; never NULL. */
const char *scm_op_name(enum scm_op op);

/* Linux' numbers. */
enum scm_family {
	SCM_INET = 2,
	SCM_INET6 = 10,
};
enum scm_protocol {
	SCM_TCP = 6,
	SCM_UDP = 17,
};

/* The codes of ACK and REPLY. */
enum scm_errno {
	SCM_OK = 0,
	SCM_EIO = -5,
	SCM_EBADF = -9,
	SCM_ENOMEM = -12,
	SCM_EACCES = -13,
	SCM_EEXIST = -17,
	SCM_EINVAL = -22,
	SCM_EMFILE = -24,
	SCM_ENOTTY = -25,
	SCM_EPIPE = -32,
	SCM_EMSGSIZE = -90,
	SCM_ENOPROTOOPT = -92,
	SCM_EPROTONOSUPPORT = -93,
	SCM_EOPNOTSUPP = -95,
	SCM_EAFNOSUPPORT = -97,
	SCM_EADDRINUSE = -98,
	SCM_EADDRNOTAVAIL = -99,
	SCM_ENETUNREACH = -101,
	SCM_ECONNABORTED = -103,
	SCM_ECONNRESET = -104,
	SCM_ENOBUFS = -105,
	SCM_EISCONN = -106,
	SCM_ENOTCONN = -107,
	SCM_ETIMEDOUT = -110,
	SCM_ECONNREFUSED = -111,
	SCM_EHOSTUNREACH = -113,
	SCM_EALREADY = -114,
};
/* The code for an errno of this system (0 for 0); EIO when there is none. */
int32_t scm_code_of_errno(int error);

/*
 * The longest payload that is believed.  There is no marker to find back into a
 * stream, so a longer one, 0xffffffff above all, means that it is lost.
 */
#define SCM_PAYLOAD_MAX 65536u
/* What of a payload other than WRITE's is kept; the largest known one has 40
 * bytes.  The rest is read over. */
#define SCM_SMALL_MAX 256
#define SCM_HEADER_MAX 12

static inline size_t
scm_header_len(enum scm_dialect d)
{
	return d == SCM_8 ? 8 : 12;
}

/* The device answers each WRITE, and until then its message id is taken.  (In
 * dialect 12 the text wants it too, and no device does it.) */
static inline bool
scm_writes_are_answered(enum scm_dialect d)
{
	return d == SCM_8;
}

/* ---- Messages ----------------------------------------------------------- */

/* What CONNECT carries. */
struct scm_address {
	uint16_t family; /* enum scm_family, or whatever the device sent */
	uint16_t port;   /* as a number */
	uint8_t ip[16];  /* in network order; IPv4: the first four */
	uint32_t flow;   /* IPv6 only, as these three */
	uint32_t scope;
};

struct scm_message {
	enum scm_op op;
	uint16_t id;   /* the sender's; of an answer: what it answers */
	uint32_t sock; /* the device's number of the socket */
	/* The payload does not have the form that `op` wants: what is below is
	 * void, and EINVAL the answer. */
	bool malformed;
	/* OPEN */
	uint16_t family;   /* enum scm_family, or what else was sent */
	uint16_t protocol; /* enum scm_protocol, 0, or what else was sent */
	/* ACK, REPLY: enum scm_errno, or another number; CLOSE: exit code */
	int32_t code;
	/* ACK and REPLY of dialect 12: what is answered */
	enum scm_op answered;
	struct scm_address address; /* CONNECT */
	int32_t level, name;	    /* SETOPT, GETOPT */
	uint32_t request;	    /* IOCTL */
	uint32_t room;		    /* GETOPT: the longest value wanted */
	/* The bytes of WRITE, REPLY, SETOPT and IOCTL.  As the splitter gives
	 * them: a part of a WRITE, in its input; or in the splitter, until it
	 * is asked again. */
	const uint8_t *data;
	uint32_t len;
	/* WRITE: the payload as a whole, and what of it comes behind `data`.
	 * Its first part has len + left == total, its last left == 0. */
	uint32_t total, left;
};

/*
 * Writes `m` but for the payload of a WRITE, which the caller has elsewhere:
 * of that, the header, with `total` in it.  False, and `w` is bad, when there
 * is no room, or when the dialect has no such message.
 */
bool scm_message_write(struct writer *w, const struct scm_format *f,
    const struct scm_message *m);

/* The most that scm_message_write() writes for a message with `len` bytes of
 * data. */
#define SCM_MESSAGE_ROOM(len) (SCM_HEADER_MAX + 40 + (len))

/* The answer to `m` with this code, enum scm_errno. */
struct scm_message scm_ack(const struct scm_message *m, int32_t code);

/* ---- From a stream of bytes --------------------------------------------- */

/*
 * Finds the messages in a row of transfers, whatever is split where.  (The text
 * forbids messages that are split across transfers, its figure A can take them,
 * and shipped devices send them.)
 */
struct scm_splitter {
	struct scm_format format;
	uint32_t have; /* bytes in `held` */
	uint32_t left; /* payload that has not been seen */
	bool in_payload;
	struct scm_message message; /* under way */
	uint8_t held[SCM_HEADER_MAX + SCM_SMALL_MAX];
};

enum scm_split {
	SCM_SPLIT_MORE,    /* the input is used up */
	SCM_SPLIT_MESSAGE, /* *out is a message, or a part of a WRITE */
	/* This is not the protocol (cause), and nothing behind it can be read:
	 * from now on it is the answer to every input. */
	SCM_SPLIT_LOST,
};

void scm_splitter_init(struct scm_splitter *s, const struct scm_format *f);

/* Reads from `in` until there is something to say of it. */
enum scm_split scm_split(struct scm_splitter *s, struct reader *in,
    struct scm_message *out, struct cause *why);

/* A message has begun and not ended: at the end of a transfer, one that is
 * split. */
static inline bool
scm_splitter_is_inside(const struct scm_splitter *s)
{
	return s->have > 0 || s->in_payload;
}

#endif
