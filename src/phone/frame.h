/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_FRAME_H
#define MUXD_PHONE_FRAME_H

/*
 * Where a mux packet ends on the bus.
 *
 * A packet is one USB transfer of the device's: it ends with the first USB
 * packet that is shorter than wMaxPacketSize, if need be an empty one (ZLP).
 * What the host cuts into several URBs, or asks for with several, is one
 * packet all the same; a URB's end means nothing when its last USB packet is
 * full.
 *
 * Belongs to one phone, under its lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phone/mux.h"

struct frame {
	struct mux *mux;
	uint16_t max_packet; /* wMaxPacketSize of both pipes */

	/* From the host: a packet that has begun and not ended. */
	uint8_t part[MUX_PACKET_MAX];
	size_t part_len; /* may be more than has been kept */

	/* To the host: a packet has been taken whole, and its last USB packet
	 * was full. */
	bool zlp_due;
};

void frame_init(struct frame *f, struct mux *m, uint16_t max_packet);

/* What has begun in either direction is forgotten (the endpoint's reset). */
void frame_reset_out(struct frame *f);
void frame_reset_in(struct frame *f);

/* One OUT transfer of the host controller's: its data, and whether it ends
 * with a ZLP when its last USB packet is full. */
void frame_out(struct frame *f, const uint8_t *data, size_t len,
    bool zero_packet);

/*
 * Serves one IN transfer of `size` bytes: *len is what came.  *babble: the
 * device sent a USB packet for which no room was left (`size` is no multiple
 * of max_packet); what did not fit of it is lost.  False: the phone has nothing
 * to say, and the transfer goes on waiting.
 */
bool frame_in(struct frame *f, uint8_t *into, size_t size, size_t *len,
    bool *babble);

#endif
