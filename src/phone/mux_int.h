/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_MUX_INT_H
#define MUXD_PHONE_MUX_INT_H

/* What the mux_*.c files have of one another. */

#include "phone/conn.h"
#include "phone/mux.h"

enum mux_protocol {
	MUX_VERSION = 0,
	MUX_CONTROL = 1,
	MUX_SETUP = 2,
	MUX_TCP = 6,
};

#define MUX_MAGIC 0xfeedface
#define MUX_CONTROL_INFO 7
#define MUX_SETUP_BYTE 7

struct mux_reply {
	struct mux_reply *next;
	bool raw;          /* no header: the bytes are the transfer */
	uint32_t protocol; /* otherwise */
	size_t len;
	uint8_t bytes[];
};

/* ---- mux_table.c -------------------------------------------------------- */

struct conn *table_find(const struct mux *m, uint16_t sport);
/* False: out of memory. */
bool table_add(struct mux *m, struct conn *c);
void table_remove(struct mux *m, struct conn *c);
/* The connection with the smallest source port from `sport` on, or NULL. */
struct conn *table_from(const struct mux *m, unsigned sport);
/* Frees the table, which must hold nothing. */
void table_fini(struct mux *m);

/* ---- mux_output.c ------------------------------------------------------- */

/* Puts the connection behind those that may send, if it is not there yet. */
void ready_add(struct mux *m, struct conn *c);
void ready_remove(struct mux *m, struct conn *c);

/* Queues an answer.  Out of memory: it is lost, which the log tells. */
void reply_add(struct mux *m, uint32_t protocol, const void *bytes,
    size_t len);
/* A RST from the phone's `dport` to the host's `sport`, with a reason. */
void reply_reset(struct mux *m, const struct segment *s, const char *reason);
void replies_drop(struct mux *m);

/* What is left of the packet on its way is copied, because the connection's
 * bytes are about to move or to go. */
void out_spill(struct mux *m, struct conn *c);

/* ---- mux_tcp.c ---------------------------------------------------------- */

/* A TCP packet; `body` is what stands behind the mux header. */
void tcp_input(struct mux *m, const uint8_t *packet, size_t packet_len,
    const uint8_t *body, size_t len);

/* Writes a TCP header of MUX_TCP_SIZE bytes, ports as the phone sees them. */
struct writer;
void tcp_write(struct writer *w, uint16_t dport, uint16_t sport, uint32_t seq,
    uint32_t ack, uint8_t flags, uint32_t window);

#endif
