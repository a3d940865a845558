/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "muxbench.h"

#define EVENTS_MAX 64
#define AGAIN_MS 1 /* between two tries of a connect() */

bool
loop_open(struct loop *l, struct bench *b)
{
	struct epoll_event e = { .events = EPOLLIN };

	l->b = b;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC);
	l->buffer = malloc(BUFFER_SIZE);
	l->waiting = calloc(b->flow_count + 1, sizeof(struct flow *));
	return l->epoll >= 0 && l->wake >= 0 && l->buffer != NULL &&
	    l->waiting != NULL &&
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &e) == 0;
}

void
loop_close(struct loop *l)
{
	close(l->epoll);
	close(l->wake);
	free(l->buffer);
	free(l->waiting);
}

void
loop_wait(struct loop *l, struct flow *f)
{
	l->waiting[l->waiting_count++] = f;
}

static void
loop_retry(struct loop *l)
{
	const unsigned count = l->waiting_count;

	/* Those that fail again come into the places of those before them. */
	l->waiting_count = 0;
	for (unsigned i = 0; i < count; i++)
		connect_again(l->waiting[i]);
}

static void
loop_start(struct loop *l)
{
	const struct bench *b = l->b;

	for (unsigned i = 0; i < b->flow_count; i++) {
		struct flow *f = &b->flows[i];

		if (f->loop != l)
			continue;
		if (f->group->kind->start != NULL)
			f->group->kind->start(f);
		else
			flow_watch(f, f->group->kind->events);
		l->ticks |= f->group->kind->tick != NULL;
	}
}

static void
loop_tick(struct loop *l, struct moment *next)
{
	const struct bench *b = l->b;
	const struct moment now = clock_now();

	if (moment_before(now, *next))
		return;
	*next = moment_after_ms(now, LOOP_TICK_MS);
	for (unsigned i = 0; i < b->flow_count; i++) {
		struct flow *f = &b->flows[i];

		if (f->loop == l && f->group->kind->tick != NULL)
			f->group->kind->tick(f);
	}
}

void *
loop_main(void *arg)
{
	struct loop *l = arg;
	struct epoll_event events[EVENTS_MAX];
	struct moment next = clock_now();

	loop_start(l);
	while (atomic_load_explicit(&l->b->phase, memory_order_relaxed) !=
	    PHASE_OVER) {
		const int timeout = l->waiting_count > 0 ? AGAIN_MS
		    : l->ticks ? LOOP_TICK_MS : -1;
		const int n = epoll_wait(l->epoll, events, EVENTS_MAX,
		    timeout);

		for (int i = 0; i < n; i++) {
			struct flow *f = events[i].data.ptr;

			if (f != NULL && !f->failed)
				f->group->kind->ready(f, events[i].events);
		}
		if (l->waiting_count > 0)
			loop_retry(l);
		if (l->ticks)
			loop_tick(l, &next);
	}
	return NULL;
}
