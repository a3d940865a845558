/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_SCM_IDS_H
#define MUXD_SCM_IDS_H

/*
 * The message ids of one socket.
 *
 * In dialect 8 there are 256 of them for a device, and none may be used again
 * before its answer came.  The device's table gives each socket a few when it
 * is opened; they are that socket's until it gives them back, with word of
 * those that have not been answered.  So an id is in one place at any time, and
 * nobody is asked before a message is sent.
 *
 * In dialect 12 no answer is ever owed.  There a socket has a range of 256 and
 * goes round in it.
 */

#include <stdbool.h>
#include <stdint.h>

/* The most that a socket has: with WRITEs of 16 KiB, a quarter of a megabyte
 * under way. */
#define SCM_IDS_MAX 16
/* The least: one for a WRITE, and one for the CLOSE, which a device that does
 * not answer WRITEs must not hold up. */
#define SCM_IDS_MIN 2

struct scm_ids {
	bool round; /* dialect 12: `next`, and no answers */
	uint8_t count;
	uint16_t next;
	uint16_t ids[SCM_IDS_MAX];
	uint32_t busy;	   /* bit i: ids[i] waits for its answer */
	uint32_t optional; /* of them, those that may never get one: CLOSE's */
};

/* Bits of the ids that an answer is owed to. */
static inline uint32_t
scm_ids_owed(const struct scm_ids *ids)
{
	return ids->busy & ~ids->optional;
}

/* How many are free. */
uint32_t scm_ids_free(const struct scm_ids *ids);
/* Takes a free one, of which there is one. */
uint16_t scm_ids_take(struct scm_ids *ids);
/* It has been answered.  False: no answer to it was owed. */
bool scm_ids_answered(struct scm_ids *ids, uint16_t id);
/* The bit of an id; 0: it is none of these. */
uint32_t scm_ids_bit(const struct scm_ids *ids, uint16_t id);

#endif
