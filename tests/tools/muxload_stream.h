/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_MUXLOAD_STREAM_H
#define MUXD_TESTS_MUXLOAD_STREAM_H

/*
 * The bytes that muxload sends and expects.  Both kinds can be had from any
 * offset, so that a receiver compares what arrives with what was sent without
 * keeping it: a comparison of every byte, at several GB/s.
 */

#include <stddef.h>
#include <stdint.h>

/* ---- A seeded pseudo-random stream ---- */

/* Bytes `offset` to offset + len of stream `seed`. */
void stream_fill(void *into, uint64_t seed, uint64_t offset, size_t len);

/* ---- RFC 864's pattern ---- */

/* Lines of 72 of the 95 printable characters and CR LF, each line starting one
 * character later than the one before. */
#define PATTERN_LINE 74
#define PATTERN_PERIOD (95 * PATTERN_LINE)
#define PATTERN_RUN 65536 /* what pattern_at() has in one piece */

/* Once, before any other thread starts. */
void pattern_init(void);
const uint8_t *pattern_at(uint64_t offset);

#endif
