/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "virtual/runner.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "virtual/unit.h"

/* Sleeps end when they are to, not up to 50 us later: it is a bus's time. */
#define TIMER_SLACK_NS 1000

/* What is in its mailbox beside enum unit_message. */
enum { RUNNER_LOOK = 100, RUNNER_QUIT };

static _Thread_local struct runner *current;

/* ---- Begin and end ------------------------------------------------------ */

void
runner_init(struct runner *r, unsigned number)
{
	memset(r, 0, sizeof *r);
	r->look.type = RUNNER_LOOK;
	snprintf(r->name, sizeof r->name, "virtual-%u", number);
	r->woken_end = &r->woken;
	pthread_mutex_init(&r->life, NULL);
}

void
runner_fini(struct runner *r)
{
	pthread_mutex_destroy(&r->life);
}

void
runner_add(struct runner *r, struct unit *u)
{
	u->runner = r;
	u->next = r->units;
	r->units = u;
}

static uint64_t
cpu_time(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
runner_cpu(struct runner *r)
{
	clockid_t clock;
	uint64_t cpu;

	pthread_mutex_lock(&r->life);
	cpu = r->cpu_before;
	if (r->started && pthread_getcpuclockid(r->thread.id, &clock) == 0)
		cpu += cpu_time(clock);
	pthread_mutex_unlock(&r->life);
	return cpu;
}

/* ---- Locks and wake-ups ------------------------------------------------- */

static void
unlock(struct runner *r)
{
	struct unit *u = r->locked;

	if (u == NULL)
		return;
	r->locked = NULL;
	u->due = gadget_release(u->gadget);
	r->due = moment_earlier(r->due, u->due);
}

/* Held from one message to the next, while they are for the same one. */
static void
lock(struct runner *r, struct unit *u)
{
	if (r->locked == u)
		return;
	unlock(r);
	gadget_lock(u->gadget);
	r->locked = u;
}

void
runner_wake_later(struct virtual_open *o)
{
	struct runner *r = current;

	if (r == NULL) {
		open_wake(o);
		return;
	}
	if (o->woken)
		return;
	o->woken = true;
	o->next_woken = NULL;
	*r->woken_end = o;
	r->woken_end = &o->next_woken;
}

static void
wake_hosts(struct runner *r)
{
	struct virtual_open *o = r->woken;

	r->woken = NULL;
	r->woken_end = &r->woken;
	while (o != NULL) {
		struct virtual_open *next = o->next_woken;

		o->woken = false;
		counter_add(&r->wakes, 1);
		open_wake(o);
		o = next;
	}
}

/* ---- Messages ----------------------------------------------------------- */

static struct unit_urb *
urb_of_cancel(struct msg *m)
{
	return (struct unit_urb *)((char *)m -
	    offsetof(struct unit_urb, usb.cancel_msg));
}

static struct virtual_open *
open_of_detach(struct msg *m)
{
	return (struct virtual_open *)((char *)m -
	    offsetof(struct virtual_open, detach));
}

static void
submit(struct runner *r, struct unit_urb *urb)
{
	struct unit *u = urb->open->unit;

	lock(r, u);
	unit_submit(u, urb);
	counter_add(&r->urbs, 1);
}

static void
cancel(struct runner *r, struct unit_urb *urb)
{
	struct unit *u = urb->open->unit;

	lock(r, u);
	unit_cancel(u, urb);
}

static void
detach(struct runner *r, struct virtual_open *o)
{
	lock(r, o->unit);
	unit_detach(o->unit, o);
	unlock(r);
	wake_hosts(r);
	open_detached(o);
}

/* Does what is due; `all`: a gadget has said that it might be. */
static void
tick(struct runner *r, bool all)
{
	const struct moment now = clock_now();

	r->due = MOMENT_NEVER;
	for (struct unit *u = r->units; u != NULL; u = u->next) {
		if (all || !moment_before(now, u->due))
			u->due = gadget_tick(u->gadget);
		r->due = moment_earlier(r->due, u->due);
	}
}

static void
look(struct runner *r)
{
	/* Before the look: what is changed during it, is told of again. */
	atomic_store(&r->looking, false);
	tick(r, true);
}

static void
work_on(struct runner *r, struct msg *m)
{
	while (m != NULL) {
		struct msg *next = msg_next(m);

		switch (m->type) {
		case UNIT_SUBMIT:
			submit(r, (struct unit_urb *)m);
			break;
		case UNIT_CANCEL:
			cancel(r, urb_of_cancel(m));
			break;
		case UNIT_DETACH:
			detach(r, open_of_detach(m));
			break;
		case RUNNER_LOOK:
			unlock(r);
			look(r);
			break;
		case RUNNER_QUIT:
			r->quitting = true;
			break;
		}
		m = next;
	}
	unlock(r);
	counter_add(&r->batches, 1);
}

/* ---- Time --------------------------------------------------------------- */

static bool
is_due(const struct runner *r)
{
	return r->due.ns != MOMENT_NEVER.ns &&
	    !moment_before(clock_now(), r->due);
}

static nfds_t
watch(struct runner *r, struct moment *until)
{
	nfds_t n = 1;

	r->pollfds[0] = (struct pollfd){ .fd = r->waker->read_fd,
		.events = POLLIN };
	for (struct unit *u = r->units; u != NULL; u = u->next) {
		u->gadget->watching =
		    gadget_watch(u->gadget, r->pollfds + n, until);
		n += u->gadget->watching;
	}
	return n;
}

static void
tell_watched(struct runner *r)
{
	const struct pollfd *pfd = r->pollfds + 1;

	for (struct unit *u = r->units; u != NULL; u = u->next) {
		gadget_watched(u->gadget, pfd, u->gadget->watching);
		pfd += u->gadget->watching;
	}
}

static void
poll_until(struct runner *r, struct moment until)
{
	const nfds_t n = watch(r, &until);
	struct timespec left;
	int64_t ns;

	ns = until.ns == MOMENT_NEVER.ns ? 0 : until.ns - clock_now().ns;
	if (ns < 0)
		ns = 0;
	left.tv_sec = (time_t)(ns / 1000000000);
	left.tv_nsec = (long)(ns % 1000000000);
	if (ppoll(r->pollfds, n, until.ns == MOMENT_NEVER.ns ? NULL : &left,
		NULL) < 0)
		return;
	if (r->pollfds[0].revents != 0)
		waker_clear(r->waker);
	tell_watched(r);
}

static void
sleep_until(struct runner *r, struct moment until)
{
	counter_add(&r->sleeps, 1);
	if (r->pollfds != NULL)
		poll_until(r, until);
	else
		waker_wait_until(r->waker, until);
}

void
runner_look(struct runner *r)
{
	if (!atomic_exchange(&r->looking, true))
		mailbox_post(&r->box, &r->look);
}

/* ---- The thread --------------------------------------------------------- */

/*
 * A bus works beside the processors.  Where this thread has to share one with who
 * submits, it does not interrupt him for each transfer, which would cost him two
 * switches: it waits until he has submitted all that he has, or the time is up that
 * the system gives him.  Whoever has chosen another policy for the program keeps
 * it.  The C library is not asked: that of musl refuses, because to POSIX the
 * policy is a process's, and here it is to be of this thread alone.
 */
static void
work_like_a_bus(void)
{
#ifdef __linux__
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
#endif
#if defined(SYS_sched_setscheduler) && defined(SYS_sched_getscheduler)
	if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
		syscall(SYS_sched_setscheduler, 0, SCHED_BATCH,
		    &(struct sched_param){ .sched_priority = 0 });
#endif
}

static void *
run(void *arg)
{
	struct runner *r = arg;

	current = r;
	work_like_a_bus();
	while (!r->quitting) {
		struct msg *m = mailbox_take(&r->box);

		if (m != NULL)
			work_on(r, m);
		if (is_due(r))
			tick(r, false);
		wake_hosts(r);
		if (m == NULL && mailbox_idle(&r->box))
			sleep_until(r, r->due);
	}
	work_on(r, mailbox_close(&r->box));
	wake_hosts(r);
	r->cpu_at_end = cpu_time(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static size_t
count_descriptors(const struct runner *r)
{
	size_t n = 0;

	for (const struct unit *u = r->units; u != NULL; u = u->next)
		n += u->gadget->device->kind->descriptors;
	return n;
}

/* 0, or an errno value. */
static int
prepare_sleep(struct runner *r)
{
	const size_t n = count_descriptors(r);

	if (n > 0) {
		r->pollfds = calloc(1 + n, sizeof *r->pollfds);
		if (r->pollfds == NULL)
			return ENOMEM;
	}
	r->waker = n > 0 ? waker_new_polled() : waker_new();
	return r->waker != NULL ? 0 : errno;
}

int
runner_start(struct runner *r)
{
	int error = prepare_sleep(r);

	if (error != 0)
		return error;
	mailbox_init_waker(&r->box, r->waker);
	atomic_store(&r->looking, false);
	/* Whatever has become due meanwhile. */
	for (struct unit *u = r->units; u != NULL; u = u->next)
		u->due = (struct moment){ 0 };
	r->due = (struct moment){ 0 };
	r->quitting = false;
	pthread_mutex_lock(&r->life);
	error = thread_start(&r->thread, r->name, run, r);
	r->started = error == 0;
	pthread_mutex_unlock(&r->life);
	return error;
}

void
runner_halt(struct runner *r)
{
	pthread_mutex_lock(&r->life);
	if (r->started) {
		r->quit.type = RUNNER_QUIT;
		mailbox_post(&r->box, &r->quit);
		thread_join(&r->thread);
		r->started = false;
		r->cpu_before += r->cpu_at_end;
	}
	pthread_mutex_unlock(&r->life);
}

void
runner_stop(struct runner *r)
{
	runner_halt(r);
	if (r->waker != NULL)
		waker_put(r->waker);
	r->waker = NULL;
	free(r->pollfds);
	r->pollfds = NULL;
}
