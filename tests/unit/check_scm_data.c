/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One socket of a device: its data, both ways, and its options. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scm_rig.h"
#include "unit.h"

#define SAYS(r, text) ck_assert_str_eq(scm_rig_log(r), text)

static struct scm_rig rig;

/* ---- Data of the device ------------------------------------------------- */

START_TEST(a_write_is_answered_when_the_peer_has_it)
{
	bool ready;

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	ck_assert(scm_rig_take_part(&rig, 3, 4, 10, 6));
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 4);
	scm_socket_written(&rig.s, 4, rig.now);
	SAYS(&rig, "");
	ck_assert(scm_rig_take_part(&rig, 3, 6, 10, 0));
	ck_assert(scm_rig_take_write(&rig, 4, 5));
	ck_assert(!scm_rig_take_write(&rig, 5, 0)); /* of nothing */
	ck_assert(scm_rig_take_write(&rig, 6, 1));
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 12);
	scm_socket_written(&rig.s, 5, rig.now);
	SAYS(&rig, "");
	scm_socket_written(&rig.s, 2, rig.now);
	SAYS(&rig, "ACK 3 WRITE 0");
	scm_socket_written(&rig.s, 5, rig.now);
	SAYS(&rig, "ACK 4 WRITE 0, ACK 5 WRITE 0, ACK 6 WRITE 0");
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 0);
	ck_assert(!ready);
}
END_TEST

START_TEST(writes_wait_for_the_connection)
{
	bool ready;

	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, true);
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	SAYS(&rig, "connect");
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 0);
	scm_socket_connected(&rig.s, 0, rig.now);
	SAYS(&rig, "ACK 2 CONNECT 0");
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 5);
}
END_TEST

START_TEST(as_many_writes_wait_as_there_are_ids)
{
	char says[64];

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	for (uint16_t id = 0; id < 256; id++)
		ck_assert(scm_rig_take_write(&rig, id, 3));
	SAYS(&rig, "");
	for (uint16_t id = 0; id < 256; id++) {
		scm_socket_written(&rig.s, 3, rig.now);
		snprintf(says, sizeof says, "ACK %u WRITE 0", id);
		SAYS(&rig, says);
	}
	for (uint16_t id = 0; id < 256; id++)
		ck_assert(scm_rig_take_write(&rig, id, 3));
	/* One more can only be an id that was used twice. */
	ck_assert(!scm_rig_take_write(&rig, 7, 3));
	ck_assert_int_eq(rig.s.state, SCM_FAILED);
	ck_assert_ptr_nonnull(strstr(scm_rig_log(&rig), "ACK 255 WRITE -105"));
}
END_TEST

/* Bytes were lost, so nothing behind them may reach the peer. */
START_TEST(what_overflows_ends_the_socket)
{
	const struct scm_message m = { .op = SCM_WRITE, .id = 4, .sock = 9,
		.total = 100, .len = 60, .left = 40 };

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	scm_socket_overflow(&rig.s, &m, rig.now);
	SAYS(&rig, "ACK 4 WRITE -105, ACK 3 WRITE -105, reset, CLOSE");
	ck_assert(!scm_rig_take_write(&rig, 5, 1));
	SAYS(&rig, "ACK 5 WRITE -32");
	/* One that would not have been taken is answered as ever. */
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_socket_overflow(&rig.s, &m, rig.now);
	SAYS(&rig, "ACK 4 WRITE -107");
	ck_assert_int_eq(rig.s.state, SCM_UNCONNECTED);
}
END_TEST

/* The one that is arriving is answered at its end, once. */
START_TEST(a_socket_fails_within_a_write)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	ck_assert(scm_rig_take_part(&rig, 4, 4, 10, 6));
	scm_socket_broke(&rig.s, EPIPE, rig.now);
	SAYS(&rig, "ACK 3 WRITE -32, reset, CLOSE");
	ck_assert(!scm_rig_take_part(&rig, 4, 3, 10, 3));
	SAYS(&rig, "");
	ck_assert(!scm_rig_take_part(&rig, 4, 3, 10, 0));
	SAYS(&rig, "ACK 4 WRITE -32");
	scm_rig_take(&rig, SCM_CLOSE, 5);
	SAYS(&rig, "leave, ACK 5 CLOSE 0");
}
END_TEST

START_TEST(datagrams_stay_whole)
{
	bool ready;

	scm_rig_connected(&rig, SCM_8, SCM_UDP, 4);
	ck_assert_uint_eq(scm_socket_room(&rig.s), SCM_DATAGRAM_MAX);
	ck_assert(scm_rig_take_part(&rig, 3, 4, 10, 6));
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 0);
	ck_assert(!ready);
	ck_assert(scm_rig_take_part(&rig, 3, 6, 10, 0));
	scm_rig_take_write(&rig, 4, 0);
	scm_rig_take_write(&rig, 5, 7);
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 10);
	ck_assert(ready);
	scm_socket_datagram_sent(&rig.s, 0, rig.now);
	SAYS(&rig, "ACK 3 WRITE 0");
	ck_assert_uint_eq(scm_socket_writable(&rig.s, &ready), 0);
	ck_assert(ready); /* an empty one */
	scm_socket_datagram_sent(&rig.s, 0, rig.now);
	SAYS(&rig, "ACK 4 WRITE 0");
	scm_socket_datagram_sent(&rig.s, ECONNREFUSED, rig.now);
	SAYS(&rig, "ACK 5 WRITE -111");
	scm_socket_writable(&rig.s, &ready);
	ck_assert(!ready);
	scm_rig_take_write(&rig, 6, SCM_DATAGRAM_MAX + 1);
	SAYS(&rig, "ACK 6 WRITE -90");
	/* Neither an error nor a "FIN" ends it. */
	scm_socket_broke(&rig.s, ECONNREFUSED, rig.now);
	scm_socket_peer_ended(&rig.s, rig.now);
	ck_assert_int_eq(rig.s.state, SCM_CONNECTED);
	scm_rig_take(&rig, SCM_CLOSE, 7);
	SAYS(&rig, "close, leave, ACK 7 CLOSE 0");
}
END_TEST

/* ---- Data of the peer --------------------------------------------------- */

START_TEST(message_ids_rest_until_they_are_answered)
{
	struct scm_message m[3];

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(scm_socket_room(&rig.s), SCM_SEND_MAX);
		m[i] = scm_socket_received(&rig.s, 10, rig.now);
		ck_assert_uint_eq(m[i].id, 100 + (unsigned)i);
		ck_assert_uint_eq(m[i].total, 10);
		ck_assert_uint_eq(m[i].sock, 9);
	}
	/* The last is for the CLOSE. */
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	scm_rig_take_ack(&rig, m[1].id, 0);
	ck_assert_uint_eq(scm_socket_room(&rig.s), SCM_SEND_MAX);
	ck_assert_uint_eq(scm_socket_received(&rig.s, 1, rig.now).id, 103);
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	/* A second answer is none. */
	scm_rig_take_ack(&rig, m[1].id, 0);
	scm_rig_take_ack(&rig, 77, 0);
	ck_assert_uint_eq(rig.s.violations, 2);
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	scm_rig_take_ack(&rig, m[0].id, 5); /* a code that means nothing */
	ck_assert_uint_eq(scm_socket_received(&rig.s, 1, rig.now).id, 100);
	ck_assert_int_eq(rig.s.state, SCM_CONNECTED);
}
END_TEST

START_TEST(a_device_that_does_not_answer_loses_the_socket)
{
	struct scm_message m;

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	m = scm_socket_received(&rig.s, 10, rig.now);
	scm_socket_left(&rig.s);
	scm_rig_pass(&rig, SCM_ANSWER_MS - 1);
	scm_rig_take_ack(&rig, m.id, 0);
	scm_rig_pass(&rig, SCM_ANSWER_MS);
	SAYS(&rig, "");
	m = scm_socket_received(&rig.s, 10, rig.now);
	scm_socket_left(&rig.s);
	scm_rig_pass(&rig, SCM_ANSWER_MS);
	SAYS(&rig, "reset, CLOSE");
	ck_assert_ptr_nonnull(strstr(rig.s.fault, "does not answer"));
	/* It does not close it either. */
	scm_rig_pass(&rig, SCM_NOTICE_MS);
	SAYS(&rig, "leave");
	scm_socket_gone(&rig.s);
	SAYS(&rig, "end");
	/* Its WRITE is owed an answer for ever, its CLOSE is not. */
	ck_assert_uint_eq(scm_ids_owed(&rig.s.ids),
	    scm_ids_bit(&rig.s.ids, m.id));
}
END_TEST

START_TEST(dialect_12_needs_no_answers)
{
	scm_rig_connected(&rig, SCM_12, SCM_TCP, 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_uint_eq(scm_socket_room(&rig.s), SCM_SEND_MAX);
		ck_assert_uint_eq(scm_socket_received(&rig.s, 1, rig.now).id,
		    (unsigned)i & 0xff);
		scm_socket_left(&rig.s);
	}
	scm_rig_take_ack(&rig, 3, SCM_EIO);
	ck_assert_uint_eq(rig.s.violations, 0);
	scm_rig_pass(&rig, SCM_ANSWER_MS + 1);
	SAYS(&rig, "");
}
END_TEST

START_TEST(a_device_refuses_data)
{
	struct scm_message m;

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	m = scm_socket_received(&rig.s, 10, rig.now);
	scm_socket_left(&rig.s);
	scm_rig_take_ack(&rig, m.id, SCM_EBADF);
	SAYS(&rig, "reset, CLOSE");
}
END_TEST

/* ---- Options ------------------------------------------------------------ */

#define INT(v) (const uint8_t[]){ (v) & 0xff, (v) >> 8 & 0xff, \
	(v) >> 16 & 0xff, (uint32_t)(v) >> 24 }, 4

static const struct {
	int32_t level, name;
	const uint8_t *data;
	uint32_t len;
	const char *says;
	int32_t value, second;
} settings[] = {
	{ 1, 9, INT(1), "set 0, ACK 3 SETOPT 0", 1, 0 },
	{ 1, 9, INT(7), "set 0, ACK 3 SETOPT 0", 1, 0 },
	{ 1, 4, INT(0), "ACK 3 SETOPT -92", 0, 0 }, /* SO_ERROR */
	{ 1, 8, INT(100), "set 2, ACK 3 SETOPT 0", 4096, 0 },
	{ 1, 7, INT(0x7fffffff), "set 3, ACK 3 SETOPT 0", 1048576, 0 },
	{ 1, 7, INT(-1), "set 3, ACK 3 SETOPT 0", 4096, 0 },
	{ 1, 13, (const uint8_t[]){ 1, 0, 0, 0, 0xe8, 3, 0, 0 }, 8,
	    "set 4, ACK 3 SETOPT 0", 1, 60 },
	{ 1, 13, INT(1), "ACK 3 SETOPT -22", 0, 0 },
	{ 6, 1, INT(1), "set 5, ACK 3 SETOPT 0", 1, 0 },
	{ 6, 4, INT(60), "set 6, ACK 3 SETOPT 0", 60, 0 },
	{ 6, 5, INT(0), "set 7, ACK 3 SETOPT 0", 1, 0 },
	{ 6, 6, INT(200), "set 8, ACK 3 SETOPT 0", 127, 0 },
	{ 41, 26, INT(1), "set 9, ACK 3 SETOPT 0", 1, 0 },
	{ 6, 1, NULL, 0, "ACK 3 SETOPT -22", 0, 0 },
	{ 6, 1, (const uint8_t[]){ 1, 0, 0 }, 3, "ACK 3 SETOPT -22", 0, 0 },
	{ 6, 1, (const uint8_t[]){ 1, 0, 0, 0, 0 }, 5, "ACK 3 SETOPT -22", 0,
	    0 },
	/* What would give it more than its own socket. */
	{ 1, 25, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* SO_BINDTODEVICE */
	{ 1, 36, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* SO_MARK */
	{ 1, 32, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* SO_SNDBUFFORCE */
	{ 1, 26, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* SO_ATTACH_FILTER */
	{ 0, 19, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* IP_TRANSPARENT */
	{ 0, 64, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* iptables */
	{ 6, 31, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* TCP_ULP */
	{ 6, 19, INT(1), "ACK 3 SETOPT -92", 0, 0 },  /* TCP_REPAIR */
	{ -1, -1, INT(1), "ACK 3 SETOPT -92", 0, 0 },
};

START_TEST(options_are_a_short_list)
{
	const struct scm_message m = { .op = SCM_SETOPT, .id = 3, .sock = 9,
		.level = settings[_i].level, .name = settings[_i].name,
		.data = settings[_i].data, .len = settings[_i].len };

	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	rig.option_value = (struct scm_value){ { 0, 0 } };
	scm_socket_message(&rig.s, &m, NULL, rig.now);
	SAYS(&rig, settings[_i].says);
	ck_assert_int_eq(rig.option_value.v[0], settings[_i].value);
	ck_assert_int_eq(rig.option_value.v[1], settings[_i].second);
}
END_TEST

static void
ask(enum scm_op op, int32_t level, int32_t name, uint32_t room)
{
	const struct scm_message m = { .op = op, .id = 3, .sock = 9,
		.level = level, .name = name, .request = (uint32_t)name,
		.room = room };

	scm_socket_message(&rig.s, &m, NULL, rig.now);
}

START_TEST(options_are_read)
{
	const uint8_t linger[8] = { 1, 0, 0, 0, 2, 1, 0, 0 };
	const uint8_t refused[4] = { 111, 0, 0, 0 };
	const uint8_t outq[4] = { 12, 0, 0, 0 };

	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	rig.option_value = (struct scm_value){ { 1, 258 } };
	ask(SCM_GETOPT, 1, 13, 8);
	SAYS(&rig, "get 4, REPLY 3 GETOPT 8");
	ck_assert_mem_eq(rig.last_data, linger, 8);
	ck_assert_int_eq(rig.last.code, 0);
	ask(SCM_GETOPT, 1, 13, 7);
	SAYS(&rig, "ACK 3 GETOPT -22");
	rig.option_value.v[0] = ECONNREFUSED;
	ask(SCM_GETOPT, 1, 4, 100);
	SAYS(&rig, "get 1, REPLY 3 GETOPT 4");
	ck_assert_mem_eq(rig.last_data, refused, 4);
	/* What the engine counts has not been sent either. */
	scm_rig_take_write(&rig, 4, 5);
	rig.option_value.v[0] = 7;
	ask(SCM_IOCTL, 0, 0x5411, 0);
	SAYS(&rig, "get 11, REPLY 3 IOCTL 4");
	ck_assert_mem_eq(rig.last_data, outq, 4);
	ask(SCM_IOCTL, 0, 0x8927, 0); /* SIOCGIFHWADDR */
	SAYS(&rig, "ACK 3 IOCTL -25");
	ask(SCM_GETOPT, 1, 17, 100); /* SO_PEERCRED */
	SAYS(&rig, "ACK 3 GETOPT -92");
	rig.option_error = ENOPROTOOPT;
	ask(SCM_GETOPT, 6, 1, 4);
	SAYS(&rig, "get 5, ACK 3 GETOPT -92");
	rig.option_error = 0;
}
END_TEST

START_TEST(options_have_names_here)
{
	int level, name;

	for (int i = 0; i < SCM_OPTION_COUNT; i++)
		ck_assert(scm_option_native((enum scm_option)i, &level,
		    &name) == (i < SCM_INQ));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm data");
	TCase *tc = tcase_create("data");

	tcase_add_test(tc, a_write_is_answered_when_the_peer_has_it);
	tcase_add_test(tc, writes_wait_for_the_connection);
	tcase_add_test(tc, as_many_writes_wait_as_there_are_ids);
	tcase_add_test(tc, what_overflows_ends_the_socket);
	tcase_add_test(tc, a_socket_fails_within_a_write);
	tcase_add_test(tc, datagrams_stay_whole);
	tcase_add_test(tc, message_ids_rest_until_they_are_answered);
	tcase_add_test(tc, a_device_that_does_not_answer_loses_the_socket);
	tcase_add_test(tc, dialect_12_needs_no_answers);
	tcase_add_test(tc, a_device_refuses_data);
	suite_add_tcase(s, tc);
	tc = tcase_create("options");
	tcase_add_loop_test(tc, options_are_a_short_list, 0,
	    UNIT_COUNT(settings));
	tcase_add_test(tc, options_are_read);
	tcase_add_test(tc, options_have_names_here);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
