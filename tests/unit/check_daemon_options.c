/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"
#include "unit.h"

#define WORDS_MAX 160

static struct options o;
static struct cause why;

/* Splits `line` at blanks; "_" stands for an empty word. */
static int
parse(const char *line)
{
	static char copy[2048], program[] = "muxd", none[] = "";
	static char *argv[WORDS_MAX + 1];
	int argc = 0;

	snprintf(copy, sizeof copy, "%s", line);
	argv[argc++] = program;
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = strcmp(w, "_") == 0 ? none : w;
	argv[argc] = NULL;
	memset(&o, 0xff, sizeof o);
	why.text[0] = '\0';
	optind = 0; /* from the beginning again */
	return options_parse(&o, argc, argv, &why);
}

static void
assert_parses(const char *line)
{
	HOLDS(parse(line) == 0, "'%s': %s", line, why.text);
}

START_TEST(without_options_all_is_as_usbmuxd_has_it)
{
	unsetenv("USBMUXD_DEFAULT_DEVICE_MODE");
	assert_parses("");
	ck_assert_int_eq(o.action, OPTIONS_RUN);
	ck_assert(!o.foreground && !o.no_hotplug && !o.exit_if_idle);
	ck_assert(!o.no_preflight && !o.no_usb);
	ck_assert_int_eq(o.verbosity, 0);
	ck_assert_ptr_null(o.user);
	ck_assert_ptr_null(o.logfile);
	ck_assert_uint_eq(o.socket_count, 1);
	ck_assert_str_eq(o.sockets[0], "/var/run/usbmuxd");
	ck_assert_str_eq(o.pidfile, "/var/run/usbmuxd.pid");
	ck_assert_str_eq(o.config_dir, "/var/lib/lockdown");
	ck_assert_ptr_nonnull(o.control);
	ck_assert_uint_eq(o.usbip_count, 0);
	ck_assert_int_eq(o.wanted_mode, 1);
	ck_assert_ptr_nonnull(strstr(o.scm_conf, "/muxd/scm.conf"));
	ck_assert(!o.scm_conf_named);
	ck_assert_ptr_null(o.scm_audit);
}
END_TEST

static const struct {
	const char *short_form, *long_form;
	enum options_action action;
} actions[] = {
	{ "-h", "--help", OPTIONS_HELP },
	{ "-V", "--version", OPTIONS_VERSION },
	{ "-x", "--exit", OPTIONS_ASK_EXIT },
	{ "-X", "--force-exit", OPTIONS_FORCE_EXIT },
	{ "-f", "--foreground", OPTIONS_RUN },
};

START_TEST(some_options_ask_for_something_else)
{
	assert_parses(actions[_i].short_form);
	ck_assert_int_eq(o.action, actions[_i].action);
	assert_parses(actions[_i].long_form);
	ck_assert_int_eq(o.action, actions[_i].action);
}
END_TEST

static const struct {
	const char *line;
	bool foreground, no_hotplug, exit_if_idle, no_preflight, no_usb;
	int verbosity;
} switches[] = {
	{ "-f", .foreground = true },
	{ "--foreground", .foreground = true },
	{ "-n", .no_hotplug = true },
	{ "--disable-hotplug", .no_hotplug = true },
	{ "-z", .exit_if_idle = true },
	{ "--enable-exit", .exit_if_idle = true },
	{ "-p", .no_preflight = true },
	{ "--no-preflight", .no_preflight = true },
	{ "-u", .no_hotplug = true, .exit_if_idle = true },
	{ "--udev", .no_hotplug = true, .exit_if_idle = true },
	{ "-s", .foreground = true, .exit_if_idle = true },
	{ "--systemd", .foreground = true, .exit_if_idle = true },
	{ "-v", .verbosity = 1 },
	{ "-vv --verbose -v", .verbosity = 4 },
	{ "-fvnzp", .foreground = true, .verbosity = 1, .no_hotplug = true,
	    .exit_if_idle = true, .no_preflight = true },
	{ "--no-usb --usbip h", .no_usb = true },
	{ "--fore", .foreground = true }, /* as much as is clear */
	{ "-f --", .foreground = true },
};

START_TEST(switches_switch_what_they_say)
{
	assert_parses(switches[_i].line);
	ck_assert_int_eq(o.action, OPTIONS_RUN);
	ck_assert_int_eq(o.foreground, switches[_i].foreground);
	ck_assert_int_eq(o.no_hotplug, switches[_i].no_hotplug);
	ck_assert_int_eq(o.exit_if_idle, switches[_i].exit_if_idle);
	ck_assert_int_eq(o.no_preflight, switches[_i].no_preflight);
	ck_assert_int_eq(o.no_usb, switches[_i].no_usb);
	ck_assert_int_eq(o.verbosity, switches[_i].verbosity);
}
END_TEST

START_TEST(options_with_values_take_them)
{
	static const char *const lines[] = {
		"-U me -C dir -P pid -l log --control ctl",
		"--user me --config-dir dir --pidfile pid --logfile log "
		"--control=ctl",
		"-Ume -Cdir -Ppid -llog --control ctl",
		"--user=me --config-dir=dir --pidfile=pid --logfile=log "
		"--control ctl",
		/* The last one counts. */
		"-U x -U me -C x -C dir -P NONE -P pid -l x -l log "
		"--control NONE --control ctl",
	};

	assert_parses(lines[_i]);
	ck_assert_str_eq(o.user, "me");
	ck_assert_str_eq(o.config_dir, "dir");
	ck_assert_str_eq(o.pidfile, "pid");
	ck_assert_str_eq(o.logfile, "log");
	ck_assert_str_eq(o.control, "ctl");
}
END_TEST

START_TEST(the_idle_time_is_in_seconds)
{
	assert_parses("");
	ck_assert_uint_eq(o.idle_ms, 10000);
	assert_parses("--idle-time 0.25");
	ck_assert_uint_eq(o.idle_ms, 250);
	assert_parses("--idle-time=86400");
	ck_assert_uint_eq(o.idle_ms, 86400000);
	assert_parses("--idle-time 0");
	ck_assert_uint_eq(o.idle_ms, 0);
}
END_TEST

START_TEST(devices_sockets_have_files_of_their_own)
{
	assert_parses("--scm-conf conf --scm-audit=audit");
	ck_assert_str_eq(o.scm_conf, "conf");
	ck_assert(o.scm_conf_named);
	ck_assert_str_eq(o.scm_audit, "audit");
	assert_parses("--scm-audit x --scm-audit NONE");
	ck_assert_ptr_null(o.scm_audit);
}
END_TEST

START_TEST(none_is_none_and_none_other)
{
	assert_parses("-P NONE --control NONE");
	ck_assert_ptr_null(o.pidfile);
	ck_assert_ptr_null(o.control);
	assert_parses("-P none --control NONES");
	ck_assert_str_eq(o.pidfile, "none");
	ck_assert_str_eq(o.control, "NONES");
}
END_TEST

/* `option` repeated `n` times, with the values 0, 1, ... */
static const char *
repeated(const char *option, int n)
{
	static char line[2048];
	size_t at = 0;

	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(line + at, sizeof line - at, "%s %d ",
		    option, i);
	return line;
}

START_TEST(sockets_and_servers_add_up_to_their_bounds)
{
	assert_parses(repeated("-S", OPTIONS_SOCKETS_MAX));
	ck_assert_uint_eq(o.socket_count, OPTIONS_SOCKETS_MAX);
	ck_assert_str_eq(o.sockets[0], "0");
	ck_assert_str_eq(o.sockets[OPTIONS_SOCKETS_MAX - 1], "15");
	assert_parses(repeated("--usbip", OPTIONS_SERVERS_MAX));
	ck_assert_uint_eq(o.usbip_count, OPTIONS_SERVERS_MAX);
	ck_assert_str_eq(o.usbip[OPTIONS_SERVERS_MAX - 1], "63");
	ck_assert_int_eq(parse(repeated("-S", OPTIONS_SOCKETS_MAX + 1)), -1);
	ck_assert_str_eq(why.text, "--socket may be given 16 times at most");
	ck_assert_int_eq(parse(repeated("--usbip", OPTIONS_SERVERS_MAX + 1)),
	    -1);
	ck_assert_str_eq(why.text, "--usbip may be given 64 times at most");
}
END_TEST

static const struct {
	const char *line, *sentence;
} bad[] = {
	{ "-Q", "unknown option '-Q'; see muxd --help" },
	{ "-vQ", "unknown option '-Q'; see muxd --help" },
	{ "-Qv", "unknown option '-Q'; see muxd --help" },
	{ "--socket=x -Qv", "unknown option '-Q'; see muxd --help" },
	{ "-:", "unknown option '-:'; see muxd --help" },
	{ "-?", "unknown option '-?'; see muxd --help" },
	{ "--nope", "unknown option '--nope'; see muxd --help" },
	{ "-v --nope=1 -v", "unknown option '--nope=1'; see muxd --help" },
	{ "--no", "unknown option '--no'; see muxd --help" }, /* which? */
	{ "--foreground=yes",
	    "option '--foreground=yes' takes no value; see muxd --help" },
	{ "--no-usb=", "option '--no-usb=' takes no value; see muxd --help" },
	{ "-S", "option '-S' needs a value; see muxd --help" },
	{ "-vS", "option '-S' needs a value; see muxd --help" },
	{ "--socket", "option '--socket' needs a value; see muxd --help" },
	{ "-v --usbip", "option '--usbip' needs a value; see muxd --help" },
	{ "-U", "option '-U' needs a value; see muxd --help" },
	{ "-C", "option '-C' needs a value; see muxd --help" },
	{ "-P", "option '-P' needs a value; see muxd --help" },
	{ "-l", "option '-l' needs a value; see muxd --help" },
	{ "--control", "option '--control' needs a value; see muxd --help" },
	{ "--idle-time x", "--idle-time 'x' is no number of seconds up to "
	    "86400" },
	{ "--idle-time 1s", "--idle-time '1s' is no number of seconds up to "
	    "86400" },
	{ "--idle-time -1", "--idle-time '-1' is no number of seconds up to "
	    "86400" },
	{ "--idle-time nan", "--idle-time 'nan' is no number of seconds up to "
	    "86400" },
	{ "--idle-time 86401", "--idle-time '86401' is no number of seconds up "
	    "to 86400" },
	{ "start", "'start' is no option; see muxd --help" },
	{ "-f start -v", "'start' is no option; see muxd --help" },
	{ "-- -f", "'-f' is no option; see muxd --help" },
	{ "_", "'' is no option; see muxd --help" },
	{ "--no-usb", "--no-usb leaves no source of phones; name one with "
	    "--usbip HOST[:PORT]" },
};

START_TEST(what_is_no_command_line_gets_a_sentence)
{
	ck_assert_int_eq(parse(bad[_i].line), -1);
	ck_assert_str_eq(why.text, bad[_i].sentence);
}
END_TEST

START_TEST(asking_the_other_daemon_needs_no_phones)
{
	assert_parses("--no-usb -X");
	ck_assert_int_eq(o.action, OPTIONS_FORCE_EXIT);
	assert_parses("--no-usb --help");
	ck_assert_int_eq(o.action, OPTIONS_HELP);
}
END_TEST

START_TEST(the_mode_comes_from_the_environment)
{
	static const char *const refused[] = { "0", "6", "11", "1 ", " 1", "x",
		"-1", "5x" };

	for (int mode = 1; mode <= 5; mode++) {
		char text[2] = { (char)('0' + mode), '\0' };

		setenv("USBMUXD_DEFAULT_DEVICE_MODE", text, 1);
		assert_parses("");
		ck_assert_int_eq(o.wanted_mode, mode);
	}
	setenv("USBMUXD_DEFAULT_DEVICE_MODE", "", 1);
	assert_parses("");
	ck_assert_int_eq(o.wanted_mode, 1);
	for (int i = 0; i < UNIT_COUNT(refused); i++) {
		char sentence[256];

		setenv("USBMUXD_DEFAULT_DEVICE_MODE", refused[i], 1);
		ck_assert_int_eq(parse(""), -1);
		snprintf(sentence, sizeof sentence,
		    "USBMUXD_DEFAULT_DEVICE_MODE is '%s'; it must be 1, 2, 3, 4 "
		    "or 5", refused[i]);
		ck_assert_str_eq(why.text, sentence);
	}
}
END_TEST

/* Every option that is taken is in what --help prints. */
START_TEST(the_help_names_every_option)
{
	static const char *const names[] = { "-f, --foreground", "-v, --verbose",
		"-l, --logfile", "-U, --user", "-S, --socket", "--control",
		"-P, --pidfile", "-C, --config-dir", "--usbip", "--no-usb",
		"--idle-time",
		"-n, --disable-hotplug", "-z, --enable-exit",
		"-p, --no-preflight", "-u, --udev", "-s, --systemd",
		"-x, --exit", "-X, --force-exit", "-h, --help",
		"-V, --version" };

	for (int i = 0; i < UNIT_COUNT(names); i++)
		HOLDS(strstr(options_usage, names[i]) != NULL, "no '%s'",
		    names[i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/options");
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, without_options_all_is_as_usbmuxd_has_it);
	tcase_add_loop_test(tc, some_options_ask_for_something_else, 0,
	    UNIT_COUNT(actions));
	tcase_add_loop_test(tc, switches_switch_what_they_say, 0,
	    UNIT_COUNT(switches));
	tcase_add_loop_test(tc, options_with_values_take_them, 0, 5);
	tcase_add_test(tc, the_idle_time_is_in_seconds);
	tcase_add_test(tc, devices_sockets_have_files_of_their_own);
	tcase_add_test(tc, none_is_none_and_none_other);
	tcase_add_test(tc, sockets_and_servers_add_up_to_their_bounds);
	tcase_add_loop_test(tc, what_is_no_command_line_gets_a_sentence, 0,
	    UNIT_COUNT(bad));
	tcase_add_test(tc, asking_the_other_daemon_needs_no_phones);
	tcase_add_test(tc, the_mode_comes_from_the_environment);
	tcase_add_test(tc, the_help_names_every_option);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
