/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The mux protocol as a writer uses it, frame by frame; and strays. */

#include <string.h>

#include "daemon/protocol_mux.h"
#include "protocol_rig.h"
#include "unit.h"

/* ---- Framing ---- */

START_TEST(numbers_count_what_was_sent_since_the_setup)
{
	const struct tcp_header h = { .sport = 513, .dport = 62078,
		.flags = TCP_ACK };

	d->protocol->hello(d);
	posted(1);
	version_in(2, 0);
	ck_assert_uint_eq(posted(2).tx_seq, 0);
	for (unsigned n = 1; n < 66000; n++) {
		ck_assert(mux_send_tcp(d, NULL, &h));
		HOLDS(posted(2).tx_seq == (n & 0xffff), "frame %u", n);
	}
}
END_TEST

/* The question was asked twice; the answer to the first one comes while the
 * second still waits for the writer. */
START_TEST(a_late_question_has_the_short_header_all_the_same)
{
	struct packet *late;
	struct phone_words w;

	d->protocol->hello(d);
	late = packet_of_msg(mailbox_take(&d->writer_box));
	ck_assert_int_eq(version_in(2, 0), PROTOCOL_READY);
	d->protocol->frame(d, late);
	w = phone_parse(late->tx.data + late->tx.offset, late->tx.len, 2);
	ck_assert_uint_eq(w.protocol, 0);
	ck_assert_uint_eq(w.length, 20);
	packet_free(late);
	/* It has no number, and takes none. */
	ck_assert_uint_eq(posted(2).tx_seq, 0);
	ck_assert(mux_send_tcp(d, NULL, &(struct tcp_header){ .flags = TCP_ACK }));
	ck_assert_uint_eq(posted(2).tx_seq, 1);
}
END_TEST

START_TEST(headers_stand_right_before_the_payload)
{
	const struct tcp_header h = { .sport = 1, .dport = 2, .seq = 3, .ack = 4,
		.flags = TCP_ACK, .window = 131072 };
	static const uint32_t sizes[] = { 0, 1, 1000, MUX_PAYLOAD_MAX };

	speak(_i);
	for (int i = 0; i < UNIT_COUNT(sizes); i++) {
		struct packet *p = packet_new(sizes[i]);
		struct phone_words w;

		for (uint32_t n = 0; n < sizes[i]; n++)
			packet_payload(p)[n] = (uint8_t)(n % 251);
		p->payload_len = sizes[i];
		mux_packet_set_tcp(p, &h);
		packet_post(p, d);
		w = posted(_i);
		ck_assert_uint_eq(w.protocol, 6);
		ck_assert_uint_eq(w.length, (_i == 1 ? 28 : 36) + sizes[i]);
		ck_assert_uint_le(w.length, 49152);
		ck_assert_uint_eq(w.sport, 1);
		ck_assert_uint_eq(w.dport, 2);
		ck_assert_uint_eq(w.seq, 3);
		ck_assert_uint_eq(w.ack, 4);
		ck_assert_uint_eq(w.flags, TCP_ACK);
		ck_assert_uint_eq(w.window, 131072);
		ck_assert_uint_eq(w.payload_len, sizes[i]);
		for (uint32_t n = 0; n < sizes[i]; n++)
			HOLDS(w.payload[n] == n % 251, "byte %u", n);
	}
}
END_TEST

/* A buffer is used again, with another length, after it has come back. */
START_TEST(a_buffer_can_be_framed_again)
{
	const struct tcp_header h = { .flags = TCP_ACK };
	struct packet *p = packet_new(1000);

	speak(2);
	for (uint32_t n = 1000; n > 0; n -= 100) {
		memset(packet_payload(p), (int)(n / 100), n);
		p->payload_len = n;
		mux_packet_set_tcp(p, &h);
		d->protocol->frame(d, p);
		ck_assert_uint_eq(p->tx.offset, 0);
		ck_assert_uint_eq(p->tx.len, 36 + n);
		ck_assert_uint_eq(p->tx.data[36], n / 100);
		ck_assert_uint_eq(p->tx.data[35 + n], n / 100);
	}
	packet_free(p);
}
END_TEST

/* ---- Strays ---- */

START_TEST(a_stray_is_answered_with_a_rst)
{
	struct phone_words w;

	speak(_i);
	make_tcp(_i, 1, 500);
	ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
	d->protocol->stray(d, packet, port);
	chunk_put(packet);
	w = posted(_i);
	ck_assert_uint_eq(w.flags, PHONE_RST);
	ck_assert_uint_eq(w.sport, 513);
	ck_assert_uint_eq(w.dport, 62078);
	ck_assert_uint_eq(w.seq, 0x01020304);
	ck_assert_uint_eq(w.ack, 0xa1b2c3d4 + 500);
	ck_assert_uint_eq(w.payload_len, 0);
}
END_TEST

START_TEST(a_stray_rst_is_not_answered)
{
	static const uint8_t flags[] = { PHONE_RST, PHONE_RST | PHONE_ACK };

	speak(2);
	for (int i = 0; i < UNIT_COUNT(flags); i++) {
		phone_make(&frame, 2, &(struct phone_words){ .protocol = 6,
			.sport = 1, .dport = 2, .flags = flags[i] });
		ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
		d->protocol->stray(d, packet, port);
		chunk_put(packet);
		ck_assert(nothing_posted());
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/protocol_mux: frames");
	TCase *tc;

	tc = tcase_create("frames");
	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, numbers_count_what_was_sent_since_the_setup);
	tcase_add_test(tc, a_late_question_has_the_short_header_all_the_same);
	tcase_add_loop_test(tc, headers_stand_right_before_the_payload, 1, 3);
	tcase_add_test(tc, a_buffer_can_be_framed_again);
	tcase_add_loop_test(tc, a_stray_is_answered_with_a_rst, 1, 3);
	tcase_add_test(tc, a_stray_rst_is_not_answered);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
