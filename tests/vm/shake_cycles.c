/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Phones come and go, all at once, and a listener has to hear of each.  The time
 * runs from the kernel's word: what it needs itself, from plug to plug, is no
 * affair of a daemon's.  What udev needs for its rules is, because it passes
 * before the listener hears; how long that is, is told.
 */
#include "shake.h"

#include <pthread.h>
#include <stdio.h>

/* A listener hears of a phone so long after the kernel has told of it, and of
 * its end so long after muxphone has unplugged it. */
#define CYCLE_MS 2000
/* Later than that it is late all the same, but the times of all are told. */
#define PATIENCE_MS 20000

enum span { UNPLUGS, KERNEL, UDEV, DAEMON, PLUGS, SPANS };
static const char *const span_names[SPANS] = { "from unplug to the listener",
	"from plug to the kernel's word", "from there to udev's",
	"from there to the listener", "from the kernel's to the listener" };

struct cycler {
	struct phone *phone;
	struct times times[SPANS];
};

static pthread_barrier_t together;
static int rounds;

static void
unplug(struct cycler *c, int round)
{
	const struct moment since = clock_now();

	mux_command("unplug", c->phone);
	if (!mux_await_gone(c->phone, in_ms(PATIENCE_MS)))
		die("round %d: phone %u was unplugged, and is listed on",
		    round, c->phone->n);
	times_add(&c->times[UNPLUGS],
	    moment_ms_between(since, mux_heard(c->phone)));
}

static void
plug(struct cycler *c, int round)
{
	const struct moment since = clock_now();
	struct phone *p = c->phone;

	mux_command("plug", p);
	if (!host_await_added(p, since, in_ms(ATTACH_MS)))
		die("round %d: the kernel and udev did not get phone %u",
		    round, p->n);
	if (mux_await_listed(p, 0, in_ms(PATIENCE_MS)) == 0)
		die("round %d: phone %u was plugged in, and is not listed",
		    round, p->n);
	times_add(&c->times[KERNEL],
	    moment_ms_between(since, p->added_by_kernel));
	times_add(&c->times[UDEV],
	    moment_ms_between(p->added_by_kernel, p->added_by_udev));
	times_add(&c->times[DAEMON],
	    moment_ms_between(p->added_by_udev, mux_heard(p)));
	times_add(&c->times[PLUGS],
	    moment_ms_between(p->added_by_kernel, mux_heard(p)));
}

static void *
cycle(void *arg)
{
	struct cycler *c = arg;

	for (int i = 1; i <= rounds; i++) {
		pthread_barrier_wait(&together);
		unplug(c, i);
		pthread_barrier_wait(&together);
		plug(c, i);
	}
	return NULL;
}

/* How many were late. */
static unsigned
judge(struct cycler *all, enum span span, bool limited)
{
	static struct times sum;
	unsigned late = 0;

	sum.count = 0;
	for (unsigned i = 0; i < phone_count; i++)
		times_sum(&sum, &all[i].times[span]);
	times_print(&sum, span_names[span]);
	for (unsigned i = 0; limited && i < sum.count; i++)
		late += sum.ms[i] > CYCLE_MS * patience;
	return late;
}

int
cycles(int count)
{
	static struct cycler all[PHONES_MAX];
	unsigned late = 0;

	rounds = (count + (int)phone_count - 1) / (int)phone_count;
	host_events_open();
	pthread_barrier_init(&together, NULL, phone_count);
	for (unsigned i = 0; i < phone_count; i++) {
		all[i].phone = &phones[i];
		must_list(&phones[i], 0);
	}
	for_all_phones(cycle, all, sizeof all[0]);
	for (int span = 0; span < SPANS; span++)
		late += judge(all, (enum span)span,
		    span == UNPLUGS || span == PLUGS);
	if (late > 0)
		die("%u times the listener heard later than after %d ms", late,
		    CYCLE_MS * patience);
	return 0;
}
