/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A pool's owner hands chains of chunks to four threads that put them back:
 * each chunk has one holder at a time, what was written into it is what is read
 * from it, and the pool does not grow.
 */

#include "race.h"

#include "actor/chunk.c"
#include "actor/mailbox.c"
#include "actor/queue.c"

#include "actor/thread.h"

#define HOLDERS 4
#define KEEP 8
#define OUT_MAX 24 /* chunks that are out at a time */
#define PACKET 1
#define STOP 2

struct holder {
	struct thread thread;
	struct mailbox box;
	struct waker *waker;
	struct msg stop;
	uint32_t seed;
	uint64_t chunks;
};

static struct chunk_pool pool;
static struct holder holders[HOLDERS];
static _Atomic uint32_t out;

/* Marks the chunk at both ends, with what nobody else writes. */
static void
mark(struct chunk *c, uint32_t value)
{
	c->offset = value & 0xff;
	c->len = value >> 8 & 0xff;
	c->seq = value;
	c->data[0] = (uint8_t)value;
	c->data[CHUNK_SIZE - 1] = (uint8_t)~value;
}

static void
assert_mark(const struct chunk *c)
{
	MUST(c->offset == (c->seq & 0xff));
	MUST(c->len == (c->seq >> 8 & 0xff));
	MUST(c->data[0] == (uint8_t)c->seq);
	MUST(c->data[CHUNK_SIZE - 1] == (uint8_t)~c->seq);
}

/* Reads the chain, wipes it, and puts it back in one piece or in single ones. */
static void
put_back(struct holder *h, struct chunk *c)
{
	const bool singly = race_random() % 2 == 0;
	uint32_t n = 0;

	for (struct chunk *at = c, *more; at != NULL; at = more) {
		more = at->more;
		assert_mark(at);
		at->data[0] = at->data[CHUNK_SIZE - 1] = 0;
		n++;
		if (singly) {
			at->more = NULL;
			chunk_put(at);
		}
	}
	if (!singly)
		chunk_put(c);
	h->chunks += n;
	atomic_fetch_sub(&out, n);
}

static void *
hold(void *arg)
{
	struct holder *h = arg;
	bool stop = false;

	race_seed(h->seed);
	while (!stop) {
		struct msg *m = mailbox_wait(&h->box, h->waker), *next;

		for (; m != NULL; m = next) {
			next = msg_next(m);
			if (m->type == STOP)
				stop = true;
			else
				put_back(h, chunk_of_msg(m));
		}
	}
	return NULL;
}

static uint64_t
hand_out(uint32_t value)
{
	const uint32_t length = 1 + race_random() % 4;
	struct chunk *first = NULL;

	atomic_fetch_add(&out, length);
	for (uint32_t i = 0; i < length; i++) {
		struct chunk *c = chunk_take(&pool);

		MUST(c != NULL && c->more == NULL && c->len == 0);
		mark(c, value * 4 + i);
		c->more = first;
		first = c;
	}
	first->msg.type = PACKET;
	MUST(mailbox_post(&holders[race_random() % HOLDERS].box, &first->msg));
	MUST(pool.spares <= KEEP);
	return length;
}

int
main(void)
{
	const struct moment end = race_begin();
	uint64_t handed = 0, put = 0;
	uint32_t value = 0;

	chunk_pool_init(&pool, KEEP);
	for (unsigned i = 0; i < HOLDERS; i++) {
		struct holder *h = &holders[i];

		h->waker = waker_new();
		MUST(h->waker != NULL);
		mailbox_init_waker(&h->box, h->waker);
		h->seed = 10 + i;
		h->stop.type = STOP;
		MUST(thread_start(&h->thread, "holder", hold, h) == 0);
	}
	while (!race_is_over(end))
		for (int i = 0; i < 64; i++) {
			while (atomic_load(&out) > OUT_MAX)
				sched_yield();
			handed += hand_out(value++);
		}
	for (unsigned i = 0; i < HOLDERS; i++) {
		MUST(mailbox_post(&holders[i].box, &holders[i].stop));
		thread_join(&holders[i].thread);
		put += holders[i].chunks;
		waker_put(holders[i].waker);
	}
	MUST(handed == put && atomic_load(&out) == 0);
	chunk_pool_fini(&pool); /* the leak checker counts the rest */
	printf("%llu chunks\n", (unsigned long long)put);
	return 0;
}
