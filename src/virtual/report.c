/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the devices have counted, and what they have cost. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "virtual/world.h"

void
world_report_threads(struct world *w, struct json *j)
{
	uint64_t total = 0;

	json_array(j, "threads");
	for (unsigned i = 0; i < w->runner_count; i++) {
		struct runner *r = &w->runners[i];
		const uint64_t cpu = runner_cpu(r);

		total += cpu;
		json_object(j, NULL);
		json_string(j, "name", r->name);
		json_uint(j, "cpu_us", cpu / 1000);
		json_uint(j, "urbs", counter_read(&r->urbs));
		json_uint(j, "batches", counter_read(&r->batches));
		json_uint(j, "sleeps", counter_read(&r->sleeps));
		json_uint(j, "wakes", counter_read(&r->wakes));
		json_end(j);
	}
	json_end(j);
	json_uint(j, "cpu_us", total / 1000);
}

static void
report_one(struct gadget *g, struct json *j)
{
	gadget_report(g, j, false);
}

int
world_report(struct world *w, struct cause *why)
{
	struct json j;
	FILE *out;
	bool written;

	json_init(&j);
	json_object(&j, NULL);
	farm_list_members(&w->farm, &j, NULL, report_one);
	world_report_threads(w, &j);
	json_end(&j);
	out = fopen(w->report, "we");
	written = out != NULL && json_text(&j) != NULL &&
	    fprintf(out, "%s\n", json_text(&j)) > 0;
	if (out != NULL && fclose(out) != 0)
		written = false;
	json_fini(&j);
	return written ? 0
		       : cause_set(why, "cannot write the report to %s: %s",
			     w->report, strerror(errno));
}
