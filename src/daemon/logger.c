/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/logger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "base/log.h"
#include "daemon/msg.h"
#include "daemon/scm_audit.h"

/* Lines in the queue at most: two megabytes. */
#define QUEUE_LINES 4096

struct log_line {
	struct msg msg;
	enum log_level level;
	struct timespec when;
	char text[];
};

static struct {
	struct mailbox box;
	/* For good: a thread that is stuck when the daemon ends may be about to
	 * post a line, and wakes it then. */
	struct waker *waker;
	struct thread thread;
	struct msg stop_msg, reopen_msg;
	_Atomic bool reopen_posted;
	_Atomic uint32_t queued;   /* relaxed: a bound need not be exact */
	_Atomic uint64_t dropped;  /* relaxed: a count */
	enum logger_sink sink;
	const char *path;
	FILE *file OWNED_BY(on_logger);
	uint64_t told OWNED_BY(on_logger); /* of `dropped` */
} logger;

uint64_t
logger_dropped(void)
{
	return atomic_load_explicit(&logger.dropped, memory_order_relaxed);
}

/* ---- Any thread ---- */

static void
drop(void)
{
	atomic_fetch_add_explicit(&logger.dropped, 1, memory_order_relaxed);
}

static void
enqueue(enum log_level level, const char *text)
{
	const size_t size = strlen(text) + 1;
	struct log_line *line;

	if (atomic_fetch_add_explicit(&logger.queued, 1,
		memory_order_relaxed) >= QUEUE_LINES ||
	    (line = malloc(sizeof *line + size)) == NULL) {
		atomic_fetch_sub_explicit(&logger.queued, 1,
		    memory_order_relaxed);
		drop();
		return;
	}
	line->msg.type = MSG_LOG_LINE;
	line->level = level;
	clock_gettime(CLOCK_REALTIME, &line->when);
	memcpy(line->text, text, size);
	mailbox_post(&logger.box, &line->msg);
}

void
logger_post(struct msg *m)
{
	mailbox_post(&logger.box, m);
}

/* ---- The logger's thread ---- */

static void
write_stream(FILE *f, const struct timespec *when, enum log_level level,
    const char *text)
{
	char stamp[32] = "";
	struct tm tm;

	if (localtime_r(&when->tv_sec, &tm) != NULL)
		strftime(stamp, sizeof stamp, "%F %T", &tm);
	fprintf(f, "%s.%03ld %s: %s\n", stamp, when->tv_nsec / 1000000,
	    log_level_name(level), text);
}

static void
write_line(const struct timespec *when, enum log_level level,
    const char *text) RUNS_ON(on_logger)
{
	if (logger.sink == LOGGER_SYSLOG)
		syslog(level > LOG_LEVEL_DEBUG ? LOG_DEBUG : (int)level, "%s",
		    text);
	else
		write_stream(logger.file, when, level, text);
}

static void
tell_dropped(void) RUNS_ON(on_logger)
{
	const uint64_t dropped = logger_dropped();
	struct timespec now;
	char text[80];

	if (dropped == logger.told)
		return;
	snprintf(text, sizeof text, "%llu lines of this log were dropped",
	    (unsigned long long)(dropped - logger.told));
	logger.told = dropped;
	clock_gettime(CLOCK_REALTIME, &now);
	write_line(&now, LOG_LEVEL_WARNING, text);
}

static void
reopen(void) RUNS_ON(on_logger)
{
	FILE *f;

	atomic_store(&logger.reopen_posted, false);
	if (logger.sink != LOGGER_FILE)
		return;
	f = fopen(logger.path, "ae");
	if (f == NULL) {
		log_error("log file %s: %s; the old one stays open",
		    logger.path, strerror(errno));
		return;
	}
	fclose(logger.file);
	logger.file = f;
}

/* False when it is to end. */
static bool
take_message(struct msg *m) RUNS_ON(on_logger)
{
	struct log_line *line;

	switch ((enum msg_type)m->type) {
	case MSG_LOG_LINE:
		line = (struct log_line *)m;
		write_line(&line->when, line->level, line->text);
		free(line);
		atomic_fetch_sub_explicit(&logger.queued, 1,
		    memory_order_relaxed);
		return true;
	case MSG_AUDIT_LINE:
		scm_audit_write(m);
		return true;
	case MSG_LOGGER_REOPEN:
		reopen();
		scm_audit_reopen();
		return true;
	default:
		return false;
	}
}

static void *
logger_main(void *arg)
{
	FILE *const given = arg;
	bool go_on = true;

	role_take(&on_logger);
	logger.file = given;
	while (go_on) {
		struct msg *m = mailbox_wait(&logger.box, logger.waker), *next;

		for (; m != NULL; m = next) {
			next = msg_next(m);
			go_on &= take_message(m);
		}
		tell_dropped();
		if (logger.sink != LOGGER_SYSLOG)
			fflush(logger.file);
	}
	if (logger.sink == LOGGER_FILE)
		fclose(logger.file);
	role_drop(&on_logger);
	return NULL;
}

/* ---- Main ---- */

static FILE *
open_sink(enum logger_sink sink, const char *path, struct cause *why)
{
	FILE *f = stderr;

	if (sink == LOGGER_SYSLOG)
		openlog("muxd", LOG_PID, LOG_DAEMON);
	if (sink == LOGGER_FILE) {
		f = fopen(path, "ae");
		if (f == NULL)
			cause_set(why, "cannot write the log file %s: %s",
			    path, strerror(errno));
	}
	return f;
}

int
logger_start(enum logger_sink sink, const char *path, struct cause *why)
{
	FILE *f = open_sink(sink, path, why);
	int error;

	if (f == NULL)
		return -1;
	if (logger.waker == NULL)
		logger.waker = waker_new();
	if (logger.waker == NULL)
		return cause_set(why, "no descriptors for the log");
	logger.sink = sink;
	logger.path = path;
	logger.stop_msg.type = MSG_LOGGER_STOP;
	logger.reopen_msg.type = MSG_LOGGER_REOPEN;
	mailbox_init_waker(&logger.box, logger.waker);
	error = thread_start(&logger.thread, "logger", logger_main, f);
	if (error != 0)
		return cause_set(why, "no thread for the log: %s",
		    strerror(error));
	log_set_sink(enqueue);
	return 0;
}

void
logger_reopen(void)
{
	if (!atomic_exchange(&logger.reopen_posted, true))
		mailbox_post(&logger.box, &logger.reopen_msg);
}

void
logger_stop(void)
{
	log_set_sink(NULL);
	mailbox_post(&logger.box, &logger.stop_msg);
	thread_join(&logger.thread);
}
