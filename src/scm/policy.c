/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scm/policy_int.h"

size_t
scm_policy_rule_count(const struct scm_policy *p)
{
	return p->count;
}

/* ---- Whom it is about --------------------------------------------------- */

static bool
names(const struct scm_who *who, const struct scm_identity *d)
{
	if (who->any)
		return true;
	if (who->busid != NULL)
		return strcmp(who->busid, d->busid) == 0;
	return who->vendor == d->vendor && who->product == d->product &&
	    (who->serial == NULL || d->serial == NULL ||
		strcmp(who->serial, d->serial) == 0);
}

/* The first rule of the kind about the device, behind `r` (NULL: of all). */
static const struct scm_rule *
next_rule(const struct scm_policy *p, const struct scm_rule *r,
    enum scm_rule_kind kind, const struct scm_identity *who)
{
	r = r == NULL ? p->first : r->next;
	while (r != NULL && (r->kind != kind || !names(&r->who, who)))
		r = r->next;
	return r;
}

const char *
scm_protocol_name(uint16_t protocol)
{
	return protocol == SCM_TCP ? "tcp" : protocol == SCM_UDP ? "udp" : "?";
}

bool
scm_protocol_parse(uint16_t *out, const char *text)
{
	*out = strcmp(text, "udp") == 0 ? SCM_UDP : SCM_TCP;
	return strcmp(text, scm_protocol_name(*out)) == 0;
}

bool
scm_policy_serves(const struct scm_policy *p, const struct scm_identity *who,
    uint8_t interface_class, uint8_t interface_subclass,
    uint8_t interface_protocol)
{
	const uint8_t is[3] = { interface_class, interface_subclass,
		interface_protocol };
	static const uint8_t ours[3] = { 0xff, 0xab, 0x00 };
	const struct scm_rule *r = NULL;

	if (memcmp(is, ours, 3) == 0)
		return true;
	while ((r = next_rule(p, r, SCM_RULE_INTERFACE, who)) != NULL)
		if (memcmp(is, r->interface, 3) == 0)
			return true;
	return false;
}

static bool
shipped_with_12(const struct scm_identity *who)
{
	return who->vendor == 0x2fe0 &&
	    (who->product == 0x8b01 || who->product == 0x8b02);
}

struct scm_format
scm_policy_format(const struct scm_policy *p, const struct scm_identity *who)
{
	const struct scm_rule *dialect =
	    next_rule(p, NULL, SCM_RULE_DIALECT, who);
	const struct scm_rule *order =
	    next_rule(p, NULL, SCM_RULE_PORT_ORDER, who);

	return (struct scm_format){
		.dialect = dialect != NULL ? dialect->dialect
		    : shipped_with_12(who) ? SCM_12
					   : SCM_8,
		.little_addresses = order != NULL && order->little_addresses,
	};
}

static uint64_t
limit_of(const struct scm_policy *p, const struct scm_identity *who,
    enum scm_limit limit, uint64_t otherwise)
{
	const struct scm_rule *r = NULL;

	while ((r = next_rule(p, r, SCM_RULE_LIMIT, who)) != NULL)
		if (r->limit == limit)
			return r->value;
	return otherwise;
}

struct scm_limits
scm_policy_limits(const struct scm_policy *p, const struct scm_identity *who)
{
	/* A connection must be answered before a shipped device gives it up,
	 * which is after 30 seconds. */
	return (struct scm_limits){
		.sockets = (uint32_t)limit_of(p, who, SCM_LIMIT_SOCKETS, 64),
		.connects =
		    (uint32_t)limit_of(p, who, SCM_LIMIT_CONNECTS, 100),
		.bytes = limit_of(p, who, SCM_LIMIT_BYTES, 0),
		.buffered =
		    limit_of(p, who, SCM_LIMIT_BUFFERED, 16 * 1024 * 1024),
		.connect_ms = (uint32_t)limit_of(p, who,
		    SCM_LIMIT_CONNECT_TIMEOUT, 20000),
		.idle_ms = (uint32_t)limit_of(p, who, SCM_LIMIT_IDLE_TIMEOUT,
		    7200000),
	};
}

/* ---- Where to it may connect -------------------------------------------- */

static bool
has_port(const struct scm_rule *r, uint16_t port)
{
	for (size_t i = 0; i < r->port_count; i++)
		if (port >= r->ports[i].first && port <= r->ports[i].last)
			return true;
	return false;
}

static bool
is_about_addresses(const struct scm_rule *r)
{
	return r->kind == SCM_RULE_ALLOW || r->kind == SCM_RULE_DENY ||
	    r->kind == SCM_RULE_ALLOW_SPECIAL;
}

static bool
matches(const struct scm_rule *r, const struct scm_identity *who,
    uint16_t protocol, const struct scm_ip *ip, uint16_t port)
{
	return is_about_addresses(r) && names(&r->who, who) &&
	    (protocol == SCM_UDP ? r->udp : r->tcp) &&
	    (r->everywhere || scm_network_holds(&r->network, ip)) &&
	    has_port(r, port);
}

/* The first rule that matches decides.  An allow says nothing about special
 * addresses, which fall through to the rules behind it. */
static struct scm_verdict
judge_ip(const struct scm_policy *p, const struct scm_identity *who,
    uint16_t protocol, const struct scm_ip *ip, uint16_t port,
    const struct scm_host *host)
{
	struct scm_verdict v = {
		.reason = SCM_NO_RULE,
		.special = scm_ip_special(ip, host),
		.ip = *ip,
	};

	for (const struct scm_rule *r = p->first; r != NULL; r = r->next) {
		if (!matches(r, who, protocol, ip, port))
			continue;
		if (r->kind == SCM_RULE_ALLOW && v.special != SCM_PLAIN) {
			if (v.reason == SCM_NO_RULE) {
				v.reason = SCM_NO_SPECIAL;
				v.line = r->line;
			}
			continue;
		}
		v.reason = SCM_BY_RULE;
		v.line = r->line;
		v.allowed = r->kind != SCM_RULE_DENY;
		break;
	}
	return v;
}

struct scm_verdict
scm_policy_judge(const struct scm_policy *p, const struct scm_identity *who,
    uint16_t protocol, const struct scm_address *to,
    const struct scm_host *host)
{
	const struct scm_ip ip = scm_ip_of(to);
	struct scm_embedded inner[SCM_EMBEDDED_MAX];
	struct scm_verdict v = { .ip = ip };
	size_t n;

	if ((to->family != SCM_INET && to->family != SCM_INET6) ||
	    (protocol != SCM_TCP && protocol != SCM_UDP))
		v.reason = SCM_NO_FAMILY;
	else if (to->port == 0)
		v.reason = SCM_NO_PORT;
	else
		v = judge_ip(p, who, protocol, &ip, to->port, host);
	/* ::1 and :: look like IPv4-compatible addresses, and are not. */
	if (!v.allowed || v.special == SCM_LOOPBACK ||
	    v.special == SCM_UNSPECIFIED)
		return v;
	n = scm_ip_embedded(inner, &ip);
	for (size_t i = 0; i < n; i++) {
		struct scm_verdict of_inner = judge_ip(p, who, protocol,
		    &inner[i].ip, to->port, host);

		if (!of_inner.allowed) {
			of_inner.form = inner[i].form;
			return of_inner;
		}
	}
	return v;
}

bool
scm_policy_allows_some(const struct scm_policy *p,
    const struct scm_identity *who, uint16_t protocol)
{
	for (const struct scm_rule *r = p->first; r != NULL; r = r->next)
		if (is_about_addresses(r) && r->kind != SCM_RULE_DENY &&
		    names(&r->who, who) &&
		    (protocol == SCM_UDP ? r->udp : r->tcp))
			return true;
	return false;
}

/* ---- Words -------------------------------------------------------------- */

/* "10.0.0.1, to which the 6to4 address leads: ", or "" when it is the address
 * that was asked about. */
static const char *
inner_words(char out[112], const struct scm_verdict *v)
{
	char ip[SCM_IP_TEXT_MAX];

	out[0] = '\0';
	if (v->form != NULL)
		snprintf(out, 112, "%s, to which the %s address leads: ",
		    scm_ip_text(ip, &v->ip), v->form);
	return out;
}

/* " (a loopback address)", or "". */
static const char *
special_words(char out[48], const struct scm_verdict *v)
{
	out[0] = '\0';
	if (v->special != SCM_PLAIN)
		snprintf(out, 48, " (a %s address)",
		    scm_special_name(v->special));
	return out;
}

const char *
scm_verdict_text(char out[SCM_VERDICT_TEXT_MAX], const struct scm_policy *p,
    const struct scm_verdict *v)
{
	const char *verb = v->allowed ? "allowed" : "denied";
	char inner[112], special[48];

	inner_words(inner, v);
	special_words(special, v);
	switch (v->reason) {
	case SCM_BY_RULE:
		snprintf(out, SCM_VERDICT_TEXT_MAX, "%s: %sby %s, line %u%s",
		    verb, inner, p->name, v->line, special);
		break;
	case SCM_NO_RULE:
		snprintf(out, SCM_VERDICT_TEXT_MAX,
		    "denied: %sno rule of %s allows it%s", inner, p->name,
		    special);
		break;
	case SCM_NO_SPECIAL:
		snprintf(out, SCM_VERDICT_TEXT_MAX, "denied: %s%s, line %u, "
		    "allows no such address%s; that takes an allow-special",
		    inner, p->name, v->line, special);
		break;
	case SCM_NO_PORT:
		snprintf(out, SCM_VERDICT_TEXT_MAX,
		    "denied: nothing has port 0");
		break;
	case SCM_NO_FAMILY:
		snprintf(out, SCM_VERDICT_TEXT_MAX,
		    "denied: neither TCP nor UDP over IP");
		break;
	case SCM_TOO_MANY:
		snprintf(out, SCM_VERDICT_TEXT_MAX, "denied: more CONNECTs in "
		    "a second than %s lets it make", p->name);
		break;
	}
	return out;
}
