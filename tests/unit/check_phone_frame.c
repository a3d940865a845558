/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where packets end on the bus, both ways, around the multiples that matter. */
#include <check.h>
#include <string.h>

#include "phone/frame.h"
#include "phone_host.h"
#include "unit.h"

static struct host h;
static struct got g;
static struct frame frame;
static uint8_t bytes[140000];

static void
take_down(void)
{
	host_fini(&h);
}

static void
set_up(uint16_t max_packet)
{
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	host_up(&h, 2);
	frame_init(&frame, &h.mux, max_packet);
}

/* ---- From the host ------------------------------------------------------ */

/* A packet of `len` bytes to the connection 5 -> 7. */
static uint8_t *
make_packet(size_t len, uint32_t seq)
{
	static uint8_t raw[70000];
	const uint16_t n = h.tx_seq++;
	const uint8_t head[36] = {
		0, 0, 0, 6, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0xfe,
		0xed, 0xfa, 0xce, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0, 5, 0,
		7, 0, (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq,
		0, 0, 0, 1, 0x50, ACK, 0xff, 0xff, 0, 0, 0, 0,
	};

	memcpy(raw, head, sizeof head);
	memcpy(raw + 36, bytes, len - 36);
	return raw;
}

/* Sends it in URBs of `cut` bytes, as a host controller does that cuts. */
static void
send_cut(const uint8_t *raw, size_t len, size_t cut, bool flag)
{
	for (size_t at = 0; at < len; at += cut) {
		const size_t n = len - at < cut ? len - at : cut;

		frame_out(&frame, raw + at, n, flag && at + n == len);
	}
	if (!flag && len % frame.max_packet == 0)
		frame_out(&frame, NULL, 0, false);
}

static const size_t sizes[] = {
	37, 511, 512, 513, 1023, 1024, 1025, 16383, 16384, 16385, 16896,
	32768, 40000, 49151, 49152, 49153, 65024, 65535,
};
static const size_t cuts[] = { 1024, 16384, 49152, 65536 };
static const uint16_t max_packets[] = { 512, 1024 };

START_TEST(out_whole_packets)
{
	const size_t cut = cuts[_i / 4];
	const bool flag = _i % 2 != 0;
	uint64_t zlps = 0;
	uint32_t seq = 1;

	set_up(max_packets[_i / 2 % 2]);
	host_connect(&h, 5, 9, HOST_WINDOW);
	host_tcp(&h, 5, 9, 1, 1, RST, 0, NULL, 0);
	mux_set_window(&h.mux, MUX_WINDOW_MAX);
	host_connect(&h, 5, 7, 65535);
	for (int i = 0; i < UNIT_COUNT(sizes); i++) {
		const size_t len = sizes[i];

		send_cut(make_packet(len, seq), len, cut, flag);
		zlps += len % frame.max_packet == 0;
		seq += (uint32_t)len - 36;
		for (size_t at = 0; at < len - 36; at += g.data_len) {
			host_get_tcp(&h, &g, 5, ACK);
			ck_assert_mem_eq(g.data, bytes + at, g.data_len);
			ck_assert_uint_eq(g.ack, seq - (len - 36 - at) +
				g.data_len);
		}
		host_nothing(&h);
	}
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.zlps_in, zlps);
}
END_TEST

/* A URB whose last USB packet is full ends nothing. */
START_TEST(out_waits_for_the_end)
{
	set_up(512);
	host_connect(&h, 5, 7, HOST_WINDOW);
	frame_out(&frame, make_packet(1024, 1), 1024, false);
	host_nothing(&h);
	frame_out(&frame, NULL, 0, false);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.data_len, 1024 - 36);
	host_behaved(&h);
}
END_TEST

START_TEST(out_flag_means_nothing_when_short)
{
	set_up(512);
	host_connect(&h, 5, 7, HOST_WINDOW);
	frame_out(&frame, make_packet(700, 1), 700, true);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(h.mux.count.zlps_in, 0);
	host_behaved(&h);
}
END_TEST

START_TEST(out_begins_anew)
{
	set_up(512);
	host_connect(&h, 5, 7, HOST_WINDOW);
	frame_out(&frame, bytes, 512, false); /* of a host that was killed */
	frame_reset_out(&frame);
	frame_out(&frame, make_packet(100, 1), 100, false);
	host_get_tcp(&h, &g, 5, ACK);
	host_behaved(&h);
}
END_TEST

/* ---- To the host -------------------------------------------------------- */

/* Reads of `size` bytes until the phone has no more to say: their lengths. */
static int
read_all(size_t size, size_t lens[], int most)
{
	static uint8_t buffer[200000];
	size_t total = 0;
	bool babble;
	int n = 0;

	while (n < most &&
	    frame_in(&frame, buffer + total, size, &lens[n], &babble)) {
		ck_assert(!babble);
		ck_assert_uint_le(lens[n], size);
		total += lens[n++];
	}
	ck_assert_mem_eq(buffer, bytes, total);
	return n;
}

static void
expect_reads(size_t packet, size_t size, int count, const size_t expected[])
{
	size_t lens[200];

	ck_assert_int_eq(mux_inject(&h.mux, bytes, packet), 0);
	ck_assert_int_eq(read_all(size, lens, 200), count);
	for (int i = 0; i < count; i++)
		ck_assert_uint_eq(lens[i], expected[i]);
}

#define EXPECT_READS(packet, size, ...)                                 \
	do {                                                            \
		const size_t expected[] = { __VA_ARGS__ };              \
		expect_reads((packet), (size), UNIT_COUNT(expected), expected); \
	} while (0)

START_TEST(in_reads)
{
	set_up(max_packets[_i]);
	EXPECT_READS(1, 16384, 1);
	EXPECT_READS(16383, 16384, 16383);
	EXPECT_READS(16384, 16384, 16384, 0);
	EXPECT_READS(16385, 16384, 16384, 1);
	EXPECT_READS(32768, 16384, 16384, 16384, 0);
	EXPECT_READS(40000, 16384, 16384, 16384, 7232);
	EXPECT_READS(49152, 16384, 16384, 16384, 16384, 0);
	EXPECT_READS(49152, 65536, 49152);
	EXPECT_READS(65535, 65536, 65535);
	EXPECT_READS(65536, 65536, 65536, 0);
	EXPECT_READS(1024, 1024, 1024, 0);
	EXPECT_READS(2048, 1024, 1024, 1024, 0);
	EXPECT_READS(2049, 1024, 1024, 1024, 1);
	EXPECT_READS(0, 16384, 0);
}
END_TEST

START_TEST(in_counts_zlps)
{
	set_up(512);
	EXPECT_READS(512, 16384, 512); /* the ZLP ends the read */
	ck_assert_uint_eq(h.mux.count.zlps_out, 1);
	EXPECT_READS(512, 512, 512, 0); /* it is a read of its own */
	ck_assert_uint_eq(h.mux.count.zlps_out, 2);
	EXPECT_READS(511, 512, 511);
	ck_assert_uint_eq(h.mux.count.zlps_out, 2);
}
END_TEST

START_TEST(in_never_merges)
{
	size_t lens[10];

	set_up(512);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mux_inject(&h.mux, bytes, 10), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(read_all(16384, lens, 1), 1);
		ck_assert_uint_eq(lens[0], 10);
	}
	ck_assert_int_eq(read_all(16384, lens, 1), 0);
}
END_TEST

START_TEST(in_babble)
{
	uint8_t buffer[1000];
	size_t len;
	bool babble;

	set_up(512);
	ck_assert_int_eq(mux_inject(&h.mux, bytes, 2000), 0);
	ck_assert(frame_in(&frame, buffer, sizeof buffer, &len, &babble));
	ck_assert(babble);
	ck_assert_uint_eq(len, 1000);
	ck_assert_mem_eq(buffer, bytes, 1000);
	/* What did not fit of the second USB packet is lost. */
	ck_assert(frame_in(&frame, buffer, sizeof buffer, &len, &babble));
	ck_assert(!babble);
	ck_assert_uint_eq(len, 2000 - 1024);
	ck_assert_mem_eq(buffer, bytes + 1024, len);
	ck_assert(!frame_in(&frame, buffer, sizeof buffer, &len, &babble));
}
END_TEST

START_TEST(in_begins_anew)
{
	size_t lens[2];

	set_up(512);
	ck_assert_int_eq(mux_inject(&h.mux, bytes, 5000), 0);
	ck_assert_int_eq(mux_inject(&h.mux, bytes, 5), 0);
	ck_assert_int_eq(read_all(1024, lens, 1), 1);
	frame_reset_in(&frame);
	ck_assert_int_eq(read_all(1024, lens, 2), 1);
	ck_assert_uint_eq(lens[0], 5);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/frame");
	TCase *t = tcase_create("out");

	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_loop_test(t, out_whole_packets, 0, 4 * UNIT_COUNT(cuts));
	tcase_add_test(t, out_waits_for_the_end);
	tcase_add_test(t, out_flag_means_nothing_when_short);
	tcase_add_test(t, out_begins_anew);
	suite_add_tcase(s, t);

	t = tcase_create("in");
	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_loop_test(t, in_reads, 0, UNIT_COUNT(max_packets));
	tcase_add_test(t, in_counts_zlps);
	tcase_add_test(t, in_never_merges);
	tcase_add_test(t, in_babble);
	tcase_add_test(t, in_begins_anew);
	suite_add_tcase(s, t);
	return unit_run(s);
}
