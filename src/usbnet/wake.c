/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What wakes the handler of events: the waker, and the timer. */

#include <errno.h>
#include <unistd.h>
#ifdef __linux__
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

#include "usbnet/events.h"

/* ---- Begin and end ---- */

static int
open_timer(void)
{
#ifdef __linux__
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
#else
	return -1; /* the program asks for the next timeout */
#endif
}

static void
init_condition(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int
un_events_init(struct libusb_context *ctx)
{
	ctx->waker = waker_new_polled();
	if (ctx->waker == NULL)
		return -1;
	ctx->timer_fd = open_timer();
	atomic_init(&ctx->timer_at, MOMENT_NEVER.ns);
	pthread_mutex_init(&ctx->timer, NULL);
	pthread_mutex_init(&ctx->events, NULL);
	pthread_mutex_init(&ctx->waiters, NULL);
	init_condition(&ctx->event);
	TAILQ_INIT(&ctx->done);
	return 0;
}

void
un_events_end(struct libusb_context *ctx)
{
	un_poll_free(ctx->poll);
	ctx->poll = NULL;
	if (ctx->timer_fd >= 0)
		close(ctx->timer_fd);
	ctx->timer_fd = -1;
	if (ctx->waker != NULL)
		waker_put(ctx->waker);
	ctx->waker = NULL;
}

void
un_events_fini(struct libusb_context *ctx)
{
	un_events_end(ctx);
	pthread_mutex_destroy(&ctx->timer);
	pthread_mutex_destroy(&ctx->events);
	pthread_mutex_destroy(&ctx->waiters);
	pthread_cond_destroy(&ctx->event);
}

void
un_wake(struct libusb_context *ctx)
{
	if (ctx->waker != NULL)
		waker_wake(ctx->waker);
}

/* ---- In the child of a fork ---- */

void
un_events_forget_others(struct libusb_context *ctx)
{
	pthread_mutex_init(&ctx->waiters, NULL);
	init_condition(&ctx->event);
	atomic_store(&ctx->waiting, 0);
	atomic_store(&ctx->closers, 0);
	if (atomic_load(&ctx->events_owner) == un_thread())
		return; /* it forks in a callback: goes on to be the owner */
	pthread_mutex_init(&ctx->events, NULL);
	atomic_store(&ctx->events_owner, 0);
	atomic_store(&ctx->handler, 0);
}

/* Under the old numbers, which programs may poll. */
void
un_events_renew_fds(struct libusb_context *ctx)
{
#ifdef __linux__
	const int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const int timer = open_timer();

	if (waker >= 0) {
		dup3(waker, ctx->waker->read_fd, O_CLOEXEC);
		close(waker);
	}
	if (timer >= 0 && ctx->timer_fd >= 0)
		dup3(timer, ctx->timer_fd, O_CLOEXEC);
	if (timer >= 0)
		close(timer);
#endif
	atomic_store(&ctx->timer_at, MOMENT_NEVER.ns);
}

/* ---- The timer ---- */

static void
arm(int fd, int64_t ns)
{
#ifdef __linux__
	const struct itimerspec at = {
		.it_value = { ns / 1000000000, ns % 1000000000 },
	};

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL);
#else
	(void)fd;
	(void)ns;
#endif
}

/*
 * It is only ever made earlier, and left alone when what it was set for has
 * come to pass otherwise: when it runs out, the handler looks for what comes
 * next.  So a stream of transfers with timeouts costs no system calls.
 */
void
un_timer_set(struct libusb_context *ctx, struct moment at)
{
	bool is_earlier;

	if (at.ns >= atomic_load_explicit(&ctx->timer_at, memory_order_relaxed))
		return;
	pthread_mutex_lock(&ctx->timer);
	is_earlier = at.ns <
	    atomic_load_explicit(&ctx->timer_at, memory_order_relaxed);
	if (is_earlier) {
		atomic_store_explicit(&ctx->timer_at, at.ns,
		    memory_order_relaxed);
		if (ctx->timer_fd >= 0)
			arm(ctx->timer_fd, at.ns);
	}
	pthread_mutex_unlock(&ctx->timer);
	/* With no descriptor, the sleeper has to look at its timeout again. */
	if (is_earlier && ctx->timer_fd < 0 && !un_is_handler(ctx))
		un_wake(ctx);
}

