/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which reads make a packet. */

#include <stdlib.h>
#include <string.h>

#include "mux/framing.h"
#include "unit.h"
#include "wire/mux.h"

#define FULL 16384

/*
 * A read, in a row of reads: how many bytes it has, what length it says when a
 * packet begins with it, and what it is to be judged.
 */
struct read {
	uint32_t len, says;
	enum mux_framing_verdict expected;
};

#define READS_MAX 9
#define SKIP MUX_FRAMING_SKIP
#define FIRST MUX_FRAMING_FIRST
#define MORE MUX_FRAMING_MORE
#define WHOLE MUX_FRAMING_WHOLE
#define LAST MUX_FRAMING_LAST
#define BAD MUX_FRAMING_BAD
#define END { 0, 0, (enum mux_framing_verdict)-1 }

/* What the bytes inside a packet would say, were they taken for a header. */
#define DATA 0xdddddddd

static const struct {
	const char *what;
	struct read reads[READS_MAX];
} rows[] = {
	{ "the shortest packet", { { 8, 8, WHOLE }, END } },
	{ "small packets", { { 20, 20, WHOLE }, { 36, 36, WHOLE }, END } },
	{ "an empty read between packets",
	    { { 0, 0, SKIP }, { 20, 20, WHOLE }, { 0, 0, SKIP }, { 0, 0, SKIP },
		{ 20, 20, WHOLE }, END } },
	{ "one byte less than a read",
	    { { FULL - 1, FULL - 1, WHOLE }, { 20, 20, WHOLE }, END } },
	{ "exactly a read, and the empty one that ends it",
	    { { FULL, FULL, WHOLE }, { 0, 0, SKIP }, { 20, 20, WHOLE }, END } },
	{ "exactly a read, without it",
	    { { FULL, FULL, WHOLE }, { 20, 20, WHOLE }, END } },
	{ "one byte more than a read",
	    { { FULL, FULL + 1, FIRST }, { 1, DATA, LAST },
		{ 20, 20, WHOLE }, END } },
	{ "two full reads, and the empty one",
	    { { FULL, 2 * FULL, FIRST }, { FULL, DATA, LAST }, { 0, 0, SKIP },
		{ 20, 20, WHOLE }, END } },
	{ "three full reads, what the reference daemon sends at most",
	    { { FULL, 49152, FIRST }, { FULL, DATA, MORE }, { FULL, DATA, LAST },
		{ 0, 0, SKIP }, END } },
	{ "the longest packet",
	    { { FULL, 65535, FIRST }, { FULL, DATA, MORE }, { FULL, DATA, MORE },
		{ FULL - 1, DATA, LAST }, { 20, 20, WHOLE }, END } },
	{ "a byte too long for a packet",
	    { { FULL, 65536, BAD }, { 20, 20, WHOLE }, END } },
	{ "a length beyond all bounds",
	    { { FULL, 0xffffffff, BAD }, { 20, 0x80000014, BAD },
		{ 20, 20, WHOLE }, END } },
	{ "shorter than it says, and short", { { 20, 21, BAD },
		{ 20, 20, WHOLE }, END } },
	{ "a short read cannot be the first of several",
	    { { FULL - 1, FULL, BAD }, { 20, 20, WHOLE }, END } },
	{ "two packets in one read", { { 40, 20, BAD }, { 20, 20, WHOLE }, END } },
	{ "a full read of glued packets",
	    { { FULL, 20, BAD }, { 20, 20, WHOLE }, END } },
	{ "a length of nothing", { { 20, 0, BAD }, { 20, 20, WHOLE }, END } },
	{ "less than a header", { { 7, 7, BAD }, { 1, 1, BAD }, { 20, 20, WHOLE },
		END } },
	{ "the last part is too short",
	    { { FULL, FULL + 100, FIRST }, { 99, DATA, BAD }, { 20, 20, WHOLE },
		END } },
	{ "the last part is too long",
	    { { FULL, FULL + 100, FIRST }, { 101, DATA, BAD }, { 20, 20, WHOLE },
		END } },
	{ "the last part is a full read",
	    { { FULL, FULL + 100, FIRST }, { FULL, DATA, BAD },
		{ 20, 20, WHOLE }, END } },
	{ "the last part is missing",
	    { { FULL, FULL + 100, FIRST }, { 0, 0, BAD }, { 20, 20, WHOLE },
		END } },
	{ "a part in the middle is short",
	    { { FULL, 3 * FULL, FIRST }, { FULL - 1, DATA, BAD },
		{ FULL, FULL, WHOLE }, { 20, 20, WHOLE }, END } },
	{ "after a bad one, a long one",
	    { { 20, 0, BAD }, { FULL, FULL + 20, FIRST }, { 20, 20, LAST },
		{ 20, 20, WHOLE }, END } },
};

/* A block of exactly that size with a plausible header in it. */
static uint8_t *
make_read(const struct read *rd)
{
	uint8_t *bytes = malloc(rd->len > 0 ? rd->len : 1);
	uint8_t header[8];
	struct writer w = writer_over(header, sizeof header);

	write_be32(&w, MUX_TCP);
	write_be32(&w, rd->says);
	memset(bytes, 0xdd, rd->len);
	memcpy(bytes, header, rd->len < 8 ? rd->len : 8);
	return bytes;
}

START_TEST(reads_are_judged)
{
	struct mux_framing f;

	mux_framing_init(&f, FULL);
	for (int i = 0; (int)rows[_i].reads[i].expected >= 0; i++) {
		const struct read *rd = &rows[_i].reads[i];
		uint8_t *bytes = make_read(rd);

		HOLDS(mux_framing_input(&f, bytes, rd->len) == rd->expected,
		    "%s: read %d", rows[_i].what, i);
		free(bytes);
	}
	/* And afterwards all is as at the beginning. */
	ck_assert_uint_eq(f.want, 0);
}
END_TEST

/* Any way of cutting what a bus delivers: every length from 8 to the longest
 * comes as full reads and a rest, and each is one packet. */
START_TEST(every_length_arrives_whole)
{
	static uint8_t bytes[FULL];
	struct mux_framing f;

	mux_framing_init(&f, FULL);
	for (uint32_t length = 8; length <= MUX_PACKET_MAX; length++) {
		struct writer w = writer_over(bytes, 8);
		uint32_t left = length;
		enum mux_framing_verdict v;

		write_be32(&w, MUX_TCP);
		write_be32(&w, length);
		do {
			const uint32_t n = left < FULL ? left : FULL;

			v = mux_framing_input(&f, bytes, n);
			left -= n;
			HOLDS(v != BAD && v != SKIP, "length %u", length);
			HOLDS((left == 0) == (v == WHOLE || v == LAST),
			    "length %u, %u left", length, left);
		} while (left > 0);
		if (length % 512 == 0)
			HOLDS(mux_framing_input(&f, bytes, 0) == SKIP,
			    "length %u: its empty packet", length);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mux/framing");
	TCase *tc = tcase_create("framing");

	tcase_add_loop_test(tc, reads_are_judged, 0, UNIT_COUNT(rows));
	tcase_add_test(tc, every_length_arrives_whole);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
