/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/*
 * `n` in the largest unit of which there is one, with one decimal place when
 * `decimal` says so of (whole, tenths).
 */
static const char *
format_scaled(char out[FORMAT_MAX], uint64_t n, unsigned base,
    int (*decimal)(unsigned whole, unsigned tenths))
{
	static const char units[] = "\0KMGTPE";
	uint64_t scale = 1;
	unsigned unit = 0, whole, tenths;

	for (; n / scale >= base; scale *= base)
		unit++;
	whole = (unsigned)(n / scale);
	/* Ten times the greatest scale, 2^60, is still within 64 bits. */
	tenths = (unsigned)(n % scale * 10 / scale);
	if (unit > 0 && decimal(whole, tenths))
		snprintf(out, FORMAT_MAX, "%u.%u%c", whole, tenths,
		    units[unit]);
	else
		snprintf(out, FORMAT_MAX, "%u%.1s", whole, units + unit);
	return out;
}

static int
below_ten(unsigned whole, unsigned tenths)
{
	(void)tenths;
	return whole < 10;
}

static int
not_whole(unsigned whole, unsigned tenths)
{
	(void)whole;
	return tenths != 0;
}

const char *
format_bytes(char out[FORMAT_MAX], uint64_t bytes)
{
	return format_scaled(out, bytes, 1024, below_ten);
}

const char *
format_speed(char out[FORMAT_MAX], uint64_t bits)
{
	return format_scaled(out, bits, 1000, not_whole);
}

const char *
format_port_path(char out[FORMAT_MAX], uint32_t location)
{
	int len = snprintf(out, FORMAT_MAX, "%u", (unsigned)(location >> 24));
	char before = '-';

	/* Six ports at most, two characters each: they fit. */
	for (int shift = 20; shift >= 0; shift -= 4) {
		const unsigned port = location >> shift & 0xf;

		if (port == 0)
			break;
		len += snprintf(out + len, FORMAT_MAX - (size_t)len, "%c%u",
		    before, port);
		before = '.';
	}
	return out;
}

const char *
format_duration(char out[FORMAT_MAX], uint64_t ms)
{
	const uint64_t s = ms / 1000, m = s / 60, h = m / 60;

	if (h >= 24)
		snprintf(out, FORMAT_MAX, "%" PRIu64 "d %uh", h / 24,
		    (unsigned)(h % 24));
	else if (h > 0)
		snprintf(out, FORMAT_MAX, "%uh %um", (unsigned)h,
		    (unsigned)(m % 60));
	else if (m > 0)
		snprintf(out, FORMAT_MAX, "%um %us", (unsigned)m,
		    (unsigned)(s % 60));
	else
		snprintf(out, FORMAT_MAX, "%us", (unsigned)s);
	return out;
}

/* The character at `text` that has `len` bytes left: its bytes, and its columns
 * in *columns.  0 bytes when it is none that may be shown. */
static size_t
printable_at(const char *text, size_t len, size_t *columns)
{
	mbstate_t state = { 0 };
	wchar_t c;
	const size_t n = mbrtowc(&c, text, len, &state);
	int width;

	if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
		return 0;
	width = wcwidth(c); /* -1 for controls, 0 for what only joins or turns */
	if (width <= 0)
		return 0;
	*columns = (size_t)width;
	return n;
}

/* How many bytes make one '?': a whole character where there is one. */
static size_t
character_bytes(const char *text, size_t len)
{
	mbstate_t state = { 0 };
	const size_t n = mbrtowc(NULL, text, len, &state);

	return n == (size_t)-1 || n == (size_t)-2 || n == 0 ? 1 : n;
}

char *
format_printable(const char *text, size_t *width)
{
	size_t len = strlen(text);
	char *out = malloc(len + 1), *at = out;

	*width = 0;
	if (out == NULL)
		return NULL;
	while (len > 0) {
		size_t columns = 1, n = printable_at(text, len, &columns);

		if (n > 0) {
			memcpy(at, text, n);
			at += n;
		} else {
			*at++ = '?';
			n = character_bytes(text, len);
		}
		*width += columns;
		text += n;
		len -= n;
	}
	*at = '\0';
	return out;
}

void
format_print(FILE *to, const char *text)
{
	size_t width;
	char *clean = format_printable(text, &width);

	if (clean != NULL)
		fputs(clean, to);
	free(clean);
}
