/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_TCP_H
#define MUXD_WIRE_TCP_H

/*
 * The TCP header inside MUX_TCP frames: 20 bytes, big-endian, no options, no
 * checksum.  (Reference "usbmux", sections 2 and 2.5.)
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"

#define TCP_HEADER_LEN 20

enum tcp_flags {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
};

/* The 16-bit field counts units of 256 bytes. */
#define TCP_WINDOW_SHIFT 8
#define TCP_WINDOW_MAX (0xffffu << TCP_WINDOW_SHIFT)

struct tcp_header {
	uint16_t sport;
	uint16_t dport;
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	uint32_t window; /* bytes; a multiple of 256 on the wire */
};

/* False: too few bytes, or options that this protocol does not have. */
bool tcp_header_read(struct reader *r, struct tcp_header *out);
void tcp_header_write(struct writer *w, const struct tcp_header *h);

#endif
