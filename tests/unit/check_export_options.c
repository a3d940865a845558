/* SPDX-License-Identifier: GPL-3.0-or-later */
/* usbexportd's command line, networks, and which devices are exported. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "export/options.h"
#include "unit.h"

static struct options o;
static struct cause why;

#define PARSE(...) parse((const char *const[]){ "usbexportd", __VA_ARGS__, \
	NULL })

static int
parse(const char *const *args)
{
	static const char *argv[20];
	int argc = 0;

	for (; args[argc] != NULL; argc++)
		argv[argc] = args[argc];
	argv[argc] = NULL;
	why.text[0] = '\0';
	return options_parse(&o, argc, (char **)argv, &why);
}

static const char *
address(unsigned i)
{
	static char text[SOCK_ADDR_TEXT_MAX];

	ck_assert_uint_lt(i, o.listen_count);
	return sock_addr_text(text, &o.listen[i]);
}

/* ---- Options ---- */

START_TEST(defaults)
{
	ck_assert_int_eq(parse((const char *const[]){ "usbexportd", NULL }), 0);
	ck_assert_uint_eq(o.listen_count, 1);
	ck_assert_str_eq(address(0), "127.0.0.1:3240");
	ck_assert_str_eq(o.control, "/var/run/usbexportd.control");
	ck_assert(!o.control_wanted);
}
END_TEST

START_TEST(where_to_listen)
{
	ck_assert_int_eq(PARSE("-l", "unix:/x", "-l", "-q", "--local", "-l",
	    "[::1]:7", "-l10.0.0.1", "--local=1.2.3.4:5", "--listen",
	    "h:6"), 0);
	ck_assert_uint_eq(o.listen_count, 7);
	ck_assert_str_eq(address(0), "unix:/x");
	ck_assert_str_eq(address(1), "127.0.0.1:3240");
	ck_assert_str_eq(address(2), "127.0.0.1:3240");
	ck_assert_str_eq(address(3), "[::1]:7");
	ck_assert_str_eq(address(4), "10.0.0.1:3240");
	ck_assert_str_eq(address(5), "1.2.3.4:5");
	ck_assert_str_eq(address(6), "h:6");
	ck_assert(o.quiet);
}
END_TEST

START_TEST(stdio)
{
	ck_assert_int_eq(PARSE("--stdio", "-vv"), 0);
	ck_assert(o.stdio);
	ck_assert_uint_eq(o.listen_count, 0);
	ck_assert_ptr_null(o.control);
	ck_assert_uint_eq(o.verbosity, 2);
	ck_assert_int_eq(PARSE("--control", "NONE"), 0);
	ck_assert_ptr_null(o.control);
}
END_TEST

START_TEST(help)
{
	static const char *const words[] = { "-?", "-h", "--help" };

	for (int i = 0; i < UNIT_COUNT(words); i++) {
		ck_assert_int_eq(PARSE(words[i]), 0);
		ck_assert_int_eq(o.action, OPTIONS_HELP);
	}
	ck_assert_int_eq(PARSE("--version"), 0);
	ck_assert_int_eq(o.action, OPTIONS_VERSION);
}
END_TEST

START_TEST(mistakes)
{
	static const struct { const char *a, *b, *part; } cases[] = {
		{ "--frobnicate", NULL, "'--frobnicate'" },
		{ "-vx", NULL, "'-x'" },
		{ "-d", NULL, "needs a value" },
		{ "--all=1", NULL, "takes no value" },
		{ "word", NULL, "options only" },
		{ "-l", "::1:5", "[V6]:PORT" },
		{ "-l", "h:99999", "port" },
		{ "--allow-from", "10.0.0.0/33", "no network" },
		{ "--allow-from", "10.0.0/8", "no network" },
		{ "--allow-from", "fd00::/129", "no network" },
		{ "--allow-from", "10.0.0.0/", "no network" },
		{ "-d", "05ac", "names no device" },
		{ "-d", "05ac:12345", "names no device" },
		{ "-d", "05ac:12a8:", "names no device" },
		{ "-b", "bus", "no busid" },
		{ "--deny", "100", "no class" },
		{ "--deny", "", "no class" },
		{ "--stdio", "-l", "leave out -l" },
		{ "--stdio", "--allow-from=::/0", "leave out --allow-from" } };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		ck_assert_int_eq(PARSE(cases[i].a, cases[i].b), -1);
		ck_assert_msg(strstr(why.text, cases[i].part) != NULL,
		    "%s %s: '%s' without '%s'", cases[i].a,
		    cases[i].b != NULL ? cases[i].b : "", why.text,
		    cases[i].part);
	}
}
END_TEST

/* ---- Networks ---- */

static bool
holds(const char *network, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct cidr c;

	ck_assert_msg(cidr_parse(&c, network, &why) == 0, "%s", why.text);
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return cidr_holds(&c, (struct sockaddr *)&in, sizeof in);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return cidr_holds(&c, (struct sockaddr *)&in6, sizeof in6);
}

START_TEST(networks)
{
	static const struct { const char *network, *address; bool holds; }
	cases[] = {
		{ "10.0.0.0/8", "10.255.1.2", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.1.2.3/8", "10.9.9.9", true },
		{ "192.168.1.0/25", "192.168.1.127", true },
		{ "192.168.1.0/25", "192.168.1.128", false },
		{ "1.2.3.4", "1.2.3.4", true },
		{ "1.2.3.4", "1.2.3.5", false },
		{ "0.0.0.0/0", "200.1.1.1", true },
		{ "0.0.0.0/0", "fd00::1", false },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", true },
		{ "10.0.0.0/8", "::ffff:11.1.1.1", false },
		{ "::ffff:10.0.0.0/104", "10.1.1.1", true },
		{ "::ffff:10.0.0.1", "10.0.0.1", true },
		{ "fd00::/8", "fd12::1", true },
		{ "fd00::/8", "fe12::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "1.2.3.4", false },
		{ "2001:db8::1", "2001:db8::1", true },
		{ "2001:db8::1", "2001:db8::2", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
	};
	struct sockaddr un = { .sa_family = AF_UNIX };
	struct cidr c;

	for (int i = 0; i < UNIT_COUNT(cases); i++)
		ck_assert_msg(holds(cases[i].network, cases[i].address) ==
		    cases[i].holds, "%s, %s", cases[i].network,
		    cases[i].address);
	ck_assert_int_eq(cidr_parse(&c, "0.0.0.0/0", &why), 0);
	ck_assert(!cidr_holds(&c, &un, sizeof un));
}
END_TEST

START_TEST(local_addresses)
{
	static const struct { const char *address; bool local; } cases[] = {
		{ "127.0.0.1", true }, { "127.9.9.9", true },
		{ "128.0.0.1", false }, { "0.0.0.0", false },
		{ "::1", true }, { "::", false }, { "fe80::1", false },
		{ "::ffff:127.0.0.1", true }, { "::ffff:10.0.0.1", false } };
	const struct sockaddr un = { .sa_family = AF_UNIX };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		const char *text = cases[i].address;
		struct sockaddr_in in = { .sin_family = AF_INET };
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
		const bool local =
		    inet_pton(AF_INET, text, &in.sin_addr) == 1
		    ? cidr_is_local((struct sockaddr *)&in, sizeof in)
		    : inet_pton(AF_INET6, text, &in6.sin6_addr) == 1 &&
			cidr_is_local((struct sockaddr *)&in6, sizeof in6);

		ck_assert_msg(local == cases[i].local, "%s", text);
	}
	ck_assert(cidr_is_local(&un, sizeof un));
}
END_TEST

/* ---- Policy ---- */

static enum policy_verdict
judge(bool keyboard, bool key, uint8_t class, const char *serial)
{
	struct policy_device d = { .busid = "1-4", .vendor = 0x05ac,
		.product = 0x12a8, .serial = serial, .keyboard = keyboard,
		.security_key = key };

	d.classes[class] = true;
	return policy_judge(&o.policy, &d);
}

START_TEST(without_rules_all)
{
	PARSE("-v");
	ck_assert_int_eq(judge(false, false, 0xff, ""), POLICY_EXPORT);
	ck_assert_int_eq(judge(false, false, 9, ""), POLICY_HUB);
	ck_assert_int_eq(judge(true, false, 3, ""), POLICY_KEYBOARD);
	ck_assert_int_eq(judge(false, true, 3, ""), POLICY_SECURITY_KEY);
}
END_TEST

START_TEST(rules)
{
	PARSE("-d", "1234:5678", "-b", "1-4.1");
	ck_assert_int_eq(judge(false, false, 0xff, ""), POLICY_UNNAMED);
	PARSE("-d", "1234:5678", "--all");
	ck_assert_int_eq(judge(false, false, 0xff, ""), POLICY_EXPORT);
	ck_assert_int_eq(judge(true, false, 3, ""), POLICY_KEYBOARD);
	PARSE("-d", "5ac:12A8");
	ck_assert_int_eq(judge(true, true, 3, ""), POLICY_EXPORT);
	ck_assert_int_eq(judge(true, true, 9, ""), POLICY_HUB);
	PARSE("-b", "1-4", "--deny", "0x03", "--deny", "e");
	ck_assert_int_eq(judge(true, true, 0xff, ""), POLICY_EXPORT);
	ck_assert_int_eq(judge(false, false, 3, ""), POLICY_DENIED);
	ck_assert_int_eq(judge(false, false, 14, ""), POLICY_DENIED);
}
END_TEST

START_TEST(serial_numbers)
{
	PARSE("-d", "05ac:12a8:A:B");
	ck_assert_int_eq(judge(false, false, 0xff, "A:B"), POLICY_EXPORT);
	ck_assert_int_eq(judge(false, false, 0xff, "A"), POLICY_UNNAMED);
	ck_assert_int_eq(judge(false, false, 0xff, ""), POLICY_UNNAMED);
	/* Not read yet. */
	ck_assert_int_eq(judge(false, false, 0xff, NULL), POLICY_EXPORT);
}
END_TEST

START_TEST(report_descriptors)
{
	static const uint8_t fido[] = { 0x05, 0x01, 0x06, 0xd0, 0xf1 };
	static const uint8_t wide[] = { 0x07, 0xd0, 0xf1, 0, 0 };
	static const uint8_t extended[] = { 0x0b, 1, 0, 0xd0, 0xf1 };
	static const uint8_t hidden[] = { 0x27, 0x06, 0xd0, 0xf1, 0 };
	static const uint8_t is_long[] = { 0xfe, 3, 0, 6, 0xd0, 0xf1 };

	ck_assert(policy_report_is_fido(fido, sizeof fido));
	ck_assert(policy_report_is_fido(wide, sizeof wide));
	ck_assert(policy_report_is_fido(extended, sizeof extended));
	ck_assert(!policy_report_is_fido(extended, sizeof extended - 1));
	ck_assert(!policy_report_is_fido(hidden, sizeof hidden));
	ck_assert(!policy_report_is_fido(is_long, sizeof is_long));
	for (size_t n = 0; n < sizeof fido; n++)
		ck_assert(!policy_report_is_fido(fido, n));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("export_options");
	TCase *t = tcase_create("all");

	tcase_add_test(t, defaults);
	tcase_add_test(t, where_to_listen);
	tcase_add_test(t, stdio);
	tcase_add_test(t, help);
	tcase_add_test(t, mistakes);
	tcase_add_test(t, networks);
	tcase_add_test(t, local_addresses);
	tcase_add_test(t, without_rules_all);
	tcase_add_test(t, rules);
	tcase_add_test(t, serial_numbers);
	tcase_add_test(t, report_descriptors);
	suite_add_tcase(s, t);
	return unit_run(s);
}
