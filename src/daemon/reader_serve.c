/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A reader while its device is served.  It sleeps on its waker, and pollers watch
 * the transport: who sees something there, or posts a message, acts as the
 * reader.  Where a transport has nothing to be watched the reader waits inside
 * it.
 */

#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/protocol.h"
#include "daemon/reader_int.h"

/* Turns that somebody else does for the reader, before its own thread goes on. */
#define BORROWED_TURNS 4
/* Reads that one turn takes: 2 MiB, a fraction of a millisecond. */
#define TURN_READS 128

/* Takes what the transport has.  1: there may be more; 0: that was all; -1: the
 * reader itself has to read. */
static int
look(struct device *d) RUNS_ON(on_reader)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);
	int n = 1;

	/* What is told while it looks may be of what it has not seen. */
	d->io = false;
	for (int i = 0; i < TURN_READS && n == 1 && !d->stopping; i++) {
		struct chunk *read = NULL;

		n = t->ops->look(t, &read);
		reader_attend(d);
		if (n == 1)
			reader_take_read(d, read);
	}
	reader_attend_fed(d);
	return n;
}

static int
patience(struct device *d) RUNS_ON(on_reader)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	return t->ops->patience(t);
}

/* Its thread wakes in time; that it does if it sleeps for no longer than this,
 * whenever it began. */
static bool
sleeps_well(struct device *d) RUNS_ON(on_reader)
{
	const int ms = patience(d);

	return ms >= d->waits_ms ||
	    !moment_before(moment_after_ms(clock_now(), ms), d->waits_until);
}

/* True: the reader need not know. */
static bool
act(struct device *d, bool may_look) RUNS_ON(on_reader)
{
	for (int i = 0; i < BORROWED_TURNS; i++) {
		reader_take_messages(d);
		if (d->io && (!may_look || look(d) != 0))
			return false;
		if (d->stopping || (may_look && !sleeps_well(d)))
			return false;
		if (!d->io && mailbox_idle(&d->reader_box))
			return true;
	}
	return false;
}

/* The reader sleeps and somebody has found so: acts for it, or wakes it. */
static void
act_or_wake(struct device *d, bool may_look)
{
	bool done = false;

	if (baton_borrow(&d->reader_baton)) {
		role_take(&on_reader);
		done = act(d, may_look);
		role_drop(&on_reader);
		baton_return(&d->reader_baton, d->reader_waker);
	}
	if (!done)
		waker_wake(d->reader_waker);
}

/* A message was posted: those who post have other things to do than to look. */
void
reader_wake(void *device)
{
	struct device *d = device;
	struct transport *t;

	if (atomic_load_explicit(&d->reader_lends, memory_order_relaxed)) {
		act_or_wake(d, false);
		return;
	}
	/* Acquire: pairs with the release in open_device(). */
	t = atomic_load_explicit(&d->transport, memory_order_acquire);
	if (t != NULL)
		t->ops->interrupt(t);
}

static void
transport_ready(void *device, short events)
{
	struct device *d = device;

	(void)events;
	/* Acquire: pairs with the release in take_message(). */
	if (atomic_exchange_explicit(&d->io_posted, true,
		memory_order_acq_rel) ||
	    mailbox_offer(&d->reader_box, &d->io_msg) != QUEUE_WAKE)
		return;
	if (atomic_load_explicit(&d->reader_lends, memory_order_relaxed))
		act_or_wake(d, true);
	else
		reader_wake(d); /* who waits in the transport after all */
}

static void
transport_unwatched(void *device)
{
	device_put(device);
}

static void
end_watches(struct device *d) RUNS_ON(on_reader)
{
	for (int i = 0; i < DEVICE_WATCHES; i++)
		if (d->watches[i] != NULL) {
			poller_unwatch(d->watches[i]);
			d->watches[i] = NULL;
		}
	atomic_store_explicit(&d->reader_lends, false, memory_order_relaxed);
}

/* False: the reader waits in its transport. */
static bool
begin_watches(struct device *d) RUNS_ON(on_reader)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);
	struct pollfd fds[DEVICE_WATCHES];
	int n;

	/* A protocol that may want to read no more waits for that in the
	 * transport. */
	if (d->poller == NULL || t->ops->watched == NULL ||
	    d->protocol->may_read != NULL)
		return false;
	n = t->ops->watched(t, fds, DEVICE_WATCHES);
	atomic_store_explicit(&d->reader_lends, n > 0, memory_order_relaxed);
	for (int i = 0; i < n; i++) {
		d->watches[i] = poller_watch(d->poller, d->group, fds[i].fd,
		    fds[i].events, transport_ready, transport_unwatched,
		    device_get(d));
		if (d->watches[i] == NULL) {
			device_put(d);
			end_watches(d);
			return false;
		}
	}
	return n > 0;
}

/* The reader's own turn, in which the transport may block.  True: it may
 * sleep. */
static bool
turn(struct device *d) RUNS_ON(on_reader)
{
	reader_take_messages(d);
	while (!d->stopping && reader_read(d, 0) != READ_NOTHING)
		;
	return !d->stopping && look(d) != 1 && !d->io &&
	    mailbox_idle(&d->reader_box);
}

static void
sleep_lending(struct device *d) RUNS_ON(on_reader)
{
	d->waits_ms = patience(d);
	d->waits_until = moment_after_ms(clock_now(), d->waits_ms);
	baton_lay_down(&d->reader_baton);
	waker_wait_until(d->reader_waker, d->waits_until);
	baton_take_up(&d->reader_baton, d->reader_waker);
}

void
reader_serve(struct device *d)
{
	if (begin_watches(d)) {
		while (!d->stopping)
			if (turn(d))
				sleep_lending(d);
		end_watches(d);
	}
	while (!d->stopping)
		reader_wait_and_read(d, -1);
}
