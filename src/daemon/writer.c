/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device's writer: takes frames in the order in which they were posted, gives
 * each its outer header and its number, and keeps a few transfers in flight.
 *
 * Its thread sleeps most of the time, because who posts a frame acts as the
 * writer there and then (writer_post()), unless somebody does already.
 */

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"

/* Rounds that somebody else does for the writer: then others have kept it busy,
 * and its own thread goes on. */
#define BORROWED_ROUNDS 4

static void
append(struct outbox *o, struct packet *p) RUNS_ON(on_writer)
{
	outbox_add(o, p->route != NULL ? &p->route->flow : p->flow, p);
}

static void
take_messages(struct device *d) RUNS_ON(on_writer)
{
	struct msg *m = mailbox_take(&d->writer_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		switch ((enum msg_type)m->type) {
		case MSG_PACKET:
			append(&d->outbox, packet_of_msg(m));
			break;
		case MSG_WRITE_CREDIT:
			credit_collect(&d->write_credit);
			break;
		case MSG_WRITER_STOP:
			d->outbox.stop = true;
			break;
		default:
			break;
		}
	}
}

static void
count(struct device_stats *s, const struct packet *p)
{
	counter_add(&s->tx_packets, 1);
	counter_add(&s->tx_bytes, p->payload_len);
	if (p->payload_len == 0)
		counter_add(&s->tx_acks, 1);
	if (p->tx.zlp)
		counter_add(&s->tx_zlps, 1);
}

static void
send_frame(struct device *d, struct packet *p) RUNS_ON(on_writer)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	d->protocol->frame(d, p);
	/* A frame that fills its last packet must be ended by an empty one, or
	 * the phone takes the next frame for its continuation. */
	p->tx.zlp = p->tx.len % (p->tx.interrupt
		? d->phone.pipes.interrupt_out_packet
		: d->phone.pipes.max_packet) == 0;
	p->counted = bus_weight(p->payload_len);
	count(&d->stats, p);
	t->ops->write(t, &p->tx);
}

/* Read for each frame, and seldom another one. */
static void
publish(_Atomic uint32_t *to, uint32_t n)
{
	if (n != atomic_load_explicit(to, memory_order_relaxed))
		atomic_store_explicit(to, n, memory_order_relaxed);
}

static void
send_frames(struct device *d) RUNS_ON(on_writer)
{
	struct outbox *o = &d->outbox;
	struct bus_limit *bus = &o->bus;
	const uint32_t limit = bus_limit_adjust(bus,
	    credit_used(&d->write_credit), clock_now());
	const uint32_t payload = bus_limit_payload(bus);

	d->write_credit.limit = limit;
	publish(&d->frame_payload, payload);
	while (!outbox_is_empty(o)) {
		const uint32_t weight = outbox_next_weight(o);

		if (!credit_take(&d->write_credit, weight))
			break;
		send_frame(d, outbox_next(o));
		bus_limit_sent(bus, weight);
	}
	bus_limit_hold(bus, !outbox_is_empty(o));
	publish(&d->flow_frames, outbox_flow_frames(o));
}

/* True: that was all, and the writer is to end. */
static bool
step(struct device *d) RUNS_ON(on_writer)
{
	take_messages(d);
	send_frames(d);
	return d->outbox.stop && outbox_is_empty(&d->outbox);
}

static bool
aborted(const struct device *d)
{
	/* Acquire: pairs with the release in the reader's stop_writer(). */
	return atomic_load_explicit(&d->writer_abort, memory_order_acquire);
}

/* Everything that was not sent, and everything that still comes: back. */
static void
discard(struct device *d) RUNS_ON(on_writer)
{
	struct outbox *o = &d->outbox;
	struct msg *m = mailbox_close(&d->writer_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		if (m->type == MSG_PACKET)
			append(o, packet_of_msg(m));
	}
	while (!outbox_is_empty(o)) {
		struct packet *p = outbox_next(o);

		p->tx.done(&p->tx, USB_ERROR_GONE);
	}
}

/* ---- Its own thread ---- */

/* Others act for it meanwhile, unless they could be kept waiting by that. */
static void
sleep_until_woken(struct device *d) RUNS_ON(on_writer)
{
	const struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	if (t->ops->write_blocks) {
		waker_wait(d->writer_waker, -1);
		return;
	}
	baton_lay_down(&d->writer_baton);
	waker_wait(d->writer_waker, -1);
	baton_take_up(&d->writer_baton, d->writer_waker);
}

static void
work(struct device *d) RUNS_ON(on_writer)
{
	outbox_init(&d->outbox);
	while (!aborted(d) && !step(d))
		if (mailbox_idle(&d->writer_box))
			sleep_until_woken(d);
	discard(d);
}

void *
writer_main(void *arg)
{
	struct device *d = arg;

	role_take(&on_writer);
	work(d);
	mailbox_post(&d->reader_box, &d->writer_ended_msg);
	role_drop(&on_writer);
	return NULL;
}

/* ---- Those who act for it ---- */

/* True: nothing is left to do. */
static bool
act(struct device *d) RUNS_ON(on_writer)
{
	for (int i = 0; i < BORROWED_ROUNDS && !aborted(d); i++) {
		if (step(d))
			return false; /* its end is its own affair */
		if (mailbox_idle(&d->writer_box))
			return true;
	}
	return false;
}

static void
act_or_wake(struct device *d)
{
	bool done = false;

	if (baton_borrow(&d->writer_baton)) {
		role_take(&on_writer);
		done = act(d);
		role_drop(&on_writer);
		baton_return(&d->writer_baton, d->writer_waker);
	}
	if (!done)
		mailbox_wake_owner(&d->writer_box);
}

bool
writer_post(struct device *d, struct msg *m)
{
	const enum queue_push pushed = mailbox_offer(&d->writer_box, m);

	if (pushed == QUEUE_WAKE)
		act_or_wake(d);
	return pushed != QUEUE_REFUSED;
}

/* The writer never sleeps when a frame fails in its own write(); so who finds it
 * asleep here is the reader. */
void
writer_give_credit(struct device *d, uint32_t n) ROLE_UNCHECKED
{
	const struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	if (!credit_return(&d->write_credit, n))
		return;
	if (t->ops->write_blocks)
		mailbox_wake_owner(&d->writer_box);
	else
		d->credit_back = true;
}

void
writer_attend(struct device *d)
{
	if (d->credit_back) {
		d->credit_back = false;
		act_or_wake(d);
	}
}
