/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "unit.h"
#include "usbip/importer.h"
#include "usbip_rig.h"

/*
 * The USB/IP server engine as its program uses it: who may come, who has what,
 * who is sent away; and what a device tells before anybody imports it.
 */

static struct rig rig;
static struct rig_device one, two;

/* Lines of the log that say so. */
static _Atomic int refusals;

static void
count_refusals(enum log_level level, const char *line)
{
	(void)level;
	refusals += strstr(line, " refused: ") != NULL;
}

static void
setup(void)
{
	refusals = 0;
	log_set_sink(count_refusals);
	rig_open(&rig);
	rig_device_init(&one, "3-1", 2);
	rig_device_init(&two, "3-2", 3);
	rig_plug(&rig, &one);
}

static void
teardown(void)
{
	rig_close(&rig);
	rig_device_fini(&one);
	rig_device_fini(&two);
}

/* ---- DEVINFO ------------------------------------------------------------ */

struct answer {
	struct usbip_device_entry device;
	uint8_t *info;
	size_t len;
	uint32_t status;
	struct cause why;
};

static int
ask(const char *busid, struct answer *out)
{
	struct sock_addr addr;

	memset(out, 0, sizeof *out);
	ck_assert_int_eq(sock_addr_parse(&addr, rig.path, NULL, &out->why), 0);
	return importer_ask_info(&addr, busid, UNIT_PATIENCE_MS, &out->device,
	    &out->info, &out->len, &out->status, &out->why);
}

static void
expect_info(const char *busid, const void *bytes, size_t len)
{
	struct answer a;

	ck_assert_msg(ask(busid, &a) == 0, "%s", a.why.text);
	ck_assert_str_eq(a.device.busid, busid);
	ck_assert_uint_eq(a.len, len);
	ck_assert(memcmp(a.info, bytes, len) == 0);
	free(a.info);
}

START_TEST(a_device_tells_of_itself_whoever_has_it)
{
	static uint8_t most[USBIP_INFO_MAX];
	int fd;

	memset(most, 'x', sizeof most);
	two.desc.info = most;
	two.desc.info_len = sizeof most;
	rig_plug(&rig, &two);
	memset(most, 'y', 10); /* what it told has been copied */
	fd = rig_import(&rig, &two);
	memset(most, 'x', 10);
	expect_info("3-2", most, sizeof most);

	two.desc.info = (const uint8_t *)"news";
	two.desc.info_len = 4;
	usbip_server_update(rig.server, &two.dev, &two.desc);
	expect_info("3-2", "news", 4);
	two.desc.info_len = 0; /* nothing is an answer, too */
	usbip_server_update(rig.server, &two.dev, &two.desc);
	expect_info("3-2", "", 0);
	close(fd);
}
END_TEST

START_TEST(who_tells_nothing_is_said_to)
{
	struct answer a;

	ck_assert_int_eq(ask("3-1", &a), -1);
	ck_assert_uint_eq(a.status, USBIP_ST_NA);
	ck_assert_int_eq(ask("9-9", &a), -1);
	ck_assert_uint_eq(a.status, USBIP_ST_NODEV);
	ck_assert_ptr_nonnull(strstr(a.why.text, "9-9"));
}
END_TEST

START_TEST(too_much_cannot_be_told)
{
	static const uint8_t more[USBIP_INFO_MAX + 1];
	struct answer a;
	struct cause why;

	two.desc.info = more;
	two.desc.info_len = sizeof more;
	ck_assert_int_eq(usbip_server_plug(rig.server, &two.dev, &two.desc,
	    &why), -1);
	two.desc.info_len--;
	rig_plug(&rig, &two);
	two.desc.info_len++;
	usbip_server_update(rig.server, &two.dev, &two.desc);
	ck_assert_int_eq(ask("3-2", &a), -1);
	ck_assert_uint_eq(a.status, USBIP_ST_NA);
}
END_TEST

/* ---- The gate ----------------------------------------------------------- */

struct gate {
	_Atomic int asked, allowed, family;
};

static bool
admit(void *arg, const struct sockaddr *peer, socklen_t len)
{
	struct gate *g = arg;

	ck_assert_uint_ge(len, sizeof peer->sa_family);
	g->family = peer->sa_family;
	return ++g->asked <= g->allowed;
}

START_TEST(the_gate_lets_in_whom_it_will)
{
	const struct sock_addr addr = { .host = "127.0.0.1", .port = "0" };
	enum { TIMES = 50 };
	struct gate gate = { .allowed = 1 };
	struct moment begin;
	struct usbip_server *s;
	struct sock_addr to = addr;
	struct cause why;
	int fd, pair[2];

	s = usbip_server_new(&why);
	ck_assert_msg(s != NULL, "%s", why.text);
	usbip_server_set_gate(s, admit, &gate);
	fd = sock_listen(&addr, 0, 16, &why);
	snprintf(to.port, sizeof to.port, "%u", sock_local_port(fd));
	ck_assert_int_eq(usbip_server_listen(s, fd, &why), 0);

	fd = sock_connect(&to, UNIT_PATIENCE_MS, &why);
	ck_assert_uint_eq(rig_try_import(fd, "1-1", NULL), USBIP_ST_NODEV);
	close(fd);
	begin = clock_now();
	for (int i = 0; i < TIMES; i++) {
		fd = sock_connect(&to, UNIT_PATIENCE_MS, &why);
		rig_expect_end(fd);
		close(fd);
	}
	ck_assert_int_eq(gate.asked, 1 + TIMES);
	ck_assert_int_eq(gate.family, AF_INET);
	/* One line a second, however often he knocks. */
	ck_assert_int_ge(refusals, 1);
	ck_assert_int_le(refusals,
	    1 + moment_ms_between(begin, clock_now()) / 1000);

	/* Who is handed over has been let in by somebody else. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(usbip_server_adopt(s, pair[0], NULL, NULL, &why), 0);
	ck_assert_uint_eq(rig_try_import(pair[1], "1-1", NULL),
	    USBIP_ST_NODEV);
	close(pair[1]);
	ck_assert_int_eq(gate.asked, 1 + TIMES);
	usbip_server_free(s);
}
END_TEST

START_TEST(who_is_refused_fills_no_log)
{
	enum { TIMES = 50 };
	const struct moment begin = clock_now();

	one.refuse_with = USBIP_ST_DEV_ERR;
	for (int i = 0; i < TIMES; i++) {
		const int fd = rig_connect(&rig);

		ck_assert_uint_eq(rig_try_import(fd, "3-1", NULL),
		    USBIP_ST_DEV_ERR);
		rig_expect_end(fd);
		close(fd);
	}
	ck_assert_int_ge(refusals, 1);
	ck_assert_int_le(refusals,
	    1 + moment_ms_between(begin, clock_now()) / 1000);
}
END_TEST

/* ---- The end of an adopted connection ----------------------------------- */

static int
adopt(struct waker *ended)
{
	struct cause why;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(usbip_server_adopt(rig.server, pair[0],
	    (void (*)(void *))waker_wake, ended, &why), 0);
	return pair[1];
}

START_TEST(the_end_of_an_adopted_connection_is_told)
{
	struct waker *ended = waker_new();
	char list[512];
	int fd;

	/* A list. */
	fd = adopt(ended);
	rig_send_devlist(fd, 0);
	rig_receive_devlist(fd, list);
	ck_assert(waker_wait(ended, UNIT_PATIENCE_MS));
	rig_expect_end(fd);
	close(fd);

	/* An import, when all of it is over. */
	fd = adopt(ended);
	ck_assert_uint_eq(rig_try_import(fd, "3-1", NULL), USBIP_ST_OK);
	rig_submit(fd, &one, 1, 0x80 | RIG_HELD, 8);
	rig_await(&one, &one.submits, 1);
	ck_assert(!waker_wait(ended, 0));
	close(fd);
	ck_assert(waker_wait(ended, UNIT_PATIENCE_MS));
	ck_assert_uint_eq(one.released, 1);

	/* Nothing. */
	close(adopt(ended));
	ck_assert(waker_wait(ended, UNIT_PATIENCE_MS));
	ck_assert(!waker_wait(ended, 0));
	waker_put(ended);
}
END_TEST

START_TEST(the_end_of_the_server_ends_what_it_adopted)
{
	struct waker *ended = waker_new();
	struct usbip_server *s;
	struct cause why;
	int pair[2];

	s = usbip_server_new(&why);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(usbip_server_adopt(s, pair[0],
	    (void (*)(void *))waker_wake, ended, &why), 0);
	usbip_server_free(s);
	ck_assert(waker_wait(ended, 0));
	rig_expect_end(pair[1]);
	close(pair[1]);
	waker_put(ended);
}
END_TEST

/* ---- Peers that vanish -------------------------------------------------- */

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Their silence is noticed, on both sides, within half a minute. */
static void
expect_watched(int fd)
{
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
#ifdef TCP_KEEPIDLE
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 10);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
#endif
#ifdef TCP_USER_TIMEOUT
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 25000);
#endif
}

/* Accepts for the engine, so that we know its descriptor. */
static void *
accept_and_adopt(void *arg)
{
	int *fd = arg;
	struct cause why;

	*fd = accept(*fd, NULL, NULL);
	RIG_EQ(usbip_server_adopt(rig.server, *fd, NULL, NULL, &why), 0);
	return NULL;
}

START_TEST(both_ends_notice_a_peer_that_vanishes)
{
	struct sock_addr addr = { .host = "127.0.0.1", .port = "0" };
	struct usbip_device_entry entry;
	struct thread thread;
	struct cause why;
	uint32_t status;
	int ours, theirs;
	const int listener = sock_listen(&addr, 0, 16, &why);

	snprintf(addr.port, sizeof addr.port, "%u", sock_local_port(listener));
	theirs = listener;
	ck_assert_int_eq(thread_start(&thread, "accept", accept_and_adopt,
	    &theirs), 0);
	ours = importer_attach(&addr, "3-1", UNIT_PATIENCE_MS, &entry, &status,
	    &why);
	ck_assert_msg(ours >= 0, "%s", why.text);
	thread_join(&thread);
	expect_watched(ours);
	expect_watched(theirs);
	close(ours);
	close(listener);
}
END_TEST

/* ---- Who has what ------------------------------------------------------- */

/* The row of `one` once `in_flight` URBs are, of so many that are done. */
static struct usbip_server_row
row_with(uint32_t in_flight, uint64_t urbs)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	struct usbip_server_row row[2];

	do
		ck_assert_uint_eq(usbip_server_snapshot(rig.server, row, 2),
		    1);
	while ((row->in_flight != in_flight || row->urbs != urbs) &&
	    moment_before(clock_now(), deadline));
	ck_assert_uint_eq(row->in_flight, in_flight);
	ck_assert_uint_eq(row->urbs, urbs);
	return row[0];
}

START_TEST(a_snapshot_tells_who_has_what)
{
	const struct moment before = clock_now();
	struct usbip_server_row row = row_with(0, 0);
	int fd;

	ck_assert_str_eq(row.busid, "3-1");
	ck_assert_str_eq(row.peer, "");
	fd = rig_import(&rig, &one);
	rig_submit(fd, &one, 1, 0x80 | RIG_INSTANT, 1000);
	rig_expect_data(fd, 1, 1000);
	rig_submit(fd, &one, 2, RIG_INSTANT, 300);
	rig_expect_ret(fd, 2, 0, 300);
	rig_submit(fd, &one, 3, 0x80 | RIG_HELD, 8);
	row = row_with(1, 2);
	ck_assert_str_eq(row.peer, "a local client");
	ck_assert(!moment_before(row.since, before));
	ck_assert_uint_eq(row.bytes_in, 1000);
	ck_assert_uint_eq(row.bytes_out, 300);
	rig_finish(&one, USBIP_OK, 8);
	rig_expect_data(fd, 3, 8);
	ck_assert_uint_eq(row_with(0, 3).bytes_in, 1008);
	close(fd);
	rig_await(&one, &one.released, 1);

	rig_plug(&rig, &two);
	ck_assert_uint_eq(usbip_server_snapshot(rig.server, NULL, 0), 2);
}
END_TEST

START_TEST(a_kick_ends_an_import_and_nothing_else)
{
	int fd, other;

	rig_plug(&rig, &two);
	ck_assert(!usbip_server_kick(rig.server, "3-1"));
	ck_assert(!usbip_server_kick(rig.server, "9-9"));
	fd = rig_import(&rig, &one);
	other = rig_import(&rig, &two);
	rig_submit(fd, &one, 1, 0x80 | RIG_HELD, 8);
	rig_await(&one, &one.submits, 1);
	ck_assert(usbip_server_kick(rig.server, "3-1"));
	rig_expect_end(fd);
	close(fd);
	rig_await(&one, &one.released, 1);
	ck_assert_uint_eq(one.cancels, 1);

	rig_submit(other, &two, 1, 0x80 | RIG_INSTANT, 100);
	rig_expect_data(other, 1, 100);
	close(other);
	fd = rig_import(&rig, &one); /* it is there for the next */
	close(fd);
}
END_TEST

START_TEST(a_kick_reaches_an_importer_that_does_not_read)
{
	const int fd = rig_import(&rig, &one);

	for (uint32_t i = 1; i <= 16; i++)
		rig_submit(fd, &one, i, 0x80 | RIG_INSTANT, 1024 * 1024);
	rig_await(&one, &one.submits, 16);
	ck_assert(usbip_server_kick(rig.server, "3-1"));
	rig_await(&one, &one.released, 1);
	close(fd);
}
END_TEST

/* ---- All at once -------------------------------------------------------- */

#define CONTENDERS 3
#define ATTEMPTS 200 /* of each */

struct contender {
	struct thread thread;
	int had, busy; /* how often it had the device, or somebody else */
};

static _Atomic int contending;

/* A read, unless a kick comes first. */
static void
use_device(int fd)
{
	const struct usbip_pdu pdu = rig_submit_pdu(&one, 1,
	    0x80 | RIG_INSTANT, 100);
	uint8_t bytes[USBIP_PDU_SIZE + 100];

	usbip_pdu_encode(bytes, &pdu);
	if (sock_send_all(fd, bytes, USBIP_PDU_SIZE) == 0)
		(void)sock_recv_all(fd, bytes, sizeof bytes);
}

static void *
contend(void *arg)
{
	struct contender *c = arg;
	struct usbip_device_entry entry;
	struct sock_addr addr;
	struct cause why;
	uint32_t status;

	RIG_EQ(sock_addr_parse(&addr, rig.path, NULL, &why), 0);
	for (int i = 0; i < ATTEMPTS; i++) {
		const int fd = importer_attach(&addr, "3-1", UNIT_PATIENCE_MS,
		    &entry, &status, &why);

		/* Refused, or kicked before it was told that it has it. */
		RIG_CHECK(fd >= 0 || status == USBIP_ST_DEV_BUSY ||
		    status == USBIP_ST_OK, "%s", why.text);
		c->busy += status == USBIP_ST_DEV_BUSY;
		if (fd < 0)
			continue;
		c->had++;
		use_device(fd);
		close(fd);
	}
	contending--;
	return NULL;
}

/* Importers fight for one device (the backend sees to it that one at a time has
 * it), while an operator looks on and kicks. */
START_TEST(one_importer_at_a_time)
{
	static struct contender c[CONTENDERS];
	struct usbip_server_row row;
	int had = 0, busy = 0, kicks = 0;

	contending = CONTENDERS;
	for (int i = 0; i < CONTENDERS; i++)
		ck_assert_int_eq(thread_start(&c[i].thread, "contender",
		    contend, &c[i]), 0);
	for (unsigned i = 0; contending > 0; i++) {
		ck_assert_uint_eq(usbip_server_snapshot(rig.server, &row, 1),
		    1);
		ck_assert_uint_le(row.in_flight, 1);
		if (i % 64 == 0)
			kicks += usbip_server_kick(rig.server, "3-1");
		sched_yield();
	}
	for (int i = 0; i < CONTENDERS; i++) {
		thread_join(&c[i].thread);
		had += c[i].had;
		busy += c[i].busy;
	}
	printf("%d imports, %d found it busy, %d kicks\n", had, busy, kicks);
	ck_assert_int_gt(had, CONTENDERS);
	close(rig_import(&rig, &one)); /* when the last has gone */
	rig_await(&one, &one.released, (unsigned)had + 1);
}
END_TEST

/* ---- Watchers ---------------------------------------------------------- */

/* As many as there is room for connections do not keep others out. */
START_TEST(watchers_leave_room_for_others)
{
	enum { ROOM = 256, WATCHERS = 128 };
	static int fds[ROOM];
	char list[512];
	int importing;

	for (int i = 0; i < ROOM; i++) {
		fds[i] = rig_connect(&rig);
		rig_send_devlist(fds[i], USBIP_WATCH);
		rig_receive_devlist(fds[i], list);
		ck_assert_str_eq(list, "3-1 ");
		/* Those beyond get one list, and have to ask again. */
		if (i >= WATCHERS)
			rig_expect_end(fds[i]);
	}
	importing = rig_import(&rig, &one);
	rig_plug(&rig, &two);
	for (int i = 0; i < WATCHERS; i++) {
		rig_receive_devlist(fds[i], list);
		ck_assert_str_eq(list, "3-1 3-2 ");
	}
	/* One goes, and there is room for another. */
	close(fds[0]);
	fds[0] = rig_connect(&rig);
	rig_send_devlist(fds[0], USBIP_WATCH);
	rig_receive_devlist(fds[0], list);
	rig_unplug(&rig, &two);
	rig_receive_devlist(fds[0], list);
	ck_assert_str_eq(list, "3-1 ");
	close(importing);
	for (int i = 0; i < ROOM; i++)
		close(fds[i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbip_operator");
	TCase *tc = tcase_create("operator");

	tcase_set_timeout(tc, 6 * RIG_PATIENCE_S);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_device_tells_of_itself_whoever_has_it);
	tcase_add_test(tc, who_tells_nothing_is_said_to);
	tcase_add_test(tc, too_much_cannot_be_told);
	tcase_add_test(tc, the_gate_lets_in_whom_it_will);
	tcase_add_test(tc, who_is_refused_fills_no_log);
	tcase_add_test(tc, the_end_of_an_adopted_connection_is_told);
	tcase_add_test(tc, the_end_of_the_server_ends_what_it_adopted);
	tcase_add_test(tc, both_ends_notice_a_peer_that_vanishes);
	tcase_add_test(tc, a_snapshot_tells_who_has_what);
	tcase_add_test(tc, a_kick_ends_an_import_and_nothing_else);
	tcase_add_test(tc, a_kick_reaches_an_importer_that_does_not_read);
	tcase_add_test(tc, one_importer_at_a_time);
	tcase_add_test(tc, watchers_leave_room_for_others);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
