/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_ADDRESS_H
#define MUXD_SCM_ADDRESS_H

/*
 * What an IP address stands for, before any rule is asked: IPv6 forms that mean
 * an IPv4 address, and addresses that are of this host, of its link, or of
 * nobody in particular.  Pure; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cause.h"
#include "wire/scm.h"

struct scm_ip {
	bool is_v4;
	uint8_t bytes[16]; /* network order; IPv4: the first four */
};

/* An address and how much of it counts. */
struct scm_network {
	struct scm_ip ip;
	unsigned bits; /* 0..32 or 0..128 */
};

/* What needs an allow-special. */
enum scm_special {
	SCM_PLAIN,
	SCM_UNSPECIFIED, /* 0.0.0.0/8, :: */
	SCM_LOOPBACK,
	SCM_LINK_LOCAL,	 /* and fec0::/10, which was the site's */
	SCM_METADATA,	 /* where clouds tell a host its secrets */
	SCM_MULTICAST,
	SCM_BROADCAST,	 /* everywhere, or on a network of this host */
	SCM_RESERVED,	 /* 240.0.0.0/4, 192.0.0.0/24 */
	SCM_LOCAL_NAT64, /* 64:ff9b:1::/48: only its gateway knows where to */
	SCM_OWN,	 /* an address of this host */
};
/* "loopback"; "" for SCM_PLAIN. */
const char *scm_special_name(enum scm_special special);

/* This host's addresses with their networks' bits, as the caller has listed
 * them. */
struct scm_host {
	const struct scm_network *networks;
	size_t count;
};

/* ADDRESS or ADDRESS/BITS; bits behind the prefix do not count.  0, or -1 and a
 * cause. */
int scm_network_parse(struct scm_network *out, const char *text,
    struct cause *why);
bool scm_network_holds(const struct scm_network *n, const struct scm_ip *ip);

/* ADDRESS, for IPv6 with an optional zone, "%eth0", which says nothing about
 * the address and is left out.  0, or -1 and a cause. */
int scm_ip_parse(struct scm_ip *out, const char *text, struct cause *why);

#define SCM_IP_TEXT_MAX 48
const char *scm_ip_text(char out[SCM_IP_TEXT_MAX], const struct scm_ip *ip);

/* The address of a CONNECT; IPv4 when it was mapped into IPv6. */
struct scm_ip scm_ip_of(const struct scm_address *a);
/* The CONNECT to an address. */
struct scm_address scm_address_to(const struct scm_ip *ip, uint16_t port);

/* What connect() takes for the address of a CONNECT, of either family.  Its
 * zone counts on the link only, and flow information is not passed on. */
socklen_t scm_sockaddr(struct sockaddr_storage *out,
    const struct scm_address *a);

/*
 * The IPv4 addresses at which a packet to this IPv6 address may come out, and
 * by which way: 6to4, NAT64, Teredo, ISATAP, IPv4-compatible and -translated
 * addresses.  An address may be of several forms at once.
 */
#define SCM_EMBEDDED_MAX 4
struct scm_embedded {
	struct scm_ip ip;
	const char *form; /* "6to4" */
};
size_t scm_ip_embedded(struct scm_embedded out[SCM_EMBEDDED_MAX],
    const struct scm_ip *ip);

/* `host` may be NULL. */
enum scm_special scm_ip_special(const struct scm_ip *ip,
    const struct scm_host *host);

#endif
