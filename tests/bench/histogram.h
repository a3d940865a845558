/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_BENCH_HISTOGRAM_H
#define MUXD_BENCH_HISTOGRAM_H

/*
 * How many samples lay where: nanoseconds in cells of which none is wider than
 * 2/HISTOGRAM_STEPS of its value (0.4 %).  It has its size from the start, so
 * that taking a sample is an addition and allocates nothing.
 *
 * Belongs to one thread at a time.
 */

#include <stdint.h>

#define HISTOGRAM_BITS 9
#define HISTOGRAM_STEPS (1u << HISTOGRAM_BITS)
#define HISTOGRAM_OCTAVES 32 /* the last ends at 2^41 ns, half an hour */

struct histogram {
	uint64_t count;
	uint64_t max; /* the largest sample itself */
	uint64_t cells[HISTOGRAM_OCTAVES + 1][HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* All of `from` into `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value at or below which `part` (0 to 1) of the samples lie, to the width
 * of a cell, and never above the largest; 0 when there is none. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
