/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/pattern.h"

static uint8_t bytes[PATTERN_PERIOD + PATTERN_RUN];

static uint8_t
byte_at(size_t i)
{
	const size_t line = i / PATTERN_LINE, column = i % PATTERN_LINE;

	if (column == PATTERN_LINE - 2)
		return '\r';
	if (column == PATTERN_LINE - 1)
		return '\n';
	return (uint8_t)(' ' + (line + column) % 95);
}

void
pattern_init(void)
{
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = byte_at(i % PATTERN_PERIOD);
}

const uint8_t *
pattern_at(uint64_t offset)
{
	return bytes + offset % PATTERN_PERIOD;
}
