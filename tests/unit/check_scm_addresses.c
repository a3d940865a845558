/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every form of an address, and what the policy says of it. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "scm/policy.h"
#include "unit.h"

/* All that is plain, once for each family; and nothing special. */
static const char open_conf[] = "allow * tcp 0.0.0.0/0 *\n"
				"allow * tcp ::/0 *\n";
/* A host's usual rules: one port of one network, less a part of it. */
static const char lan_conf[] = "deny  * tcp 10.1.2.0/24 *\n"
			       "allow * tcp 10.0.0.0/8 443\n"
			       "allow * tcp 2002::/16 443\n"
			       "allow * tcp 64:ff9b::/96 443\n"
			       "allow * tcp 2001:db8::/32 443\n";

/* This host: 192.0.2.10/24, 198.51.100.5/31, 2001:db8:1::10/64. */
static const struct scm_network networks[] = {
	{ { true, { 192, 0, 2, 10 } }, 24 },
	{ { true, { 198, 51, 100, 5 } }, 31 },
	{ { false, { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 0x10 } }, 64 },
};
static const struct scm_host host = { networks, UNIT_COUNT(networks) };

static const struct scm_identity who = { 0x1234, 0x5678, "S1", "1-4" };

static const struct form {
	const char *conf;
	const char *address;
	bool allowed;
	enum scm_special special;
	const char *form; /* of the embedded address that decided */
} addresses[] = {
	/* Plain addresses. */
	{ open_conf, "8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "1.0.0.0", true, SCM_PLAIN, NULL },
	{ open_conf, "10.0.0.1", true, SCM_PLAIN, NULL },
	{ open_conf, "172.16.0.1", true, SCM_PLAIN, NULL },
	{ open_conf, "192.168.1.1", true, SCM_PLAIN, NULL },
	{ open_conf, "100.64.0.1", true, SCM_PLAIN, NULL },
	{ open_conf, "223.255.255.254", true, SCM_PLAIN, NULL },
	{ open_conf, "2001:db8::1", true, SCM_PLAIN, NULL },
	{ open_conf, "2606:4700:4700::1111", true, SCM_PLAIN, NULL },
	{ open_conf, "fd12:3456:789a::1", true, SCM_PLAIN, NULL },
	{ lan_conf, "10.9.9.9", true, SCM_PLAIN, NULL },
	{ lan_conf, "10.1.2.3", false, SCM_PLAIN, NULL },
	{ lan_conf, "8.8.8.8", false, SCM_PLAIN, NULL },
	{ lan_conf, "2001:db9::1", false, SCM_PLAIN, NULL },
	/* IPv4 mapped into IPv6 is IPv4. */
	{ open_conf, "::ffff:8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "::ffff:127.0.0.1", false, SCM_LOOPBACK, NULL },
	{ open_conf, "::ffff:7f00:1", false, SCM_LOOPBACK, NULL },
	{ open_conf, "::ffff:0.0.0.0", false, SCM_UNSPECIFIED, NULL },
	{ open_conf, "::ffff:169.254.169.254", false, SCM_METADATA, NULL },
	{ open_conf, "::ffff:255.255.255.255", false, SCM_BROADCAST, NULL },
	{ open_conf, "::ffff:192.0.2.10", false, SCM_OWN, NULL },
	{ lan_conf, "::ffff:10.9.9.9", true, SCM_PLAIN, NULL },
	{ lan_conf, "::ffff:10.1.2.3", false, SCM_PLAIN, NULL },
	/* Unspecified: Linux connects to itself. */
	{ open_conf, "0.0.0.0", false, SCM_UNSPECIFIED, NULL },
	{ open_conf, "0.1.2.3", false, SCM_UNSPECIFIED, NULL },
	{ open_conf, "::", false, SCM_UNSPECIFIED, NULL },
	/* Loopback. */
	{ open_conf, "127.0.0.1", false, SCM_LOOPBACK, NULL },
	{ open_conf, "127.255.255.254", false, SCM_LOOPBACK, NULL },
	{ open_conf, "127.1.2.3", false, SCM_LOOPBACK, NULL },
	{ open_conf, "::1", false, SCM_LOOPBACK, NULL },
	{ open_conf, "::1%lo", false, SCM_LOOPBACK, NULL },
	/* The link, with and without a zone. */
	{ open_conf, "169.254.0.1", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "fe80::1", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "fe80::1%eth0", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "fe80::1%2", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "febf:ffff::1", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "fec0::1", false, SCM_LINK_LOCAL, NULL },
	{ open_conf, "2001:db8::1%eth0", true, SCM_PLAIN, NULL },
	/* Where clouds tell secrets. */
	{ open_conf, "169.254.169.254", false, SCM_METADATA, NULL },
	{ open_conf, "169.254.170.2", false, SCM_METADATA, NULL },
	{ open_conf, "100.100.100.200", false, SCM_METADATA, NULL },
	{ open_conf, "168.63.129.16", false, SCM_METADATA, NULL },
	{ open_conf, "192.0.0.192", false, SCM_METADATA, NULL },
	{ open_conf, "fd00:ec2::254", false, SCM_METADATA, NULL },
	{ open_conf, "fd00:ec2::23", false, SCM_METADATA, NULL },
	{ open_conf, "fd20:ce::254", false, SCM_METADATA, NULL },
	{ open_conf, "fd00:ec2::255", true, SCM_PLAIN, NULL },
	/* Many, and all. */
	{ open_conf, "224.0.0.1", false, SCM_MULTICAST, NULL },
	{ open_conf, "239.255.255.255", false, SCM_MULTICAST, NULL },
	{ open_conf, "ff02::1", false, SCM_MULTICAST, NULL },
	{ open_conf, "ff0e::101", false, SCM_MULTICAST, NULL },
	{ open_conf, "255.255.255.255", false, SCM_BROADCAST, NULL },
	{ open_conf, "192.0.2.255", false, SCM_BROADCAST, NULL },
	{ open_conf, "192.0.2.0", false, SCM_BROADCAST, NULL },
	{ open_conf, "192.0.3.255", true, SCM_PLAIN, NULL },
	{ open_conf, "198.51.100.4", true, SCM_PLAIN, NULL }, /* a /31 */
	/* Nobody's. */
	{ open_conf, "240.0.0.1", false, SCM_RESERVED, NULL },
	{ open_conf, "255.255.255.254", false, SCM_RESERVED, NULL },
	{ open_conf, "192.0.0.1", false, SCM_RESERVED, NULL },
	/* Ours. */
	{ open_conf, "192.0.2.10", false, SCM_OWN, NULL },
	{ open_conf, "198.51.100.5", false, SCM_OWN, NULL },
	{ open_conf, "2001:db8:1::10", false, SCM_OWN, NULL },
	{ open_conf, "192.0.2.11", true, SCM_PLAIN, NULL },
	{ open_conf, "2001:db8:1::11", true, SCM_PLAIN, NULL },
	/* 6to4: 2002:AABB:CCDD::/48 leads to AA.BB.CC.DD. */
	{ open_conf, "2002:808:808::1", true, SCM_PLAIN, NULL },
	{ open_conf, "2002:7f00:1::1", false, SCM_LOOPBACK, "6to4" },
	{ open_conf, "2002:a9fe:a9fe::", false, SCM_METADATA, "6to4" },
	{ open_conf, "2002:c000:20a::1", false, SCM_OWN, "6to4" },
	{ lan_conf, "2002:a09:909::1", true, SCM_PLAIN, NULL },
	{ lan_conf, "2002:a01:203::1", false, SCM_PLAIN, "6to4" },
	{ lan_conf, "2002:808:808::1", false, SCM_PLAIN, "6to4" },
	/* NAT64, well-known and local. */
	{ open_conf, "64:ff9b::8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "64:ff9b::127.0.0.1", false, SCM_LOOPBACK, "NAT64" },
	{ open_conf, "64:ff9b::a9fe:a9fe", false, SCM_METADATA, "NAT64" },
	{ lan_conf, "64:ff9b::10.9.9.9", true, SCM_PLAIN, NULL },
	{ lan_conf, "64:ff9b::10.1.2.3", false, SCM_PLAIN, "NAT64" },
	{ open_conf, "64:ff9b:1::8.8.8.8", false, SCM_LOCAL_NAT64, NULL },
	{ open_conf, "64:ff9b:1:ffff::1", false, SCM_LOCAL_NAT64, NULL },
	{ open_conf, "64:ff9b:2::1", true, SCM_PLAIN, NULL },
	/* Teredo: the client, inverted, in the last four bytes. */
	{ open_conf, "2001:0:4136:e378:8000:63bf:f7f7:f7f7", true, SCM_PLAIN,
	    NULL },
	{ open_conf, "2001:0:4136:e378:8000:63bf:80ff:fffe", false,
	    SCM_LOOPBACK, "Teredo" },
	{ open_conf, "2001:1::1", true, SCM_PLAIN, NULL },
	/* ISATAP: ...:[0200:]5efe:a.b.c.d. */
	{ open_conf, "2001:db8::5efe:8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "2001:db8::5efe:127.0.0.1", false, SCM_LOOPBACK,
	    "ISATAP" },
	{ open_conf, "2001:db8::200:5efe:192.0.2.10", false, SCM_OWN,
	    "ISATAP" },
	{ lan_conf, "2001:db8::5efe:10.1.2.3", false, SCM_PLAIN, "ISATAP" },
	/* Two forms at once: the outer is fine, the inner is not. */
	{ open_conf, "2002:808:808::5efe:127.0.0.1", false, SCM_LOOPBACK,
	    "ISATAP" },
	/* IPv4-compatible and IPv4-translated. */
	{ open_conf, "::8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "::127.0.0.1", false, SCM_LOOPBACK, "IPv4-compatible" },
	{ open_conf, "::2", false, SCM_UNSPECIFIED, "IPv4-compatible" },
	{ open_conf, "::ffff:0:8.8.8.8", true, SCM_PLAIN, NULL },
	{ open_conf, "::ffff:0:127.0.0.1", false, SCM_LOOPBACK,
	    "IPv4-translated" },
};

static struct scm_address
address_of(const char *text, uint16_t port)
{
	struct scm_address a = { .port = port, .family = SCM_INET };
	char plain[64];

	snprintf(plain, sizeof plain, "%.*s", (int)strcspn(text, "%"), text);
	if (inet_pton(AF_INET, plain, a.ip) != 1) {
		a.family = SCM_INET6;
		ck_assert_msg(inet_pton(AF_INET6, plain, a.ip) == 1, "%s",
		    text);
		a.scope = strchr(text, '%') != NULL ? 2 : 0;
	}
	return a;
}

static struct scm_policy *
policy_of(const char *text)
{
	struct cause why;
	struct scm_policy *p =
	    scm_policy_new("scm.conf", text, strlen(text), &why);

	ck_assert_msg(p != NULL, "%s", why.text);
	return p;
}

START_TEST(an_address_has_its_verdict)
{
	const struct form *f = &addresses[_i];
	const struct scm_address a = address_of(f->address, 443);
	struct scm_policy *p = policy_of(f->conf);
	const struct scm_verdict v =
	    scm_policy_judge(p, &who, SCM_TCP, &a, &host);
	char text[SCM_VERDICT_TEXT_MAX];

	scm_verdict_text(text, p, &v);
	ck_assert_msg(v.allowed == f->allowed, "%s: %s", f->address, text);
	ck_assert_msg(v.special == f->special, "%s: %s", f->address, text);
	ck_assert_msg((v.form == NULL) == (f->form == NULL), "%s: %s",
	    f->address, text);
	if (f->form != NULL)
		ck_assert_str_eq(v.form, f->form);
	ck_assert_int_eq(strncmp(text, v.allowed ? "allowed" : "denied",
	    v.allowed ? 7 : 6), 0);
	scm_policy_free(p);
}
END_TEST

/* What is special can be had by name, and only so. */
START_TEST(a_special_address_can_be_allowed)
{
	const struct form *f = &addresses[_i];
	const struct scm_address a = address_of(f->address, 443);
	struct scm_policy *p = policy_of("allow-special * tcp * 443\n");
	struct scm_verdict v = scm_policy_judge(p, &who, SCM_TCP, &a, &host);

	ck_assert_msg(v.allowed, "%s", f->address);
	ck_assert_uint_eq(v.line, 1);
	v = scm_policy_judge(p, &who, SCM_UDP, &a, &host);
	ck_assert(!v.allowed);
	scm_policy_free(p);
}
END_TEST

/* The address as text and as a CONNECT has it are the same. */
START_TEST(an_address_is_read_from_text)
{
	const struct form *f = &addresses[_i];
	const struct scm_address a = address_of(f->address, 443);
	const struct scm_ip from_connect = scm_ip_of(&a);
	struct scm_ip from_text, again;
	struct cause why = { "" };
	char text[SCM_IP_TEXT_MAX];

	ck_assert_msg(scm_ip_parse(&from_text, f->address, &why) == 0, "%s",
	    why.text);
	ck_assert(from_text.is_v4 == from_connect.is_v4);
	ck_assert_mem_eq(from_text.bytes, from_connect.bytes, 16);
	ck_assert(scm_ip_parse(&again, scm_ip_text(text, &from_text), &why) ==
	    0);
	ck_assert_mem_eq(again.bytes, from_text.bytes, 16);
}
END_TEST

/* And as connect() takes it. */
START_TEST(an_address_is_one_of_the_system)
{
	const struct form *f = &addresses[_i];
	const struct scm_address a = address_of(f->address, 443);
	const bool link = strncmp(f->address, "fe", 2) == 0 &&
	    f->special == SCM_LINK_LOCAL && f->address[2] != 'c';
	const struct scm_ip ip = scm_ip_of(&a);
	const struct scm_address to = scm_address_to(&ip, 443);
	struct sockaddr_storage ss;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	struct scm_ip again;

	ck_assert_uint_eq(to.port, 443);
	again = scm_ip_of(&to);
	ck_assert_mem_eq(&again, &ip, sizeof ip);
	if (a.family == SCM_INET) {
		ck_assert_uint_eq(scm_sockaddr(&ss, &a), sizeof in);
		memcpy(&in, &ss, sizeof in);
		ck_assert(in.sin_family == AF_INET);
		ck_assert_uint_eq(ntohs(in.sin_port), 443);
		ck_assert_mem_eq(&in.sin_addr, a.ip, 4);
		return;
	}
	ck_assert_uint_eq(scm_sockaddr(&ss, &a), sizeof in6);
	memcpy(&in6, &ss, sizeof in6);
	ck_assert(in6.sin6_family == AF_INET6);
	ck_assert_uint_eq(ntohs(in6.sin6_port), 443);
	ck_assert_mem_eq(&in6.sin6_addr, a.ip, 16);
	ck_assert_uint_eq(in6.sin6_scope_id, link ? a.scope : 0);
}
END_TEST

static const char *const no_addresses[] = { "", "%", "1.2.3", "1.2.3.4.5",
	"256.1.1.1", "0x7f.1", "2130706433", "01.2.3.4", "1.2.3.4%eth0",
	"fe80::1%", "::1::", ":::", "12345::", "localhost", "1.2.3.4/32",
	" 1.2.3.4", "::ffff:1.2.3.4.5", "[::1]",
	"1111:2222:3333:4444:5555:6666:7777:8888:9999",
	"0000000000000000000000000000000000000000000000001.2.3.4" };

START_TEST(what_is_no_address_is_refused)
{
	struct scm_ip ip;
	struct cause why = { "" };

	ck_assert_msg(scm_ip_parse(&ip, no_addresses[_i], &why) == -1, "%s",
	    no_addresses[_i]);
	ck_assert_ptr_nonnull(strstr(why.text, "no address"));
}
END_TEST

/* ---- Networks ----------------------------------------------------------- */

static const struct {
	const char *network, *address;
	bool holds;
} pairs[] = {
	{ "10.0.0.0/8", "10.255.255.255", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "10.1.2.3/8", "10.9.9.9", true },
	{ "192.168.1.128/25", "192.168.1.127", false },
	{ "192.168.1.128/25", "192.168.1.128", true },
	{ "192.168.1.1", "192.168.1.1", true },
	{ "192.168.1.1", "192.168.1.0", false },
	{ "0.0.0.0/0", "255.255.255.255", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "0.0.0.0/0", "::ffff:1.2.3.4", true },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "1.2.3.4", false },
	{ "::/0", "::ffff:1.2.3.4", false },
	{ "::ffff:10.0.0.0/104", "10.1.1.1", true },
	{ "::ffff:10.0.0.0/104", "11.1.1.1", false },
	{ "::ffff:0:0/96", "11.1.1.1", true },
	{ "2001:db8::/33", "2001:db8:8000::", false },
	{ "2001:db8::/33", "2001:db8:7fff::", true },
	{ "fe80::1/128", "fe80::1", true },
	{ "fe80::1/127", "fe80::", true },
};

START_TEST(a_network_holds_its_addresses)
{
	struct scm_network n;
	struct scm_ip ip;
	struct cause why = { "" };

	ck_assert_msg(scm_network_parse(&n, pairs[_i].network, &why) == 0,
	    "%s", why.text);
	ck_assert(scm_ip_parse(&ip, pairs[_i].address, &why) == 0);
	ck_assert_msg(scm_network_holds(&n, &ip) == pairs[_i].holds,
	    "%s in %s", pairs[_i].address, pairs[_i].network);
}
END_TEST

static const char *const no_networks[] = { "", "/", "/8", "10.0.0.0/",
	"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0.0/8 ",
	"10.0.0.0/8/8", "10.0.0.0/0x8", "10.0.0.0/4294967304", "10/8",
	"::/129", "::/1000", "fe80::1%eth0/64", "all" };

START_TEST(what_is_no_network_is_refused)
{
	struct scm_network n;
	struct cause why = { "" };

	ck_assert_msg(scm_network_parse(&n, no_networks[_i], &why) == -1,
	    "%s", no_networks[_i]);
	ck_assert_ptr_nonnull(strstr(why.text, "write ADDRESS"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm addresses");
	TCase *tc = tcase_create("addresses");

	tcase_add_loop_test(tc, an_address_has_its_verdict, 0,
	    UNIT_COUNT(addresses));
	tcase_add_loop_test(tc, a_special_address_can_be_allowed, 0,
	    UNIT_COUNT(addresses));
	tcase_add_loop_test(tc, an_address_is_read_from_text, 0,
	    UNIT_COUNT(addresses));
	tcase_add_loop_test(tc, an_address_is_one_of_the_system, 0,
	    UNIT_COUNT(addresses));
	tcase_add_loop_test(tc, what_is_no_address_is_refused, 0,
	    UNIT_COUNT(no_addresses));
	suite_add_tcase(s, tc);
	tc = tcase_create("networks");
	tcase_add_loop_test(tc, a_network_holds_its_addresses, 0,
	    UNIT_COUNT(pairs));
	tcase_add_loop_test(tc, what_is_no_network_is_refused, 0,
	    UNIT_COUNT(no_networks));
	suite_add_tcase(s, tc);
	return unit_run(s);
}
