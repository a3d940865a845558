/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_READ_BUDGET_H
#define MUXD_USB_READ_BUDGET_H

/*
 * How many 16 KiB reads each device of this host may have in flight.
 *
 * Linux takes the memory of all transfers of all programs from one budget
 * (usbfs_memory_mb, 16 MiB unless changed).  Reads are what occupies it for
 * ever, so they share half of it; the other half is for frames on their way
 * out and for other programs.  Each device may always have one read; beyond
 * that it gets what it wants, or its share when there are many.
 * Shares shrink as devices come: one that has too many gives them back as its
 * reads complete.
 *
 * The budget belongs to the source, a claim to its transport.  No locks: any
 * reader's thread may use the budget, each its own claim.
 */

#include <stdatomic.h>
#include <stdbool.h>

/* 8 MiB of 16 KiB reads. */
#define READ_BUDGET 512

struct read_budget {
	_Atomic int left; /* below 0 when there are more devices than reads */
	_Atomic int claims;
};

struct read_claim {
	int held;   /* reads that it may have in flight */
	int wanted; /* and how many would be good */
};

void read_budget_init(struct read_budget *b);

/* A device comes: it holds one read at once. */
void read_budget_join(struct read_budget *b, struct read_claim *c, int wanted);
void read_budget_leave(struct read_budget *b, struct read_claim *c);

/*
 * Brings `c` nearer to its share: takes what is to be had, gives back what is
 * too much, but no more than `idle` of those it holds (the rest is in flight).
 */
void read_budget_adjust(struct read_budget *b, struct read_claim *c, int idle);

#endif
