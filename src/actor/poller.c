/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actor/poller.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __linux__ /* otherwise: poller_none.c */

#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "actor/counter.h"
#include "actor/poller_places.h"
#include "actor/poller_times.h"
#include "actor/thread.h"

/* What is taken of a group at a time: the more it is behind, the more there is to
 * do in a row.  What its thread holds is for another when the kernel keeps that
 * waiting. */
#define ROUND 64

/* How often those who are at work are looked after. */
#define TICK_NS 4000000

/* One that leads, and one that can take its place, though all groups' may be kept
 * waiting. */
#define HANDS_EACH 2

#define CACHE_LINE 64

/* What poll() calls its events, epoll calls them, too. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT &&
    EPOLLHUP == POLLHUP && EPOLLERR == POLLERR && EPOLLRDHUP == POLLRDHUP,
    "events differ");

/* An event that nobody has taken yet. */
struct news {
	_Atomic uint64_t name; /* of the watch, see places_name() */
	_Atomic uint32_t events;
};

/* What one thread waits for and does. */
struct group {
	struct poller *poller;
	int fd; /* epoll */
	/* The hand that leads, by number, twice, and one more while it waits for
	 * events.  The leader alone makes it wait and not wait; while it does
	 * not wait another may put itself in its place. */
	_Atomic unsigned lead;
	/* The round: its number, how many events it has, and how many have been
	 * taken (a byte each of the last two).  Filled by the leader when it is
	 * empty, and while the leader waits, so by nobody else. */
	_Atomic uint64_t round;
	/* What its leader had done at the last look; the watch's. */
	uint64_t seen;
	struct times times;
	struct news news[ROUND];
};

/* A thread. */
struct hand {
	struct poller *poller;
	struct thread thread;
	struct counter done; /* events */
	char apart[CACHE_LINE]; /* from the next one's */
};

struct poller {
	int stop_fd;
	int alarm_fd; /* a timer */
	struct places places;
	/* The timer runs, or somebody is about to look. */
	_Atomic bool alarmed;
	/* Held by the one of those who stand by that looks after the leaders. */
	sem_t watch;
	unsigned group_count, hand_count;
	struct group *groups;
	struct hand *hands;
};

/* What an event carries that tells the threads to end, and that is the group's
 * timer's: no place. */
#define STOP UINT64_MAX
#define TIME (UINT64_MAX - 1)

/* ---- A round ------------------------------------------------------------ */

static unsigned
round_count(uint64_t round)
{
	return (unsigned)(round >> 8) & 0xff;
}

static unsigned
round_taken(uint64_t round)
{
	return (unsigned)round & 0xff;
}

/* The leader, while it waits; the one before is empty. */
static void
fill_round(struct group *g, const struct epoll_event *events, unsigned n)
{
	const uint64_t before =
	    atomic_load_explicit(&g->round, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++) {
		atomic_store_explicit(&g->news[i].name, events[i].data.u64,
		    memory_order_relaxed);
		atomic_store_explicit(&g->news[i].events, events[i].events,
		    memory_order_relaxed);
	}
	/* Release: pairs with the acquires in take_news(). */
	atomic_store_explicit(&g->round,
	    ((before >> 16) + 1) << 16 | (uint64_t)n << 8,
	    memory_order_release);
}

/* One event of the round, for whoever comes first.  False: it is empty. */
static bool
take_news(struct group *g, struct epoll_event *out)
{
	uint64_t round = atomic_load_explicit(&g->round, memory_order_acquire);

	for (;;) {
		const struct news *n = &g->news[round_taken(round)];

		if (round_taken(round) == round_count(round))
			return false;
		/* Perhaps of a later round: then this one is over. */
		out->data.u64 =
		    atomic_load_explicit(&n->name, memory_order_relaxed);
		out->events =
		    atomic_load_explicit(&n->events, memory_order_relaxed);
		/* Release: the event was read before it is taken; pairs with
		 * the acquire of who takes the last one and fills the round. */
		if (atomic_compare_exchange_weak_explicit(&g->round, &round,
			round + 1, memory_order_acq_rel, memory_order_acquire))
			return true;
	}
}

static void
tell(struct hand *h, struct poller_watch *w, short events)
{
	if (w != NULL) {
		w->ready(w->arg, events);
		places_let_go(w);
	}
	counter_add(&h->done, 1);
}

static void
tell_time(struct hand *h, struct group *g)
{
	const struct moment now = clock_now();
	struct poller_watch *w;

	while ((w = times_next(&g->times, now)) != NULL)
		tell(h, w, POLLER_TIME);
}

/* ---- Who leads ---------------------------------------------------------- */

static unsigned
number_of(const struct hand *h)
{
	return (unsigned)(h - h->poller->hands);
}

/* Sequentially consistent, as all that is done with `lead' and `alarmed': who
 * ceases to wait looks whether the alarm is on afterwards, who has heard it looks
 * who waits afterwards. */
static bool
change_lead(struct group *g, unsigned from, unsigned to)
{
	return atomic_compare_exchange_strong(&g->lead, &from, to);
}

/* Somebody looks after the leaders from now on, until all of them wait. */
static void
rouse(struct poller *p)
{
	const struct itimerspec tick = { .it_value.tv_nsec = TICK_NS };

	if (!atomic_load(&p->alarmed)) {
		atomic_store(&p->alarmed, true);
		timerfd_settime(p->alarm_fd, 0, &tick, NULL);
	}
}

static void
do_round(struct hand *h, struct group *g)
{
	struct epoll_event e;

	while (take_news(g, &e))
		if (e.data.u64 == TIME)
			tell_time(h, g);
		else
			tell(h, places_hold(&h->poller->places, e.data.u64),
			    (short)e.events);
}

/* Waits, as the leader; not longer than for the first event.  False: all is to
 * end. */
static bool
await_events(struct group *g)
{
	struct epoll_event events[ROUND];
	const int n = epoll_wait(g->fd, events, ROUND, -1);

	for (int i = 0; i < n; i++)
		if (events[i].data.u64 == STOP)
			return false;
	if (n > 0)
		fill_round(g, events, (unsigned)n);
	return true;
}

/* Waits for the group's events and does them, as long as it leads.  False: all
 * is to end. */
static bool
lead(struct hand *h, struct group *g)
{
	const unsigned me = 2 * number_of(h);
	bool going_on = true;

	do_round(h, g); /* what a leader before has left */
	while (going_on && change_lead(g, me, me + 1)) {
		going_on = await_events(g);
		change_lead(g, me + 1, me);
		rouse(h->poller);
		do_round(h, g);
	}
	return going_on;
}

/* ---- Those who stand by ------------------------------------------------- */

/* Waits until somebody has been at work for a while.  False: all is to end. */
static bool
await_alarm(struct poller *p)
{
	struct pollfd fds[] = {
		{ .fd = p->alarm_fd, .events = POLLIN },
		{ .fd = p->stop_fd, .events = POLLIN },
	};
	uint64_t count;

	while (poll(fds, 2, -1) < 0)
		;
	if (fds[0].revents != 0)
		(void)!read(p->alarm_fd, &count, sizeof count);
	atomic_store(&p->alarmed, false);
	return fds[1].revents == 0;
}

/* Whether the group's leader has done nothing since the last look, though it does
 * not wait for anything: then the caller leads from now on. */
static bool
take_lead(struct hand *h, struct group *g, bool *at_work)
{
	const unsigned leader = atomic_load(&g->lead);
	const uint64_t before = g->seen;

	g->seen = UINT64_MAX;
	if (leader % 2 != 0)
		return false;
	*at_work = true;
	g->seen = counter_read(&h->poller->hands[leader / 2].done);
	if (g->seen != before || !change_lead(g, leader, 2 * number_of(h)))
		return false;
	g->seen = UINT64_MAX; /* was another's */
	return true;
}

/* A group that is to be led; NULL: all is to end. */
static struct group *
look_after_leaders(struct hand *h)
{
	struct poller *p = h->poller;

	while (await_alarm(p)) {
		bool at_work = false;

		for (unsigned i = 0; i < p->group_count; i++)
			if (take_lead(h, &p->groups[i], &at_work))
				return &p->groups[i];
		if (at_work)
			rouse(p);
	}
	return NULL;
}

static struct group *
stand_by(struct hand *h)
{
	struct poller *p = h->poller;
	struct group *g;

	while (sem_wait(&p->watch) < 0)
		;
	g = look_after_leaders(h);
	/* The next one looks after this one, too. */
	sem_post(&p->watch);
	rouse(p);
	return g;
}

static void *
work(void *arg)
{
	struct hand *h = arg;
	struct poller *p = h->poller;
	struct group *g = number_of(h) < p->group_count
	    ? &p->groups[number_of(h)]
	    : stand_by(h);

	while (g != NULL && lead(h, g))
		g = stand_by(h);
	return NULL;
}

/* ---- Begin and end ------------------------------------------------------ */

static bool
start_threads(struct poller *p, unsigned threads)
{
	while (p->hand_count < threads) {
		struct hand *h = &p->hands[p->hand_count];
		char name[24];
		int error;

		snprintf(name, sizeof name, "poller %u", p->hand_count + 1);
		h->poller = p;
		error = thread_start(&h->thread, name, work, h);
		if (error != 0) {
			errno = error;
			return false;
		}
		p->hand_count++;
	}
	return true;
}

/* Each is led by the hand of the same number, which does not wait yet. */
static bool
open_group(struct poller *p, unsigned number)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.u64 = STOP },
			   time = { .events = EPOLLIN | EPOLLET,
				   .data.u64 = TIME };
	struct group *g = &p->groups[number];

	g->poller = p;
	g->seen = UINT64_MAX;
	atomic_init(&g->lead, 2 * number);
	g->fd = epoll_create1(EPOLL_CLOEXEC);
	return times_init(&g->times) && g->fd >= 0 &&
	    epoll_ctl(g->fd, EPOLL_CTL_ADD, p->stop_fd, &stop) == 0 &&
	    epoll_ctl(g->fd, EPOLL_CTL_ADD, g->times.fd, &time) == 0;
}

static bool
open_all(struct poller *p, unsigned groups)
{
	p->alarm_fd = p->stop_fd = -1;
	p->groups = calloc(groups, sizeof p->groups[0]);
	p->hands = calloc(HANDS_EACH * groups, sizeof p->hands[0]);
	if (p->groups == NULL || p->hands == NULL)
		return false;
	p->alarm_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->stop_fd < 0 || p->alarm_fd < 0)
		return false;
	while (p->group_count < groups)
		if (!open_group(p, p->group_count++))
			return false;
	return true;
}

struct poller *
poller_new(unsigned groups)
{
	struct poller *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	places_init(&p->places);
	sem_init(&p->watch, 0, 1);
	if (!open_all(p, groups) || !start_threads(p, HANDS_EACH * groups)) {
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
	while (p->hand_count > 0 &&
	    write(p->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	for (unsigned i = 0; i < p->hand_count; i++)
		thread_join(&p->hands[i].thread);
}

static void
close_all(struct poller *p)
{
	for (unsigned i = 0; i < p->group_count; i++) {
		times_fini(&p->groups[i].times);
		if (p->groups[i].fd >= 0)
			close(p->groups[i].fd);
	}
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	if (p->alarm_fd >= 0)
		close(p->alarm_fd);
}

void
poller_free(struct poller *p)
{
	stop_threads(p);
	close_all(p);
	places_fini(&p->places);
	sem_destroy(&p->watch);
	free(p->hands);
	free(p->groups);
	free(p);
}

unsigned
poller_groups(const struct poller *p)
{
	return p->group_count;
}

/* ---- Watching ----------------------------------------------------------- */

static struct group *
group_of(struct poller *p, unsigned number)
{
	return &p->groups[number % p->group_count];
}

static int
control(struct poller_watch *w, int how, short events)
{
	struct epoll_event e = { .events = (uint32_t)(unsigned short)events |
		    EPOLLET, .data.u64 = places_name(w) };

	return epoll_ctl(w->group->fd, how, w->fd, &e);
}

struct poller_watch *
poller_watch(struct poller *p, unsigned group, int fd, short events,
    poller_ready *ready, poller_gone *gone, void *arg)
{
	struct poller_watch *w = places_take(&p->places);

	if (w == NULL)
		return NULL;
	w->group = group_of(p, group);
	w->fd = fd;
	w->ready = ready;
	w->gone = gone;
	w->arg = arg;
	places_begin(w);
	if (control(w, EPOLL_CTL_ADD, events) == 0)
		return w;
	places_drop(w);
	return NULL;
}

void
poller_rewatch(struct poller_watch *w, short events)
{
	/* It can fail for want of memory alone, and takes none. */
	control(w, EPOLL_CTL_MOD, events);
}

/* For a moment both groups are told, and one of them is late. */
bool
poller_move(struct poller_watch *w, unsigned group, short events)
{
	struct group *from = w->group, *to = group_of(from->poller, group);

	if (from == to)
		return false;
	w->group = to;
	if (control(w, EPOLL_CTL_ADD, events) < 0) {
		w->group = from;
		return false;
	}
	epoll_ctl(from->fd, EPOLL_CTL_DEL, w->fd, NULL);
	return true;
}

void
poller_remind(struct poller_watch *w, struct moment when)
{
	times_add(&w->group->times, w, when);
}

void
poller_unwatch(struct poller_watch *w)
{
	times_forget(w);
	control(w, EPOLL_CTL_DEL, 0);
	places_let_go(w);
}

/* If somebody has a copy of the descriptor, events of it may still come, and
 * find out as those do that were on their way. */
void
poller_close(struct poller_watch *w)
{
	times_forget(w);
	close(w->fd);
	places_let_go(w);
}

#endif
