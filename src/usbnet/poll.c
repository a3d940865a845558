/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The descriptors to poll: the waker, the timer, buses and links. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "usbnet/bus.h"
#include "usbnet/events.h"
#include "usbnet/hotplug.h"
#include "usbnet/link.h"
#include "usbnet/transfer.h"

/* What one round polls.  The links are safe without the context's lock: only
 * the events lock's owner takes one away. */
struct un_poll {
	struct pollfd *fds;
	struct un_link **links; /* the last `link_count` of them */
	size_t size;
	size_t first_link, count;
	bool pending; /* something waits that shows on no socket */
	unsigned unpolled; /* rounds since the descriptors were last looked at */
};

/* While there is something to do, the descriptors are looked at once in so many
 * rounds: for most programs the one that woke them was enough, and the waker's
 * tells of nothing that is not found without it. */
#define UNPOLLED_MAX 8

enum { POLL_WAKER, POLL_TIMER, POLL_BUSES };

void
un_poll_free(struct un_poll *p)
{
	if (p == NULL)
		return;
	free(p->fds);
	free(p->links);
	free(p);
}

static bool
make_room(struct un_poll *p, size_t count)
{
	struct pollfd *fds;
	struct un_link **links;

	if (count <= p->size)
		return true;
	fds = realloc(p->fds, 2 * count * sizeof *fds);
	if (fds != NULL)
		p->fds = fds;
	links = realloc(p->links, 2 * count * sizeof *links);
	if (links != NULL)
		p->links = links;
	if (fds == NULL || links == NULL)
		return false;
	p->size = 2 * count;
	return true;
}

/* ---- Which they are ---- */

static size_t
count_fds(const struct libusb_context *ctx)
{
	size_t n = POLL_BUSES + ctx->bus_count;

	for (const struct un_link *l = ctx->links; l != NULL; l = l->next)
		n++;
	return n;
}

static void
add_link(struct un_poll *p, struct un_link *l)
{
	struct pollfd pfd = { .fd = -1 };

	pthread_mutex_lock(&l->lock);
	p->pending |= !TAILQ_EMPTY(&l->done);
	if (!l->lost) {
		pfd.fd = un_link_is_polled(l) ? l->fd : -1;
		pfd.events = l->ops->events(l);
		p->pending |= l->ops->ready(l);
	}
	pthread_mutex_unlock(&l->lock);
	p->links[p->count - p->first_link] = l;
	p->fds[p->count++] = pfd;
}

/* Fills the array, under the context's lock. */
static bool
fill(struct libusb_context *ctx, struct un_poll *p)
{
	if (!make_room(p, count_fds(ctx)))
		return false;
	p->fds[POLL_WAKER] = (struct pollfd){ .fd = ctx->waker->read_fd,
		.events = POLLIN };
	p->fds[POLL_TIMER] = (struct pollfd){ .fd = ctx->timer_fd,
		.events = POLLIN };
	p->count = POLL_BUSES;
	for (size_t i = 0; i < ctx->bus_count; i++)
		p->fds[p->count++] = un_bus_pollfd(un_bus_at(ctx, i));
	p->first_link = p->count;
	p->pending = ctx->messages != NULL || !TAILQ_EMPTY(&ctx->done);
	for (struct un_link *l = ctx->links; l != NULL; l = l->next)
		add_link(p, l);
	return true;
}

/* ---- What a program polls by itself ---- */

/* The notifiers, as they are set at this moment. */
static void
tell(struct libusb_context *ctx, bool added, int fd, short events)
{
	libusb_pollfd_added_cb on_added;
	libusb_pollfd_removed_cb on_removed;
	void *arg;

	pthread_mutex_lock(&ctx->lock);
	on_added = ctx->fd_added;
	on_removed = ctx->fd_removed;
	arg = ctx->fd_user_data;
	pthread_mutex_unlock(&ctx->lock);
	if (added && on_added != NULL)
		on_added(fd, events, arg);
	if (!added && on_removed != NULL)
		on_removed(fd, arg);
}

void
un_poll_added(struct libusb_context *ctx, int fd, short events)
{
	tell(ctx, true, fd, events);
}

void
un_poll_removed(struct libusb_context *ctx, int fd)
{
	tell(ctx, false, fd, 0);
}

/* A program that has set notifiers is told when a link waits for room, when no
 * more, and when it is lost. */
static void
tell_changes(struct libusb_context *ctx, struct un_poll *p)
{
	for (size_t i = p->first_link; i < p->count; i++) {
		struct un_link *l = p->links[i - p->first_link];

		if (!l->told || l->told_events == p->fds[i].events)
			continue;
		un_poll_removed(ctx, l->fd);
		l->told_events = p->fds[i].events;
		l->told = p->fds[i].fd >= 0; /* not when it is lost */
		if (l->told)
			un_poll_added(ctx, l->fd, l->told_events);
	}
}

void
libusb_set_pollfd_notifiers(libusb_context *asked,
    libusb_pollfd_added_cb added_cb, libusb_pollfd_removed_cb removed_cb,
    void *user_data)
{
	struct libusb_context *ctx = un_context(asked);

	if (ctx == NULL)
		return;
	atomic_store(&ctx->polled, true);
	pthread_mutex_lock(&ctx->lock);
	ctx->fd_added = added_cb;
	ctx->fd_removed = removed_cb;
	ctx->fd_user_data = user_data;
	pthread_mutex_unlock(&ctx->lock);
}

/* One block of memory: the pointers, and what they point to. */
static const struct libusb_pollfd **
copy_of(const struct un_poll *p)
{
	const size_t pointers = (p->count + 1) * sizeof(void *);
	struct libusb_pollfd **out =
	    malloc(pointers + p->count * sizeof **out);
	struct libusb_pollfd *fds;
	size_t n = 0;

	if (out == NULL)
		return NULL;
	fds = (struct libusb_pollfd *)((char *)out + pointers);
	for (size_t i = 0; i < p->count; i++) {
		if (p->fds[i].fd < 0)
			continue;
		fds[n].fd = p->fds[i].fd;
		fds[n].events = p->fds[i].events;
		out[n] = &fds[n];
		n++;
	}
	out[n] = NULL;
	return (const struct libusb_pollfd **)out;
}

const struct libusb_pollfd **
libusb_get_pollfds(libusb_context *asked)
{
	struct libusb_context *ctx = un_context(asked);
	const struct libusb_pollfd **out = NULL;
	struct un_poll p = { 0 };

	if (ctx == NULL)
		return NULL;
	atomic_store(&ctx->polled, true);
	pthread_mutex_lock(&ctx->lock);
	if (fill(ctx, &p))
		out = copy_of(&p);
	pthread_mutex_unlock(&ctx->lock);
	if (p.pending)
		un_wake(ctx);
	free(p.fds);
	free(p.links);
	return out;
}

void
libusb_free_pollfds(const struct libusb_pollfd **pollfds)
{
	free(pollfds);
}

int
libusb_pollfds_handle_timeouts(libusb_context *asked)
{
	const struct libusb_context *ctx = un_context(asked);

	return ctx != NULL && ctx->timer_fd >= 0;
}

int
libusb_get_next_timeout(libusb_context *asked, struct timeval *tv)
{
	struct libusb_context *ctx = un_context(asked);
	int64_t at, left;

	if (ctx == NULL || tv == NULL || ctx->timer_fd >= 0)
		return 0;
	at = atomic_load_explicit(&ctx->timer_at, memory_order_relaxed);
	if (at == MOMENT_NEVER.ns)
		return 0;
	left = at - clock_now().ns;
	if (left < 0)
		left = 0;
	tv->tv_sec = left / 1000000000;
	tv->tv_usec = left % 1000000000 / 1000;
	return 1;
}

/* ---- A round ---- */

static bool
timer_has_run_out(struct libusb_context *ctx)
{
	return moment_has_come((struct moment){
	    atomic_load_explicit(&ctx->timer_at, memory_order_relaxed) });
}

/* The timer's descriptor ends the sleep, where there is one. */
static int
shorten(struct libusb_context *ctx, int timeout_ms)
{
	const struct moment at = {
		atomic_load_explicit(&ctx->timer_at, memory_order_relaxed)
	};
	int left;

	if (ctx->timer_fd >= 0)
		return timeout_ms;
	left = moment_poll_timeout(clock_now(), at);
	return left >= 0 && left < timeout_ms ? left : timeout_ms;
}

int
un_poll_wait(struct libusb_context *ctx, int timeout_ms)
{
	struct un_poll *p = ctx->poll;
	bool filled;
	int n;

	if (p == NULL)
		p = ctx->poll = calloc(1, sizeof *p);
	if (p == NULL)
		return LIBUSB_ERROR_NO_MEM;
	pthread_mutex_lock(&ctx->lock);
	filled = fill(ctx, p);
	pthread_mutex_unlock(&ctx->lock);
	if (!filled)
		return LIBUSB_ERROR_NO_MEM;
	tell_changes(ctx, p);
	if (p->pending && p->unpolled++ < UNPOLLED_MAX) {
		for (size_t i = 0; i < p->count; i++)
			p->fds[i].revents = 0;
		return 1;
	}
	p->unpolled = 0;
	n = poll(p->fds, (nfds_t)p->count,
	    p->pending ? 0 : shorten(ctx, timeout_ms));
	if (n < 0)
		return errno == EINTR ? LIBUSB_ERROR_INTERRUPTED
				      : LIBUSB_ERROR_IO;
	return n > 0 || p->pending || timer_has_run_out(ctx);
}

/* The newest.  Those behind it stay: only the events lock's owner, who calls
 * this, takes one away. */
static struct un_link *
first_link(struct libusb_context *ctx)
{
	struct un_link *l;

	pthread_mutex_lock(&ctx->lock);
	l = ctx->links;
	pthread_mutex_unlock(&ctx->lock);
	return l;
}

/*
 * Looks for all that has run out, and sets the timer for what comes next.  Also
 * of links that are younger than this round's poll(): one that is not there to
 * be found after the timer has been reset will set it anew.
 */
static void
expire(struct libusb_context *ctx)
{
	const struct moment now = clock_now();
	struct moment next = MOMENT_NEVER;

	pthread_mutex_lock(&ctx->timer);
	atomic_store_explicit(&ctx->timer_at, MOMENT_NEVER.ns,
	    memory_order_relaxed);
	pthread_mutex_unlock(&ctx->timer);
	for (struct un_link *l = first_link(ctx); l != NULL; l = l->next) {
		struct un_timer *first;
		bool lost;

		pthread_mutex_lock(&l->lock);
		lost = !un_link_expire(l, now);
		first = un_timers_first(&l->timers);
		if (first != NULL)
			next = moment_earlier(next, first->deadline);
		pthread_mutex_unlock(&l->lock);
		if (lost)
			un_link_tell_lost(l);
	}
	next = moment_earlier(next, un_buses_expire(ctx, now));
	un_timer_set(ctx, next);
}

/* Takes what has completed to those whose callbacks come next. */
static void
work_on(struct libusb_context *ctx, struct un_link *l, short revents)
{
	bool lost = false;

	pthread_mutex_lock(&l->lock);
	if (revents != 0 || (!l->lost && l->ops->ready(l)))
		lost = !un_link_work(l);
	TAILQ_CONCAT(&ctx->done, &l->done, place);
	pthread_mutex_unlock(&l->lock);
	if (lost)
		un_link_tell_lost(l);
}

void
un_poll_work(struct libusb_context *ctx)
{
	struct un_poll *p = ctx->poll;

	if (p->fds[POLL_WAKER].revents != 0) {
		waker_clear(ctx->waker);
		un_buses_look(ctx);
	}
	if (p->fds[POLL_TIMER].revents != 0) {
		uint64_t count;

		(void)!read(ctx->timer_fd, &count, sizeof count);
	}
	if (timer_has_run_out(ctx))
		expire(ctx);
	for (size_t i = POLL_BUSES; i < p->first_link; i++)
		if (p->fds[i].revents != 0)
			un_bus_work(un_bus_at(ctx, i - POLL_BUSES));
	for (size_t i = p->first_link; i < p->count; i++)
		work_on(ctx, p->links[i - p->first_link], p->fds[i].revents);
}

void
un_poll_leave(struct libusb_context *ctx)
{
	bool pending = false;

	if (!atomic_load(&ctx->polled))
		return;
	pthread_mutex_lock(&ctx->lock);
	for (struct un_link *l = ctx->links; l != NULL; l = l->next) {
		if (l->ops->attend == NULL)
			continue;
		pthread_mutex_lock(&l->lock);
		pending |= !TAILQ_EMPTY(&l->done) ||
		    (!l->lost && l->ops->ready(l));
		pthread_mutex_unlock(&l->lock);
	}
	pthread_mutex_unlock(&ctx->lock);
	if (pending)
		un_wake(ctx);
}
