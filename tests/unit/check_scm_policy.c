/* SPDX-License-Identifier: GPL-3.0-or-later */

/* scm.conf: rules, limits, and what is said of a file that is none. */

#include <stdlib.h>
#include <string.h>

#include "scm/bucket.h"
#include "scm/policy.h"
#include "unit.h"

static const struct scm_identity shipped = { 0x2fe0, 0x8b01, "A B", "1-4.2" };
static const struct scm_identity other = { 0x1234, 0xabcd, "", "2-1" };

static struct scm_policy *
parse(const char *text, struct cause *why)
{
	/* A copy of its own, without an end, as a file has none. */
	const size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	struct scm_policy *p;

	memcpy(copy, text, len);
	p = scm_policy_new("scm.conf", copy, len, why);
	free(copy);
	return p;
}

static struct scm_policy *
policy_of(const char *text)
{
	struct cause why = { "" };
	struct scm_policy *p = parse(text, &why);

	ck_assert_msg(p != NULL, "%s", why.text);
	return p;
}

/* ---- Rules -------------------------------------------------------------- */

static struct scm_verdict
judge(const struct scm_policy *p, const struct scm_identity *who,
    uint16_t protocol, uint8_t last, uint16_t port)
{
	const struct scm_address a = { .family = SCM_INET, .port = port,
		.ip = { 10, 0, 0, last } };

	return scm_policy_judge(p, who, protocol, &a, NULL);
}

static const char conf[] =
    "# What this farm may do.\n"
    "\n"
    "deny\t2fe0:8b01 tcp 10.0.0.9 *   # never that one\n"
    "allow 2fe0:8b01:\"x\" tcp 10.0.0.2 80\n"
    "allow \"2fe0:8b01:A B\" tcp 10.0.0.3 80,8000-8100\r\n"
    "allow 2-1 udp 10.0.0.0/24 53\n"
    "allow * * 10.0.0.9 1\n"
    "allow 2FE0:8B01 * 10.0.0.4 *";

static const struct {
	const struct scm_identity *who;
	uint16_t protocol;
	uint8_t last;
	uint16_t port;
	bool allowed;
	unsigned line;
	enum scm_reason reason;
} judged[] = {
	{ &shipped, SCM_TCP, 3, 80, true, 5, SCM_BY_RULE },
	{ &shipped, SCM_TCP, 3, 8000, true, 5, SCM_BY_RULE },
	{ &shipped, SCM_TCP, 3, 8100, true, 5, SCM_BY_RULE },
	{ &shipped, SCM_TCP, 3, 8101, false, 0, SCM_NO_RULE },
	{ &shipped, SCM_TCP, 3, 7999, false, 0, SCM_NO_RULE },
	{ &shipped, SCM_TCP, 3, 81, false, 0, SCM_NO_RULE },
	{ &shipped, SCM_UDP, 3, 80, false, 0, SCM_NO_RULE },
	{ &shipped, SCM_TCP, 2, 80, false, 0, SCM_NO_RULE },
	{ &shipped, SCM_TCP, 9, 1, false, 3, SCM_BY_RULE }, /* the first */
	{ &other, SCM_TCP, 9, 1, true, 7, SCM_BY_RULE },
	{ &shipped, SCM_TCP, 4, 65535, true, 8, SCM_BY_RULE },
	{ &shipped, SCM_UDP, 4, 1, true, 8, SCM_BY_RULE },
	{ &shipped, SCM_TCP, 4, 0, false, 0, SCM_NO_PORT },
	{ &other, SCM_UDP, 200, 53, true, 6, SCM_BY_RULE },
	{ &other, SCM_TCP, 200, 53, false, 0, SCM_NO_RULE },
	{ &other, SCM_TCP, 4, 80, false, 0, SCM_NO_RULE },
	{ &shipped, 132, 4, 80, false, 0, SCM_NO_FAMILY }, /* SCTP */
};

START_TEST(the_first_rule_that_matches_decides)
{
	struct scm_policy *p = policy_of(conf);
	const struct scm_verdict v = judge(p, judged[_i].who,
	    judged[_i].protocol, judged[_i].last, judged[_i].port);
	char text[SCM_VERDICT_TEXT_MAX];

	scm_verdict_text(text, p, &v);
	ck_assert_uint_eq(scm_policy_rule_count(p), 6);
	ck_assert_msg(v.allowed == judged[_i].allowed, "%s", text);
	ck_assert_msg(v.line == judged[_i].line, "%s", text);
	ck_assert_msg(v.reason == judged[_i].reason, "%s", text);
	scm_policy_free(p);
}
END_TEST

START_TEST(an_empty_policy_denies)
{
	static const char *const empty[] = { "", "\n\n", "# allow * tcp * *",
		" \t \r\n" };

	for (int i = 0; i < UNIT_COUNT(empty); i++) {
		struct scm_policy *p = policy_of(empty[i]);

		ck_assert(!judge(p, &shipped, SCM_TCP, 1, 80).allowed);
		ck_assert(!scm_policy_allows_some(p, &shipped, SCM_TCP));
		scm_policy_free(p);
	}
}
END_TEST

START_TEST(an_unknown_family_is_denied)
{
	struct scm_policy *p = policy_of("allow-special * * * *\n");
	static const uint16_t families[] = { 0, 1, 3, 9, 11, 16, 40, 0xffff };

	for (int i = 0; i < UNIT_COUNT(families); i++) {
		const struct scm_address a = { .family = families[i],
			.port = 80, .ip = { 10 } };
		const struct scm_verdict v =
		    scm_policy_judge(p, &shipped, SCM_TCP, &a, NULL);

		char text[SCM_VERDICT_TEXT_MAX];

		ck_assert(!v.allowed && v.reason == SCM_NO_FAMILY);
		ck_assert_str_eq(scm_verdict_text(text, p, &v),
		    "denied: neither TCP nor UDP over IP");
	}
	scm_policy_free(p);
}
END_TEST

START_TEST(a_verdict_says_why)
{
	struct scm_policy *p =
	    policy_of("allow * tcp * 80\n"
		      "deny * tcp 127.0.0.2 80\n"
		      "allow-special * tcp 127.0.0.0/8 80\n");
	static const struct {
		struct scm_address a;
		const char *text;
	} said[] = {
		{ { .family = SCM_INET, .port = 80, .ip = { 1, 2, 3, 4 } },
		    "allowed: by scm.conf, line 1" },
		{ { .family = SCM_INET, .port = 81, .ip = { 1, 2, 3, 4 } },
		    "denied: no rule of scm.conf allows it" },
		{ { .family = SCM_INET, .port = 80, .ip = { 127, 0, 0, 1 } },
		    "allowed: by scm.conf, line 3 (a loopback address)" },
		{ { .family = SCM_INET, .port = 80, .ip = { 127, 0, 0, 2 } },
		    "denied: by scm.conf, line 2 (a loopback address)" },
		{ { .family = SCM_INET, .port = 80, .ip = { 224, 0, 0, 1 } },
		    "denied: scm.conf, line 1, allows no such address (a "
		    "multicast address); that takes an allow-special" },
		{ { .family = SCM_INET, .ip = { 1, 2, 3, 4 } },
		    "denied: nothing has port 0" },
		{ { .family = SCM_INET6, .port = 80,
		      .ip = { 0x20, 0x02, 224, 0, 0, 1 } },
		    "denied: 224.0.0.1, to which the 6to4 address leads: "
		    "scm.conf, line 1, allows no such address (a multicast "
		    "address); that takes an allow-special" },
		{ { .family = SCM_INET6, .port = 80,
		      .ip = { 0x20, 0x02, 127, 0, 0, 2 } },
		    "denied: 127.0.0.2, to which the 6to4 address leads: by "
		    "scm.conf, line 2 (a loopback address)" },
	};

	for (int i = 0; i < UNIT_COUNT(said); i++) {
		const struct scm_verdict v = scm_policy_judge(p, &other,
		    SCM_TCP, &said[i].a, NULL);
		char text[SCM_VERDICT_TEXT_MAX];

		ck_assert_str_eq(scm_verdict_text(text, p, &v), said[i].text);
	}
	scm_policy_free(p);
}
END_TEST

/* ---- Other rules -------------------------------------------------------- */

START_TEST(limits_have_defaults_and_are_set)
{
	struct scm_policy *p = policy_of(
	    "limit 2-1 sockets 3\n"
	    "limit * sockets 128\n"
	    "limit * connects-per-second 0\n"
	    "limit * bytes-per-second 3M\n"
	    "limit * buffered 64K\n"
	    "limit * connect-timeout 5\n"
	    "limit 2fe0:8b01 idle-timeout 2m\n");
	struct scm_limits l = scm_policy_limits(p, &other);

	ck_assert_uint_eq(l.sockets, 3);
	ck_assert_uint_eq(l.connects, 0);
	ck_assert_uint_eq(l.bytes, 3 * 1024 * 1024);
	ck_assert_uint_eq(l.buffered, 65536);
	ck_assert_uint_eq(l.connect_ms, 5000);
	ck_assert_uint_eq(l.idle_ms, 7200000);
	l = scm_policy_limits(p, &shipped);
	ck_assert_uint_eq(l.sockets, 128);
	ck_assert_uint_eq(l.idle_ms, 120000);
	scm_policy_free(p);

	p = policy_of("");
	l = scm_policy_limits(p, &other);
	ck_assert_uint_eq(l.sockets, 64);
	ck_assert_uint_eq(l.connects, 100);
	ck_assert_uint_eq(l.bytes, 0);
	ck_assert_uint_eq(l.buffered, 16 * 1024 * 1024);
	ck_assert_uint_eq(l.connect_ms, 20000);
	scm_policy_free(p);
}
END_TEST

START_TEST(a_device_has_its_dialect)
{
	struct scm_policy *p = policy_of("");
	struct scm_format f = scm_policy_format(p, &shipped);

	ck_assert(f.dialect == SCM_12 && !f.little_addresses);
	f = scm_policy_format(p, &other);
	ck_assert(f.dialect == SCM_8 && !f.little_addresses);
	scm_policy_free(p);
	p = policy_of("dialect 2fe0:8b01 8\ndialect * 12\n"
		      "port-order 2-1 network\nport-order * little\n");
	f = scm_policy_format(p, &shipped);
	ck_assert(f.dialect == SCM_8 && f.little_addresses);
	f = scm_policy_format(p, &other);
	ck_assert(f.dialect == SCM_12 && !f.little_addresses);
	scm_policy_free(p);
}
END_TEST

START_TEST(a_device_is_known_by_its_interface)
{
	struct scm_policy *p = policy_of("interface 1234:abcd ff/42/01\n");

	ck_assert(scm_policy_serves(p, &other, 0xff, 0xab, 0x00));
	ck_assert(scm_policy_serves(p, &other, 0xff, 0x42, 0x01));
	ck_assert(!scm_policy_serves(p, &other, 0xff, 0x42, 0x00));
	ck_assert(!scm_policy_serves(p, &other, 0xff, 0xab, 0x01));
	ck_assert(!scm_policy_serves(p, &shipped, 0xff, 0x42, 0x01));
	scm_policy_free(p);
}
END_TEST

START_TEST(udp_is_there_when_a_rule_has_it)
{
	struct scm_policy *p =
	    policy_of("allow * tcp * *\n"
		      "deny * udp * *\n"
		      "allow-special 2-1 udp 127.0.0.1 53\n");

	ck_assert(scm_policy_allows_some(p, &shipped, SCM_TCP));
	ck_assert(!scm_policy_allows_some(p, &shipped, SCM_UDP));
	ck_assert(scm_policy_allows_some(p, &other, SCM_UDP));
	scm_policy_free(p);
}
END_TEST

/* As in a rule, so in a question. */
START_TEST(a_device_is_named_as_in_rules)
{
	static const struct {
		const char *text;
		bool names, allowed;
	} devices[] = {
		{ "2fe0:8b01:A B", true, true }, { "2FE0:8B01", true, false },
		{ "1234:abcd", true, false }, { "2-1", true, true },
		{ "", false, false }, { "2fe0:8b01:", false, false },
		{ "2fe0", false, false }, { "*", false, false },
		{ "2fe0:8b01x", false, false }, { "2-", false, false },
	};
	struct scm_policy *p = policy_of(
	    "allow \"2fe0:8b01:A B\" tcp 10.0.0.3 80\n"
	    "allow 2-1 tcp 10.0.0.3 80\n");

	for (int i = 0; i < UNIT_COUNT(devices); i++) {
		struct scm_identity id;

		ck_assert_msg(scm_identity_parse(&id, devices[i].text) ==
		    devices[i].names, "%s", devices[i].text);
		if (devices[i].names)
			ck_assert(judge(p, &id, SCM_TCP, 3, 80).allowed ==
			    devices[i].allowed);
	}
	scm_policy_free(p);
}
END_TEST

/* ---- What is no policy -------------------------------------------------- */

static const struct {
	const char *text, *where, *what, *remedy;
} faults[] = {
	{ "permit * tcp * *", "scm.conf:1:1:", "'permit' is no rule",
	    "write allow, " },
	{ "\n\n  allow * tcp *", "scm.conf:3:15:", "4 words",
	    "write allow DEVICE PROTOCOL NETWORK PORTS" },
	{ "allow", "scm.conf:1:1:", "1 words", "write allow " },
	{ "deny * tcp * * *", "scm.conf:1:16:", "6 words", "write deny " },
	{ "allow 1 2 3 4 5 6 7 8 9", "scm.conf:1:21:", "more words",
	    "remove them" },
	{ "allow 2fe0 tcp * *", "scm.conf:1:7:", "'2fe0' is no device",
	    "write VID:PID" },
	{ "allow 2fe0: tcp * *", "scm.conf:1:7:", "'2fe0:' is no device",
	    "lsusb" },
	{ "allow 2fe0:8b01: tcp * *", "scm.conf:1:7:", "is no device", "" },
	{ "allow 2fe0:8b01x tcp * *", "scm.conf:1:7:", "is no device", "" },
	{ "allow 02fe0:8b01 tcp * *", "scm.conf:1:7:", "is no device", "" },
	{ "allow 1- tcp * *", "scm.conf:1:7:", "is no device", "1-4.2" },
	{ "allow \"\" tcp * *", "scm.conf:1:7:", "is no device", "" },
	{ "allow * sctp * *", "scm.conf:1:9:", "'sctp' is no protocol",
	    "write tcp, udp" },
	{ "allow * tcp 10/8 *", "scm.conf:1:13:", "'10/8' is no network",
	    "ADDRESS/BITS" },
	{ "allow * tcp example.org *", "scm.conf:1:13:", "no network", "" },
	{ "allow * tcp * 0", "scm.conf:1:15:", "'0' is no list of ports",
	    "80,443" },
	{ "allow * tcp * 65536", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * 80,", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * 80-", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * 90-80", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * http", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * 80;81", "scm.conf:1:15:", "no list of ports", "" },
	{ "allow * tcp * 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
	  "21,22,23,24,25,26,27,28,29,30,31,32,33",
	    "scm.conf:1:15:", "more than 32", "two lines" },
	{ "limit * handles 3", "scm.conf:1:9:", "'handles' is no limit",
	    "sockets" },
	{ "limit * sockets 0", "scm.conf:1:17:", "no number of sockets",
	    "from 1 to 128" },
	{ "limit * sockets 129", "scm.conf:1:17:", "no number", "" },
	{ "limit * sockets 1K", "scm.conf:1:17:", "no number", "" },
	{ "limit * sockets -1", "scm.conf:1:17:", "no number", "" },
	{ "limit * buffered 63K", "scm.conf:1:18:", "no number of bytes",
	    "from 64K" },
	{ "limit * buffered 99999999999999999999999G", "scm.conf:1:18:",
	    "no number", "" },
	{ "limit * buffered 1T", "scm.conf:1:18:", "no number", "" },
	{ "limit * buffered 1Mx", "scm.conf:1:18:", "no number", "" },
	{ "limit * idle-timeout 1K", "scm.conf:1:22:", "no time", "90s" },
	{ "limit * connect-timeout 0", "scm.conf:1:25:", "no time", "1s" },
	{ "limit * connect-timeout 6m", "scm.conf:1:25:", "no time", "5m" },
	{ "dialect * 9", "scm.conf:1:11:", "'9' is no dialect", "8 or 12" },
	{ "port-order * big", "scm.conf:1:14:", "'big' is no order",
	    "network or little" },
	{ "interface * ff/ab", "scm.conf:1:13:", "no interface", "ff/42/01" },
	{ "interface * ff/ab/000", "scm.conf:1:13:", "no interface", "" },
	{ "interface * ff-ab-00", "scm.conf:1:13:", "no interface", "" },
	{ "allow \"* tcp * *", "scm.conf:1:7:", "quotation mark",
	    "add one" },
	{ "allow \001 tcp * *", "scm.conf:1:7:", "control character",
	    "plain text" },
};

START_TEST(a_fault_names_its_place_and_its_remedy)
{
	struct cause why = { "" };

	ck_assert_msg(parse(faults[_i].text, &why) == NULL, "%s",
	    faults[_i].text);
	ck_assert_msg(strncmp(why.text, faults[_i].where,
	    strlen(faults[_i].where)) == 0, "%s", why.text);
	ck_assert_msg(strstr(why.text, faults[_i].what) != NULL, "%s",
	    why.text);
	ck_assert_msg(strstr(why.text, faults[_i].remedy) != NULL, "%s",
	    why.text);
	/* Not so long that its remedy is cut. */
	ck_assert_uint_lt(strlen(why.text), sizeof why.text - 1);
}
END_TEST

/* Good lines around a bad one do not make a policy. */
START_TEST(a_policy_is_whole_or_not_at_all)
{
	struct cause why = { "" };
	char text[600];

	ck_assert_ptr_null(parse("allow * tcp * *\nallow * tcp * x\n"
				 "deny 2fe0:8b01:S tcp * *\n", &why));
	ck_assert_int_eq(strncmp(why.text, "scm.conf:2:15:", 14), 0);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	ck_assert_ptr_null(parse(text, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "255"));
	ck_assert_ptr_null(scm_policy_new("scm.conf", text,
	    SCM_POLICY_TEXT_MAX + 1, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "megabyte"));
	ck_assert_ptr_null(scm_policy_new("scm.conf", "deny\0 * * * *", 13,
	    &why));
}
END_TEST

/* ---- Buckets ------------------------------------------------------------ */

static struct moment
at_us(int64_t us)
{
	return (struct moment){ INT64_C(1000000000000) + us * 1000 };
}

START_TEST(a_bucket_gives_its_rate)
{
	struct scm_bucket b;
	int taken = 0;

	scm_bucket_init(&b, 10, at_us(0));
	for (int i = 0; i < 100; i++)
		taken += scm_bucket_take(&b, at_us(0));
	ck_assert_int_eq(taken, 10);
	ck_assert(!scm_bucket_take(&b, at_us(99999)));
	ck_assert(scm_bucket_take(&b, at_us(100000)));
	ck_assert(!scm_bucket_take(&b, at_us(100001)));
	/* Asked every microsecond or once, ten seconds give the same. */
	taken = 0;
	for (int us = 100001; us <= 10100000; us += 7)
		taken += scm_bucket_take(&b, at_us(us));
	ck_assert_int_ge(taken, 99);
	ck_assert_int_le(taken, 100);
	/* Nobody saves up more than a second. */
	taken = 0;
	for (int i = 0; i < 100; i++)
		taken += scm_bucket_take(&b, at_us(INT64_C(3600000000)));
	ck_assert_int_eq(taken, 10);
}
END_TEST

START_TEST(a_bucket_says_when_a_debt_is_paid)
{
	const struct moment start = at_us(0);
	struct scm_bucket b;

	scm_bucket_init(&b, 1000, start);
	scm_bucket_spend(&b, 1000, start);
	ck_assert(!moment_before(start, scm_bucket_ready(&b)));
	scm_bucket_spend(&b, 5500, start);
	ck_assert_int_eq(scm_bucket_ready(&b).ns, at_us(5500000).ns);
	scm_bucket_spend(&b, 0, at_us(5499000));
	ck_assert(moment_before(at_us(5499000), scm_bucket_ready(&b)));
	scm_bucket_spend(&b, 0, at_us(5500000));
	ck_assert(!moment_before(at_us(5500000), scm_bucket_ready(&b)));
}
END_TEST

START_TEST(a_bucket_can_be_without_bounds_or_huge)
{
	struct scm_bucket b;

	scm_bucket_init(&b, 0, at_us(0));
	for (int i = 0; i < 1000; i++)
		ck_assert(scm_bucket_take(&b, at_us(0)));
	scm_bucket_spend(&b, INT64_MAX / 2, at_us(0));
	ck_assert(moment_before(scm_bucket_ready(&b), at_us(0)));
	scm_bucket_set_rate(&b, INT64_MAX, at_us(0));
	ck_assert_int_eq(b.rate, SCM_RATE_MAX);
	scm_bucket_spend(&b, SCM_RATE_MAX * 3, at_us(0));
	ck_assert_int_eq(scm_bucket_ready(&b).ns, at_us(2000000).ns);
	scm_bucket_spend(&b, 1, at_us(INT64_C(999999999999)));
	ck_assert_int_eq(b.level, SCM_RATE_MAX - 1);
	scm_bucket_set_rate(&b, 5, at_us(INT64_C(999999999999)));
	ck_assert_int_eq(b.level, 5);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm policy");
	TCase *tc = tcase_create("rules");

	tcase_add_loop_test(tc, the_first_rule_that_matches_decides, 0,
	    UNIT_COUNT(judged));
	tcase_add_test(tc, an_empty_policy_denies);
	tcase_add_test(tc, an_unknown_family_is_denied);
	tcase_add_test(tc, a_verdict_says_why);
	tcase_add_test(tc, limits_have_defaults_and_are_set);
	tcase_add_test(tc, a_device_has_its_dialect);
	tcase_add_test(tc, a_device_is_known_by_its_interface);
	tcase_add_test(tc, udp_is_there_when_a_rule_has_it);
	tcase_add_test(tc, a_device_is_named_as_in_rules);
	suite_add_tcase(s, tc);
	tc = tcase_create("faults");
	tcase_add_loop_test(tc, a_fault_names_its_place_and_its_remedy, 0,
	    UNIT_COUNT(faults));
	tcase_add_test(tc, a_policy_is_whole_or_not_at_all);
	suite_add_tcase(s, tc);
	tc = tcase_create("buckets");
	tcase_add_test(tc, a_bucket_gives_its_rate);
	tcase_add_test(tc, a_bucket_says_when_a_debt_is_paid);
	tcase_add_test(tc, a_bucket_can_be_without_bounds_or_huge);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
