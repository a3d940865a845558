/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBIP_GOLDEN_H
#define MUXD_TESTS_USBIP_GOLDEN_H

/*
 * Reads tests/golden/usbip-*.txt: messages as they were seen on the wire.  A
 * line is "C->S LENGTH: bytes in hex" or "S->C ..."; long messages are cut
 * there, so LENGTH may be more than what is shown.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define GOLDEN_BYTES 2048 /* above the longest message */

struct golden_line {
	bool from_client;
	size_t length; /* of the message */
	size_t shown;  /* bytes of it in `bytes`; zeros behind them */
	uint8_t bytes[GOLDEN_BYTES];
};

/* Opens tests/golden/NAME, or fails the test; the caller closes it. */
FILE *golden_open(const char *name);
/* False at the end.  Lines that are no message are skipped. */
bool golden_next(FILE *f, struct golden_line *out);

#endif
