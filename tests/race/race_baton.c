/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * An actor that sleeps, wakes for reasons of its own, and lends its baton to
 * posters: whoever holds the baton is alone with the actor's state, every
 * message is taken once, and none is left behind by an actor that sleeps.
 */

#include "race.h"

#include "actor/baton.c"
#include "actor/mailbox.c"
#include "actor/queue.c"
#include "actor/waker.c"

#include "actor/thread.h"

#define POSTERS 3
#define MESSAGES 4 /* of each poster, under way at a time */
#define JOB 1
#define ROUNDS 2 /* of a borrower, before it leaves the rest to the owner */

struct job {
	struct msg msg; /* first */
	_Atomic bool out;
};

struct poster {
	struct thread thread;
	uint32_t seed;
	struct job jobs[MESSAGES];
	uint64_t posted, borrowed;
};

static struct mailbox box;
static struct waker *waker;
static struct baton baton;
static struct poster posters[POSTERS];
static _Atomic bool over;

/* The actor's: not atomic, so that ThreadSanitizer sees two holders. */
static uint64_t taken;
static bool held;
static uint64_t owners_rounds;

static void
begin_holding(void)
{
	MUST(!held);
	held = true;
}

static void
end_holding(void)
{
	MUST(held);
	held = false;
}

static void
step(void)
{
	struct msg *m = mailbox_take(&box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		taken++;
		race_yield();
		atomic_store_explicit(&((struct job *)m)->out, false,
		    memory_order_release);
	}
}

/* As a poster that has found the owner asleep. */
static void
act_or_wake(struct poster *p)
{
	bool done = false;

	if (baton_borrow(&baton)) {
		begin_holding();
		p->borrowed++;
		for (int i = 0; i < ROUNDS && !done; i++) {
			step();
			done = mailbox_idle(&box);
		}
		end_holding();
		baton_return(&baton, waker);
	}
	if (!done)
		mailbox_wake_owner(&box);
}

static void *
post(void *arg)
{
	struct poster *p = arg;

	race_seed(p->seed);
	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		struct job *j = &p->jobs[race_random() % MESSAGES];

		if (atomic_load_explicit(&j->out, memory_order_acquire)) {
			sched_yield();
			continue;
		}
		atomic_store_explicit(&j->out, true, memory_order_relaxed);
		j->msg.type = JOB;
		p->posted++;
		if (mailbox_offer(&box, &j->msg) == QUEUE_WAKE)
			act_or_wake(p);
		if (race_random() % 64 == 0)
			waker_wake(waker); /* it wakes for another reason */
	}
	return NULL;
}

static void
own(struct moment end)
{
	begin_holding();
	while (!race_is_over(end)) {
		step();
		owners_rounds++;
		if (!mailbox_idle(&box))
			continue;
		end_holding();
		baton_lay_down(&baton);
		/* A message that is left behind stops its poster, in the end
		 * all of them, and nobody wakes it any more. */
		waker_wait(waker, race_random() % 4 == 0 ? 0 : -1);
		baton_take_up(&baton, waker);
		begin_holding();
	}
	end_holding();
}

int
main(void)
{
	const struct moment end = race_begin();
	uint64_t posted = 0, borrowed = 0;

	waker = waker_new();
	MUST(waker != NULL);
	mailbox_init_waker(&box, waker);
	baton_init(&baton);
	for (uint32_t i = 0; i < POSTERS; i++) {
		posters[i].seed = i + 2;
		MUST(thread_start(&posters[i].thread, "poster", post,
		    &posters[i]) == 0);
	}
	own(end);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (int i = 0; i < POSTERS; i++) {
		thread_join(&posters[i].thread);
		posted += posters[i].posted;
		borrowed += posters[i].borrowed;
	}
	step();
	MUST(taken == posted);
	/* Both ways were gone, or nothing has been shown. */
	MUST(borrowed > 100 && owners_rounds > 100);
	printf("%llu messages, baton lent %llu times\n",
	    (unsigned long long)posted, (unsigned long long)borrowed);
	waker_put(waker);
	return 0;
}
