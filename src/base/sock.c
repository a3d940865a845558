/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static int
parse_port(char out[6], const char *text, struct cause *why)
{
	char *end;
	const unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || port > 65535)
		return cause_set(why, "'%s' is not a port number", text);
	snprintf(out, 6, "%u", (unsigned)(uint16_t)port);
	return 0;
}

static int
parse_unix(struct sock_addr *out, const char *path, struct cause *why)
{
	if (*path == '\0' || strlen(path) >= sizeof out->path)
		return cause_set(why,
		    "'%s': a socket path has 1 to %zu characters", path,
		    sizeof out->path - 1);
	out->is_unix = true;
	strcpy(out->path, path);
	return 0;
}

int
sock_addr_parse(struct sock_addr *out, const char *text,
    const char *default_port, struct cause *why)
{
	const char *host = text, *host_end, *port;

	memset(out, 0, sizeof *out);
	if (strncmp(text, "unix:", 5) == 0 || strncmp(text, "UNIX:", 5) == 0)
		return parse_unix(out, text + 5, why);
	if (strchr(text, '/') != NULL)
		return parse_unix(out, text, why);

	if (*text == '[') {
		host = text + 1;
		host_end = strchr(host, ']');
		if (host_end == NULL)
			return cause_set(why, "'%s': ']' is missing", text);
		port = host_end + 1;
	} else {
		host_end = text + strcspn(text, ":");
		port = host_end;
		if (*port == ':' && strchr(port + 1, ':') != NULL)
			return cause_set(why, "'%s': write an IPv6 address as "
			    "[V6]:PORT", text);
	}
	if (host_end == host || (size_t)(host_end - host) >= sizeof out->host)
		return cause_set(why, "'%s' names no host", text);
	memcpy(out->host, host, (size_t)(host_end - host));

	if (*port == ':')
		return parse_port(out->port, port + 1, why);
	if (*port != '\0' || default_port == NULL)
		return cause_set(why, "'%s': expected HOST:PORT or unix:PATH",
		    text);
	return parse_port(out->port, default_port, why);
}

const char *
sock_addr_text(char out[SOCK_ADDR_TEXT_MAX], const struct sock_addr *addr)
{
	if (addr->is_unix)
		snprintf(out, SOCK_ADDR_TEXT_MAX, "unix:%s", addr->path);
	else if (strchr(addr->host, ':') != NULL)
		snprintf(out, SOCK_ADDR_TEXT_MAX, "[%s]:%s", addr->host,
		    addr->port);
	else
		snprintf(out, SOCK_ADDR_TEXT_MAX, "%s:%s", addr->host,
		    addr->port);
	return out;
}

static struct sockaddr_un
unix_name(const struct sock_addr *addr)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	memcpy(un.sun_path, addr->path,
	    strlen(addr->path) < sizeof un.sun_path ? strlen(addr->path)
						    : sizeof un.sun_path - 1);
	return un;
}

static int
open_socket(int family)
{
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	/* A relay of small messages must not wait for a full segment. */
	if (fd >= 0 && family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int
close_with(int fd, int error)
{
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* Whether a server listens at `un`: 1, 0, or -1 with errno when it cannot be
 * told.  Does not wait: one whose queue is full is there, too. */
static int
is_served(const struct sockaddr_un *un)
{
	const int fd = open_socket(AF_UNIX);
	int error = 0;

	if (fd < 0)
		return -1;
	if (sock_set_nonblocking(fd, true) < 0 ||
	    connect(fd, (const struct sockaddr *)un, sizeof *un) < 0)
		error = errno;
	close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	errno = error;
	return error == 0 || error == EAGAIN ? 1 : -1;
}

/* Removes the socket file of a server that has gone, and nothing else. */
static int
remove_stale(const struct sockaddr_un *un)
{
	struct stat st;
	int served;

	if (lstat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	served = is_served(un);
	if (served > 0)
		errno = EADDRINUSE;
	if (served != 0)
		return -1;
	return unlink(un->sun_path) == 0 || errno == ENOENT ? 0 : -1;
}

static int
listen_unix(const struct sock_addr *addr, mode_t mode, int backlog,
    struct cause *why)
{
	const struct sockaddr_un un = unix_name(addr);
	int fd = -1;

	if (remove_stale(&un) < 0) {
		if (errno == EADDRINUSE)
			return cause_set(why, "socket %s is busy: another "
			    "daemon answers there; stop it or choose another "
			    "socket", addr->path);
		return cause_set(why, "socket %s: %s", addr->path,
		    strerror(errno));
	}
	fd = open_socket(AF_UNIX);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&un, sizeof un) < 0 ||
	    chmod(addr->path, mode) < 0 || listen(fd, backlog) < 0) {
		cause_set(why, "socket %s: %s", addr->path, strerror(errno));
		return close_with(fd, errno);
	}
	return fd;
}

static struct addrinfo *
resolve(const struct sock_addr *addr, int flags, struct cause *why)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *found;
	const int rc = getaddrinfo(addr->host, addr->port, &hints, &found);

	if (rc != 0) {
		cause_set(why, "host %s: %s", addr->host, gai_strerror(rc));
		return NULL;
	}
	return found;
}

static int
listen_tcp(const struct sock_addr *addr, int backlog, struct cause *why)
{
	struct addrinfo *ai = resolve(addr, AI_PASSIVE, why);
	const int on = 1;
	int fd;

	if (ai == NULL)
		return -1;
	fd = open_socket(ai->ai_family);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, backlog) < 0) {
		cause_set(why, "cannot listen on %s port %s: %s", addr->host,
		    addr->port, strerror(errno));
		fd = close_with(fd, errno);
	}
	freeaddrinfo(ai);
	return fd;
}

int
sock_listen(const struct sock_addr *addr, mode_t mode, int backlog,
    struct cause *why)
{
	return addr->is_unix ? listen_unix(addr, mode, backlog, why)
			     : listen_tcp(addr, backlog, why);
}

/* Connects within the time that is left until `deadline`. */
static int
connect_until(int fd, const struct sockaddr *sa, socklen_t len,
    struct moment deadline, int cancel_fd)
{
	struct pollfd pfd[2] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = cancel_fd, .events = POLLIN }, /* -1: left out */
	};
	int error = 0, n;
	socklen_t size = sizeof error;

	if (sock_set_nonblocking(fd, true) < 0)
		return -1;
	if (connect(fd, sa, len) < 0) {
		if (errno != EINPROGRESS && errno != EAGAIN)
			return -1;
		do
			n = poll(pfd, 2,
			    moment_poll_timeout(clock_now(), deadline));
		while (n < 0 && errno == EINTR);
		if (n == 0)
			errno = ETIMEDOUT;
		if (n > 0 && pfd[0].revents == 0) {
			errno = ECANCELED;
			return -1;
		}
		if (n <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error,
				  &size) < 0)
			return -1;
		if (error != 0) {
			errno = error;
			return -1;
		}
	}
	return sock_set_nonblocking(fd, false);
}

/*
 * A connect to a busy UNIX server waits for a place in its queue.  In
 * non-blocking mode it fails with EAGAIN instead, and poll() cannot tell when
 * to try again; so it blocks, within the time limit that sends have.
 */
static int
connect_unix_until(int fd, const struct sockaddr_un *un,
    struct moment deadline)
{
	const struct timeval none = { 0 };
	int rc;

	do {
		const int ms = moment_poll_timeout(clock_now(), deadline);
		const struct timeval left = { ms / 1000, ms % 1000 * 1000 };

		if (ms == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, ms > 0 ? &left : &none,
		    sizeof left);
		rc = connect(fd, (const struct sockaddr *)un, sizeof *un);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
	return 0;
}

int
sock_connect(const struct sock_addr *addr, int timeout_ms, struct cause *why)
{
	return sock_connect_or_cancel(addr, timeout_ms, -1, why);
}

int
sock_connect_or_cancel(const struct sock_addr *addr, int timeout_ms,
    int cancel_fd, struct cause *why)
{
	const struct moment deadline = timeout_ms < 0
	    ? MOMENT_NEVER
	    : moment_after_ms(clock_now(), timeout_ms);
	char text[SOCK_ADDR_TEXT_MAX];
	struct addrinfo *found = NULL;
	int fd = -1, error;

	if (addr->is_unix) {
		const struct sockaddr_un un = unix_name(addr);

		fd = open_socket(AF_UNIX);
		if (fd >= 0 && connect_unix_until(fd, &un, deadline) < 0)
			fd = close_with(fd, errno);
	} else {
		found = resolve(addr, 0, why);
		if (found == NULL) {
			errno = 0;
			return -1;
		}
	}
	for (struct addrinfo *ai = found; ai != NULL && fd < 0;
	     ai = ai->ai_next) {
		fd = open_socket(ai->ai_family);
		if (fd >= 0 && connect_until(fd, ai->ai_addr, ai->ai_addrlen,
				   deadline, cancel_fd) < 0) {
			fd = close_with(fd, errno);
			if (errno == ECANCELED)
				break;
		}
	}
	error = errno;
	if (fd < 0)
		cause_set(why, "cannot connect to %s: %s",
		    sock_addr_text(text, addr), strerror(error));
	if (found != NULL)
		freeaddrinfo(found);
	errno = error;
	return fd;
}

uint16_t
sock_local_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return 0;
	if (ss.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&ss)->sin_port);
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return 0;
}

/* "@name" for one without a file. */
static void
copy_path(char out[108], const struct sockaddr_un *un, socklen_t len)
{
	const size_t at = offsetof(struct sockaddr_un, sun_path);
	const size_t n = len > at ? len - at : 0;

	memcpy(out, un->sun_path, n < 107 ? n : 107);
	out[n < 107 ? n : 107] = '\0';
	if (n > 1 && out[0] == '\0')
		out[0] = '@';
}

const char *
sock_local_text(char out[SOCK_ADDR_TEXT_MAX], int fd)
{
	struct sockaddr_storage ss;
	struct sock_addr addr = { .host = "?", .port = "?" };
	socklen_t len = sizeof ss;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0) {
		addr.is_unix = ss.ss_family == AF_UNIX;
		if (addr.is_unix)
			copy_path(addr.path, (struct sockaddr_un *)&ss, len);
		else
			getnameinfo((struct sockaddr *)&ss, len, addr.host,
			    sizeof addr.host, addr.port, sizeof addr.port,
			    NI_NUMERICHOST | NI_NUMERICSERV);
	}
	return sock_addr_text(out, &addr);
}

int
sock_set_nonblocking(int fd, bool on)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL,
	    on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

void
sock_set_keepalive(int fd)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#ifdef TCP_KEEPIDLE
	{
		const int idle = 10, interval = 3, probes = 3;

		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
		    sizeof interval);
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes,
		    sizeof probes);
	}
#endif
#ifdef TCP_USER_TIMEOUT
	{
		const unsigned unacked_ms = 25000;

		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms,
		    sizeof unacked_ms);
	}
#endif
}

int
sock_send_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
sock_recv_all(int fd, void *bytes, size_t len)
{
	char *at = bytes;

	while (len > 0) {
		const ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
