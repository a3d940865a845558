/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manager's clients: whom it connects, lends a worker, shows to admins. */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/ioctl.h>
#include <sys/prctl.h>
#endif

#include "base/clock.h"
#include "base/sock.h"
#include "manager_rig_phones.h"
#include "unit.h"
#include "wire/admin.h"

/* ---- Connections ---- */

START_TEST(only_a_device_that_is_shown_can_be_connected_to)
{
	const int fd = rig_client();

	rig_ask_connect(fd, 1);
	rig_await_result(fd, 2);
	fake_plug(&fakes[0]);
	HOLDS(rig_hear(0).protocol == 0, "no VERSION");
	rig_ask_connect(fd, 1); /* on its way, not there yet */
	rig_await_result(fd, 2);
	close(fd);
	fake_unplug(&fakes[0]);
}
END_TEST

START_TEST(unplugging_ends_every_connection)
{
	const int news = rig_listening_client();
	int fds[20];
	uint32_t id;

	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(news, 0);
	for (int i = 0; i < UNIT_COUNT(fds); i++)
		fds[i] = rig_connected_client(id);
	for (int i = 0; i < UNIT_COUNT(fds); i++) {
		HOLDS(sock_send_all(fds[i], "x", 1) == 0, "send");
		HOLDS(rig_hear(0).payload_len == 1, "no byte");
	}
	fake_unplug(&fakes[0]);
	rig_await_detached(news, id);
	for (int i = 0; i < UNIT_COUNT(fds); i++) {
		rig_await_eof(fds[i]);
		close(fds[i]);
	}
	close(news);
}
END_TEST

/* Many more than are parked, at once and then again. */
START_TEST(workers_serve_one_client_after_the_other)
{
	int fds[150];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < UNIT_COUNT(fds); i++) {
			fds[i] = rig_client();
			rig_ask_connect(fds[i], 99);
		}
		for (int i = 0; i < UNIT_COUNT(fds); i++) {
			rig_await_result(fds[i], 2);
			close(fds[i]);
		}
	}
}
END_TEST

#ifdef __linux__
/* More than the descriptors that are kept to be lent. */
#define SHAKING 100
/* Of one in the binary form. */
#define RESULT_BYTES 20

/* The manager counts a client that is connected for its socket alone, and so it
 * is as long as its phone has not answered, too.  A worker serves each: it has
 * asked for something else before. */
START_TEST(who_shakes_hands_has_been_lent_nothing)
{
	const int news = rig_listening_client();
	const int most = unit_descriptors() + 2 * SHAKING + WAKER_KEPT_MAX + 10;
	struct moment until;
	int fds[SHAKING], now;
	uint32_t id;

	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(news, 0);
	for (int i = 0; i < SHAKING; i++) {
		fds[i] = rig_client();
		rig_ask_connect(fds[i], 99);
		rig_await_result(fds[i], 2);
		rig_ask_connect(fds[i], id);
		HOLDS(rig_hear(0).flags == PHONE_SYN, "no SYN");
	}
	until = moment_after_ms(clock_now(), 1000);
	while ((now = unit_descriptors()) > most)
		HOLDS(moment_before(clock_now(), until),
		    "%d descriptors are open instead of %d", now, most);
	for (int i = 0; i < SHAKING; i++)
		close(fds[i]);
	/* Each is seen to leave. */
	for (int i = 0; i < SHAKING; i++)
		HOLDS(rig_hear(0).flags == PHONE_RST, "no RST");
	close(news);
	fake_unplug(&fakes[0]);
}
END_TEST

/* So many Results as fit into a client's socket when nobody reads them. */
static int
fill_with_results(int fd, int most)
{
	for (int n = 1;; n++) {
		const struct moment until = moment_after_ms(clock_now(), 500);
		int bytes = 0;

		rig_ask_connect(fd, 99);
		while (bytes < n * RESULT_BYTES) {
			ck_assert_int_eq(ioctl(fd, FIONREAD, &bytes), 0);
			if (!moment_before(clock_now(), until))
				return n - 1;
		}
		if (n == most)
			return n;
	}
}

/* A Result that has no room waits for it, and nothing is lent for that either,
 * as long as this looks. */
START_TEST(who_does_not_read_his_result_has_been_lent_nothing)
{
	const int news = rig_listening_client(), full = rig_client();
	const int fits = fill_with_results(full, INT_MAX);
	const int most = unit_descriptors() + 2 * SHAKING + WAKER_KEPT_MAX + 10;
	struct moment until;
	int fds[SHAKING];
	uint32_t id;

	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(news, 0);
	for (int i = 0; i < SHAKING; i++) {
		struct phone_words w;

		fds[i] = rig_client();
		HOLDS(fill_with_results(fds[i], fits) == fits, "no room");
		rig_ask_connect(fds[i], id);
		w = rig_hear(0);
		HOLDS(w.flags == PHONE_SYN, "no SYN");
		rig_say(0, &w, PHONE_SYN | PHONE_ACK);
		HOLDS(rig_hear(0).flags == PHONE_ACK, "no ACK");
	}
	until = moment_after_ms(clock_now(), 300);
	while (moment_before(clock_now(), until))
		HOLDS(unit_descriptors() <= most,
		    "%d descriptors are open instead of %d",
		    unit_descriptors(), most);
	for (int i = 0; i < SHAKING; i++) {
		for (int n = 0; n < fits; n++)
			rig_await_result(fds[i], 2);
		rig_await_result(fds[i], 0);
		close(fds[i]);
		HOLDS(rig_hear(0).flags == PHONE_RST, "no RST");
	}
	close(full);
	close(news);
	fake_unplug(&fakes[0]);
}
END_TEST

/* As in manager_clients.c, and what may be on its way. */
#define LEFT_MAX (8192 + 1000)

/* Who connects to a phone that takes nothing, and leaves, leaves something
 * behind.  When that is too much nobody is let in: otherwise his phone would be
 * waited for, longer than this test may take. */
START_TEST(what_clients_leave_behind_is_bounded)
{
	const int news = rig_listening_client();
	uint32_t id;
	int fd;

	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(news, 0);
	fake_set_writing(&fakes[0], FAKE_HOLDS);
	for (int i = 0; i < LEFT_MAX; i++) {
		fd = rig_client();
		rig_ask_connect(fd, id);
		close(fd);
	}
	fd = rig_client();
	for (int i = 0; i < 4; i++) {
		rig_ask_connect(fd, id);
		rig_await_result(fd, 3);
	}
	fake_unplug(&fakes[0]);
	rig_await_detached(news, id);
	close(fd);
	close(news);
}
END_TEST
#endif

/* ---- Admins ---- */

/* The Program of each client, as an admin sees it, joined by commas. */
static void
programs(char *out, size_t size)
{
	plist_t request = plist_new_dict(), reply, clients;
	struct client_frame frame;
	uint8_t header[16], *payload;
	uint32_t len;
	int fd;

	plist_dict_set_item(request, "MessageType", plist_new_string("Status"));
	frame = admin_frame(1, request);
	fd = rig_connect(RIG_CONTROL);
	HOLDS(sock_send_all(fd, frame.bytes, frame.len) == 0, "send");
	free(frame.bytes);
	rig_receive(fd, header, sizeof header);
	len = rig_get32(header) - 16;
	payload = malloc(len);
	rig_receive(fd, payload, len);
	reply = admin_parse_reply(payload, len);
	HOLDS(reply != NULL, "no property list");
	free(payload);
	close(fd);
	clients = plist_dict_get_item(reply, "Clients");
	out[0] = '\0';
	for (uint32_t i = 0; i < plist_array_get_size(clients); i++) {
		const char *name = admin_text(plist_array_get_item(clients, i),
		    "Program");

		HOLDS(name != NULL, "no Program");
		snprintf(out + strlen(out), size - strlen(out), "%s,", name);
	}
	plist_free(reply);
}

#ifdef __linux__
/* Any user may call a program what he likes, and look at no admin's expense. */
START_TEST(a_programs_name_does_not_spoil_the_status)
{
	static const struct {
		const char *name, *shown;
	} names[] = { { "fine", "fine,fine," }, { "\xff", "?,?," },
		{ "a\xff", "a?,a?," }, { "\x1b[31m", "?[31m,?[31m," },
		{ "<&\xc3\xa4\xc3", "<&\xc3\xa4?,<&\xc3\xa4?," } };
	char shown[128];
	int fd;

	ck_assert_int_eq(prctl(PR_SET_NAME, names[_i].name, 0, 0, 0), 0);
	fd = rig_listening_client();
	programs(shown, sizeof shown); /* the asking client's own, too */
	ck_assert_str_eq(shown, names[_i].shown);
	close(fd);
}
END_TEST
#endif

static TCase *
clients(const char *name, SFun prepare)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, prepare, rig_end);
	tcase_add_test(tc, only_a_device_that_is_shown_can_be_connected_to);
	tcase_add_test(tc, unplugging_ends_every_connection);
	tcase_add_test(tc, workers_serve_one_client_after_the_other);
#ifdef __linux__
	tcase_add_loop_test(tc, a_programs_name_does_not_spoil_the_status, 0, 5);
#endif
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon/clients");
#ifdef __linux__ /* where there are pollers */
	TCase *tc = clients("polled", rig_begin_polled);

	tcase_add_test(tc, who_shakes_hands_has_been_lent_nothing);
	tcase_add_test(tc, who_does_not_read_his_result_has_been_lent_nothing);
	tcase_add_test(tc, what_clients_leave_behind_is_bounded);
	suite_add_tcase(s, tc);
#endif
	suite_add_tcase(s, clients("clients", rig_begin));
	return unit_run(s);
}
