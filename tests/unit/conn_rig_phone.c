/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The reader and the writer, and the phone behind them. */

#include <stdlib.h>
#include <string.h>

#include "conn_rig.h"
#include "daemon/protocol.h"
#include "unit.h"

/* ---- Reader ---- */

static void
free_returned(struct conn *k)
{
	struct qnode *n = queue_take(&k->d->pool.returned);

	while (n != NULL) {
		struct qnode *next = n->next;

		free(n);
		k->returned++;
		n = next;
	}
}

unsigned
conn_chunks_out(struct conn *k)
{
	free_returned(k);
	return k->made - k->returned;
}

static struct chunk *
make_chunk(struct conn *k, uint32_t offset, uint32_t first, uint32_t len)
{
	struct chunk *c = calloc(1, sizeof *c);

	HOLDS(c != NULL, "no memory for a chunk");
	k->made++;
	free_returned(k);
	c->pool = &k->d->pool;
	c->offset = offset;
	c->len = len;
	for (uint32_t i = 0; i < len; i++)
		c->data[offset + i] = (uint8_t)((first + i) % 251);
	return c;
}

/* A packet as the device protocol makes it: headers of 36 bytes in front, and
 * as many chunks as it took reads. */
static struct chunk *
make_packet(struct conn *k, uint32_t first, uint32_t len)
{
	uint32_t n = len < CHUNK_SIZE - 36 ? len : CHUNK_SIZE - 36, done = n;
	struct chunk *packet = make_chunk(k, 36, first, n), *last = packet;

	packet->packet_len = len;
	while (done < len) {
		n = len - done < CHUNK_SIZE ? len - done : CHUNK_SIZE;
		last->more = make_chunk(k, 0, first + done, n);
		last = last->more;
		done += n;
	}
	return packet;
}

void
conn_say_skipping(struct conn *k, uint32_t skip, uint8_t flags,
    uint32_t first, uint32_t len)
{
	struct chunk *c = make_packet(k, first, len);

	c->port = k->sport;
	c->peer_port = CONN_PORT;
	c->seq = k->seq + skip;
	c->ack = k->ack;
	c->window = k->window;
	c->flags = flags;
	k->seq += len + (flags & PHONE_SYN ? 1 : 0);
	/* As the reader does it, only while the route is there. */
	if (k->route == NULL)
		chunk_put(c);
	else if (client_deliver(k->c, c))
		client_attend(k->c, len);
}

void
conn_say(struct conn *k, uint8_t flags, uint32_t first, uint32_t len)
{
	conn_say_skipping(k, 0, flags, first, len);
}

void
conn_say_bytes(struct conn *k, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		conn_say(k, PHONE_ACK, first + i, 1);
}

/* ---- Writer ---- */

bool
conn_silent(struct conn *k)
{
	return k->frames == NULL && mailbox_is_empty(&k->d->writer_box);
}

static struct packet *
next_frame(struct conn *k)
{
	struct msg *m = k->frames;

	while (m == NULL) {
		m = mailbox_take(&k->d->writer_box);
		if (m == NULL && mailbox_idle(&k->d->writer_box))
			HOLDS(waker_wait(k->d->writer_waker, UNIT_PATIENCE_MS),
			    "the writer waits in vain for a frame");
	}
	k->frames = msg_next(m);
	HOLDS(m->type == MSG_PACKET, "message %d", m->type);
	return packet_of_msg(m);
}

struct phone_words
conn_hear(struct conn *k)
{
	static uint8_t bytes[65536];
	struct packet *p = next_frame(k);
	const struct tx *tx = &p->tx;
	uint32_t len;

	k->d->protocol->frame(k->d, p);
	len = tx->len;
	HOLDS(len <= 49152, "a frame of %u bytes", len);
	memcpy(bytes, tx->data + tx->offset, len);
	if (k->hold) {
		HOLDS(k->held_count < UNIT_COUNT(k->held), "too many frames");
		k->held[k->held_count++] = p;
	} else {
		p->tx.done(&p->tx, USB_OK);
	}
	return phone_parse(bytes, len, 2);
}

void
conn_complete(struct conn *k)
{
	for (unsigned i = 0; i < k->held_count; i++)
		k->held[i]->tx.done(&k->held[i]->tx, USB_OK);
	k->held_count = 0;
}

void
conn_hear_ack(struct conn *k, uint32_t ack)
{
	const struct phone_words w = conn_hear(k);

	HOLDS(w.flags == PHONE_ACK && w.ack == ack && w.payload_len == 0 &&
		w.window == CONN_WINDOW,
	    "flags 0x%02x, ack %u instead of %u, %u bytes", w.flags, w.ack, ack,
	    w.payload_len);
}

void
conn_hear_rst(struct conn *k)
{
	const struct phone_words w = conn_hear(k);

	HOLDS(w.flags == PHONE_RST && w.payload_len == 0 &&
		w.sport == k->sport && w.dport == CONN_PORT,
	    "flags 0x%02x, %u bytes instead of a RST", w.flags, w.payload_len);
}
