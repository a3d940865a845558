/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "scm/policy.h"

/*
 * A text as scm.conf, as a network and as an address.  A policy's verdicts
 * agree with themselves; a fault names a place that there is.
 */

static const struct scm_identity whos[] = {
	{ 0x2fe0, 0x8b01, "S", "1-4.2" },
	{ 0x1234, 0xabcd, "", "2-1" },
};

static void
judge(const struct scm_policy *p, const struct scm_identity *who,
    const struct scm_address *a)
{
	static const struct scm_network own = { { true, { 192, 0, 2, 10 } },
		24 };
	static const struct scm_host host = { &own, 1 };
	char text[SCM_VERDICT_TEXT_MAX];

	for (int i = 0; i < 2; i++) {
		const uint16_t protocol = i == 0 ? SCM_TCP : SCM_UDP;
		const struct scm_verdict v =
		    scm_policy_judge(p, who, protocol, a, &host);
		const struct scm_ip ip = scm_ip_of(a);

		/* Nothing is allowed without a rule for it, and nothing
		 * special but by name. */
		MUST(!v.allowed || v.reason == SCM_BY_RULE);
		MUST(!v.allowed || scm_policy_allows_some(p, who, protocol));
		MUST(!v.allowed || a->port != 0);
		MUST((v.line != 0) == (v.reason == SCM_BY_RULE ||
					  v.reason == SCM_NO_SPECIAL));
		MUST(v.form != NULL || v.ip.is_v4 == ip.is_v4);
		scm_verdict_text(text, p, &v);
		MUST(strncmp(text, v.allowed ? "allowed" : "denied:", 7) == 0);
	}
}

static void
use(const struct scm_policy *p, const uint8_t *bytes, size_t len)
{
	struct scm_address a = { .port = 443 };
	struct reader r = reader_over(bytes, len);

	for (size_t i = 0; i < sizeof whos / sizeof whos[0]; i++) {
		const struct scm_limits l = scm_policy_limits(p, &whos[i]);

		MUST(l.sockets >= 1 && l.sockets <= SCM_SOCKETS_MAX);
		MUST(l.connect_ms >= 1000 && l.buffered >= 65536);
		scm_policy_format(p, &whos[i]);
		MUST(scm_policy_serves(p, &whos[i], 0xff, 0xab, 0));
		a.family = SCM_INET;
		memcpy(a.ip, "\x0a\x00\x00\x01", 4);
		judge(p, &whos[i], &a);
		memcpy(a.ip, "\x7f\x00\x00\x01", 4);
		judge(p, &whos[i], &a);
		/* And at addresses that are made of the text. */
		a.family = SCM_INET6;
		read_copy(&r, a.ip, 16);
		judge(p, &whos[i], &a);
		memcpy(a.ip, "\x20\x02\x7f\x00\x00\x01", 6);
		judge(p, &whos[i], &a);
	}
}

static void
use_address(const char *text)
{
	struct scm_network n;
	struct scm_ip ip, again;
	struct cause why;
	char words[SCM_IP_TEXT_MAX];

	if (scm_network_parse(&n, text, &why) == 0) {
		MUST(n.bits <= (n.ip.is_v4 ? 32 : 128));
		MUST(scm_network_holds(&n, &n.ip));
	}
	if (scm_ip_parse(&ip, text, &why) < 0)
		return;
	MUST(scm_ip_parse(&again, scm_ip_text(words, &ip), &why) == 0);
	MUST(memcmp(&ip, &again, sizeof ip) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct cause why = { "" };
	struct scm_policy *p =
	    scm_policy_new("f", (const char *)bytes, len, &why);
	char text[64];
	unsigned line = 0, column = 0;

	if (p != NULL)
		use(p, bytes, len);
	else
		MUST(sscanf(why.text, "f:%u:%u:", &line, &column) == 2 &&
		    line >= 1 && line <= len + 1 && column >= 1 &&
		    column <= len + 1);
	scm_policy_free(p);
	snprintf(text, sizeof text, "%.*s", (int)(len < 63 ? len : 63),
	    (const char *)bytes);
	use_address(text);
	return 0;
}
