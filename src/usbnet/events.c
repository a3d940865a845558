/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who handles events, and who waits for the one who does. */

#include "usbnet/events.h"

#include <errno.h>

#include "usbnet/hotplug.h"
#include "usbnet/link.h"
#include "usbnet/transfer.h"

/* libusb_handle_events() waits so long. */
#define IDLE_S 60

/* What callbacks submit is sent together, unless they take longer than this: a
 * device must not run dry while a program writes its data to a disk. */
#define CORKED_US 500

/* ---- The lock ---- */

uintptr_t
un_thread(void)
{
	return (uintptr_t)pthread_self();
}

bool
un_is_handler(struct libusb_context *ctx)
{
	/* Relaxed: only this thread can have written what is found equal. */
	return atomic_load_explicit(&ctx->handler, memory_order_relaxed) ==
	    un_thread();
}

static bool
is_owner(struct libusb_context *ctx)
{
	return atomic_load_explicit(&ctx->events_owner,
		   memory_order_relaxed) == un_thread();
}

static void
own(struct libusb_context *ctx)
{
	atomic_store_explicit(&ctx->events_owner, un_thread(),
	    memory_order_relaxed);
}

int
libusb_try_lock_events(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL || atomic_load(&ctx->closers) > 0 ||
	    pthread_mutex_trylock(&ctx->events) != 0)
		return 1;
	own(ctx);
	return 0;
}

void
libusb_lock_events(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&ctx->events);
	own(ctx);
}

void
libusb_unlock_events(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	atomic_store_explicit(&ctx->events_owner, 0, memory_order_relaxed);
	pthread_mutex_unlock(&ctx->events);
	pthread_mutex_lock(&ctx->waiters);
	pthread_cond_broadcast(&ctx->event);
	pthread_mutex_unlock(&ctx->waiters);
}

bool
un_events_enter(struct libusb_context *ctx)
{
	if (is_owner(ctx))
		return false;
	atomic_fetch_add(&ctx->closers, 1);
	un_wake(ctx);
	libusb_lock_events(ctx);
	atomic_fetch_sub(&ctx->closers, 1);
	return true;
}

void
un_events_leave(struct libusb_context *ctx)
{
	libusb_unlock_events(ctx);
}

int
libusb_event_handling_ok(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	return ctx != NULL && atomic_load(&ctx->closers) == 0;
}

int
libusb_event_handler_active(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	/* Who closes is as good as a handler: wait for the lock's release. */
	return ctx != NULL &&
	    (atomic_load(&ctx->closers) > 0 ||
		atomic_load_explicit(&ctx->events_owner,
		    memory_order_relaxed) != 0);
}

void
libusb_interrupt_event_handler(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	un_wake(ctx);
}

/* ---- Those who wait ---- */

void
libusb_lock_event_waiters(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	atomic_fetch_add(&ctx->waiting, 1);
	/* Pairs with the fence of tell_waiters(): the caller's next look at
	 * what it waits for is an ordinary read, perhaps the program's. */
	atomic_thread_fence(memory_order_seq_cst);
	pthread_mutex_lock(&ctx->waiters);
}

void
libusb_unlock_event_waiters(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	pthread_mutex_unlock(&ctx->waiters);
	atomic_fetch_sub(&ctx->waiting, 1);
}

/* A callback has run, which may be what somebody waits for. */
static void
tell_waiters(struct libusb_context *ctx)
{
	/* Sequentially consistent, as is the count: either who waits has seen
	 * what the callback did, or is seen here. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&ctx->waiting) == 0)
		return;
	pthread_mutex_lock(&ctx->waiters);
	pthread_cond_broadcast(&ctx->event);
	pthread_mutex_unlock(&ctx->waiters);
}

static bool
is_time(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

/* A program may ask for more seconds than a moment can tell. */
static struct moment
after(const struct timeval *tv)
{
	const int64_t s = tv->tv_sec < 1000000000 ? tv->tv_sec : 1000000000;

	return (struct moment){ clock_now().ns + s * 1000000000 +
		(int64_t)tv->tv_usec * 1000 };
}

int
libusb_wait_for_event(libusb_context *asked, struct timeval *tv)
{
	struct libusb_context *ctx = un_context(asked);
	struct timespec until;
	struct moment deadline;

	if (ctx == NULL || (tv != NULL && !is_time(tv)))
		return LIBUSB_ERROR_INVALID_PARAM;
	if (tv == NULL) {
		pthread_cond_wait(&ctx->event, &ctx->waiters);
		return 0;
	}
	deadline = after(tv);
	until.tv_sec = (time_t)(deadline.ns / 1000000000);
	until.tv_nsec = (long)(deadline.ns % 1000000000);
	return pthread_cond_timedwait(&ctx->event, &ctx->waiters, &until) ==
	    ETIMEDOUT;
}

/* ---- Handling ---- */

void
un_cork(struct un_link *l)
{
	if (l->corked)
		return;
	l->corked = true;
	l->next_corked = l->ctx->corked;
	l->ctx->corked = l;
}

static void
uncork_all(struct libusb_context *ctx)
{
	while (ctx->corked != NULL) {
		struct un_link *l = ctx->corked;

		ctx->corked = l->next_corked;
		l->corked = false;
		pthread_mutex_lock(&l->lock);
		if (!l->lost)
			l->ops->flush(l);
		pthread_mutex_unlock(&l->lock);
	}
}

static bool
is_long_ago(struct moment t)
{
	return clock_now().ns - t.ns >= CORKED_US * 1000;
}

/* A callback may close what others of these belong to: they are taken out of
 * the line, too, so it is looked at anew for each. */
static void
deliver_all(struct libusb_context *ctx)
{
	struct moment sent = clock_now();
	struct un_transfer *t;

	while ((t = TAILQ_FIRST(&ctx->done)) != NULL) {
		TAILQ_REMOVE(&ctx->done, t, place);
		un_transfer_deliver(t);
		tell_waiters(ctx);
		if (ctx->corked != NULL && is_long_ago(sent)) {
			uncork_all(ctx);
			sent = clock_now();
		}
	}
}

/* One round, with the events lock. */
static int
handle(struct libusb_context *ctx, int timeout_ms)
{
	int rc;

	if (un_is_handler(ctx))
		return LIBUSB_ERROR_BUSY;
	atomic_store_explicit(&ctx->handler, un_thread(),
	    memory_order_relaxed);
	rc = un_poll_wait(ctx, timeout_ms);
	if (rc > 0) {
		un_poll_work(ctx);
		/* Transfers first: a program may close its handle when it hears
		 * that the device has left, and would not get them any more. */
		deliver_all(ctx);
		uncork_all(ctx);
		un_hotplug_deliver(ctx);
		uncork_all(ctx);
		un_poll_leave(ctx);
		rc = 0;
	}
	atomic_store_explicit(&ctx->handler, 0, memory_order_relaxed);
	return rc;
}

/* Rounded up; a day at most. */
static int
milliseconds(const struct timeval *tv)
{
	if (tv->tv_sec >= 86400)
		return 86400000;
	return (int)tv->tv_sec * 1000 + (int)((tv->tv_usec + 999) / 1000);
}

/* Whether what the program waits for has happened; another thread may be about
 * to say so. */
static bool
is_completed(const int *completed)
{
	return completed != NULL && __atomic_load_n(completed, __ATOMIC_ACQUIRE);
}

/* Somebody else handles events.  True when the caller should try to be the
 * handler again, at once. */
static bool
wait_for_other(struct libusb_context *ctx, struct timeval *tv,
    const int *completed)
{
	bool again = false;

	libusb_lock_event_waiters(ctx);
	if (!is_completed(completed)) {
		again = !libusb_event_handler_active(ctx);
		if (!again)
			libusb_wait_for_event(ctx, tv);
	}
	libusb_unlock_event_waiters(ctx);
	return again;
}

int
libusb_handle_events_timeout_completed(libusb_context *asked,
    struct timeval *tv, int *completed)
{
	struct libusb_context *ctx = un_context(asked);
	int rc = 0;

	if (ctx == NULL || tv == NULL || !is_time(tv))
		return LIBUSB_ERROR_INVALID_PARAM;
	if (un_is_handler(ctx))
		return LIBUSB_ERROR_BUSY;
	while (libusb_try_lock_events(ctx) != 0)
		if (!wait_for_other(ctx, tv, completed))
			return 0;
	if (!is_completed(completed))
		rc = handle(ctx, milliseconds(tv));
	libusb_unlock_events(ctx);
	return rc;
}

int
libusb_handle_events_timeout(libusb_context *ctx, struct timeval *tv)
{
	return libusb_handle_events_timeout_completed(ctx, tv, NULL);
}

int
libusb_handle_events_completed(libusb_context *ctx, int *completed)
{
	struct timeval tv = { .tv_sec = IDLE_S };

	return libusb_handle_events_timeout_completed(ctx, &tv, completed);
}

int
libusb_handle_events(libusb_context *ctx)
{
	return libusb_handle_events_completed(ctx, NULL);
}

int
libusb_handle_events_locked(libusb_context *asked, struct timeval *tv)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL || tv == NULL || !is_time(tv))
		return LIBUSB_ERROR_INVALID_PARAM;
	return handle(ctx, milliseconds(tv));
}
