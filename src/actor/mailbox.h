/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_ACTOR_MAILBOX_H
#define MUXD_ACTOR_MAILBOX_H

/*
 * A mailbox: a queue of messages and the way to wake its one consumer.
 *
 * Most actors sleep on a waker.  One that sleeps inside something else brings a
 * wake function of its own.
 */

#include <stdbool.h>

#include "actor/queue.h"
#include "actor/waker.h"

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

/*
 * Hands `m` to the mailbox's owner, with all that it carries.  False when the
 * mailbox is closed: `m` is still the caller's.  Any thread.
 */
static inline bool
mailbox_post(struct mailbox *mb, struct msg *m)
{
	const enum queue_push pushed = queue_push(&mb->queue, &m->node);

	if (pushed == QUEUE_WAKE)
		mb->wake(mb->wake_arg);
	return pushed != QUEUE_REFUSED;
}

/* The same, but an owner who sleeps (QUEUE_WAKE) is not woken: the caller does
 * that, with mailbox_wake_owner(), or acts for the owner (actor/baton.h). */
static inline enum queue_push
mailbox_offer(struct mailbox *mb, struct msg *m)
{
	return queue_push(&mb->queue, &m->node);
}

static inline void
mailbox_wake_owner(struct mailbox *mb)
{
	mb->wake(mb->wake_arg);
}

/* Everything that has arrived, oldest first (msg_next()), or NULL.  The taker
 * reads a message's `next` before it lets go of the message. */
static inline struct msg *
mailbox_take(struct mailbox *mb)
{
	return (struct msg *)queue_take(&mb->queue);
}

/* Nothing to take at this moment.  For hints, not for sleeping.  The owner. */
static inline bool
mailbox_is_empty(struct mailbox *mb)
{
	return queue_is_empty(&mb->queue);
}

/* Refuses messages from now on; those that were in it come back.  The owner. */
static inline struct msg *
mailbox_close(struct mailbox *mb)
{
	return (struct msg *)queue_close(&mb->queue);
}

/* True when the owner may sleep; false when there is something to take. */
static inline bool
mailbox_idle(struct mailbox *mb)
{
	return queue_idle(&mb->queue);
}

/* Sleeps until something is posted, then takes.  For actors that wait for
 * nothing else. */
struct msg *mailbox_wait(struct mailbox *mb, struct waker *w);

#endif
