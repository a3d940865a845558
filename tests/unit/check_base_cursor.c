/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "base/cursor.h"
#include "unit.h"

/* In a block of exactly `len` bytes, so that a sanitizer sees one too many. */
static uint8_t *
exact(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

static const uint8_t eight[8] = { 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
	0x88 };

START_TEST(each_width_reads_in_its_byte_order)
{
	struct reader r = reader_over(eight, sizeof eight);

	ck_assert_uint_eq(read_u8(&r), 0x81);
	ck_assert_uint_eq(read_be16(&r), 0x8283);
	ck_assert_uint_eq(read_le16(&r), 0x8584);
	ck_assert_uint_eq(reader_left(&r), 3);
	r = reader_over(eight, sizeof eight);
	ck_assert_uint_eq(read_be32(&r), 0x81828384);
	ck_assert_uint_eq(read_le32(&r), 0x88878685);
	ck_assert_uint_eq(reader_left(&r), 0);
	ck_assert(!r.bad);
}
END_TEST

/* Every read, as one of a table. */
static uint32_t
read_any(struct reader *r, int which)
{
	uint8_t copy[2] = { 1, 1 };

	switch (which) {
	case 0:
		return read_u8(r);
	case 1:
		return read_be16(r);
	case 2:
		return read_le16(r);
	case 3:
		return read_be32(r);
	case 4:
		return read_le32(r);
	case 5:
		return read_bytes(r, 2) != NULL;
	default:
		read_copy(r, copy, sizeof copy);
		return (uint32_t)(copy[0] | copy[1]);
	}
}

static const size_t widths[] = { 1, 2, 2, 4, 4, 2, 2 };

START_TEST(a_read_past_the_end_gives_zero_and_stays_bad)
{
	for (size_t len = 0; len <= widths[_i]; len++) {
		uint8_t *bytes = exact(eight, len);
		struct reader r = reader_over(bytes, len);
		const uint32_t got = read_any(&r, _i);

		ck_assert_int_eq(r.bad, len < widths[_i]);
		ck_assert_int_eq(got != 0, len == widths[_i]);
		if (len < widths[_i]) {
			/* What is there is not given out afterwards either. */
			ck_assert_uint_eq(reader_left(&r), len);
			ck_assert_uint_eq(read_u8(&r), 0);
			ck_assert_ptr_null(read_bytes(&r, 0));
			ck_assert(r.bad);
		}
		free(bytes);
	}
}
END_TEST

START_TEST(lengths_that_would_wrap_are_too_long)
{
	struct reader r = reader_over(eight, sizeof eight);
	uint8_t room[8];
	struct writer w = writer_over(room, sizeof room);

	read_u8(&r);
	ck_assert_ptr_null(read_bytes(&r, SIZE_MAX));
	ck_assert(r.bad);
	write_u8(&w, 1);
	ck_assert_ptr_null(write_room(&w, SIZE_MAX));
	ck_assert(w.bad);
	ck_assert_uint_eq(writer_used(&w), 1);
}
END_TEST

START_TEST(nothing_can_be_read_from_nothing)
{
	struct reader r = reader_over(NULL, 0);

	ck_assert_uint_eq(reader_left(&r), 0);
	read_bytes(&r, 0);
	read_copy(&r, NULL, 0);
	ck_assert(!r.bad);
	read_u8(&r);
	ck_assert(r.bad);
	read_copy(&r, NULL, 0);
}
END_TEST

START_TEST(nothing_can_be_written_to_nothing)
{
	struct writer w = writer_over(NULL, 0);

	write_bytes(&w, NULL, 0);
	write_zeros(&w, 0);
	ck_assert(!w.bad);
	ck_assert_uint_eq(writer_used(&w), 0);
	write_u8(&w, 1);
	ck_assert(w.bad);
}
END_TEST

START_TEST(each_width_is_written_in_its_byte_order)
{
	static const uint8_t golden[] = { 0x01, 0x23, 0x45, 0x67, 0x45, 0x89,
		0xab, 0xcd, 0xef, 0xef, 0xcd, 0xab, 0x89, 0x00, 0x00, 'x' };
	uint8_t *room = malloc(sizeof golden);
	struct writer w = writer_over(room, sizeof golden);

	write_u8(&w, 0x01);
	write_be16(&w, 0x2345);
	write_le16(&w, 0x4567);
	write_be32(&w, 0x89abcdef);
	write_le32(&w, 0x89abcdef);
	write_zeros(&w, 2);
	write_bytes(&w, "x", 1);
	ck_assert(!w.bad);
	ck_assert_uint_eq(writer_used(&w), sizeof golden);
	ck_assert_mem_eq(room, golden, sizeof golden);
	free(room);
}
END_TEST

static void
write_any(struct writer *w, int which)
{
	switch (which) {
	case 0:
		write_u8(w, 0xff);
		break;
	case 1:
		write_be16(w, 0xffff);
		break;
	case 2:
		write_le16(w, 0xffff);
		break;
	case 3:
		write_be32(w, 0xffffffff);
		break;
	case 4:
		write_le32(w, 0xffffffff);
		break;
	case 5:
		write_zeros(w, 2);
		break;
	default:
		write_bytes(w, "\xff\xff", 2);
		break;
	}
}

START_TEST(a_write_past_the_end_changes_nothing_and_stays_bad)
{
	for (size_t len = 0; len <= widths[_i]; len++) {
		uint8_t *room = exact("....", len);
		struct writer w = writer_over(room, len);

		write_any(&w, _i);
		ck_assert_int_eq(w.bad, len < widths[_i]);
		if (len < widths[_i]) {
			ck_assert_uint_eq(writer_used(&w), 0);
			write_u8(&w, 0xff); /* would fit */
			ck_assert(w.bad);
			ck_assert_mem_eq(room, "....", len);
		}
		free(room);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base/cursor");
	TCase *tc = tcase_create("cursor");

	tcase_add_test(tc, each_width_reads_in_its_byte_order);
	tcase_add_loop_test(tc, a_read_past_the_end_gives_zero_and_stays_bad, 0,
	    UNIT_COUNT(widths));
	tcase_add_test(tc, lengths_that_would_wrap_are_too_long);
	tcase_add_test(tc, nothing_can_be_read_from_nothing);
	tcase_add_test(tc, nothing_can_be_written_to_nothing);
	tcase_add_test(tc, each_width_is_written_in_its_byte_order);
	tcase_add_loop_test(tc,
	    a_write_past_the_end_changes_nothing_and_stays_bad, 0,
	    UNIT_COUNT(widths));
	suite_add_tcase(s, tc);
	return unit_run(s);
}
