/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_phone.h"

#include <string.h>

#include "unit.h"

static uint8_t *
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return at + 2;
}

static uint8_t *
put32(uint8_t *at, uint32_t v)
{
	return put16(put16(at, v >> 16), v & 0xffff);
}

static uint16_t
get16(const uint8_t *at)
{
	return (uint16_t)(at[0] * 256 + at[1]);
}

static uint32_t
get32(const uint8_t *at)
{
	return get16(at) * 65536u + get16(at + 2);
}

static uint8_t *
put_tcp(uint8_t *at, const struct phone_words *w)
{
	at = put16(put16(at, w->sport), w->dport);
	at = put32(put32(at, w->seq), w->ack);
	*at++ = 0x50;
	*at++ = w->flags;
	at = put16(at, w->window / 256);
	return put32(at, 0);
}

void
phone_make(struct phone_frame *f, int version, const struct phone_words *w)
{
	uint8_t *at = put32(f->bytes, w->protocol);

	at += 4; /* the length, when it is known */
	if (version == 2 && w->protocol != 0) {
		at = put32(at, 0xfaceface);
		at = put16(put16(at, w->tx_seq), w->rx_seq);
	}
	if (w->protocol == 6)
		at = put_tcp(at, w);
	HOLDS((size_t)(at - f->bytes) + w->payload_len <= 65535,
	    "a frame that is too long");
	if (w->payload_len > 0)
		memcpy(at, w->payload, w->payload_len);
	f->len = (uint32_t)(at - f->bytes) + w->payload_len;
	put32(f->bytes + 4, f->len);
}

void
phone_make_version(struct phone_frame *f, uint32_t major, uint32_t minor)
{
	uint8_t payload[12];

	put32(put32(put32(payload, major), minor), 0);
	phone_make(f, 1, &(struct phone_words){ .payload = payload,
			     .payload_len = sizeof payload });
}

static const uint8_t *
get_tcp(const uint8_t *at, struct phone_words *w)
{
	w->sport = get16(at);
	w->dport = get16(at + 2);
	w->seq = get32(at + 4);
	w->ack = get32(at + 8);
	HOLDS(at[12] == 0x50, "TCP offset 0x%02x", at[12]);
	w->flags = at[13];
	w->window = get16(at + 14) * 256u;
	HOLDS(get32(at + 16) == 0, "checksum or urgent pointer");
	return at + 20;
}

struct phone_words
phone_parse(const uint8_t *bytes, uint32_t len, int version)
{
	struct phone_words w = { .length = 0 };
	const uint8_t *at = bytes + 8;

	HOLDS(len >= 8, "a frame of %u bytes", len);
	w.protocol = get32(bytes);
	w.length = get32(bytes + 4);
	HOLDS(w.length == len, "a frame of %u bytes says %u", len, w.length);
	if (version == 2 && w.protocol != 0) {
		HOLDS(len >= 16, "a frame of %u bytes", len);
		w.magic = get32(at);
		w.tx_seq = get16(at + 4);
		w.rx_seq = get16(at + 6);
		HOLDS(w.magic == 0xfeedface, "magic 0x%08x", w.magic);
		at += 8;
	}
	if (w.protocol == 6) {
		HOLDS(len >= (size_t)(at - bytes) + 20, "TCP of %u bytes", len);
		at = get_tcp(at, &w);
	}
	w.payload = at;
	w.payload_len = len - (uint32_t)(at - bytes);
	return w;
}
