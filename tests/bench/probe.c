/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "probe.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_SIZE 64

static double
process_cpu(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) != 0)
		return -1;
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The value of "key:" in a line of a status file, if it is that. */
static bool
value_of(const char *line, const char *key, uint64_t *out)
{
	const size_t len = strlen(key);

	if (strncmp(line, key, len) != 0 || line[len] != ':')
		return false;
	*out = strtoull(line + len + 1, NULL, 10);
	return true;
}

struct status {
	uint64_t resident_kib, peak_kib, voluntary, forced;
	char name[32];
};

static bool
read_status(const char *path, struct status *s)
{
	FILE *file = fopen(path, "re");
	char line[256];

	*s = (struct status){ 0 };
	if (file == NULL)
		return false;
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "Name:%31s", s->name) == 1 ||
		    value_of(line, "VmRSS", &s->resident_kib) ||
		    value_of(line, "VmHWM", &s->peak_kib) ||
		    value_of(line, "voluntary_ctxt_switches", &s->voluntary))
			continue;
		value_of(line, "nonvoluntary_ctxt_switches", &s->forced);
	}
	fclose(file);
	return true;
}

/* Seconds that a thread has run. */
static double
thread_cpu(pid_t pid, const char *tid)
{
	char path[PATH_SIZE];
	unsigned long long ns = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", (int)pid,
	    tid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu", &ns) != 1)
		ns = 0;
	fclose(file);
	return (double)ns / 1e9;
}

static void
add_thread(struct probe *p, pid_t pid, const char *tid, const char *apart)
{
	char path[PATH_SIZE];
	struct status s;

	snprintf(path, sizeof path, "/proc/%d/task/%.16s/status", (int)pid,
	    tid);
	if (!read_status(path, &s))
		return; /* it has just ended */
	if (apart != NULL && strncmp(s.name, apart, strlen(apart)) == 0) {
		p->apart_cpu += thread_cpu(pid, tid);
		p->apart_switches += s.voluntary + s.forced;
		p->apart_threads++;
	} else {
		p->switches += s.voluntary + s.forced;
		p->threads++;
	}
}

bool
probe_take(struct probe *p, pid_t pid, const char *apart)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	struct status s;
	DIR *dir;

	*p = (struct probe){ .at = clock_now(),
		.cpu = process_cpu(pid) };
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (p->cpu < 0 || !read_status(path, &s))
		return false;
	p->resident_kib = s.resident_kib;
	p->peak_kib = s.peak_kib;
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			add_thread(p, pid, entry->d_name, apart);
	closedir(dir);
	return true;
}

void
probe_reset_peak(pid_t pid)
{
	char path[PATH_SIZE];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
	file = fopen(path, "we");
	if (file == NULL)
		return;
	fputs("5", file);
	fclose(file);
}
