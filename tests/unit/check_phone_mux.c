/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The phone's side of the mux protocol, packet by packet. */
#include <check.h>
#include <string.h>

#include "phone/port.h"
#include "phone_host.h"
#include "unit.h"

static struct host h;
static struct got g;

static void
take_down(void)
{
	host_fini(&h);
}

/* ---- The first bytes, as they stand on the bus -------------------------- */

static const uint8_t ask_2[] = {
	0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
};

static void
expect_bytes(const void *bytes, size_t len)
{
	ck_assert(mux_next(&h.mux));
	ck_assert_uint_eq(h.mux.out.left, len);
	mux_take(&h.mux, g.raw, len);
	ck_assert_mem_eq(g.raw, bytes, len);
}

START_TEST(version_2_bytes)
{
	static const uint8_t setup[] = {
		0, 0, 0, 2, 0, 0, 0, 17, 0xfe, 0xed, 0xfa, 0xce,
		0, 0, 0xff, 0xff, 7,
	};
	static const uint8_t syn[] = {
		0, 0, 0, 6, 0, 0, 0, 36, 0xfe, 0xed, 0xfa, 0xce, 0, 1, 0, 0,
		0x12, 0x34, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 2, 0,
		0, 0, 0, 0,
	};
	static const uint8_t syn_ack[] = {
		0, 0, 0, 6, 0, 0, 0, 36, 0xfe, 0xed, 0xfa, 0xce, 0, 1, 0, 1,
		0, 7, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 1, 0x50, 0x12, 2, 0,
		0, 0, 0, 0,
	};

	host_init(&h, 2);
	mux_input(&h.mux, ask_2, sizeof ask_2);
	expect_bytes(ask_2, sizeof ask_2);
	host_nothing(&h);
	mux_input(&h.mux, setup, sizeof setup);
	host_get(&h, &g); /* its word to the log */
	mux_input(&h.mux, syn, sizeof syn);
	expect_bytes(syn_ack, sizeof syn_ack);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(version_1_bytes)
{
	static const uint8_t answer[] = {
		0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t syn[] = {
		0, 0, 0, 6, 0, 0, 0, 28, 0x12, 0x34, 0, 7, 0, 0, 0, 0,
		0, 0, 0, 0, 0x50, 2, 2, 0, 0, 0, 0, 0,
	};
	static const uint8_t syn_ack[] = {
		0, 0, 0, 6, 0, 0, 0, 28, 0, 7, 0x12, 0x34, 0, 0, 0, 0,
		0, 0, 0, 1, 0x50, 0x12, 2, 0, 0, 0, 0, 0,
	};

	host_init(&h, 1);
	mux_input(&h.mux, ask_2, sizeof ask_2);
	expect_bytes(answer, sizeof answer);
	host_get(&h, &g);
	mux_input(&h.mux, syn, sizeof syn);
	expect_bytes(syn_ack, sizeof syn_ack);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(other_magic)
{
	struct cause why;

	host_init(&h, 2);
	ck_assert_int_eq(identity_init(&h.id, 2, NULL, 0, &why), 0);
	mux_fini(&h.mux);
	mux_init(&h.mux, &h.strict, &h.id);
	ck_assert_uint_eq(h.mux.set.magic, 0xfaceface);
}
END_TEST

/* ---- Session ------------------------------------------------------------ */

START_TEST(mute_hears_nothing)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };

	host_init(&h, 2);
	h.mux.set.mute = true;
	host_send(&h, 0, ask, sizeof ask);
	host_nothing(&h);
	h.mux.set.mute = false;
	/* The host asks again, and once more before the answer came. */
	host_send(&h, 0, ask, sizeof ask);
	host_send(&h, 0, ask, sizeof ask);
	host_get(&h, &g);
	ck_assert_uint_eq(g.protocol, 0);
	h.version = 2;
	host_send(&h, 2, "\7", 1);
	host_get(&h, &g);
	ck_assert_uint_eq(g.protocol, 1);
	h.mux.set.mute = true;
	host_tcp(&h, 5, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(begins_again_after_reset)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };

	host_up(&h, 2);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, "abc", 3);
	mux_reset(&h.mux);
	host_nothing(&h);
	ck_assert_uint_eq(h.mux.live, 0);
	h.version = 1;
	h.tx_seq = 0;
	h.rx_seq = 0xffff;
	host_send(&h, 0, ask, sizeof ask);
	host_get(&h, &g);
	h.version = 2;
	host_send(&h, 2, "\7", 1);
	host_get(&h, &g);
	ck_assert_uint_eq(g.tx_seq, 0);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_behaved(&h);
}
END_TEST

START_TEST(begins_again_by_version)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };

	host_up(&h, 2);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, RST, 0, NULL, 0);
	h.version = 1;
	host_send(&h, 0, ask, sizeof ask);
	host_get(&h, &g);
	ck_assert_uint_eq(g.protocol, 0);
	host_behaved(&h);
}
END_TEST

START_TEST(numbers_its_packets)
{
	host_up(&h, 2);
	for (uint16_t i = 0; i < 3; i++) {
		host_tcp(&h, (uint16_t)(10 + i), 7, 0, 0, SYN, HOST_WINDOW,
		    NULL, 0);
		host_get_tcp(&h, &g, (uint16_t)(10 + i), SYN | ACK);
		ck_assert_uint_eq(g.tx_seq, 1u + i);
		ck_assert_uint_eq(g.rx_seq, 1u + i);
	}
	host_behaved(&h);
}
END_TEST

START_TEST(host_sequence_wraps)
{
	host_up(&h, 2);
	for (unsigned i = 0; i < 70000; i++)
		host_tcp(&h, 5, 7, 0, 0, RST, 0, NULL, 0);
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.rst_received, 70000);
}
END_TEST

START_TEST(injected_raw)
{
	static uint8_t big[MUX_INJECT_MAX + 1];

	host_up(&h, 2);
	ck_assert_int_eq(mux_inject(&h.mux, "\1\2\3", 3), 0);
	ck_assert_int_eq(mux_inject(&h.mux, big, MUX_INJECT_MAX), 0);
	ck_assert_int_eq(mux_inject(&h.mux, big, sizeof big), -1);
	ck_assert_int_eq(mux_inject(&h.mux, NULL, 0), 0);
	expect_bytes("\1\2\3", 3);
	expect_bytes(big, MUX_INJECT_MAX);
	expect_bytes("", 0);
	host_nothing(&h);
}
END_TEST

/* ---- Connections -------------------------------------------------------- */

START_TEST(refuses)
{
	host_up(&h, 2);
	host_tcp(&h, 5, 4, 7000, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, RST);
	ck_assert_uint_eq(g.dport, 4);
	ck_assert_uint_eq(g.ack, 7001);
	ck_assert_uint_gt(g.data_len, 10);
	ck_assert_ptr_nonnull(memmem(g.data, g.data_len, "failure 61", 10));
	/* The client may have given up meanwhile. */
	host_tcp(&h, 5, 4, 7001, 0, RST, HOST_WINDOW, NULL, 0);
	host_tcp(&h, 5, 4, 9, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, RST);
	host_nothing(&h);
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.refused, 2);
	ck_assert_uint_eq(h.mux.live, 0);
}
END_TEST

START_TEST(refuses_on_demand)
{
	host_up(&h, 2);
	mux_refuse(&h.mux, 7, true);
	host_tcp(&h, 5, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, RST);
	host_connect(&h, 6, 9, HOST_WINDOW);
	mux_refuse(&h.mux, 7, false);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_behaved(&h);
}
END_TEST

START_TEST(echoes)
{
	host_up(&h, (unsigned)_i);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, "hello", 5);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.seq, 1);
	ck_assert_uint_eq(g.ack, 6);
	ck_assert_uint_eq(g.window, MUX_WINDOW_USUAL);
	ck_assert_uint_eq(g.data_len, 5);
	ck_assert_mem_eq(g.data, "hello", 5);
	host_nothing(&h);
	host_tcp(&h, 5, 7, 6, 6, ACK, HOST_WINDOW, NULL, 0);
	host_nothing(&h);
	host_tcp(&h, 5, 7, 6, 6, RST, 0, NULL, 0);
	host_nothing(&h);
	ck_assert_uint_eq(h.mux.live, 0);
	host_behaved(&h);
}
END_TEST

START_TEST(first_data_in_handshake)
{
	host_up(&h, 2);
	host_tcp(&h, 5, 7, 100, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	ck_assert_uint_eq(g.ack, 101);
	host_tcp(&h, 5, 7, 101, 1, ACK, HOST_WINDOW, "hi", 2);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.ack, 103);
	ck_assert_mem_eq(g.data, "hi", 2);
	host_behaved(&h);
}
END_TEST

START_TEST(sequence_numbers_wrap)
{
	static uint8_t data[600];
	uint32_t seq = 0xffffff00, ack = 0xfffffe01;

	host_up(&h, 2);
	h.mux.set.first_seq = 0xfffffe00;
	host_tcp(&h, 5, 7, 0xfffffeff, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	ck_assert_uint_eq(g.seq, 0xfffffe00);
	ck_assert_uint_eq(g.ack, seq);
	for (int i = 0; i < 4; i++) {
		memset(data, i, sizeof data);
		host_tcp(&h, 5, 7, seq, ack, ACK, HOST_WINDOW, data,
		    sizeof data);
		seq += sizeof data;
		host_get_tcp(&h, &g, 5, ACK);
		ck_assert_uint_eq(g.seq, ack);
		ck_assert_uint_eq(g.ack, seq);
		ck_assert_uint_eq(g.data_len, sizeof data);
		ck_assert_mem_eq(g.data, data, sizeof data);
		ack += sizeof data;
	}
	host_behaved(&h);
}
END_TEST

START_TEST(discards)
{
	static uint8_t data[40000];
	uint32_t seq = 1;

	host_up(&h, 2);
	host_connect(&h, 5, 9, HOST_WINDOW);
	for (int i = 0; i < 100; i++) {
		host_tcp(&h, 5, 9, seq, 1, ACK, HOST_WINDOW, data,
		    sizeof data);
		seq += sizeof data;
		host_get_tcp(&h, &g, 5, ACK);
		ck_assert_uint_eq(g.ack, seq);
		ck_assert_uint_eq(g.data_len, 0);
		host_nothing(&h);
	}
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.acks_out, 100);
}
END_TEST

START_TEST(greets_behind_syn_ack)
{
	const size_t len = strlen(PORT_GREETING);

	host_up(&h, 2);
	host_tcp(&h, 5, 1, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	ck_assert_uint_eq(g.data_len, 0);
	host_get_tcp(&h, &g, 5, ACK); /* before our ACK */
	ck_assert_uint_eq(g.seq, 1);
	ck_assert_uint_eq(g.data_len, len);
	ck_assert_mem_eq(g.data, PORT_GREETING, len);
	host_nothing(&h);
	host_tcp(&h, 5, 1, 1, 1, ACK, HOST_WINDOW, NULL, 0);
	host_tcp(&h, 5, 1, 1, 1 + (uint32_t)len, ACK, HOST_WINDOW, "x", 1);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.ack, 2);
	ck_assert_uint_eq(g.data_len, 1);
	host_behaved(&h);
}
END_TEST

START_TEST(greets_within_syn_ack)
{
	const size_t len = strlen(PORT_GREETING);

	host_up(&h, 2);
	host_tcp(&h, 5, 2, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	ck_assert_uint_eq(g.data_len, len);
	ck_assert_mem_eq(g.data, PORT_GREETING, len);
	host_nothing(&h);
	host_tcp(&h, 5, 2, 1, 1 + (uint32_t)len, ACK, HOST_WINDOW, "x", 1);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.seq, 1 + len);
	ck_assert_uint_eq(g.ack, 2);
	host_behaved(&h);
}
END_TEST

START_TEST(connections_take_turns)
{
	uint16_t last = 0;

	host_up(&h, 2);
	for (uint16_t i = 1; i <= 3; i++)
		host_connect(&h, i, 19, 0);
	host_nothing(&h);
	for (uint16_t i = 1; i <= 3; i++)
		host_tcp(&h, i, 19, 1, 1, ACK, 4 * HOST_WINDOW, NULL, 0);
	for (int i = 0; i < 12; i++) {
		host_get(&h, &g);
		ck_assert_uint_eq(g.protocol, 6);
		ck_assert_uint_eq(g.sport, last % 3 + 1);
		last = g.sport;
	}
	host_behaved(&h);
}
END_TEST

START_TEST(too_many_answers_close_the_door)
{
	host_up(&h, 2);
	for (unsigned i = 1; i <= MUX_REPLIES_MAX; i++) {
		ck_assert(mux_accepts(&h.mux));
		host_tcp(&h, (uint16_t)i, 4, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	}
	ck_assert(!mux_accepts(&h.mux));
	host_get(&h, &g);
	ck_assert(mux_accepts(&h.mux));
	host_behaved(&h);
}
END_TEST

START_TEST(too_many_connections_are_refused)
{
	host_up(&h, 2);
	for (unsigned i = 1; i <= MUX_LIVE_MAX; i++)
		host_connect(&h, (uint16_t)i, 7, HOST_WINDOW);
	host_tcp(&h, 30000, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 30000, RST);
	host_tcp(&h, 1, 7, 1, 1, RST, 0, NULL, 0);
	host_connect(&h, 30000, 7, HOST_WINDOW);
	host_behaved(&h);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/mux");
	TCase *t = tcase_create("session");

	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_test(t, version_2_bytes);
	tcase_add_test(t, version_1_bytes);
	tcase_add_test(t, other_magic);
	tcase_add_test(t, mute_hears_nothing);
	tcase_add_test(t, begins_again_after_reset);
	tcase_add_test(t, begins_again_by_version);
	tcase_add_test(t, numbers_its_packets);
	tcase_add_test(t, host_sequence_wraps);
	tcase_add_test(t, injected_raw);
	suite_add_tcase(s, t);

	t = tcase_create("connections");
	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_test(t, refuses);
	tcase_add_test(t, refuses_on_demand);
	tcase_add_loop_test(t, echoes, 1, 3);
	tcase_add_test(t, first_data_in_handshake);
	tcase_add_test(t, sequence_numbers_wrap);
	tcase_add_test(t, discards);
	tcase_add_test(t, greets_behind_syn_ack);
	tcase_add_test(t, greets_within_syn_ack);
	tcase_add_test(t, connections_take_turns);
	tcase_add_test(t, too_many_answers_close_the_door);
	tcase_add_test(t, too_many_connections_are_refused);
	suite_add_tcase(s, t);
	return unit_run(s);
}
