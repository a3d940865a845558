/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/host.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The address in a socket address; false when it is of another family. */
static bool
take_ip(struct scm_ip *out, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	*out = (struct scm_ip){ 0 };
	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof in);
		out->is_v4 = true;
		memcpy(out->bytes, &in.sin_addr, 4);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&in6, sa, sizeof in6);
	memcpy(out->bytes, &in6.sin6_addr, 16);
	return true;
}

/* The ones that a network mask begins with; without a mask, all bits count. */
static unsigned
bits_of(const struct sockaddr *mask, bool is_v4)
{
	const unsigned all = is_v4 ? 32 : 128;
	struct scm_ip ip;
	unsigned bits = 0;

	if (!take_ip(&ip, mask) || ip.is_v4 != is_v4)
		return all;
	while (bits < all && (ip.bytes[bits / 8] & 0x80 >> bits % 8) != 0)
		bits++;
	return bits;
}

bool
scm_host_init(struct scm_host *h, const struct ifaddrs *list)
{
	struct scm_network *networks;
	size_t count = 0;

	for (const struct ifaddrs *a = list; a != NULL; a = a->ifa_next)
		count++;
	networks = calloc(count + 1, sizeof *networks); /* never of 0 */
	if (networks == NULL)
		return false;
	count = 0;
	for (const struct ifaddrs *a = list; a != NULL; a = a->ifa_next) {
		struct scm_network *n = &networks[count];

		if (!take_ip(&n->ip, a->ifa_addr))
			continue;
		n->bits = bits_of(a->ifa_netmask, n->ip.is_v4);
		count++;
	}
	*h = (struct scm_host){ networks, count };
	return true;
}

int
scm_host_list(struct scm_host *h, struct cause *why)
{
	struct ifaddrs *list;
	bool enough;

	if (getifaddrs(&list) < 0)
		return cause_set(why, "the addresses of this host cannot be "
		    "listed: %s", strerror(errno));
	enough = scm_host_init(h, list);
	freeifaddrs(list);
	return enough
	    ? 0
	    : cause_set(why, "no memory for the addresses of this host");
}

void
scm_host_fini(struct scm_host *h)
{
	free((void *)h->networks);
	*h = (struct scm_host){ NULL, 0 };
}

bool
scm_host_equal(const struct scm_host *a, const struct scm_host *b)
{
	bool equal = a->count == b->count;

	for (size_t i = 0; equal && i < a->count; i++)
		equal = a->networks[i].bits == b->networks[i].bits &&
		    a->networks[i].ip.is_v4 == b->networks[i].ip.is_v4 &&
		    memcmp(a->networks[i].ip.bytes, b->networks[i].ip.bytes,
			16) == 0;
	return equal;
}
