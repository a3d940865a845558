/* SPDX-License-Identifier: GPL-3.0-or-later */

/* muxctl scm: what it asks muxd, and what it prints. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl_rig.h"
#include "unit.h"
#include "wire/admin.h"

/* ---- What the daemon says ----------------------------------------------- */

static void
set_bool(plist_t dict, const char *key, bool value)
{
	plist_dict_set_item(dict, key, plist_new_bool(value));
}

static plist_t
settings(bool has_file)
{
	plist_t dict = plist_new_dict();

	rig_set(dict, "Path", "/etc/muxd/scm.conf");
	set_bool(dict, "HasFile", has_file);
	rig_set_number(dict, "Rules", has_file ? 12 : 0);
	rig_set_number(dict, "Addresses", 5);
	return dict;
}

static plist_t
device(uint64_t id)
{
	plist_t dict = plist_new_dict();

	rig_set_number(dict, "ID", id);
	rig_set(dict, "Serial", "evil\033[2J\nS1");
	rig_set(dict, "Key", "1-4.2");
	rig_set(dict, "State", "ready");
	rig_set_number(dict, "VendorID", 0x2fe0);
	rig_set_number(dict, "ProductID", 0x8b01);
	rig_set_number(dict, "Dialect", 12);
	set_bool(dict, "Interrupts", true);
	rig_set_number(dict, "Sockets", 2);
	rig_set_number(dict, "Held", 2048);
	rig_set_number(dict, "RxBytes", 1048576);
	rig_set_number(dict, "TxBytes", 100);
	rig_set_number(dict, "Opened", 31);
	rig_set_number(dict, "OpenRefused", 1);
	rig_set_number(dict, "Connected", 20);
	rig_set_number(dict, "ConnectFailed", 2);
	rig_set_number(dict, "Refused", 3);
	rig_set_number(dict, "Lost", 4);
	rig_set_number(dict, "Messages", 5000);
	rig_set_number(dict, "Violations", 6);
	rig_set_number(dict, "Splits", 7);
	return dict;
}

static plist_t
a_socket(uint64_t device_id, uint64_t number, const char *address,
    uint64_t port)
{
	plist_t dict = plist_new_dict();

	rig_set_number(dict, "DeviceID", device_id);
	rig_set_number(dict, "Socket", number);
	rig_set(dict, "Protocol", "tcp");
	rig_set(dict, "State", *address != '\0' ? "connected" : "starting");
	rig_set(dict, "Address", address);
	rig_set_number(dict, "Port", port);
	rig_set_number(dict, "RxBytes", 1024);
	rig_set_number(dict, "TxBytes", 0);
	rig_set_number(dict, "Held", 10);
	rig_set_number(dict, "Outstanding", 3);
	rig_set_number(dict, "AgeMS", 61000);
	return dict;
}

static void
say_tables(void)
{
	plist_t dict = plist_new_dict(), audit = plist_new_dict(),
		devices = plist_new_array(), sockets = plist_new_array();

	rig_set_number(audit, "Allowed", 20);
	rig_set_number(audit, "AllowedSpecial", 1);
	rig_set_number(audit, "Denied", 3);
	rig_set_number(audit, "DeniedSpecial", 2);
	rig_set_number(audit, "Limited", 9);
	rig_set_number(audit, "Dropped", 8);
	plist_array_append_item(devices, device(7));
	plist_array_append_item(sockets, a_socket(9, 4, "", 0));
	plist_array_append_item(sockets, a_socket(7, 5, "2001:db8::1", 443));
	plist_array_append_item(sockets, a_socket(7, 3, "192.0.2.1", 80));
	plist_dict_set_item(dict, "Settings", settings(true));
	plist_dict_set_item(dict, "Audit", audit);
	plist_dict_set_item(dict, "Devices", devices);
	plist_dict_set_item(dict, "Sockets", sockets);
	rig_say(dict);
}

/* ---- List and stats ----------------------------------------------------- */

START_TEST(list)
{
	say_tables();
	ck_assert_int_eq(SERVED("scm", "list"), 0);
	ck_assert_str_eq(rig.request, "SCM");
	ck_assert_str_eq(rig.err, "");
	ck_assert_str_eq(rig.out,
	    "ID  VENDOR  PRODUCT  STATE  DIALECT  SOCKETS  HELD    RX   TX  "
	    "KEY    SERIAL\n"
	    " 7  2fe0    8b01     ready       12        2  2.0K  1.0M  100  "
	    "1-4.2  evil?[2J?S1\n"
	    "\n"
	    "DEVICE  SOCKET  PROTOCOL  STATE      ADDRESS      PORT    RX  "
	    "TX  HELD  OUTSTANDING    AGE\n"
	    "     7       5  tcp       connected  2001:db8::1   443  1.0K   "
	    "0    10            3  1m 1s\n"
	    "     7       3  tcp       connected  192.0.2.1      80  1.0K   "
	    "0    10            3  1m 1s\n"
	    "     9       4  tcp       starting   -               -  1.0K   "
	    "0    10            3  1m 1s\n");
}
END_TEST

START_TEST(stats)
{
	say_tables();
	ck_assert_int_eq(SERVED("scm", "stats"), 0);
	ck_assert_str_eq(rig.request, "SCM");
	ck_assert_str_eq(rig.out,
	    "RULES  ADDRESSES  FILE\n"
	    "   12          5  /etc/muxd/scm.conf\n"
	    "\n"
	    "ALLOWED  SPECIAL  DENIED  SPECIAL  LIMITED  DROPPED\n"
	    "     20        1       3        2        9        8\n"
	    "\n"
	    "ID  MESSAGES  VIOLATIONS  SPLITS  OPENED  NOTOPENED  CONNECTED  "
	    "FAILED  REFUSED  LOST  SOCKETS    RX   TX\n"
	    " 7      5000           6       7      31          1         20  "
	    "     2        3     4        2  1.0M  100\n");
}
END_TEST

START_TEST(both_are_the_same_as_json)
{
	static const char *const which[] = { "list", "stats" };

	say_tables();
	ck_assert_int_eq(SERVED("-j", "scm", which[_i]), 0);
	assert_contains(rig.out, "{\"settings\":{\"path\":"
	    "\"/etc/muxd/scm.conf\",\"hasFile\":true,\"rules\":12,");
	assert_contains(rig.out, "\"audit\":{\"allowed\":20,"
	    "\"allowedSpecial\":1,\"denied\":3,\"deniedSpecial\":2,"
	    "\"limited\":9,\"dropped\":8}");
	assert_contains(rig.out, "\"devices\":[{\"id\":7,\"serial\":"
	    "\"evil\\u001b[2J\\nS1\",");
	assert_contains(rig.out, "\"interrupts\":true,\"sockets\":2,");
	assert_contains(rig.out, "\"sockets\":[{\"deviceID\":9,\"socket\":4,");
	assert_contains(rig.out, "\"address\":\"2001:db8::1\",\"port\":443,"
	    "\"rxBytes\":1024,\"txBytes\":0,\"held\":10,\"outstanding\":3,"
	    "\"ageMS\":61000}");
}
END_TEST

START_TEST(nothing_is_no_fault)
{
	rig_say(plist_new_dict());
	ck_assert_int_eq(SERVED("scm", "list"), 0);
	assert_contains(rig.out, "SERIAL\n\nDEVICE");
}
END_TEST

START_TEST(an_older_daemon_is_told)
{
	rig_say_result(1);
	ck_assert_int_eq(SERVED("scm", "stats"), 1);
	assert_contains(rig.err, "does not know 'SCM'");
	ck_assert_str_eq(rig.out, "");
}
END_TEST

/* ---- Reload ------------------------------------------------------------- */

START_TEST(reload_is_silent)
{
	rig_say(settings(true));
	ck_assert_int_eq(SERVED("scm", "reload"), 0);
	ck_assert_str_eq(rig.request, "SCMReload");
	ck_assert_str_eq(rig.out, "");
	ck_assert_str_eq(rig.err, "");
}
END_TEST

START_TEST(reload_as_json)
{
	rig_say(settings(true));
	ck_assert_int_eq(SERVED("scm", "reload", "-j"), 0);
	ck_assert_str_eq(rig.out, "{\"path\":\"/etc/muxd/scm.conf\","
	    "\"hasFile\":true,\"rules\":12,\"addresses\":5}\n");
}
END_TEST

START_TEST(reload_of_nothing_is_told)
{
	rig_say(settings(false));
	ck_assert_int_eq(SERVED("scm", "reload"), 0);
	ck_assert_str_eq(rig.out, "/etc/muxd/scm.conf: there is no such file; "
	    "devices may connect to nothing\n");
}
END_TEST

START_TEST(a_fault_in_the_file_is_a_failure)
{
	plist_t dict = settings(true);

	rig_set(dict, "Fault", "/etc/muxd/scm.conf:3:1: 'x' is no rule");
	rig_say(dict);
	ck_assert_int_eq(SERVED("scm", "reload"), 1);
	ck_assert_str_eq(rig.err, "muxctl: /etc/muxd/scm.conf:3:1: 'x' is no "
	    "rule; what was in force stays so\n");
	ck_assert_str_eq(rig.out, "");
}
END_TEST

/* ---- Policy test, of the daemon ----------------------------------------- */

static void
say_verdict(bool allowed)
{
	plist_t dict = plist_new_dict();

	set_bool(dict, "Allowed", allowed);
	rig_set_number(dict, "Rule", 3);
	rig_set(dict, "Text", allowed ? "allowed: by x" : "denied: by x");
	rig_say(dict);
}

START_TEST(a_question_has_all_its_parts)
{
	say_verdict(true);
	ck_assert_int_eq(SERVED("scm", "policy", "test", "2fe0:8b01:A B",
	    "::ffff:10.0.0.1", "443"), 0);
	ck_assert_str_eq(rig.request, "SCMJudge");
	ck_assert_str_eq(admin_text(rig.asked, "Device"), "2fe0:8b01:A B");
	ck_assert_str_eq(admin_text(rig.asked, "Address"),
	    "::ffff:10.0.0.1");
	ck_assert_str_eq(admin_text(rig.asked, "Protocol"), "tcp");
	ck_assert_uint_eq(admin_number(rig.asked, "Port"), 443);
	ck_assert_str_eq(rig.out, "allowed: by x\n");
	ck_assert_str_eq(rig.err, "");
}
END_TEST

START_TEST(the_protocol_stands_behind_the_port)
{
	say_verdict(false);
	ck_assert_int_eq(SERVED("scm", "policy", "test", "1-4.2", "10.0.0.1",
	    "53/udp"), 3);
	ck_assert_str_eq(admin_text(rig.asked, "Device"), "1-4.2");
	ck_assert_str_eq(admin_text(rig.asked, "Protocol"), "udp");
	ck_assert_uint_eq(admin_number(rig.asked, "Port"), 53);
	ck_assert_str_eq(rig.out, "denied: by x\n");
	ck_assert_str_eq(rig.err, "");
}
END_TEST

START_TEST(a_verdict_as_json)
{
	say_verdict(false);
	ck_assert_int_eq(SERVED("scm", "policy", "test", "1-4.2", "10.0.0.1",
	    "53/tcp", "--json"), 3);
	assert_contains(rig.out, "{\"allowed\":false,\"rule\":3,");
}
END_TEST

static const struct {
	const char *args[5];
	const char *told;
} wrong[] = {
	{ { "policy", "test", "2fe0", "10.0.0.1", "80" }, "no device" },
	{ { "policy", "test", "*", "10.0.0.1", "80" }, "no device" },
	{ { "policy", "test", "1-4", "example.org", "80" }, "no address" },
	{ { "policy", "test", "1-4", "10.0.0.0/8", "80" }, "no address" },
	{ { "policy", "test", "1-4", "10.0.0.1", "65536" }, "no port" },
	{ { "policy", "test", "1-4", "10.0.0.1", "-1" }, "no port" },
	{ { "policy", "test", "1-4", "10.0.0.1", "80/sctp" }, "no port" },
	{ { "policy", "test", "1-4", "10.0.0.1", "80x" }, "no port" },
	{ { "policy", "test", "1-4", "10.0.0.1", "" }, "no port" },
	{ { "policy", "test", "1-4", "10.0.0.1" }, "write 'scm list'" },
	{ { "policy", "list" }, "write 'scm list'" },
	{ { "list", "all" }, "write 'scm list'" },
	{ { "lis" }, "write 'scm list'" },
	{ { NULL }, "write 'scm list'" },
};

START_TEST(a_wrong_command_line_is_told)
{
	const char *const *a = wrong[_i].args;

	/* Nobody serves it: it must not come so far. */
	ck_assert_int_eq(MUXCTL("scm", "--", a[0], a[1], a[2], a[3], a[4]),
	    2);
	assert_contains(rig.err, wrong[_i].told);
	ck_assert_str_eq(rig.out, "");
}
END_TEST

/* ---- Policy test, of a file --------------------------------------------- */

static char conf[64];

static void
write_conf(const char *text)
{
	FILE *f;

	snprintf(conf, sizeof conf, "%s/scm.conf", rig.dir);
	f = fopen(conf, "w");
	fputs(text, f);
	fclose(f);
}

static void
remove_conf(void)
{
	unlink(conf);
	rig_tear_down();
}

static const char rules[] = "allow 2fe0:8b01 tcp 10.0.0.0/8 443\n"
			    "allow * tcp 2002::/16 *\n"
			    "allow-special 1-4 tcp 127.0.0.1 80\n"
			    "allow * udp * 53\n"
			    "deny * * 192.0.2.0/24 *\n"
			    "allow * tcp 0.0.0.0/0 22\n";

static const struct {
	const char *device, *address, *port;
	int status;
	const char *json;
} questions[] = {
	{ "2fe0:8b01", "10.1.2.3", "443", 0,
	    "\"rule\":1,\"judged\":\"10.1.2.3\",\"special\":\"\"" },
	{ "2fe0:8b01:S", "::ffff:10.1.2.3", "443", 0,
	    "\"rule\":1,\"judged\":\"10.1.2.3\"" },
	{ "2fe0:8b02", "10.1.2.3", "443", 3, "\"rule\":0," },
	{ "1-4", "127.0.0.1", "80", 0, "\"rule\":3,\"judged\":\"127.0.0.1\","
	    "\"special\":\"loopback\"" },
	{ "1-5", "127.0.0.1", "80", 3, "\"rule\":0," },
	{ "1-5", "127.0.0.1", "22", 3, "\"rule\":6,\"judged\":\"127.0.0.1\","
	    "\"special\":\"loopback\"" },
	{ "1-5", "192.0.2.1", "22", 3, "\"rule\":5," },
	{ "1-5", "198.51.100.1", "53/udp", 0, "\"rule\":4," },
	{ "1-5", "2002:a00:1::1", "22", 0, "\"rule\":2," },
	{ "1-5", "2002:7f00:1::1", "22", 3, "\"judged\":\"127.0.0.1\","
	    "\"special\":\"loopback\",\"form\":\"6to4\"" },
	{ "1-5", "10.0.0.1", "0", 3, "\"rule\":0," },
};

START_TEST(a_file_is_asked_without_a_daemon)
{
	write_conf(rules);
	ck_assert_int_eq(MUXCTL("-j", "scm", "policy", "test", "-f", conf,
	    questions[_i].device, questions[_i].address, questions[_i].port),
	    questions[_i].status);
	assert_contains(rig.out, questions[_i].status == 0
	    ? "{\"allowed\":true," : "{\"allowed\":false,");
	assert_contains(rig.out, questions[_i].json);
	ck_assert_str_eq(rig.err, "");
}
END_TEST

START_TEST(the_answer_in_words_names_file_and_line)
{
	char wanted[128];

	write_conf(rules);
	ck_assert_int_eq(MUXCTL("--file", conf, "scm", "policy", "test",
	    "2fe0:8b01", "10.1.2.3", "443"), 0);
	snprintf(wanted, sizeof wanted, "allowed: by %s, line 1\n", conf);
	ck_assert_str_eq(rig.out, wanted);
}
END_TEST

START_TEST(a_fault_in_the_asked_file_is_no_verdict)
{
	write_conf("allow * tcp * 80\nallow\n");
	ck_assert_int_eq(MUXCTL("-f", conf, "scm", "policy", "test", "1-4",
	    "10.0.0.1", "80"), 1);
	assert_contains(rig.err, "scm.conf:2:");
	ck_assert_str_eq(rig.out, "");
	unlink(conf);
	ck_assert_int_eq(MUXCTL("-f", conf, "scm", "policy", "test", "1-4",
	    "10.0.0.1", "80"), 1);
	assert_contains(rig.err, "No such file");
}
END_TEST

START_TEST(a_file_is_for_nothing_else)
{
	ck_assert_int_eq(MUXCTL("-f", "x", "scm", "reload"), 2);
	assert_contains(rig.err, "--file is for");
	ck_assert_int_eq(MUXCTL("-f", "x", "list"), 2);
	assert_contains(rig.err, "'list' takes no --file");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl/scm");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, rig_set_up, remove_conf);
	tcase_add_test(t, list);
	tcase_add_test(t, stats);
	tcase_add_loop_test(t, both_are_the_same_as_json, 0, 2);
	tcase_add_test(t, nothing_is_no_fault);
	tcase_add_test(t, an_older_daemon_is_told);
	tcase_add_test(t, reload_is_silent);
	tcase_add_test(t, reload_as_json);
	tcase_add_test(t, reload_of_nothing_is_told);
	tcase_add_test(t, a_fault_in_the_file_is_a_failure);
	tcase_add_test(t, a_question_has_all_its_parts);
	tcase_add_test(t, the_protocol_stands_behind_the_port);
	tcase_add_test(t, a_verdict_as_json);
	tcase_add_loop_test(t, a_wrong_command_line_is_told, 0,
	    UNIT_COUNT(wrong));
	tcase_add_loop_test(t, a_file_is_asked_without_a_daemon, 0,
	    UNIT_COUNT(questions));
	tcase_add_test(t, the_answer_in_words_names_file_and_line);
	tcase_add_test(t, a_fault_in_the_asked_file_is_no_verdict);
	tcase_add_test(t, a_file_is_for_nothing_else);
	suite_add_tcase(s, t);
	return unit_run(s);
}
