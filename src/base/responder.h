/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_RESPONDER_H
#define MUXD_BASE_RESPONDER_H

/*
 * A UNIX socket at which requests are answered: the control socket of a small
 * daemon.  Several clients at once, each client's requests in their order.  Who
 * has one polls for it; nothing here waits, and no client can make another
 * wait.  What a client can make us hold is one request and one answer: as long
 * as it does not read its answer, nothing more is read of it.
 *
 * One thread.
 */

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"

/* What measure() says of bytes that no request begins with. */
#define RESPONDER_NONSENSE SIZE_MAX

struct responder_ops {
	/* Bytes of the longest request; whose is longer is hung up on. */
	size_t request_max;
	/* The length of the request that `bytes` begin with; 0: it has not come
	 * whole. */
	size_t (*measure)(const uint8_t *bytes, size_t len);
	/* The answer to one request, which it may change: malloc'ed, and
	 * *answer_len bytes.  NULL: the client is hung up on. */
	uint8_t *(*answer)(void *arg, uint8_t *request, size_t len,
	    size_t *answer_len);
};

struct responder;

/*
 * Listens at `path`, which is for this user only, and serves `clients_max` at a
 * time; more wait in the listen queue.  `ops` must outlive it.  NULL and a
 * cause when the socket cannot be made.
 */
struct responder *responder_open(const char *path, int clients_max,
    const struct responder_ops *ops, void *arg, struct cause *why);
/* Hangs up on everybody and removes the socket; NULL is allowed. */
void responder_close(struct responder *r);

/* What to poll: fills at most clients_max + 1 elements, and says how many. */
int responder_pollfds(const struct responder *r, struct pollfd *pfd);
/* Serves what poll() has found in those. */
void responder_serve(struct responder *r, const struct pollfd *pfd);

#endif
