/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/door.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__linux__) && !defined(DOOR_PORTABLE) /* which a test defines */
#define DOOR_EPOLL
#include <sys/epoll.h>
#else
#include <poll.h>
#include <pthread.h>
#endif

#include "actor/mailbox.h"

#define NOTHING (-3)

struct door {
	struct waker *news; /* calls, and the end */
	_Atomic unsigned calls;
	_Atomic bool closed;
	size_t count;
	int *sockets;
#ifdef DOOR_EPOLL
	int epoll_fd;
#else
	pthread_mutex_t turn; /* held by the one who waits in poll() */
	_Atomic bool *watched;
	struct pollfd *pfd; /* the one's; the waker is the last */
#endif
};

/* ---- Calls ---- */

static bool
take_call(struct door *d)
{
	unsigned n = atomic_load(&d->calls);

	while (n > 0)
		if (atomic_compare_exchange_weak(&d->calls, &n, n - 1))
			return true;
	return false;
}

/*
 * The waker has been woken.  It is cleared before the look at what for, and
 * woken after that has been written, so that nothing is missed; what is left is
 * the next one's.
 */
static int
hear(struct door *d)
{
	int found = NOTHING;

	waker_clear(d->news);
	if (atomic_load(&d->closed))
		found = DOOR_CLOSED;
	else if (take_call(d))
		found = DOOR_CALLED;
	if (found == DOOR_CLOSED || atomic_load(&d->calls) > 0)
		waker_wake(d->news);
	return found;
}

void
door_call(struct door *d)
{
	atomic_fetch_add(&d->calls, 1);
	waker_wake(d->news);
}

void
door_close(struct door *d)
{
	atomic_store(&d->closed, true);
	waker_wake(d->news);
}

/* ---- Sockets ---- */

#ifdef DOOR_EPOLL

static bool
open_sockets(struct door *d)
{
	/* Each wake-up is one worker's, whether he has cleared the last or not:
	 * hear() wakes another for what is left. */
	struct epoll_event e = { .events = EPOLLIN | EPOLLET,
		.data.u32 = (uint32_t)d->count };

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll_fd < 0 || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD,
	    d->news->read_fd, &e) < 0)
		return false;
	for (size_t i = 0; i < d->count; i++) {
		e = (struct epoll_event){ .events = EPOLLONESHOT,
			.data.u32 = (uint32_t)i };
		if (d->sockets[i] >= 0 && epoll_ctl(d->epoll_fd,
		    EPOLL_CTL_ADD, d->sockets[i], &e) < 0)
			return false;
	}
	return true;
}

static void
close_sockets(struct door *d)
{
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
}

void
door_watch(struct door *d, size_t which)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT,
		.data.u32 = (uint32_t)which };

	if (d->sockets[which] >= 0)
		epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, d->sockets[which], &e);
}

int
door_wait(struct door *d)
{
	int found = NOTHING;

	while (found == NOTHING) {
		struct epoll_event e;

		if (epoll_wait(d->epoll_fd, &e, 1, -1) <= 0)
			continue; /* interrupted */
		found = e.data.u32 < d->count ? (int)e.data.u32 : hear(d);
	}
	return found;
}

#else

static bool
open_sockets(struct door *d)
{
	d->watched = calloc(d->count + 1, sizeof d->watched[0]);
	d->pfd = calloc(d->count + 1, sizeof d->pfd[0]);
	return d->watched != NULL && d->pfd != NULL &&
	    pthread_mutex_init(&d->turn, NULL) == 0;
}

static void
close_sockets(struct door *d)
{
	if (d->watched != NULL && d->pfd != NULL)
		pthread_mutex_destroy(&d->turn);
	free(d->watched);
	free(d->pfd);
}

void
door_watch(struct door *d, size_t which)
{
	atomic_store(&d->watched[which], true);
	waker_wake(d->news);
}

static int
look(struct door *d)
{
	for (size_t i = 0; i < d->count; i++)
		d->pfd[i] = (struct pollfd){
			.fd = atomic_load(&d->watched[i]) ? d->sockets[i] : -1,
			.events = POLLIN };
	d->pfd[d->count] = (struct pollfd){ .fd = d->news->read_fd,
		.events = POLLIN };
	if (poll(d->pfd, d->count + 1, -1) <= 0)
		return NOTHING; /* interrupted */
	for (size_t i = 0; i < d->count; i++)
		if (d->pfd[i].revents != 0) {
			atomic_store(&d->watched[i], false);
			return (int)i;
		}
	return hear(d);
}

/* One waits in poll(), the others for him. */
int
door_wait(struct door *d)
{
	int found = NOTHING;

	pthread_mutex_lock(&d->turn);
	while (found == NOTHING)
		found = look(d);
	pthread_mutex_unlock(&d->turn);
	return found;
}

#endif

/* ---- Life ---- */

struct door *
door_new(const int *sockets, size_t count)
{
	struct door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->count = count;
	d->sockets = calloc(count + 1, sizeof d->sockets[0]);
	d->news = waker_new_polled();
#ifdef DOOR_EPOLL
	d->epoll_fd = -1;
#endif
	if (d->sockets != NULL)
		for (size_t i = 0; i < count; i++)
			d->sockets[i] = sockets[i];
	if (d->sockets == NULL || d->news == NULL || !open_sockets(d)) {
		door_free(d);
		return NULL;
	}
	return d;
}

void
door_free(struct door *d)
{
	if (d == NULL)
		return;
	close_sockets(d);
	if (d->news != NULL)
		waker_put(d->news);
	free(d->sockets);
	free(d);
}
