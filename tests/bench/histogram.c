/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "histogram.h"

/*
 * Octave 0 has the values below HISTOGRAM_STEPS, one to a cell.  Octave k has
 * those from 2^(BITS+k-1) to 2^(BITS+k); their highest BITS+1 bits say which
 * cell, of which the top one is always set: half of each later row is unused,
 * which costs memory only.
 */

static unsigned
octave_of(uint64_t ns)
{
	unsigned octave = 0;

	if (ns >= HISTOGRAM_STEPS)
		octave = 64 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(ns);
	return octave < HISTOGRAM_OCTAVES ? octave : HISTOGRAM_OCTAVES;
}

void
histogram_add(struct histogram *h, uint64_t ns)
{
	const unsigned octave = octave_of(ns);
	const uint64_t cell = ns >> octave;

	h->cells[octave][cell < HISTOGRAM_STEPS ? cell
						: HISTOGRAM_STEPS - 1]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

void
histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned o = 0; o <= HISTOGRAM_OCTAVES; o++)
		for (unsigned c = 0; c < HISTOGRAM_STEPS; c++)
			to->cells[o][c] += from->cells[o][c];
	to->count += from->count;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t
histogram_at(const struct histogram *h, double part)
{
	const double wanted = part * (double)h->count;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned o = 0; o <= HISTOGRAM_OCTAVES; o++)
		for (unsigned c = 0; c < HISTOGRAM_STEPS; c++) {
			const uint64_t value =
			    (((uint64_t)c + 1) << o) - 1;

			seen += h->cells[o][c];
			if (seen > 0 && (double)seen >= wanted)
				return value < h->max ? value : h->max;
		}
	return h->max;
}
