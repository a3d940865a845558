/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/poller.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __linux__

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "actor/thread.h"

/* What one thread takes at a time: enough to spare system calls, and few, because
 * what it holds waits for what is before it. */
#define BATCH 8

/* Watches come in blocks, and a block stays: an event may be in some thread's
 * hands when its watch has ended, and finds out by the number of times that the
 * place has been used. */
#define BLOCK 256
#define BLOCKS 4096

/* What poll() calls its events, epoll calls them, too. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT &&
    EPOLLHUP == POLLHUP && EPOLLERR == POLLERR && EPOLLRDHUP == POLLRDHUP,
    "events differ");

struct poller_watch {
	/* The use of the place in the upper half; in the lower how many hold
	 * it: whoever watches, and threads that are in ready(). */
	_Atomic uint64_t state;
	struct poller *poller;
	uint32_t place;
	int fd;
	poller_ready *ready;
	poller_gone *gone;
	void *arg;
	struct poller_watch *next; /* free; under the poller's lock */
};

struct poller {
	int fd;
	int stop_fd;
	/* For the places, which come and go with connections; bytes do not pass
	 * it. */
	pthread_mutex_t lock;
	struct poller_watch *free;
	uint32_t block_count;
	/* Release: when a block is made.  Acquire: by a thread that has an
	 * event of it. */
	_Atomic(struct poller_watch *) blocks[BLOCKS];
	unsigned thread_count;
	struct thread threads[];
};

/* What an event carries for those that tell the threads to end: no place. */
#define STOP UINT64_MAX

/* ---- Places ------------------------------------------------------------- */

static uint32_t
use_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint64_t
name_of(const struct poller_watch *w, uint64_t state)
{
	return (uint64_t)use_of(state) << 32 | w->place;
}

/* One more block of free places.  Under the lock. */
static bool
add_block(struct poller *p)
{
	struct poller_watch *block;

	if (p->block_count == BLOCKS) {
		errno = ENOMEM;
		return false;
	}
	block = calloc(BLOCK, sizeof *block);
	if (block == NULL)
		return false;
	for (uint32_t i = BLOCK; i-- > 0;) {
		atomic_init(&block[i].state, 0);
		block[i].poller = p;
		block[i].place = p->block_count * BLOCK + i;
		block[i].next = p->free;
		p->free = &block[i];
	}
	atomic_store_explicit(&p->blocks[p->block_count++], block,
	    memory_order_release);
	return true;
}

static struct poller_watch *
take_place(struct poller *p)
{
	struct poller_watch *w = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->free != NULL || add_block(p)) {
		w = p->free;
		p->free = w->next;
	}
	pthread_mutex_unlock(&p->lock);
	return w;
}

static void
give_place(struct poller_watch *w)
{
	struct poller *p = w->poller;

	pthread_mutex_lock(&p->lock);
	w->next = p->free;
	p->free = w;
	pthread_mutex_unlock(&p->lock);
}

/* The watch that an event is of, held; NULL when it has ended since. */
static struct poller_watch *
hold(struct poller *p, uint64_t name)
{
	const uint32_t place = (uint32_t)name;
	struct poller_watch *w = atomic_load_explicit(&p->blocks[place / BLOCK],
	    memory_order_acquire) + place % BLOCK;
	uint64_t state =
	    atomic_load_explicit(&w->state, memory_order_relaxed);

	do {
		if (use_of(state) != use_of(name) || (uint32_t)state == 0)
			return NULL;
		/* Acquire: pairs with the release in poller_watch(). */
	} while (!atomic_compare_exchange_weak_explicit(&w->state, &state,
	    state + 1, memory_order_acquire, memory_order_relaxed));
	return w;
}

static void
let_go(struct poller_watch *w)
{
	/* Release and acquire pair among all who let go: the last one sees what
	 * the others did. */
	const uint64_t before = atomic_fetch_sub_explicit(&w->state, 1,
	    memory_order_acq_rel);

	if ((uint32_t)before != 1)
		return;
	w->gone(w->arg);
	give_place(w);
}

/* ---- The threads -------------------------------------------------------- */

static void *
watch_all(void *arg)
{
	struct poller *p = arg;
	struct epoll_event events[BATCH];

	for (;;) {
		const int n = epoll_wait(p->fd, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			struct poller_watch *w;

			if (events[i].data.u64 == STOP)
				return NULL;
			w = hold(p, events[i].data.u64);
			if (w == NULL)
				continue;
			w->ready(w->arg, (short)events[i].events);
			let_go(w);
		}
	}
}

static bool
start_threads(struct poller *p, unsigned threads)
{
	while (p->thread_count < threads) {
		char name[24];
		int error;

		snprintf(name, sizeof name, "poller %u", p->thread_count + 1);
		error = thread_start(&p->threads[p->thread_count], name,
		    watch_all, p);
		if (error != 0) {
			errno = error;
			return false;
		}
		p->thread_count++;
	}
	return true;
}

static bool
open_fds(struct poller *p)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.u64 = STOP };

	p->fd = epoll_create1(EPOLL_CLOEXEC);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->fd >= 0 && p->stop_fd >= 0 &&
	    epoll_ctl(p->fd, EPOLL_CTL_ADD, p->stop_fd, &stop) == 0;
}

struct poller *
poller_new(unsigned threads)
{
	struct poller *p =
	    calloc(1, sizeof *p + threads * sizeof p->threads[0]);

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	if (!open_fds(p) || !start_threads(p, threads)) {
		const int error = errno;

		poller_free(p);
		errno = error;
		return NULL;
	}
	return p;
}

static void
stop_threads(struct poller *p)
{
	const uint64_t one = 1;

	/* Stays readable, so that each of them sees it. */
	while (p->thread_count > 0 &&
	    write(p->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < p->thread_count; i++)
		thread_join(&p->threads[i]);
}

void
poller_free(struct poller *p)
{
	stop_threads(p);
	for (uint32_t i = 0; i < p->block_count; i++)
		free(atomic_load_explicit(&p->blocks[i], memory_order_relaxed));
	if (p->fd >= 0)
		close(p->fd);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- Watching ----------------------------------------------------------- */

static int
control(struct poller_watch *w, int how, short events)
{
	const uint64_t state =
	    atomic_load_explicit(&w->state, memory_order_relaxed);
	struct epoll_event e = { .events = (uint32_t)(unsigned short)events |
		    EPOLLET, .data.u64 = name_of(w, state) };

	return epoll_ctl(w->poller->fd, how, w->fd, &e);
}

struct poller_watch *
poller_watch(struct poller *p, int fd, short events, poller_ready *ready,
    poller_gone *gone, void *arg)
{
	struct poller_watch *w = take_place(p);
	uint64_t state;

	if (w == NULL)
		return NULL;
	w->fd = fd;
	w->ready = ready;
	w->gone = gone;
	w->arg = arg;
	state = atomic_load_explicit(&w->state, memory_order_relaxed);
	state = ((uint64_t)use_of(state) + 1) << 32 | 1;
	/* Release: pairs with the acquire in hold(). */
	atomic_store_explicit(&w->state, state, memory_order_release);
	if (control(w, EPOLL_CTL_ADD, events) == 0)
		return w;
	/* No event can be of it, so it is nobody else's. */
	atomic_store_explicit(&w->state, state - 1, memory_order_relaxed);
	give_place(w);
	return NULL;
}

void
poller_rewatch(struct poller_watch *w, short events)
{
	/* It can fail for want of memory alone, and takes none. */
	control(w, EPOLL_CTL_MOD, events);
}

void
poller_unwatch(struct poller_watch *w)
{
	control(w, EPOLL_CTL_DEL, 0);
	let_go(w);
}

/* If somebody has a copy of the descriptor, events of it may still come, and
 * find out as those do that were on their way. */
void
poller_close(struct poller_watch *w)
{
	close(w->fd);
	let_go(w);
}

#else /* The actors' own threads wait. */

struct poller *
poller_new(unsigned threads)
{
	(void)threads;
	errno = ENOSYS;
	return NULL;
}

void
poller_free(struct poller *p)
{
	(void)p;
}

struct poller_watch *
poller_watch(struct poller *p, int fd, short events, poller_ready *ready,
    poller_gone *gone, void *arg)
{
	(void)p;
	(void)fd;
	(void)events;
	(void)ready;
	(void)gone;
	(void)arg;
	errno = ENOSYS;
	return NULL;
}

void
poller_rewatch(struct poller_watch *w, short events)
{
	(void)w;
	(void)events;
}

void
poller_unwatch(struct poller_watch *w)
{
	(void)w;
}

void
poller_close(struct poller_watch *w)
{
	(void)w;
}

#endif
