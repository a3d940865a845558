/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm_golden.h"

#include <stdlib.h>

#define EIGHT { .dialect = SCM_8 }
#define EIGHT_LITTLE { .dialect = SCM_8, .little_addresses = true }
#define TWELVE { .dialect = SCM_12 }
#define BYTES(...) \
	.data = (const uint8_t[]){ __VA_ARGS__ }, \
	.len = sizeof((const uint8_t[]){ __VA_ARGS__ })
#define V4_ADDRESS \
	{ .family = SCM_INET, .port = 443, .ip = { 192, 0, 2, 1 } }
#define V6_ADDRESS \
	{ .family = SCM_INET6, .port = 443, .flow = 0x01020304, \
	    .scope = 0x0a0b0c0d, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } }

const struct scm_golden scm_goldens[] = {
	/* ---- Dialect 8 ---- */
	{ "OPEN, IPv4, TCP", EIGHT,
	    { .op = SCM_OPEN, .id = 0x11, .sock = 0x22, .family = SCM_INET,
		.protocol = SCM_TCP },
	    "00 11 22 00  02 00 06 00", false },
	{ "OPEN, IPv6, UDP", EIGHT,
	    { .op = SCM_OPEN, .id = 0xff, .sock = 0xff, .family = SCM_INET6,
		.protocol = SCM_UDP },
	    "00 ff ff 00  0a 00 11 00", false },
	{ "OPEN of a netlink socket", EIGHT,
	    { .op = SCM_OPEN, .id = 1, .sock = 2, .family = 16,
		.protocol = 0xffff },
	    "00 01 02 00  10 00 ff ff", false },
	{ "OPEN, something in the reserved byte", EIGHT,
	    { .op = SCM_OPEN, .id = 1, .sock = 2, .family = SCM_INET },
	    "00 01 02 99  02 00 00 00", true },
	{ "CONNECT, sockaddr_in", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .address = V4_ADDRESS },
	    "01 03 04 00  10 00 00 00  02 00 01 bb c0 00 02 01"
	    "  00 00 00 00 00 00 00 00", false },
	{ "CONNECT, without padding", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .address = V4_ADDRESS },
	    "01 03 04 00  08 00 00 00  02 00 01 bb c0 00 02 01", true },
	{ "CONNECT, all little-endian", EIGHT_LITTLE,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .address = V4_ADDRESS },
	    "01 03 04 00  10 00 00 00  02 00 bb 01 01 02 00 c0"
	    "  00 00 00 00 00 00 00 00", false },
	{ "CONNECT, sockaddr_in6", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .address = V6_ADDRESS },
	    "01 03 04 00  1c 00 00 00  0a 00 01 bb 04 03 02 01"
	    "  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  0d 0c 0b 0a",
	    false },
	{ "CONNECT, sockaddr_in6, little-endian", EIGHT_LITTLE,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .address = V6_ADDRESS },
	    "01 03 04 00  1c 00 00 00  0a 00 bb 01 04 03 02 01"
	    "  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  0d 0c 0b 0a",
	    false },
	{ "CONNECT of 9 bytes", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .malformed = true },
	    "01 03 04 00  09 00 00 00  02 00 01 bb c0 00 02 01 00", true },
	{ "CONNECT of no bytes", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .malformed = true },
	    "01 03 04 00  00 00 00 00", true },
	{ "CONNECT, IPv6 family in 16 bytes", EIGHT,
	    { .op = SCM_CONNECT, .id = 3, .sock = 4, .malformed = true },
	    "01 03 04 00  10 00 00 00  0a 00 01 bb c0 00 02 01"
	    "  00 00 00 00 00 00 00 00", true },
	{ "CLOSE", EIGHT,
	    { .op = SCM_CLOSE, .id = 5, .sock = 6, .code = -7 },
	    "02 05 06 00  f9 ff ff ff", false },
	{ "WRITE", EIGHT,
	    { .op = SCM_WRITE, .id = 7, .sock = 8, .total = 3,
		BYTES('a', 'b', 'c') },
	    "03 07 08 00  03 00 00 00  61 62 63", false },
	{ "WRITE of nothing", EIGHT,
	    { .op = SCM_WRITE, .id = 7, .sock = 8 },
	    "03 07 08 00  00 00 00 00", false },
	{ "ACK", EIGHT,
	    { .op = SCM_ACK, .id = 9, .sock = 10 },
	    "04 09 0a 00  00 00 00 00", false },
	{ "ACK, connection refused", EIGHT,
	    { .op = SCM_ACK, .id = 9, .sock = 10, .code = SCM_ECONNREFUSED },
	    "04 09 0a 00  91 ff ff ff", false },
	{ "REPLY", EIGHT,
	    { .op = SCM_REPLY, .id = 9, .sock = 10, .code = 0,
		BYTES(1, 0, 0, 0) },
	    "05 09 0a 00  08 00 00 00  00 00 00 00  01 00 00 00", false },
	{ "REPLY shorter than a result", EIGHT,
	    { .op = SCM_REPLY, .id = 9, .sock = 10, BYTES(1, 2) },
	    "05 09 0a 00  02 00 00 00  01 02", true },
	{ "IOCTL, FIONREAD", EIGHT,
	    { .op = SCM_IOCTL, .id = 11, .sock = 12, .request = 0x541b,
		BYTES(0, 0, 0, 0) },
	    "06 0b 0c 00  08 00 00 00  1b 54 00 00  00 00 00 00", false },
	{ "SETOPT, TCP_NODELAY", EIGHT,
	    { .op = SCM_SETOPT, .id = 13, .sock = 14, .level = 6, .name = 1,
		BYTES(1, 0, 0, 0) },
	    "07 0d 0e 00  0c 00 00 00  06 00 00 00  01 00 00 00  01 00 00 00",
	    false },
	{ "SETOPT that ends within its name", EIGHT,
	    { .op = SCM_SETOPT, .id = 13, .sock = 14, .malformed = true },
	    "07 0d 0e 00  07 00 00 00  06 00 00 00  01 00 00", true },
	{ "GETOPT, SO_ERROR", EIGHT,
	    { .op = SCM_GETOPT, .id = 15, .sock = 16, .level = 1, .name = 4,
		.room = 4 },
	    "08 0f 10 00  0c 00 00 00  01 00 00 00  04 00 00 00  04 00 00 00",
	    false },
	{ "GETOPT with a byte too many", EIGHT,
	    { .op = SCM_GETOPT, .id = 15, .sock = 16, .malformed = true },
	    "08 0f 10 00  0d 00 00 00  01 00 00 00  04 00 00 00  04 00 00 00"
	    "  00", true },

	/* ---- Dialect 12 ---- */
	{ "OPEN, TCP", TWELVE,
	    { .op = SCM_OPEN, .id = 0x0102, .sock = 0x03040506,
		.family = SCM_INET, .protocol = SCM_TCP },
	    "00 00  02 01  00 00 00 00  09 00 00 00"
	    "  06 05 04 03  01 00  01 00  01", false },
	{ "OPEN, IPv6, UDP", TWELVE,
	    { .op = SCM_OPEN, .id = 1, .sock = 7, .family = SCM_INET6,
		.protocol = SCM_UDP },
	    "00 00  01 00  00 00 00 00  09 00 00 00"
	    "  07 00 00 00  02 00  02 00  02", false },
	{ "OPEN, TCP in datagrams", TWELVE,
	    { .op = SCM_OPEN, .id = 1, .sock = 7, .malformed = true },
	    "00 00  01 00  00 00 00 00  09 00 00 00"
	    "  07 00 00 00  01 00  01 00  02", true },
	{ "OPEN with Linux' numbers", TWELVE,
	    { .op = SCM_OPEN, .id = 1, .sock = 7, .family = 0xffff,
		.protocol = 0xffff },
	    "00 00  01 00  00 00 00 00  09 00 00 00"
	    "  07 00 00 00  0a 00  06 00  01", true },
	{ "CONNECT, IPv4", TWELVE,
	    { .op = SCM_CONNECT, .id = 2, .sock = 7, .address = V4_ADDRESS },
	    "01 00  02 00  07 00 00 00  08 00 00 00"
	    "  01 00  01 bb  c0 00 02 01", false },
	{ "CONNECT, IPv6", TWELVE,
	    { .op = SCM_CONNECT, .id = 2, .sock = 7, .address = V6_ADDRESS },
	    "01 00  02 00  07 00 00 00  1c 00 00 00"
	    "  02 00  01 bb  04 03 02 01  0d 0c 0b 0a"
	    "  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01", false },
	{ "CONNECT, IPv6, as shipped devices send it", TWELVE,
	    { .op = SCM_CONNECT, .id = 2, .sock = 7, .address = V6_ADDRESS },
	    "01 00  02 00  07 00 00 00  28 00 00 00"
	    "  02 00  01 bb  04 03 02 01  0d 0c 0b 0a"
	    "  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01"
	    "  de ad be ef de ad be ef de ad be ef", true },
	{ "CONNECT of 7 bytes", TWELVE,
	    { .op = SCM_CONNECT, .id = 2, .sock = 7, .malformed = true },
	    "01 00  02 00  07 00 00 00  07 00 00 00"
	    "  01 00  01 bb  c0 00 02", true },
	{ "SHUTDOWN", TWELVE,
	    { .op = SCM_SHUTDOWN, .id = 3, .sock = 7 },
	    "02 00  03 00  07 00 00 00  00 00 00 00", false },
	{ "TRANSMIT", TWELVE,
	    { .op = SCM_WRITE, .id = 4, .sock = 7, .total = 2,
		BYTES('h', 'i') },
	    "03 00  04 00  07 00 00 00  02 00 00 00  68 69", false },
	{ "TRANSMIT of nothing", TWELVE,
	    { .op = SCM_WRITE, .id = 4, .sock = 7 },
	    "03 00  04 00  07 00 00 00  00 00 00 00", false },
	{ "ACK of an OPEN", TWELVE,
	    { .op = SCM_ACK, .id = 5, .sock = 7, .answered = SCM_OPEN },
	    "04 00  05 00  07 00 00 00  03 00 00 00  00 00  00", false },
	{ "ACK of a CONNECT, refused", TWELVE,
	    { .op = SCM_ACK, .id = 5, .sock = 7, .answered = SCM_CONNECT,
		.code = SCM_ECONNREFUSED },
	    "04 00  05 00  07 00 00 00  03 00 00 00  01 00  03", false },
	{ "ACK of an opcode that is none", TWELVE,
	    { .op = SCM_ACK, .id = 5, .sock = 7, .malformed = true },
	    "04 00  05 00  07 00 00 00  03 00 00 00  09 00  00", true },
	{ "ACK of two bytes", TWELVE,
	    { .op = SCM_ACK, .id = 5, .sock = 7, .malformed = true },
	    "04 00  05 00  07 00 00 00  02 00 00 00  01 00", true },
	{ "ACKDATA", TWELVE,
	    { .op = SCM_REPLY, .id = 5, .sock = 7, .answered = SCM_WRITE,
		.code = SCM_ETIMEDOUT, BYTES('x') },
	    "05 00  05 00  07 00 00 00  04 00 00 00  03 00  06  78", false },
	{ "CLOSE", TWELVE,
	    { .op = SCM_CLOSE, .id = 0xffff, .sock = 0xffffffff },
	    "06 00  ff ff  ff ff ff ff  00 00 00 00", false },
	{ "CLOSE with a payload", TWELVE,
	    { .op = SCM_CLOSE, .id = 6, .sock = 7, .malformed = true },
	    "06 00  06 00  07 00 00 00  01 00 00 00  00", true },
	{ "NOOP", TWELVE,
	    { .op = SCM_NOOP, .id = 7, BYTES(0, 0, 0) },
	    "ff ff  07 00  00 00 00 00  03 00 00 00  00 00 00", false },
};
const size_t scm_golden_count = sizeof scm_goldens / sizeof scm_goldens[0];

size_t
scm_unhex(uint8_t out[SCM_GOLDEN_MAX], const char *hex)
{
	size_t n = 0;

	while (*hex != '\0' && n < SCM_GOLDEN_MAX) {
		char *end;

		out[n++] = (uint8_t)strtoul(hex, &end, 16);
		for (hex = end; *hex == ' ';)
			hex++;
	}
	return n;
}
