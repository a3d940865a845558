/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_WIRE_MUX_H
#define MUXD_WIRE_MUX_H

/*
 * Frames of the usbmux device protocol: bytes <-> structs.  Big-endian; one
 * frame is one USB transfer.  (Protocol facts: reference "usbmux", sections 2
 * and 2.4.)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

enum mux_protocol {
	MUX_VERSION = 0, /* u32 major, minor, padding; always a version-1 header */
	MUX_CONTROL = 1, /* a byte of kind, then text for the log */
	MUX_SETUP = 2,   /* host to device after a version-2 answer: 0x07 */
	MUX_TCP = 6,     /* struct tcp_header, then data */
};

/* First payload byte of MUX_CONTROL. */
enum mux_control_kind {
	MUX_CONTROL_ERROR = 3,
	MUX_CONTROL_WARNING = 5,
	MUX_CONTROL_INFO = 7,
};

#define MUX_HEADER_V1_LEN 8
#define MUX_HEADER_V2_LEN 16
#define MUX_MAGIC 0xfeedfaceu
#define MUX_SETUP_BYTE 0x07
/* `rx_seq` of SETUP, before any packet has been seen. */
#define MUX_RX_SEQ_NONE 0xffffu

/* A device refuses longer messages; nothing longer is believed from it. */
#define MUX_PACKET_MAX 65535
/* The longest frame that the reference daemon sends, and so the longest that
 * every phone has met. */
#define MUX_SEND_MAX 49152

struct mux_header {
	uint32_t protocol;
	uint32_t length; /* bytes of the frame, this header included */
	/* Version 2 only; zero otherwise. */
	uint32_t magic;
	uint16_t tx_seq;
	uint16_t rx_seq;
};

struct mux_version {
	uint32_t major;
	uint32_t minor;
};

static inline size_t
mux_header_len(int version)
{
	return version >= 2 ? MUX_HEADER_V2_LEN : MUX_HEADER_V1_LEN;
}

/*
 * Reads a header.  VERSION has the short form in either protocol version.
 * False: too few bytes.  Lengths and magic are the caller's to judge (phones
 * answer with other magic numbers, too).
 */
bool mux_header_read(struct reader *r, int version, struct mux_header *out);

/* Writes a header of mux_header_len(version) bytes (short for VERSION). */
void mux_header_write(struct writer *w, int version,
    const struct mux_header *h);

bool mux_version_read(struct reader *r, struct mux_version *out);
void mux_version_write(struct writer *w, const struct mux_version *v);

#endif
