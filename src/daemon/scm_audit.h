/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_SCM_AUDIT_H
#define MUXD_DAEMON_SCM_AUDIT_H

/*
 * The account of what devices were let do: a line for each decision about a
 * socket, and for the end of one that was connected, into a file of its own, or
 * without one into the log, as info.
 *
 * A line is made by whoever decides and written by the logger's thread; nobody
 * waits.  What bounds it: lines a second for each device, lines in the queue,
 * and the size of the file, of which the one before is kept as FILE.1.  What
 * does not fit is counted, and the device's next line says so.  muxd(8) tells
 * the fields.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/clock.h"
#include "daemon/msg.h"
#include "daemon/roles.h"
#include "daemon/scm_settings.h"

/* Room for a line, its newline and its end.  Nothing in it is longer than a
 * serial number and a file's name, each of which is cut. */
#define SCM_AUDIT_LINE_MAX 1536

/* The file may have so many bytes, and FILE.1 the same. */
#define SCM_AUDIT_FILE_MAX (64 * 1024 * 1024)

/* ---- A device's --------------------------------------------------------- */

/* Any thread uses it.  Relaxed throughout: a line more or less in a second does
 * no harm. */
struct scm_audit {
	uint32_t device; /* its id */
	const struct scm_identity *who;
	_Atomic uint32_t most;     /* lines a second */
	_Atomic int64_t second;    /* when the present one began, in ns */
	_Atomic uint32_t lines;    /* in it */
	_Atomic uint64_t left_out; /* since the last line */
};

/* What `who` points to outlives it. */
void scm_audit_init(struct scm_audit *a, uint32_t device,
    const struct scm_identity *who, const struct scm_limits *limits);
/* Other limits from now on: the more a device may connect, the more there is to
 * write. */
void scm_audit_set_limits(struct scm_audit *a,
    const struct scm_limits *limits);

/* All of these: any thread, and none waits. */

/* A CONNECT of that socket was judged by these settings. */
void scm_audit_connect(struct scm_audit *a, const struct scm_settings *by,
    uint32_t sock, uint16_t protocol, const struct scm_address *to,
    const struct scm_verdict *v);
/* An OPEN was refused with this code: SCM_EMFILE, too many sockets, or any
 * other, a socket that it cannot have. */
void scm_audit_open(struct scm_audit *a, const struct scm_message *open,
    int32_t code);
/* A socket that was connected, or was to be, has ended: bytes each way, and
 * static words for what was wrong (NULL: nothing). */
void scm_audit_end(struct scm_audit *a, uint32_t sock, uint16_t protocol,
    const struct scm_address *to, uint64_t from_device, uint64_t to_device,
    const char *fault);

/* ---- The daemon's ------------------------------------------------------- */

/* Of all devices, since the start. */
struct scm_audit_totals {
	uint64_t allowed;         /* special ones, too */
	uint64_t allowed_special;
	uint64_t denied;          /* special ones, too */
	uint64_t denied_special;  /* for want of an allow-special */
	uint64_t limited;
	uint64_t dropped;         /* lines that were not written */
};
/* Any thread. */
struct scm_audit_totals scm_audit_totals(void);

/*
 * Before the logger starts: lines go to this file, NULL: to the log.  `path`
 * stays the caller's.  `most`: bytes, after which the file is renamed.  0, or
 * -1 and a cause.
 */
int scm_audit_start(const char *path, uint64_t most, struct cause *why)
    RUNS_ON(on_main);
/* After the logger has ended. */
void scm_audit_stop(void) RUNS_ON(on_main);

/* The logger's: MSG_AUDIT_LINE, and the file after a rename (SIGHUP). */
void scm_audit_write(struct msg *m) RUNS_ON(on_logger);
void scm_audit_reopen(void) RUNS_ON(on_logger);

#endif
