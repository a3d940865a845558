/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FAKE_PHONE_H
#define MUXD_TESTS_FAKE_PHONE_H

/*
 * What a phone says and hears, written without src/wire, so that the two check
 * each other.
 */

#include <stdint.h>

#include "fake_transport.h"

#define PHONE_FIN 0x01
#define PHONE_SYN 0x02
#define PHONE_RST 0x04
#define PHONE_ACK 0x10

/* A frame, of at most 65535 bytes. */
struct phone_frame {
	uint32_t len;
	uint8_t bytes[65536];
};

/* Everything that a frame says. */
struct phone_words {
	uint32_t protocol, length;
	uint32_t magic;
	uint16_t tx_seq, rx_seq;
	/* TCP */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t window; /* bytes; rounded down to units of 256 */
	const uint8_t *payload;
	uint32_t payload_len;
};

/* Makes a frame of `w` (length and magic are filled in); the payload of a
 * frame that is not TCP stands behind the mux header.  `version` 1 or 2. */
void phone_make(struct phone_frame *f, int version,
    const struct phone_words *w);
/* The answer to VERSION. */
void phone_make_version(struct phone_frame *f, uint32_t major, uint32_t minor);

/* Reads a frame that the host has written; ends the test when it is none. */
struct phone_words phone_parse(const uint8_t *bytes, uint32_t len,
    int version);

#endif
