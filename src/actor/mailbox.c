/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/mailbox.h"

void
mailbox_init(struct mailbox *mb, mailbox_wake *wake, void *arg)
{
	queue_init(&mb->queue);
	mb->wake = wake;
	mb->wake_arg = arg;
}

static void
wake_through_waker(void *arg)
{
	waker_wake(arg);
}

void
mailbox_init_waker(struct mailbox *mb, struct waker *w)
{
	mailbox_init(mb, wake_through_waker, w);
}

struct msg *
mailbox_wait(struct mailbox *mb, struct waker *w)
{
	struct msg *m;

	while ((m = mailbox_take(mb)) == NULL)
		if (mailbox_idle(mb))
			waker_wait(w, -1);
	return m;
}
