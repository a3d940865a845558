/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/frame.h"

#include <string.h>

#include "base/cursor.h"

void
frame_init(struct frame *f, struct mux *m, uint16_t max_packet)
{
	f->mux = m;
	f->max_packet = max_packet;
	f->part_len = 0;
	f->zlp_due = false;
}

void
frame_reset_out(struct frame *f)
{
	f->part_len = 0;
}

void
frame_reset_in(struct frame *f)
{
	mux_drop(f->mux);
	f->zlp_due = false;
}

/* The length that the packet's own header gives, or 0. */
static size_t
declared_length(const struct frame *f)
{
	const size_t kept =
	    f->part_len < sizeof f->part ? f->part_len : sizeof f->part;
	struct reader r = reader_over(f->part, kept);

	read_be32(&r);
	return read_be32(&r);
}

/* The packet in `part` has ended. */
static void
deliver_part(struct frame *f)
{
	const size_t len = f->part_len;

	f->part_len = 0;
	if (len <= sizeof f->part) {
		mux_input(f->mux, f->part, len);
		return;
	}
	strict_count(f->mux->strict, STRICT_TOO_LONG, f->part, sizeof f->part,
	    "a packet of %zu bytes", len);
	f->mux->host_seq_unknown = true;
}

/* It ends the packet that has begun, or nothing. */
static void
take_zlp(struct frame *f)
{
	f->mux->count.zlps_in++;
	if (f->part_len == 0)
		strict_count(f->mux->strict, STRICT_ZLP_NEEDLESS, "", 0,
		    "a zero-length packet between two packets");
	else
		deliver_part(f);
}

/* Only as much as a packet may have is kept; how long it became is counted. */
static void
keep(struct frame *f, const uint8_t *data, size_t len)
{
	const size_t room = f->part_len < sizeof f->part
	    ? sizeof f->part - f->part_len
	    : 0;

	memcpy(f->part + (sizeof f->part - room), data,
	    len < room ? len : room);
	f->part_len += len;
}

/*
 * The usual packet comes in one URB and is handed on from there; only one that
 * goes on in the next URB, or waits for its ZLP, is copied together.
 */
void
frame_out(struct frame *f, const uint8_t *data, size_t len, bool zero_packet)
{
	const bool full = len % f->max_packet == 0;

	if (len == 0) {
		take_zlp(f);
		return;
	}
	/* All that it says it has is there, so this is another packet. */
	if (f->part_len > 0 && f->part_len == declared_length(f)) {
		strict_count(f->mux->strict, STRICT_ZLP_MISSING, f->part,
		    f->part_len,
		    "a packet of %zu bytes was not ended before the next",
		    f->part_len);
		deliver_part(f);
	}
	if (full && zero_packet)
		f->mux->count.zlps_in++;
	if (f->part_len == 0 && (!full || zero_packet) &&
	    len <= sizeof f->part) {
		mux_input(f->mux, data, len);
		return;
	}
	keep(f, data, len);
	if (!full || zero_packet)
		deliver_part(f);
}

/* The host's buffer ends within a USB packet. */
static void
lose_rest(struct frame *f, size_t room)
{
	const size_t left = f->mux->out.left;
	const size_t rest = f->max_packet - room % f->max_packet;

	mux_take(f->mux, NULL, rest < left ? rest : left);
}

bool
frame_in(struct frame *f, uint8_t *into, size_t size, size_t *len,
    bool *babble)
{
	struct mux *m = f->mux;
	size_t left;
	bool full;

	*len = 0;
	*babble = false;
	if (f->zlp_due) {
		f->zlp_due = false;
		m->count.zlps_out++;
		return true;
	}
	if (!mux_next(m))
		return false;
	left = m->out.left;
	full = m->out.len % f->max_packet == 0;
	*len = left < size ? left : size;
	mux_take(m, into, *len);
	if (*len < left && size % f->max_packet != 0) {
		*babble = true;
		lose_rest(f, size);
	}
	if (m->out.active || !full)
		return true;
	/* The packet is out, and a ZLP ends it: in this transfer or the next. */
	if (*len < size)
		m->count.zlps_out++;
	else
		f->zlp_due = true;
	return true;
}
