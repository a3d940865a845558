/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static void
sink_stderr(enum log_level level, const char *line)
{
	fprintf(stderr, "%s: %s\n", log_level_name(level), line);
}

/* Relaxed: a sink is set while no other thread runs, see log.h; the level
 * orders nothing. */
static log_sink *_Atomic current_sink = sink_stderr;
static _Atomic int current_level = LOG_LEVEL_NOTICE;

static const char *const level_names[] = {
	[LOG_LEVEL_FATAL] = "fatal",
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_PACKET] = "packet",
};

void
log_set_sink(log_sink *sink)
{
	atomic_store_explicit(&current_sink,
	    sink != NULL ? sink : sink_stderr, memory_order_relaxed);
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, level, memory_order_relaxed);
}

enum log_level
log_get_level(void)
{
	return atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool
log_wants(enum log_level level)
{
	return level <= log_get_level();
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

int
log_level_parse(const char *name)
{
	for (int i = LOG_LEVEL_FATAL; i <= LOG_LEVEL_PACKET; i++) {
		const char number[2] = { (char)('0' + i), '\0' };

		if (strcmp(name, level_names[i]) == 0 ||
		    strcmp(name, number) == 0)
			return i;
	}
	return -1;
}

/*
 * What a peer sent may be in the line: it must stay one line, and command no
 * terminal.  Also not with the controls of U+0080 to U+009F, in UTF-8.
 */
static void
mask_controls(char *line)
{
	for (unsigned char *p = (unsigned char *)line; *p != '\0'; p++)
		if (p[0] < 0x20 || p[0] == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
}

void
log_emit(enum log_level level, const char *fmt, ...)
{
	const int saved_errno = errno;
	log_sink *sink =
	    atomic_load_explicit(&current_sink, memory_order_relaxed);
	char line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	mask_controls(line);
	sink(level, line);
	errno = saved_errno;
}

const char *
log_limit_pass(struct log_limit *l, char out[LOG_LIMIT_MAX])
{
	const int64_t now = clock_now().ns;
	int64_t next = atomic_load_explicit(&l->next_ns, memory_order_relaxed);
	unsigned left_out;

	if (now < next ||
	    !atomic_compare_exchange_strong_explicit(&l->next_ns, &next,
		now + 1000000000, memory_order_relaxed, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&l->left_out, 1,
		    memory_order_relaxed);
		return NULL;
	}
	left_out =
	    atomic_exchange_explicit(&l->left_out, 0, memory_order_relaxed);
	out[0] = '\0';
	if (left_out > 0)
		snprintf(out, LOG_LIMIT_MAX, " (and %u more like it)",
		    left_out);
	return out;
}

const char *
log_hex(char out[LOG_HEX_MAX], const void *bytes, unsigned len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = bytes;
	char *p = out;

	for (unsigned i = 0; i < len && i < 16; i++) {
		if (i > 0 && i % 4 == 0)
			*p++ = ' ';
		*p++ = digits[b[i] >> 4];
		*p++ = digits[b[i] & 15];
	}
	*p = '\0';
	return out;
}
