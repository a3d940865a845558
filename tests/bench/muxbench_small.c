/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "muxbench.h"
#include "muxload_stream.h"
#include "wire/client.h"

/* Flows of many small things, whose time is taken. */

/* ---- echo ---- */

static void
echo_send(struct flow *f)
{
	const size_t size = f->group->size;
	const ssize_t n = send(f->fd, pattern_at(f->shift + f->sent), size,
	    MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n != (ssize_t)size) { /* what a socket with nothing in it takes */
		flow_fail(f, "send of %zu bytes: %s", size,
		    n < 0 ? strerror(errno) : "it took less");
		return;
	}
	f->sent += size;
	if (flow_measured(f))
		f->counted_out += size;
}

void
echo_start(struct flow *f)
{
	flow_watch(f, EPOLLIN);
	f->since = clock_now();
	echo_send(f);
}

void
echo_ready(struct flow *f, uint32_t events)
{
	struct moment now;

	(void)events;
	flow_recv(f);
	if (f->failed || f->received < f->sent)
		return;
	if (f->received > f->sent) {
		flow_fail(f, "more bytes came back than were sent");
		return;
	}
	now = clock_now();
	flow_sample(f, now.ns - f->since.ns);
	f->since = now;
	echo_send(f);
}

/* ---- connect ---- */

#define ANSWER_MAX 1024 /* a Result; a longer one is an error */

/* The last answer that was found good: the next ones are the same bytes.  Each
 * loop has its own. */
static _Thread_local uint8_t good[ANSWER_MAX];
static _Thread_local size_t good_len;

static bool
answer_is_good(const struct flow *f, const struct client_header *h)
{
	struct client_reply reply;
	bool ok;

	if (f->len == good_len && memcmp(f->answer, good, good_len) == 0)
		return true;
	if (!client_reply_parse(&reply, h, f->answer + USBMUX_HEADER_SIZE,
		f->len - USBMUX_HEADER_SIZE))
		return false;
	ok = reply.kind == CLIENT_REPLY_RESULT &&
	    reply.result == USBMUX_OK;
	client_reply_fini(&reply);
	if (ok) {
		memcpy(good, f->answer, f->len);
		good_len = f->len;
	}
	return ok;
}

bool
connect_prepare(struct flow *f)
{
	static const struct client_info self = { .prog_name = "muxbench",
		.version = "muxbench", .lib_version = 3 };

	f->request = client_ask_connect(CLIENT_PLIST, 1, &self, f->phone->id,
	    f->group->kind->port);
	f->answer = malloc(ANSWER_MAX);
	return f->request.bytes != NULL && f->answer != NULL;
}

void
connect_again(struct flow *f)
{
	const struct bench *b = f->loop->b;
	ssize_t n;

	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0) {
		flow_fail(f, "socket: %s", strerror(errno));
		return;
	}
	if (connect(f->fd, (const struct sockaddr *)&b->daemon,
		sizeof b->daemon) < 0) {
		const int error = errno;

		close(f->fd);
		f->fd = -1;
		if (error == EAGAIN) /* the daemon's queue is full */
			loop_wait(f->loop, f);
		else
			flow_fail(f, "connect: %s", strerror(error));
		return;
	}
	f->len = 0;
	flow_watch(f, EPOLLIN);
	n = send(f->fd, f->request.bytes, f->request.len, MSG_NOSIGNAL);
	if (n != (ssize_t)f->request.len)
		flow_fail(f, "send of a request: %s", strerror(errno));
}

void
connect_start(struct flow *f)
{
	f->since = clock_now();
	connect_again(f);
}

void
connect_ready(struct flow *f, uint32_t events)
{
	const ssize_t n = recv(f->fd, f->answer + f->len, ANSWER_MAX - f->len,
	    MSG_DONTWAIT);
	struct client_header h;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		flow_fail(f, "closed instead of an answer");
		return;
	}
	f->len += (size_t)n;
	if (f->len < USBMUX_HEADER_SIZE)
		return;
	if (!client_header_read(&h, f->answer, ANSWER_MAX) ||
	    f->len > h.length) {
		flow_fail(f, "an answer that is none");
		return;
	}
	if (f->len < h.length)
		return;
	if (!answer_is_good(f, &h)) {
		flow_fail(f, "the connection was refused");
		return;
	}
	flow_sample(f, clock_now().ns - f->since.ns);
	f->watched = false; /* close() takes it off */
	close(f->fd);
	connect_start(f);
}

/* ---- drain ---- */

/* For so many looks, two milliseconds apart, nothing has come: the daemon and
 * the phone have filled all they may fill. */
#define DRAIN_LOOKS 10
#define DRAIN_BYTES (1u << 20)

static void
drain_start(struct flow *f)
{
	f->draining = true;
	f->drain_end = f->received + DRAIN_BYTES;
	f->first_ns = -1;
	f->gap_ns = 0;
	f->since = clock_now();
	flow_change(f, EPOLLIN);
}

void
drain_tick(struct flow *f)
{
	int queued = 0;

	if (f->draining || f->failed || ioctl(f->fd, FIONREAD, &queued) < 0)
		return;
	if (queued == 0 || queued != f->queued) {
		f->queued = queued;
		f->looks = 0;
	} else if (++f->looks == DRAIN_LOOKS) {
		f->looks = 0;
		drain_start(f);
	}
}

/* The first byte that was not there when it began ends the first wait. */
void
drain_ready(struct flow *f, uint32_t events)
{
	const int64_t gap = clock_now().ns - f->since.ns;
	const uint64_t begin = f->drain_end - DRAIN_BYTES;
	const bool was_empty = f->received >= begin + (uint64_t)f->queued;

	(void)events;
	if (flow_recv(f) == 0)
		return;
	if (was_empty && f->first_ns < 0)
		f->first_ns = gap;
	if (gap > f->gap_ns)
		f->gap_ns = gap;
	f->since = clock_now();
	if (f->received < f->drain_end)
		return;
	if (flow_measured(f) && f->gap_ns > f->longest_ns)
		f->longest_ns = f->gap_ns;
	flow_sample(f, f->first_ns >= 0 ? f->first_ns : 0);
	f->draining = false;
	flow_change(f, 0);
}
