/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_AIO_H
#define MUXD_PHONE_AIO_H

/*
 * Linux' asynchronous transfers, which is how FunctionFS can have several under
 * way on one endpoint.  The C library has no names for these calls; see
 * io_setup(2), io_submit(2), io_cancel(2), io_getevents(2).  Each returns -1 and
 * sets errno on failure.
 */

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int
aio_open(unsigned events, aio_context_t *ctx)
{
	*ctx = 0;
	return (int)syscall(SYS_io_setup, events, ctx);
}

/* Cancels what is under way, and waits for it. */
static inline int
aio_close(aio_context_t ctx)
{
	return (int)syscall(SYS_io_destroy, ctx);
}

static inline int
aio_submit(aio_context_t ctx, struct iocb *cb)
{
	return (int)syscall(SYS_io_submit, ctx, 1L, &cb);
}

/* Its end is an event all the same. */
static inline int
aio_cancel(aio_context_t ctx, struct iocb *cb)
{
	struct io_event ended;

	return (int)syscall(SYS_io_cancel, ctx, cb, &ended);
}

/* What has ended, at most `max`, without waiting. */
static inline int
aio_ended(aio_context_t ctx, struct io_event *events, long max)
{
	struct timespec now = { 0, 0 };

	return (int)syscall(SYS_io_getevents, ctx, 0L, max, events, &now);
}

#endif
