/* SPDX-License-Identifier: GPL-3.0-or-later */

/* muxctl's commands: what they ask, and what they print. */

#include <string.h>
#include <unistd.h>

#include "ctl_rig.h"
#include "unit.h"

/* ---- Status ---- */

START_TEST(list_shows_ready_phones_in_order)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("list"), 0);
	ck_assert_str_eq(rig.request, "Status");
	ck_assert_str_eq(rig.err, "");
	ck_assert_str_eq(rig.out,
	    "ID  UDID  PRODUCT  BUS-PORT  LOCATION    SPEED  CONNECTIONS\n"
	    " 1  AA    12a8     1-4.2     0x01420000   480M           10\n"
	    " 2  BB    12a8     1-4.2     0x01420000   480M           20\n");
}
END_TEST

START_TEST(list_as_json)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("--json", "list"), 0);
	ck_assert_str_eq(rig.out,
	    "[{\"id\":1,\"udid\":\"AA\",\"state\":\"ready\","
	    "\"productID\":4776,\"locationID\":21102592,"
	    "\"speed\":480000000,\"connections\":10},"
	    "{\"id\":2,\"udid\":\"BB\",\"state\":\"ready\","
	    "\"productID\":4776,\"locationID\":21102592,"
	    "\"speed\":480000000,\"connections\":20}]\n");
}
END_TEST

START_TEST(devices_shows_all_and_the_unknown_last)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("dev"), 0);
	assert_contains(rig.out, "\n 3  CC    handshake  ");
	assert_contains(rig.out, "\n -  -     failed     ");
	ck_assert_ptr_null(strstr(strstr(rig.out, "failed"), "ready"));
}
END_TEST

START_TEST(connections_are_of_connected_clients)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("conn"), 0);
	ck_assert_str_eq(rig.out,
	    "CLIENT  PID  PROGRAM           DEVICE  UDID  SOURCE   PORT    "
	    "RX   TX  INFLIGHT  WINDOW  HELD  QUEUED\n"
	    "     8    -  evil?[2J?program       2  BB         3  62078  "
	    "1.0M  100         0    128K     0       1\n");
}
END_TEST

START_TEST(connections_as_json_has_plain_numbers)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("connections", "-j"), 0);
	assert_contains(rig.out, "[{\"number\":8,");
	assert_contains(rig.out, "\"program\":\"evil\\u001b[2J\\nprogram\"");
	assert_contains(rig.out, "\"rxBytes\":1048576,\"txBytes\":100,");
	ck_assert_ptr_null(strstr(rig.out, "xcode"));
}
END_TEST

START_TEST(clients_shows_every_client)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("clients"), 0);
	assert_contains(rig.out, "\n     8  connected    -  evil?");
	assert_contains(rig.out,
	    "\n     9  listening    -  xcode                  -      -     "
	    "-    -\n");
}
END_TEST

START_TEST(stats_shows_three_tables)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("st"), 0);
	assert_contains(rig.out, "VERSION  PID  UPTIME  ");
	assert_contains(rig.out, "\n9.9        -      5s  ");
	assert_contains(rig.out, "\n\nID  UDID  STATE  ");
	assert_contains(rig.out, "\n\nCLIENT  PID  PROGRAM");
}
END_TEST

START_TEST(stats_as_json_has_what_it_does_not_know)
{
	rig_say_status();
	ck_assert_int_eq(SERVED("--json", "stats"), 0);
	assert_contains(rig.out, "{\"daemon\":{\"version\":\"9.9\","
				  "\"uptimeMS\":5000,\"novelty\":\"yes\"},"
				  "\"devices\":[{");
	assert_contains(rig.out, "],\"clients\":[{\"number\":9,");
}
END_TEST

START_TEST(a_status_without_tables_has_headings_only)
{
	rig_say(plist_new_dict());
	ck_assert_int_eq(SERVED("stats"), 0);
	ck_assert_int_eq(strncmp(rig.out, "VERSION", 7), 0);
	assert_contains(rig.out, "\n\nID  UDID");
}
END_TEST

/* ---- Orders ---- */

START_TEST(log_shows_the_level)
{
	plist_t answer = plist_new_dict();

	rig_set(answer, "Level", "no\033tice");
	rig_say(answer);
	ck_assert_int_eq(SERVED("log"), 0);
	ck_assert_str_eq(rig.request, "LogLevel");
	ck_assert_str_eq(rig.level, "");
	ck_assert_str_eq(rig.out, "no?tice\n");
}
END_TEST

START_TEST(log_sets_the_level_in_silence)
{
	rig_say_result(0);
	ck_assert_int_eq(SERVED("log", "debug"), 0);
	ck_assert_str_eq(rig.level, "debug");
	ck_assert_str_eq(rig.out, "");
}
END_TEST

START_TEST(log_as_json_has_the_name_of_a_number)
{
	rig_say_result(0);
	ck_assert_int_eq(SERVED("--json", "log", "7"), 0);
	ck_assert_str_eq(rig.level, "7");
	ck_assert_str_eq(rig.out, "{\"level\":\"debug\"}\n");
}
END_TEST

START_TEST(an_unknown_level_is_not_sent)
{
	ck_assert_int_eq(MUXCTL("-c", rig.path, "log", "loud"), 2);
	assert_contains(rig.err, "muxctl: there is no log level 'loud'; "
				  "there are fatal, error, ");
}
END_TEST

START_TEST(rescan_is_silent)
{
	rig_say_result(0);
	ck_assert_int_eq(SERVED("rescan"), 0);
	ck_assert_str_eq(rig.request, "Rescan");
	ck_assert_str_eq(rig.out, "");
}
END_TEST

/* ---- Watching ---- */

static void
say_events(void)
{
	plist_t attached = plist_new_dict(), detached = plist_new_dict(),
		failed = plist_new_dict(), novelty = plist_new_dict();

	rig_set(attached, "MessageType", "Attached");
	plist_dict_set_item(attached, "Device", rig_device(7, "AA", "ready"));
	rig_set(detached, "MessageType", "Detached");
	rig_set_number(detached, "DeviceID", 7);
	rig_set(detached, "UDID", "AA");
	rig_set(detached, "Reason", "un\nplugged");
	rig_set(failed, "MessageType", "Failed");
	rig_set(failed, "Source", "usb");
	rig_set(failed, "Key", "1-4");
	rig_set(failed, "Reason", "no answer");
	rig_set(novelty, "MessageType", "SomethingNew");
	rig_say_result(0);
	rig_say(attached);
	rig_say(detached);
	rig_say(failed);
	rig_say(novelty);
}

/* The next line without its time, whose form is `time`: a digit for 0. */
static char *
without_time(char **text, const char *time)
{
	char *line = *text, *end = strchr(line, '\n');

	ck_assert_ptr_nonnull(end);
	*end = '\0';
	*text = end + 1;
	ck_assert_uint_gt(strlen(line), strlen(time));
	for (; *time != '\0'; time++, line++)
		ck_assert_msg(*time == '0' ? *line >= '0' && *line <= '9'
					   : *line == *time, "%s", line);
	return line;
}

START_TEST(watch_prints_a_line_for_each_event)
{
	const char *time = "0000-00-00 00:00:00.000";
	char *text;

	say_events();
	ck_assert_int_eq(SERVED("watch"), 1);
	ck_assert_str_eq(rig.request, "Watch");
	assert_contains(rig.err, "the daemon has closed it");
	text = rig.out;
	ck_assert_str_eq(without_time(&text, time),
	    "  attached  7  AA  product 12a8 at 1-4.2, 480M");
	ck_assert_str_eq(without_time(&text, time),
	    "  detached  7  AA: un?plugged");
	ck_assert_str_eq(without_time(&text, time),
	    "  failed  usb 1-4: no answer");
	ck_assert_str_eq(without_time(&text, time), "  somethingNew");
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(watch_as_json_has_an_object_a_line)
{
	const char *time = "{\"time\":\"0000-00-00T00:00:00.000Z\",";
	char *text;

	say_events();
	ck_assert_int_eq(SERVED("--json", "watch"), 1);
	text = rig.out;
	ck_assert_str_eq(without_time(&text, time),
	    "\"event\":\"attached\",\"id\":7,\"udid\":\"AA\","
	    "\"state\":\"ready\",\"productID\":4776,\"locationID\":21102592,"
	    "\"speed\":480000000,\"connections\":70}");
	ck_assert_str_eq(without_time(&text, time),
	    "\"event\":\"detached\",\"id\":7,\"udid\":\"AA\","
	    "\"reason\":\"un\\nplugged\"}");
	ck_assert_str_eq(without_time(&text, time),
	    "\"event\":\"failed\",\"source\":\"usb\",\"key\":\"1-4\","
	    "\"reason\":\"no answer\"}");
	ck_assert_str_eq(without_time(&text, time),
	    "\"event\":\"somethingNew\"}");
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(watch_ends_when_nobody_reads_it)
{
	const char *const args[] = { "-c", rig.path, "watch", NULL };
	int ends[2];
	FILE *out;

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	out = fdopen(ends[1], "w");
	rig_say_result(0);
	rig.hold = true;
	ck_assert_int_eq(rig_run_served_to(out, args), 0);
	ck_assert_str_eq(rig.err, "");
	fclose(out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ctl/commands");
	TCase *t = tcase_create("commands");

	tcase_add_checked_fixture(t, rig_set_up, rig_tear_down);
	tcase_add_test(t, list_shows_ready_phones_in_order);
	tcase_add_test(t, list_as_json);
	tcase_add_test(t, devices_shows_all_and_the_unknown_last);
	tcase_add_test(t, connections_are_of_connected_clients);
	tcase_add_test(t, connections_as_json_has_plain_numbers);
	tcase_add_test(t, clients_shows_every_client);
	tcase_add_test(t, stats_shows_three_tables);
	tcase_add_test(t, stats_as_json_has_what_it_does_not_know);
	tcase_add_test(t, a_status_without_tables_has_headings_only);
	tcase_add_test(t, log_shows_the_level);
	tcase_add_test(t, log_sets_the_level_in_silence);
	tcase_add_test(t, log_as_json_has_the_name_of_a_number);
	tcase_add_test(t, an_unknown_level_is_not_sent);
	tcase_add_test(t, rescan_is_silent);
	tcase_add_test(t, watch_prints_a_line_for_each_event);
	tcase_add_test(t, watch_as_json_has_an_object_a_line);
	tcase_add_test(t, watch_ends_when_nobody_reads_it);
	suite_add_tcase(s, t);
	return unit_run(s);
}
