/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * Every transfer is cancelled at a random time, by a thread of its own kind:
 *
 *	main		submits whatever slot rests
 *	handler		handles events
 *	cancellers	two; each submission is on their list once
 *
 * A cancel may come too late and hit the slot's next submission; so a transfer
 * may complete or be cancelled, but whatever happens it ends once, and while a
 * slot rests nobody writes into its buffer.  On a `loop` device (-p none) there
 * are more reads than writes, so that many wait and are cancelled.
 */

#define CANCELLERS 2
#define LIST_MAX 512 /* as many cancels may lag behind */
#define RESTING_BYTE 0x5a

struct storm {
	struct load *l;
	struct slot slots[DEPTH_MAX];
	atomic_bool resting[DEPTH_MAX];
	atomic_uint completed, cancelled, hits, misses;
	atomic_bool over; /* the handler may go */
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t changed;
	struct {
		unsigned slot;
		struct moment due;
	} list[LIST_MAX];
	unsigned first, n;
	bool closed; /* nothing more will come on the list */
	pthread_t handler, cancellers[CANCELLERS];
};

/* ---- Ends ---- */

static void
storm_look(struct storm *sm, struct slot *s)
{
	const size_t len = (size_t)s->t->actual_length;

	switch (s->t->status) {
	case LIBUSB_TRANSFER_COMPLETED:
		if (len != s->size && sm->l->o->content != CONTENT_NONE)
			fault("a transfer completed with %zu bytes of %zu",
			    len, s->size);
		atomic_fetch_add(&sm->completed, 1);
		break;
	case LIBUSB_TRANSFER_CANCELLED:
		atomic_fetch_add(&sm->cancelled, 1);
		break;
	default:
		fault("a transfer ended with status %d", (int)s->t->status);
		break;
	}
	if (s->t->endpoint == EP_IN && content_wrong(s->buffer, len,
		sm->l->packet, sm->l->o->content) < len)
		fault("wrong bytes in a transfer of %zu", len);
}

static void LIBUSB_CALL
storm_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct storm *sm = s->mode;

	slot_landed(s);
	storm_look(sm, s);
	if (t->endpoint == EP_IN)
		memset(s->buffer, RESTING_BYTE, s->size);
	pthread_mutex_lock(&sm->lock);
	atomic_store(&sm->resting[s->number], true);
	pthread_cond_broadcast(&sm->changed);
	pthread_mutex_unlock(&sm->lock);
}

static void *
storm_handle(void *arg)
{
	struct storm *sm = arg;

	while (!atomic_load(&sm->over))
		load_events(sm->l, 100);
	return NULL;
}

/* ---- Cancels ---- */

/* False when the list is closed and empty. */
static bool
storm_take(struct storm *sm, unsigned *slot, struct moment *due)
{
	bool some;

	pthread_mutex_lock(&sm->lock);
	while (sm->n == 0 && !sm->closed)
		pthread_cond_wait(&sm->changed, &sm->lock);
	some = sm->n > 0;
	if (some) {
		*slot = sm->list[sm->first].slot;
		*due = sm->list[sm->first].due;
		sm->first = (sm->first + 1) % LIST_MAX;
		sm->n--;
		pthread_cond_broadcast(&sm->changed);
	}
	pthread_mutex_unlock(&sm->lock);
	return some;
}

static void *
storm_cancel(void *arg)
{
	struct storm *sm = arg;
	struct moment due, now;
	unsigned slot;
	int rc;

	while (storm_take(sm, &slot, &due)) {
		now = clock_now();
		if (moment_before(now, due)) {
			const struct timespec ts = {
				.tv_nsec = due.ns - now.ns };

			ppoll(NULL, 0, &ts, NULL);
		}
		rc = libusb_cancel_transfer(sm->slots[slot].t);
		if (rc == 0)
			atomic_fetch_add(&sm->hits, 1);
		else if (rc == LIBUSB_ERROR_NOT_FOUND)
			atomic_fetch_add(&sm->misses, 1);
		else
			fault("cancel_transfer: %s", libusb_error_name(rc));
	}
	return NULL;
}

/* A quarter at once, half within 100 us, a quarter within 1 ms. */
static int64_t
storm_delay(uint64_t *random)
{
	const uint64_t r = random_next(random);

	switch (r % 4) {
	case 0:
		return 0;
	case 1:
		return (int64_t)(r / 4 % 1000000);
	default:
		return (int64_t)(r / 4 % 100000);
	}
}

/* ---- Submissions ---- */

/* A slot that rests, taken. */
static struct slot *
storm_rested(struct storm *sm, unsigned *at)
{
	const unsigned depth = sm->l->o->depth;

	pthread_mutex_lock(&sm->lock);
	for (;;) {
		for (unsigned i = 0; i < depth && sm->n < LIST_MAX; i++) {
			*at = (*at + 1) % depth;
			if (atomic_exchange(&sm->resting[*at], false)) {
				pthread_mutex_unlock(&sm->lock);
				return &sm->slots[*at];
			}
		}
		pthread_cond_wait(&sm->changed, &sm->lock);
	}
}

static void
storm_submit(struct storm *sm, struct slot *s, int64_t delay_ns)
{
	int rc;

	if (s->t->endpoint == EP_IN)
		for (size_t i = 0; i < s->size; i++)
			if (s->buffer[i] != RESTING_BYTE)
				fatal("byte %zu of a buffer was written after "
				    "its transfer had ended", i);
	rc = slot_submit(s);
	if (rc != 0)
		fatal("submit_transfer: %s", libusb_error_name(rc));
	pthread_mutex_lock(&sm->lock);
	sm->list[(sm->first + sm->n++) % LIST_MAX].slot = s->number;
	sm->list[(sm->first + sm->n - 1) % LIST_MAX].due =
	    (struct moment){ clock_now().ns + delay_ns };
	pthread_cond_broadcast(&sm->changed);
	pthread_mutex_unlock(&sm->lock);
}

/* ---- All of it ---- */

static struct storm *
storm_start(struct load *l)
{
	struct storm *sm = calloc(1, sizeof *sm);

	if (sm == NULL)
		fatal("out of memory");
	sm->l = l;
	pthread_mutex_init(&sm->lock, NULL);
	pthread_cond_init(&sm->changed, NULL);
	for (unsigned i = 0; i < l->o->depth; i++) {
		struct slot *s = &sm->slots[i];
		const bool in = l->o->content == CONTENT_NONE ? i % 4 != 0
							      : i % 2 != 0;

		slot_init(s, l, i, l->o->size);
		s->mode = sm;
		slot_fill_bulk(s, in ? EP_IN : l->out, storm_done, 0);
		if (in)
			memset(s->buffer, RESTING_BYTE, s->size);
		else
			content_fill(s->buffer, s->size, l->packet,
			    l->o->content);
		sm->resting[i] = true;
	}
	if (pthread_create(&sm->handler, NULL, storm_handle, sm) != 0)
		fatal("no thread");
	for (unsigned i = 0; i < CANCELLERS; i++)
		if (pthread_create(&sm->cancellers[i], NULL, storm_cancel,
			sm) != 0)
			fatal("no thread");
	return sm;
}

static void
storm_end(struct storm *sm)
{
	const unsigned depth = sm->l->o->depth;

	stage(sm->l->o, "the storm is over, the last cancels");
	pthread_mutex_lock(&sm->lock);
	sm->closed = true;
	pthread_cond_broadcast(&sm->changed);
	pthread_mutex_unlock(&sm->lock);
	for (unsigned i = 0; i < CANCELLERS; i++)
		pthread_join(sm->cancellers[i], NULL);
	stage(sm->l->o, "the storm is over, the last transfers");
	pthread_mutex_lock(&sm->lock);
	for (unsigned i = 0; i < depth; i++)
		while (!atomic_load(&sm->resting[i]))
			pthread_cond_wait(&sm->changed, &sm->lock);
	pthread_mutex_unlock(&sm->lock);
	atomic_store(&sm->over, true);
	libusb_interrupt_event_handler(sm->l->ctx);
	pthread_join(sm->handler, NULL);
	for (unsigned i = 0; i < depth; i++)
		slot_fini(&sm->slots[i]);
}

void
run_storm(const struct options *o)
{
	const struct moment since = clock_now();
	uint64_t random = o->seed;
	unsigned at = 0;
	struct load l;
	struct storm *sm;

	load_open(&l, o);
	sm = storm_start(&l);
	for (unsigned i = 0; i < o->count; i++) {
		if (i % 1024 == 0)
			stage(o, "the storm");
		storm_submit(sm, storm_rested(sm, &at), storm_delay(&random));
	}
	storm_end(sm);
	result("storm: %u submitted, %u completed, %u cancelled; of %u cancels "
	    "%u came too late; %.2f s", o->count, (unsigned)sm->completed,
	    (unsigned)sm->cancelled, sm->hits + sm->misses,
	    (unsigned)sm->misses, (double)(clock_now().ns - since.ns) / 1e9);
	if (sm->completed + sm->cancelled != o->count)
		fault("%u ended of %u", sm->completed + sm->cancelled,
		    o->count);
	if (sm->cancelled > sm->hits)
		fault("%u transfers were cancelled by %u cancels",
		    (unsigned)sm->cancelled, (unsigned)sm->hits);
	pthread_mutex_destroy(&sm->lock);
	pthread_cond_destroy(&sm->changed);
	free(sm);
	load_close(&l);
}
