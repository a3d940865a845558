/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/tcp.h"

#define OFFSET_WORDS (TCP_HEADER_LEN / 4)

bool
tcp_header_read(struct reader *r, struct tcp_header *out)
{
	uint8_t offset;

	out->sport = read_be16(r);
	out->dport = read_be16(r);
	out->seq = read_be32(r);
	out->ack = read_be32(r);
	offset = read_u8(r) >> 4;
	out->flags = read_u8(r);
	out->window = (uint32_t)read_be16(r) << TCP_WINDOW_SHIFT;
	read_be32(r); /* checksum and urgent pointer: unused */
	return !r->bad && offset == OFFSET_WORDS;
}

void
tcp_header_write(struct writer *w, const struct tcp_header *h)
{
	const uint32_t units = h->window >> TCP_WINDOW_SHIFT;

	write_be16(w, h->sport);
	write_be16(w, h->dport);
	write_be32(w, h->seq);
	write_be32(w, h->ack);
	write_u8(w, OFFSET_WORDS << 4);
	write_u8(w, h->flags);
	write_be16(w, units > 0xffff ? 0xffff : (uint16_t)units);
	write_be32(w, 0);
}
