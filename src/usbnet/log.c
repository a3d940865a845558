/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages, as libusb gives them. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "usbnet/context.h"
#include "usbnet/device.h"

#define LINE_MAX_BYTES 512

/* For contexts to come: what was set with no context. */
static _Atomic int default_level = LIBUSB_LOG_LEVEL_NONE;
static _Atomic(libusb_log_cb) global_cb;

/* LIBUSB_DEBUG, or -1. */
static int
level_of_environment(void)
{
	const char *text = getenv("LIBUSB_DEBUG");
	int level;

	if (text == NULL)
		return -1;
	level = atoi(text);
	if (level < LIBUSB_LOG_LEVEL_NONE)
		return LIBUSB_LOG_LEVEL_NONE;
	return level > LIBUSB_LOG_LEVEL_DEBUG ? LIBUSB_LOG_LEVEL_DEBUG : level;
}

/* What the layers below have to say; they know of no context. */
static void
take_line(enum log_level level, const char *line)
{
	enum libusb_log_level as = LIBUSB_LOG_LEVEL_DEBUG;

	if (level <= LOG_LEVEL_ERROR)
		as = LIBUSB_LOG_LEVEL_ERROR;
	else if (level <= LOG_LEVEL_WARNING)
		as = LIBUSB_LOG_LEVEL_WARNING;
	else if (level <= LOG_LEVEL_INFO)
		as = LIBUSB_LOG_LEVEL_INFO;
	un_log(NULL, as, "%s", line);
}

void
un_log_init(struct libusb_context *ctx)
{
	const int level = level_of_environment();
	struct stat st;

	ctx->log_fixed = level >= 0;
	atomic_store_explicit(&ctx->log_level, level >= 0 ? level :
	    atomic_load_explicit(&default_level, memory_order_relaxed),
	    memory_order_relaxed);
	ctx->quiet = getenv("USBNET_QUIET") != NULL ||
	    fstat(STDERR_FILENO, &st) < 0;
	if (!ctx->quiet) {
		ctx->stderr_dev = st.st_dev;
		ctx->stderr_ino = st.st_ino;
	}
	log_set_sink(take_line);
}

static const char *
level_name(enum libusb_log_level level)
{
	switch (level) {
	case LIBUSB_LOG_LEVEL_ERROR:
		return "error";
	case LIBUSB_LOG_LEVEL_WARNING:
		return "warning";
	case LIBUSB_LOG_LEVEL_INFO:
		return "info";
	default:
		return "debug";
	}
}

void
un_log(libusb_context *asked, enum libusb_log_level level, const char *fmt,
    ...)
{
	struct libusb_context *ctx = un_context(asked);
	libusb_log_cb own = NULL, global;
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	if ((int)level > atomic_load_explicit(
		ctx != NULL ? &ctx->log_level : &default_level,
		memory_order_relaxed))
		return;
	n = snprintf(line, sizeof line, "libusb: %s [usbnet] ",
	    level_name(level));
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	va_end(ap);
	global = atomic_load_explicit(&global_cb, memory_order_relaxed);
	if (ctx != NULL)
		own = atomic_load_explicit(&ctx->log_cb, memory_order_relaxed);
	/* As the real one: each callback that is set, or standard error; and
	 * a callback's text has its newline. */
	if (own == NULL && global == NULL) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	for (n = 0; line[n] != '\0'; n++)
		;
	line[n++] = '\n';
	line[n] = '\0';
	if (global != NULL)
		global(ctx, level, line);
	if (own != NULL)
		own(ctx, level, line);
}

/* A daemon closes its standard error, and then that number is some file of its
 * own; and who reads it may be slow, or have stopped for good. */
static bool
can_say(const struct libusb_context *ctx)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct stat st;

	return !ctx->quiet && fstat(STDERR_FILENO, &st) == 0 &&
	    st.st_dev == ctx->stderr_dev && st.st_ino == ctx->stderr_ino &&
	    poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0;
}

/* write(), but when nobody reads any more, that is not the end of a program
 * which has written nothing itself. */
static void
write_quietly(const char *text, size_t len)
{
	const struct timespec now = { 0 };
	sigset_t pipe, before, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	if (write(STDERR_FILENO, text, len) < 0 && errno == EPIPE &&
	    !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
un_say(struct libusb_context *ctx, const char *fmt, ...)
{
	const int error = errno;
	char line[LINE_MAX_BYTES], whole[LINE_MAX_BYTES + 16];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	un_log(ctx, LIBUSB_LOG_LEVEL_WARNING, "%s", line);
	if (can_say(ctx)) {
		n = snprintf(whole, sizeof whole, "usbnet: %s\n", line);
		write_quietly(whole, (size_t)n);
	}
	errno = error;
}

void
libusb_set_log_cb(libusb_context *ctx, libusb_log_cb cb, int mode)
{
	if ((mode & LIBUSB_LOG_CB_GLOBAL) != 0)
		atomic_store_explicit(&global_cb, cb, memory_order_relaxed);
	if ((mode & LIBUSB_LOG_CB_CONTEXT) == 0)
		return;
	ctx = un_context(ctx);
	if (ctx != NULL)
		atomic_store_explicit(&ctx->log_cb, cb, memory_order_relaxed);
}

static int
set_level(libusb_context *asked, int level)
{
	struct libusb_context *ctx = un_context(asked);

	if (level < LIBUSB_LOG_LEVEL_NONE || level > LIBUSB_LOG_LEVEL_DEBUG)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (asked == NULL)
		atomic_store_explicit(&default_level, level,
		    memory_order_relaxed);
	if (ctx != NULL && !ctx->log_fixed)
		atomic_store_explicit(&ctx->log_level, level,
		    memory_order_relaxed);
	return LIBUSB_SUCCESS;
}

int
libusb_set_option(libusb_context *ctx, enum libusb_option option, ...)
{
	int rc = LIBUSB_SUCCESS;
	va_list ap;

	va_start(ap, option);
	switch ((int)option) {
	case LIBUSB_OPTION_LOG_LEVEL:
		rc = set_level(ctx, va_arg(ap, int));
		break;
	case LIBUSB_OPTION_LOG_CB:
		libusb_set_log_cb(ctx, va_arg(ap, libusb_log_cb),
		    ctx != NULL ? LIBUSB_LOG_CB_CONTEXT : LIBUSB_LOG_CB_GLOBAL);
		break;
	case LIBUSB_OPTION_NO_DEVICE_DISCOVERY:
		if (ctx == NULL)
			un_context_without_buses();
		break;
	case LIBUSB_OPTION_USE_USBDK:
		rc = LIBUSB_ERROR_NOT_SUPPORTED;
		break;
	default:
		rc = LIBUSB_ERROR_INVALID_PARAM;
	}
	va_end(ap);
	return rc;
}

void
libusb_set_debug(libusb_context *ctx, int level)
{
	if (level < LIBUSB_LOG_LEVEL_NONE)
		level = LIBUSB_LOG_LEVEL_NONE;
	set_level(ctx,
	    level > LIBUSB_LOG_LEVEL_DEBUG ? LIBUSB_LOG_LEVEL_DEBUG : level);
}
