/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The session: VERSION, SETUP, and the header that every packet has.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/identity.h"
#include "phone/mux_int.h"

void
mux_init(struct mux *m, struct strict *strict, const struct identity *id)
{
	memset(m, 0, sizeof *m);
	m->strict = strict;
	m->id = id;
	m->version = 1;
	m->set = (struct mux_settings){
		.version = 2,
		/* Phones have been seen with either: a host must not insist. */
		.magic = id->index % 2 != 0 ? MUX_MAGIC : 0xfaceface,
		.window = MUX_WINDOW_USUAL,
		.max_packet = MUX_PACKET_USUAL,
	};
}

void
mux_fini(struct mux *m)
{
	mux_reset(m);
	table_fini(m);
}

/* Silently: the other side has begun anew, or is gone. */
static void
drop_connections(struct mux *m)
{
	struct conn *c;

	for (unsigned sport = 0; (c = table_from(m, sport)) != NULL;) {
		sport = c->sport + 1u;
		conn_close(c);
	}
}

void
mux_reset(struct mux *m)
{
	mux_drop(m);
	drop_connections(m);
	replies_drop(m);
	m->state = MUX_DOWN;
	m->version = 1;
	m->host_seq_unknown = false;
	m->own_seq = m->echoed_seq = 0;
}

/* A word to the log of the host. */
static void
say_hello(struct mux *m)
{
	char text[64];
	struct writer w = writer_over(text, sizeof text);
	static const char hello[] = "muxphone: the session is up";

	write_u8(&w, MUX_CONTROL_INFO);
	write_bytes(&w, hello, sizeof hello - 1);
	reply_add(m, MUX_CONTROL, text, writer_used(&w));
}

/* The version that both speak.  Padding is as the host's. */
static void
answer_version(struct mux *m)
{
	uint8_t bytes[12];
	struct writer w = writer_over(bytes, sizeof bytes);

	write_be32(&w, m->version);
	write_be32(&w, 0);
	write_be32(&w, 0);
	reply_add(m, MUX_VERSION, bytes, sizeof bytes);
}

/*
 * A host begins with VERSION, and may begin again when no connection is alive:
 * it, or another program after it, may have lost sight of the phone.
 */
static void
take_version(struct mux *m, const uint8_t *packet, size_t len)
{
	struct reader r = reader_over(packet + 8, len - 8);
	const uint32_t major = read_be32(&r), minor = read_be32(&r);
	const uint32_t padding = read_be32(&r);

	if (m->set.mute)
		return;
	if (r.bad || reader_left(&r) > 0 || minor != 0 || padding != 0 ||
	    major < 1 || major > 2)
		strict_count(m->strict, STRICT_VERSION, packet, len,
		    "%zu bytes ask for version %u.%u", len, major, minor);
	if (major < 1)
		return;
	if (m->live > 0)
		strict_count(m->strict, STRICT_VERSION, packet, len,
		    "the session begins anew amid %u connections", m->live);
	drop_connections(m);
	replies_drop(m);
	m->version = major < m->set.version ? major : m->set.version;
	m->state = m->version == 1 ? MUX_UP : MUX_AGREED;
	m->own_seq = m->echoed_seq = 0;
	answer_version(m);
	if (m->state == MUX_UP)
		say_hello(m);
}

/* The header's own fields have been checked, its numbers have not. */
static void
take_setup(struct mux *m, const uint8_t *packet, size_t len)
{
	struct reader r = reader_over(packet, len);
	uint16_t tx_seq, rx_seq;

	read_bytes(&r, 12);
	tx_seq = read_be16(&r);
	rx_seq = read_be16(&r);
	if (m->state != MUX_AGREED)
		strict_count(m->strict, STRICT_SETUP, packet, len,
		    "the session is up already");
	else if (tx_seq != 0 || rx_seq != 0xffff ||
	    read_u8(&r) != MUX_SETUP_BYTE || r.bad || reader_left(&r) > 0)
		strict_count(m->strict, STRICT_SETUP, packet, len,
		    "tx_seq %u, rx_seq %u, %zu bytes", tx_seq, rx_seq, len);
	m->host_seq = (uint16_t)(tx_seq + 1);
	m->host_seq_unknown = false;
	m->echoed_seq = tx_seq;
	if (m->state == MUX_AGREED) {
		m->state = MUX_UP;
		say_hello(m);
	}
}

/* A gap is counted once: what comes next is compared with what came last.
 * After a packet that could not be read, whose number is not known, any number
 * is right. */
static void
check_tx_seq(struct mux *m, const uint8_t *packet, size_t len, uint16_t tx_seq)
{
	if (!m->host_seq_unknown && tx_seq != m->host_seq)
		strict_count(m->strict, STRICT_TX_SEQ, packet, len,
		    "tx_seq is %u, %u was due", tx_seq, m->host_seq);
	m->host_seq = (uint16_t)(tx_seq + 1);
	m->host_seq_unknown = false;
	m->echoed_seq = tx_seq;
}

/* The rest of a version 2 header.  False: the packet is too short for it. */
static bool
check_long_header(struct mux *m, const uint8_t *packet, size_t len,
    uint32_t protocol)
{
	struct reader r = reader_over(packet, len);
	uint32_t magic;
	uint16_t tx_seq;

	read_bytes(&r, 8);
	magic = read_be32(&r);
	tx_seq = read_be16(&r);
	read_be16(&r); /* rx_seq: hosts differ in what they echo */
	if (r.bad) {
		strict_count(m->strict, STRICT_LENGTH, packet, len,
		    "%zu bytes are no packet of version 2", len);
		m->host_seq_unknown = true;
		return false;
	}
	if (magic != MUX_MAGIC)
		strict_count(m->strict, STRICT_MAGIC, packet, len,
		    "magic %08x", magic);
	if (protocol != MUX_SETUP)
		check_tx_seq(m, packet, len, tx_seq);
	return true;
}

static void
take_packet(struct mux *m, uint32_t protocol, const uint8_t *packet,
    size_t len)
{
	const size_t head = m->version == 1 ? 8 : 16;

	if (m->version == 2 && !check_long_header(m, packet, len, protocol))
		return;
	switch (protocol) {
	case MUX_SETUP:
		if (m->version == 2)
			take_setup(m, packet, len);
		else
			strict_count(m->strict, STRICT_SETUP, packet, len,
			    "version 1 has no SETUP");
		break;
	case MUX_CONTROL:
		log_debug("phone %u: the host says: %.*s", m->id->index,
		    (int)(len - head), (const char *)packet + head);
		break;
	case MUX_TCP:
		tcp_input(m, packet, len, packet + head, len - head);
		break;
	default:
		strict_count(m->strict, STRICT_PROTOCOL, packet, len,
		    "protocol %u", protocol);
	}
}

/*
 * Everything starts with a length that must be the transfer's.  When it is not,
 * where the next packet begins cannot be known either, so the transfer is lost
 * as a whole.
 */
void
mux_input(struct mux *m, const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	const uint32_t protocol = read_be32(&r), length = read_be32(&r);

	m->count.packets_in++;
	m->count.bytes_in += len;
	if (r.bad || length != len) {
		strict_count(m->strict, STRICT_LENGTH, bytes, len,
		    "a transfer of %zu bytes says that it has %u", len, length);
		m->host_seq_unknown = true;
		return;
	}
	if (protocol == MUX_VERSION)
		take_version(m, bytes, len);
	else if (m->state == MUX_DOWN ||
	    (m->state == MUX_AGREED && protocol != MUX_SETUP))
		strict_count(m->strict, STRICT_ORDER, bytes, len,
		    "protocol %u before the %s", protocol,
		    m->state == MUX_DOWN ? "VERSION" : "SETUP");
	else
		take_packet(m, protocol, bytes, len);
}

void
mux_set_window(struct mux *m, uint32_t bytes)
{
	struct conn *c;

	m->set.window = bytes < MUX_WINDOW_MAX ? bytes : MUX_WINDOW_MAX;
	for (unsigned sport = 0; (c = table_from(m, sport)) != NULL;) {
		sport = c->sport + 1u;
		if (c->state == CONN_RESET || c->owes_syn_ack)
			continue;
		c->owes_ack = true;
		ready_add(m, c);
	}
}

void
mux_refuse(struct mux *m, uint16_t port, bool on)
{
	const uint8_t bit = (uint8_t)(1 << port % 8);

	if (on)
		m->refused_ports[port / 8] |= bit;
	else
		m->refused_ports[port / 8] &= (uint8_t)~bit;
}
