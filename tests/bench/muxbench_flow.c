/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "muxbench.h"
#include "muxload_stream.h"

/* What every flow does, and those that only stream. */

void
flow_fail(struct flow *f, const char *fmt, ...)
{
	struct bench *b = f->loop->b;
	va_list ap;
	int at;

	if (f->watched)
		flow_change(f, 0);
	f->failed = true;
	pthread_mutex_lock(&b->lock);
	if (b->error[0] == '\0') {
		at = snprintf(b->error, sizeof b->error, "%s, phone %s: ",
		    f->group->name, f->phone->udid);
		va_start(ap, fmt);
		vsnprintf(b->error + at, sizeof b->error - (size_t)at, fmt,
		    ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&b->lock);
	eventfd_write(b->alarm, 1);
}

static void
control(struct flow *f, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = f };

	if (epoll_ctl(f->loop->epoll, op, f->fd, &e) < 0 && !f->failed) {
		f->watched = false;
		flow_fail(f, "epoll_ctl: %s", strerror(errno));
	}
}

void
flow_watch(struct flow *f, uint32_t events)
{
	f->watched = true;
	control(f, EPOLL_CTL_ADD, events);
}

void
flow_change(struct flow *f, uint32_t events)
{
	control(f, EPOLL_CTL_MOD, events);
}

bool
flow_measured(const struct flow *f)
{
	return atomic_load_explicit(&f->loop->b->phase,
		   memory_order_relaxed) == PHASE_MEASURE;
}

void
flow_sample(struct flow *f, int64_t ns)
{
	if (!flow_measured(f))
		return;
	f->cycles++;
	histogram_add(&f->loop->latency[f->group - f->loop->b->o.groups],
	    (uint64_t)ns);
}

/* ---- Bytes ---- */

void
flow_check(struct flow *f, const uint8_t *bytes, size_t len)
{
	const uint64_t at = f->shift + f->received;

	for (size_t done = 0, run; done < len; done += run) {
		run = len - done < PATTERN_RUN ? len - done : PATTERN_RUN;
		if (memcmp(bytes + done, pattern_at(at + done), run) != 0) {
			flow_fail(f, "a byte between %llu and %llu is wrong",
			    (unsigned long long)(f->received + done),
			    (unsigned long long)(f->received + done + run));
			return;
		}
	}
	f->received += len;
	if (flow_measured(f))
		f->counted_in += len;
}

size_t
flow_recv(struct flow *f)
{
	const ssize_t n = recv(f->fd, f->loop->buffer, BUFFER_SIZE,
	    MSG_DONTWAIT);

	if (n > 0) {
		flow_check(f, f->loop->buffer, (size_t)n);
		return f->failed ? 0 : (size_t)n;
	}
	if (n == 0)
		flow_fail(f, "closed after %llu bytes",
		    (unsigned long long)f->received);
	else if (errno != EAGAIN && errno != EINTR)
		flow_fail(f, "receive: %s", strerror(errno));
	return 0;
}

bool
flow_send(struct flow *f)
{
	struct iovec iov[SEND_PIECES];
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = SEND_PIECES };
	uint64_t at = f->shift + f->sent;
	ssize_t n;

	for (unsigned i = 0; i < SEND_PIECES; i++, at += PATTERN_RUN)
		iov[i] = (struct iovec){ (void *)(uintptr_t)pattern_at(at),
			PATTERN_RUN };
	n = sendmsg(f->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		f->sent += (uint64_t)n;
		if (flow_measured(f))
			f->counted_out += (uint64_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		flow_fail(f, "send after %llu bytes: %s",
		    (unsigned long long)f->sent, strerror(errno));
	}
	return !f->failed;
}

/* ---- Streams ---- */

/* Also a flow's that should hear nothing, whose end it is then. */
static void
stream_ready(struct flow *f, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
	    flow_recv(f) == 0 && f->failed)
		return;
	if ((events & EPOLLOUT) != 0)
		flow_send(f);
}

const struct kind kinds[] = {
	{ .name = "down", .purpose = "receives the pattern",
	    .port = 19, .events = EPOLLIN, .ready = stream_ready },
	{ .name = "up", .purpose = "sends to what discards",
	    .port = 9, .events = EPOLLOUT, .ready = stream_ready },
	{ .name = "both", .purpose = "sends to the echo, receives all back",
	    .port = 7, .events = EPOLLIN | EPOLLOUT, .ready = stream_ready },
	{ .name = "echo", .purpose = "size bytes there and back, then again",
	    .port = 7, .counts_cycles = true, .events = EPOLLIN,
	    .start = echo_start, .ready = echo_ready },
	{ .name = "connect", .purpose = "connects, closes, connects again",
	    .port = 7, .counts_cycles = true, .events = EPOLLIN,
	    .start = connect_start, .ready = connect_ready },
	{ .name = "drain", .purpose = "reads nothing until nothing moves, then "
	    "1 MiB; its\n           latency is the wait for what was not there yet",
	    .port = 19, .counts_cycles = true, .ready = drain_ready,
	    .tick = drain_tick },
	{ .name = "hold", .purpose = "is sent the pattern and never reads",
	    .port = 19, .silent = true, .ready = stream_ready },
	{ .name = "quiet", .purpose = "is connected to the echo and silent",
	    .port = 7, .silent = true, .events = EPOLLIN,
	    .ready = stream_ready },
	{ .name = NULL },
};
