/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where there are no pollers: the actors' own threads wait. */

#include "actor/poller.h"

#include <errno.h>

#ifndef __linux__

struct poller *
poller_new(unsigned groups)
{
	(void)groups;
	errno = ENOSYS;
	return NULL;
}

void
poller_free(struct poller *p)
{
	(void)p;
}

unsigned
poller_groups(const struct poller *p)
{
	(void)p;
	return 1;
}

struct poller_watch *
poller_watch(struct poller *p, unsigned group, int fd, short events,
    poller_ready *ready, poller_gone *gone, void *arg)
{
	(void)p;
	(void)group;
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

bool
poller_move(struct poller_watch *w, unsigned group, short events)
{
	(void)w;
	(void)group;
	(void)events;
	return false;
}

void
poller_remind(struct poller_watch *w, struct moment when)
{
	(void)w;
	(void)when;
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
