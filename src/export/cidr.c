/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ::ffff:0:0/96 */
#define MAPPED_BITS 96
static const uint8_t mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

/* An IPv4 address in the form of IPv6 becomes one. */
static void
normalise(struct cidr *c)
{
	if (c->is_v4 || c->bits < MAPPED_BITS ||
	    memcmp(c->bytes, mapped, sizeof mapped) != 0)
		return;
	c->is_v4 = true;
	c->bits -= MAPPED_BITS;
	memmove(c->bytes, c->bytes + sizeof mapped, 4);
}

static bool
parse_address(struct cidr *c, const char *text)
{
	if (inet_pton(AF_INET, text, c->bytes) == 1) {
		c->is_v4 = true;
		c->bits = 32;
		return true;
	}
	c->is_v4 = false;
	c->bits = 128;
	return inet_pton(AF_INET6, text, c->bytes) == 1;
}

/* The number behind the slash, which shortens the prefix. */
static bool
parse_bits(struct cidr *c, const char *text)
{
	char *end;
	const unsigned long bits = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || bits > c->bits)
		return false;
	c->bits = (unsigned)bits;
	return true;
}

int
cidr_parse(struct cidr *out, const char *text, struct cause *why)
{
	const size_t len = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];

	memset(out, 0, sizeof *out);
	if (len < sizeof address) {
		memcpy(address, text, len);
		address[len] = '\0';
		if (parse_address(out, address) &&
		    (text[len] == '\0' || parse_bits(out, text + len + 1))) {
			normalise(out);
			return 0;
		}
	}
	return cause_set(why, "'%.60s' is no network; write ADDRESS or "
	    "ADDRESS/BITS, as 192.168.1.0/24 or fd00::/8", text);
}

static bool
address_of(struct cidr *out, const struct sockaddr *peer, socklen_t len)
{
	memset(out, 0, sizeof *out);
	if (peer->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;

		memcpy(&in, peer, sizeof in);
		out->is_v4 = true;
		out->bits = 32;
		memcpy(out->bytes, &in.sin_addr, 4);
		return true;
	}
	if (peer->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in6;

		memcpy(&in6, peer, sizeof in6);
		out->bits = 128;
		memcpy(out->bytes, &in6.sin6_addr, 16);
		normalise(out);
		return true;
	}
	return false;
}

bool
cidr_holds(const struct cidr *c, const struct sockaddr *peer, socklen_t len)
{
	const unsigned whole = c->bits / 8, rest = c->bits % 8;
	const uint8_t mask = (uint8_t)(0xff00 >> rest);
	struct cidr a;

	if (!address_of(&a, peer, len) || a.is_v4 != c->is_v4 ||
	    memcmp(a.bytes, c->bytes, whole) != 0)
		return false;
	return rest == 0 || ((a.bytes[whole] ^ c->bytes[whole]) & mask) == 0;
}

bool
cidr_is_local(const struct sockaddr *addr, socklen_t len)
{
	static const struct cidr v4 = { .is_v4 = true, .bits = 8,
		.bytes = { 127 } };
	static const struct cidr v6 = { .bits = 128, .bytes = { [15] = 1 } };

	return addr->sa_family == AF_UNIX || cidr_holds(&v4, addr, len) ||
	    cidr_holds(&v6, addr, len);
}
