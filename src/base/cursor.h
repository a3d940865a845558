/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_BASE_CURSOR_H
#define MUXD_BASE_CURSOR_H

/*
 * Checked cursors over bytes that came from outside, or that go there.
 *
 * A reader never passes its end.  The first read that would sets `bad`, and
 * from then on every read yields zero (or NULL), so a parser reads all it
 * wants and asks once, at its end, whether any of it was real.  A writer
 * behaves the same way.  Byte order stands in each name: be = big-endian,
 * le = little-endian.  Nothing here allocates, blocks or keeps state
 * elsewhere; any thread may use its own cursor.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

/* NULL with length 0 is an empty range, too. */
static inline struct reader
reader_over(const void *bytes, size_t len)
{
	static const uint8_t nothing[1];
	const uint8_t *at = bytes != NULL ? bytes : nothing;

	return (struct reader){ at, bytes != NULL ? at + len : at, false };
}

static inline size_t
reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

/* The next `len` bytes where they lie, or NULL when fewer are left. */
static inline const uint8_t *
read_bytes(struct reader *r, size_t len)
{
	const uint8_t *here = r->at;

	if (r->bad || len > reader_left(r)) {
		r->bad = true;
		return NULL;
	}
	r->at += len;
	return here;
}

static inline void
read_copy(struct reader *r, void *into, size_t len)
{
	const uint8_t *from = read_bytes(r, len);

	if (len == 0)
		return;
	if (from != NULL)
		memcpy(into, from, len);
	else
		memset(into, 0, len);
}

static inline uint8_t
read_u8(struct reader *r)
{
	const uint8_t *b = read_bytes(r, 1);

	return b != NULL ? b[0] : 0;
}

static inline uint16_t
read_be16(struct reader *r)
{
	const uint8_t *b = read_bytes(r, 2);

	return b != NULL ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

static inline uint16_t
read_le16(struct reader *r)
{
	const uint8_t *b = read_bytes(r, 2);

	return b != NULL ? (uint16_t)(b[1] << 8 | b[0]) : 0;
}

static inline uint32_t
read_be32(struct reader *r)
{
	const uint8_t *b = read_bytes(r, 4);

	return b != NULL ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
			       (uint32_t)b[2] << 8 | b[3]
			 : 0;
}

static inline uint32_t
read_le32(struct reader *r)
{
	const uint8_t *b = read_bytes(r, 4);

	return b != NULL ? (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 |
			       (uint32_t)b[1] << 8 | b[0]
			 : 0;
}

struct writer {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	bool bad;
};

static inline struct writer
writer_over(void *bytes, size_t len)
{
	uint8_t *at = bytes;

	return (struct writer){ at, at, bytes != NULL ? at + len : at, false };
}

static inline size_t
writer_used(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

/* Room for `len` bytes, to be filled by the caller, or NULL when full. */
static inline uint8_t *
write_room(struct writer *w, size_t len)
{
	uint8_t *here = w->at;

	if (w->bad || len > (size_t)(w->end - w->at)) {
		w->bad = true;
		return NULL;
	}
	if (len > 0) /* of nothing, there may be no address */
		w->at += len;
	return here;
}

static inline void
write_bytes(struct writer *w, const void *from, size_t len)
{
	uint8_t *to = write_room(w, len);

	if (to != NULL && len > 0)
		memcpy(to, from, len);
}

static inline void
write_zeros(struct writer *w, size_t len)
{
	uint8_t *to = write_room(w, len);

	if (to != NULL && len > 0)
		memset(to, 0, len);
}

static inline void
write_u8(struct writer *w, uint8_t v)
{
	write_bytes(w, &v, 1);
}

static inline void
write_be16(struct writer *w, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	write_bytes(w, b, sizeof b);
}

static inline void
write_le16(struct writer *w, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	write_bytes(w, b, sizeof b);
}

static inline void
write_be32(struct writer *w, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
		(uint8_t)(v >> 8), (uint8_t)v };

	write_bytes(w, b, sizeof b);
}

static inline void
write_le32(struct writer *w, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8),
		(uint8_t)(v >> 16), (uint8_t)(v >> 24) };

	write_bytes(w, b, sizeof b);
}

#endif
