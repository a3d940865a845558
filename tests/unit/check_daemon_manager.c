/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The manager with everything that it starts: monitors, devices, workers.  The
 * test is the phones (behind fake sources), the clients, and main.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "actor/mailbox.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "fake_phone.h"
#include "manager_rig.h"
#include "unit.h"
#include "wire/admin.h"

#define SOURCES 2

enum { LISTENER, CONTROL };

static struct fake fakes[SOURCES];

static void
begin(void)
{
	static struct usb_source *sources[SOURCES];

	log_set_level(LOG_LEVEL_FATAL); /* faults are made on purpose */
	rig_init();
	rig_listen(LISTENER, "s");
	rig_listen(CONTROL, "c");
	for (int i = 0; i < SOURCES; i++) {
		fake_init(&fakes[i], i == 0 ? "1-3" : "1-4");
		sources[i] = &fakes[i].source;
	}
	rig_make(&(struct manager_config){ .listeners = sockets,
		.listener_count = 1, .control = sockets[CONTROL],
		.sources = sources, .source_count = SOURCES, .wanted_mode = 1,
		.poller = poller });
	rig_start();
	for (int i = 0; i < SOURCES; i++)
		fake_await_watched(&fakes[i]);
}

static void
begin_polled(void)
{
	rig_poll();
	begin();
}

static void
end(void)
{
	manager_quit(m);
	rig_await_end();
	rig_fini();
	for (int i = 0; i < SOURCES; i++) {
		ck_assert_uint_eq(fakes[i].frees,
		    fakes[i].open_error == USB_OK ? fakes[i].opens : 0);
		fake_fini(&fakes[i]);
	}
}

/* ---- Clients ---- */

static int
client(void)
{
	return rig_connect(LISTENER);
}

static void
receive(int fd, uint8_t *bytes, size_t len)
{
	while (len > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1,
		    "a client waits in vain for %zu bytes", len);
		n = recv(fd, bytes, len, 0);
		HOLDS(n > 0, "the socket ends, %zu bytes too early", len);
		bytes += n;
		len -= (size_t)n;
	}
}

static void
await_eof(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t byte;

	HOLDS(poll(&pfd, 1, UNIT_PATIENCE_MS) == 1, "the socket does not end");
	HOLDS(recv(fd, &byte, 1, 0) == 0, "a byte instead of the end");
}

static uint32_t
get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	    (uint32_t)at[3] << 24;
}

/* A binary message: its payload, of exactly that length. */
static void
await_message(int fd, uint32_t number, uint8_t *payload, uint32_t len)
{
	uint8_t header[16];

	receive(fd, header, sizeof header);
	HOLDS(get32(header + 8) == number && get32(header) == 16 + len,
	    "message %u of %u bytes instead of %u", get32(header + 8),
	    get32(header), number);
	receive(fd, payload, len);
}

static void
await_result(int fd, uint32_t result)
{
	uint8_t payload[4];

	await_message(fd, 1, payload, sizeof payload);
	HOLDS(get32(payload) == result, "Result %u instead of %u",
	    get32(payload), result);
}

static int
listening_client(void)
{
	const uint8_t request[16] = { 16, 0, 0, 0, 0, 0, 0, 0, 3 };
	const int fd = client();

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
	await_result(fd, 0);
	return fd;
}

/* DEVICE_ADD; the device's id. */
static uint32_t
await_attached(int fd, int source)
{
	uint8_t add[268];

	await_message(fd, 4, add, sizeof add);
	HOLDS(add[4] == 0xa8 && add[5] == 0x12, "product");
	HOLDS(strcmp((const char *)add + 6, FAKE_UDID) == 0, "serial '%s'",
	    (const char *)add + 6);
	HOLDS(get32(add + 264) == usb_location(&fakes[source].ident),
	    "location 0x%08x", get32(add + 264));
	return get32(add);
}

static void
await_detached(int fd, uint32_t id)
{
	uint8_t payload[4];

	await_message(fd, 5, payload, sizeof payload);
	HOLDS(get32(payload) == id, "device %u instead of %u", get32(payload),
	    id);
}

static void
ask_connect(int fd, uint32_t id)
{
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
		0, 0, (uint8_t)id, (uint8_t)(id >> 8), 0, 0, 0, 80, 0, 0 };

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
}

/* ---- Phones ---- */

static struct phone_words
hear(int source)
{
	static uint8_t bytes[65536];
	struct fake_write *w = fake_await_write(&fakes[source]);
	const uint32_t len = w->len;

	memcpy(bytes, w->bytes, len);
	free(w);
	return phone_parse(bytes, len, 2);
}

static void
say(int source, const struct phone_words *heard, uint8_t flags)
{
	struct phone_frame *f = malloc(sizeof *f);

	phone_make(f, 2, &(struct phone_words){ .protocol = 6,
		.sport = heard->dport, .dport = heard->sport,
		.seq = heard->ack, .ack = heard->seq + heard->payload_len +
		    (heard->flags & PHONE_SYN ? 1 : 0), .flags = flags,
		.window = 65536 });
	fake_packet(&fakes[source], f->bytes, f->len);
	free(f);
}

/* Answers VERSION; SETUP is heard. */
static void
come_up(int source)
{
	struct phone_frame f;

	HOLDS(hear(source).protocol == 0, "no VERSION");
	phone_make_version(&f, 2, 0);
	fake_packet(&fakes[source], f.bytes, f.len);
	HOLDS(hear(source).protocol == 2, "no SETUP");
}

/* ---- Devices ---- */

START_TEST(listeners_hear_of_what_comes_and_goes)
{
	const int early = listening_client();
	uint32_t id, before = 0;
	int late;

	for (int i = 0; i < 3; i++) {
		fake_plug(&fakes[0]);
		fake_plug(&fakes[0]); /* once is enough */
		come_up(0);
		id = await_attached(early, 0);
		HOLDS(id > before, "id %u after %u", id, before);
		late = listening_client();
		HOLDS(await_attached(late, 0) == id, "another id");
		fake_unplug(&fakes[0]);
		fake_unplug(&fakes[0]);
		await_detached(early, id);
		await_detached(late, id);
		close(late);
		before = id;
	}
	close(early);
}
END_TEST

START_TEST(nobody_hears_of_a_phone_that_does_not_answer)
{
	const int fd = listening_client();
	uint32_t id;

	fake_plug(&fakes[0]);
	HOLDS(hear(0).protocol == 0, "no VERSION");
	/* The other one is there long before that one is given up. */
	fake_plug(&fakes[1]);
	come_up(1);
	id = await_attached(fd, 1);
	fake_unplug(&fakes[0]);
	fake_unplug(&fakes[1]);
	await_detached(fd, id);
	close(fd);
}
END_TEST

START_TEST(a_phone_that_fails_is_tried_again)
{
	const int fd = listening_client();

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
	come_up(0);
	await_attached(fd, 0);
	close(fd);
}
END_TEST

START_TEST(a_phone_that_is_reset_comes_back_with_another_id)
{
	const int fd = listening_client();
	uint32_t id;

	fake_plug(&fakes[0]);
	come_up(0);
	id = await_attached(fd, 0);
	for (int i = 0; i < 3; i++)
		fake_read(&fakes[0], "garbage", 7);
	await_detached(fd, id);
	come_up(0);
	HOLDS(await_attached(fd, 0) > id, "the same id");
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

/* ---- Connections ---- */

START_TEST(only_a_device_that_is_shown_can_be_connected_to)
{
	const int fd = client();

	ask_connect(fd, 1);
	await_result(fd, 2);
	fake_plug(&fakes[0]);
	HOLDS(hear(0).protocol == 0, "no VERSION");
	ask_connect(fd, 1); /* on its way, not there yet */
	await_result(fd, 2);
	close(fd);
	fake_unplug(&fakes[0]);
}
END_TEST

/* A connection through all threads. */
static int
connected_client(uint32_t id)
{
	const int fd = client();
	struct phone_words w;

	ask_connect(fd, id);
	w = hear(0);
	HOLDS(w.flags == PHONE_SYN && w.dport == 80, "no SYN");
	say(0, &w, PHONE_SYN | PHONE_ACK);
	HOLDS(hear(0).flags == PHONE_ACK, "no ACK");
	await_result(fd, 0);
	return fd;
}

START_TEST(unplugging_ends_every_connection)
{
	const int news = listening_client();
	int fds[20];
	uint32_t id;

	fake_plug(&fakes[0]);
	come_up(0);
	id = await_attached(news, 0);
	for (int i = 0; i < UNIT_COUNT(fds); i++)
		fds[i] = connected_client(id);
	for (int i = 0; i < UNIT_COUNT(fds); i++) {
		HOLDS(sock_send_all(fds[i], "x", 1) == 0, "send");
		HOLDS(hear(0).payload_len == 1, "no byte");
	}
	fake_unplug(&fakes[0]);
	await_detached(news, id);
	for (int i = 0; i < UNIT_COUNT(fds); i++) {
		await_eof(fds[i]);
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
			fds[i] = client();
			ask_connect(fds[i], 99);
		}
		for (int i = 0; i < UNIT_COUNT(fds); i++) {
			await_result(fds[i], 2);
			close(fds[i]);
		}
	}
}
END_TEST

#ifdef __linux__
/* More than the descriptors that are kept to be lent. */
#define SHAKING 100

/* The manager counts a client that is connected for its socket alone, and so it
 * is as long as its phone has not answered, too.  A worker serves each: it has
 * asked for something else before. */
START_TEST(who_shakes_hands_has_been_lent_nothing)
{
	const int news = listening_client();
	const int most = unit_descriptors() + 2 * SHAKING + WAKER_KEPT_MAX + 10;
	struct moment until;
	int fds[SHAKING], now;
	uint32_t id;

	fake_plug(&fakes[0]);
	come_up(0);
	id = await_attached(news, 0);
	for (int i = 0; i < SHAKING; i++) {
		fds[i] = client();
		ask_connect(fds[i], 99);
		await_result(fds[i], 2);
		ask_connect(fds[i], id);
		HOLDS(hear(0).flags == PHONE_SYN, "no SYN");
	}
	until = moment_after_ms(clock_now(), 1000);
	while ((now = unit_descriptors()) > most)
		HOLDS(moment_before(clock_now(), until),
		    "%d descriptors are open instead of %d", now, most);
	for (int i = 0; i < SHAKING; i++)
		close(fds[i]);
	/* Each is seen to leave. */
	for (int i = 0; i < SHAKING; i++)
		HOLDS(hear(0).flags == PHONE_RST, "no RST");
	close(news);
	fake_unplug(&fakes[0]);
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
	fd = rig_connect(CONTROL);
	HOLDS(sock_send_all(fd, frame.bytes, frame.len) == 0, "send");
	free(frame.bytes);
	receive(fd, header, sizeof header);
	len = get32(header) - 16;
	payload = malloc(len);
	receive(fd, payload, len);
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
	fd = listening_client();
	programs(shown, sizeof shown); /* the asking client's own, too */
	ck_assert_str_eq(shown, names[_i].shown);
	close(fd);
}
END_TEST
#endif

/* ---- Ends.  end() asserts that every thread has ended and all is freed. ---- */

START_TEST(it_ends_while_everything_is_under_way)
{
	const int news = listening_client(), idle = client();
	struct moment begun;
	int64_t ms;
	uint32_t id;
	int fd;

	fakes[0].may_block = _i;
	fake_plug(&fakes[0]);
	come_up(0);
	id = await_attached(news, 0);
	fd = connected_client(id);
	/* One phone has stopped taking anything, another does not answer. */
	fake_set_writing(&fakes[0], _i ? FAKE_BLOCKS : FAKE_HOLDS);
	HOLDS(sock_send_all(fd, "x", 1) == 0, "send");
	HOLDS(hear(0).payload_len == 1, "no byte");
	fake_plug(&fakes[1]);
	HOLDS(hear(1).protocol == 0, "no VERSION");
	begun = clock_now();
	manager_quit(m);
	HOLDS(waker_wait(ended, UNIT_PATIENCE_MS), "it does not end");
	waker_wake(ended); /* for end() */
	ms = moment_ms_between(begun, clock_now());
	HOLDS(ms < 3000, "took %lld ms", (long long)ms);
	await_eof(news);
	await_eof(idle);
	await_eof(fd);
	close(news);
	close(idle);
	close(fd);
}
END_TEST

START_TEST(it_ends_when_asked_and_idle)
{
	const int fd = listening_client();

	fake_plug(&fakes[0]);
	come_up(0);
	await_attached(fd, 0);
	manager_exit_if_idle(m); /* it is not */
	fake_unplug(&fakes[0]);
	await_detached(fd, 1);
	while (!waker_wait(ended, 10))
		manager_exit_if_idle(m);
	waker_wake(ended); /* for end() */
	await_eof(fd);
	close(fd);
}
END_TEST

static TCase *
clients(const char *name, SFun prepare)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 12);
	tcase_add_checked_fixture(tc, prepare, end);
	tcase_add_test(tc, only_a_device_that_is_shown_can_be_connected_to);
	tcase_add_test(tc, unplugging_ends_every_connection);
	tcase_add_test(tc, workers_serve_one_client_after_the_other);
#ifdef __linux__
	tcase_add_loop_test(tc, a_programs_name_does_not_spoil_the_status, 0, 5);
#endif
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
	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, listeners_hear_of_what_comes_and_goes);
	tcase_add_test(tc, nobody_hears_of_a_phone_that_does_not_answer);
	tcase_add_test(tc, a_phone_that_fails_is_tried_again);
	tcase_add_test(tc, a_phone_that_is_reset_comes_back_with_another_id);
	tcase_add_test(tc, a_rescan_reaches_the_sources);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, clients("clients", begin));
#ifdef __linux__ /* where there are pollers */
	tc = clients("clients, polled", begin_polled);
	tcase_add_test(tc, who_shakes_hands_has_been_lent_nothing);
	suite_add_tcase(s, tc);
#endif
	return unit_run(s);
}
