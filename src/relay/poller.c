/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH 256 /* entries served between two waits */

#if defined(__linux__) && !defined(RELAY_WITH_POLL)

#include <sys/epoll.h>

struct poller {
	int fd;
};

struct poller *
poller_new(void)
{
	struct poller *p = malloc(sizeof *p);

	if (p == NULL)
		return NULL;
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	return p;
}

void
poller_free(struct poller *p)
{
	close(p->fd);
	free(p);
}

int
poller_want(struct poller *p, struct poll_entry *e, short wanted)
{
	/* The bits of epoll and of poll are the same on Linux. */
	struct epoll_event event = { .events = (uint32_t)wanted,
		.data.ptr = e };
	const int op = wanted == 0 ? EPOLL_CTL_DEL
	    : e->wanted == 0	   ? EPOLL_CTL_ADD
				   : EPOLL_CTL_MOD;

	if (wanted == e->wanted)
		return 0;
	if (epoll_ctl(p->fd, op, e->fd, &event) < 0 && wanted != 0)
		return -1;
	e->wanted = wanted;
	return 0;
}

int
poller_wait(struct poller *p, int timeout_ms)
{
	struct epoll_event events[BATCH];
	const int n = epoll_wait(p->fd, events, BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -1;
	for (int i = 0; i < n; i++) {
		struct poll_entry *e = events[i].data.ptr;

		/* An earlier one of this batch may have ended it. */
		if (e->wanted != 0)
			e->ready(e, (short)events[i].events);
	}
	return 0;
}

#else

struct poller {
	struct pollfd *fds;
	struct poll_entry **entries; /* of the same slot */
	size_t count, room;
};

struct poller *
poller_new(void)
{
	return calloc(1, sizeof(struct poller));
}

void
poller_free(struct poller *p)
{
	free(p->fds);
	free(p->entries);
	free(p);
}

static int
make_room(struct poller *p)
{
	const size_t room = p->room > 0 ? 2 * p->room : 64;
	struct pollfd *fds = realloc(p->fds, room * sizeof *fds);
	struct poll_entry **entries;

	if (fds == NULL)
		return -1;
	p->fds = fds;
	entries = realloc(p->entries, room * sizeof(struct poll_entry *));
	if (entries == NULL)
		return -1;
	p->entries = entries;
	p->room = room;
	return 0;
}

int
poller_want(struct poller *p, struct poll_entry *e, short wanted)
{
	if (e->wanted == 0 && wanted != 0) {
		if (p->count == p->room && make_room(p) < 0)
			return -1;
		e->slot = p->count++;
		p->entries[e->slot] = e;
		p->fds[e->slot].fd = e->fd;
	} else if (e->wanted != 0 && wanted == 0) {
		/* The last one moves into its place. */
		p->count--;
		p->fds[e->slot] = p->fds[p->count];
		p->entries[e->slot] = p->entries[p->count];
		p->entries[e->slot]->slot = e->slot;
	}
	if (wanted != 0)
		p->fds[e->slot].events = wanted;
	e->wanted = wanted;
	return 0;
}

int
poller_wait(struct poller *p, int timeout_ms)
{
	struct poll_entry *batch[BATCH];
	short events[BATCH];
	size_t n = 0;
	int left = poll(p->fds, (nfds_t)p->count, timeout_ms);

	if (left < 0)
		return errno == EINTR ? 0 : -1;
	for (size_t i = 0; i < p->count && left > 0 && n < BATCH; i++)
		if (p->fds[i].revents != 0) {
			batch[n] = p->entries[i];
			events[n++] = p->fds[i].revents;
			left--;
		}
	for (size_t i = 0; i < n; i++)
		if (batch[i]->wanted != 0)
			batch[i]->ready(batch[i], events[i]);
	return 0;
}

#endif
