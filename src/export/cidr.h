/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_EXPORT_CIDR_H
#define MUXD_EXPORT_CIDR_H

/*
 * Networks of IP addresses, for --allow-from.  An IPv4 address that comes in
 * an IPv6 one (::ffff:a.b.c.d, as a socket for both tells it) is the IPv4
 * address.  Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cause.h"

struct cidr {
	bool is_v4;
	unsigned bits;     /* of the prefix: 0..32 or 0..128 */
	uint8_t bytes[16]; /* of the address; IPv4: the first four */
};

/* ADDRESS or ADDRESS/BITS.  Bits behind the prefix do not count.  0, or -1 and
 * a cause. */
int cidr_parse(struct cidr *out, const char *text, struct cause *why);

/* Whether the address is in the network; false for what is no IP address. */
bool cidr_holds(const struct cidr *c, const struct sockaddr *peer,
    socklen_t len);

/* Whether only this host reaches what is bound to the address: it is one of the
 * loopback's, or a UNIX socket's. */
bool cidr_is_local(const struct sockaddr *addr, socklen_t len);

#endif
