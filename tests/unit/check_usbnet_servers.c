/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the drop-in libusb makes of servers that are away, or odd. */

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sock.h"
#include "unit.h"
#include "usbip_stub.h"
#include "usbnet_rig.h"

static struct usbnet_rig r;

static int
count_devices(void)
{
	libusb_device **list;
	const int n = (int)libusb_get_device_list(r.ctx, &list);

	ck_assert_int_ge(n, 0);
	libusb_free_device_list(list, 1);
	return n;
}

/* ---- What it says on standard error ---- */

/* Standard error becomes a pipe.  Its reading end. */
static int
pipe_stderr(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	usbnet_set_servers("unix:/nowhere/at/all");
	unsetenv("USBNET_QUIET");
	return ends[0];
}

START_TEST(it_says_who_is_away)
{
	char text[300] = "";
	const int fd = pipe_stderr();

	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "usbnet: server unix:/nowhere/"));
	libusb_exit(r.ctx);
	close(fd);
}
END_TEST

START_TEST(nobody_reads_what_it_says)
{
	signal(SIGPIPE, SIG_DFL);
	close(pipe_stderr());
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	libusb_exit(r.ctx);
}
END_TEST

START_TEST(who_reads_what_it_says_has_stopped)
{
	const int fd = pipe_stderr();
	const char text[4096] = "";

	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (write(STDERR_FILENO, text, sizeof text) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, 0);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	libusb_exit(r.ctx);
	close(fd);
}
END_TEST

/* A daemon has closed its own, and another file has its number. */
START_TEST(standard_error_is_another_file)
{
	FILE *file = tmpfile();
	struct stat st;

	usbnet_serve(&r);
	unsetenv("USBNET_QUIET");
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	rig_unplug(&r.server, &r.dev);
	rig_device_fini(&r.dev);
	usbip_server_free(r.server.server);
	while (count_devices() > 0)
		;
	count_devices();
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	libusb_exit(r.ctx);
}
END_TEST

/* ---- A server of another make, in front of the rig's ---- */

/* Knows nothing but the operations of the kernel's server, and neither closes
 * nor answers when it is asked for something else.  All else goes on to the
 * rig's server, a thread for each connection. */
static struct odd {
	char path[64];
	int listener;
	unsigned repeats;      /* of a list */
	_Atomic bool empty;    /* it lists nothing */
	_Atomic int watcher;   /* who had the newest */
	_Atomic unsigned descriptions; /* asked for */
} odd;

static int
connect_rig(void)
{
	struct sock_addr addr;
	struct cause why;
	int fd;

	ck_assert_int_eq(sock_addr_parse(&addr, r.server.path, NULL, &why), 0);
	fd = sock_connect(&addr, 1000, &why);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Until one of them ends. */
static void
pass_on(int a, int b)
{
	struct pollfd pfd[2] = { { .fd = a, .events = POLLIN },
		{ .fd = b, .events = POLLIN } };
	uint8_t bytes[4096];

	while (poll(pfd, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (pfd[i].revents == 0)
				continue;
			n = recv(pfd[i].fd, bytes, sizeof bytes, 0);
			if (n <= 0 ||
			    sock_send_all(pfd[!i].fd, bytes, (size_t)n) < 0)
				return;
		}
}

/* So many connects that the next one gets no answer. */
static void
fill_line(const struct sockaddr *to, socklen_t len)
{
	for (int i = 0; i < 8; i++)
		connect(socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0),
		    to, len);
}

/* A list of the rig's, and no end of the connection. */
static void
send_list(int fd, int rig)
{
	uint8_t bytes[4096];
	size_t len = 0;
	ssize_t n;

	shutdown(rig, SHUT_WR);
	while ((n = recv(rig, bytes + len, sizeof bytes - len, 0)) > 0)
		len += (size_t)n;
	if (odd.empty) {
		len = USBIP_DEVLIST_HEAD_SIZE;
		memset(bytes + USBIP_OP_SIZE, 0, len - USBIP_OP_SIZE);
	}
	for (unsigned i = 0; i < odd.repeats; i++)
		sock_send_all(fd, bytes, len);
	odd.watcher = fd;
}

static void *
serve_one(void *arg)
{
	const int fd = (int)(intptr_t)arg, rig = connect_rig();
	uint8_t head[USBIP_OP_SIZE];
	struct usbip_op op = { 0 };

	if (sock_recv_all(fd, head, sizeof head) == 0)
		usbip_op_decode(&op, head);
	if (op.code == USBIP_REQ_DEVINFO) {
		odd.descriptions++;
	} else if (op.code == USBIP_REQ_DEVLIST) {
		op.status = 0;
		usbip_op_encode(head, &op);
		sock_send_all(rig, head, sizeof head);
		send_list(fd, rig);
	} else {
		sock_send_all(rig, head, sizeof head);
		pass_on(fd, rig);
		shutdown(fd, SHUT_RDWR);
	}
	while (recv(fd, head, sizeof head, 0) > 0)
		;
	close(rig);
	close(fd);
	return NULL;
}

static void *
serve(void *arg)
{
	pthread_t thread;
	int fd;

	while ((fd = accept(odd.listener, NULL, NULL)) >= 0)
		if (pthread_create(&thread, NULL, serve_one,
			(void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	return arg;
}

/* With the rig's device behind it; each process has one. */
static void
open_odd(void)
{
	struct sock_addr addr;
	struct cause why;
	pthread_t thread;
	char text[80];

	usbnet_serve(&r);
	odd.repeats = 1;
	snprintf(odd.path, sizeof odd.path, "/tmp/usbnet-odd-%d",
	    (int)getpid());
	snprintf(text, sizeof text, "unix:%s", odd.path);
	ck_assert_int_eq(sock_addr_parse(&addr, text, NULL, &why), 0);
	odd.listener = sock_listen(&addr, 0600, 64, &why);
	ck_assert_int_ge(odd.listener, 0);
	usbnet_set_servers(text);
	setenv("USBNET_TIMEOUT", "300", 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	pthread_detach(thread);
}

static void
close_odd(void)
{
	unlink(odd.path);
	usbnet_close(&r);
}

/* The device is asked in its place; the question is not repeated. */
START_TEST(it_does_not_know_descriptions)
{
	open_odd();
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	for (unsigned i = 1; i <= 3; i++) {
		r.h = libusb_open_device_with_vid_pid(r.ctx, USBNET_VENDOR,
		    USBNET_PRODUCT);
		ck_assert_ptr_nonnull(r.h);
		ck_assert_uint_eq(odd.descriptions, 1);
		ck_assert_uint_ge(usbnet_count(&r, &r.dev.submits), i);
		libusb_close(r.h);
		rig_await(&r.dev, &r.dev.released, i);
	}
	r.h = NULL;
	close_odd();
}
END_TEST

/* It keeps the connection as if it wanted to tell of changes; it never does. */
START_TEST(it_does_not_push_its_list)
{
	static struct rig_device second;

	open_odd();
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(count_devices(), 1);
	rig_device_init(&second, "3-2", 10);
	rig_plug(&r.server, &second);
	ck_assert_int_eq(count_devices(), 2);
	rig_unplug(&r.server, &second);
	rig_device_fini(&second);
	ck_assert_int_eq(count_devices(), 1);
	close_odd();
}
END_TEST

static _Atomic unsigned arrived;

static int
on_arrival(libusb_context *ctx, libusb_device *dev, libusb_hotplug_event event,
    void *user_data)
{
	(void)ctx;
	(void)dev;
	(void)user_data;
	arrived += event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED;
	return 0;
}

START_TEST(it_does_not_tell_of_changes)
{
	static struct rig_device second;

	open_odd();
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_hotplug_register_callback(r.ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, 0, LIBUSB_HOTPLUG_MATCH_ANY,
	    LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, on_arrival,
	    NULL, NULL), 0);
	rig_device_init(&second, "3-2", 10);
	rig_plug(&r.server, &second);
	usbnet_await_count(r.ctx, &arrived, 1);
	rig_unplug(&r.server, &second);
	rig_device_fini(&second);
	close_odd();
}
END_TEST

/* Its end is the end of its devices, at the first list already. */
START_TEST(it_dies)
{
	open_odd();
	odd.repeats = 2;
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	while (odd.watcher == 0)
		poll(NULL, 0, 1);
	ck_assert_int_eq(count_devices(), 1);
	ck_assert_int_eq(count_devices(), 1);
	unlink(odd.path);
	shutdown(odd.watcher, SHUT_RDWR);
	ck_assert_int_eq(count_devices(), 0);
	close_odd();
}
END_TEST

static void *
serve_late(void *arg)
{
	poll(NULL, 0, 200);
	return serve(arg);
}

/* It is there, with its line of connections full: not away. */
START_TEST(it_has_no_room_yet)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	pthread_t thread;

	usbnet_serve(&r);
	odd.repeats = 1;
	snprintf(odd.path, sizeof odd.path, "/tmp/usbnet-odd-%d",
	    (int)getpid());
	memcpy(un.sun_path, odd.path, sizeof odd.path);
	odd.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(odd.listener, (struct sockaddr *)&un, sizeof un),
	    0);
	ck_assert_int_eq(listen(odd.listener, 0), 0);
	setenv("USBNET_SERVERS", odd.path, 1);
	fill_line((struct sockaddr *)&un, sizeof un);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve_late, NULL), 0);
	pthread_detach(thread);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(count_devices(), 1);
	close_odd();
}
END_TEST

/* What had to be made up gives way to what the device says. */
START_TEST(descriptors_that_come_late)
{
	struct libusb_device_descriptor d;
	libusb_device **list;

	usbnet_serve(&r);
	r.dev.desc.info = NULL;
	usbip_server_update(r.server.server, &r.dev.dev, &r.dev.desc);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 1);
	ck_assert_int_eq(libusb_get_device_descriptor(list[0], &d), 0);
	ck_assert_uint_eq(d.iSerialNumber, 0);
	r.dev.desc.info = r.info;
	usbip_server_update(r.server.server, &r.dev.dev, &r.dev.desc);
	ck_assert_int_eq(libusb_open(list[0], &r.h), 0);
	ck_assert_int_eq(libusb_get_device_descriptor(list[0], &d), 0);
	ck_assert_uint_eq(d.iSerialNumber, 3);
	libusb_free_device_list(list, 1);
	usbnet_close(&r);
}
END_TEST

/* ---- The kernel's server, after a close ---- */

/* It leaves out what it is resetting: that has not left. */
START_TEST(just_closed_is_not_listed)
{
	libusb_device **list;

	open_odd();
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 1);
	ck_assert_int_eq(libusb_open(list[0], &r.h), 0);
	odd.empty = true;
	ck_assert_int_eq(count_devices(), 1);
	libusb_close(r.h);
	ck_assert_int_eq(count_devices(), 1);
	odd.empty = false;
	rig_await(&r.dev, &r.dev.released, 1);
	ck_assert_int_eq(libusb_open(list[0], &r.h), 0);
	libusb_free_device_list(list, 1);
	close_odd();
}
END_TEST

static void *
close_late(void *arg)
{
	poll(NULL, 0, 300);
	close((int)(intptr_t)arg);
	return NULL;
}

START_TEST(just_closed_is_busy)
{
	libusb_device **list;
	pthread_t thread;
	int fd;

	usbnet_serve(&r);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(libusb_get_device_list(r.ctx, &list), 1);
	ck_assert_int_eq(libusb_open(list[0], &r.h), 0);
	libusb_close(r.h);
	rig_await(&r.dev, &r.dev.released, 1);
	fd = rig_import(&r.server, &r.dev);
	ck_assert_int_eq(pthread_create(&thread, NULL, close_late,
	    (void *)(intptr_t)fd), 0);
	ck_assert_int_eq(libusb_open(list[0], &r.h), 0);
	pthread_join(thread, NULL);
	libusb_free_device_list(list, 1);
	usbnet_close(&r);
}
END_TEST

/* It imports, and serves no URB: nothing is open then. */
START_TEST(lost_while_it_is_opened)
{
	static struct usbip_stub stub;

	stub_open(&stub);
	stub_set(&stub, 0, "1-1", 3);
	usbnet_set_servers(stub.address);
	setenv("USBNET_TIMEOUT", "200", 1);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_ptr_null(libusb_open_device_with_vid_pid(r.ctx,
	    USBNET_VENDOR, USBNET_PRODUCT));
	libusb_exit(r.ctx);
	stub_close(&stub);
}
END_TEST

/* ---- Names ---- */

/* Stands in front of the C library's: what "two.test" is. */
static struct addrinfo answers[2];
static struct sockaddr_in addresses[2];
static int lookup_result;
static unsigned lookups;

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **out)
{
	(void)service;
	(void)hints;
	ck_assert_str_eq(node, "two.test");
	lookups++;
	*out = answers;
	return lookup_result;
}

void
freeaddrinfo(struct addrinfo *list)
{
	ck_assert_ptr_eq(list, answers);
}

static int
listen_tcp(int i, int backlog)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr *addr = (struct sockaddr *)&addresses[i];
	socklen_t len = sizeof addresses[i];

	addresses[i] = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, addr, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, addr, &len), 0);
	answers[i] = (struct addrinfo){ .ai_family = AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_addrlen = len,
		.ai_addr = addr,
		.ai_next = i == 0 ? &answers[1] : NULL };
	return fd;
}

START_TEST(the_first_address_is_a_black_hole)
{
	struct cause why;

	usbnet_serve(&r);
	listen_tcp(0, 0);
	fill_line(answers[0].ai_addr, answers[0].ai_addrlen);
	ck_assert_int_eq(usbip_server_listen(r.server.server,
	    listen_tcp(1, 16), &why), 0);
	usbnet_set_servers("two.test:1");
	setenv("USBNET_TIMEOUT", "1000", 1);
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	ck_assert_int_eq(count_devices(), 1);
	ck_assert_uint_eq(lookups, 1);
	usbnet_close(&r);
}
END_TEST

/* The resolver's timeouts are not paid for at each list. */
START_TEST(a_name_that_is_not_known)
{
	lookup_result = EAI_AGAIN;
	usbnet_set_servers("two.test:1");
	ck_assert_int_eq(libusb_init(&r.ctx), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(count_devices(), 0);
	ck_assert_uint_eq(lookups, 1);
	libusb_exit(r.ctx);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("usbnet servers");
	TCase *words = tcase_create("words");
	TCase *others = tcase_create("others");
	TCase *names = tcase_create("names");

	tcase_set_timeout(words, 2 * RIG_PATIENCE_S);
	tcase_add_test(words, it_says_who_is_away);
	tcase_add_test(words, nobody_reads_what_it_says);
	tcase_add_test(words, who_reads_what_it_says_has_stopped);
	tcase_add_test(words, standard_error_is_another_file);
	suite_add_tcase(s, words);
	tcase_set_timeout(others, 2 * RIG_PATIENCE_S);
	tcase_add_test(others, it_does_not_know_descriptions);
	tcase_add_test(others, it_does_not_push_its_list);
	tcase_add_test(others, it_does_not_tell_of_changes);
	tcase_add_test(others, it_dies);
	tcase_add_test(others, it_has_no_room_yet);
	tcase_add_test(others, descriptors_that_come_late);
	tcase_add_test(others, just_closed_is_not_listed);
	tcase_add_test(others, just_closed_is_busy);
	tcase_add_test(others, lost_while_it_is_opened);
	suite_add_tcase(s, others);
	tcase_set_timeout(names, 2 * RIG_PATIENCE_S);
	tcase_add_test(names, the_first_address_is_a_black_hole);
	tcase_add_test(names, a_name_that_is_not_known);
	suite_add_tcase(s, names);
	return unit_run(s);
}
