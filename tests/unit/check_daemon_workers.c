/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Clients that cannot be let in: want of descriptors, and sockets that somebody
 * else has shut down. */

#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "daemon/manager_int.h"
#include "manager_rig.h"
#include "unit.h"

#define LISTENERS RIG_SOCKETS /* a path, and a port */
/* What must not happen has this long to happen. */
#define PEACE_MS 200

static struct waker *told;
static _Atomic unsigned tellings;
static char last_telling[LOG_LINE_MAX];

/* ---- What the manager calls ---- */

static void
note_line(enum log_level level, const char *line)
{
	if (level > LOG_LEVEL_WARNING)
		return;
	if (tellings++ == 0)
		snprintf(last_telling, sizeof last_telling, "%s", line);
	waker_wake(told);
}

/* ---- Life ---- */

static void
setup(void)
{
	log_set_sink(note_line);
	rig_init();
	rig_listen(0, "s");
	rig_listen_port(1);
	told = waker_new();
	rig_make(&(struct manager_config){ .listeners = sockets,
		.listener_count = LISTENERS, .control = -1, .idle_ms = 1,
		.poller = poller });
}

static void
setup_polled(void)
{
	rig_poll();
	setup();
}

static void
teardown(void)
{
	rig_fini();
	log_set_sink(NULL);
	waker_put(told);
}

static int64_t
cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- Clients ---- */

static void
ask_with(int fd)
{
	/* CONNECT to a device that is not there: RESULT 2. */
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
		0, 0, 99, 0, 0, 0, 0, 80 };
	uint8_t result[20];

	HOLDS(sock_send_all(fd, request, sizeof request) == 0, "send");
	HOLDS(sock_recv_all(fd, result, sizeof result) == 0, "no answer");
	ck_assert_uint_eq(result[16], 2);
	close(fd);
}

/* A question that gets an answer. */
static void
ask(int i)
{
	ask_with(rig_connect(i));
}

/* ---- Want of descriptors ---- */

static void
leave_no_descriptor(bool none)
{
	static struct rlimit usual;
	struct rlimit now;
	int next;

	if (usual.rlim_cur == 0)
		getrlimit(RLIMIT_NOFILE, &usual);
	now = usual;
	if (none) {
		next = dup(0);
		close(next);
		now.rlim_cur = (rlim_t)next;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* A worker has seen a client, and hears what comes of it. */
static void
answer_knock(void) ROLE_UNCHECKED
{
	struct msg *knock = mailbox_wait(&m->box, m->waker);

	ck_assert_int_eq(knock->type, MSG_KNOCK);
	workers_knock(m, (struct worker *)((char *)knock -
	    offsetof(struct worker, knock_msg)));
}

/* Others act for the manager again as soon as the pause is over, not only when
 * somebody has come. */
START_TEST(after_a_pause_its_thread_is_not_needed) ROLE_UNCHECKED
{
	struct moment next = workers_run(m);
	const int fd = rig_connect(0);

	HOLDS(next.ns == MOMENT_NEVER.ns, "it waits for something");
	leave_no_descriptor(true);
	for (int i = 0; i < 3; i++) {
		answer_knock();
		next = workers_run(m);
		HOLDS(next.ns != MOMENT_NEVER.ns, "no pause");
		HOLDS(workers_need_own_thread(m), "nobody ends the pause");
		waker_wait_until(ended, next);
		next = workers_run(m);
	}
	ck_assert_uint_eq(tellings, 1); /* of all three */
	leave_no_descriptor(false);
	close(fd);
	HOLDS(next.ns == MOMENT_NEVER.ns, "it waits for something");
	HOLDS(!workers_need_own_thread(m), "it is not lent");
	workers_fini(m);
}
END_TEST

/* ---- Many at a time ---- */

#define MANY 200

/* What the manager finds in its mailbox: how many have been begun with, each of
 * which has left and calls a worker; the others are taken. */
static unsigned
take_news(struct msg **others) ROLE_UNCHECKED
{
	struct msg *msg = mailbox_take(&m->box), *next;
	unsigned begun = 0;

	*others = NULL;
	for (; msg != NULL; msg = next) {
		next = msg_next(msg);
		if (msg->type == MSG_CLIENT_CALLS) {
			begun++;
			continue;
		}
		ck_assert_int_eq(msg->type, MSG_ARRIVED);
		clients_arrived(m, msg);
	}
	*others = clients_take_arrived(m);
	return begun;
}

/* Who begins with them may be in the middle of something else. */
START_TEST(a_thread_begins_with_a_few_in_a_row) ROLE_UNCHECKED
{
	int fds[MANY][2];
	struct msg *others;
	unsigned begun = 0, rounds = 0;

	for (int i = 0; i < MANY; i++) {
		HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]) == 0,
		    "no socket");
		sock_set_nonblocking(fds[i][0], true);
		close(fds[i][1]);
		HOLDS(clients_came(m, NULL, fds[i][0], false), "no memory");
	}
	for (others = clients_take_arrived(m); others != NULL; rounds++) {
		clients_begin(m, others);
		begun += take_news(&others);
	}
	ck_assert_uint_eq(begun, MANY);
	HOLDS(rounds >= MANY / 32, "begun with in %u rounds", rounds);
	while (m->clients != NULL)
		clients_ended(m, m->clients);
	for (int i = 0; i < MANY; i++)
		close(fds[i][0]);
	workers_fini(m);
}
END_TEST

/* ---- Sockets of devices ---- */

static struct device *device;

/* No more of it than the manager looks at. */
static struct scm_conn *
socket_of_device(void)
{
	struct scm_conn *c = calloc(1, sizeof *c);

	device = calloc(1, sizeof *device);
	HOLDS(c != NULL && device != NULL, "no memory");
	mailbox_init(&device->reader_box, NULL, NULL);
	mailbox_init(&c->box, NULL, NULL);
	ref_init(&c->refs);
	c->device = device;
	c->unserved_msg.type = MSG_SCM_UNSERVED;
	return c;
}

/* They have no more descriptors than clients have, and these not what they
 * have. */
START_TEST(sockets_and_clients_share_the_descriptors) ROLE_UNCHECKED
{
	struct scm_conn *c = socket_of_device();

	m->descriptor_limit = 4;
	ck_assert_int_eq(workers_run(m).ns, MOMENT_NEVER.ns);
	m->client_count = m->socket_count = 1;
	HOLDS(!clients_have_room(m), "a socket counts nothing");
	sockets_opened(m, c);
	HOLDS(mailbox_take(&device->reader_box) == &c->unserved_msg,
	    "it gets a worker");
	ck_assert_uint_eq(m->socket_count, 1);
	workers_fini(m);
	free(c);
	free(device);
}
END_TEST

/* Who waits for a descriptor gets that of a socket, too. */
START_TEST(a_socket_that_ends_makes_room) ROLE_UNCHECKED
{
	struct scm_conn *c = socket_of_device();

	m->descriptor_limit = 2;
	m->client_count = 1;
	m->socket_count = 1;
	m->sockets = scm_conn_get(c);
	c->prev_next = &m->sockets;
	workers_run(m);
	HOLDS(!m->entrances[0].watched, "somebody is let in");
	m->client_count = 0;
	sockets_ended(m, c);
	HOLDS(m->entrances[0].watched, "nobody is let in");
	ck_assert_uint_eq(m->socket_count, 0);
	m->parked_count--; /* it had no worker */
	workers_fini(m);
	free(c);
	free(device);
}
END_TEST

/* ---- Sockets that are shut ---- */

#ifdef __GLIBC__
#define REFUSED 20 /* at a time */
#define ROUNDS 100

/* Bytes in use, where all threads have one heap.  0 where a sanitizer has its own:
 * that looks for leaks itself. */
static size_t
heap(void)
{
	return mallinfo2().uordblks;
}

/* The last may be on their way out. */
static void
await_heap(size_t before, size_t below)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	size_t now = heap();

	for (; now >= below; now = heap())
		HOLDS(moment_before(clock_now(), until),
		    "%zu bytes of the heap, %zu before", now, before);
}

/* Each gives its object back, and the poller's watch of its socket. */
START_TEST(who_is_refused_leaves_nothing_behind)
{
	int fds[REFUSED];
	size_t used = 0;

	rig_start();
	for (int i = 0; i < ROUNDS; i++) {
		if (i == ROUNDS / 10)
			used = heap(); /* with what is kept for others */
		for (int k = 0; k < REFUSED; k++)
			fds[k] = rig_connect(k % LISTENERS);
		/* Who comes next is let in after them: they are watched before
		 * they ask, but perhaps the last. */
		for (int k = 0; k < LISTENERS; k++)
			ask(k);
		for (int k = 0; k < REFUSED; k++)
			ask_with(fds[k]);
	}
	await_heap(used, used + 64 * REFUSED * ROUNDS);
	manager_quit(m);
	rig_await_end();
}
END_TEST
#endif

/* Clients that have workers, which wait for the rest of a message. */
#define WAITING 120

static void
await_descriptors(int at_least, int at_most)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);
	int n = unit_descriptors();

	for (; n < at_least || n > at_most; n = unit_descriptors())
		HOLDS(moment_before(clock_now(), until),
		    "%d descriptors are open", n);
}

START_TEST(who_waits_at_the_door_has_been_lent_nothing)
{
	const int before = unit_descriptors();
	int fds[WAITING];

	rig_start();
	for (int i = 0; i < WAITING; i++) {
		fds[i] = rig_connect(0);
		HOLDS(sock_send_all(fds[i], "", 1) == 0, "send");
	}
	/* Either end of the socket, and what each is lent. */
	await_descriptors(before + (2 + WAKER_LENT) * WAITING, INT_MAX);
	for (int i = 0; i < WAITING; i++)
		close(fds[i]);
	await_descriptors(0, before + WAKER_KEPT_MAX * WAKER_LENT);
	manager_quit(m);
	rig_await_end();
}
END_TEST

/* In one of the ways that end a listening socket, by who shares it. */
START_TEST(a_socket_that_is_shut_is_left_alone) ROLE_UNCHECKED
{
	static const int how[] = { SHUT_RD, SHUT_RDWR };
	char text[SOCK_ADDR_TEXT_MAX];
	int64_t spent;

	rig_start();
	ask(0);
	ask(1);
	ck_assert_int_eq(shutdown(sockets[_i / 2], how[_i % 2]), 0);
	HOLDS(waker_wait(told, UNIT_PATIENCE_MS), "nothing is told");
	HOLDS(strstr(last_telling, sock_local_text(text, sockets[_i / 2])) !=
	    NULL, "told is '%s'", last_telling);
	spent = cpu_ms();
	HOLDS(!waker_wait(told, PEACE_MS), "told is more than once");
	HOLDS(cpu_ms() - spent < PEACE_MS / 2, "it spins");
	for (int i = 0; i < 3; i++)
		ask(1 - _i / 2);
	manager_quit(m);
	rig_await_end();
}
END_TEST

/* What waits for ever at such a socket is nobody. */
START_TEST(a_socket_that_is_shut_does_not_keep_it)
{
	rig_start();
	ck_assert_int_eq(shutdown(sockets[_i], SHUT_RDWR), 0);
	HOLDS(waker_wait(told, UNIT_PATIENCE_MS), "nothing is told");
	manager_exit_if_idle(m);
	rig_await_end();
}
END_TEST

/* ---- A crowd ---- */

/* More than are let in at a time: another thread goes on with them, if there is
 * one. */
#define CROWD 40

START_TEST(a_crowd_is_let_in)
{
	int fds[CROWD];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CROWD; i++)
			fds[i] = rig_connect(_i);
		if (round == 0)
			rig_start(); /* so these come all at once */
		for (int i = CROWD; i-- > 0;)
			ask_with(fds[i]);
		ask(_i);
	}
	manager_quit(m);
	rig_await_end();
}
END_TEST

static TCase *
cases(const char *name, SFun prepare)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, prepare, teardown);
	tcase_add_test(tc, after_a_pause_its_thread_is_not_needed);
	tcase_add_test(tc, a_thread_begins_with_a_few_in_a_row);
	tcase_add_loop_test(tc, a_crowd_is_let_in, 0, LISTENERS);
	tcase_add_test(tc, sockets_and_clients_share_the_descriptors);
	tcase_add_test(tc, a_socket_that_ends_makes_room);
#ifdef __GLIBC__
	tcase_add_test(tc, who_is_refused_leaves_nothing_behind);
#endif
	tcase_add_test(tc, who_waits_at_the_door_has_been_lent_nothing);
	tcase_add_loop_test(tc, a_socket_that_is_shut_is_left_alone, 0,
	    2 * LISTENERS);
	tcase_add_loop_test(tc, a_socket_that_is_shut_does_not_keep_it, 0,
	    LISTENERS);
	return tc;
}

/* Of either end of many sockets, before a manager shares out what there is: some
 * systems give a process 256. */
static void
want_descriptors(void)
{
	const rlim_t wanted = 1024;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= wanted)
		return;
	files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &files);
}

int
main(void)
{
	Suite *s = suite_create("daemon/workers");

#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
	want_descriptors();
	suite_add_tcase(s, cases("doors", setup));
#ifdef __linux__ /* where there are pollers */
	suite_add_tcase(s, cases("entrances", setup_polled));
#endif
	return unit_run(s);
}
