/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One server: connecting, asking, and being told, without waiting. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "usbip/importer.h"
#include "usbnet/bus_int.h"
#include "usbnet/events.h"

/* A server that does not push is asked this often, while somebody wants to
 * know. */
#define POLL_MS 1000
/* One that has too many connections waiting is tried again so soon. */
#define BUSY_MS 20
/* So many bytes in one go. */
#define RECEIVE_MAX 65536
/* A server that is away: pauses between attempts, growing up to the last. */
static const int away_pauses_ms[] = { 100, 200, 500, 1000, 2000, 5000 };
#define AWAY_PAUSES (sizeof away_pauses_ms / sizeof away_pauses_ms[0])

void
un_bus_stop(struct un_bus *b)
{
	const int fd = b->fd;

	if (fd < 0)
		return;
	b->fd = -1;
	b->state = UN_BUS_IDLE;
	close(fd);
}

/* Asks again after a pause, if somebody waits for news. */
static void
rest(struct un_bus *b, int ms)
{
	un_bus_stop(b);
	b->settled = true;
	b->deadline = b->ctx->callbacks != NULL
	    ? moment_after_ms(clock_now(), ms)
	    : MOMENT_NEVER;
	un_timer_set(b->ctx, b->deadline);
}

/* It may have moved, when it has been away for long. */
static void
forget_hosts(struct un_bus *b)
{
	if (b->hosts != NULL)
		freeaddrinfo(b->hosts);
	b->hosts = b->next_host = NULL;
}

static void
fail(struct un_bus *b, const char *why)
{
	const size_t n =
	    b->failures < AWAY_PAUSES ? b->failures : AWAY_PAUSES - 1;
	const bool never_there = b->state == UN_BUS_IDLE;
	char name[SOCK_ADDR_TEXT_MAX];

	un_bus_stop(b);
	if (b->failures++ == 0)
		un_say(b->ctx, "server %s is away: %s%s",
		    sock_addr_text(name, &b->server), why,
		    never_there ? "; is usbexportd running there?" : "");
	/* It may be another one that comes back. */
	b->plain = false;
	b->pushes = false;
	b->closings = 0;
	atomic_store_explicit(&b->describes, UN_BUS_UNKNOWN,
	    memory_order_relaxed);
	un_bus_apply_nothing(b);
	if (b->failures % AWAY_PAUSES == 0)
		forget_hosts(b);
	rest(b, away_pauses_ms[n]);
}

/* ---- Connecting ---- */

void
un_bus_resolve(struct un_bus *b)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };
	struct addrinfo *hosts = NULL;
	int rc;

	if (b->server.is_unix || b->state != UN_BUS_IDLE || b->hosts != NULL ||
	    moment_before(clock_now(), b->resolve_again))
		return;
	pthread_mutex_unlock(&b->ctx->lock);
	rc = getaddrinfo(b->server.host, b->server.port, &hints, &hosts);
	pthread_mutex_lock(&b->ctx->lock);
	if (rc != 0) {
		b->why_unknown = gai_strerror(rc);
		b->resolve_again = moment_after_ms(clock_now(),
		    away_pauses_ms[AWAY_PAUSES - 1]);
	} else if (b->hosts == NULL) {
		b->hosts = hosts;
	} else { /* another thread was faster */
		freeaddrinfo(hosts);
	}
}

/* Close-on-exec at once: another thread may be starting a program. */
static int
open_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void
ask(struct un_bus *b)
{
	sock_set_keepalive(b->fd);
	b->state = UN_BUS_RECEIVING;
	b->deadline = b->limit;
	un_timer_set(b->ctx, b->deadline);
	/* It is the first on this socket, and so short that it fits. */
	if (!importer_request_list(b->fd, !b->plain))
		fail(b, strerror(errno));
}

/* A connect has been begun, with this result. */
static bool
begun(struct un_bus *b, int fd, int rc)
{
	if (rc < 0 && errno != EINPROGRESS) {
		const int error = errno;

		close(fd);
		errno = error;
		return false;
	}
	b->fd = fd;
	b->sockets++;
	b->state = UN_BUS_CONNECTING;
	if (rc == 0)
		ask(b);
	return true;
}

static void
connect_unix(struct un_bus *b)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const int fd = open_socket(AF_UNIX);

	memcpy(un.sun_path, b->server.path,
	    strnlen(b->server.path, sizeof un.sun_path));
	if (fd >= 0 &&
	    begun(b, fd, connect(fd, (const struct sockaddr *)&un, sizeof un)))
		return;
	/* EAGAIN: it is there, and has not got round to accepting others. */
	if (fd >= 0 && errno == EAGAIN && moment_before(clock_now(), b->limit))
		b->deadline = moment_earlier(b->limit,
		    moment_after_ms(clock_now(), BUSY_MS));
	else
		fail(b, strerror(errno));
	un_timer_set(b->ctx, b->deadline);
}

/* One that does not answer leaves time for those behind it. */
static struct moment
share_of_time(const struct un_bus *b)
{
	const struct moment now = clock_now();
	int64_t addresses = 0;

	for (const struct addrinfo *ai = b->next_host; ai != NULL;
	     ai = ai->ai_next)
		addresses++;
	return moment_after_ms(now,
	    moment_ms_between(now, b->limit) / addresses);
}

/* The next of the host's addresses, until there is none left. */
static void
connect_next(struct un_bus *b, int error)
{
	while (b->next_host != NULL) {
		const struct addrinfo *ai = b->next_host;
		const int fd = open_socket(ai->ai_family);

		b->deadline = share_of_time(b);
		un_timer_set(b->ctx, b->deadline);
		b->next_host = ai->ai_next;
		if (fd >= 0 &&
		    begun(b, fd, connect(fd, ai->ai_addr, ai->ai_addrlen)))
			return;
		error = errno;
	}
	fail(b, strerror(error));
}

void
un_bus_start(struct un_bus *b)
{
	un_bus_stop(b);
	un_list_begin(&b->list);
	b->settled = false;
	b->lists = 0;
	b->limit = moment_after_ms(clock_now(), b->ctx->timeout_ms);
	b->deadline = b->limit;
	un_timer_set(b->ctx, b->deadline);
	if (b->server.is_unix) {
		connect_unix(b);
	} else if (b->hosts == NULL) {
		fail(b, b->why_unknown != NULL
			? b->why_unknown
			: "the name of its host is not known yet");
	} else {
		b->next_host = b->hosts;
		connect_next(b, EHOSTUNREACH);
	}
}

/* The socket says that the connect is over. */
static void
finish_connect(struct un_bus *b)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		ask(b);
		return;
	}
	un_bus_stop(b);
	connect_next(b, error);
}

/* ---- Receiving ---- */

bool
un_bus_is_trusted(const struct un_bus *b)
{
	return b->pushes || atomic_load_explicit(&b->describes,
	    memory_order_relaxed) == UN_BUS_YES;
}

void
un_bus_doubt(struct un_bus *b)
{
	b->deadline = b->ctx->callbacks != NULL && !un_bus_is_trusted(b)
	    ? moment_after_ms(clock_now(), POLL_MS)
	    : MOMENT_NEVER;
	un_timer_set(b->ctx, b->deadline);
}

static void
list_complete(struct un_bus *b)
{
	if (b->failures > 0) {
		char name[SOCK_ADDR_TEXT_MAX];

		un_say(b->ctx, "server %s is back",
		    sock_addr_text(name, &b->server));
	}
	b->failures = 0;
	b->settled = true;
	if (++b->lists > 1) {
		b->pushes = true;
		b->closings = 0;
	}
	b->state = UN_BUS_WATCHING;
	un_bus_apply(b, b->list.entries, b->list.count);
	un_list_begin(&b->list);
	if (b->plain)
		rest(b, POLL_MS);
	else
		un_bus_doubt(b);
}

/*
 * It has closed the connection.  One that does so without a word does not like
 * to be asked for more than a list: the kernel's usbipd, for one, wants a zero
 * in that field.  One that does so behind a single list does not push; but it
 * may just have ended, so it is asked soon, once.
 */
static void
closed(struct un_bus *b)
{
	if (b->lists > 0 && un_list_is_new(&b->list)) {
		rest(b, b->lists == 1 && ++b->closings > 1 ? POLL_MS
							   : away_pauses_ms[0]);
	} else if (b->lists == 0 && un_list_is_new(&b->list) && !b->plain) {
		b->plain = true;
		un_bus_note_describes(b, false);
		un_bus_start(b);
	} else {
		fail(b, "it closes without an answer");
	}
}

/* False: not what a server says. */
static bool
take_bytes(struct un_bus *b, const uint8_t *bytes, size_t len)
{
	struct cause why;

	while (len > 0 && b->fd >= 0) {
		size_t used;
		const int rc = un_list_take(&b->list, bytes, len, &used, &why);

		if (rc < 0) {
			fail(b, why.text);
			return false;
		}
		if (rc > 0)
			list_complete(b);
		bytes += used;
		len -= used;
	}
	return true;
}

/* What is there; but not more at a time than others can wait for the lock. */
static void
receive(struct un_bus *b)
{
	uint8_t bytes[8192];
	size_t taken = 0;
	ssize_t n;

	do {
		n = recv(b->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			fail(b, strerror(errno));
		else if (n == 0)
			closed(b);
		if (n <= 0)
			return;
		taken += (size_t)n;
	} while (take_bytes(b, bytes, (size_t)n) && b->fd >= 0 &&
	    taken < RECEIVE_MAX);
}

void
un_bus_move(struct un_bus *b)
{
	struct pollfd pfd = { .fd = b->fd, .events = POLLOUT };

	if (b->state == UN_BUS_CONNECTING) {
		if (poll(&pfd, 1, 0) > 0)
			finish_connect(b);
	} else if (b->fd >= 0) {
		receive(b);
	}
}

static void
go_on(struct un_bus *b)
{
	un_bus_stop(b);
	connect_next(b, ETIMEDOUT);
}

void
un_bus_run_out(struct un_bus *b)
{
	if (b->state == UN_BUS_WATCHING && un_bus_is_trusted(b))
		un_bus_doubt(b);
	else if (b->state == UN_BUS_IDLE && !b->settled && b->server.is_unix)
		connect_unix(b);
	else if (b->state == UN_BUS_IDLE || b->state == UN_BUS_WATCHING)
		un_bus_start(b);
	else if (b->state == UN_BUS_CONNECTING && b->next_host != NULL)
		go_on(b);
	else
		fail(b, "it does not answer");
}
