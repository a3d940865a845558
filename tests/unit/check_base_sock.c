/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

#include "base/clock.h"
#include "base/sock.h"
#include "unit.h"

/* ---- UNIX sockets ---- */

static char dir[] = "/tmp/check_base_sock.XXXXXX";
static struct sock_addr where; /* a path in `dir` */
static struct cause why;

static void
make_dir(void)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	memset(&where, 0, sizeof where);
	where.is_unix = true;
	snprintf(where.path, sizeof where.path, "%s/s", dir);
	why.text[0] = '\0';
}

static void
remove_dir(void)
{
	unlink(where.path);
	rmdir(dir);
}

static void
assert_closes_on_exec(int fd)
{
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* What the socket itself tells is the address that it was given. */
static void
assert_is_called(int fd, const struct sock_addr *addr)
{
	char text[SOCK_ADDR_TEXT_MAX], wanted[SOCK_ADDR_TEXT_MAX];

	ck_assert_str_eq(sock_local_text(text, fd),
	    sock_addr_text(wanted, addr));
}

/* Connects, accepts, and sends a byte each way. */
static void
assert_talks(int listener, const struct sock_addr *addr)
{
	const int client = sock_connect(addr, UNIT_PATIENCE_MS, &why);
	int server;
	char c;

	HOLDS(client >= 0, "%s", why.text);
	assert_closes_on_exec(client);
	ck_assert_int_eq(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
	server = accept(listener, NULL, NULL);
	ck_assert_int_ge(server, 0);
	ck_assert_int_eq(sock_send_all(client, "a", 1), 0);
	ck_assert_int_eq(sock_recv_all(server, &c, 1), 0);
	ck_assert_int_eq(c, 'a');
	ck_assert_int_eq(sock_send_all(server, "b", 1), 0);
	ck_assert_int_eq(sock_recv_all(client, &c, 1), 0);
	ck_assert_int_eq(c, 'b');
	close(client);
	close(server);
}

START_TEST(a_unix_server_listens_with_its_mode)
{
	struct stat st;
	int fd;

	umask(077);
	fd = sock_listen(&where, 0640, 8, &why);
	HOLDS(fd >= 0, "%s", why.text);
	assert_closes_on_exec(fd);
	ck_assert_int_eq(stat(where.path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_uint_eq(sock_local_port(fd), 0);
	assert_is_called(fd, &where);
	assert_talks(fd, &where);
	close(fd);
}
END_TEST

START_TEST(the_socket_of_a_server_that_is_gone_is_replaced)
{
	int fd = sock_listen(&where, 0600, 8, &why);

	ck_assert_int_ge(fd, 0);
	close(fd); /* its file stays */
	ck_assert_int_eq(access(where.path, F_OK), 0);
	fd = sock_listen(&where, 0600, 8, &why);
	HOLDS(fd >= 0, "%s", why.text);
	assert_talks(fd, &where);
	close(fd);
}
END_TEST

static void
assert_busy(void)
{
	char sentence[256];

	ck_assert_int_eq(sock_listen(&where, 0600, 8, &why), -1);
	snprintf(sentence, sizeof sentence, "socket %s is busy: another daemon "
	    "answers there; stop it or choose another socket", where.path);
	ck_assert_str_eq(why.text, sentence);
}

START_TEST(a_live_server_is_left_alone)
{
	const int fd = sock_listen(&where, 0600, 8, &why);
	int knock;

	ck_assert_int_ge(fd, 0);
	assert_busy();
	/* It sees somebody who came and left, and still serves. */
	knock = accept(fd, NULL, NULL);
	ck_assert_int_ge(knock, 0);
	close(knock);
	assert_talks(fd, &where);
	close(fd);
}
END_TEST

/* Takes the places in a listening socket's queue; -1 closes the list. */
static void
fill_backlog(const struct sock_addr *addr, int fds[16])
{
	int n = 0;

	while (n < 15 && (fds[n] = sock_connect(addr, 200, &why)) >= 0)
		n++;
	HOLDS(n < 15, "the queue does not fill");
	fds[n] = -1;
}

static void
close_all(const int *fds)
{
	while (*fds >= 0)
		close(*fds++);
}

START_TEST(a_server_that_is_stopped_is_busy_too)
{
	const int fd = sock_listen(&where, 0600, 0, &why);
	int fds[16];

	ck_assert_int_ge(fd, 0);
	fill_backlog(&where, fds);
	/* Must neither hang nor take the path away. */
	assert_busy();
	close_all(fds);
	close(fd);
}
END_TEST

static void
assert_refused_and_kept(const char *error)
{
	char sentence[256];
	struct stat before, after;

	ck_assert_int_eq(lstat(where.path, &before), 0);
	ck_assert_int_eq(sock_listen(&where, 0600, 8, &why), -1);
	snprintf(sentence, sizeof sentence, "socket %s: %s", where.path, error);
	ck_assert_str_eq(why.text, sentence);
	ck_assert_int_eq(lstat(where.path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_uint_eq(before.st_mode, after.st_mode);
}

START_TEST(a_file_is_not_taken_for_a_socket)
{
	const int fd = open(where.path, O_CREAT | O_WRONLY, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
	assert_refused_and_kept("File exists");
}
END_TEST

START_TEST(a_folder_is_not_taken_for_a_socket)
{
	ck_assert_int_eq(mkdir(where.path, 0700), 0);
	assert_refused_and_kept("File exists");
	rmdir(where.path);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	ck_assert_int_eq(symlink("elsewhere", where.path), 0);
	assert_refused_and_kept("File exists");
}
END_TEST

/* As /dev/log is one: it does not answer a stream, but somebody owns it. */
START_TEST(a_datagram_socket_is_not_stale)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(un.sun_path, where.path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_refused_and_kept("Protocol wrong type for socket");
	close(fd);
}
END_TEST

START_TEST(a_missing_folder_is_named)
{
	char sentence[256];

	snprintf(where.path, sizeof where.path, "%s/none/s", dir);
	ck_assert_int_eq(sock_listen(&where, 0600, 8, &why), -1);
	snprintf(sentence, sizeof sentence,
	    "socket %s: No such file or directory", where.path);
	ck_assert_str_eq(why.text, sentence);
}
END_TEST

#ifdef __linux__
/* Clients wait for the daemon with inotify: a rename would be missed. */
START_TEST(the_socket_is_created_under_its_name)
{
	const int watch = inotify_init1(IN_NONBLOCK);
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e = (void *)buf;
	int fd;

	ck_assert_int_ge(inotify_add_watch(watch, dir, IN_CREATE | IN_MOVED_TO),
	    0);
	fd = sock_listen(&where, 0600, 8, &why);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(read(watch, buf, sizeof buf), 0);
	ck_assert_uint_eq(e->mask, IN_CREATE);
	ck_assert_str_eq(e->name, "s");
	close(fd);
	close(watch);
}
END_TEST
#endif

#ifdef __linux__
START_TEST(a_name_without_a_file_is_told)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0name" };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[SOCK_ADDR_TEXT_MAX];

	ck_assert_str_eq(sock_local_text(text, fd), "unix:");
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un,
	    offsetof(struct sockaddr_un, sun_path) + 5), 0);
	ck_assert_str_eq(sock_local_text(text, fd), "unix:@name");
	close(fd);
	ck_assert_str_eq(sock_local_text(text, fd), "?:?");
}
END_TEST
#endif

/* ---- TCP ---- */

static int
listen_on_loopback(int backlog, struct sock_addr *addr)
{
	int fd;

	ck_assert_int_eq(sock_addr_parse(addr, "127.0.0.1:0", NULL, &why), 0);
	fd = sock_listen(addr, 0, backlog, &why);
	HOLDS(fd >= 0, "%s", why.text);
	snprintf(addr->port, sizeof addr->port, "%u", sock_local_port(fd));
	ck_assert_str_ne(addr->port, "0");
	return fd;
}

START_TEST(a_tcp_server_listens_and_talks)
{
	struct sock_addr addr;
	const int fd = listen_on_loopback(8, &addr);

	assert_closes_on_exec(fd);
	assert_is_called(fd, &addr);
	assert_talks(fd, &addr);
	close(fd);
}
END_TEST

START_TEST(small_messages_do_not_wait_for_more)
{
	struct sock_addr addr;
	const int fd = listen_on_loopback(8, &addr);
	const int client = sock_connect(&addr, UNIT_PATIENCE_MS, &why);
	int on = 0;
	socklen_t len = sizeof on;

	ck_assert_int_eq(getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, &len),
	    0);
	ck_assert_int_ne(on, 0);
	sock_set_keepalive(client);
	on = 0;
	ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, &len),
	    0);
	ck_assert_int_ne(on, 0);
	close(client);
	close(fd);
}
END_TEST

START_TEST(a_taken_port_is_named)
{
	struct sock_addr addr;
	const int fd = listen_on_loopback(8, &addr);
	char sentence[256];

	ck_assert_int_eq(sock_listen(&addr, 0, 8, &why), -1);
	snprintf(sentence, sizeof sentence, "cannot listen on 127.0.0.1 port "
	    "%s: Address already in use", addr.port);
	ck_assert_str_eq(why.text, sentence);
	close(fd);
}
END_TEST

START_TEST(nobody_there_is_said_at_once)
{
	struct sock_addr addr;
	char sentence[400];

	close(listen_on_loopback(8, &addr));
	ck_assert_int_eq(sock_connect(&addr, UNIT_PATIENCE_MS, &why), -1);
	snprintf(sentence, sizeof sentence, "cannot connect to 127.0.0.1:%s: "
	    "Connection refused", addr.port);
	ck_assert_str_eq(why.text, sentence);
	ck_assert_int_eq(sock_connect(&where, UNIT_PATIENCE_MS, &why), -1);
	ck_assert_int_eq(errno, ENOENT);
	snprintf(sentence, sizeof sentence, "cannot connect to unix:%s: "
	    "No such file or directory", where.path);
	ck_assert_str_eq(why.text, sentence);
}
END_TEST

/* `addr` is of a server that has a full queue and accepts nobody. */
static void
assert_times_out(const struct sock_addr *addr)
{
	const struct moment begun = clock_now();
	int64_t ms;

	ck_assert_int_eq(sock_connect(addr, 150, &why), -1);
	ms = moment_ms_between(begun, clock_now());
	HOLDS(ms >= 149 && ms < UNIT_PATIENCE_MS, "took %lld ms", (long long)ms);
	ck_assert_ptr_nonnull(strstr(why.text, ": Connection timed out"));
}

START_TEST(a_connect_ends_when_its_time_is_over)
{
	struct sock_addr addr;
	int fds[16], fd = listen_on_loopback(0, &addr);

	fill_backlog(&addr, fds);
	assert_times_out(&addr);
	close_all(fds);
	close(fd);
	fd = sock_listen(&where, 0600, 0, &why);
	ck_assert_int_ge(fd, 0);
	fill_backlog(&where, fds);
	assert_times_out(&where);
	close_all(fds);
	close(fd);
}
END_TEST

/* ---- Sending and receiving ---- */

static void
on_alarm(int number)
{
	(void)number;
}

struct trickle {
	int fd;
	pthread_t reader; /* whose calls are interrupted */
};

/* Byte by byte, with a signal before each. */
static void *
trickle_main(void *arg)
{
	const struct trickle *t = arg;

	for (int i = 0; i < 100; i++) {
		const char c = (char)i;

		pthread_kill(t->reader, SIGALRM);
		HOLDS(send(t->fd, &c, 1, 0) == 1, "send");
	}
	return NULL;
}

START_TEST(all_is_received_although_signals_come)
{
	const struct sigaction sa = { .sa_handler = on_alarm };
	struct trickle t = { .reader = pthread_self() };
	pthread_t sender;
	int fds[2];
	char got[100];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
	t.fd = fds[1];
	ck_assert_int_eq(pthread_create(&sender, NULL, trickle_main, &t), 0);
	ck_assert_int_eq(sock_recv_all(fds[0], got, sizeof got), 0);
	pthread_join(sender, NULL);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(got[i], i);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

#define BULK (4 << 20)

static void *
receive_bulk(void *arg)
{
	const int fd = *(int *)arg;
	uint8_t *got = malloc(BULK);

	HOLDS(sock_recv_all(fd, got, BULK) == 0, "receive");
	for (size_t i = 0; i < BULK; i++)
		HOLDS(got[i] == (uint8_t)(i * 7 >> 3), "byte %zu", i);
	free(got);
	return NULL;
}

START_TEST(more_than_a_socket_holds_is_sent_whole)
{
	uint8_t *bytes = malloc(BULK);
	pthread_t receiver;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (size_t i = 0; i < BULK; i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	ck_assert_int_eq(pthread_create(&receiver, NULL, receive_bulk, &fds[1]),
	    0);
	ck_assert_int_eq(sock_send_all(fds[0], bytes, BULK), 0);
	pthread_join(receiver, NULL);
	free(bytes);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_peer_that_leaves_is_an_error_and_no_signal)
{
	int fds[2];
	char got[4];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(sock_send_all(fds[1], "abc", 3), 0);
	ck_assert_int_eq(sock_send_all(fds[1], NULL, 0), 0);
	close(fds[1]);
	errno = 0;
	ck_assert_int_eq(sock_recv_all(fds[0], got, sizeof got), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(sock_recv_all(fds[0], got, 0), 0);
	ck_assert_int_eq(sock_send_all(fds[0], "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(fds[0]);
	ck_assert_int_eq(sock_recv_all(fds[0], got, 1), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(blocking_mode_is_set_and_taken_back)
{
	int fds[2];
	char c;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(sock_set_nonblocking(fds[0], true), 0);
	ck_assert_int_eq(recv(fds[0], &c, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(sock_set_nonblocking(fds[0], false), 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(sock_set_nonblocking(fds[0], true), -1);
	ck_assert_uint_eq(sock_local_port(fds[0]), 0);
}
END_TEST

static TCase *
case_of_unix(void)
{
	TCase *tc = tcase_create("unix");

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, a_unix_server_listens_with_its_mode);
	tcase_add_test(tc, the_socket_of_a_server_that_is_gone_is_replaced);
	tcase_add_test(tc, a_live_server_is_left_alone);
	tcase_add_test(tc, a_server_that_is_stopped_is_busy_too);
	tcase_add_test(tc, a_file_is_not_taken_for_a_socket);
	tcase_add_test(tc, a_folder_is_not_taken_for_a_socket);
	tcase_add_test(tc, a_link_is_not_followed);
	tcase_add_test(tc, a_datagram_socket_is_not_stale);
	tcase_add_test(tc, a_missing_folder_is_named);
#ifdef __linux__
	tcase_add_test(tc, the_socket_is_created_under_its_name);
	tcase_add_test(tc, a_name_without_a_file_is_told);
#endif
	return tc;
}

static TCase *
case_of_tcp(void)
{
	TCase *tc = tcase_create("tcp and bytes");

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, a_tcp_server_listens_and_talks);
	tcase_add_test(tc, small_messages_do_not_wait_for_more);
	tcase_add_test(tc, a_taken_port_is_named);
	tcase_add_test(tc, nobody_there_is_said_at_once);
	tcase_add_test(tc, a_connect_ends_when_its_time_is_over);
	tcase_add_test(tc, all_is_received_although_signals_come);
	tcase_add_test(tc, more_than_a_socket_holds_is_sent_whole);
	tcase_add_test(tc, a_peer_that_leaves_is_an_error_and_no_signal);
	tcase_add_test(tc, blocking_mode_is_set_and_taken_back);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("base/sock");

	suite_add_tcase(s, case_of_unix());
	suite_add_tcase(s, case_of_tcp());
	return unit_run(s);
}
