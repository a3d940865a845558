/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/mux.h"

#include <string.h>

static bool
has_sequence(int version, uint32_t protocol)
{
	return version >= 2 && protocol != MUX_VERSION;
}

bool
mux_header_read(struct reader *r, int version, struct mux_header *out)
{
	memset(out, 0, sizeof *out);
	out->protocol = read_be32(r);
	out->length = read_be32(r);
	if (has_sequence(version, out->protocol)) {
		out->magic = read_be32(r);
		out->tx_seq = read_be16(r);
		out->rx_seq = read_be16(r);
	}
	return !r->bad;
}

void
mux_header_write(struct writer *w, int version, const struct mux_header *h)
{
	write_be32(w, h->protocol);
	write_be32(w, h->length);
	if (has_sequence(version, h->protocol)) {
		write_be32(w, MUX_MAGIC);
		write_be16(w, h->tx_seq);
		write_be16(w, h->rx_seq);
	}
}

bool
mux_version_read(struct reader *r, struct mux_version *out)
{
	out->major = read_be32(r);
	out->minor = read_be32(r);
	read_be32(r); /* padding */
	return !r->bad;
}

void
mux_version_write(struct writer *w, const struct mux_version *v)
{
	write_be32(w, v->major);
	write_be32(w, v->minor);
	write_be32(w, 0);
}
