/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm_talk.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

uint64_t talk_chance;

uint32_t
talk_any(uint32_t below)
{
	talk_chance = talk_chance * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(talk_chance >> 33) % below;
}

uint32_t
talk_amount(unsigned k, unsigned side)
{
	static const uint32_t sizes[] = { 0, 1, 7, 300, 5000, 40000, 90000 };

	return sizes[(k * 5 + side * 3 + k / 7) % UNIT_COUNT(sizes)];
}

uint8_t
talk_byte_at(unsigned k, unsigned side, uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 3 + k * 13 + side * 101);
}

bool
talk_is_refused(unsigned k)
{
	return k % 7 == 3;
}

uint8_t *
talk_append(struct talk_bytes *b, size_t n)
{
	if (b->len + n > b->room) {
		b->room = (b->len + n) * 2;
		b->data = realloc(b->data, b->room);
	}
	b->len += n;
	return b->data + b->len - n;
}

size_t
talk_ready(const struct talk_bytes *b)
{
	return b->len - b->at;
}

void
talk_forget(struct talk_bytes *b, size_t n)
{
	b->at += n;
	if (b->at == b->len)
		b->at = b->len = 0;
}

void
talk_put(struct talk_bytes *to, const struct scm_format *format,
    const struct scm_message *m, unsigned k, unsigned side, uint32_t from)
{
	uint8_t head[SCM_MESSAGE_ROOM(16)];
	struct writer w = writer_over(head, sizeof head);

	HOLDS(scm_message_write(&w, format, m), "%s", scm_op_name(m->op));
	memcpy(talk_append(to, writer_used(&w)), head, writer_used(&w));
	if (m->op == SCM_WRITE) {
		uint8_t *data = talk_append(to, m->total);

		for (uint32_t i = 0; i < m->total; i++)
			data[i] = talk_byte_at(k, side, from + i);
	}
}
