/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"
#include "daemon/protocol_mux.h"

/*
 * What a phone sends, read by read, as far as a reader sees it: from its answer
 * to VERSION to packets of several reads.  The input is a row of steps; a full
 * read takes its first bytes from the input and repeats its last one.
 */

#define FULL_HEAD 64

static struct device *d;

static void
swallow(enum log_level level, const char *line)
{
	MUST(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_PACKET);
	for (; *line != '\0'; line++)
		MUST((unsigned char)*line >= 0x20 && *line != 0x7f);
}

/* The writer: frames what has been posted. */
static void
send_posted(void)
{
	struct msg *msg = mailbox_take(&d->writer_box), *next;

	for (; msg != NULL; msg = next) {
		struct packet *p = packet_of_msg(msg);

		next = msg_next(msg);
		d->protocol->frame(d, p);
		MUST(p->tx.len >= MUX_HEADER_V1_LEN + p->payload_len);
		MUST(p->tx.offset + p->tx.len ==
		    PACKET_HEADER_ROOM + p->payload_len);
		p->tx.done(&p->tx, USB_OK);
	}
}

static void
assert_chain(const struct chunk *packet)
{
	uint32_t n = 0;

	for (const struct chunk *c = packet; c != NULL; c = c->more) {
		MUST(c->offset + c->len <= CHUNK_SIZE);
		n += c->len;
	}
	MUST(n == packet->packet_len && n <= MUX_PACKET_MAX - 28);
}

/* A completed read; true when the reader would go on. */
static bool
take(const uint8_t *bytes, size_t len, size_t literal)
{
	struct chunk *c = chunk_take(&d->pool), *packet = NULL;
	struct cause why = { "" };
	uint16_t port = 0;

	MUST(c != NULL);
	if (literal > 0)
		memcpy(c->data, bytes, literal);
	if (len > literal)
		memset(c->data + literal, bytes[literal - 1], len - literal);
	c->len = (uint32_t)len;
	switch (d->protocol->input(d, c, &packet, &port, &why)) {
	case PROTOCOL_PACKET:
		assert_chain(packet);
		d->protocol->stray(d, packet, port);
		chunk_put(packet);
		return true;
	case PROTOCOL_REFUSED:
		MUST(why.text[0] != '\0');
		return false;
	default:
		MUST(packet == NULL);
		return true;
	}
}

/* False at the end of the input. */
static bool
step(struct reader *r)
{
	const uint8_t op = read_u8(r);
	const uint8_t *bytes;
	size_t n;

	switch (op % 4) {
	case 0: /* a short read */
		n = read_be16(r) % CHUNK_SIZE;
		n = n < reader_left(r) ? n : reader_left(r);
		bytes = read_bytes(r, n);
		return !r->bad && take(bytes, n, n);
	case 1: /* a full one */
		n = reader_left(r) < FULL_HEAD ? reader_left(r) : FULL_HEAD;
		bytes = read_bytes(r, n);
		return n > 0 && take(bytes, CHUNK_SIZE, n);
	case 2: /* the rest of a packet that says more than it has */
		n = read_be16(r) % CHUNK_SIZE;
		bytes = read_bytes(r, 1);
		return !r->bad && take(bytes, n, n > 0 ? 1 : 0);
	default:
		if (op & 0x80)
			MUST(d->protocol->hello(d) == 0);
		send_posted();
		return !r->bad;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct usb_ident ident = { .key = "1-3" };
	static struct usb_source source = { .name = "fuzz" };
	static struct mailbox nobody;
	struct reader r = reader_over(bytes, len);

	log_set_sink(swallow);
	log_set_level(LOG_LEVEL_PACKET);
	d = device_new(1, &source, &ident, &protocol_mux, &nobody);
	MUST(d != NULL);
	MUST(d->protocol->hello(d) == 0);
	while (reader_left(&r) > 0 && step(&r))
		;
	send_posted();
	d->protocol->fini(d);
	device_put(d);
	return 0;
}
