/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Frames of the device protocol, byte for byte. */

#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "wire/mux.h"
#include "wire/tcp.h"

/* ---- Mux headers ---- */

static const struct {
	int version;
	struct mux_header h;
	size_t len;
	uint8_t golden[MUX_HEADER_V2_LEN];
} headers[] = {
	/* The host's question, before the version is known, and after it. */
	{ 0, { .protocol = MUX_VERSION, .length = 20 }, 8,
	    { 0, 0, 0, 0, 0, 0, 0, 20 } },
	{ 1, { .protocol = MUX_VERSION, .length = 20 }, 8,
	    { 0, 0, 0, 0, 0, 0, 0, 20 } },
	{ 2, { .protocol = MUX_VERSION, .length = 20 }, 8,
	    { 0, 0, 0, 0, 0, 0, 0, 20 } },
	{ 1, { .protocol = MUX_CONTROL, .length = 9 }, 8,
	    { 0, 0, 0, 1, 0, 0, 0, 9 } },
	{ 2,
	    { .protocol = MUX_CONTROL, .length = 17, .magic = MUX_MAGIC,
		.tx_seq = 0x0102, .rx_seq = 0x0304 },
	    16, { 0, 0, 0, 1, 0, 0, 0, 17, 0xfe, 0xed, 0xfa, 0xce, 1, 2, 3, 4 } },
	{ 2,
	    { .protocol = MUX_SETUP, .length = 17, .magic = MUX_MAGIC,
		.tx_seq = 0, .rx_seq = MUX_RX_SEQ_NONE },
	    16,
	    { 0, 0, 0, 2, 0, 0, 0, 17, 0xfe, 0xed, 0xfa, 0xce, 0, 0, 0xff,
		0xff } },
	{ 1, { .protocol = MUX_TCP, .length = 49144 }, 8,
	    { 0, 0, 0, 6, 0, 0, 0xbf, 0xf8 } },
	{ 2,
	    { .protocol = MUX_TCP, .length = 65535, .magic = MUX_MAGIC,
		.tx_seq = 0xffff, .rx_seq = 0 },
	    16,
	    { 0, 0, 0, 6, 0, 0, 0xff, 0xff, 0xfe, 0xed, 0xfa, 0xce, 0xff, 0xff,
		0, 0 } },
	/* What only a hostile peer would say is read all the same. */
	{ 2,
	    { .protocol = 0x80000001, .length = 0xffffffff, .magic = MUX_MAGIC,
		.tx_seq = 1, .rx_seq = 2 },
	    16,
	    { 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xed, 0xfa, 0xce, 0,
		1, 0, 2 } },
};

START_TEST(a_header_is_written_as_on_the_wire)
{
	uint8_t bytes[MUX_HEADER_V2_LEN + 1];
	struct writer w = writer_over(bytes, sizeof bytes);

	bytes[headers[_i].len] = 0xa5;
	mux_header_write(&w, headers[_i].version, &headers[_i].h);
	ck_assert(!w.bad);
	ck_assert_uint_eq(writer_used(&w), headers[_i].len);
	ck_assert_mem_eq(bytes, headers[_i].golden, headers[_i].len);
	ck_assert_uint_eq(bytes[headers[_i].len], 0xa5);
	if (headers[_i].h.protocol != MUX_VERSION)
		ck_assert_uint_eq(mux_header_len(headers[_i].version),
		    headers[_i].len);
}
END_TEST

static void
assert_header_eq(const struct mux_header *a, const struct mux_header *b)
{
	ck_assert_uint_eq(a->protocol, b->protocol);
	ck_assert_uint_eq(a->length, b->length);
	ck_assert_uint_eq(a->magic, b->magic);
	ck_assert_uint_eq(a->tx_seq, b->tx_seq);
	ck_assert_uint_eq(a->rx_seq, b->rx_seq);
}

START_TEST(a_header_is_read_at_no_shorter_length)
{
	for (size_t len = 0; len <= headers[_i].len; len++) {
		uint8_t *bytes = malloc(len > 0 ? len : 1);
		struct reader r = reader_over(bytes, len);
		struct mux_header h;
		bool ok;

		memcpy(bytes, headers[_i].golden, len);
		memset(&h, 0xff, sizeof h);
		ok = mux_header_read(&r, headers[_i].version, &h);
		ck_assert_int_eq(ok, len == headers[_i].len);
		if (ok)
			assert_header_eq(&h, &headers[_i].h);
		free(bytes);
	}
}
END_TEST

START_TEST(any_magic_number_is_read)
{
	uint8_t bytes[16] = { 0, 0, 0, 6, 0, 0, 0, 36, 0xfa, 0xce, 0xfa, 0xce, 0,
		1, 0, 2 };
	struct reader r = reader_over(bytes, sizeof bytes);
	struct mux_header h;

	ck_assert(mux_header_read(&r, 2, &h));
	ck_assert_uint_eq(h.magic, 0xfaceface);
	ck_assert_uint_eq(h.tx_seq, 1);
}
END_TEST

START_TEST(a_version_is_twelve_bytes)
{
	static const uint8_t golden[12] = { 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0 };
	const struct mux_version two = { 2, 7 };
	uint8_t bytes[12];
	struct writer w = writer_over(bytes, sizeof bytes);

	mux_version_write(&w, &two);
	ck_assert(!w.bad);
	ck_assert_mem_eq(bytes, golden, sizeof golden);
	for (size_t len = 0; len <= sizeof golden; len++) {
		struct reader r = reader_over(golden, len);
		struct mux_version v;

		ck_assert_int_eq(mux_version_read(&r, &v), len == sizeof golden);
		if (len == sizeof golden) {
			ck_assert_uint_eq(v.major, 2);
			ck_assert_uint_eq(v.minor, 7);
		}
	}
}
END_TEST

/* ---- TCP headers ---- */

static const struct {
	struct tcp_header h;
	uint8_t golden[TCP_HEADER_LEN];
} segments[] = {
	{ { .sport = 1, .dport = 62078, .flags = TCP_SYN, .window = 131072 },
	    { 0, 1, 0xf2, 0x7e, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0x02, 0, 0, 0,
		0, 0 } },
	{ { .sport = 62078, .dport = 1, .seq = 0xfffffffe, .ack = 1,
	      .flags = TCP_SYN | TCP_ACK, .window = 256 },
	    { 0xf2, 0x7e, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 1, 0x50, 0x12, 0,
		1, 0, 0, 0, 0 } },
	{ { .sport = 0xffff, .dport = 0x0102, .seq = 0x01020304,
	      .ack = 0x80000000, .flags = TCP_ACK | TCP_PSH,
	      .window = TCP_WINDOW_MAX },
	    { 0xff, 0xff, 1, 2, 1, 2, 3, 4, 0x80, 0, 0, 0, 0x50, 0x18, 0xff,
		0xff, 0, 0, 0, 0 } },
	{ { .sport = 7, .dport = 8, .flags = TCP_RST },
	    { 0, 7, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x04, 0, 0, 0, 0, 0,
		0 } },
	{ { .flags = 0xff },
	    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0xff, 0, 0, 0, 0, 0,
		0 } },
};

START_TEST(a_segment_is_written_as_on_the_wire)
{
	uint8_t bytes[TCP_HEADER_LEN];
	struct writer w = writer_over(bytes, sizeof bytes);

	memset(bytes, 0xa5, sizeof bytes);
	tcp_header_write(&w, &segments[_i].h);
	ck_assert(!w.bad);
	ck_assert_uint_eq(writer_used(&w), TCP_HEADER_LEN);
	ck_assert_mem_eq(bytes, segments[_i].golden, sizeof bytes);
}
END_TEST

START_TEST(a_segment_is_read_at_no_shorter_length)
{
	for (size_t len = 0; len <= TCP_HEADER_LEN; len++) {
		uint8_t *bytes = malloc(len > 0 ? len : 1);
		struct reader r = reader_over(bytes, len);
		const struct tcp_header *want = &segments[_i].h;
		struct tcp_header h;

		memcpy(bytes, segments[_i].golden, len);
		ck_assert_int_eq(tcp_header_read(&r, &h),
		    len == TCP_HEADER_LEN);
		free(bytes);
		if (len < TCP_HEADER_LEN)
			continue;
		ck_assert_uint_eq(h.sport, want->sport);
		ck_assert_uint_eq(h.dport, want->dport);
		ck_assert_uint_eq(h.seq, want->seq);
		ck_assert_uint_eq(h.ack, want->ack);
		ck_assert_uint_eq(h.flags, want->flags);
		ck_assert_uint_eq(h.window, want->window);
	}
}
END_TEST

START_TEST(options_are_refused)
{
	for (unsigned offset = 0; offset < 16; offset++) {
		uint8_t bytes[64] = { 0 };
		struct reader r = reader_over(bytes, sizeof bytes);
		struct tcp_header h;

		/* The low bits are reserved and say nothing. */
		bytes[12] = (uint8_t)(offset << 4 | (offset & 15));
		ck_assert_int_eq(tcp_header_read(&r, &h), offset == 5);
	}
}
END_TEST

START_TEST(checksum_and_urgent_pointer_say_nothing)
{
	uint8_t bytes[TCP_HEADER_LEN];
	struct reader r = reader_over(bytes, sizeof bytes);
	struct tcp_header h;

	memset(bytes, 0xff, sizeof bytes);
	bytes[12] = 0x50;
	ck_assert(tcp_header_read(&r, &h));
	ck_assert_uint_eq(h.window, TCP_WINDOW_MAX);
	ck_assert_uint_eq(reader_left(&r), 0);
}
END_TEST

/* Never more than the window really is. */
START_TEST(a_window_is_rounded_down_and_cut)
{
	static const struct {
		uint32_t window, units;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 255, 0 }, { 256, 1 }, { 511, 1 },
		{ 512 * 1024, 2048 }, { TCP_WINDOW_MAX, 0xffff },
		{ TCP_WINDOW_MAX + 255, 0xffff },
		{ TCP_WINDOW_MAX + 256, 0xffff }, { 0xffffffff, 0xffff } };

	for (int i = 0; i < UNIT_COUNT(cases); i++) {
		const struct tcp_header h = { .window = cases[i].window };
		uint8_t bytes[TCP_HEADER_LEN];
		struct writer w = writer_over(bytes, sizeof bytes);

		tcp_header_write(&w, &h);
		ck_assert_uint_eq((unsigned)(bytes[14] << 8 | bytes[15]),
		    cases[i].units);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("wire/mux, wire/tcp");
	TCase *tc = tcase_create("mux");

	tcase_add_loop_test(tc, a_header_is_written_as_on_the_wire, 0,
	    UNIT_COUNT(headers));
	tcase_add_loop_test(tc, a_header_is_read_at_no_shorter_length, 0,
	    UNIT_COUNT(headers));
	tcase_add_test(tc, any_magic_number_is_read);
	tcase_add_test(tc, a_version_is_twelve_bytes);
	suite_add_tcase(s, tc);
	tc = tcase_create("tcp");
	tcase_add_loop_test(tc, a_segment_is_written_as_on_the_wire, 0,
	    UNIT_COUNT(segments));
	tcase_add_loop_test(tc, a_segment_is_read_at_no_shorter_length, 0,
	    UNIT_COUNT(segments));
	tcase_add_test(tc, options_are_refused);
	tcase_add_test(tc, checksum_and_urgent_pointer_say_nothing);
	tcase_add_test(tc, a_window_is_rounded_down_and_cut);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
