/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include "mux/framing.h"
#include "mux/stream.h"
#include "wire/mux.h"
#include "wire/tcp.h"

/*
 * What a phone sends: USB reads, each with two bytes of length before it, as
 * far as one connection's state machine.  Small reads stand for the 16 KiB
 * ones, so that short inputs reach packets of several reads.
 */

#define READ_SIZE 64

static void
connection_input(struct stream *s, struct reader r)
{
	struct tcp_header h;
	enum stream_event event;
	uint32_t payload;

	if (!tcp_header_read(&r, &h))
		return;
	payload = (uint32_t)reader_left(&r);
	if (s->state == STREAM_CLOSED) {
		const struct tcp_header rst = stream_rst_for_stray(&h, payload);

		MUST((rst.flags & TCP_RST) != 0);
		stream_init(s, 1, 7);
		stream_syn(s);
	}
	event = stream_input(s, &h, payload);
	MUST(event != STREAM_BROKEN || s->fault != NULL);
	if (event == STREAM_DATA || event == STREAM_CONNECTED) {
		MUST(s->state == STREAM_OPEN);
		MUST(payload <= STREAM_RECV_WINDOW);
		stream_consumed(s, payload);
		stream_ack(s);
		MUST(stream_unacked(s) == 0);
	}
	if (s->state == STREAM_OPEN) {
		const uint32_t room = stream_send_room(s);

		MUST(room <= TCP_WINDOW_MAX);
		if (room > 0)
			stream_data(s, room / 2 + 1);
		MUST(stream_send_room(s) <= room);
	}
}

static void
packet_input(struct stream *s, int version, const uint8_t *bytes, size_t len)
{
	struct reader r = reader_over(bytes, len);
	struct mux_header h;
	struct mux_version v;

	if (!mux_header_read(&r, version, &h))
		return;
	if (h.protocol == MUX_VERSION)
		mux_version_read(&r, &v);
	else if (h.protocol == MUX_TCP)
		connection_input(s, r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct reader input = reader_over(bytes, len);
	const int version = 1 + (read_u8(&input) & 1);
	struct mux_framing f;
	struct stream s;

	mux_framing_init(&f, READ_SIZE);
	stream_init(&s, 1, 7);
	stream_syn(&s);
	while (reader_left(&input) >= 2) {
		const size_t n = read_be16(&input) % (READ_SIZE + 1);
		const uint8_t *read = read_bytes(&input, n);

		if (read == NULL)
			return 0;
		if (mux_framing_input(&f, read, (uint32_t)n) !=
		    MUX_FRAMING_BAD)
			packet_input(&s, version, read, n);
		MUST(f.have <= f.want || f.want == 0);
	}
	return 0;
}
