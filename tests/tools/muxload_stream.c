/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "muxload_stream.h"

#include <string.h>

/* Word `i` of a stream: splitmix64, which needs no word before it. */
static uint64_t
word_at(uint64_t seed, uint64_t i)
{
	uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void
stream_fill(void *into, uint64_t seed, uint64_t offset, size_t len)
{
	uint8_t *to = into;

	while (len > 0) {
		const uint64_t word = word_at(seed, offset / 8);
		const size_t skip = offset % 8;
		const size_t n = len < 8 - skip ? len : 8 - skip;

		memcpy(to, (const uint8_t *)&word + skip, n);
		to += n;
		offset += n;
		len -= n;
	}
}

static uint8_t pattern[PATTERN_PERIOD + PATTERN_RUN];

void
pattern_init(void)
{
	for (size_t i = 0; i < sizeof pattern; i++) {
		const size_t line = i / PATTERN_LINE % 95;
		const size_t column = i % PATTERN_LINE;

		pattern[i] = column == 72 ? '\r' : column == 73 ? '\n'
		    : (uint8_t)(' ' + (line + column) % 95);
	}
}

const uint8_t *
pattern_at(uint64_t offset)
{
	return pattern + offset % PATTERN_PERIOD;
}
