/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_CHUNK_H
#define MUXD_ACTOR_CHUNK_H

/*
 * Receive buffers of one device, and the pool that they come from.
 *
 * A bulk read fills a chunk; a packet of several reads is a chain of chunks; a
 * packet travels to its worker as the message that its first chunk holds, so
 * the way from the bus to the client's socket allocates and copies nothing.
 *
 * Each chunk has exactly one holder at a time: the reader hands it on whole,
 * and the last holder puts it back.  (A device packet belongs to one
 * connection, so nothing here is ever shared, and no count is kept.)
 */

#include <stddef.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/queue.h"

/* What one bulk read takes: the size at which usbfs splits transfers, and the
 * size that phones are used to. */
#define CHUNK_SIZE 16384

struct chunk_pool;

struct chunk {
	struct msg msg;       /* of a packet's first chunk */
	struct chunk *more;   /* the rest of the packet; NULL at its end */
	struct chunk_pool *pool;
	uint32_t offset;      /* where the bytes of interest begin */
	uint32_t len;         /* and how many they are, from `offset` */
	uint8_t pipe;         /* which one filled it: the transport's number */
	/* Of a packet's first chunk, for the worker: what the device protocol
	 * found in the headers that lie before `offset`. */
	uint32_t packet_len;  /* payload bytes of the whole chain */
	uint32_t seq, ack, window;
	uint16_t port, peer_port;
	uint8_t flags;
	uint8_t data[CHUNK_SIZE];
};

/*
 * Free chunks are kept for reuse.  Taking is for the pool's one owner (the
 * device's reader); putting is for any thread.  The pool must outlive its
 * chunks: it is part of the device, on which every holder has a reference.
 */
struct chunk_pool {
	struct queue returned; /* put by anyone, drained by the owner */
	struct chunk *spare;   /* the owner's own list, through `more` */
	uint32_t spares;
	uint32_t keep; /* more spares than this are freed */
};

void chunk_pool_init(struct chunk_pool *pool, uint32_t keep);
/* When every chunk is back. */
void chunk_pool_fini(struct chunk_pool *pool);

/* A chunk with `more` NULL, `offset` and `len` 0; NULL when out of memory.
 * The owner. */
struct chunk *chunk_take(struct chunk_pool *pool);

/* Puts back `c` and all behind it.  NULL is allowed.  Any thread. */
void chunk_put(struct chunk *c);

/* Chunks in order, linked through `more`; one thread's. */
struct chunk_list {
	struct chunk *first; /* the oldest; NULL: none */
	struct chunk **end;
};

static inline void
chunk_list_init(struct chunk_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

/* Adds `c`, whose `more` is NULL. */
static inline void
chunk_list_append(struct chunk_list *l, struct chunk *c)
{
	*l->end = c;
	l->end = &c->more;
}

/* Takes the oldest, of which there is one. */
static inline struct chunk *
chunk_list_take(struct chunk_list *l)
{
	struct chunk *c = l->first;

	l->first = c->more;
	if (l->first == NULL)
		l->end = &l->first;
	c->more = NULL;
	return c;
}

/* Puts all of them back. */
static inline void
chunk_list_drop(struct chunk_list *l)
{
	chunk_put(l->first);
	chunk_list_init(l);
}

static inline struct chunk *
chunk_of_msg(struct msg *m)
{
	return (struct chunk *)m; /* msg is the first member */
}

#endif
