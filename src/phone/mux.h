/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_MUX_H
#define MUXD_PHONE_MUX_H

/*
 * The phone's side of the usbmux device protocol, versions 1 and 2.
 *
 * Packets in, packets out: no descriptor, no thread, no clock.  What the host
 * sends comes to mux_input(), one USB transfer at a time; what the phone has to
 * say is fetched with mux_next() and mux_take() whenever the bus has room, and
 * is made only then, so nothing grows stale in a queue.
 *
 * Written from the protocol's facts and from nothing of the daemon's.  All
 * fields on the wire are big-endian.
 *
 * Belongs to one phone, under its lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phone/ring.h"
#include "phone/strict.h"

struct conn;
struct identity;
struct json;

#define MUX_PACKET_MAX 65535 /* the longest that either side may send */
#define MUX_PACKET_USUAL 49152 /* the longest that the phone sends: 3 * 16 KiB */
#define MUX_TCP_SIZE 20
#define MUX_HEAD_MAX (16 + MUX_TCP_SIZE)
#define MUX_WINDOW_UNIT 256
#define MUX_WINDOW_MAX (65535u * MUX_WINDOW_UNIT)
#define MUX_WINDOW_USUAL 131072

/* Connections that are open at once; more are refused. */
#define MUX_LIVE_MAX 8192
/* Answers that wait for the bus (refusals, mostly).  With so many the phone
 * takes no more packets until the host has fetched some. */
#define MUX_REPLIES_MAX 4096
/* The longest transfer that mux_inject() takes: longer than any legal one. */
#define MUX_INJECT_MAX 131072

/* What a tester can change while the phone runs. */
struct mux_settings {
	unsigned version;    /* that the phone speaks: 1 or 2 */
	uint32_t magic;      /* in its version 2 headers */
	uint32_t window;     /* that it grants, in bytes */
	uint32_t first_seq;  /* of the connections to come */
	uint32_t max_packet; /* that it sends, header included */
	bool mute;           /* hears no VERSION and no SYN */
};

struct mux_counters {
	uint64_t packets_in, packets_out;
	uint64_t bytes_in, bytes_out; /* headers included */
	uint64_t zlps_in, zlps_out;
	uint64_t opened, closed, refused;
	uint64_t rst_received, rst_sent;
	uint64_t acks_in, acks_out; /* packets that carry nothing else */
	uint64_t late; /* packets that crossed a RST of the phone: legal */
	uint64_t windows_full; /* packets that used up the host's window */
};

enum mux_state {
	MUX_DOWN,   /* waits for VERSION */
	MUX_AGREED, /* version 2: waits for SETUP */
	MUX_UP,
};

struct mux_reply; /* an answer that belongs to no connection */

/* The packet that is on its way to the host. */
struct mux_out {
	bool active;
	uint8_t head[MUX_HEAD_MAX];
	struct span span[3]; /* what is still to be taken, in order */
	size_t len;          /* of the whole packet */
	size_t left;         /* of it */
	struct conn *conn;   /* whose bytes the spans point to, or NULL */
	size_t payload;      /* that were the connection's */
	struct mux_reply *reply;
	/* The rest of a packet whose connection ended, or whose bytes moved. */
	bool spilled;
	uint8_t spill[MUX_PACKET_MAX];
};

#define MUX_TABLE_PAGE 256

struct mux {
	struct mux_settings set;
	struct mux_counters count;
	struct strict *strict;
	const struct identity *id;
	uint8_t refused_ports[65536 / 8];

	enum mux_state state;
	unsigned version;      /* agreed upon */
	uint16_t host_seq;     /* the tx_seq that must come next */
	bool host_seq_unknown; /* a packet was lost that had one */
	uint16_t own_seq;      /* tx_seq of the next packet */
	uint16_t echoed_seq;   /* rx_seq: the last tx_seq that came */

	/* Connections by source port, which the host keeps unique; also those
	 * that the phone has reset, until the port is used again. */
	struct conn **table[65536 / MUX_TABLE_PAGE];
	unsigned live;

	/* Connections that may have something to send, in turn. */
	struct conn *ready_first, *ready_last;

	struct mux_reply *replies, *last_reply;
	unsigned reply_count;
	struct mux_out out;
};

/* `strict` and `id` must outlive it. */
void mux_init(struct mux *m, struct strict *strict,
    const struct identity *id);
void mux_fini(struct mux *m);

/* Forgets the session: all connections, all that was to be sent.  Settings and
 * counters stay. */
void mux_reset(struct mux *m);

/* One packet of the host's, as it lay between two ends on the bus. */
void mux_input(struct mux *m, const uint8_t *bytes, size_t len);

/* False: the host must fetch answers before it may send on. */
bool mux_accepts(const struct mux *m);

/* True when a packet is on its way: m->out.left bytes of m->out.len.  Begins
 * one if there is anything to say. */
bool mux_next(struct mux *m);
/* The next `n` bytes of it, at most m->out.left; after the last, the packet
 * has been sent.  `into` NULL: they are lost. */
void mux_take(struct mux *m, uint8_t *into, size_t n);
/* Gives up the rest of it. */
void mux_drop(struct mux *m);

/* Sends `bytes` as they are, in a transfer of their own.  0, or -1 when they
 * are too many or memory has run out. */
int mux_inject(struct mux *m, const void *bytes, size_t len);

/* The window from now on, also of live connections: by the acknowledgement
 * that this makes due.  What has been granted stays granted. */
void mux_set_window(struct mux *m, uint32_t bytes);

void mux_refuse(struct mux *m, uint16_t port, bool on);

/* As members of the object that is open: counters, or live connections. */
void mux_report(const struct mux *m, struct json *j);
void mux_report_connections(const struct mux *m, struct json *j);

#endif
