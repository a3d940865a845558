/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The account of devices' sockets: lines, whatever devices call themselves, and
 * what bounds them. */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/logger.h"
#include "daemon/scm_audit.h"
#include "unit.h"

static const struct scm_identity plain = { 0x2fe0, 0x8b01, "S1", "1-4.2" };

static char dir[] = "/tmp/check_daemon_audit.XXXXXX";
static char path[64], old[64], log_path[64];
static struct scm_settings *settings;
static struct scm_audit audit;
static struct cause why;
static char *text; /* of a file that was read */

/* ---- The daemon around it ----------------------------------------------- */

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/audit", dir);
	snprintf(old, sizeof old, "%s/audit.1", dir);
	snprintf(log_path, sizeof log_path, "%s/log", dir);
	settings = scm_settings_empty("/etc/muxd/scm.conf");
	ck_assert_ptr_nonnull(settings);
}

static void
teardown(void)
{
	scm_settings_put(settings);
	free(text);
	unlink(path);
	unlink(old);
	unlink(log_path);
	rmdir(dir);
}

/* A logger, and an account in that file of so many bytes at most. */
static void
start(const char *file, uint64_t most) ROLE_UNCHECKED
{
	ck_assert_msg(scm_audit_start(file, most, &why) == 0, "%s", why.text);
	ck_assert_msg(logger_start(LOGGER_FILE, log_path, &why) == 0, "%s",
	    why.text);
}

/* Everything is written then. */
static void
stop(void) ROLE_UNCHECKED
{
	logger_stop();
	scm_audit_stop();
}

static void
hang_up(void) ROLE_UNCHECKED
{
	logger_reopen();
}

static const char *
read_file(const char *name)
{
	const int fd = open(name, O_RDONLY);
	struct stat st;

	free(text);
	text = NULL;
	ck_assert_msg(fd >= 0, "%s", name);
	ck_assert_int_eq(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_int_eq(read(fd, text, (size_t)st.st_size), st.st_size);
	close(fd);
	return text;
}

static size_t
lines_of(const char *all)
{
	size_t n = 0;

	for (; (all = strchr(all, '\n')) != NULL; all++)
		n++;
	return n;
}

/* The account's only line, without its time. */
static const char *
only_line(void)
{
	char *all = (char *)read_file(path);

	ck_assert_uint_eq(lines_of(all), 1);
	all[strlen(all) - 1] = '\0';
	/* 2026-11-21T22:07:01.123Z */
	HOLDS(strlen(all) > 25 && all[4] == '-' && all[10] == 'T' &&
	    all[19] == '.' && all[23] == 'Z' && all[24] == ' ', "%s", all);
	return all + 25;
}

/* ---- What it is told ---------------------------------------------------- */

static void
begin(const struct scm_identity *who, uint32_t connects)
{
	const struct scm_limits limits = { .connects = connects };

	scm_audit_init(&audit, 7, who, &limits);
}

static struct scm_address
to(const char *address, uint16_t port)
{
	struct scm_ip ip;

	ck_assert_int_eq(scm_ip_parse(&ip, address, &why), 0);
	return scm_address_to(&ip, port);
}

static void
tell(const struct scm_verdict *v)
{
	const struct scm_address a = to("192.0.2.1", 80);

	scm_audit_connect(&audit, settings, 3, SCM_TCP, &a, v);
}

#define DOC { true, { 192, 0, 2, 1 } }
#define LOCAL { true, { 127, 0, 0, 1 } }
#define HEAD " device=7 socket=3 protocol=tcp address=192.0.2.1 port=80 "
#define TAIL " usb=2fe0:8b01 place=1-4.2 serial=S1"

static const struct {
	struct scm_verdict verdict;
	const char *line;
} verdicts[] = {
	{ { .allowed = true, .reason = SCM_BY_RULE, .line = 12, .ip = DOC },
	    "allow" HEAD "judged=192.0.2.1 why=rule special=- form=- "
	    "rule=/etc/muxd/scm.conf:12" TAIL },
	{ { .allowed = true, .reason = SCM_BY_RULE, .line = 2, .ip = LOCAL,
	      .special = SCM_LOOPBACK },
	    "allow-special" HEAD "judged=127.0.0.1 why=rule special=loopback "
	    "form=- rule=/etc/muxd/scm.conf:2" TAIL },
	{ { .reason = SCM_BY_RULE, .line = 1, .ip = DOC },
	    "deny" HEAD "judged=192.0.2.1 why=rule special=- form=- "
	    "rule=/etc/muxd/scm.conf:1" TAIL },
	{ { .reason = SCM_NO_RULE, .ip = DOC },
	    "deny" HEAD "judged=192.0.2.1 why=no-rule special=- form=- "
	    "rule=-" TAIL },
	{ { .reason = SCM_NO_SPECIAL, .line = 9, .ip = LOCAL,
	      .special = SCM_METADATA, .form = "6to4" },
	    "deny-special" HEAD "judged=127.0.0.1 why=special "
	    "special=cloud\\x20metadata form=6to4 "
	    "rule=/etc/muxd/scm.conf:9" TAIL },
	{ { .reason = SCM_NO_PORT, .ip = DOC },
	    "deny" HEAD "judged=192.0.2.1 why=no-port special=- form=- "
	    "rule=-" TAIL },
	{ { .reason = SCM_NO_FAMILY, .ip = DOC },
	    "deny" HEAD "judged=192.0.2.1 why=no-family special=- form=- "
	    "rule=-" TAIL },
	{ { .reason = SCM_TOO_MANY, .line = 12, .ip = DOC },
	    "limit" HEAD "judged=192.0.2.1 why=connects-per-second special=- "
	    "form=- rule=/etc/muxd/scm.conf:12" TAIL },
};

START_TEST(each_decision_is_a_line)
{
	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	tell(&verdicts[_i].verdict);
	stop();
	ck_assert_str_eq(only_line(), verdicts[_i].line);
}
END_TEST

START_TEST(decisions_are_counted)
{
	struct scm_audit_totals n;

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	for (int i = 0; i < UNIT_COUNT(verdicts); i++)
		tell(&verdicts[i].verdict);
	stop();
	n = scm_audit_totals();
	ck_assert_uint_eq(n.allowed, 2);
	ck_assert_uint_eq(n.allowed_special, 1);
	ck_assert_uint_eq(n.denied, 5);
	ck_assert_uint_eq(n.denied_special, 1);
	ck_assert_uint_eq(n.limited, 1);
	ck_assert_uint_eq(n.dropped, 0);
	ck_assert_uint_eq(lines_of(read_file(path)), UNIT_COUNT(verdicts));
}
END_TEST

static const struct {
	struct scm_address address;
	const char *fields;
} given[] = {
	{ { .family = SCM_INET6, .port = 443,
	      .ip = { [10] = 0xff, 0xff, 10, 0, 0, 1 } },
	    " address=::ffff:10.0.0.1 port=443 judged=10.0.0.1 " },
	{ { .family = SCM_INET6, .port = 1, .scope = 2,
	      .ip = { 0xfe, 0x80, [15] = 1 } },
	    " address=fe80::1%2 port=1 judged=fe80::1 " },
	{ { .family = SCM_INET, .port = 65535, .ip = { 1, 2, 3, 4, 5 } },
	    " address=1.2.3.4 port=65535 judged=1.2.3.4 " },
	{ { .family = 1, .port = 9 }, " address=- port=9 judged=:: " },
};

START_TEST(the_address_is_told_as_given_and_as_judged)
{
	const struct scm_verdict v = { .reason = SCM_NO_RULE,
		.ip = scm_ip_of(&given[_i].address) };

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	scm_audit_connect(&audit, settings, 3, SCM_UDP, &given[_i].address,
	    &v);
	stop();
	ck_assert_msg(strstr(only_line(), given[_i].fields) != NULL, "%s",
	    text);
	ck_assert_ptr_nonnull(strstr(text, " protocol=udp "));
}
END_TEST

static const struct {
	struct scm_message open;
	int32_t code;
	const char *line;
} opens[] = {
	{ { .op = SCM_OPEN, .sock = 5, .protocol = 6 }, SCM_EMFILE,
	    "limit device=7 socket=5 protocol=tcp why=sockets code=-24" TAIL },
	{ { .op = SCM_OPEN, .sock = 5, .protocol = 17 }, SCM_EPROTONOSUPPORT,
	    "deny device=7 socket=5 protocol=udp why=open code=-93" TAIL },
	{ { .op = SCM_OPEN, .sock = 4294967295, .protocol = 132 },
	    SCM_EPROTONOSUPPORT,
	    "deny device=7 socket=4294967295 protocol=132 why=open "
	    "code=-93" TAIL },
	{ { .op = SCM_OPEN, .sock = 5 }, SCM_ENOBUFS,
	    "deny device=7 socket=5 protocol=tcp why=open code=-105" TAIL },
};

START_TEST(a_socket_that_is_not_opened_is_a_line)
{
	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	scm_audit_open(&audit, &opens[_i].open, opens[_i].code);
	stop();
	ck_assert_str_eq(only_line(), opens[_i].line);
}
END_TEST

START_TEST(the_end_of_a_socket_is_a_line)
{
	const struct scm_address a = to("2001:db8::1", 443);

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	scm_audit_end(&audit, 9, SCM_TCP, &a, 10, UINT64_MAX, NULL);
	scm_audit_end(&audit, 9, SCM_TCP, &a, 0, 0, "was silent too long");
	stop();
	read_file(path);
	ck_assert_ptr_nonnull(strstr(text,
	    "Z end device=7 socket=9 protocol=tcp address=2001:db8::1 "
	    "port=443 from-device=10 to-device=18446744073709551615 "
	    "fault=-" TAIL "\n"));
	ck_assert_ptr_nonnull(strstr(text,
	    " fault=was\\x20silent\\x20too\\x20long" TAIL "\n"));
	ck_assert_uint_eq(scm_audit_totals().allowed, 0);
}
END_TEST

/* ---- Strangers' texts --------------------------------------------------- */

static const struct {
	const char *serial, *told;
} serials[] = {
	{ "", "-" },
	{ "A B", "A\\x20B" },
	{ "a\nallow device=1", "a\\x0aallow\\x20device\\x3d1" },
	{ "\033[2J\x07", "\\x1b[2J\\x07" },
	{ "\"\\", "\\x22\\x5c" },
	{ "\xc3\xa9\xff", "\\xc3\\xa9\\xff" },
	{ "%s%n", "%s%n" },
};

START_TEST(a_serial_number_ends_neither_field_nor_line)
{
	const struct scm_identity who = { 1, 2, serials[_i].serial, "1-1" };
	char tail[128];
	const char *line;

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&who, 100);
	tell(&verdicts[0].verdict);
	stop();
	line = only_line();
	snprintf(tail, sizeof tail, " usb=0001:0002 place=1-1 serial=%s",
	    serials[_i].told);
	ck_assert_uint_gt(strlen(line), strlen(tail));
	ck_assert_str_eq(line + strlen(line) - strlen(tail), tail);
}
END_TEST

START_TEST(the_longest_line_fits)
{
	struct scm_identity who = { 1, 2, NULL, NULL };
	char serial[2000], place[2000], conf[2000];
	const char *line;

	memset(serial, '\n', sizeof serial - 1);
	memset(place, '\t', sizeof place - 1);
	memset(conf, '=', sizeof conf - 1);
	serial[1999] = place[1999] = conf[1999] = '\0';
	who.serial = serial;
	who.busid = place;
	scm_settings_put(settings);
	settings = scm_settings_empty(conf);
	start(path, SCM_AUDIT_FILE_MAX);
	begin(&who, 100);
	tell(&verdicts[4].verdict);
	stop();
	line = only_line();
	ck_assert_uint_lt(strlen(text), SCM_AUDIT_LINE_MAX);
	ck_assert_uint_gt(strlen(text), SCM_AUDIT_LINE_MAX - 8);
	ck_assert_ptr_nonnull(strstr(line, " place=\\x09"));
}
END_TEST

/* ---- Bounds ------------------------------------------------------------- */

START_TEST(a_device_has_so_many_lines_a_second)
{
	struct scm_audit_totals n;
	const struct moment first = clock_now();
	const char *left_out;
	uint64_t told = 0;

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 1);
	for (int i = 0; i < 1000; i++)
		tell(&verdicts[3].verdict);
	/* The next second has a line again, and says what it lacks. */
	while (moment_ms_between(first, clock_now()) < 1050)
		poll(NULL, 0, 1);
	tell(&verdicts[3].verdict);
	stop();
	n = scm_audit_totals();
	ck_assert_uint_eq(n.denied, 1001);
	read_file(path);
	ck_assert_uint_eq(lines_of(text) + n.dropped, 1001);
	ck_assert_uint_ge(n.dropped, 1);
	for (left_out = text;
	     (left_out = strstr(left_out, " left-out=")) != NULL; left_out++)
		told += strtoull(left_out + 10, NULL, 10);
	ck_assert_uint_eq(told, n.dropped);
}
END_TEST

START_TEST(more_connections_are_more_lines)
{
	const struct scm_limits few = { .connects = 1 };

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 500);
	for (int i = 0; i < 1000; i++)
		tell(&verdicts[0].verdict);
	ck_assert_uint_eq(scm_audit_totals().dropped, 0);
	begin(&plain, 0);
	for (int i = 0; i < 1000; i++)
		tell(&verdicts[0].verdict);
	ck_assert_uint_eq(scm_audit_totals().dropped, 0);
	scm_audit_set_limits(&audit, &few);
	tell(&verdicts[0].verdict);
	stop();
	ck_assert_uint_ge(lines_of(read_file(path)), 2000);
}
END_TEST

START_TEST(a_full_file_is_kept_as_the_one_before)
{
	start(path, 1000);
	begin(&plain, 100);
	for (int i = 0; i < 20; i++)
		tell(&verdicts[0].verdict);
	stop();
	ck_assert_uint_le(strlen(read_file(path)), 1000);
	ck_assert_uint_gt(lines_of(text), 0);
	ck_assert_uint_le(strlen(read_file(old)), 1000);
	ck_assert_uint_gt(lines_of(text), 0);
	ck_assert_uint_eq(scm_audit_totals().dropped, 0);
}
END_TEST

START_TEST(what_is_there_counts_for_the_bound)
{
	FILE *f = fopen(path, "w");

	for (int i = 0; i < 100; i++)
		fputs("of yesterday\n", f);
	fclose(f);
	start(path, 1300);
	begin(&plain, 100);
	tell(&verdicts[0].verdict);
	stop();
	only_line();
	ck_assert_uint_eq(lines_of(read_file(old)), 100);
}
END_TEST

/* What the logger says of them goes to its own file only while it runs. */
static void
await_dropped(uint64_t n)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (scm_audit_totals().dropped < n) {
		HOLDS(moment_before(clock_now(), until), "not dropped");
		poll(NULL, 0, 1);
	}
}

START_TEST(a_file_that_cannot_be_renamed_grows_no_more)
{
	/* Nothing takes the place of a directory. */
	ck_assert_int_eq(mkdir(old, 0700), 0);
	start(path, 1000);
	begin(&plain, 100);
	for (int i = 0; i < 20; i++)
		tell(&verdicts[0].verdict);
	await_dropped(1);
	stop();
	ck_assert_uint_le(strlen(read_file(path)), 1000);
	ck_assert_uint_eq(lines_of(text) + scm_audit_totals().dropped, 20);
	ck_assert_ptr_nonnull(strstr(read_file(log_path),
	    "/audit is full, and cannot be renamed: Is a directory; "));
	ck_assert_uint_eq(lines_of(text), 1);
	rmdir(old);
}
END_TEST

START_TEST(a_full_disk_is_told_once_and_counted)
{
	start("/dev/full", SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	for (int i = 0; i < 5; i++)
		tell(&verdicts[0].verdict);
	await_dropped(5);
	stop();
	ck_assert_uint_eq(scm_audit_totals().dropped, 5);
	ck_assert_ptr_nonnull(strstr(read_file(log_path),
	    "/dev/full cannot be written: No space left"));
	ck_assert_uint_eq(lines_of(text), 1);
}
END_TEST

/* ---- Files -------------------------------------------------------------- */

START_TEST(a_file_that_was_moved_is_begun_anew)
{
	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 100);
	tell(&verdicts[0].verdict);
	ck_assert_int_eq(rename(path, old), 0);
	hang_up();
	tell(&verdicts[3].verdict);
	stop();
	ck_assert_uint_eq(strncmp(only_line(), "deny ", 5), 0);
	ck_assert_uint_eq(lines_of(read_file(old)), 1);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_told_at_the_start) ROLE_UNCHECKED
{
	ck_assert_int_eq(scm_audit_start(dir, 1000, &why), -1);
	ck_assert_ptr_nonnull(strstr(why.text, dir));
	ck_assert_ptr_nonnull(strstr(why.text, "Is a directory"));
}
END_TEST

START_TEST(without_a_file_it_is_in_the_log_as_information)
{
	log_set_level(LOG_LEVEL_INFO);
	start(NULL, 0);
	begin(&plain, 100);
	tell(&verdicts[0].verdict);
	log_set_level(LOG_LEVEL_NOTICE);
	tell(&verdicts[0].verdict);
	stop();
	ck_assert_uint_eq(lines_of(read_file(log_path)), 1);
	ck_assert_ptr_nonnull(strstr(text, "info: scm: allow" HEAD));
	ck_assert_ptr_nonnull(strstr(text, TAIL "\n"));
	ck_assert_uint_eq(scm_audit_totals().allowed, 2);
	ck_assert_uint_eq(scm_audit_totals().dropped, 0);
}
END_TEST

/* ---- Threads ------------------------------------------------------------ */

static void *
tell_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		tell(&verdicts[0].verdict);
	return NULL;
}

START_TEST(all_threads_write_whole_lines)
{
	pthread_t threads[4];
	size_t n = 0;

	start(path, SCM_AUDIT_FILE_MAX);
	begin(&plain, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, tell_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	stop();
	read_file(path);
	for (char *line = strtok(text, "\n"); line != NULL;
	     line = strtok(NULL, "\n"), n++)
		HOLDS(strlen(line) > strlen(TAIL) &&
		    strcmp(line + strlen(line) - strlen(TAIL), TAIL) == 0,
		    "%s", line);
	ck_assert_uint_eq(n + scm_audit_totals().dropped, 4000);
	ck_assert_uint_eq(scm_audit_totals().allowed, 4000);
}
END_TEST

static Suite *
suite(void)
{
	Suite *s = suite_create("daemon/audit");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 2.0 * UNIT_PATIENCE_MS / 1000);
	tcase_add_loop_test(t, each_decision_is_a_line, 0,
	    UNIT_COUNT(verdicts));
	tcase_add_test(t, decisions_are_counted);
	tcase_add_loop_test(t, the_address_is_told_as_given_and_as_judged, 0,
	    UNIT_COUNT(given));
	tcase_add_loop_test(t, a_socket_that_is_not_opened_is_a_line, 0,
	    UNIT_COUNT(opens));
	tcase_add_test(t, the_end_of_a_socket_is_a_line);
	tcase_add_loop_test(t, a_serial_number_ends_neither_field_nor_line, 0,
	    UNIT_COUNT(serials));
	tcase_add_test(t, the_longest_line_fits);
	tcase_add_test(t, a_device_has_so_many_lines_a_second);
	tcase_add_test(t, more_connections_are_more_lines);
	tcase_add_test(t, a_full_file_is_kept_as_the_one_before);
	tcase_add_test(t, what_is_there_counts_for_the_bound);
	tcase_add_test(t, a_file_that_cannot_be_renamed_grows_no_more);
	tcase_add_test(t, a_full_disk_is_told_once_and_counted);
	tcase_add_test(t, a_file_that_was_moved_is_begun_anew);
	tcase_add_test(t, a_file_that_cannot_be_written_is_told_at_the_start);
	tcase_add_test(t, without_a_file_it_is_in_the_log_as_information);
	tcase_add_test(t, all_threads_write_whole_lines);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	return unit_run(suite());
}
