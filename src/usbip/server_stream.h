/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBIP_SERVER_STREAM_H
#define MUXD_USBIP_SERVER_STREAM_H

/*
 * Reads of a blocking stream socket in pieces whose size is known in advance,
 * with few system calls: many small PDUs arrive with one recv(), and a large
 * payload goes from the kernel straight to where it belongs.  One thread.
 */

#include <stddef.h>
#include <stdint.h>

/* Read ahead at most: over a thousand SUBMITs without data. */
#define SERVER_STREAM_BUFFER 65536
/* A payload of which at least this much is still to come is received in its
 * place; below it, the copy costs less than another system call. */
#define SERVER_STREAM_DIRECT 4096
/* Read ahead behind such a payload: the next PDU's head is there without
 * another call, while little of the next payload is copied twice. */
#define SERVER_STREAM_AHEAD 512

struct server_stream {
	int fd; /* the caller's */
	size_t at, end; /* what lies unread in `buffer` */
	uint8_t buffer[SERVER_STREAM_BUFFER];
};

void server_stream_init(struct server_stream *s, int fd);

/* Bytes that can be had without waiting. */
static inline size_t
server_stream_buffered(const struct server_stream *s)
{
	return s->end - s->at;
}

/* Exactly `len` bytes into `to`: 0; or -1 with errno, ECONNRESET when the
 * peer has closed. */
int server_stream_read(struct server_stream *s, void *to, size_t len);

/* Reads `len` bytes and drops them.  The same results. */
int server_stream_skip(struct server_stream *s, uint64_t len);

/* At the end: reads what has arrived unread, because closing over it would make
 * TCP throw away the last replies.  A bounded number of times: the peer may go
 * on. */
void server_stream_drain(struct server_stream *s);

#endif
