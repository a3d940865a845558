/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_CONN_H
#define MUXD_PHONE_CONN_H

/*
 * One connection of the device protocol, seen from the phone.
 *
 * A source port has at most one.  When the phone has reset a connection it
 * keeps it: the host may not have seen the RST yet, and what it sends until
 * then is legal as far as it would have been legal otherwise.  The host's own
 * RST, or its next SYN from that port, says that it has.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phone/ring.h"

struct lockdown;
struct mux;
struct port;

enum conn_state {
	CONN_SYN_RECEIVED, /* answered, or about to be, with SYN|ACK */
	CONN_OPEN,
	CONN_RESET, /* answered, or about to be, with RST */
};

struct conn {
	struct conn *next, *prev; /* in the list of those that may send */
	bool listed;

	struct mux *mux;
	const struct port *port;
	uint16_t sport; /* the host's */
	uint16_t dport; /* the phone's */
	enum conn_state state;
	bool owes_syn_ack;
	bool owes_ack; /* though nothing has been consumed: the window changed */
	bool owes_rst;
	bool spoilt; /* after a violation that leaves nothing to compare with */
	const char *reason; /* for the RST; a constant */

	/* From the host.  All sequence numbers are modulo 2^32. */
	uint32_t rcv_next;   /* that must come next */
	uint32_t rcv_unread; /* bytes before it that the service still holds */
	uint32_t rcv_told;   /* the acknowledgement that was sent last */
	uint32_t rcv_edge;   /* the highest end of window ever granted */
	/* To the host. */
	uint32_t snd_una;  /* the oldest that is not acknowledged */
	uint32_t snd_next; /* of the next byte */
	uint32_t snd_edge; /* end of the host's window */
	uint32_t snd_window; /* as the host last told it, in bytes */

	uint64_t bytes_in, bytes_out;

	/* The service's. */
	struct ring ring;          /* what it will send */
	uint64_t offset;           /* of what it has sent, in its stream */
	struct lockdown *lockdown; /* port 62078 */
};

/* ---- For services ------------------------------------------------------- */

/* The service has done with `n` bytes of input: the window moves on. */
void conn_consume(struct conn *c, size_t n);
/* There may be output. */
void conn_wake(struct conn *c);
/* Adds to the ring.  False: out of memory. */
bool conn_ring_put(struct conn *c, const void *bytes, size_t len);
/* Ends the connection with a RST, behind what is already on its way. */
void conn_abort(struct conn *c, const char *reason);

/* ---- For the mux -------------------------------------------------------- */

/* The acknowledgement number that is true now. */
static inline uint32_t
conn_ack(const struct conn *c)
{
	return c->rcv_next - c->rcv_unread;
}

/* Bytes that the host's window still takes. */
static inline uint32_t
conn_room(const struct conn *c)
{
	const int32_t room = (int32_t)(c->snd_edge - c->snd_next);

	return room > 0 ? (uint32_t)room : 0;
}

/* A TCP header of the host's, and its payload. */
struct segment {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t window; /* in bytes */
	const uint8_t *data;
	size_t len;
	/* The packet in which it came, for the log. */
	const uint8_t *packet;
	size_t packet_len;
};

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
};

/* A connection for that SYN, in the table; NULL: out of memory. */
struct conn *conn_open(struct mux *m, const struct port *port,
    const struct segment *s);
/* Takes it out of everything and frees it. */
void conn_close(struct conn *c);
/* A segment with ACK, for a connection that exists. */
void conn_input(struct conn *c, const struct segment *s);

#endif
