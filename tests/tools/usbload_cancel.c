/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * Transfers that nothing will come for: the IN endpoint of a `loop` device
 * that nobody has written to.  They end because they are cancelled, or because
 * their time is up.
 */

struct silent {
	struct load *l;
	enum libusb_transfer_status wanted;
	struct slot slots[DEPTH_MAX];
	unsigned order[DEPTH_MAX]; /* in which they are cancelled */
	struct moment submitted[DEPTH_MAX];
	atomic_uint ended;
	atomic_ullong late_ns; /* the latest that a time limit was kept */
	uint64_t random;
};

static struct silent *
silent_new(struct load *l, enum libusb_transfer_status wanted)
{
	struct silent *si = calloc(1, sizeof *si);

	if (si == NULL)
		fatal("out of memory");
	si->l = l;
	si->wanted = wanted;
	si->random = l->o->seed;
	for (unsigned i = 0; i < l->o->depth; i++) {
		slot_init(&si->slots[i], l, i, l->o->size);
		si->slots[i].mode = si;
	}
	return si;
}

static void
silent_free(struct silent *si)
{
	for (unsigned i = 0; i < si->l->o->depth; i++)
		slot_fini(&si->slots[i]);
	free(si);
}

/* How long after its time limit transfer `s` ended; early is a fault. */
static void
silent_punctual(struct silent *si, const struct slot *s)
{
	const int64_t took = clock_now().ns - si->submitted[s->number].ns;
	const int64_t late = took - (int64_t)s->t->timeout * 1000000;

	if (late < 0)
		fault("a transfer timed out %.2f ms too early",
		    (double)-late / 1e6);
	else if ((uint64_t)late > atomic_load(&si->late_ns))
		atomic_store(&si->late_ns, (uint64_t)late);
}

static void LIBUSB_CALL
silent_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct silent *si = s->mode;

	expect_status(si->wanted, t, "a transfer that nothing comes for");
	if (t->actual_length != 0)
		fault("%d bytes came from nowhere", t->actual_length);
	if (si->wanted == LIBUSB_TRANSFER_TIMED_OUT)
		silent_punctual(si, s);
	slot_landed(s);
	atomic_fetch_add(&si->ended, 1);
}

static void
silent_submit(struct silent *si, unsigned i, unsigned timeout_ms)
{
	slot_fill_bulk(&si->slots[i], EP_IN, silent_done, timeout_ms);
	si->submitted[i] = clock_now();
	expect(0, slot_submit(&si->slots[i]), "submit_transfer");
}

/* ---- Cancel ---- */

static void
shuffle(struct silent *si)
{
	const unsigned depth = si->l->o->depth;

	for (unsigned i = 0; i < depth; i++)
		si->order[i] = i;
	for (unsigned i = depth; i > 1; i--) {
		const unsigned k = (unsigned)(random_next(&si->random) % i);
		const unsigned last = si->order[i - 1];

		si->order[i - 1] = si->order[k];
		si->order[k] = last;
	}
}

static void
cancel_one(struct silent *si, unsigned i)
{
	int rc;

	expect(0, libusb_cancel_transfer(si->slots[i].t), "cancel_transfer");
	rc = libusb_cancel_transfer(si->slots[i].t);
	expect(LIBUSB_ERROR_NOT_FOUND, rc, "cancel_transfer a second time");
}

static void *
cancel_some(void *arg)
{
	struct silent *si = arg;

	for (unsigned i = 0; i < si->l->o->depth; i++) {
		if (random_next(&si->random) % 8 == 0)
			wait_ms(1);
		cancel_one(si, si->order[i]);
	}
	return NULL;
}

/* From a thread of its own, or from the one that handles events. */
static void
cancel_round(struct silent *si, bool thread)
{
	const unsigned depth = si->l->o->depth;
	pthread_t canceller;

	shuffle(si);
	for (unsigned i = 0; i < depth; i++)
		silent_submit(si, i, 0);
	expect(LIBUSB_ERROR_BUSY, libusb_submit_transfer(si->slots[0].t),
	    "submit_transfer of one that is under way");
	if (!thread)
		cancel_some(si);
	else if (pthread_create(&canceller, NULL, cancel_some, si) != 0)
		fatal("no thread");
	slots_wait(si->l, si->slots, depth, "cancelled transfers end");
	if (thread)
		pthread_join(canceller, NULL);
	for (unsigned i = 0; i < depth; i++)
		expect(LIBUSB_ERROR_NOT_FOUND,
		    libusb_cancel_transfer(si->slots[i].t),
		    "cancel_transfer of one that has ended");
}

void
run_cancel(const struct options *o)
{
	const struct moment since = clock_now();
	struct load l;
	struct silent *si;
	unsigned done = 0;

	load_open(&l, o);
	si = silent_new(&l, LIBUSB_TRANSFER_CANCELLED);
	for (unsigned i = 0; i < o->depth; i++) {
		slot_fill_bulk(&si->slots[i], EP_IN, silent_done, 0);
		expect(LIBUSB_ERROR_NOT_FOUND,
		    libusb_cancel_transfer(si->slots[i].t),
		    "cancel_transfer of one that was never submitted");
	}
	for (; done < o->count; done += o->depth)
		cancel_round(si, done / o->depth % 2 == 0);
	result("cancel: %u transfers, each ended once, cancelled, in %.2f s",
	    (unsigned)si->ended, (double)(clock_now().ns - since.ns) / 1e9);
	if (si->ended != done)
		fault("%u ended of %u", (unsigned)si->ended, done);
	silent_free(si);
	load_close(&l);
}

/* ---- Time limits ---- */

static void
timeout_round(struct silent *si)
{
	for (unsigned i = 0; i < si->l->o->depth; i++)
		silent_submit(si, i,
		    20 + (unsigned)(random_next(&si->random) % 200));
	slots_wait(si->l, si->slots, si->l->o->depth, "transfers time out");
}

static void *
handle_for_long(void *arg)
{
	struct silent *si = arg;

	while (si->slots[0].flying)
		load_events(si->l, 3600 * 1000);
	return NULL;
}

/* The one who waits for events has begun to before the limit was set. */
static void
timeout_while_waiting(struct silent *si)
{
	pthread_t handler;

	stage(si->l->o, "a time limit while another thread waits for events");
	silent_submit(si, 0, 300);
	if (pthread_create(&handler, NULL, handle_for_long, si) != 0)
		fatal("no thread");
	for (unsigned i = 1; i < 4 && i < si->l->o->depth; i++) {
		wait_ms(20);
		silent_submit(si, i, 50);
	}
	pthread_join(handler, NULL);
	slots_wait(si->l, si->slots, si->l->o->depth, "the rest of them");
}

static void
timeout_sync(const struct load *l)
{
	uint8_t buf[512];
	int moved = -1;
	struct moment since;
	int64_t took;

	for (unsigned ms = 1; ms <= 128; ms *= 2) {
		stage(l->o, "bulk_transfer times out");
		since = clock_now();
		expect(LIBUSB_ERROR_TIMEOUT, libusb_bulk_transfer(l->dev,
		    EP_IN, buf, sizeof buf, &moved, ms), "bulk_transfer");
		took = clock_now().ns - since.ns;
		if (moved != 0)
			fault("bulk_transfer moved %d bytes", moved);
		if (took < (int64_t)ms * 1000000)
			fault("bulk_transfer gave up %.2f ms too early",
			    ms - (double)took / 1e6);
	}
}

void
run_timeout(const struct options *o)
{
	struct load l;
	struct silent *si;

	load_open(&l, o);
	si = silent_new(&l, LIBUSB_TRANSFER_TIMED_OUT);
	timeout_while_waiting(si);
	while (si->ended < o->count)
		timeout_round(si);
	timeout_sync(&l);
	result("timeout: %u transfers, each timed out once, the latest %.1f ms "
	    "after its time", (unsigned)si->ended,
	    (double)atomic_load(&si->late_ns) / 1e6);
	if (atomic_load(&si->late_ns) > o->patience_s * 1000000000ull)
		fault("too late");
	silent_free(si);
	load_close(&l);
}
