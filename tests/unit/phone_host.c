/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone_host.h"

#include <check.h>
#include <string.h>

#include "base/log.h"
#include "phone/pattern.h"

static void
silence(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static uint8_t *
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
straight(struct host *h, const uint8_t *packet, size_t len)
{
	mux_input(&h->mux, packet, len);
}

void
host_init(struct host *h, unsigned version)
{
	struct cause why;

	log_set_sink(silence);
	pattern_init();
	memset(h, 0, sizeof *h);
	h->version = 1;
	h->bus = straight;
	h->rx_seq = 0xffff;
	ck_assert_int_eq(identity_init(&h->id, 1, NULL, 0, &why), 0);
	strict_init(&h->strict, &strict_phone, 1);
	mux_init(&h->mux, &h->strict, &h->id);
	h->mux.set.version = version;
}

void
host_up(struct host *h, unsigned version)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };
	struct got g;

	host_init(h, version);
	host_send(h, 0, ask, sizeof ask);
	host_get(h, &g);
	ck_assert_uint_eq(g.protocol, 0);
	ck_assert_uint_eq(g.len, 20);
	ck_assert_uint_eq(get32(g.body), version);
	h->version = version;
	if (version == 2)
		host_send(h, 2, "\7", 1);
	host_get(h, &g);
	ck_assert_uint_eq(g.protocol, 1);
	ck_assert_uint_eq(g.body[0], 7);
	host_nothing(h);
	host_behaved(h);
}

void
host_fini(struct host *h)
{
	mux_fini(&h->mux);
}

void
host_send(struct host *h, uint32_t protocol, const void *body, size_t len)
{
	static uint8_t raw[70000];
	uint8_t *p = raw;
	const size_t head = h->version == 1 ? 8 : 16;

	p = put32(p, protocol);
	p = put32(p, (uint32_t)(head + len));
	if (h->version == 2) {
		p = put32(p, 0xfeedface);
		p = put16(p, h->tx_seq++);
		p = put16(p, h->rx_seq);
	}
	if (len > 0)
		memcpy(p, body, len);
	h->bus(h, raw, head + len);
}

void
host_tcp(struct host *h, uint16_t sport, uint16_t dport, uint32_t seq,
    uint32_t ack, uint8_t flags, uint16_t window, const void *data, size_t len)
{
	static uint8_t body[70000];
	uint8_t *p = body;

	p = put16(p, sport);
	p = put16(p, dport);
	p = put32(p, seq);
	p = put32(p, ack);
	*p++ = 0x50;
	*p++ = flags;
	p = put16(p, window);
	p = put32(p, 0);
	if (len > 0)
		memcpy(p, data, len);
	host_send(h, 6, body, 20 + len);
}

static void
parse_tcp(struct got *g)
{
	const uint8_t *p = g->body;

	ck_assert_uint_ge(g->body_len, 20);
	g->dport = get16(p);
	g->sport = get16(p + 2);
	g->seq = get32(p + 4);
	g->ack = get32(p + 8);
	ck_assert_uint_eq(p[12], 0x50);
	g->flags = p[13];
	g->window = get16(p + 14) * 256u;
	ck_assert_uint_eq(get32(p + 16), 0);
	g->data = p + 20;
	g->data_len = g->body_len - 20;
}

void
host_get(struct host *h, struct got *g)
{
	ck_assert(mux_next(&h->mux));
	g->len = h->mux.out.left;
	ck_assert_uint_le(g->len, sizeof g->raw);
	mux_take(&h->mux, g->raw, g->len);
	host_parse(h, g);
}

void
host_parse(struct host *h, struct got *g)
{
	size_t head = 8;

	g->protocol = get32(g->raw);
	ck_assert_uint_eq(get32(g->raw + 4), g->len);
	if (h->version == 2 && g->protocol != 0) {
		head = 16;
		ck_assert_uint_eq(get32(g->raw + 8), 0xfeedface);
		g->tx_seq = get16(g->raw + 12);
		g->rx_seq = get16(g->raw + 14);
		h->rx_seq = g->tx_seq;
	}
	g->body = g->raw + head;
	g->body_len = g->len - head;
	if (g->protocol == 6)
		parse_tcp(g);
}

void
host_nothing(struct host *h)
{
	ck_assert(!mux_next(&h->mux));
}

void
host_get_tcp(struct host *h, struct got *g, uint16_t sport, uint8_t flags)
{
	host_get(h, g);
	ck_assert_uint_eq(g->protocol, 6);
	ck_assert_uint_eq(g->sport, sport);
	ck_assert_uint_eq(g->flags, flags);
}

void
host_connect(struct host *h, uint16_t sport, uint16_t dport, uint16_t window)
{
	struct got g;

	host_tcp(h, sport, dport, 0, 0, SYN, window, NULL, 0);
	host_get_tcp(h, &g, sport, SYN | ACK);
	ck_assert_uint_eq(g.dport, dport);
	ck_assert_uint_eq(g.ack, 1);
	ck_assert_uint_eq(g.data_len, 0);
	host_tcp(h, sport, dport, 1, g.seq + 1, ACK, window, NULL, 0);
}

void
host_violated(const struct host *h, enum strict_kind kind)
{
	for (int i = 0; i < STRICT_KINDS; i++)
		ck_assert_msg(h->strict.count[i] == (i == (int)kind),
		    "'%s' was counted %llu times, '%s' was expected",
		    strict_phone.names[i], (unsigned long long)h->strict.count[i],
		    strict_phone.names[kind]);
	ck_assert_uint_eq(h->strict.total, 1);
}

void
host_behaved(const struct host *h)
{
	for (int i = 0; i < STRICT_KINDS; i++)
		ck_assert_msg(h->strict.count[i] == 0, "'%s' was counted",
		    strict_phone.names[i]);
	ck_assert_uint_eq(h->strict.total, 0);
}
