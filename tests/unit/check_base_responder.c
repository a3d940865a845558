/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/responder.h"
#include "base/sock.h"

/*
 * The socket of a small daemon.  A request is a line; "big" is answered with
 * more than a socket takes at once, "no" with the end, all else with itself.
 */

#define CLIENTS 4
#define BIG (4u * 1024 * 1024)
#define REQUEST_MAX 3000

static char dir[] = "/tmp/check_base_responder.XXXXXX";
static char path[sizeof dir + 8];
static struct responder *r;
static unsigned answered;

static size_t
measure(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = memchr(bytes, '\n', len);

	if (bytes[0] == '!')
		return RESPONDER_NONSENSE;
	return end != NULL ? (size_t)(end - bytes) + 1 : 0;
}

static uint8_t *
answer(void *arg, uint8_t *request, size_t len, size_t *answer_len)
{
	uint8_t *out;

	ck_assert_ptr_eq(arg, &answered);
	answered++;
	if (memcmp(request, "no\n", 3) == 0)
		return NULL;
	*answer_len = memcmp(request, "big\n", 4) == 0 ? BIG : len;
	out = malloc(*answer_len);
	ck_assert_ptr_nonnull(out);
	memset(out, 'x', *answer_len);
	if (*answer_len == len)
		memcpy(out, request, len);
	return out;
}

static const struct responder_ops ops = {
	.request_max = REQUEST_MAX, .measure = measure, .answer = answer,
};

static void
setup(void)
{
	struct cause why;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	answered = 0;
	r = responder_open(path, CLIENTS, &ops, &answered, &why);
	ck_assert_msg(r != NULL, "%s", why.text);
}

static void
teardown(void)
{
	responder_close(r);
	ck_assert_int_lt(access(path, F_OK), 0);
	rmdir(dir);
}

/* Serves as long as there is something to do; how many rounds that took. */
static unsigned
serve(void)
{
	struct pollfd pfd[CLIENTS + 1];
	unsigned rounds = 0;

	while (poll(pfd, (nfds_t)responder_pollfds(r, pfd), 0) > 0 &&
	    rounds < 10000) {
		responder_serve(r, pfd);
		rounds++;
	}
	return rounds;
}

static int
client(void)
{
	struct sock_addr addr = { .is_unix = true };
	struct cause why;
	int fd;

	strcpy(addr.path, path);
	fd = sock_connect(&addr, 5000, &why);
	ck_assert_msg(fd >= 0, "%s", why.text);
	return fd;
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(sock_send_all(fd, text, strlen(text)), 0);
}

/* What has come by now; "" at the end, NULL when there is nothing. */
static const char *
hear(int fd)
{
	static char text[REQUEST_MAX + 1];
	const ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	if (n < 0) {
		ck_assert(errno == EAGAIN || errno == ECONNRESET);
		return errno == EAGAIN ? NULL : "";
	}
	text[n] = '\0';
	return text;
}

START_TEST(requests_are_answered_in_their_order)
{
	const int fd = client();

	say(fd, "a\nbc\nd");
	serve();
	ck_assert_str_eq(hear(fd), "a\nbc\n");
	say(fd, "ef\n");
	serve();
	ck_assert_str_eq(hear(fd), "def\n");
	close(fd);
	serve();
	ck_assert_uint_eq(answered, 3);
}
END_TEST

START_TEST(who_has_said_all_still_gets_his_answers)
{
	const int fd = client();

	say(fd, "a\nb\n");
	shutdown(fd, SHUT_WR);
	serve();
	ck_assert_str_eq(hear(fd), "a\nb\n");
	ck_assert_str_eq(hear(fd), "");
	close(fd);
}
END_TEST

START_TEST(who_does_not_read_is_not_read_and_delays_nobody)
{
	const int slow = client(), other = client();
	size_t got = 0;
	const char *part;

	say(slow, "big\na\n");
	serve();
	ck_assert_uint_eq(answered, 1);
	say(other, "b\n");
	serve();
	ck_assert_str_eq(hear(other), "b\n");
	ck_assert_uint_eq(answered, 2);
	/* All of it, and then what it had asked behind it. */
	while (got < BIG + 2) {
		part = hear(slow);
		got += part != NULL ? strlen(part) : 0;
		serve();
	}
	ck_assert_uint_eq(got, BIG + 2);
	ck_assert_uint_eq(answered, 3);
	close(slow);
	close(other);
}
END_TEST

START_TEST(nonsense_and_refusals_end_that_client_only)
{
	static const char *const ends[] = { "!\n", "no\n", "a\n!", "!" };
	const int other = client();

	for (unsigned i = 0; i < 4; i++) {
		const int fd = client();

		say(fd, ends[i]);
		serve();
		if (i == 2)
			ck_assert_str_eq(hear(fd), "a\n");
		ck_assert_str_eq(hear(fd), "");
		close(fd);
	}
	say(other, "b\n");
	serve();
	ck_assert_str_eq(hear(other), "b\n");
	close(other);
}
END_TEST

START_TEST(a_request_has_a_longest)
{
	char line[REQUEST_MAX + 2];
	int fd = client();

	memset(line, 'a', sizeof line);
	line[REQUEST_MAX - 1] = '\n';
	line[REQUEST_MAX] = '\0';
	say(fd, line);
	serve();
	ck_assert_str_eq(hear(fd), line);
	line[REQUEST_MAX - 1] = 'a';
	line[REQUEST_MAX] = '\n';
	line[REQUEST_MAX + 1] = '\0';
	say(fd, line);
	serve();
	ck_assert_str_eq(hear(fd), "");
	close(fd);
}
END_TEST

START_TEST(more_clients_than_there_is_room_for_wait)
{
	int fd[CLIENTS + 2];

	for (int i = 0; i < CLIENTS + 2; i++) {
		fd[i] = client();
		say(fd[i], "a\n");
		serve();
	}
	ck_assert_uint_eq(answered, CLIENTS);
	close(fd[0]);
	close(fd[1]);
	serve();
	ck_assert_uint_eq(answered, CLIENTS + 2);
	for (int i = 2; i < CLIENTS + 2; i++) {
		ck_assert_str_eq(hear(fd[i]), "a\n");
		close(fd[i]);
	}
}
END_TEST

/* poll() would tell of him for ever. */
START_TEST(who_cannot_have_a_descriptor_is_hung_up_on)
{
	const int fd = client();
	struct rlimit files;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	/* The next descriptor would be the first beyond the limit. */
	files.rlim_cur = (rlim_t)dup(fd);
	close((int)files.rlim_cur);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_uint_lt(serve(), 10);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	ck_assert_str_eq(hear(fd), "");
	close(fd);
	ck_assert_uint_eq(answered, 0);
}
END_TEST

START_TEST(a_path_that_cannot_be_says_so)
{
	char longest[400];
	struct cause why;

	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ck_assert_ptr_null(responder_open(longest, 1, &ops, NULL, &why));
	ck_assert_ptr_nonnull(strstr(why.text, "characters at most"));
	ck_assert_ptr_null(responder_open("/nowhere/at/all", 1, &ops, NULL,
	    &why));
	ck_assert_ptr_nonnull(strstr(why.text, "/nowhere/at/all"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base_responder");
	TCase *tc = tcase_create("base_responder");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, requests_are_answered_in_their_order);
	tcase_add_test(tc, who_has_said_all_still_gets_his_answers);
	tcase_add_test(tc, who_does_not_read_is_not_read_and_delays_nobody);
	tcase_add_test(tc, nonsense_and_refusals_end_that_client_only);
	tcase_add_test(tc, a_request_has_a_longest);
	tcase_add_test(tc, more_clients_than_there_is_room_for_wait);
	tcase_add_test(tc, who_cannot_have_a_descriptor_is_hung_up_on);
	tcase_add_test(tc, a_path_that_cannot_be_says_so);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
