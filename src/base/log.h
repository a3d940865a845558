/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_LOG_H
#define MUXD_BASE_LOG_H

/*
 * One line per event.  The text is formatted on the calling thread and handed
 * to the sink; the default sink writes to standard error.  Any thread may log;
 * errno survives every call.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { /* syslog's numbers */
	LOG_LEVEL_FATAL = 2,
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
	LOG_LEVEL_PACKET = 8, /* a line per packet: only when asked for */
};

#define LOG_LINE_MAX 512 /* bytes of one line, its end included; cut beyond */

/* Takes one line without its newline.  Any thread; must not block. */
typedef void log_sink(enum log_level level, const char *line);

/* Set once, before the second thread starts, and once after all have ended. */
void log_set_sink(log_sink *sink);

/* Lines above this level are dropped before they are formatted.  Any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_wants(enum log_level level);

const char *log_level_name(enum log_level level);

/* The level of that name or number (what log_level_name() gives, or "2" to
 * "8"), or -1. */
int log_level_parse(const char *name);

void log_emit(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                             \
	do {                                           \
		if (log_wants(level))                  \
			log_emit((level), __VA_ARGS__); \
	} while (0)
#define log_fatal(...) log_at(LOG_LEVEL_FATAL, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_packet(...) log_at(LOG_LEVEL_PACKET, __VA_ARGS__)

/*
 * For a line that a stranger can bring about as often as he likes: one a second
 * is let through.  Relaxed: the two order nothing, and a line too many or a
 * number that is one off does no harm.
 */
struct log_limit { /* all zero at first */
	_Atomic int64_t next_ns;
	_Atomic unsigned left_out;
};

/* NULL: leave the line out.  Otherwise what is to stand at its end: nothing, or
 * how many have been left out before it.  Any thread. */
#define LOG_LIMIT_MAX 40
const char *log_limit_pass(struct log_limit *l, char out[LOG_LIMIT_MAX]);

/* `len` bytes (at most 16 are shown) as hex into `out`, for a log line. */
#define LOG_HEX_MAX 48
const char *log_hex(char out[LOG_HEX_MAX], const void *bytes, unsigned len);

#endif
