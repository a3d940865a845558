/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_BENCH_PROBE_H
#define MUXD_BENCH_PROBE_H

/*
 * What a process has cost until now, as Linux tells it.  Threads whose names
 * begin with `apart` are counted by themselves: virtual devices, which are in
 * the process and no part of it.
 *
 * A thread that has ended has taken its context switches along; its processor
 * time is in the process's.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

struct probe {
	struct moment at; /* taken; between two probes all is of one time */
	double cpu;	  /* seconds of processor time, all threads */
	double apart_cpu; /* of those apart */
	uint64_t switches, apart_switches; /* both kinds of them */
	unsigned threads, apart_threads;
	uint64_t resident_kib, peak_kib;
};

/* `apart` NULL: no thread.  False when there is no such process. */
bool probe_take(struct probe *p, pid_t pid, const char *apart);
/* The peak is from now on. */
void probe_reset_peak(pid_t pid);

#endif
