/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_VIRTUAL_RUNNER_H
#define MUXD_VIRTUAL_RUNNER_H

/*
 * A thread on which devices are simulated: some of them, always the same ones.
 * It takes all that has come, works on it, then wakes once each host for whom
 * there is something.  It sleeps without an end when there is nothing to do, and
 * costs the host a wake-up only then.
 */

#include <time.h>

#include "actor/counter.h"
#include "actor/mailbox.h"
#include "actor/thread.h"
#include "base/clock.h"

struct pollfd;
struct unit;
struct virtual_open;

struct runner {
	pthread_mutex_t life; /* held while it begins and ends; of the next 3 */
	struct thread thread;
	bool started;
	uint64_t cpu_before; /* CPU time of those that it was before */
	char name[16];
	struct mailbox box;
	struct unit *units;
	/* Where it sleeps; and when there are kinds that have descriptors, what
	 * it polls, the waker first. */
	struct waker *waker;
	struct pollfd *pollfds;
	struct msg quit, look;
	_Atomic bool looking; /* `look` is on its way */

	/* ---- The thread's ---- */
	struct unit *locked; /* the gadget's lock is held */
	struct moment due;   /* of the earliest unit */
	struct virtual_open *woken, **woken_end;
	bool quitting;

	uint64_t cpu_at_end; /* written once, last; read when it is joined */

	/* What it has done; any thread may read them. */
	struct counter urbs, batches, sleeps, wakes;
};

void runner_init(struct runner *r, unsigned number);
void runner_fini(struct runner *r);
/* While it is not running: who is to be simulated here. */
void runner_add(struct runner *r, struct unit *u);

/* 0, or an errno value; and runner_stop() in both cases. */
int runner_start(struct runner *r);
/* Returns when it has ended; what is posted from then on is refused. */
void runner_halt(struct runner *r);
/* The same when nobody can post any more.  It can be started again. */
void runner_stop(struct runner *r);

/* Somebody else has changed something in a gadget: it may have to do something
 * earlier than it means to.  Any thread, while it is started. */
void runner_look(struct runner *r);

/* CPU time that it has had, in ns.  Any thread. */
uint64_t runner_cpu(struct runner *r);

/* At the end of the batch, or, by another thread than a runner, now. */
void runner_wake_later(struct virtual_open *o);

#endif
