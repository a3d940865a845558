/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_MUXLOAD_H
#define MUXD_TESTS_MUXLOAD_H

/*
 * muxload: load on a usbmux daemon, every byte of which is checked.
 *
 * Each connection is a job with a thread of its own.  The main thread starts
 * them, shows progress, and reports when all have ended.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/thread.h"
#include "base/clock.h"
#include "muxclient.h"

struct options {
	const char *socket;  /* NULL: the library's default */
	const char *udid;    /* NULL: the first device */
	uint32_t device_id;  /* 0: none given */
	bool all;	     /* every device */
	unsigned connections; /* to each device */
	unsigned port;	     /* 0: what the command uses */
	uint64_t chunk;	     /* bytes of one write */
	uint64_t rate;	     /* bytes a second that are read; 0: no limit */
	uint64_t seed;
	double seconds;	 /* end after; 0: by size */
	double patience; /* seconds without a byte after which to give up */
	bool progress, json, refused;
	const char *command;
	const char *argument; /* NULL: none */
};

struct job {
	const struct options *o;
	const struct muxclient *mc;
	struct muxclient_device device;
	unsigned number; /* from 1; also makes its stream another */
	struct thread thread;
	/* Written by the job's thread, read by the main thread for the
	 * progress bar.  Relaxed: nothing hangs on them. */
	_Atomic uint64_t sent, received;
	_Atomic bool done;
	uint64_t goal;	   /* bytes to come; 0: unknown */
	double elapsed;	   /* seconds; valid after the join, as what follows */
	uint64_t cycles;   /* connections made, sizes or round trips done */
	uint64_t *samples; /* nanoseconds of each cycle, or NULL; malloc'ed */
	char error[256];   /* "" when all was right */
	char text[512];	   /* what the command found out, or "" */
};

/* What a command is. */
struct command {
	const char *name;
	const char *argument; /* for the usage text; "" none */
	const char *purpose;
	unsigned port; /* that it uses unless told otherwise */
	void (*run)(struct job *job);
};
extern const struct command commands[];

/* ---- muxload_io.c ---- */

/* Fills job->error, once; always returns -1. */
int job_fail(struct job *job, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A connected socket to the job's port, or -1 and job->error. */
int job_connect(struct job *job);

/* Waits for `events` (poll's); -1 and job->error when patience ends. */
int job_wait(struct job *job, int fd, short events);

/* All of `len` bytes, on a blocking or a non-blocking socket. */
int job_send(struct job *job, int fd, const void *bytes, size_t len);
int job_recv(struct job *job, int fd, void *bytes, size_t len);

/* -1 and job->error, with the offset of the first difference. */
int job_compare(struct job *job, uint64_t offset, const uint8_t *got,
    const uint8_t *wanted, size_t len);

/* "123", "64K", "10M", "1G"; false when it is none of these. */
bool parse_size(const char *text, uint64_t *out);

/* ---- muxload_bulk.c: streams ---- */

void run_echo(struct job *job);
void run_discard(struct job *job);
void run_chargen(struct job *job);
void run_stall(struct job *job);
void run_burst(struct job *job);

/* ---- muxload_small.c: many small things ---- */

void run_sizes(struct job *job);
void run_connect(struct job *job);
void run_ping(struct job *job);
void run_idle(struct job *job);
void run_greet(struct job *job);
void run_info(struct job *job);

/* ---- muxload_report.c ---- */

/* Draws the bar until all jobs are done; returns at once when not asked to. */
void progress_show(const struct options *o, struct job *jobs, unsigned count);
/* Prints the results, and each failure on standard error.  True when there was
 * none. */
bool report(const struct options *o, struct job *jobs, unsigned count,
    double seconds);

#endif
