/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "protocol_rig.h"

#include <stdio.h>
#include <string.h>

#include "daemon/msg.h"
#include "unit.h"

static struct fake fake;
static struct mailbox manager;
static struct waker *waker;
struct device *d;
struct phone_frame frame;

struct chunk *packet;
uint16_t port;
struct cause why;

char logged[LOG_LINE_MAX];
enum log_level logged_level;
unsigned lines;

static void
remember(enum log_level level, const char *line)
{
	snprintf(logged, sizeof logged, "%s", line);
	logged_level = level;
	lines++;
}

void
begin(void)
{
	fake_init(&fake, "1-3");
	waker = waker_new();
	mailbox_init_waker(&manager, waker);
	d = device_new(7, &fake.source, &fake.ident, &protocol_mux, &manager);
	ck_assert_ptr_nonnull(d);
	log_set_sink(remember);
	log_set_level(LOG_LEVEL_INFO);
}

void
end(void)
{
	struct msg *m, *next;

	d->protocol->fini(d);
	for (m = mailbox_close(&d->writer_box); m != NULL; m = next) {
		next = msg_next(m);
		packet_free(packet_of_msg(m));
	}
	device_put(d);
	waker_put(waker);
	fake_fini(&fake);
	log_set_sink(NULL);
}

/* ---- The writer's part ---- */

struct phone_words
posted(int version)
{
	struct msg *m = mailbox_take(&d->writer_box);
	struct phone_words w = { .length = 0 };
	struct packet *p;

	if (m == NULL)
		return w;
	HOLDS(msg_next(m) == NULL, "more than one frame");
	p = packet_of_msg(m);
	HOLDS(m->type == MSG_PACKET, "message %d", m->type);
	d->protocol->frame(d, p);
	HOLDS(p->tx.offset + p->tx.len ==
		PACKET_HEADER_ROOM + p->payload_len,
	    "the frame does not end with its payload");
	memcpy(frame.bytes, p->tx.data + p->tx.offset, p->tx.len);
	w = phone_parse(frame.bytes, p->tx.len, version);
	packet_free(p);
	return w;
}

bool
nothing_posted(void)
{
	return mailbox_is_empty(&d->writer_box);
}

/* ---- The reader's part ---- */

enum protocol_verdict
read_in(const void *bytes, uint32_t len)
{
	struct chunk *c = chunk_take(&d->pool);

	HOLDS(c != NULL && len <= CHUNK_SIZE, "a read of %u bytes", len);
	if (len > 0)
		memcpy(c->data, bytes, len);
	c->len = len;
	packet = NULL;
	return d->protocol->input(d, c, &packet, &port, &why);
}

enum protocol_verdict
frame_in(void)
{
	uint32_t at = 0;

	for (; frame.len - at > CHUNK_SIZE; at += CHUNK_SIZE)
		HOLDS(read_in(frame.bytes + at, CHUNK_SIZE) == PROTOCOL_NOTHING,
		    "a part is a packet");
	return read_in(frame.bytes + at, frame.len - at);
}

enum protocol_verdict
version_in(uint32_t major, uint32_t minor)
{
	phone_make_version(&frame, major, minor);
	return frame_in();
}

void
speak(int version)
{
	ck_assert_int_eq(d->protocol->hello(d), 0);
	posted(1);
	ck_assert_int_eq(version_in((uint32_t)version, 0), PROTOCOL_READY);
	if (version == 2)
		posted(2);
	ck_assert(nothing_posted());
}

void
make_tcp(int version, uint16_t tx_seq, uint32_t payload_len)
{
	static uint8_t payload[65535];

	for (uint32_t i = 0; i < payload_len; i++)
		payload[i] = (uint8_t)(i % 251);
	phone_make(&frame, version, &(struct phone_words){ .protocol = 6,
		.tx_seq = tx_seq, .rx_seq = 1, .sport = 62078, .dport = 513,
		.seq = 0xa1b2c3d4, .ack = 0x01020304, .flags = PHONE_ACK,
		.window = 131072, .payload = payload,
		.payload_len = payload_len });
}
