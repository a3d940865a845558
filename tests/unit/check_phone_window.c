/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both windows of a connection, and its ends: what is legal, and what is sent. */
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

/* ---- Windows ------------------------------------------------------------ */

START_TEST(respects_the_hosts_window)
{
	size_t sent = 0;

	host_up(&h, 2);
	host_connect(&h, 5, 19, 400); /* 102400 bytes */
	while (mux_next(&h.mux)) {
		host_get_tcp(&h, &g, 5, ACK);
		ck_assert_uint_le(g.len, MUX_PACKET_USUAL);
		sent += g.data_len;
	}
	ck_assert_uint_eq(sent, 102400);
	ck_assert_uint_eq(h.mux.count.windows_full, 1);
	/* 1000 bytes are acknowledged: 1000 more. */
	host_tcp(&h, 5, 19, 1, 1001, ACK, 400, NULL, 0);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.data_len, 1000);
	host_nothing(&h);
	/* The window shrinks to less than is under way, and to nothing. */
	host_tcp(&h, 5, 19, 1, 2001, ACK, 100, NULL, 0);
	host_nothing(&h);
	host_tcp(&h, 5, 19, 1, 103401, ACK, 0, NULL, 0);
	host_nothing(&h);
	/* It opens without an acknowledgement. */
	host_tcp(&h, 5, 19, 1, 103401, ACK, 1, NULL, 0);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.data_len, 256);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(echo_closes_its_window)
{
	static uint8_t data[32768];
	uint32_t seq = 1;
	size_t back = 0;

	host_up(&h, 2);
	host_connect(&h, 5, 7, 1); /* we take 256 bytes back at a time */
	for (int i = 0; i < 4; i++) {
		memset(data, 'a' + i, sizeof data);
		host_tcp(&h, 5, 7, seq, 1, ACK, 1, data, sizeof data);
		seq += sizeof data;
	}
	host_behaved(&h); /* exactly the window */
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.data_len, 256);
	ck_assert_uint_eq(g.ack, 257);
	host_nothing(&h);
	while (back < 4 * sizeof data) {
		for (size_t i = 0; i < g.data_len; i++)
			HOLDS(g.data[i] == 'a' + (back + i) / sizeof data,
			    "byte %zu", back + i);
		back += g.data_len;
		host_tcp(&h, 5, 7, seq, 1 + (uint32_t)back, ACK, 100, NULL, 0);
		if (back < 4 * sizeof data)
			host_get_tcp(&h, &g, 5, ACK);
	}
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(window_shrinks_honestly)
{
	static uint8_t data[40000];
	uint32_t seq = 1;

	host_up(&h, 2);
	host_connect(&h, 5, 9, HOST_WINDOW);
	mux_set_window(&h.mux, 1024);
	/* The host does not know yet: all of the old window is its own. */
	for (int i = 0; i < 3; i++) {
		host_tcp(&h, 5, 9, seq, 1, ACK, HOST_WINDOW, data,
		    sizeof data);
		seq += sizeof data;
	}
	host_behaved(&h);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.window, 1024);
	ck_assert_uint_eq(g.ack, seq);
	host_tcp(&h, 5, 9, seq, 1, ACK, HOST_WINDOW, data, 131072 - 120000);
	host_behaved(&h);
}
END_TEST

START_TEST(window_opens_by_an_ack)
{
	host_up(&h, 2);
	mux_set_window(&h.mux, 300); /* granted in units of 256 */
	host_tcp(&h, 5, 9, 0, 0, SYN, HOST_WINDOW, NULL, 0);
	host_get_tcp(&h, &g, 5, SYN | ACK);
	ck_assert_uint_eq(g.window, 256);
	host_tcp(&h, 5, 9, 1, 1, ACK, HOST_WINDOW, NULL, 0);
	host_nothing(&h);
	mux_set_window(&h.mux, 0);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.window, 0);
	mux_set_window(&h.mux, 1u << 31);
	host_get_tcp(&h, &g, 5, ACK);
	ck_assert_uint_eq(g.window, MUX_WINDOW_MAX);
	ck_assert_uint_eq(g.ack, 1);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

/* ---- Ends --------------------------------------------------------------- */

/* What crossed the phone's RST is legal as far as it would have been. */
START_TEST(late_packets_are_legal)
{
	static uint8_t data[30000];
	size_t got = 0;

	host_up(&h, 2);
	host_connect(&h, 5, 13, HOST_WINDOW);
	do {
		host_get(&h, &g);
		ck_assert_uint_eq(g.sport, 5);
		if (g.flags == ACK)
			got += g.data_len;
	} while (g.flags != RST);
	ck_assert_uint_eq(got, PORT_BURST_LEN);
	ck_assert_uint_eq(h.mux.live, 0);
	host_tcp(&h, 5, 13, 1, 1, ACK, HOST_WINDOW, data, sizeof data);
	host_tcp(&h, 5, 13, 30001, 60001, ACK, HOST_WINDOW, NULL, 0);
	host_tcp(&h, 5, 13, 30001, 100001, ACK, HOST_WINDOW, data, 1000);
	host_nothing(&h);
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.late, 3);
	/* Both ends at once; then the port is free. */
	host_tcp(&h, 5, 13, 31001, 0, RST, 0, NULL, 0);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_behaved(&h);
}
END_TEST

START_TEST(late_packets_are_judged)
{
	static uint8_t data[60000];

	host_up(&h, 2);
	host_connect(&h, 5, 13, HOST_WINDOW);
	do
		host_get(&h, &g);
	while (g.flags != RST);
	host_tcp(&h, 5, 13, 1, 1, ACK, HOST_WINDOW, data, sizeof data);
	host_tcp(&h, 5, 13, 60001, 1, ACK, HOST_WINDOW, data, sizeof data);
	host_behaved(&h);
	/* 131072 bytes were granted. */
	host_tcp(&h, 5, 13, 120001, 1, ACK, HOST_WINDOW, data, sizeof data);
	host_violated(&h, STRICT_WINDOW);
}
END_TEST

START_TEST(port_is_used_again_after_rst)
{
	host_up(&h, 2);
	for (int i = 0; i < 3; i++) {
		host_connect(&h, 5, 13, HOST_WINDOW);
		do
			host_get(&h, &g);
		while (g.flags != RST);
	}
	host_nothing(&h);
	host_behaved(&h);
	ck_assert_uint_eq(h.mux.count.opened, 3);
	ck_assert_uint_eq(h.mux.count.closed, 3);
}
END_TEST

/* A RST for what is unknown is legal, and not answered. */
START_TEST(reset_of_the_unknown)
{
	host_up(&h, 2);
	host_tcp(&h, 77, 7, 5, 5, RST, 0, "why", 3);
	host_tcp(&h, 77, 7, 5, 5, RST | ACK, 0, NULL, 0);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

/* The host's RST finds a packet half sent: its end must still come. */
START_TEST(reset_amid_a_packet)
{
	static uint8_t data[20000], back[20036];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	host_up(&h, 2);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, data, sizeof data);
	ck_assert(mux_next(&h.mux));
	ck_assert_uint_eq(h.mux.out.left, sizeof back);
	mux_take(&h.mux, back, 1000);
	host_tcp(&h, 5, 7, 20001, 1, RST, 0, NULL, 0);
	ck_assert_uint_eq(h.mux.live, 0);
	ck_assert_uint_eq(h.mux.out.left, sizeof back - 1000);
	mux_take(&h.mux, back + 1000, sizeof back - 1000);
	ck_assert_mem_eq(back + 36, data, sizeof data);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

START_TEST(growth_amid_a_packet)
{
	static uint8_t data[30000], back[30036];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 13);
	host_up(&h, 2);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, data, sizeof data);
	ck_assert(mux_next(&h.mux));
	mux_take(&h.mux, back, 10);
	/* The ring grows, twice, while the packet's rest lies in it. */
	for (uint32_t i = 1; i <= 3; i++)
		host_tcp(&h, 5, 7, 1 + 30000 * i, 1, ACK, HOST_WINDOW, data,
		    sizeof data);
	mux_take(&h.mux, back + 10, sizeof back - 10);
	ck_assert_mem_eq(back + 36, data, sizeof data);
	for (size_t at = 30000; at < 120000; at += g.data_len) {
		host_get_tcp(&h, &g, 5, ACK);
		for (size_t i = 0; i < g.data_len; i++)
			HOLDS(g.data[i] == data[(at + i) % 30000],
			    "byte %zu", at + i);
	}
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

/* Both, one after the other. */
START_TEST(growth_and_reset_amid_a_packet)
{
	static uint8_t data[30000], back[30036];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 13);
	host_up(&h, 2);
	host_connect(&h, 5, 7, HOST_WINDOW);
	host_tcp(&h, 5, 7, 1, 1, ACK, HOST_WINDOW, data, sizeof data);
	ck_assert(mux_next(&h.mux));
	mux_take(&h.mux, back, 500);
	host_tcp(&h, 5, 7, 30001, 1, ACK, HOST_WINDOW, data, sizeof data);
	mux_take(&h.mux, back + 500, 500);
	host_tcp(&h, 5, 7, 60001, 1, RST, 0, NULL, 0);
	mux_take(&h.mux, back + 1000, sizeof back - 1000);
	ck_assert_mem_eq(back + 36, data, sizeof data);
	host_nothing(&h);
	host_behaved(&h);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/window");
	TCase *t = tcase_create("windows");

	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_test(t, respects_the_hosts_window);
	tcase_add_test(t, echo_closes_its_window);
	tcase_add_test(t, window_shrinks_honestly);
	tcase_add_test(t, window_opens_by_an_ack);
	suite_add_tcase(s, t);

	t = tcase_create("ends");
	tcase_add_checked_fixture(t, NULL, take_down);
	tcase_add_test(t, late_packets_are_legal);
	tcase_add_test(t, late_packets_are_judged);
	tcase_add_test(t, port_is_used_again_after_rst);
	tcase_add_test(t, reset_of_the_unknown);
	tcase_add_test(t, reset_amid_a_packet);
	tcase_add_test(t, growth_amid_a_packet);
	tcase_add_test(t, growth_and_reset_amid_a_packet);
	suite_add_tcase(s, t);
	return unit_run(s);
}
