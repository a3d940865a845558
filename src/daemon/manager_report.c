/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the manager tells the supervisor: that everything is ready, how many
 * phones there are, and that the daemon lives. */

#include <stdio.h>

#include "base/supervisor.h"
#include "daemon/manager_int.h"
#include "daemon/roster.h"

/* When the supervisor's queue is full: the next attempt. */
#define AGAIN_MS 100

/* Signs of life in the time in which one is due, so that one may be late. */
#define BEATS 3

/* ---- Looks ---- */

static struct watch *
watch_of(struct manager *m, const struct usb_source *source)
    RUNS_ON(on_manager)
{
	for (size_t i = 0; i < m->config.source_count; i++)
		if (m->config.sources[i] == source)
			return &m->watches[i];
	return NULL;
}

void
report_scanned(struct manager *m, const struct msg_scan *s)
{
	struct watch *w = watch_of(m, s->source);

	if (s->msg.type == MSG_UNWATCHED)
		w->ended = true;
	w->looked = true;
	w->answered = s->rescans;
}

void
report_look(struct manager *m)
{
	for (size_t i = 0; i < m->config.source_count; i++) {
		m->watches[i].asked++;
		m->config.sources[i]->ops->rescan(m->config.sources[i]);
	}
}

bool
report_looked(struct manager *m)
{
	for (size_t i = 0; i < m->config.source_count; i++)
		if (!m->watches[i].ended &&
		    (!m->watches[i].looked ||
			m->watches[i].answered != m->watches[i].asked))
			return false;
	return true;
}

bool
report_ready(struct manager *m)
{
	for (size_t i = 0; i < m->config.source_count; i++)
		if (!m->watches[i].looked)
			return false;
	return true;
}

/* ---- Readiness and status ---- */

static bool
tell_ready(struct manager *m) RUNS_ON(on_manager)
{
	if (!m->told_ready && report_ready(m))
		m->told_ready =
		    supervisor_notify(m->config.supervisor, "READY=1");
	return m->told_ready || !report_ready(m);
}

static bool
tell_phones(struct manager *m) RUNS_ON(on_manager)
{
	const size_t count = m->roster->count;
	char text[48];

	if (!m->told_ready || m->quitting || m->told_phones == count)
		return true;
	snprintf(text, sizeof text, "STATUS=%zu phone%s", count,
	    count == 1 ? "" : "s");
	if (!supervisor_notify(m->config.supervisor, text))
		return false;
	m->told_phones = count;
	return true;
}

/* ---- Watchdog ---- */

/*
 * A sign of life is given for both threads without which nobody is served:
 * this one, which keeps the time, asks main for a word, and sends the sign when
 * it takes main's answer out of its mailbox.
 */
static struct moment
ask_main(struct manager *m) RUNS_ON(on_manager)
{
	const unsigned limit = m->config.supervisor->watchdog_ms;
	const struct moment now = clock_now();

	if (limit == 0 || m->config.ask_main == NULL)
		return MOMENT_NEVER;
	if (!moment_before(now, m->ask_main_at)) {
		m->ask_main_at = moment_after_ms(now,
		    limit < BEATS ? 1 : limit / BEATS);
		m->config.ask_main(m->config.host);
	}
	return m->ask_main_at;
}

void
report_main_runs(struct manager *m)
{
	supervisor_notify(m->config.supervisor, "WATCHDOG=1");
}

struct moment
report_run(struct manager *m)
{
	bool told;

	if (m->config.supervisor == NULL)
		return MOMENT_NEVER;
	told = tell_ready(m) && tell_phones(m);
	return moment_earlier(ask_main(m), told
		? MOMENT_NEVER
		: moment_after_ms(clock_now(), AGAIN_MS));
}
