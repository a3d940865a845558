/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_POLICY_INT_H
#define MUXD_SCM_POLICY_INT_H

/* What a policy is made of: policy_parse.c makes it, policy.c asks it. */

#include "scm/policy.h"

/* Which devices a rule is about. */
struct scm_who {
	bool any;
	uint16_t vendor, product;
	char *serial; /* NULL: any */
	char *busid;  /* not NULL: the device there, whatever it is */
};

struct scm_ports {
	uint16_t first, last;
};
/* Port ranges of one rule. */
#define SCM_PORTS_MAX 32

enum scm_rule_kind {
	SCM_RULE_ALLOW,
	SCM_RULE_ALLOW_SPECIAL,
	SCM_RULE_DENY,
	SCM_RULE_LIMIT,
	SCM_RULE_DIALECT,
	SCM_RULE_PORT_ORDER,
	SCM_RULE_INTERFACE,
};

enum scm_limit {
	SCM_LIMIT_SOCKETS,
	SCM_LIMIT_CONNECTS,
	SCM_LIMIT_BYTES,
	SCM_LIMIT_BUFFERED,
	SCM_LIMIT_CONNECT_TIMEOUT,
	SCM_LIMIT_IDLE_TIMEOUT,
};

struct scm_rule {
	struct scm_rule *next;
	enum scm_rule_kind kind;
	unsigned line;
	struct scm_who who;
	union {
		struct { /* allow, allow-special, deny */
			bool tcp, udp;
			bool everywhere; /* both families; else `network` */
			struct scm_network network;
			size_t port_count;
			struct scm_ports ports[SCM_PORTS_MAX];
		};
		struct {
			enum scm_limit limit;
			uint64_t value; /* times in milliseconds */
		};
		enum scm_dialect dialect;
		bool little_addresses;
		uint8_t interface[3]; /* class, subclass, protocol */
	};
};

struct scm_policy {
	char name[160];
	struct scm_rule *first; /* in the order of the file */
	struct scm_rule **end;
	size_t count;
};

#endif
