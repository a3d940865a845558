/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One taker and two givers over a credit of one to four: never more is out than
 * the limit, the taker is always told when it asked, and the message is never
 * posted twice.
 */

#include "race.h"

#include "actor/mailbox.c"
#include "actor/queue.c"

#include "actor/credit.h"
#include "actor/thread.h"

#define GIVERS 2
#define LIMIT_MAX 4
#define JOB 1
#define STOP 2
#define CREDIT 3

struct giver {
	struct thread thread;
	struct mailbox box;
	struct waker *waker;
	struct msg stop;
	uint32_t seed;
	uint64_t done;
};

struct job {
	struct msg msg; /* first */
	_Atomic bool out;
};

static struct credit credit;
static struct mailbox taker_box;
static struct waker *taker_waker;
static struct giver givers[GIVERS];
static struct job jobs[LIMIT_MAX];
static _Atomic uint32_t out; /* jobs that are out */
static uint64_t taken, waits;

static void *
give(void *arg)
{
	struct giver *g = arg;
	bool stop = false;

	race_seed(g->seed);
	while (!stop) {
		struct msg *m = mailbox_wait(&g->box, g->waker), *next;

		for (; m != NULL; m = next) {
			next = msg_next(m);
			if (m->type == STOP) {
				stop = true;
				continue;
			}
			race_yield();
			atomic_fetch_sub(&out, 1);
			atomic_store_explicit(&((struct job *)m)->out, false,
			    memory_order_release);
			g->done++;
			credit_give(&credit, 1);
		}
	}
	return NULL;
}

/* One that has come back: there is one, or the credit was none. */
static struct job *
free_job(uint32_t limit)
{
	for (uint32_t i = 0; i < limit; i++)
		if (!atomic_load_explicit(&jobs[i].out, memory_order_acquire))
			return &jobs[i];
	MUST(!"a credit without a job");
	return NULL;
}

static void
hand_out(uint32_t limit)
{
	struct job *j = free_job(limit);

	MUST(atomic_fetch_add(&out, 1) < limit);
	atomic_store_explicit(&j->out, true, memory_order_relaxed);
	j->msg.type = JOB;
	taken++;
	MUST(mailbox_post(&givers[race_random() % GIVERS].box, &j->msg));
}

/* Takes what is in the mailbox: the credit's message, once. */
static void
collect(bool wait)
{
	struct msg *m = mailbox_take(&taker_box);

	if (m == NULL && wait) {
		if (!mailbox_idle(&taker_box))
			return;
		waits++;
		MUST(waker_wait(taker_waker, RACE_ALARM_S * 1000));
		m = mailbox_take(&taker_box);
		MUST(m != NULL);
	}
	if (m == NULL)
		return;
	MUST(m == &credit.msg && m->type == CREDIT && msg_next(m) == NULL);
	credit_collect(&credit);
}

static void
start_givers(void)
{
	for (unsigned i = 0; i < GIVERS; i++) {
		struct giver *g = &givers[i];

		g->waker = waker_new();
		MUST(g->waker != NULL);
		mailbox_init_waker(&g->box, g->waker);
		g->seed = 10 + i;
		g->stop.type = STOP;
		MUST(thread_start(&g->thread, "giver", give, g) == 0);
	}
}

static void
stop_givers(void)
{
	for (unsigned i = 0; i < GIVERS; i++) {
		MUST(mailbox_post(&givers[i].box, &givers[i].stop));
		thread_join(&givers[i].thread);
		waker_put(givers[i].waker);
	}
}

static void
run(uint32_t limit)
{
	const struct moment end =
	    moment_after_ms(clock_now(), RACE_MS / LIMIT_MAX);

	credit_init(&credit, limit, &taker_box, CREDIT);
	start_givers();
	while (!race_is_over(end)) {
		for (int i = 0; i < 256; i++) {
			if (credit_take(&credit, 1))
				hand_out(limit);
			else
				collect(true);
			/* It may come when nobody waits for it. */
			if (race_random() % 8 == 0)
				collect(false);
		}
	}
	stop_givers();
	collect(false); /* there or not; once at most */
	MUST(mailbox_take(&taker_box) == NULL);
	MUST(credit_used(&credit) == 0 && atomic_load(&out) == 0);
}

int
main(void)
{
	race_begin();
	taker_waker = waker_new();
	MUST(taker_waker != NULL);
	mailbox_init_waker(&taker_box, taker_waker);
	for (uint32_t limit = 1; limit <= LIMIT_MAX; limit++)
		run(limit);
	MUST(taken == givers[0].done + givers[1].done);
	MUST(waits > 0);
	waker_put(taker_waker);
	printf("%llu jobs, %llu waits\n", (unsigned long long)taken,
	    (unsigned long long)waits);
	return 0;
}
