/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define V4(a, b, c, d, n) { { true, { a, b, c, d } }, n }
#define V6(n, ...) { { false, { __VA_ARGS__ } }, n }

/* ::ffff:0:0/96, the form in which sockets for both families show IPv4. */
static const struct scm_network mapped = V6(96, [10] = 0xff, 0xff);

/* ---- Networks ----------------------------------------------------------- */

bool
scm_network_holds(const struct scm_network *n, const struct scm_ip *ip)
{
	const unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (ip->is_v4 != n->ip.is_v4 ||
	    memcmp(n->ip.bytes, ip->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	    ((ip->bytes[whole] ^ n->ip.bytes[whole]) & (0xff00 >> rest) &
		0xff) == 0;
}

static struct scm_ip
v4_at(const uint8_t *bytes)
{
	struct scm_ip ip = { .is_v4 = true };

	memcpy(ip.bytes, bytes, 4);
	return ip;
}

static bool
parse_ip(struct scm_ip *out, const char *text)
{
	memset(out, 0, sizeof *out);
	out->is_v4 = inet_pton(AF_INET, text, out->bytes) == 1;
	return out->is_v4 || inet_pton(AF_INET6, text, out->bytes) == 1;
}

/* A network that is part of the mapped ones is one of IPv4. */
static void
unmap(struct scm_network *n)
{
	if (n->bits < mapped.bits || !scm_network_holds(&mapped, &n->ip))
		return;
	n->ip = v4_at(n->ip.bytes + 12);
	n->bits -= mapped.bits;
}

static bool
parse_bits(struct scm_network *n, const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0' ||
	    strtoul(text, NULL, 10) > n->bits)
		return false;
	n->bits = (unsigned)strtoul(text, NULL, 10);
	return true;
}

int
scm_network_parse(struct scm_network *out, const char *text, struct cause *why)
{
	const size_t len = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];

	if (len < sizeof address) {
		memcpy(address, text, len);
		address[len] = '\0';
		if (parse_ip(&out->ip, address)) {
			out->bits = out->ip.is_v4 ? 32 : 128;
			if (text[len] == '\0' ||
			    parse_bits(out, text + len + 1)) {
				unmap(out);
				return 0;
			}
		}
	}
	return cause_set(why, "'%.60s' is no network; write ADDRESS or "
	    "ADDRESS/BITS, as 192.168.1.0/24 or fd00::/8, or *", text);
}

int
scm_ip_parse(struct scm_ip *out, const char *text, struct cause *why)
{
	const size_t len = strcspn(text, "%");
	char address[INET6_ADDRSTRLEN];
	struct scm_network n = { .bits = 128 };

	if (len < sizeof address) {
		memcpy(address, text, len);
		address[len] = '\0';
		if (parse_ip(&n.ip, address) &&
		    (text[len] == '\0' || (!n.ip.is_v4 && text[len + 1]))) {
			if (!n.ip.is_v4)
				unmap(&n);
			*out = n.ip;
			return 0;
		}
	}
	return cause_set(why, "'%.60s' is no address; write four decimal "
	    "numbers, as 192.0.2.1, or an IPv6 address", text);
}

const char *
scm_ip_text(char out[SCM_IP_TEXT_MAX], const struct scm_ip *ip)
{
	if (inet_ntop(ip->is_v4 ? AF_INET : AF_INET6, ip->bytes, out,
		SCM_IP_TEXT_MAX) == NULL)
		snprintf(out, SCM_IP_TEXT_MAX, "?");
	return out;
}

struct scm_ip
scm_ip_of(const struct scm_address *a)
{
	struct scm_network n = { .bits = 128 };

	if (a->family == SCM_INET)
		return v4_at(a->ip);
	memcpy(n.ip.bytes, a->ip, 16);
	unmap(&n);
	return n.ip;
}

struct scm_address
scm_address_to(const struct scm_ip *ip, uint16_t port)
{
	struct scm_address a = { .port = port,
		.family = ip->is_v4 ? SCM_INET : SCM_INET6 };

	memcpy(a.ip, ip->bytes, sizeof a.ip);
	return a;
}

socklen_t
scm_sockaddr(struct sockaddr_storage *out, const struct scm_address *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(a->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(a->port) };

	memset(out, 0, sizeof *out);
	if (a->family == SCM_INET) {
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}
	memcpy(&in6.sin6_addr, a->ip, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) ||
	    IN6_IS_ADDR_MC_LINKLOCAL(&in6.sin6_addr))
		in6.sin6_scope_id = a->scope;
	memcpy(out, &in6, sizeof in6);
	return sizeof in6;
}

/* ---- IPv4 in IPv6 ------------------------------------------------------- */

/* Forms by prefix, and where in them the IPv4 address stands.  Local NAT64,
 * 64:ff9b:1::/48, has it where its operator wants; the usual place is judged,
 * and the whole is special besides. */
static const struct {
	struct scm_network prefix;
	unsigned at;
	bool inverted;
	const char *form;
} forms[] = {
	{ V6(16, 0x20, 0x02), 2, false, "6to4" },		/* RFC 3056 */
	{ V6(32, 0x20, 0x01), 12, true, "Teredo" },		/* RFC 4380 */
	{ V6(96, 0x00, 0x64, 0xff, 0x9b), 12, false, "NAT64" }, /* RFC 6052 */
	{ V6(48, 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 12, false,
	    "local NAT64" },					/* RFC 8215 */
	{ V6(96, [8] = 0xff, 0xff), 12, false, "IPv4-translated" }, /* 2765 */
	{ V6(96, 0), 12, false, "IPv4-compatible" },		/* RFC 4291 */
};

/* An interface identifier of 0:5efe:a.b.c.d or 200:5efe:a.b.c.d, RFC 5214. */
static bool
is_isatap(const struct scm_ip *ip)
{
	return (ip->bytes[8] & 0xfd) == 0 && ip->bytes[9] == 0 &&
	    ip->bytes[10] == 0x5e && ip->bytes[11] == 0xfe;
}

size_t
scm_ip_embedded(struct scm_embedded out[SCM_EMBEDDED_MAX],
    const struct scm_ip *ip)
{
	size_t n = 0;

	if (ip->is_v4)
		return 0;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (!scm_network_holds(&forms[i].prefix, ip))
			continue;
		out[n].ip = v4_at(ip->bytes + forms[i].at);
		out[n].form = forms[i].form;
		for (int b = 0; forms[i].inverted && b < 4; b++)
			out[n].ip.bytes[b] ^= 0xff;
		n++;
	}
	if (is_isatap(ip)) {
		out[n].ip = v4_at(ip->bytes + 12);
		out[n++].form = "ISATAP";
	}
	return n;
}

/* ---- Special addresses -------------------------------------------------- */

/* The first that holds an address says what it is. */
static const struct {
	struct scm_network network;
	enum scm_special special;
} specials[] = {
	{ V4(169, 254, 169, 254, 32), SCM_METADATA }, /* most clouds */
	{ V4(169, 254, 170, 2, 32), SCM_METADATA },   /* AWS, containers */
	{ V4(100, 100, 100, 200, 32), SCM_METADATA }, /* Alibaba */
	{ V4(168, 63, 129, 16, 32), SCM_METADATA },   /* Azure */
	{ V4(192, 0, 0, 192, 32), SCM_METADATA },     /* Oracle */
	{ V6(128, 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54), SCM_METADATA },
	{ V6(128, 0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23), SCM_METADATA },
	{ V6(128, 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54), SCM_METADATA },
	{ V4(0, 0, 0, 0, 8), SCM_UNSPECIFIED },
	{ V4(127, 0, 0, 0, 8), SCM_LOOPBACK },
	{ V4(169, 254, 0, 0, 16), SCM_LINK_LOCAL },
	{ V4(224, 0, 0, 0, 4), SCM_MULTICAST },
	{ V4(255, 255, 255, 255, 32), SCM_BROADCAST },
	{ V4(240, 0, 0, 0, 4), SCM_RESERVED },
	{ V4(192, 0, 0, 0, 24), SCM_RESERVED },
	{ V6(128, 0), SCM_UNSPECIFIED },
	{ V6(128, [15] = 1), SCM_LOOPBACK },
	{ V6(10, 0xfe, 0x80), SCM_LINK_LOCAL },
	{ V6(10, 0xfe, 0xc0), SCM_LINK_LOCAL },
	{ V6(8, 0xff), SCM_MULTICAST },
	{ V6(48, 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), SCM_LOCAL_NAT64 },
};

const char *
scm_special_name(enum scm_special special)
{
	static const char *const names[] = { "", "unspecified", "loopback",
		"link-local", "cloud metadata", "multicast", "broadcast",
		"reserved", "local NAT64", "host's own" };

	return names[special];
}

/* The highest address of the network, or, as hosts of old had it, the lowest;
 * networks of one or two hosts have none. */
static bool
is_broadcast_of(const struct scm_network *n, const struct scm_ip *ip)
{
	struct scm_ip low = n->ip, high = n->ip;

	if (!n->ip.is_v4 || n->bits > 30)
		return false;
	for (unsigned bit = n->bits; bit < 32; bit++) {
		low.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
		high.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return ip->is_v4 && (memcmp(low.bytes, ip->bytes, 4) == 0 ||
				memcmp(high.bytes, ip->bytes, 4) == 0);
}

enum scm_special
scm_ip_special(const struct scm_ip *ip, const struct scm_host *host)
{
	for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
		if (scm_network_holds(&specials[i].network, ip))
			return specials[i].special;
	for (size_t i = 0; host != NULL && i < host->count; i++) {
		const struct scm_network *n = &host->networks[i];

		if (n->ip.is_v4 == ip->is_v4 &&
		    memcmp(n->ip.bytes, ip->bytes, ip->is_v4 ? 4 : 16) == 0)
			return SCM_OWN;
		if (is_broadcast_of(n, ip))
			return SCM_BROADCAST;
	}
	return SCM_PLAIN;
}
