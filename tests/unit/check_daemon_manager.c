/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The manager with everything that it starts: monitors, devices, workers; what
 * comes and goes, and the end.
 */

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "manager_rig_phones.h"
#include "unit.h"

/* ---- Devices ---- */

START_TEST(listeners_hear_of_what_comes_and_goes)
{
	const int early = rig_listening_client();
	uint32_t id, before = 0;
	int late;

	for (int i = 0; i < 3; i++) {
		fake_plug(&fakes[0]);
		fake_plug(&fakes[0]); /* once is enough */
		rig_come_up(0);
		id = rig_await_attached(early, 0);
		HOLDS(id > before, "id %u after %u", id, before);
		late = rig_listening_client();
		HOLDS(rig_await_attached(late, 0) == id, "another id");
		fake_unplug(&fakes[0]);
		fake_unplug(&fakes[0]);
		rig_await_detached(early, id);
		rig_await_detached(late, id);
		close(late);
		before = id;
	}
	close(early);
}
END_TEST

START_TEST(nobody_hears_of_a_phone_that_does_not_answer)
{
	const int fd = rig_listening_client();
	uint32_t id;

	fake_plug(&fakes[0]);
	HOLDS(rig_hear(0).protocol == 0, "no VERSION");
	/* The other one is there long before that one is given up. */
	fake_plug(&fakes[1]);
	rig_come_up(1);
	id = rig_await_attached(fd, 1);
	fake_unplug(&fakes[0]);
	fake_unplug(&fakes[1]);
	rig_await_detached(fd, id);
	close(fd);
}
END_TEST

START_TEST(a_phone_that_fails_is_tried_again)
{
	const int fd = rig_listening_client();

	fakes[0].bring_up_error = USB_ERROR_IO;
	fake_plug(&fakes[0]);
	/* After a tenth, and then half a second. */
	for (unsigned n = 1; n <= 3; n++) {
		const struct moment until =
		    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
		unsigned opens = 0;

		while (opens < n) {
			HOLDS(moment_before(clock_now(), until),
			    "opened %u times", opens);
			pthread_mutex_lock(&fakes[0].lock);
			opens = fakes[0].opens;
			if (n == 3 && opens == 3)
				fakes[0].bring_up_error = USB_OK;
			pthread_mutex_unlock(&fakes[0].lock);
		}
	}
	rig_come_up(0);
	rig_await_attached(fd, 0);
	close(fd);
}
END_TEST

START_TEST(a_phone_that_is_reset_comes_back_with_another_id)
{
	const int fd = rig_listening_client();
	uint32_t id;

	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(fd, 0);
	for (int i = 0; i < 3; i++)
		fake_read(&fakes[0], "garbage", 7);
	rig_await_detached(fd, id);
	rig_come_up(0);
	HOLDS(rig_await_attached(fd, 0) > id, "the same id");
	ck_assert_uint_eq(fakes[0].resets, 1);
	close(fd);
}
END_TEST

START_TEST(a_rescan_reaches_the_sources)
{
	for (int i = 0; i < 3; i++) {
		const struct moment until =
		    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
		unsigned n = 0;

		manager_rescan(m);
		while (n <= (unsigned)i) {
			HOLDS(moment_before(clock_now(), until), "not asked");
			pthread_mutex_lock(&fakes[1].lock);
			n = fakes[1].rescans;
			pthread_mutex_unlock(&fakes[1].lock);
		}
	}
}
END_TEST

/* ---- Ends: what rig_end() asserts, too ---- */

START_TEST(it_ends_while_everything_is_under_way)
{
	const int news = rig_listening_client(), idle = rig_client();
	struct moment begun;
	int64_t ms;
	uint32_t id;
	int fd;

	fakes[0].may_block = _i;
	fake_plug(&fakes[0]);
	rig_come_up(0);
	id = rig_await_attached(news, 0);
	fd = rig_connected_client(id);
	/* One phone has stopped taking anything, another does not answer. */
	fake_set_writing(&fakes[0], _i ? FAKE_BLOCKS : FAKE_HOLDS);
	HOLDS(sock_send_all(fd, "x", 1) == 0, "send");
	HOLDS(rig_hear(0).payload_len == 1, "no byte");
	fake_plug(&fakes[1]);
	HOLDS(rig_hear(1).protocol == 0, "no VERSION");
	begun = clock_now();
	manager_quit(m);
	HOLDS(waker_wait(ended, UNIT_PATIENCE_MS), "it does not end");
	waker_wake(ended); /* for rig_end() */
	ms = moment_ms_between(begun, clock_now());
	HOLDS(ms < 3000, "took %lld ms", (long long)ms);
	rig_await_eof(news);
	rig_await_eof(idle);
	rig_await_eof(fd);
	close(news);
	close(idle);
	close(fd);
}
END_TEST

START_TEST(it_ends_when_asked_and_idle)
{
	const int fd = rig_listening_client();

	fake_plug(&fakes[0]);
	rig_come_up(0);
	rig_await_attached(fd, 0);
	manager_exit_if_idle(m); /* it is not */
	fake_unplug(&fakes[0]);
	rig_await_detached(fd, 1);
	while (!waker_wait(ended, 10))
		manager_exit_if_idle(m);
	waker_wake(ended); /* for rig_end() */
	rig_await_eof(fd);
	close(fd);
}
END_TEST

static TCase *
ends(const char *name, SFun prepare)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, prepare, rig_end);
	tcase_add_loop_test(tc, it_ends_while_everything_is_under_way, 0, 2);
	tcase_add_test(tc, it_ends_when_asked_and_idle);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon/manager");
	TCase *tc = tcase_create("devices");

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, rig_begin, rig_end);
	tcase_add_test(tc, listeners_hear_of_what_comes_and_goes);
	tcase_add_test(tc, nobody_hears_of_a_phone_that_does_not_answer);
	tcase_add_test(tc, a_phone_that_fails_is_tried_again);
	tcase_add_test(tc, a_phone_that_is_reset_comes_back_with_another_id);
	tcase_add_test(tc, a_rescan_reaches_the_sources);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, ends("ends", rig_begin));
#ifdef __linux__ /* where there are pollers */
	suite_add_tcase(s, ends("ends, polled", rig_begin_polled));
#endif
	return unit_run(s);
}
