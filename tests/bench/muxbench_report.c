/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "muxbench.h"

struct total {
	uint64_t in, out, cycles;
	unsigned flows;
	uint64_t *by_phone; /* bytes, or cycles where those are counted */
	int64_t longest_ns;
	unsigned unanswered; /* who asked before the time and waits after it */
	struct histogram *latency;
};

static bool
add_up(const struct bench *b, const struct group *g, struct total *t)
{
	t->by_phone = calloc(b->phone_count, sizeof *t->by_phone);
	t->latency = calloc(1, sizeof *t->latency);
	if (t->by_phone == NULL || t->latency == NULL)
		return false;
	for (unsigned i = 0; i < b->flow_count; i++) {
		const struct flow *f = &b->flows[i];

		if (f->group != g)
			continue;
		t->flows++;
		t->in += f->counted_in;
		t->out += f->counted_out;
		t->cycles += f->cycles;
		if (f->longest_ns > t->longest_ns)
			t->longest_ns = f->longest_ns;
		t->unanswered += f->since.ns > 0 &&
		    moment_before(f->since, b->begin);
		t->by_phone[f->phone_index] += g->kind->counts_cycles
		    ? f->cycles
		    : f->counted_in + f->counted_out;
	}
	for (unsigned i = 0; i < b->o.loops; i++)
		histogram_merge(t->latency,
		    &b->loops[i].latency[g - b->o.groups]);
	return true;
}

/* JSON's own writer has whole numbers only, so times are nanoseconds. */
static void
write_group(struct json *j, const struct group *g, const struct total *t)
{
	json_object(j, NULL);
	json_string(j, "name", g->name);
	json_string(j, "kind", g->kind->name);
	json_uint(j, "flows", t->flows);
	json_uint(j, "in", t->in);
	json_uint(j, "out", t->out);
	json_uint(j, "cycles", t->cycles);
	if (t->latency->count > 0) {
		json_uint(j, "p50_ns", histogram_at(t->latency, 0.5));
		json_uint(j, "p99_ns", histogram_at(t->latency, 0.99));
		json_uint(j, "max_ns", t->latency->max);
	}
	if (t->longest_ns > 0) /* drain: the longest wait of any */
		json_uint(j, "longest_ns", (uint64_t)t->longest_ns);
	json_array(j, "by_phone");
	for (unsigned i = g->first - 1; i < g->last; i++)
		json_uint(j, NULL, t->by_phone[i]);
	json_end(j);
	json_end(j);
}

static uint64_t
ns_of(double s)
{
	return s > 0 ? (uint64_t)(s * 1e9) : 0;
}

static void
write_daemon(struct json *j, const struct probe *from, const struct probe *to)
{
	json_object(j, "daemon");
	json_uint(j, "ns", (uint64_t)(to->at.ns - from->at.ns));
	json_uint(j, "cpu_ns", ns_of(to->cpu - from->cpu));
	json_uint(j, "apart_cpu_ns", ns_of(to->apart_cpu - from->apart_cpu));
	json_uint(j, "switches", to->switches > from->switches
	    ? to->switches - from->switches : 0);
	json_uint(j, "apart_switches",
	    to->apart_switches > from->apart_switches
	    ? to->apart_switches - from->apart_switches : 0);
	json_uint(j, "threads", to->threads);
	json_uint(j, "apart_threads", to->apart_threads);
	json_uint(j, "resident_kib", to->resident_kib);
	json_uint(j, "peak_kib", to->peak_kib);
	json_end(j);
}

/* What keeps a measurement from being one, or NULL. */
static const char *
fault_of(const struct bench *b, const struct group *g, const struct total *t)
{
	if (b->error[0] != '\0')
		return b->error;
	if (g->still || g->kind->silent)
		return NULL;
	if (t->in + t->out + t->cycles == 0)
		return "nothing moved";
	return t->unanswered > 0 && g->kind->tick == NULL
	    ? "no answer came in all the time that was measured"
	    : NULL;
}

bool
bench_report(const struct bench *b)
{
	const char *fault = b->error[0] != '\0' ? b->error : NULL;
	struct json j;

	json_init(&j);
	json_object(&j, NULL);
	json_uint(&j, "ns", (uint64_t)(b->end.ns - b->begin.ns));
	json_uint(&j, "load_cpu_ns", ns_of(b->load_cpu));
	json_array(&j, "groups");
	for (unsigned i = 0; i < b->o.group_count; i++) {
		struct total t = { 0 };

		if (!add_up(b, &b->o.groups[i], &t))
			return false;
		write_group(&j, &b->o.groups[i], &t);
		if (fault == NULL)
			fault = fault_of(b, &b->o.groups[i], &t);
		free(t.by_phone);
		free(t.latency);
	}
	json_end(&j);
	if (b->o.pid != 0)
		write_daemon(&j, &b->before, &b->after);
	json_string(&j, "fault", fault);
	json_end(&j);
	puts(json_text(&j) != NULL ? json_text(&j) : "null");
	json_fini(&j);
	return fault == NULL;
}
