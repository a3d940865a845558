/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_PATTERN_H
#define MUXD_PHONE_PATTERN_H

/*
 * The bytes that chargen sends: RFC 864's lines of 72 of the 95 printable
 * characters, each line starting one character later than the one before it,
 * and ending in CR LF.  After 95 lines it begins again.
 */

#include <stddef.h>
#include <stdint.h>

#define PATTERN_LINE 74
#define PATTERN_PERIOD (95 * PATTERN_LINE)
/* What pattern_at() has in one piece. */
#define PATTERN_RUN 65536

/* Once, before any other thread starts. */
void pattern_init(void);

/* The pattern from its byte `offset` on; PATTERN_RUN bytes may be read. */
const uint8_t *pattern_at(uint64_t offset);

#endif
