/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Settings for devices that open sockets: from the file to those who ask. */

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/scm_settings.h"
#include "unit.h"

static const struct scm_identity who = { 0x2fe0, 0x8b01, "S1", "1-4" };

static char dir[] = "/tmp/check_daemon_scm.XXXXXX";
static char path[64];
static struct cause why;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/scm.conf", dir);
	why.text[0] = '\0';
}

static void
teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void
write_conf(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static struct scm_settings *
load(void)
{
	struct scm_settings *s = scm_settings_load(path, &why);

	ck_assert_msg(s != NULL, "%s", why.text);
	return s;
}

/* The line that lets `who` connect to an address; 0: none does. */
static unsigned
allowing_line(const struct scm_settings *s, const char *address)
{
	struct scm_address to;
	struct scm_verdict v;
	struct scm_ip ip;

	ck_assert_int_eq(scm_ip_parse(&ip, address, &why), 0);
	to = scm_address_to(&ip, 80);
	v = scm_policy_judge(s->policy, &who, SCM_TCP, &to, &s->host);
	return v.allowed ? v.line : 0;
}

/* ---- Files -------------------------------------------------------------- */

START_TEST(a_file_is_in_force)
{
	struct scm_settings *s;

	write_conf("# rules\nallow 2fe0:8b01 tcp 192.0.2.0/24 80\n");
	s = load();
	ck_assert(s->has_file);
	ck_assert_str_eq(s->path, path);
	ck_assert_uint_eq(scm_policy_rule_count(s->policy), 1);
	ck_assert_uint_eq(allowing_line(s, "192.0.2.1"), 2);
	ck_assert_uint_eq(allowing_line(s, "192.0.3.1"), 0);
	scm_settings_put(s);
}
END_TEST

START_TEST(without_a_file_everything_is_denied)
{
	struct scm_settings *s = load();

	ck_assert(!s->has_file);
	ck_assert_uint_eq(scm_policy_rule_count(s->policy), 0);
	ck_assert_uint_eq(allowing_line(s, "192.0.2.1"), 0);
	scm_settings_put(s);
	s = scm_settings_empty(path);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(allowing_line(s, "192.0.2.1"), 0);
	scm_settings_put(s);
}
END_TEST

static const struct {
	const char *text, *told;
} faults[] = {
	{ "allow 2fe0:8b01 tcp\n", "scm.conf:1:" },
	{ "\n\nallow * tcp 10.0.0.0/40 80\n", "scm.conf:3:13: " },
	{ "allow * tcp * 80\nallow * tcp * 70000\n", "scm.conf:2:" },
	{ "allow * tcp \"10.0.0.1 80\n", "is not closed" },
	{ "allow * tcp * 80\n\033[2Jdeny\n", "a control character" },
	{ "permit * tcp * 80\n", "'permit' is no rule" },
};

START_TEST(a_fault_is_told_with_its_place)
{
	write_conf(faults[_i].text);
	ck_assert_ptr_null(scm_settings_load(path, &why));
	ck_assert_msg(strstr(why.text, faults[_i].told) != NULL, "%s",
	    why.text);
	ck_assert_msg(strstr(why.text, "scm.conf:") != NULL, "%s", why.text);
}
END_TEST

START_TEST(what_is_no_file_is_a_fault_not_an_empty_one)
{
	ck_assert_ptr_null(scm_settings_load(dir, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "directory"));
}
END_TEST

START_TEST(a_later_load_has_a_higher_number)
{
	struct scm_settings *a = load(), *b = load();

	ck_assert_uint_lt(a->number, b->number);
	scm_settings_put(a);
	scm_settings_put(b);
}
END_TEST

/* ---- Addresses ---------------------------------------------------------- */

START_TEST(this_hosts_addresses_belong_to_it)
{
	struct scm_settings *s;
	bool has_loopback = false;

	write_conf("allow * tcp * *\n");
	s = load();
	ck_assert_uint_gt(s->host.count, 0);
	for (size_t i = 0; i < s->host.count; i++) {
		char text[SCM_IP_TEXT_MAX];

		scm_ip_text(text, &s->host.networks[i].ip);
		has_loopback |= strcmp(text, "127.0.0.1") == 0;
		HOLDS(allowing_line(s, text) == 0, "%s", text);
	}
	ck_assert(has_loopback);
	scm_settings_put(s);
}
END_TEST

START_TEST(the_same_addresses_are_the_same_settings)
{
	struct scm_settings *s = load();

	ck_assert_ptr_eq(scm_settings_refresh(s, &why), s);
	scm_settings_put(s);
	scm_settings_put(s);
}
END_TEST

START_TEST(rules_outlive_the_settings_that_were_read_with_them)
{
	const struct scm_network other = { { true, { 192, 0, 2, 1 } }, 32 };
	struct scm_settings *read_in, *moved, *again;

	write_conf("allow * tcp 192.0.2.0/24 *\n");
	read_in = load();
	/* As if this host had had that address only. */
	scm_host_fini(&read_in->host);
	read_in->host.networks = calloc(1, sizeof other);
	read_in->host.count = 1;
	memcpy((void *)read_in->host.networks, &other, sizeof other);
	ck_assert_uint_eq(allowing_line(read_in, "192.0.2.1"), 0);

	moved = scm_settings_refresh(read_in, &why);
	ck_assert_msg(moved != NULL, "%s", why.text);
	ck_assert_ptr_ne(moved, read_in);
	ck_assert_uint_eq(moved->number, read_in->number);
	ck_assert(moved->has_file);
	scm_settings_put(read_in);
	ck_assert_uint_eq(allowing_line(moved, "192.0.2.1"), 1);

	again = scm_settings_refresh(moved, &why);
	ck_assert_ptr_eq(again, moved);
	scm_settings_put(moved);
	ck_assert_uint_eq(allowing_line(again, "192.0.2.1"), 1);
	scm_settings_put(again);
}
END_TEST

/* ---- To readers --------------------------------------------------------- */

START_TEST(only_the_newest_waits_for_a_reader) ROLE_UNCHECKED
{
	struct waker *w = waker_new();
	struct scm_settings *a = load(), *b = load(), *c = load();
	struct scm_inbox in;
	struct mailbox box;
	struct msg *m;

	mailbox_init_waker(&box, w);
	scm_inbox_init(&in);
	scm_inbox_give(&in, &box, a);
	scm_inbox_give(&in, &box, b);
	m = mailbox_take(&box);
	ck_assert_ptr_eq(m, &in.msg);
	ck_assert_ptr_null(msg_next(m));
	/* Others while the message has been taken, and is about to be read. */
	scm_inbox_give(&in, &box, c);
	ck_assert_ptr_null(mailbox_take(&box));
	ck_assert_ptr_eq(scm_inbox_take(&in), c);
	scm_settings_put(c);
	scm_inbox_give(&in, &box, a);
	ck_assert_ptr_eq(mailbox_take(&box), &in.msg);
	/* Nobody takes these. */
	scm_inbox_fini(&in);
	scm_settings_put(a);
	scm_settings_put(b);
	scm_settings_put(c);
	waker_put(w);
}
END_TEST

START_TEST(a_reader_that_has_ended_gets_nothing) ROLE_UNCHECKED
{
	struct waker *w = waker_new();
	struct scm_settings *a = load();
	struct scm_inbox in;
	struct mailbox box;

	mailbox_init_waker(&box, w);
	scm_inbox_init(&in);
	ck_assert_ptr_null(mailbox_close(&box));
	scm_inbox_give(&in, &box, a);
	scm_inbox_fini(&in);
	scm_settings_put(a);
	waker_put(w);
}
END_TEST

/* ---- In force ----------------------------------------------------------- */

#define ROUNDS 2000
static struct scm_store store;

static void *
ask_and_ask(void *arg)
{
	unsigned *seen = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct scm_settings *s = scm_store_get(&store);

		*seen += allowing_line(s, "192.0.2.1");
		scm_settings_put(s);
	}
	return NULL;
}

START_TEST(whoever_asks_has_whole_settings) ROLE_UNCHECKED
{
	pthread_t threads[2];
	unsigned seen[2] = { 0 };

	write_conf("allow * tcp 192.0.2.0/24 *\n");
	scm_store_init(&store, load());
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_and_ask,
		    &seen[i]), 0);
	for (int i = 0; i < 20; i++)
		scm_store_set(&store, load());
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(seen[i], ROUNDS);
	}
	scm_store_fini(&store);
}
END_TEST

static void
note_end(void *arg)
{
	(void)arg;
}

static bool
is_in_force(uint64_t number)
{
	struct scm_settings *s = scm_store_get(&store);
	const bool is = s->number == number;

	scm_settings_put(s);
	return is;
}

static void
await_in_force(uint64_t number)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (!is_in_force(number)) {
		HOLDS(moment_before(clock_now(), until), "not in force");
		poll(NULL, 0, 1);
	}
}

/* Until nobody else has a reference. */
static void
await_ours_alone(const struct scm_settings *s)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (atomic_load(&s->refs.count) > 1) {
		HOLDS(moment_before(clock_now(), until), "still held");
		poll(NULL, 0, 1);
	}
}

START_TEST(the_manager_puts_the_one_that_was_read_last_in_force)
    ROLE_UNCHECKED
{
	const struct manager_config config = { .control = -1, .scm = &store };
	struct scm_settings *early, *late, *last;
	struct manager *m;

	scm_store_init(&store, load());
	m = manager_new(&config, &why);
	ck_assert_msg(m != NULL, "%s", why.text);
	manager_on_end(m, note_end, NULL);
	ck_assert_int_eq(manager_start(m, &why), 0);
	early = load();
	late = load();
	last = load();
	manager_scm_loaded(m, scm_settings_get(late));
	await_in_force(late->number);
	/* Read before, and told after: nobody wants that one. */
	manager_scm_loaded(m, scm_settings_get(early));
	await_ours_alone(early);
	ck_assert(is_in_force(late->number));
	manager_scm_loaded(m, scm_settings_get(last));
	await_in_force(last->number);
	await_ours_alone(late);
	manager_quit(m);
	ck_assert(manager_join(m));
	/* It takes nothing any more. */
	manager_scm_loaded(m, load());
	ck_assert(is_in_force(last->number));
	scm_settings_put(early);
	scm_settings_put(late);
	scm_settings_put(last);
	manager_free(m);
	scm_store_fini(&store);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/scm");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 2.0 * UNIT_PATIENCE_MS / 1000);
	tcase_add_test(t, a_file_is_in_force);
	tcase_add_test(t, without_a_file_everything_is_denied);
	tcase_add_loop_test(t, a_fault_is_told_with_its_place, 0,
	    UNIT_COUNT(faults));
	tcase_add_test(t, what_is_no_file_is_a_fault_not_an_empty_one);
	tcase_add_test(t, a_later_load_has_a_higher_number);
	tcase_add_test(t, this_hosts_addresses_belong_to_it);
	tcase_add_test(t, the_same_addresses_are_the_same_settings);
	tcase_add_test(t, rules_outlive_the_settings_that_were_read_with_them);
	tcase_add_test(t, only_the_newest_waits_for_a_reader);
	tcase_add_test(t, a_reader_that_has_ended_gets_nothing);
	tcase_add_test(t, whoever_asks_has_whole_settings);
	tcase_add_test(t,
	    the_manager_puts_the_one_that_was_read_last_in_force);
	suite_add_tcase(s, t);
	return unit_run(s);
}
