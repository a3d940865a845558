/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The reader's side of a device: whom a message is for, and what a device must
 * not do. */

#include <string.h>

#include "scm_device_rig.h"
#include "unit.h"

/* ---- Sockets ------------------------------------------------------------ */

START_TEST(an_open_makes_a_socket)
{
	uint32_t slot;

	dev_start((enum scm_dialect)_i, "");
	slot = dev_open_socket(7);
	ck_assert_uint_eq(dev.open, 1);
	ck_assert_ptr_eq(dev.slots[slot].owner, &dev_owners[slot]);
	ck_assert_uint_eq(scm_device_next(&dev, 0), slot);
	ck_assert_uint_eq(scm_device_next(&dev, slot + 1), SCM_NO_SLOT);
	/* Protocol 0 is the usual one. */
	if (_i == SCM_8) {
		const struct scm_event e = dev_event_of_open(8, SCM_INET6, 0);

		ck_assert_int_eq(e.kind, SCM_DEVICE_OPEN);
		ck_assert_int_eq(e.message.protocol, SCM_TCP);
	}
	dev_stop();
}
END_TEST

static const struct {
	uint16_t family, protocol;
	int32_t code;
} opens[] = {
	{ 0, SCM_TCP, SCM_EAFNOSUPPORT },
	{ 1, SCM_TCP, SCM_EAFNOSUPPORT },  /* AF_UNIX */
	{ 16, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_NETLINK */
	{ 17, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_PACKET */
	{ 40, SCM_TCP, SCM_EAFNOSUPPORT }, /* AF_VSOCK */
	{ SCM_INET, 1, SCM_EPROTONOSUPPORT }, /* ICMP */
	{ SCM_INET, 132, SCM_EPROTONOSUPPORT },
	{ SCM_INET, 255, SCM_EPROTONOSUPPORT }, /* raw */
	{ SCM_INET, SCM_UDP, SCM_EPROTONOSUPPORT },
};

START_TEST(an_open_of_anything_else_is_refused)
{
	dev_start(SCM_8, "allow * tcp * *\n");
	dev_assert_reply(dev_event_of_open(7, opens[_i].family,
	    opens[_i].protocol), SCM_OPEN, opens[_i].code);
	ck_assert_uint_eq(dev.open, 0);
	dev_stop();
	dev_start(SCM_8, "allow * udp 192.0.2.1 53\n");
	ck_assert_int_eq(dev_event_of_open(7, SCM_INET, SCM_UDP).kind,
	    SCM_DEVICE_OPEN);
	dev_stop();
}
END_TEST

START_TEST(a_number_is_opened_once)
{
	uint32_t slot;

	dev_start((enum scm_dialect)_i, "");
	slot = dev_open_socket(7);
	dev_assert_reply(dev_event_of_open(7, SCM_INET, SCM_TCP), SCM_OPEN,
	    SCM_EEXIST);
	ck_assert_uint_eq(dev.open, 1);
	/* When its worker has said so, it is free; not before. */
	scm_device_leave(&dev, slot);
	ck_assert_uint_ne(dev_open_socket(7), slot);
	ck_assert_uint_eq(dev.leaving, 1);
	dev_release(slot, 0, 0);
	ck_assert_uint_eq(dev.leaving, 0);
	ck_assert_uint_eq(dev.open, 1);
	dev_stop();
}
END_TEST

START_TEST(there_are_so_many_sockets)
{
	dev_start((enum scm_dialect)_i, "limit * sockets 3\n");
	for (uint32_t sock = 10; sock < 13; sock++)
		dev_open_socket(sock);
	dev_assert_reply(dev_event_of_open(13, SCM_INET, SCM_TCP), SCM_OPEN,
	    SCM_EMFILE);
	scm_device_leave(&dev, 1);
	dev_open_socket(13);
	dev_stop();
}
END_TEST

START_TEST(a_socket_that_cannot_be_made_is_refused)
{
	struct scm_event e;
	struct scm_message m;

	dev_start((enum scm_dialect)_i, "");
	e = dev_event_of_open(7, SCM_INET, SCM_TCP);
	m = scm_device_refuse(&dev, e.slot, &e.message, SCM_ENOMEM);
	ck_assert_int_eq(m.code, SCM_ENOMEM);
	ck_assert_uint_eq(m.sock, 7);
	ck_assert_uint_eq(dev.open + dev.leaving, 0);
	if (_i == SCM_8)
		ck_assert_uint_eq(dev.free_count, 256);
	dev_stop();
}
END_TEST

START_TEST(what_is_for_no_socket_is_answered)
{
	static const enum scm_op ops[] = { SCM_CONNECT, SCM_CLOSE, SCM_WRITE,
		SCM_SETOPT, SCM_GETOPT, SCM_IOCTL };

	dev_start(SCM_8, "");
	dev_open_socket(8);
	for (int i = 0; i < UNIT_COUNT(ops); i++)
		dev_assert_reply(dev_event_of(&(struct scm_message){
		    .op = ops[i], .id = 1, .sock = 7, .total = 3 }), ops[i],
		    SCM_EBADF);
	dev_stop();
}
END_TEST

START_TEST(a_message_reaches_its_socket)
{
	struct scm_event e;
	uint32_t slots[40];

	dev_start((enum scm_dialect)_i, "");
	for (uint32_t i = 0; i < 40; i++)
		slots[i] = dev_open_socket(200 - i);
	for (uint32_t i = 0; i < 40; i++) {
		e = dev_event_of(&(struct scm_message){ .op = SCM_CLOSE,
		    .id = 3, .sock = 200 - i });
		ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
		ck_assert_ptr_eq(e.owner, &dev_owners[slots[i]]);
		ck_assert_uint_eq(e.message.id, 3);
	}
	dev_stop();
}
END_TEST

/* What has not its form is answered, and the stream goes on behind it. */
START_TEST(what_is_malformed_is_answered)
{
	static const uint8_t bytes[] = {
		/* OPEN of a stream in datagrams, CONNECT of 2 bytes, NOOP,
		 * ACK of nothing */
		0, 0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1, 0, 1, 0, 2,
		1, 0, 2, 0, 8, 0, 0, 0, 2, 0, 0, 0, 1, 0,
		0xff, 0xff, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
		4, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0 };
	struct scm_event e;

	dev_start(SCM_12, "");
	dev_open_socket(8);
	dev_in = reader_over(bytes, sizeof bytes);
	e = dev_next_event();
	ck_assert_uint_eq(e.message.sock, 7);
	dev_assert_reply(e, SCM_OPEN, SCM_EINVAL);
	e = dev_next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
	ck_assert(e.message.malformed && !e.verdict.allowed);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_NOTE);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	ck_assert_uint_eq(dev.violations, 2);
	dev_stop();
}
END_TEST

/* Three sockets in one transfer, and what one of them writes in parts. */
START_TEST(a_transfer_has_messages_for_many)
{
	struct scm_event e;
	uint32_t a, b, parts = 0, bytes = 0;

	dev_start((enum scm_dialect)_i, "");
	a = dev_open_socket(1);
	b = dev_open_socket(2);
	dev_begin_transfer();
	dev_say_write(1, 100);
	dev_say_write(2, 10);
	dev_say(&(struct scm_message){ .op = SCM_CLOSE, .sock = 1 });
	dev_end_transfer();
	for (size_t all = reader_left(&dev_in), at = 0; at < all; at += 31) {
		dev_in = reader_over(dev_sent + at,
		    all - at < 31 ? all - at : 31);
		while ((e = dev_next_event()).kind != SCM_DEVICE_IDLE) {
			ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
			ck_assert_uint_eq(e.slot, e.message.sock == 1 ? a : b);
			parts++;
			bytes += e.message.op == SCM_WRITE ? e.message.len : 0;
		}
	}
	ck_assert_uint_eq(bytes, 110);
	ck_assert_uint_ge(parts, 6);
	ck_assert_uint_eq(dev.messages, 5);
	dev_stop();
}
END_TEST

/* ---- What ends a device ------------------------------------------------- */

static const struct {
	enum scm_dialect dialect;
	uint8_t bytes[12];
	const char *why;
} broken[] = {
	{ SCM_8, { 9 }, "opcode 0x09" },
	{ SCM_8, { 0xff }, "opcode 0xff" },
	{ SCM_8, { 3, 0, 7, 0, 0xff, 0xff, 0xff, 0xff },
	    "4294967295 bytes of payload in a WRITE" },
	{ SCM_8, { 1, 0, 7, 0, 1, 0, 1, 0 },
	    "65537 bytes of payload in a CONNECT" },
	{ SCM_12, { 7 }, "opcode 0x07" },
	{ SCM_12, { 3, 1 }, "opcode 0x103" },
	{ SCM_12, { 3, 0, 0, 0, 7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
	    "4294967295 bytes of payload in a WRITE" },
};

START_TEST(a_broken_stream_ends_the_device)
{
	struct scm_event e;

	dev_start(broken[_i].dialect, "");
	dev_open_socket(7);
	dev_in = reader_over(broken[_i].bytes,
	    scm_header_len(broken[_i].dialect));
	e = dev_next_event();
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_msg(strstr(e.why.text, broken[_i].why) != NULL, "%s",
	    e.why.text);
	/* And nothing is believed from it after that. */
	e = dev_event_of_open(8, SCM_INET, SCM_TCP);
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_ptr_nonnull(strstr(e.why.text, broken[_i].why));
	dev_stop();
}
END_TEST

START_TEST(transfers_may_end_within_a_message)
{
	dev_start(SCM_12, "");
	dev_begin_transfer();
	dev_say(&(struct scm_message){ .op = SCM_OPEN, .sock = 7,
	    .family = SCM_INET, .protocol = SCM_TCP });
	dev_in = reader_over(dev_sent, 15);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	scm_device_transfer_ended(&dev, SCM_BULK);
	ck_assert_uint_eq(dev.splits, 1);
	/* The other pipe has a stream of its own. */
	scm_device_transfer_ended(&dev, SCM_INTERRUPT);
	ck_assert_uint_eq(dev.splits, 1);
	dev_in = reader_over(dev_sent + 15, 6);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_OPEN);
	scm_device_transfer_ended(&dev, SCM_BULK);
	ck_assert_uint_eq(dev.splits, 1);
	dev_stop();
}
END_TEST

/* A socket leaves while a WRITE for it arrives: its rest is answered as for a
 * number that is not open. */
START_TEST(a_socket_leaves_within_a_write)
{
	static uint8_t write_of_100[SCM_HEADER_MAX + 100];
	uint32_t slot;
	size_t len;

	dev_start((enum scm_dialect)_i, "");
	len = scm_header_len(dev.format.dialect) + 100;
	slot = dev_open_socket(7);
	dev_begin_transfer();
	dev_say_write(7, 100);
	memcpy(write_of_100, dev_sent, len);
	dev_in = reader_over(write_of_100, 50);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_FORWARD);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	scm_device_leave(&dev, slot);
	dev_release(slot, 0, 0);
	dev_in = reader_over(write_of_100 + 50, len - 51);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	dev_in = reader_over(write_of_100 + len - 1, 1);
	dev_assert_reply(dev_next_event(), SCM_WRITE, SCM_EBADF);
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_IDLE);
	dev_stop();
}
END_TEST

/* Two pipes have no order between them; one socket's data needs one. */
START_TEST(a_socket_writes_on_one_pipe_at_a_time)
{
	struct scm_event e;

	dev_start(SCM_12, "");
	dev_open_socket(7);
	dev_open_socket(8);
	dev_begin_transfer();
	dev_say_write(7, 10);
	dev_end_transfer();
	dev_in.end -= 4;
	ck_assert_int_eq(dev_next_event().kind, SCM_DEVICE_FORWARD);
	dev_begin_transfer();
	dev_say_write(8, 10);
	dev_say_write(7, 10);
	dev_end_transfer();
	scm_device_input(&dev, SCM_INTERRUPT, &dev_in, dev_now, &e);
	ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
	ck_assert_uint_eq(e.message.sock, 8);
	scm_device_input(&dev, SCM_INTERRUPT, &dev_in, dev_now, &e);
	ck_assert_int_eq(e.kind, SCM_DEVICE_BROKEN);
	ck_assert_ptr_nonnull(strstr(e.why.text, "the other pair"));
	dev_stop();
	/* One behind the other is fine. */
	dev_start(SCM_12, "");
	dev_open_socket(7);
	for (int i = 0; i < 4; i++) {
		dev_begin_transfer();
		dev_say_write(7, 10);
		dev_end_transfer();
		scm_device_input(&dev, i & 1 ? SCM_INTERRUPT : SCM_BULK,
		    &dev_in, dev_now, &e);
		ck_assert_int_eq(e.kind, SCM_DEVICE_FORWARD);
	}
	dev_stop();
}
END_TEST

START_TEST(messages_have_their_pipe)
{
	ck_assert_int_eq(scm_pipe_of(SCM_8, true, SCM_ACK), SCM_BULK);
	ck_assert_int_eq(scm_pipe_of(SCM_12, false, SCM_ACK), SCM_BULK);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_ACK), SCM_INTERRUPT);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_CLOSE), SCM_INTERRUPT);
	ck_assert_int_eq(scm_pipe_of(SCM_12, true, SCM_WRITE), SCM_BULK);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm device");
	TCase *tc = tcase_create("sockets");
	const int both = SCM_12 + 1;

	tcase_add_loop_test(tc, an_open_makes_a_socket, SCM_8, both);
	tcase_add_loop_test(tc, an_open_of_anything_else_is_refused, 0,
	    UNIT_COUNT(opens));
	tcase_add_loop_test(tc, a_number_is_opened_once, SCM_8, both);
	tcase_add_loop_test(tc, there_are_so_many_sockets, SCM_8, both);
	tcase_add_loop_test(tc, a_socket_that_cannot_be_made_is_refused, SCM_8,
	    both);
	tcase_add_test(tc, what_is_for_no_socket_is_answered);
	tcase_add_loop_test(tc, a_message_reaches_its_socket, SCM_8, both);
	tcase_add_test(tc, what_is_malformed_is_answered);
	tcase_add_loop_test(tc, a_transfer_has_messages_for_many, SCM_8, both);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_loop_test(tc, a_broken_stream_ends_the_device, 0,
	    UNIT_COUNT(broken));
	tcase_add_test(tc, transfers_may_end_within_a_message);
	tcase_add_loop_test(tc, a_socket_leaves_within_a_write, SCM_8, both);
	tcase_add_test(tc, a_socket_writes_on_one_pipe_at_a_time);
	tcase_add_test(tc, messages_have_their_pipe);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
