/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Four producers and one consumer that sleeps whenever it may: nothing is lost,
 * nothing comes twice, each producer's messages come in their order, and no
 * wake-up is missed or superfluous.  Nodes are used again as soon as they come
 * out, the way an unsafe stack would fall over.  Then the consumer closes the
 * mailbox while the producers still push.
 */

#include "race.h"

#include "actor/mailbox.c"
#include "actor/queue.c"

#include "actor/thread.h"

#define PRODUCERS 4
#define NODES 32 /* each producer has */
#define ROUNDS_MIN 20

struct letter {
	struct msg msg; /* first */
	_Atomic bool out; /* with the mailbox or its owner */
	unsigned producer;
	uint64_t number;
};

struct producer {
	struct thread thread;
	unsigned index;
	struct letter letters[NODES];
	uint64_t accepted; /* read after the join */
};

static struct mailbox box;
static struct waker *waker;
static struct producer producers[PRODUCERS];
static _Atomic uint32_t wakes;
static uint64_t next_number[PRODUCERS], sleeps, taken;

static void
count_and_wake(void *arg)
{
	atomic_fetch_add(&wakes, 1);
	waker_wake(arg);
}

/* A letter of its own that is not out; they come back in any order. */
static struct letter *
free_letter(struct producer *p)
{
	for (unsigned i = race_random();; i++) {
		struct letter *l = &p->letters[i % NODES];

		if (!atomic_load_explicit(&l->out, memory_order_acquire))
			return l;
		if (i % NODES == 0)
			sched_yield();
	}
}

static void *
produce(void *arg)
{
	struct producer *p = arg;
	bool open = true;

	race_seed(10 + p->index);
	while (open) {
		struct letter *l = free_letter(p);

		l->producer = p->index;
		l->number = p->accepted;
		/* Relaxed: the post publishes it. */
		atomic_store_explicit(&l->out, true, memory_order_relaxed);
		open = mailbox_post(&box, &l->msg);
		if (open)
			p->accepted++;
		/* Now and then the consumer is given the time to fall asleep. */
		if (race_random() % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void
read_letters(struct msg *m)
{
	while (m != NULL) {
		struct letter *l = (struct letter *)m;

		m = msg_next(m);
		MUST(l->number == next_number[l->producer]);
		next_number[l->producer]++;
		taken++;
		/* Release: pairs with the acquire in free_letter(). */
		atomic_store_explicit(&l->out, false, memory_order_release);
	}
}

static void
consume_until(struct moment end)
{
	while (!race_is_over(end)) {
		for (int i = 0; i < ROUNDS_MIN; i++) {
			read_letters(mailbox_take(&box));
			if (!mailbox_idle(&box))
				continue;
			sleeps++;
			MUST(waker_wait(waker, RACE_ALARM_S * 1000));
		}
	}
}

int
main(void)
{
	const struct moment end = race_begin();
	uint64_t accepted = 0;

	waker = waker_new();
	MUST(waker != NULL);
	mailbox_init(&box, count_and_wake, waker);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		producers[i].index = i;
		MUST(thread_start(&producers[i].thread, "producer", produce,
			 &producers[i]) == 0);
	}
	consume_until(end);
	read_letters(mailbox_close(&box));
	for (unsigned i = 0; i < PRODUCERS; i++) {
		thread_join(&producers[i].thread);
		MUST(producers[i].accepted == next_number[i]);
		accepted += producers[i].accepted;
	}
	MUST(mailbox_take(&box) == NULL);
	MUST(accepted == taken);
	MUST(sleeps > 0 && atomic_load(&wakes) == sleeps);
	waker_put(waker);
	printf("%llu messages, %llu sleeps\n", (unsigned long long)taken,
	    (unsigned long long)sleeps);
	return 0;
}
