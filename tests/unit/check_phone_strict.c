/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The judge: each fault of a host's is counted, once, under its own name. */
#include <check.h>
#include <string.h>

#include "base/json.h"
#include "phone/frame.h"
#include "phone_host.h"
#include "unit.h"

static struct host h;
static struct got g;
static struct frame frame;

static void
set_up(void)
{
	host_up(&h, 2);
	frame_init(&frame, &h.mux, 512);
}

static void
take_down(void)
{
	host_fini(&h);
}

/* A TCP packet with a connection to discard at hand: seq and ack are 1. */
static void
open_5(void)
{
	host_connect(&h, 5, 9, HOST_WINDOW);
	host_behaved(&h);
}

/* ---- Framing ------------------------------------------------------------ */

START_TEST(length_too_large)
{
	static const uint8_t raw[] = {
		0, 0, 0, 6, 0, 0, 0, 37, 0xfe, 0xed, 0xfa, 0xce, 0, 1, 0, 0,
		0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 4, 2, 0, 0, 0, 0, 0,
	};

	mux_input(&h.mux, raw, sizeof raw);
	host_violated(&h, STRICT_LENGTH);
	/* The lost packet's number is not missed. */
	h.tx_seq = 2;
	host_tcp(&h, 5, 9, 0, 0, RST, 0, NULL, 0);
	host_violated(&h, STRICT_LENGTH);
}
END_TEST

START_TEST(length_too_small)
{
	uint8_t raw[64] = { 0, 0, 0, 6, 0, 0, 0, 36 };

	mux_input(&h.mux, raw, sizeof raw);
	host_violated(&h, STRICT_LENGTH);
}
END_TEST

START_TEST(shorter_than_a_header)
{
	static const uint8_t raw[15] = { 0, 0, 0, 6, 0, 0, 0, 15 };

	mux_input(&h.mux, raw, (size_t)_i);
	host_violated(&h, STRICT_LENGTH);
}
END_TEST

START_TEST(packet_too_long)
{
	static uint8_t data[16384];

	for (int i = 0; i < 4; i++)
		frame_out(&frame, data, sizeof data, false);
	host_behaved(&h);
	frame_out(&frame, NULL, 0, false);
	host_violated(&h, STRICT_TOO_LONG);
}
END_TEST

/* A packet of the host's of `len` bytes, to discard. */
static uint8_t *
make_packet(size_t len, uint16_t tx_seq, uint32_t seq)
{
	static uint8_t raw[70000];
	const uint8_t head[36] = {
		0, 0, 0, 6, 0, (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len, 0xfe, 0xed, 0xfa, 0xce, (uint8_t)(tx_seq >> 8),
		(uint8_t)tx_seq, 0, 0, 0, 5, 0, 9, (uint8_t)(seq >> 24),
		(uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0,
		0, 1, 0x50, ACK, 2, 0, 0, 0, 0, 0,
	};

	memcpy(raw, head, sizeof head);
	return raw;
}

START_TEST(zlp_missing)
{
	open_5();
	frame_out(&frame, make_packet(1024, h.tx_seq, 1), 1024, false);
	host_behaved(&h);
	frame_out(&frame, make_packet(100, (uint16_t)(h.tx_seq + 1), 989), 100,
	    false);
	host_violated(&h, STRICT_ZLP_MISSING);
	ck_assert_uint_eq(h.mux.count.packets_in, 6);
}
END_TEST

START_TEST(zlp_needless)
{
	open_5();
	frame_out(&frame, make_packet(100, h.tx_seq, 1), 100, false);
	host_behaved(&h);
	frame_out(&frame, NULL, 0, false);
	host_violated(&h, STRICT_ZLP_NEEDLESS);
}
END_TEST

START_TEST(zlp_twice)
{
	open_5();
	frame_out(&frame, make_packet(512, h.tx_seq, 1), 512, true);
	host_behaved(&h);
	frame_out(&frame, NULL, 0, false);
	host_violated(&h, STRICT_ZLP_NEEDLESS);
}
END_TEST

START_TEST(zlp_too_early)
{
	open_5();
	frame_out(&frame, make_packet(1000, h.tx_seq, 1), 512, true);
	host_violated(&h, STRICT_LENGTH);
}
END_TEST

/* ---- Mux header --------------------------------------------------------- */

static void
send_header(uint32_t magic, uint16_t tx_seq, uint8_t protocol)
{
	const uint8_t raw[16] = {
		0, 0, 0, protocol, 0, 0, 0, 16, (uint8_t)(magic >> 24),
		(uint8_t)(magic >> 16), (uint8_t)(magic >> 8), (uint8_t)magic,
		(uint8_t)(tx_seq >> 8), (uint8_t)tx_seq, 0, 0,
	};

	mux_input(&h.mux, raw, sizeof raw);
}

START_TEST(magic)
{
	send_header(0xfaceface, 1, 1);
	host_violated(&h, STRICT_MAGIC);
}
END_TEST

START_TEST(tx_seq_gap)
{
	send_header(0xfeedface, 1, 1);
	host_behaved(&h);
	send_header(0xfeedface, 3, 1);
	host_violated(&h, STRICT_TX_SEQ);
	send_header(0xfeedface, 4, 1);
	host_violated(&h, STRICT_TX_SEQ);
}
END_TEST

START_TEST(tx_seq_repeated)
{
	send_header(0xfeedface, 1, 1);
	send_header(0xfeedface, 1, 1);
	host_violated(&h, STRICT_TX_SEQ);
}
END_TEST

START_TEST(tx_seq_from_setup)
{
	send_header(0xfeedface, 0, 1);
	host_violated(&h, STRICT_TX_SEQ);
}
END_TEST

START_TEST(protocol)
{
	host_send(&h, 99, "x", 1);
	host_violated(&h, STRICT_PROTOCOL);
}
END_TEST

/* ---- Session ------------------------------------------------------------ */

static const uint8_t bad_versions[][20] = {
	{ 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 3 },
	{ 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0 },
	{ 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 1 },
	{ 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9 },
	{ 0, 0, 0, 0, 0, 0, 0, 19, 0, 0, 0, 2 },
	{ 0, 0, 0, 0, 0, 0, 0, 8 },
};

START_TEST(version_malformed)
{
	const uint8_t *raw = bad_versions[_i];

	host_fini(&h);
	host_init(&h, 2);
	mux_input(&h.mux, raw, raw[7]);
	host_violated(&h, STRICT_VERSION);
}
END_TEST

START_TEST(version_amid_connections)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };

	open_5();
	h.version = 1;
	host_send(&h, 0, ask, sizeof ask);
	host_violated(&h, STRICT_VERSION);
	ck_assert_uint_eq(h.mux.live, 0);
	host_get(&h, &g); /* it is answered all the same */
	ck_assert_uint_eq(g.protocol, 0);
}
END_TEST

static void
agree(unsigned version)
{
	static const uint8_t ask[12] = { 0, 0, 0, 2 };

	host_fini(&h);
	host_init(&h, version);
	host_send(&h, 0, ask, sizeof ask);
	host_get(&h, &g);
	host_behaved(&h);
	h.version = version;
}

START_TEST(setup_malformed)
{
	agree(2);
	switch (_i) {
	case 0:
		host_send(&h, 2, "\6", 1);
		break;
	case 1:
		host_send(&h, 2, "\7\7", 2);
		break;
	case 2:
		host_send(&h, 2, NULL, 0);
		break;
	case 3:
		h.tx_seq = 1;
		host_send(&h, 2, "\7", 1);
		break;
	case 4:
		h.rx_seq = 0;
		host_send(&h, 2, "\7", 1);
		break;
	}
	host_violated(&h, STRICT_SETUP);
}
END_TEST

START_TEST(setup_repeated)
{
	host_send(&h, 2, "\7", 1);
	host_violated(&h, STRICT_SETUP);
}
END_TEST

START_TEST(setup_to_version_1)
{
	agree(1);
	host_send(&h, 2, "\7", 1);
	host_violated(&h, STRICT_SETUP);
}
END_TEST

START_TEST(before_version)
{
	host_fini(&h);
	host_init(&h, 2);
	h.version = 2;
	if (_i == 0)
		host_tcp(&h, 5, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	else
		host_send(&h, 2, "\7", 1);
	host_violated(&h, STRICT_ORDER);
	host_nothing(&h);
}
END_TEST

START_TEST(before_setup)
{
	agree(2);
	host_tcp(&h, 5, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_ORDER);
	host_nothing(&h);
}
END_TEST

/* ---- TCP header --------------------------------------------------------- */

START_TEST(tcp_header_short)
{
	static const uint8_t body[19] = { 0, 5, 0, 9 };

	host_send(&h, 6, body, sizeof body);
	host_violated(&h, STRICT_TCP_HEADER);
}
END_TEST

static void
send_tcp_with(size_t at, uint8_t value)
{
	uint8_t body[24] = {
		0, 5, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, ACK, 2, 0,
	};

	open_5();
	body[at] = value;
	host_send(&h, 6, body, 20);
}

START_TEST(tcp_options)
{
	send_tcp_with(12, 0x60);
	host_violated(&h, STRICT_TCP_HEADER);
}
END_TEST

START_TEST(reserved_bits)
{
	static const size_t where[] = { 12, 16, 17, 18, 19 };

	send_tcp_with(where[_i], where[_i] == 12 ? 0x51 : 1);
	host_violated(&h, STRICT_RESERVED);
}
END_TEST

START_TEST(flags)
{
	static const uint8_t wrong[] = {
		0, FIN, PSH, FIN | ACK, PSH | ACK, SYN | ACK, 0x20 | ACK,
		SYN | RST, 0x40 | ACK,
	};

	send_tcp_with(13, wrong[_i]);
	host_violated(&h, STRICT_FLAGS);
}
END_TEST

/* ---- Connections -------------------------------------------------------- */

START_TEST(syn_with_data)
{
	host_tcp(&h, 5, 9, 0, 0, SYN, HOST_WINDOW, "x", 1);
	host_violated(&h, STRICT_SYN);
}
END_TEST

START_TEST(syn_with_acknowledgement)
{
	host_tcp(&h, 5, 9, 0, 1, SYN, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_SYN);
}
END_TEST

START_TEST(syn_on_live)
{
	open_5();
	host_tcp(&h, 5, _i == 0 ? 9 : 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_SYN_LIVE);
	host_get_tcp(&h, &g, 5, RST);
}
END_TEST

/* The host cannot have seen a RST that has not left. */
START_TEST(syn_before_our_rst_left)
{
	host_connect(&h, 5, 13, HOST_WINDOW);
	for (int i = 0; i < 3; i++) /* 100000 bytes are three packets */
		host_get_tcp(&h, &g, 5, ACK);
	host_tcp(&h, 5, 7, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_SYN_LIVE);
}
END_TEST

START_TEST(unknown_connection)
{
	if (_i == 0)
		host_tcp(&h, 5, 9, 100, 200, ACK, HOST_WINDOW, "abc", 3);
	else {
		open_5();
		host_tcp(&h, 5, 7, 100, 200, ACK, HOST_WINDOW, "abc", 3);
	}
	host_violated(&h, STRICT_UNKNOWN);
	host_get_tcp(&h, &g, 5, RST);
	ck_assert_uint_eq(g.ack, 103);
}
END_TEST

START_TEST(unknown_after_own_rst)
{
	open_5();
	host_tcp(&h, 5, 9, 1, 1, RST, 0, NULL, 0);
	host_tcp(&h, 5, 9, 1, 1, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_UNKNOWN);
}
END_TEST

START_TEST(unknown_after_refusal)
{
	host_tcp(&h, 5, 4, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, RST);
	host_tcp(&h, 5, 4, 1, 1, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_UNKNOWN);
}
END_TEST

START_TEST(ack_before_syn_ack)
{
	host_tcp(&h, 5, 9, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_tcp(&h, 5, 9, 1, 1, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_HANDSHAKE);
}
END_TEST

START_TEST(handshake_not_taken)
{
	host_tcp(&h, 5, 9, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	host_tcp(&h, 5, 9, 1, 0, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_HANDSHAKE);
}
END_TEST

START_TEST(wrong_seq)
{
	static const uint32_t wrong[] = { 0, 2, 0xffffffff };

	open_5();
	host_tcp(&h, 5, 9, wrong[_i], 1, ACK, HOST_WINDOW, "abc", 3);
	host_violated(&h, STRICT_SEQ);
	host_get_tcp(&h, &g, 5, RST);
	/* It is counted once, whatever comes behind it. */
	host_tcp(&h, 5, 9, 700, 900, ACK, HOST_WINDOW, "abc", 3);
	host_violated(&h, STRICT_SEQ);
}
END_TEST

START_TEST(ack_ahead)
{
	open_5();
	host_tcp(&h, 5, 9, 1, 2, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_ACK_AHEAD);
}
END_TEST

START_TEST(ack_backward)
{
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, "abc", 3);
	host_get_tcp(&h, &g, 5, ACK);
	host_tcp(&h, 5, 7, 4, 4, ACK, HOST_WINDOW, NULL, 0);
	host_behaved(&h);
	host_tcp(&h, 5, 7, 4, 3, ACK, HOST_WINDOW, NULL, 0);
	host_violated(&h, STRICT_ACK_BACKWARD);
}
END_TEST

START_TEST(past_the_window)
{
	static uint8_t data[1025];

	mux_set_window(&h.mux, 1024);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, data, 1024);
	host_behaved(&h);
	host_tcp(&h, 5, 7, 1025, 1, ACK, HOST_WINDOW, data, 1);
	host_violated(&h, STRICT_WINDOW);
	host_get_tcp(&h, &g, 5, RST);
	host_tcp(&h, 5, 7, 1026, 1, ACK, HOST_WINDOW, data, 1025);
	host_violated(&h, STRICT_WINDOW);
}
END_TEST

START_TEST(past_a_shrunk_window)
{
	static uint8_t data[2000];

	mux_set_window(&h.mux, 2048);
	host_connect(&h, 5, 9, HOST_WINDOW);
	host_tcp(&h, 5, 9, 1, 1, ACK, HOST_WINDOW, data, 2000);
	mux_set_window(&h.mux, 256);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.ack + g.window, 2001 + 256);
	host_tcp(&h, 5, 9, 2001, 1, ACK, HOST_WINDOW, data, 256);
	host_behaved(&h);
	host_tcp(&h, 5, 9, 2257, 1, ACK, HOST_WINDOW, data, 1);
	host_violated(&h, STRICT_WINDOW);
}
END_TEST

START_TEST(names_are_stable)
{
	struct json j;

	open_5();
	host_tcp(&h, 5, 9, 9, 1, ACK, HOST_WINDOW, "x", 1);
	json_init(&j);
	json_object(&j, NULL);
	strict_report(&h.strict, &j);
	json_end(&j);
	ck_assert_str_eq(json_text(&j),
	    "{\"violations\":1,\"by_kind\":{\"length\":0,\"too_long\":0,"
	    "\"zlp_missing\":0,\"zlp_needless\":0,\"magic\":0,\"tx_seq\":0,"
	    "\"protocol\":0,\"version\":0,\"setup\":0,\"order\":0,"
	    "\"tcp_header\":0,\"reserved\":0,\"flags\":0,\"syn\":0,"
	    "\"syn_live\":0,\"unknown_connection\":0,\"handshake\":0,"
	    "\"seq\":1,\"ack_ahead\":0,\"ack_backward\":0,\"window\":0}}");
	json_fini(&j);
}
END_TEST


int
main(void)
{
	Suite *s = suite_create("phone/strict");
	TCase *t = tcase_create("framing");

	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, length_too_large);
	tcase_add_test(t, length_too_small);
	tcase_add_loop_test(t, shorter_than_a_header, 1, 16);
	tcase_add_test(t, packet_too_long);
	tcase_add_test(t, zlp_missing);
	tcase_add_test(t, zlp_needless);
	tcase_add_test(t, zlp_twice);
	tcase_add_test(t, zlp_too_early);
	suite_add_tcase(s, t);

	t = tcase_create("session");
	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, magic);
	tcase_add_test(t, tx_seq_gap);
	tcase_add_test(t, tx_seq_repeated);
	tcase_add_test(t, tx_seq_from_setup);
	tcase_add_test(t, protocol);
	tcase_add_loop_test(t, version_malformed, 0, UNIT_COUNT(bad_versions));
	tcase_add_test(t, version_amid_connections);
	tcase_add_loop_test(t, setup_malformed, 0, 5);
	tcase_add_test(t, setup_repeated);
	tcase_add_test(t, setup_to_version_1);
	tcase_add_loop_test(t, before_version, 0, 2);
	tcase_add_test(t, before_setup);
	suite_add_tcase(s, t);

	t = tcase_create("tcp");
	tcase_add_checked_fixture(t, set_up, take_down);
	tcase_add_test(t, tcp_header_short);
	tcase_add_test(t, tcp_options);
	tcase_add_loop_test(t, reserved_bits, 0, 5);
	tcase_add_loop_test(t, flags, 0, 9);
	tcase_add_test(t, syn_with_data);
	tcase_add_test(t, syn_with_acknowledgement);
	tcase_add_loop_test(t, syn_on_live, 0, 2);
	tcase_add_test(t, syn_before_our_rst_left);
	tcase_add_loop_test(t, unknown_connection, 0, 2);
	tcase_add_test(t, unknown_after_own_rst);
	tcase_add_test(t, unknown_after_refusal);
	tcase_add_test(t, ack_before_syn_ack);
	tcase_add_test(t, handshake_not_taken);
	tcase_add_loop_test(t, wrong_seq, 0, 3);
	tcase_add_test(t, ack_ahead);
	tcase_add_test(t, ack_backward);
	tcase_add_test(t, past_the_window);
	tcase_add_test(t, past_a_shrunk_window);
	tcase_add_test(t, names_are_stable);
	suite_add_tcase(s, t);
	return unit_run(s);
}
