/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm/ids.h"

uint32_t
scm_ids_free(const struct scm_ids *ids)
{
	uint32_t n = 0;

	if (ids->round)
		return SCM_IDS_MAX;
	for (unsigned i = 0; i < ids->count; i++)
		n += (ids->busy >> i & 1) == 0;
	return n;
}

uint16_t
scm_ids_take(struct scm_ids *ids)
{
	/* The next behind the last, so that each rests as long as it can. */
	if (ids->round) {
		const uint16_t range = ids->next & 0xff00;
		const uint16_t id = ids->next;

		ids->next = range | (uint8_t)(id + 1);
		return id;
	}
	for (unsigned n = 0; n < ids->count; n++) {
		const unsigned i = ids->next++ % ids->count;

		if ((ids->busy >> i & 1) == 0) {
			ids->busy |= 1u << i;
			return ids->ids[i];
		}
	}
	return 0; /* the caller has asked scm_ids_free() */
}

uint32_t
scm_ids_bit(const struct scm_ids *ids, uint16_t id)
{
	for (unsigned i = 0; i < ids->count; i++)
		if (ids->ids[i] == id)
			return 1u << i;
	return 0;
}

bool
scm_ids_answered(struct scm_ids *ids, uint16_t id)
{
	const uint32_t bit = scm_ids_bit(ids, id);

	if ((ids->busy & bit) == 0)
		return false;
	ids->busy &= ~bit;
	ids->optional &= ~bit;
	return true;
}
