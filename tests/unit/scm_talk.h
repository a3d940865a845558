/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SCM_TALK_H
#define MUXD_TESTS_SCM_TALK_H

/* Chance, and the bytes of the connections that it brings about. */

#include "wire/scm.h"

/* The state of chance; any number is a seed. */
extern uint64_t talk_chance;
uint32_t talk_any(uint32_t below);

/* How much the device (side 0) or the peer (1) of connection k sends, and what;
 * and whether there is a peer at all. */
uint32_t talk_amount(unsigned k, unsigned side);
uint8_t talk_byte_at(unsigned k, unsigned side, uint32_t i);
bool talk_is_refused(unsigned k);

/* A queue of bytes. */
struct talk_bytes {
	uint8_t *data;
	size_t len, at, room;
};
uint8_t *talk_append(struct talk_bytes *b, size_t n);
size_t talk_ready(const struct talk_bytes *b);
void talk_forget(struct talk_bytes *b, size_t n);

/* A message, and if it is a WRITE, the bytes of connection k behind it. */
void talk_put(struct talk_bytes *to, const struct scm_format *format,
    const struct scm_message *m, unsigned k, unsigned side, uint32_t from);

#endif
