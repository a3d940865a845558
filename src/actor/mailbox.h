/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_MAILBOX_H
#define MUXD_ACTOR_MAILBOX_H

/*
 * A mailbox: a queue of messages and the way to wake its one consumer.
 *
 * Most actors sleep in poll(), on a waker's descriptor beside their sockets.
 * A device's reader sleeps inside its transport and brings a wake function of
 * its own.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/queue.h"

/* The head of every message; what follows it is told by `type` (the owner of
 * the mailbox has a catalogue). */
struct msg {
	struct qnode node; /* first, so that a node is a message */
	int type;
};

static inline struct msg *
msg_next(const struct msg *m)
{
	return (struct msg *)m->node.next;
}

/*
 * A descriptor that becomes readable when somebody wakes it.  Counted, because
 * a producer may still hold it when its owner has gone; a late wake-up is then
 * harmless.
 */
struct waker {
	_Atomic uint32_t refs;
	int read_fd;
	int write_fd; /* equal to read_fd where the system has eventfd */
};

/* NULL when descriptors or memory have run out (errno). */
struct waker *waker_new(void);
struct waker *waker_get(struct waker *w);
void waker_put(struct waker *w);
void waker_wake(struct waker *w);
/* Makes the descriptor unreadable again.  The consumer's thread. */
void waker_clear(struct waker *w);

typedef void mailbox_wake(void *arg);

struct mailbox {
	struct queue queue;
	mailbox_wake *wake; /* any thread; must not block */
	void *wake_arg;
};

void mailbox_init(struct mailbox *mb, mailbox_wake *wake, void *arg);
/* The usual kind: woken through `w`, of which the caller keeps a reference as
 * long as anybody may post. */
void mailbox_init_waker(struct mailbox *mb, struct waker *w);

/* Hands `m` to the mailbox's owner, with all that it carries.  Any thread. */
static inline void
mailbox_post(struct mailbox *mb, struct msg *m)
{
	if (queue_push(&mb->queue, &m->node))
		mb->wake(mb->wake_arg);
}

/* Everything that has arrived, oldest first (msg_next()), or NULL.  The taker
 * reads a message's `next` before it lets go of the message. */
static inline struct msg *
mailbox_take(struct mailbox *mb)
{
	return (struct msg *)queue_take(&mb->queue);
}

/* True when the owner may sleep; false when there is something to take. */
static inline bool
mailbox_idle(struct mailbox *mb)
{
	return queue_idle(&mb->queue);
}

/*
 * Sleeps until something is posted or `timeout_ms` have passed (-1: for ever),
 * then takes.  For actors that wait for nothing else.  NULL: the time is up.
 */
struct msg *mailbox_wait(struct mailbox *mb, struct waker *w, int timeout_ms);

#endif
