/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_MUX_STREAM_H
#define MUXD_MUX_STREAM_H

/*
 * One connection to a port of the phone: sequence numbers and windows.  Bytes
 * and descriptors are the worker's; this engine takes headers and gives
 * headers.
 *
 * The protocol looks like TCP but is not (reference "usbmux", 2 and 2.5): no
 * loss, no reordering, no FIN.  So there is nothing to retransmit; what is left
 * of TCP is flow control, and RST as the only end.
 *
 * All arithmetic on sequence numbers is modulo 2^32.  Used by one thread at a
 * time, the connection's worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/tcp.h"

/*
 * What we let a phone send ahead of what its client has taken.  Constant, as
 * in the reference daemon, but four times its 131072: the ACK that reopens the
 * window can then be under way, through two queues and a bus, while the phone
 * still sends.  It bounds what one stalled client can make us hold.
 */
#define STREAM_RECV_WINDOW (512 * 1024)

/* Consumed bytes after which an ACK is due whatever else happens. */
#define STREAM_ACK_QUARTER (STREAM_RECV_WINDOW / 4)

enum stream_state {
	STREAM_CLOSED,
	STREAM_SYN_SENT,
	STREAM_OPEN,
};

enum stream_event {
	STREAM_NOTHING,   /* acknowledgements and windows at most */
	STREAM_CONNECTED, /* SYN|ACK; its payload, if any, is the caller's too */
	STREAM_DATA,      /* payload that is the caller's to deliver */
	STREAM_REFUSED,   /* RST for our SYN */
	STREAM_FINISHED,  /* FIN; payload as with DATA, then send RST */
	STREAM_RESET,     /* RST of an open connection; payload is its reason */
	STREAM_BROKEN,    /* the device broke the protocol: send RST */
};

struct stream {
	enum stream_state state;
	uint16_t sport; /* ours */
	uint16_t dport; /* the phone's */
	uint32_t send_next; /* sequence number of our next byte */
	uint32_t send_acked;
	uint32_t send_edge; /* the device takes bytes before this one */
	uint32_t recv_next; /* sequence number of the device's next byte */
	uint32_t recv_consumed; /* bytes before this one have been delivered */
	uint32_t recv_acked;    /* and this much the device knows of */
	const char *fault; /* static words, after STREAM_BROKEN */
};

void stream_init(struct stream *s, uint16_t sport, uint16_t dport);

/*
 * Takes a header with `payload` bytes behind it.  After CONNECTED the caller
 * sends stream_ack() at once.  After REFUSED, FINISHED, RESET and BROKEN the
 * stream is closed; after BROKEN, `fault` says why.
 */
enum stream_event stream_input(struct stream *s, const struct tcp_header *h,
    uint32_t payload);

/* Payload bytes that the device takes now: never past its ack + window. */
uint32_t stream_send_room(const struct stream *s);

/*
 * Of that, what the next packet carries if one may carry `most` (not 0): when the
 * window is larger, one of its equal parts.  Otherwise a rest would remain, and
 * each acknowledgement would open the window for as little as it is of.
 */
uint32_t stream_send_part(const struct stream *s, uint32_t most);

/* Headers to send.  Each but the SYN carries the newest acknowledgement. */
struct tcp_header stream_syn(struct stream *s);
struct tcp_header stream_ack(struct stream *s);
/* The header for the next `len` payload bytes, at most stream_send_room(). */
struct tcp_header stream_data(struct stream *s, uint32_t len);
/* Ends the connection on our side; the stream is closed. */
struct tcp_header stream_rst(struct stream *s);

/* `len` bytes have reached the client. */
void stream_consumed(struct stream *s, uint32_t len);
/* Consumed bytes of which the device has not been told. */
uint32_t stream_unacked(const struct stream *s);
/* Sent bytes that the device has not acknowledged. */
uint32_t stream_in_flight(const struct stream *s);

/* The RST for a packet that belongs to no connection. */
struct tcp_header stream_rst_for_stray(const struct tcp_header *stray,
    uint32_t payload);

#endif
