/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "muxload.h"

#define BAR_WIDTH 40
#define BAR_PERIOD_MS 100

/* ---- Progress ---- */

static void
bar_draw(const struct job *jobs, unsigned count, unsigned done)
{
	uint64_t now = 0, goal = 0;
	unsigned filled;

	for (unsigned i = 0; i < count; i++) {
		const uint64_t in = jobs[i].received, out = jobs[i].sent;

		now += in > 0 ? in : out;
		goal += jobs[i].goal;
	}
	filled = goal > 0 && now <= goal ? (unsigned)(now * BAR_WIDTH / goal)
					 : done * BAR_WIDTH / count;
	fprintf(stderr, "\r[%-*.*s] %8.1f MB  %u of %u", BAR_WIDTH,
	    (int)filled, "########################################",
	    (double)now / 1e6, done, count);
}

void
progress_show(const struct options *o, struct job *jobs, unsigned count)
{
	unsigned done = 0;

	if (!o->progress)
		return;
	do {
		poll(NULL, 0, BAR_PERIOD_MS);
		done = 0;
		for (unsigned i = 0; i < count; i++)
			done += jobs[i].done;
		bar_draw(jobs, count, done);
	} while (done < count);
	fputc('\n', stderr);
}

/* ---- Results ---- */

struct totals {
	uint64_t sent, received, cycles;
	double seconds, slowest, rate;
	unsigned failed, connections;
	uint64_t *samples; /* sorted; malloc'ed */
	size_t sample_count;
};

static int
by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
collect_samples(struct totals *t, const struct job *jobs, unsigned count)
{
	t->samples = calloc(t->cycles > 0 ? (size_t)t->cycles : 1,
	    sizeof *t->samples);
	for (unsigned i = 0; i < count && t->samples != NULL; i++)
		for (uint64_t k = 0; jobs[i].samples != NULL &&
		     k < jobs[i].cycles; k++)
			t->samples[t->sample_count++] = jobs[i].samples[k];
	if (t->samples != NULL)
		qsort(t->samples, t->sample_count, sizeof *t->samples,
		    by_value);
}

static struct totals
sum_up(const struct job *jobs, unsigned count, double seconds)
{
	struct totals t = { .seconds = seconds, .connections = count };

	for (unsigned i = 0; i < count; i++) {
		t.sent += jobs[i].sent;
		t.received += jobs[i].received;
		t.cycles += jobs[i].cycles;
		t.failed += jobs[i].error[0] != '\0';
		if (jobs[i].elapsed > t.slowest)
			t.slowest = jobs[i].elapsed;
	}
	t.rate = t.slowest > 0
	    ? (double)(t.sent > t.received ? t.sent : t.received) / 1e6 /
		t.slowest
	    : 0;
	collect_samples(&t, jobs, count);
	return t;
}

/* The sample below which `part` of all lie, in microseconds. */
static double
sample_us(const struct totals *t, double part)
{
	const size_t i = (size_t)((double)(t->sample_count - 1) * part);

	return (double)t->samples[i] / 1e3;
}

static void
json_number(struct json *j, const char *key, double value)
{
	/* The writer has whole numbers only; microseconds are fine enough. */
	json_uint(j, key, (uint64_t)(value + 0.5));
}

static void
print_json(const struct options *o, const struct totals *t,
    const struct job *jobs, unsigned count)
{
	struct json j;

	json_init(&j);
	json_object(&j, NULL);
	json_string(&j, "command", o->command);
	json_uint(&j, "connections", t->connections);
	json_uint(&j, "failed", t->failed);
	json_uint(&j, "bytes_sent", t->sent);
	json_uint(&j, "bytes_received", t->received);
	json_uint(&j, "cycles", t->cycles);
	json_number(&j, "microseconds", t->slowest * 1e6);
	json_number(&j, "microseconds_in_all", t->seconds * 1e6);
	json_number(&j, "bytes_per_second", t->rate * 1e6);
	if (t->sample_count > 0) {
		json_object(&j, "cycle_microseconds");
		json_number(&j, "min", sample_us(t, 0));
		json_number(&j, "median", sample_us(t, 0.5));
		json_number(&j, "p99", sample_us(t, 0.99));
		json_number(&j, "max", sample_us(t, 1));
		json_end(&j);
	}
	json_array(&j, "found");
	for (unsigned i = 0; i < count; i++)
		if (jobs[i].text[0] != '\0')
			json_string(&j, NULL, jobs[i].text);
	json_end(&j);
	json_array(&j, "errors");
	for (unsigned i = 0; i < count; i++)
		if (jobs[i].error[0] != '\0')
			json_string(&j, NULL, jobs[i].error);
	json_end(&j);
	json_end(&j);
	puts(json_text(&j) != NULL ? json_text(&j) : "null");
	json_fini(&j);
}

static void
print_text(const struct options *o, const struct totals *t,
    const struct job *jobs, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (jobs[i].text[0] != '\0')
			puts(jobs[i].text);
	printf("%s: %u connection%s, %llu bytes sent, %llu received in "
	    "%.3f s, %.1f MB/s", o->command, count, count == 1 ? "" : "s",
	    (unsigned long long)t->sent, (unsigned long long)t->received,
	    t->slowest, t->rate);
	if (t->cycles > 0)
		printf(", %llu cycles", (unsigned long long)t->cycles);
	if (t->sample_count > 0)
		printf(" (median %.0f us, p99 %.0f us, max %.0f us)",
		    sample_us(t, 0.5), sample_us(t, 0.99), sample_us(t, 1));
	printf("%s\n", t->failed > 0 ? ": FAILED" : "");
}

bool
report(const struct options *o, struct job *jobs, unsigned count,
    double seconds)
{
	struct totals t = sum_up(jobs, count, seconds);

	for (unsigned i = 0; i < count; i++)
		if (jobs[i].error[0] != '\0')
			fprintf(stderr, "muxload: connection %u to %s: %s\n",
			    jobs[i].number, jobs[i].device.udid,
			    jobs[i].error);
	if (o->json)
		print_json(o, &t, jobs, count);
	else
		print_text(o, &t, jobs, count);
	free(t.samples);
	return t.failed == 0;
}
