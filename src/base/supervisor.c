/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"

/* The first descriptor that is passed: behind the standard ones. */
#define FIRST_FD 3

/* A variable's value as a number up to `max`; -1 when it is none. */
static long long
number(const char *text, long long max)
{
	char *end;
	long long value;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 && value <= max ? value : -1;
}

/* ---- Sockets ---- */

static bool
is_listening(int fd)
{
	int type = 0, listens = 0;
	socklen_t size = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    type != SOCK_STREAM)
		return false;
	size = sizeof listens;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
	    listens != 0;
}

/* Takes the name at the head of "NAME:NAME...", which may end early. */
static void
take_name(char *out, size_t size, const char **names)
{
	const size_t len = *names != NULL ? strcspn(*names, ":") : 0;

	snprintf(out, size, "%.*s", (int)len, *names != NULL ? *names : "");
	if (*names != NULL)
		*names = (*names)[len] == ':' ? *names + len + 1 : NULL;
}

static int
take_sockets(struct supervisor *s, struct cause *why)
{
	const char *names = getenv("LISTEN_FDNAMES");
	const long long count = number(getenv("LISTEN_FDS"), 1 << 20);

	if (number(getenv("LISTEN_PID"), 1LL << 40) != (long long)getpid() ||
	    count <= 0)
		return 0;
	if (count > SUPERVISOR_SOCKETS_MAX)
		return cause_set(why, "%lld sockets were passed; %d are "
		    "possible", count, SUPERVISOR_SOCKETS_MAX);
	for (int i = 0; i < count; i++) {
		struct supervisor_socket *to = &s->sockets[i];

		to->fd = FIRST_FD + i;
		take_name(to->name, sizeof to->name, &names);
		if (!is_listening(to->fd))
			return cause_set(why, "descriptor %d ('%s') was "
			    "passed as a socket, but is no listening stream "
			    "socket", to->fd, to->name);
		fcntl(to->fd, F_SETFD, FD_CLOEXEC);
		sock_set_nonblocking(to->fd, true);
		s->socket_count++;
	}
	return 0;
}

/* ---- News ---- */

/* A path, or an abstract name with '@' for its first byte. */
static void
find_notify(struct supervisor *s)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const size_t len = path != NULL ? strlen(path) : 0;

	s->notify_fd = -1;
	if (len < 2 || len >= sizeof s->notify.sun_path ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	s->notify.sun_family = AF_UNIX;
	memcpy(s->notify.sun_path, path, len);
	if (path[0] == '@')
		s->notify.sun_path[0] = '\0';
	s->notify_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	s->notify_fd =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void
find_watchdog(struct supervisor *s)
{
	const char *pid = getenv("WATCHDOG_PID");
	const long long usec = number(getenv("WATCHDOG_USEC"), 1LL << 40);

	if (usec <= 0 || s->notify_fd < 0 || (pid != NULL &&
	    number(pid, 1LL << 40) != (long long)getpid()))
		return;
	s->watchdog_ms = usec < 1000 ? 1 : (unsigned)(usec / 1000);
}

/* Sends with one descriptor, or with none (-1). */
static bool
send_state(const struct supervisor *s, const char *state, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)state, strlen(state) };
	struct sockaddr_un to = s->notify;
	struct msghdr msg = { .msg_name = &to, .msg_namelen = s->notify_len,
		.msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof control.bytes;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	return sendmsg(s->notify_fd, &msg, MSG_NOSIGNAL) >= 0;
}

bool
supervisor_notify(const struct supervisor *s, const char *state)
{
	if (s->notify_fd < 0 || send_state(s, state, -1))
		return true;
	/* One that has gone will never hear it. */
	return errno != EAGAIN && errno != ENOBUFS && errno != EINTR;
}

int
supervisor_mark(const struct supervisor *s)
{
	int fds[2];
	bool sent;

	if (s->notify_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	sent = send_state(s, "BARRIER=1", fds[1]);
	close(fds[1]);
	if (sent)
		return fds[0];
	close(fds[0]);
	return -1;
}

/* ---- Life ---- */

int
supervisor_init(struct supervisor *s, struct cause *why)
{
	static const char *const ours[] = { "LISTEN_PID", "LISTEN_FDS",
		"LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID",
		"WATCHDOG_USEC" };
	int rc;

	memset(s, 0, sizeof *s);
	find_notify(s);
	find_watchdog(s);
	rc = take_sockets(s, why);
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		unsetenv(ours[i]);
	return rc;
}

void
supervisor_fini(struct supervisor *s)
{
	if (s->notify_fd >= 0)
		close(s->notify_fd);
	s->notify_fd = -1;
}
