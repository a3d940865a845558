/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mux/framing.h"

#include "wire/mux.h"

void
mux_framing_init(struct mux_framing *f, uint32_t read_size)
{
	f->read_size = read_size;
	f->want = f->have = 0;
}

static enum mux_framing_verdict
begin(struct mux_framing *f, const uint8_t *bytes, uint32_t len)
{
	struct reader r = reader_over(bytes, len);
	struct mux_header h;

	if (len == 0)
		return MUX_FRAMING_SKIP;
	/* Both versions begin alike; the rest is for the protocol to read. */
	if (!mux_header_read(&r, 1, &h) || h.length < len ||
	    h.length > MUX_PACKET_MAX)
		return MUX_FRAMING_BAD;
	if (h.length == len)
		return MUX_FRAMING_WHOLE;
	if (len != f->read_size)
		return MUX_FRAMING_BAD;
	f->want = h.length;
	f->have = len;
	return MUX_FRAMING_FIRST;
}

enum mux_framing_verdict
mux_framing_input(struct mux_framing *f, const uint8_t *bytes, uint32_t len)
{
	uint32_t missing;

	if (f->want == 0)
		return begin(f, bytes, len);
	missing = f->want - f->have;
	f->have += len;
	if (len < missing && len == f->read_size)
		return MUX_FRAMING_MORE;
	f->want = 0;
	return len == missing ? MUX_FRAMING_LAST : MUX_FRAMING_BAD;
}
