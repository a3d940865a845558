/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Leaving when nobody is there (-z, -x).  It is decided here alone, on the
 * thread that also sees each phone and each client come, and in this order:
 *
 *	1. Nobody has been there for the grace time (or -x asks).
 *	2. From now on no client is taken in; those that come wait in the
 *	   sockets' queues.  Everybody who may start a daemon is told that this
 *	   one may be about to go: the process id file is emptied (process.h),
 *	   the supervisor gets STOPPING=1 and a mark that tells when it has acted
 *	   on that.  Whom it starts us for afterwards, it starts anew.
 *	3. Every source takes a look.  A phone that came too early for the
 *	   others to see a daemon that leaves is seen by this look.
 *	4. Nobody there: it goes.  A phone, or a client at a socket: it stays, or,
 *	   when the supervisor already counts it as gone, goes for a phone with
 *	   the exit status for "start me again" (MANAGER_AGAIN).
 *
 * A supervisor that has opened the sockets keeps them: clients in their queues
 * have not been accepted by us, and it starts the next daemon for them.  Without
 * one the sockets' names are removed first, then all that has connected under
 * them is served to the end.
 */

#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/supervisor.h"
#include "daemon/manager_int.h"

/* The supervisor acts on what it is told within this time, or is not waited
 * for; so do the sources. */
#define TELL_MS 2000
#define LOOK_MS 5000
/* Clients that connected at the last moment have this long to be served. */
#define DRAIN_MS 2000
/* Who has found the socket's file just before it went may still be on the way to
 * the socket, in the kernel. */
#define SETTLE_MS 20

void
idle_init(struct manager *m) ROLE_UNCHECKED /* nobody else has it yet */
{
	m->idle.since = clock_now();
	m->idle.mark = -1;
}

bool
idle_lets_in(struct manager *m)
{
	return m->idle.step == IDLE_STAYS || m->idle.step == IDLE_DRAINS;
}

/* ---- Who is there ---- */

/*
 * Whom the daemon stays for.  Clients that do no more than listen do not count,
 * as with usbmuxd: desktops always have one, and it comes again with the next
 * daemon.  But to come again is to start the next daemon at once where a
 * supervisor holds the sockets, so that there they do.
 */
static bool
anybody(struct manager *m) RUNS_ON(on_manager)
{
	if (devices_any(m))
		return true;
	return m->config.activated ? m->clients != NULL : clients_any_busy(m);
}

/* Somebody has connected and was not let in yet. */
static bool
somebody_waits(struct manager *m) RUNS_ON(on_manager)
{
	for (size_t i = 0; i <= m->config.listener_count; i++) {
		struct pollfd pfd = { .fd = workers_socket(m, i),
			.events = POLLIN };

		if (!m->entrances[i].shut && poll(&pfd, 1, 0) > 0)
			return true;
	}
	return false;
}

/* ---- The steps ---- */

static void
tell_host(struct manager *m, enum manager_leave what) RUNS_ON(on_manager)
{
	if (m->config.leave != NULL)
		m->config.leave(m->config.host, what);
}

static void
close_mark(struct manager *m) RUNS_ON(on_manager)
{
	if (m->idle.mark >= 0)
		close(m->idle.mark);
	m->idle.mark = -1;
}

/* The moment of the next step: at once, because nobody tells of a look when
 * nothing is watched any more. */
static struct moment
look(struct manager *m) RUNS_ON(on_manager)
{
	const struct moment now = clock_now();

	close_mark(m);
	m->idle.step = IDLE_LOOKS;
	m->idle.limit = moment_after_ms(now, LOOK_MS);
	report_look(m);
	return now;
}

static struct moment
begin_leaving(struct manager *m) RUNS_ON(on_manager)
{
	const struct supervisor *s = m->config.supervisor;

	if (m->idle.asked)
		log_notice("asked to exit, and nobody is there");
	else
		log_notice("nobody there for %.3g seconds, exiting",
		    m->config.idle_ms / 1000.0);
	tell_host(m, MANAGER_LEAVING);
	if (s != NULL && s->notify_fd >= 0) {
		supervisor_notify(s, "STOPPING=1\nSTATUS=Nobody is there");
		m->idle.told = true;
		m->idle.mark = supervisor_mark(s);
	}
	m->idle.step = IDLE_TELLS;
	m->idle.limit = moment_after_ms(clock_now(), TELL_MS);
	return m->idle.mark < 0 ? look(m) : m->idle.limit;
}

static void
leave(struct manager *m) RUNS_ON(on_manager)
{
	if (m->config.activated) {
		manager_begin_quit(m);
		return;
	}
	tell_host(m, MANAGER_CLOSES);
	m->idle.step = IDLE_DRAINS;
	m->idle.since = clock_now();
	m->idle.limit = moment_after_ms(m->idle.since, DRAIN_MS);
}

/* Somebody has come while it was about to go. */
static void
stay_after_all(struct manager *m) RUNS_ON(on_manager)
{
	close_mark(m);
	if (m->idle.told) {
		m->again = devices_any(m);
		log_notice("somebody has come: starting anew");
		leave(m);
		return;
	}
	log_notice("somebody has come: staying");
	tell_host(m, MANAGER_STAYS);
	m->idle.step = IDLE_STAYS;
	m->idle.since = clock_now();
	m->idle.asked = false;
}

/* ---- Each turn of the loop ---- */

static struct moment
run_staying(struct manager *m) RUNS_ON(on_manager)
{
	const struct moment now = clock_now();
	struct moment limit =
	    moment_after_ms(m->idle.since, m->config.idle_ms);

	if (!m->idle.asked && !report_ready(m)) {
		m->idle.since = now;
		return MOMENT_NEVER; /* who knows who is there */
	}
	if (anybody(m)) {
		if (m->idle.asked)
			log_notice("asked to exit, but %s",
			    devices_any(m) ? "phones are attached"
					   : "clients are served");
		m->idle.asked = false;
		m->idle.somebody = true;
		return MOMENT_NEVER; /* a message will tell when they leave */
	}
	if (m->idle.somebody) {
		m->idle.somebody = false;
		m->idle.since = now;
		limit = moment_after_ms(now, m->config.idle_ms);
	}
	if (!m->idle.asked && moment_before(now, limit))
		return limit;
	return begin_leaving(m);
}

static struct moment
run_telling(struct manager *m, bool late) RUNS_ON(on_manager)
{
	struct pollfd pfd = { .fd = m->idle.mark, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0 || late ? look(m) : m->idle.limit;
}

static struct moment
run_looking(struct manager *m, bool late) RUNS_ON(on_manager)
{
	if (devices_any(m))
		stay_after_all(m);
	else if (!late && !report_looked(m))
		return m->idle.limit;
	else if (somebody_waits(m))
		stay_after_all(m);
	else
		leave(m);
	/* What was changed is to be looked at once more. */
	return m->quitting ? MOMENT_NEVER : clock_now();
}

static struct moment
run_draining(struct manager *m, bool late) RUNS_ON(on_manager)
{
	const struct moment settled =
	    moment_after_ms(m->idle.since, SETTLE_MS);

	if (moment_before(clock_now(), settled))
		return settled;
	if (late || (!somebody_waits(m) && !clients_any_busy(m)))
		manager_begin_quit(m);
	return m->idle.limit;
}

struct moment
idle_run(struct manager *m)
{
	const bool late = !moment_before(clock_now(), m->idle.limit);

	if (m->quitting || (!m->config.exit_if_idle && !m->idle.asked &&
	    m->idle.step == IDLE_STAYS))
		return MOMENT_NEVER;
	switch (m->idle.step) {
	case IDLE_STAYS:
		return run_staying(m);
	case IDLE_TELLS:
		return run_telling(m, late);
	case IDLE_LOOKS:
		return run_looking(m, late);
	case IDLE_DRAINS:
		return run_draining(m, late);
	}
	return MOMENT_NEVER;
}

bool
idle_ignores_clients(struct manager *m)
{
	return m->idle.step == IDLE_STAYS &&
	    ((!m->config.exit_if_idle && !m->idle.asked) || devices_any(m));
}

void
idle_quit(struct manager *m)
{
	if (m->idle.step == IDLE_STAYS)
		tell_host(m, MANAGER_LEAVING);
}

void
idle_fini(struct manager *m)
{
	close_mark(m);
}
