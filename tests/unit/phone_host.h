/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_PHONE_HOST_H
#define MUXD_TESTS_PHONE_HOST_H

/*
 * A host in a test's hands: puts packets together byte by byte, feeds them to a
 * phone's mux, and takes the phone's packets apart.
 */

#include <stddef.h>
#include <stdint.h>

#include "phone/identity.h"
#include "phone/mux.h"
#include "phone/strict.h"

#define HOST_WINDOW 512 /* units: 131072 bytes */

struct host {
	struct identity id;
	struct strict strict;
	struct mux mux;
	unsigned version; /* of the headers that it writes */
	uint16_t tx_seq, rx_seq;
	/* Where its packets go; to the phone at once unless a test has set it. */
	void (*bus)(struct host *h, const uint8_t *packet, size_t len);
};

/* A packet of the phone's. */
struct got {
	uint8_t raw[MUX_INJECT_MAX];
	size_t len;
	uint32_t protocol;
	uint16_t tx_seq, rx_seq; /* version 2 */
	const uint8_t *body;     /* behind the mux header */
	size_t body_len;
	/* TCP */
	uint16_t sport, dport; /* as the host sees them */
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t window; /* bytes */
	const uint8_t *data;
	size_t data_len;
};

/* A phone that speaks `version`; nothing has been said yet. */
void host_init(struct host *h, unsigned version);
/* The same, and the session is up. */
void host_up(struct host *h, unsigned version);
void host_fini(struct host *h);

/* Sends a packet with a correct header. */
void host_send(struct host *h, uint32_t protocol, const void *body,
    size_t len);
void host_tcp(struct host *h, uint16_t sport, uint16_t dport, uint32_t seq,
    uint32_t ack, uint8_t flags, uint16_t window, const void *data, size_t len);

/* Fetches the next packet; the test fails when there is none, or when its
 * header is wrong. */
void host_get(struct host *h, struct got *g);
/* Takes apart what lies in `g->raw`, `g->len` bytes. */
void host_parse(struct host *h, struct got *g);
/* The test fails when the phone has something to say. */
void host_nothing(struct host *h);
/* Fetches the next packet, which must be TCP with these flags. */
void host_get_tcp(struct host *h, struct got *g, uint16_t sport, uint8_t flags);

/* SYN, SYN|ACK, ACK, with both sides' numbers from 0: seq and ack are 1 then. */
void host_connect(struct host *h, uint16_t sport, uint16_t dport,
    uint16_t window);

/* Exactly this violation has been counted, once; or none at all. */
void host_violated(const struct host *h, enum strict_kind kind);
void host_behaved(const struct host *h);

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#endif
