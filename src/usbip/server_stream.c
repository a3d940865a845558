/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void
server_stream_init(struct server_stream *s, int fd)
{
	s->fd = fd;
	s->at = s->end = 0;
}

/* What arrives first, up to `want` bytes, goes to `to`; what follows goes to
 * the empty buffer, up to `ahead` bytes.  Bytes that went to `to`, or -1. */
static ssize_t
receive(struct server_stream *s, uint8_t *to, size_t want, size_t ahead)
{
	struct iovec iov[2] = {
		{ .iov_base = to, .iov_len = want },
		{ .iov_base = s->buffer, .iov_len = ahead },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = recvmsg(s->fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ECONNRESET;
	if (n <= 0)
		return -1;
	s->at = 0;
	s->end = (size_t)n > want ? (size_t)n - want : 0;
	return (ssize_t)((size_t)n - s->end);
}

static size_t
take_buffered(struct server_stream *s, uint8_t *to, size_t len)
{
	const size_t n = len < s->end - s->at ? len : s->end - s->at;

	memcpy(to, s->buffer + s->at, n);
	s->at += n;
	return n;
}

int
server_stream_read(struct server_stream *s, void *to, size_t len)
{
	uint8_t *at = to;

	for (;;) {
		const size_t n = take_buffered(s, at, len);
		ssize_t got;

		at += n;
		len -= n;
		if (len == 0)
			return 0;
		got = receive(s, at, len,
		    len >= SERVER_STREAM_DIRECT ? SERVER_STREAM_AHEAD
						: sizeof s->buffer);
		if (got < 0)
			return -1;
		at += got;
		len -= (size_t)got;
	}
}

int
server_stream_skip(struct server_stream *s, uint64_t len)
{
	while (len > 0) {
		const size_t here = s->end - s->at;

		if (here == 0 && receive(s, NULL, 0, sizeof s->buffer) < 0)
			return -1;
		if (here > len) {
			s->at += (size_t)len;
			return 0;
		}
		s->at += here;
		len -= here;
	}
	return 0;
}

void
server_stream_drain(struct server_stream *s)
{
	for (int i = 0; i < 64; i++)
		if (recv(s->fd, s->buffer, sizeof s->buffer,
			MSG_DONTWAIT) <= 0)
			return;
}
