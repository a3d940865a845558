/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The mux protocol as a reader uses it, read by read.  No thread runs; the test
 * is the reader.
 */

#include <string.h>

#include "daemon/protocol_mux.h"
#include "protocol_rig.h"
#include "unit.h"

/* ---- Handshake ---- */

START_TEST(it_asks_for_version_two)
{
	static const uint8_t golden[20] = { 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2 };
	struct phone_words w;

	ck_assert_int_eq(d->protocol->hello(d), 0);
	w = posted(1);
	ck_assert_uint_eq(w.length, 20);
	ck_assert_mem_eq(frame.bytes, golden, 20);
	/* And again, when no answer came. */
	ck_assert_int_eq(d->protocol->hello(d), 0);
	posted(1);
	ck_assert_mem_eq(frame.bytes, golden, 20);
}
END_TEST

START_TEST(version_one_needs_no_setup)
{
	d->protocol->hello(d);
	posted(1);
	ck_assert_int_eq(version_in(1, 0), PROTOCOL_READY);
	ck_assert(nothing_posted());
}
END_TEST

START_TEST(version_two_is_set_up)
{
	static const uint8_t golden[17] = { 0, 0, 0, 2, 0, 0, 0, 17, 0xfe, 0xed,
		0xfa, 0xce, 0, 0, 0xff, 0xff, 7 };
	struct phone_words w;

	d->protocol->hello(d);
	posted(1);
	ck_assert_int_eq(version_in(2, 0), PROTOCOL_READY);
	w = posted(2);
	ck_assert_uint_eq(w.length, 17);
	ck_assert_mem_eq(frame.bytes, golden, 17);
}
END_TEST

static const struct {
	uint32_t major, minor;
	const char *sentence;
} unknown[] = {
	{ 0, 0, "speaks version 0.0 of the mux protocol; only 1 and 2 are known" },
	{ 3, 1, "speaks version 3.1 of the mux protocol; only 1 and 2 are known" },
	{ 0xffffffff, 0xffffffff, "speaks version 4294967295.4294967295 of the "
	    "mux protocol; only 1 and 2 are known" },
	{ 0x01000000, 0, "speaks version 16777216.0 of the mux protocol; only 1 "
	    "and 2 are known" },
};

START_TEST(an_unknown_version_is_refused)
{
	d->protocol->hello(d);
	posted(1);
	ck_assert_int_eq(version_in(unknown[_i].major, unknown[_i].minor),
	    PROTOCOL_REFUSED);
	ck_assert_str_eq(why.text, unknown[_i].sentence);
	ck_assert(nothing_posted());
}
END_TEST

START_TEST(a_short_answer_is_malformed)
{
	for (uint32_t len = 8; len < 20; len++) {
		phone_make_version(&frame, 2, 0);
		frame.bytes[7] = (uint8_t)len;
		ck_assert_int_eq(read_in(frame.bytes, len), PROTOCOL_BAD);
	}
	/* Longer is taken: its tail says nothing to us. */
	phone_make_version(&frame, 1, 0);
	frame.bytes[7] = 24;
	ck_assert_int_eq(read_in(frame.bytes, 24), PROTOCOL_READY);
}
END_TEST

START_TEST(a_second_answer_changes_nothing)
{
	speak(2);
	ck_assert_int_eq(version_in(1, 0), PROTOCOL_TAKEN);
	ck_assert_int_eq(version_in(9, 0), PROTOCOL_TAKEN);
	ck_assert(nothing_posted());
	ck_assert_int_eq(atomic_load(&d->mux.version), 2);
}
END_TEST

/* What an earlier daemon left behind in the phone. */
START_TEST(stale_packets_before_the_answer_are_dropped)
{
	d->protocol->hello(d);
	posted(1);
	for (int version = 1; version <= 2; version++) {
		make_tcp(version, 77, 100);
		ck_assert_int_eq(frame_in(), PROTOCOL_TAKEN);
		make_tcp(version, 78, 40000);
		ck_assert_int_eq(frame_in(), PROTOCOL_TAKEN);
	}
	ck_assert(nothing_posted());
	ck_assert_int_eq(version_in(2, 0), PROTOCOL_READY);
	posted(2);
	/* They have left no number behind either. */
	ck_assert_uint_eq(atomic_load(&d->mux.rx_seq), 0);
}
END_TEST

/* Half of a stale packet, its rest lost with the daemon that asked for it. */
START_TEST(a_stale_beginning_does_not_swallow_the_answer)
{
	d->protocol->hello(d);
	posted(1);
	make_tcp(2, 77, 40000);
	ck_assert_int_eq(read_in(frame.bytes, CHUNK_SIZE), PROTOCOL_NOTHING);
	d->protocol->hello(d);
	posted(1);
	ck_assert_int_eq(version_in(2, 0), PROTOCOL_READY);
	posted(2);
	make_tcp(2, 1, 3);
	ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
	ck_assert_uint_eq(packet->packet_len, 3);
	ck_assert_ptr_null(packet->more);
	chunk_put(packet);
}
END_TEST

/* ---- Packets ---- */

/* The payload lies where the chain says it does, whole. */
static void
assert_payload(uint32_t len)
{
	uint32_t n = 0;

	ck_assert_uint_eq(packet->packet_len, len);
	for (const struct chunk *c = packet; c != NULL; c = c->more) {
		HOLDS(c->offset + c->len <= CHUNK_SIZE, "past its chunk");
		for (uint32_t i = 0; i < c->len; i++, n++)
			HOLDS(c->data[c->offset + i] == n % 251, "byte %u", n);
	}
	ck_assert_uint_eq(n, len);
}

/* Lengths around which a packet needs another read, in version 1 (28 bytes of
 * headers) and 2 (36). */
static const uint32_t lengths[] = { 0, 1, 476, 16347, 16348, 16349, 16355,
	16356, 16357, 32732, 32740, 49116, 49124, 65499 };

START_TEST(a_packet_is_gathered_from_its_reads)
{
	for (int version = 1; version <= 2; version++) {
		const struct tcp_header *h;
		struct tcp_header copy;

		end();
		begin();
		speak(version);
		make_tcp(version, 9, lengths[_i]);
		ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
		ck_assert_uint_eq(port, 513);
		copy = mux_packet_tcp(packet, port);
		h = &copy;
		ck_assert_uint_eq(h->sport, 62078);
		ck_assert_uint_eq(h->dport, 513);
		ck_assert_uint_eq(h->seq, 0xa1b2c3d4);
		ck_assert_uint_eq(h->ack, 0x01020304);
		ck_assert_uint_eq(h->flags, TCP_ACK);
		ck_assert_uint_eq(h->window, 131072);
		assert_payload(lengths[_i]);
		chunk_put(packet);
		if (frame.len % 512 == 0)
			ck_assert_int_eq(read_in(NULL, 0), PROTOCOL_NOTHING);
		ck_assert_uint_eq(lines, 0);
	}
}
END_TEST

START_TEST(the_last_number_seen_is_echoed)
{
	const struct tcp_header h = { .sport = 513, .dport = 62078,
		.flags = TCP_ACK };

	speak(2);
	for (unsigned seq = 65530; seq < 65545; seq++) {
		make_tcp(2, (uint16_t)seq, 1);
		ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
		chunk_put(packet);
		ck_assert(mux_send_tcp(d, NULL, &h));
		ck_assert_uint_eq(posted(2).rx_seq, seq & 0xffff);
	}
}
END_TEST

/* ---- What is malformed ---- */

/* A frame of `len` bytes that says so, of this protocol, otherwise zeros. */
static enum protocol_verdict
plain_in(uint32_t protocol, uint32_t len)
{
	memset(frame.bytes, 0, len);
	frame.bytes[0] = (uint8_t)(protocol >> 24);
	frame.bytes[3] = (uint8_t)protocol;
	frame.bytes[6] = (uint8_t)(len >> 8);
	frame.bytes[7] = (uint8_t)len;
	return read_in(frame.bytes, len);
}

START_TEST(what_no_protocol_is_is_malformed)
{
	static const uint32_t others[] = { 2, 3, 4, 5, 7, 8, 0x06000000,
		0xff000006 };

	speak(_i);
	for (int i = 0; i < UNIT_COUNT(others); i++)
		ck_assert_int_eq(plain_in(others[i], 100), PROTOCOL_BAD);
	ck_assert_uint_eq(lines, UNIT_COUNT(others));
	ck_assert_int_eq(logged_level, LOG_LEVEL_WARNING);
	ck_assert_ptr_nonnull(strstr(logged, "device 7 (fake 1-3): malformed "
	    "packet of 100 bytes: ff000006 00000064"));
}
END_TEST

START_TEST(a_segment_without_its_header_is_malformed)
{
	const uint32_t whole = _i == 1 ? 28 : 36;

	speak(_i);
	for (uint32_t len = 8; len < whole; len++) {
		make_tcp(_i, 1, 0);
		frame.bytes[7] = (uint8_t)len;
		ck_assert_int_eq(read_in(frame.bytes, len), PROTOCOL_BAD);
	}
	/* With options that this protocol does not have. */
	make_tcp(_i, 1, 100);
	frame.bytes[whole - 8] = 0x60;
	ck_assert_int_eq(frame_in(), PROTOCOL_BAD);
	make_tcp(_i, 1, 100);
	ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
	chunk_put(packet);
}
END_TEST

/* Reads that do not fit together take nothing along that comes after them. */
START_TEST(after_a_bad_read_all_is_well_again)
{
	speak(2);
	make_tcp(2, 1, 20000);
	ck_assert_int_eq(read_in(frame.bytes, CHUNK_SIZE), PROTOCOL_NOTHING);
	ck_assert_int_eq(read_in(frame.bytes + CHUNK_SIZE, 100), PROTOCOL_BAD);
	ck_assert_int_eq(read_in("garbage", 7), PROTOCOL_BAD);
	ck_assert_int_eq(read_in(NULL, 0), PROTOCOL_NOTHING);
	make_tcp(2, 1, 20000);
	ck_assert_int_eq(frame_in(), PROTOCOL_PACKET);
	assert_payload(20000);
	chunk_put(packet);
}
END_TEST

/* The end comes in the middle of a packet; the leak checker looks. */
START_TEST(half_a_packet_is_given_back)
{
	speak(2);
	make_tcp(2, 1, 60000);
	read_in(frame.bytes, CHUNK_SIZE);
	read_in(frame.bytes + CHUNK_SIZE, CHUNK_SIZE);
	d->protocol->fini(d);
	d->protocol->fini(d);
}
END_TEST

/* ---- CONTROL ---- */

static void
control_in(int version, uint8_t kind, const char *text)
{
	uint8_t payload[1024];
	const size_t len = strlen(text);

	payload[0] = kind;
	memcpy(payload + 1, text, len);
	phone_make(&frame, version, &(struct phone_words){ .protocol = 1,
		.payload = payload, .payload_len = (uint32_t)len + 1 });
	ck_assert_int_eq(frame_in(), PROTOCOL_TAKEN);
}

START_TEST(what_a_phone_says_is_logged)
{
	static const struct {
		uint8_t kind;
		enum log_level level;
	} kinds[] = { { 3, LOG_LEVEL_ERROR }, { 5, LOG_LEVEL_WARNING },
		{ 7, LOG_LEVEL_INFO }, { 0, LOG_LEVEL_INFO },
		{ 255, LOG_LEVEL_INFO } };

	speak(_i);
	for (int i = 0; i < UNIT_COUNT(kinds); i++) {
		control_in(_i, kinds[i].kind, "all\nwell");
		ck_assert_str_eq(logged,
		    "device 7 (fake 1-3) says: all?well");
		ck_assert_int_eq(logged_level, kinds[i].level);
	}
}
END_TEST

START_TEST(a_phone_cannot_flood_the_log)
{
	char text[1000];

	speak(2);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	control_in(2, 3, text);
	ck_assert_uint_eq(strlen(logged),
	    strlen("device 7 (fake 1-3) says: ") + 200);
	for (int i = 0; i < 1000; i++)
		control_in(2, 3, "again");
	ck_assert_uint_ge(lines, 20);
	ck_assert_uint_le(lines, 40); /* 20 each 10 s */
}
END_TEST

START_TEST(an_empty_control_is_nothing)
{
	speak(2);
	phone_make(&frame, 2, &(struct phone_words){ .protocol = 1 });
	ck_assert_int_eq(frame_in(), PROTOCOL_TAKEN);
	ck_assert_uint_eq(lines, 0);
	control_in(2, 7, "");
	ck_assert_str_eq(logged, "device 7 (fake 1-3) says: ");
}
END_TEST

static TCase *
case_of_input(void)
{
	TCase *tc = tcase_create("input");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(tc, a_packet_is_gathered_from_its_reads, 0,
	    UNIT_COUNT(lengths));
	tcase_add_test(tc, the_last_number_seen_is_echoed);
	tcase_add_loop_test(tc, what_no_protocol_is_is_malformed, 1, 3);
	tcase_add_loop_test(tc, a_segment_without_its_header_is_malformed, 1, 3);
	tcase_add_test(tc, after_a_bad_read_all_is_well_again);
	tcase_add_test(tc, half_a_packet_is_given_back);
	tcase_add_loop_test(tc, what_a_phone_says_is_logged, 1, 3);
	tcase_add_test(tc, a_phone_cannot_flood_the_log);
	tcase_add_test(tc, an_empty_control_is_nothing);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("daemon/protocol_mux");
	TCase *tc = tcase_create("handshake");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, it_asks_for_version_two);
	tcase_add_test(tc, version_one_needs_no_setup);
	tcase_add_test(tc, version_two_is_set_up);
	tcase_add_loop_test(tc, an_unknown_version_is_refused, 0,
	    UNIT_COUNT(unknown));
	tcase_add_test(tc, a_short_answer_is_malformed);
	tcase_add_test(tc, a_second_answer_changes_nothing);
	tcase_add_test(tc, stale_packets_before_the_answer_are_dropped);
	tcase_add_test(tc, a_stale_beginning_does_not_swallow_the_answer);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, case_of_input());
	return unit_run(s);
}
