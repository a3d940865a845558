/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "base/clock.h"

static int
open_fds(struct waker *w)
{
#ifdef __linux__
	w->read_fd = w->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->read_fd;
#else
	int fds[2];

	if (pipe(fds) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	w->read_fd = fds[0];
	w->write_fd = fds[1];
	return 0;
#endif
}

struct waker *
waker_new(void)
{
	struct waker *w = malloc(sizeof *w);

	if (w == NULL)
		return NULL;
	if (open_fds(w) < 0) {
		const int error = errno;

		free(w);
		errno = error;
		return NULL;
	}
	atomic_init(&w->refs, 1);
	return w;
}

struct waker *
waker_get(struct waker *w)
{
	/* Relaxed: who can copy a reference already holds one. */
	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	return w;
}

void
waker_put(struct waker *w)
{
	/* Release and acquire pair among the puts: the last one sees all uses. */
	if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(w->read_fd);
	if (w->write_fd != w->read_fd)
		close(w->write_fd);
	free(w);
}

void
waker_wake(struct waker *w)
{
	const uint64_t one = 1;
	const int saved_errno = errno;

	/* EAGAIN means that it is readable already, which is all we want. */
	while (write(w->write_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}

void
waker_clear(struct waker *w)
{
	uint64_t sink[16];
	const int saved_errno = errno;

#ifdef __linux__
	(void)!read(w->read_fd, sink, sizeof sink[0]);
#else
	while (read(w->read_fd, sink, sizeof sink) == sizeof sink)
		;
#endif
	errno = saved_errno;
}

bool
waker_wait(struct waker *w, int timeout_ms)
{
	const struct moment deadline = timeout_ms < 0
	    ? MOMENT_NEVER
	    : moment_after_ms(clock_now(), timeout_ms);
	struct pollfd pfd = { .fd = w->read_fd, .events = POLLIN };
	int n;

	do
		n = poll(&pfd, 1, moment_poll_timeout(clock_now(), deadline));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		waker_clear(w);
	return n > 0;
}

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
