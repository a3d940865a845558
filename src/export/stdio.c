/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor/thread.h"
#include "base/sock.h"

/* Large enough for a whole transfer of the usual size with its head. */
#define PIECE 65536

/* Of both threads, which may still be there when main() returns. */
static struct relay {
	int fd; /* our end; the engine has the other one */
	void (*peer_gone)(void *arg);
	void *arg;
} relay;

/* Standard input to the engine, then a half-close. */
static void *
input_main(void *arg)
{
	static char bytes[PIECE];
	ssize_t n;

	(void)arg;
	while ((n = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || sock_send_all(relay.fd, bytes, (size_t)n) < 0)
			break;
	}
	shutdown(relay.fd, SHUT_WR);
	return NULL;
}

static bool
write_all(const char *bytes, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Waits for the engine.  False: nobody reads standard output any more, which
 * would otherwise only be seen when there is something to write. */
static bool
await_engine(void)
{
	struct pollfd pfd[] = { { .fd = relay.fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO } };

	while (poll(pfd, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return pfd[1].revents == 0;
}

/* The engine to standard output, until either ends. */
static void *
output_main(void *arg)
{
	static char bytes[PIECE];
	ssize_t n;

	(void)arg;
	while (await_engine() &&
	    (n = recv(relay.fd, bytes, sizeof bytes, 0)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || !write_all(bytes, (size_t)n))
			break;
	}
	shutdown(relay.fd, SHUT_RDWR);
	relay.peer_gone(relay.arg);
	return NULL;
}

static bool
are_one_socket(void)
{
	struct stat in, out;

	return fstat(STDIN_FILENO, &in) == 0 &&
	    fstat(STDOUT_FILENO, &out) == 0 && S_ISSOCK(in.st_mode) &&
	    in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

static int
start_relay(struct cause *why)
{
	struct thread thread;
	int ends[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return cause_set(why, "standard input and output cannot be "
		    "served: %s", strerror(errno));
	relay.fd = ends[0];
	error = thread_start(&thread, "stdio-in", input_main, NULL);
	if (error == 0) {
		thread_detach(&thread);
		error = thread_start(&thread, "stdio-out", output_main, NULL);
	}
	if (error == 0) {
		thread_detach(&thread);
		return ends[1];
	}
	close(ends[1]);
	return cause_set(why, "cannot start a thread: %s", strerror(error));
}

int
stdio_open(void (*peer_gone)(void *arg), void *arg, bool *relayed,
    struct cause *why)
{
	int fd;

	*relayed = !are_one_socket();
	relay.peer_gone = peer_gone;
	relay.arg = arg;
	if (*relayed)
		return start_relay(why);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd >= 0 ? fd : cause_set(why, "standard input: %s",
	    strerror(errno));
}
