/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_PROTOCOL_MUX_H
#define MUXD_DAEMON_PROTOCOL_MUX_H

/* What workers say to a phone. */

#include "daemon/packet.h"
#include "wire/mux.h"
#include "wire/tcp.h"

/* The most payload that one frame carries, in either version. */
#define MUX_PAYLOAD_MAX (MUX_SEND_MAX - MUX_HEADER_V2_LEN - TCP_HEADER_LEN)

/* Makes `p`, whose payload is filled, a TCP frame with this header.  Any
 * thread. */
void mux_packet_set_tcp(struct packet *p, const struct tcp_header *h);

/* Sends a header without payload.  False when out of memory.  Any thread. */
bool mux_send_tcp(struct device *d, struct route *r,
    const struct tcp_header *h);

/* The header that came with a packet received on `port`. */
struct tcp_header mux_packet_tcp(const struct chunk *packet, uint16_t port);

#endif
