/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device's writer: takes frames in the order in which they were posted, gives
 * each its outer header and its number, and keeps a few transfers in flight.
 */

#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"

struct backlog {
	struct msg *first;
	struct msg **end;
	bool stop; /* send what there is, then end */
};

static void
append(struct backlog *b, struct msg *m)
{
	m->node.next = NULL;
	*b->end = m;
	b->end = (struct msg **)&m->node.next;
}

static struct packet *
detach_first(struct backlog *b)
{
	struct msg *m = b->first;

	b->first = msg_next(m);
	if (b->first == NULL)
		b->end = &b->first;
	return packet_of_msg(m);
}

static void
take_messages(struct device *d, struct backlog *b) RUNS_ON(on_writer)
{
	struct msg *m = mailbox_take(&d->writer_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		switch ((enum msg_type)m->type) {
		case MSG_PACKET:
			append(b, m);
			break;
		case MSG_WRITE_CREDIT:
			credit_collect(&d->write_credit);
			break;
		case MSG_WRITER_STOP:
			b->stop = true;
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
	p->tx.zlp = p->tx.len % d->phone.pipes.max_packet == 0;
	p->counted = true;
	count(&d->stats, p);
	t->ops->write(t, &p->tx);
}

static void
send_frames(struct device *d, struct backlog *b) RUNS_ON(on_writer)
{
	while (b->first != NULL && credit_take(&d->write_credit))
		send_frame(d, detach_first(b));
}

static bool
aborted(const struct device *d)
{
	/* Acquire: pairs with the release in the reader's stop_writer(). */
	return atomic_load_explicit(&d->writer_abort, memory_order_acquire);
}

/* Everything that was not sent, and everything that still comes: back. */
static void
discard(struct device *d, struct backlog *b)
{
	struct msg *m = mailbox_close(&d->writer_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		if (m->type == MSG_PACKET)
			append(b, m);
	}
	while (b->first != NULL) {
		struct packet *p = detach_first(b);

		p->tx.done(&p->tx, USB_ERROR_GONE);
	}
}

static void
work(struct device *d) RUNS_ON(on_writer)
{
	struct backlog b = { .first = NULL };

	b.end = &b.first;
	while (!aborted(d)) {
		take_messages(d, &b);
		send_frames(d, &b);
		if (b.stop && b.first == NULL)
			break;
		if (mailbox_idle(&d->writer_box))
			waker_wait(d->writer_waker, -1);
	}
	discard(d, &b);
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
