/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_MUX_FRAMING_H
#define MUXD_MUX_FRAMING_H

/*
 * From completed 16 KiB reads to packets: which reads belong together.
 *
 * A packet ends with a short read; one that is longer than a read arrives as
 * full reads and a last shorter one, which may be empty.  The length in the
 * packet's header must agree with what arrived.  (Reference "usbmux", 2.)
 */

#include <stdint.h>

struct mux_framing {
	uint32_t read_size; /* bytes of a full read */
	uint32_t want;      /* length of the packet under way; 0: none */
	uint32_t have;
};

enum mux_framing_verdict {
	MUX_FRAMING_SKIP,  /* an empty read between packets: nothing */
	MUX_FRAMING_FIRST, /* the first part of a packet; more follows */
	MUX_FRAMING_MORE,  /* a further part; more follows */
	MUX_FRAMING_WHOLE, /* a packet in one read */
	MUX_FRAMING_LAST,  /* the last part */
	/* The parts up to here are no packet; the read itself belongs to what
	 * is dropped.  The next read begins afresh. */
	MUX_FRAMING_BAD,
};

void mux_framing_init(struct mux_framing *f, uint32_t read_size);

/* Judges the read that has just completed with `len` bytes. */
enum mux_framing_verdict mux_framing_input(struct mux_framing *f,
    const uint8_t *bytes, uint32_t len);

#endif
