/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/protocol_mux.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/connection.h"
#include "daemon/protocol.h"
#include "mux/stream.h"

/* A phone's own messages for the log: so many in so long, no flood. */
#define NOTES_MAX 20
#define NOTES_MS 10000

/*
 * RSTs for strays that may wait for the writer.  A bound, because a phone may
 * send and not read.  Those beyond it are not sent: whoever still believes in
 * its connection sends another packet, and that is answered.
 */
#define REPLIES_MAX 1024

/* ---- To the device ---- */

/* Posts a frame of another protocol than TCP, without which those that come after
 * it mean nothing to the phone. */
static int
post_plain(struct device *d, enum mux_protocol kind, const void *payload,
    uint32_t len)
{
	struct packet *p = packet_new(len);

	if (p == NULL)
		return -1;
	p->kind = (uint16_t)kind;
	p->barrier = true;
	p->payload_len = len;
	memcpy(packet_payload(p), payload, len);
	packet_post(p, d);
	return 0;
}

static int
bring_up(struct device *d, struct transport *t, usb_step_hook *hook,
    void *hook_arg, struct cause *why) RUNS_ON(on_reader)
{
	return usb_bring_up(t, &d->ident, d->wanted_mode, d->anew, hook,
	    hook_arg, &d->phone, why);
}

static void
drop_gathered(struct mux_state *m) RUNS_ON(on_reader)
{
	chunk_put(m->first);
	m->first = m->last = NULL;
}

static int
hello(struct device *d) RUNS_ON(on_reader)
{
	const struct mux_version wanted = { .major = 2, .minor = 0 };
	uint8_t bytes[12];
	struct writer w = writer_over(bytes, sizeof bytes);

	/* What a phone has left of an earlier life may have begun a packet. */
	drop_gathered(&d->mux);
	mux_framing_init(&d->mux.framing, CHUNK_SIZE);
	mux_version_write(&w, &wanted);
	return post_plain(d, MUX_VERSION, bytes, sizeof bytes);
}

static int
version_in_use(const struct device *d)
{
	return atomic_load_explicit(&d->mux.version, memory_order_relaxed);
}

static void
frame(struct device *d, struct packet *p) RUNS_ON(on_writer)
{
	const int version = version_in_use(d);
	const size_t outer =
	    p->kind == MUX_VERSION ? MUX_HEADER_V1_LEN : mux_header_len(version);
	struct mux_header h = { .protocol = p->kind };
	struct writer w;

	p->tx.offset =
	    (uint32_t)(PACKET_HEADER_ROOM - p->inner_len - outer);
	p->tx.len = (uint32_t)outer + p->inner_len + p->payload_len;
	h.length = p->tx.len;
	if (p->kind == MUX_SETUP) {
		d->mux.tx_seq = 0;
		h.rx_seq = MUX_RX_SEQ_NONE;
	} else if (p->kind != MUX_VERSION) {
		h.tx_seq = ++d->mux.tx_seq;
		h.rx_seq = atomic_load_explicit(&d->mux.rx_seq,
		    memory_order_relaxed);
	}
	w = writer_over(p->bytes + p->tx.offset, outer);
	mux_header_write(&w, version, &h);
}

void
mux_packet_set_tcp(struct packet *p, const struct tcp_header *h)
{
	struct writer w = writer_over(
	    packet_payload(p) - TCP_HEADER_LEN, TCP_HEADER_LEN);

	p->kind = MUX_TCP;
	p->inner_len = TCP_HEADER_LEN;
	tcp_header_write(&w, h);
}

bool
mux_send_tcp(struct device *d, struct route *r, const struct tcp_header *h)
{
	struct packet *p = packet_new(0);

	if (p == NULL)
		return false;
	mux_packet_set_tcp(p, h);
	p->route = r != NULL ? route_get(r) : NULL;
	packet_post(p, d);
	return true;
}

static void
stray(struct device *d, const struct chunk *packet, uint16_t port)
    RUNS_ON(on_reader)
{
	const struct tcp_header in = mux_packet_tcp(packet, port);
	const uint32_t waiting =
	    atomic_load_explicit(&d->replies, memory_order_relaxed);
	struct tcp_header rst;
	struct packet *p;

	if ((in.flags & TCP_RST) != 0 || waiting >= REPLIES_MAX)
		return;
	p = packet_new(0);
	if (p == NULL)
		return;
	rst = stream_rst_for_stray(&in, packet->packet_len);
	mux_packet_set_tcp(p, &rst);
	p->reply = true;
	atomic_fetch_add_explicit(&d->replies, 1, memory_order_relaxed);
	packet_post(p, d);
}

/* ---- From the device ---- */

static enum protocol_verdict
input_version(struct device *d, struct reader *r, struct cause *why)
    RUNS_ON(on_reader)
{
	static const uint8_t setup[1] = { MUX_SETUP_BYTE };
	struct mux_version v;

	if (!mux_version_read(r, &v))
		return PROTOCOL_BAD;
	if (d->mux.versioned) /* the answer to a question asked twice */
		return PROTOCOL_TAKEN;
	if (v.major != 1 && v.major != 2) {
		cause_set(why, "speaks version %u.%u of the mux protocol; "
		    "only 1 and 2 are known", v.major, v.minor);
		return PROTOCOL_REFUSED;
	}
	d->mux.versioned = true;
	atomic_store_explicit(&d->mux.version, (int)v.major,
	    memory_order_relaxed);
	if (v.major == 2 && post_plain(d, MUX_SETUP, setup, sizeof setup) < 0) {
		cause_set(why, "no memory for its SETUP");
		return PROTOCOL_REFUSED;
	}
	return PROTOCOL_READY;
}

static bool
may_note(struct mux_state *m) RUNS_ON(on_reader)
{
	const struct moment now = clock_now();

	if (moment_ms_between(m->notes_since, now) >= NOTES_MS) {
		m->notes_since = now;
		m->notes = 0;
	}
	return m->notes++ < NOTES_MAX;
}

static enum protocol_verdict
input_control(struct device *d, struct reader *r) RUNS_ON(on_reader)
{
	const uint8_t kind = read_u8(r);
	const size_t len = reader_left(r) < 200 ? reader_left(r) : 200;
	const char *text = (const char *)read_bytes(r, len);

	if (r->bad || !may_note(&d->mux))
		return PROTOCOL_TAKEN;
	switch (kind) {
	case MUX_CONTROL_ERROR:
		log_error("%s says: %.*s", d->name, (int)len, text);
		break;
	case MUX_CONTROL_WARNING:
		log_warning("%s says: %.*s", d->name, (int)len, text);
		break;
	default:
		log_info("%s says: %.*s", d->name, (int)len, text);
		break;
	}
	return PROTOCOL_TAKEN;
}

static enum protocol_verdict
input_tcp(struct reader *r, struct chunk *first, uint32_t length,
    uint16_t *port)
{
	struct tcp_header h;
	uint32_t headers;

	if (!tcp_header_read(r, &h))
		return PROTOCOL_BAD;
	headers = (uint32_t)(r->at - (first->data + first->offset));
	first->offset += headers;
	first->len -= headers;
	first->packet_len = length - headers;
	first->peer_port = h.sport;
	first->seq = h.seq;
	first->ack = h.ack;
	first->window = h.window;
	first->flags = h.flags;
	*port = h.dport;
	return PROTOCOL_PACKET;
}

/* A whole packet: the chain from `first`. */
static enum protocol_verdict
input_packet(struct device *d, struct chunk *first, uint16_t *port,
    struct cause *why) RUNS_ON(on_reader)
{
	const int version = version_in_use(d);
	struct reader r =
	    reader_over(first->data + first->offset, first->len);
	struct mux_header h;

	if (!mux_header_read(&r, version, &h))
		return PROTOCOL_BAD;
	if (!d->mux.versioned && h.protocol != MUX_VERSION) {
		/* What an earlier daemon left behind in the phone. */
		log_debug("%s: dropped a stale packet", d->name);
		return PROTOCOL_TAKEN;
	}
	if (version >= 2 && h.protocol != MUX_VERSION)
		atomic_store_explicit(&d->mux.rx_seq, h.tx_seq,
		    memory_order_relaxed);
	switch (h.protocol) {
	case MUX_VERSION:
		return input_version(d, &r, why);
	case MUX_CONTROL:
		return input_control(d, &r);
	case MUX_TCP:
		return input_tcp(&r, first, h.length, port);
	default:
		return PROTOCOL_BAD;
	}
}

/* Adds a read to the packet under way. */
static void
gather(struct mux_state *m, struct chunk *read) RUNS_ON(on_reader)
{
	if (m->first == NULL)
		m->first = read;
	else
		m->last->more = read;
	m->last = read;
}

static enum protocol_verdict
input(struct device *d, struct chunk *read, struct chunk **packet,
    uint16_t *port, struct cause *why) RUNS_ON(on_reader)
{
	struct mux_state *m = &d->mux;
	const enum mux_framing_verdict v =
	    mux_framing_input(&m->framing, read->data, read->len);
	enum protocol_verdict verdict;

	if (v == MUX_FRAMING_SKIP) {
		chunk_put(read);
		return PROTOCOL_NOTHING;
	}
	gather(m, read);
	if (v == MUX_FRAMING_FIRST || v == MUX_FRAMING_MORE)
		return PROTOCOL_NOTHING;
	verdict = v == MUX_FRAMING_BAD
	    ? PROTOCOL_BAD
	    : input_packet(d, m->first, port, why);
	if (verdict == PROTOCOL_BAD) {
		char hex[LOG_HEX_MAX];

		log_warning("%s: malformed packet of %u bytes: %s", d->name,
		    m->first->len, log_hex(hex, m->first->data,
		    m->first->len));
	}
	if (verdict != PROTOCOL_PACKET) {
		drop_gathered(m);
		return verdict;
	}
	*packet = m->first;
	m->first = m->last = NULL;
	return PROTOCOL_PACKET;
}

struct tcp_header
mux_packet_tcp(const struct chunk *packet, uint16_t port)
{
	return (struct tcp_header){
		.sport = packet->peer_port,
		.dport = port,
		.seq = packet->seq,
		.ack = packet->ack,
		.window = packet->window,
		.flags = packet->flags,
	};
}

static void
fini(struct device *d) RUNS_ON(on_reader)
{
	drop_gathered(&d->mux);
}

const struct protocol protocol_mux = {
	.name = "mux",
	.is_phone = true,
	.bring_up = bring_up,
	.hello = hello,
	.input = input,
	.stray = stray,
	.frame = frame,
	.fini = fini,
};
