/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/sock.h"
#include "muxclient.h"
#include "../tools/muxload_stream.h"

#define ECHO 7
#define CHARGEN 19

/* What one poll moves at most. */
#define CHUNK 16384
/* How far an echo may lag behind. */
#define AHEAD 262144
/* A connection on which nothing moves for so long hangs. */
#define STREAM_PATIENCE_MS 5000
#define CONNECT_MS 5000

int patience = 1;

static struct muxclient *client;

/* ---- The listener ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;

static struct phone *
find(const struct muxclient_event *e)
{
	for (unsigned i = 0; i < phone_count; i++)
		if (e->type == MUXCLIENT_ATTACHED
			? strcasecmp(phones[i].udid, e->device.udid) == 0
			: phones[i].id == e->id)
			return &phones[i];
	return NULL;
}

static void
note(const struct muxclient_event *e)
{
	struct phone *p;

	pthread_mutex_lock(&lock);
	p = find(e);
	if (p != NULL) {
		p->id = e->type == MUXCLIENT_ATTACHED ? e->id : 0;
		p->heard = clock_now();
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void *
listen_for_ever(void *arg)
{
	struct muxclient_watch *w = arg;
	struct muxclient_event e;
	struct pollfd pfd = { .fd = muxclient_watch_fd(w), .events = POLLIN };

	for (;;) {
		const enum muxclient_error error =
		    muxclient_watch_next(w, &e);

		if (error == MUXCLIENT_AGAIN)
			poll(&pfd, 1, -1);
		else if (error != MUXCLIENT_OK)
			die("the listener: %s", muxclient_strerror(error));
		else if (e.type != MUXCLIENT_PAIRED)
			note(&e);
	}
	return NULL;
}

uint32_t
mux_await_listed(struct phone *p, uint32_t not, struct moment until)
{
	const struct timespec ts = timespec_of(until);
	uint32_t id;
	int r = 0;

	pthread_mutex_lock(&lock);
	while ((p->id == 0 || p->id == not) && r == 0)
		r = pthread_cond_timedwait(&changed, &lock, &ts);
	id = p->id != not ? p->id : 0;
	pthread_mutex_unlock(&lock);
	return id;
}

bool
mux_await_gone(struct phone *p, struct moment until)
{
	const struct timespec ts = timespec_of(until);
	bool gone;
	int r = 0;

	pthread_mutex_lock(&lock);
	while (p->id != 0 && r == 0)
		r = pthread_cond_timedwait(&changed, &lock, &ts);
	gone = p->id == 0;
	pthread_mutex_unlock(&lock);
	return gone;
}

struct moment
mux_heard(struct phone *p)
{
	struct moment heard;

	pthread_mutex_lock(&lock);
	heard = p->heard;
	pthread_mutex_unlock(&lock);
	return heard;
}

/* ---- muxphone ---- */

static pthread_mutex_t command_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sock_addr phone_control;

void
mux_command(const char *command, const struct phone *p)
{
	char line[64], answer[256] = "";
	struct cause why;
	int fd, len;

	len = snprintf(line, sizeof line, "%s %u\n", command, p->n);
	pthread_mutex_lock(&command_lock);
	fd = sock_connect(&phone_control, CONNECT_MS, &why);
	if (fd < 0)
		die("%s", why.text);
	if (sock_send_all(fd, line, (size_t)len) < 0 ||
	    read(fd, answer, sizeof answer - 1) <= 0 ||
	    strstr(answer, "\"ok\"") == NULL)
		die("muxphone answers '%s %u' with: %s", command, p->n, answer);
	close(fd);
	pthread_mutex_unlock(&command_lock);
}

void
mux_open(const char *daemon, const char *control)
{
	struct muxclient_watch *watch;
	enum muxclient_error error = MUXCLIENT_NO_MEMORY;
	pthread_condattr_t attr;
	struct cause why;
	pthread_t thread;

	pattern_init();
	if (sock_addr_parse(&phone_control, control, NULL, &why) < 0)
		die("%s", why.text);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	client = muxclient_new();
	if (client != NULL)
		error = muxclient_set_address(client, daemon);
	muxclient_set_timeout(client, CONNECT_MS * patience);
	if (error == MUXCLIENT_OK)
		error = muxclient_watch_open(client, &watch);
	if (error != MUXCLIENT_OK)
		die("%s: %s", daemon, muxclient_strerror(error));
	if (pthread_create(&thread, NULL, listen_for_ever, watch) != 0)
		die("no thread");
}

/* ---- Streams ---- */

struct stream {
	int fd;
	bool one_way;
	uint64_t len, seed, sent, received;
	uint8_t bytes[CHUNK], wanted[CHUNK];
};

const char *
stream_end_name(enum stream_end end)
{
	static const char *const names[] = { "done", "ended", "hung",
		"wrong bytes" };

	return names[end];
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool
may_send(const struct stream *s)
{
	return !s->one_way && s->sent < s->len &&
	    s->sent < s->received + AHEAD;
}

/* False: the connection has ended. */
static bool
send_some(struct stream *s)
{
	ssize_t n;

	stream_fill(s->bytes, s->seed, s->sent, CHUNK);
	n = write(s->fd, s->bytes, least(CHUNK, s->len - s->sent));
	if (n > 0)
		s->sent += (uint64_t)n;
	return n > 0 || errno == EAGAIN;
}

static enum stream_end
receive_some(struct stream *s)
{
	const ssize_t n = read(s->fd, s->bytes, CHUNK);
	const uint8_t *wanted = s->wanted;

	if (n < 0 && errno == EAGAIN)
		return STREAM_DONE;
	if (n <= 0)
		return STREAM_ENDED;
	if (s->one_way)
		wanted = pattern_at(s->received);
	else
		stream_fill(s->wanted, s->seed, s->received, (size_t)n);
	s->received += (uint64_t)n;
	return memcmp(s->bytes, wanted, (size_t)n) == 0 ? STREAM_DONE
							: STREAM_WRONG;
}

static enum stream_end
move(struct stream *s)
{
	while (s->received < s->len) {
		struct pollfd pfd = { .fd = s->fd, .events = POLLIN };
		enum stream_end end;

		if (may_send(s))
			pfd.events |= POLLOUT;
		if (poll(&pfd, 1, STREAM_PATIENCE_MS * patience) == 0)
			return STREAM_HUNG;
		if ((pfd.revents & POLLOUT) != 0 && !send_some(s))
			return STREAM_ENDED;
		if ((pfd.revents & ~POLLOUT) == 0)
			continue;
		end = receive_some(s);
		if (end != STREAM_DONE)
			return end;
	}
	return STREAM_DONE;
}

enum stream_end
stream_run(uint32_t id, bool one_way, uint64_t len, uint64_t seed)
{
	struct stream s = { .one_way = one_way, .len = len, .seed = seed };
	const enum muxclient_error error = muxclient_connect(client, id,
	    one_way ? CHARGEN : ECHO, &s.fd);
	enum stream_end end;

	if (error != MUXCLIENT_OK)
		return error == MUXCLIENT_TIMEOUT ? STREAM_HUNG : STREAM_ENDED;
	sock_set_nonblocking(s.fd, true);
	end = move(&s);
	close(s.fd);
	return end;
}
