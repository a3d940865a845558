/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Wakers.  Pairs of threads that wake each other in turn: no wake-up is lost,
 * none comes of itself, and what one did before it woke the other is seen
 * without any other order.  And a crowd that wakes one, who waits for a socket,
 * too.  A bell that nobody has is silent.
 */

#include "race.h"

#include "actor/waker.c"

#include "actor/thread.h"

#define PAIRS 2
#define CALLERS 3

/* ---- Pairs ---- */

struct pair;

struct half {
	struct pair *pair;
	struct waker *waker;
	struct thread thread;
	uint32_t seed;
};

struct pair {
	struct half halves[2];
	/* Who has been woken has them: not atomic, so that ThreadSanitizer sees
	 * a wake-up that orders nothing. */
	uint64_t turns;
	bool over;
};

static struct moment end_of_test;

/* In one of the ways that there are, until it is woken. */
static void
wait_somehow(struct waker *w, int other_fd)
{
	bool woken = false;

	while (!woken) {
		struct pollfd fds[2] = { [1] = { .fd = other_fd } };

		switch (race_random() % 5) {
		case 0:
			woken = waker_wait(w, -1);
			break;
		case 1:
			woken = waker_wait(w, 0);
			break;
		case 2:
			woken = waker_wait_until(w, (struct moment){
				clock_now().ns + race_random() % 50000 });
			break;
		case 3:
			woken = waker_poll(w, fds, 2, 0);
			break;
		default:
			woken = waker_poll(w, fds, 2, -1);
			break;
		}
	}
}

static void *
play(void *arg)
{
	struct half *h = arg;
	struct pair *p = h->pair;
	struct waker *other = p->halves[h == &p->halves[0]].waker;
	const uint64_t which = h == &p->halves[1];
	bool over = false;

	race_seed(h->seed);
	while (!over) {
		wait_somehow(h->waker, -1);
		MUST(p->turns++ % 2 == which);
		p->over = p->over || race_is_over(end_of_test);
		over = p->over;
		waker_wake(other);
	}
	return NULL;
}

static void
begin_pair(struct pair *p, uint32_t seed)
{
	for (uint32_t i = 0; i < 2; i++) {
		p->halves[i].pair = p;
		p->halves[i].seed = seed + i;
		p->halves[i].waker = waker_new();
		MUST(p->halves[i].waker != NULL);
	}
	for (int i = 0; i < 2; i++)
		MUST(thread_start(&p->halves[i].thread, "half", play,
		    &p->halves[i]) == 0);
	waker_wake(p->halves[0].waker);
}

static uint64_t
end_pair(struct pair *p)
{
	for (int i = 0; i < 2; i++)
		thread_join(&p->halves[i].thread);
	for (int i = 0; i < 2; i++)
		waker_put(p->halves[i].waker);
	return p->turns;
}

/* ---- A crowd ---- */

struct caller {
	struct thread thread;
	uint32_t seed;
	_Atomic bool calls;
	uint64_t count;
};

static struct waker *called;
static struct waker *door; /* in place of a socket */
static struct caller callers[CALLERS];
static _Atomic bool over;

static void *
call(void *arg)
{
	struct caller *c = arg;

	race_seed(c->seed);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		if (atomic_load_explicit(&c->calls, memory_order_acquire)) {
			sched_yield();
			continue;
		}
		atomic_store_explicit(&c->calls, true, memory_order_release);
		c->count++;
		waker_wake(race_random() % 4 == 0 ? door : called);
	}
	return NULL;
}

/* All that had been said before somebody was woken. */
static uint64_t
hear_all(void)
{
	uint64_t heard = 0;

	for (int i = 0; i < CALLERS; i++)
		if (atomic_load_explicit(&callers[i].calls,
			memory_order_acquire)) {
			heard++;
			atomic_store_explicit(&callers[i].calls, false,
			    memory_order_release);
		}
	return heard;
}

static uint64_t
attend(struct moment end)
{
	uint64_t heard = 0;

	while (!race_is_over(end)) {
		struct pollfd fds[2] = { [1] = { .fd = door->read_fd,
			.events = POLLIN } };

		/* A call that is missed stops its caller, in the end all of
		 * them, and nobody wakes it any more. */
		if (race_random() % 4 == 0)
			waker_wait_until(called, (struct moment){
			    clock_now().ns + race_random() % 20000 });
		else
			waker_poll(called, fds, 2, -1);
		if (fds[1].revents != 0)
			waker_clear(door);
		heard += hear_all();
	}
	return heard;
}

static void
assert_silence(void)
{
	for (struct waker_bell *b = bells.free; b != NULL; b = b->next) {
		struct pollfd pfd = { .fd = b->read_fd, .events = POLLIN };

		MUST(poll(&pfd, 1, 0) == 0);
	}
}

int
main(void)
{
	static struct pair pairs[PAIRS];
	uint64_t turns = 0, heard, called_out = 0;

	end_of_test = race_begin();
	called = waker_new();
	door = waker_new_polled();
	MUST(called != NULL && door != NULL);
	for (uint32_t i = 0; i < PAIRS; i++)
		begin_pair(&pairs[i], 100 + 2 * i);
	for (uint32_t i = 0; i < CALLERS; i++) {
		callers[i].seed = i + 2;
		MUST(thread_start(&callers[i].thread, "caller", call,
		    &callers[i]) == 0);
	}
	heard = attend(end_of_test);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (int i = 0; i < CALLERS; i++) {
		thread_join(&callers[i].thread);
		called_out += callers[i].count;
	}
	for (int i = 0; i < PAIRS; i++)
		turns += end_pair(&pairs[i]);
	MUST(heard + hear_all() == called_out);
	MUST(heard > 100 && turns > 100);
	waker_put(called);
	waker_put(door);
	assert_silence();
	printf("%llu turns, %llu calls\n", (unsigned long long)turns,
	    (unsigned long long)heard);
	return 0;
}
