/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One socket of a device: what each message and event does in each state. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scm_rig.h"
#include "unit.h"

#define SAYS(r, text) ck_assert_str_eq(scm_rig_log(r), text)

static struct scm_rig rig;

/* ---- Begin -------------------------------------------------------------- */

START_TEST(a_socket_is_opened)
{
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_socket_start(&rig.s, SCM_8,
	    &(struct scm_message){ .op = SCM_OPEN, .id = 7, .sock = 9,
		.family = SCM_INET6, .protocol = SCM_UDP },
	    &rig.s.ids, &(struct scm_limits){ .connect_ms = 1 }, rig.now);
	SAYS(&rig, "socket6u, ACK 7 OPEN 0");
	ck_assert_int_eq(rig.s.state, SCM_UNCONNECTED);
	ck_assert_int_eq(scm_socket_due(&rig.s).ns, MOMENT_NEVER.ns);
}
END_TEST

/* Its number is free before the device hears of it. */
START_TEST(a_socket_that_cannot_be_made_leaves)
{
	rig.make_error = EMFILE;
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	SAYS(&rig, "socket, leave, ACK 1 OPEN -24");
	scm_socket_gone(&rig.s);
	SAYS(&rig, "end");
	rig.make_error = 0;
}
END_TEST

START_TEST(a_connection_is_made)
{
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, true);
	SAYS(&rig, "connect");
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	scm_socket_connected(&rig.s, 0, rig.now);
	SAYS(&rig, "ACK 2 CONNECT 0");
	ck_assert_uint_eq(scm_socket_room(&rig.s), SCM_SEND_MAX);
}
END_TEST

static const struct {
	int error;
	const char *says;
} refusals[] = {
	{ ECONNREFUSED, "ACK 2 CONNECT -111, ACK 3 WRITE -107" },
	{ EHOSTUNREACH, "ACK 2 CONNECT -113, ACK 3 WRITE -107" },
	{ ENETUNREACH, "ACK 2 CONNECT -101, ACK 3 WRITE -107" },
	{ EACCES, "ACK 2 CONNECT -13, ACK 3 WRITE -107" },
};

/* The socket stays, with a new descriptor, and can be tried again. */
START_TEST(a_connection_fails)
{
	char says[100];

	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, true);
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	SAYS(&rig, "connect");
	scm_socket_connected(&rig.s, refusals[_i].error, rig.now);
	snprintf(says, sizeof says, "socket, %s", refusals[_i].says);
	SAYS(&rig, says);
	ck_assert_int_eq(rig.s.state, SCM_UNCONNECTED);
	scm_rig_take_connect(&rig, 4, true);
	scm_socket_connected(&rig.s, 0, rig.now);
	SAYS(&rig, "connect, ACK 4 CONNECT 0");
}
END_TEST

START_TEST(a_refused_address_is_a_closed_port)
{
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, false);
	SAYS(&rig, "ACK 2 CONNECT -111");
	ck_assert_int_eq(rig.s.state, SCM_UNCONNECTED);
	scm_rig_take(&rig, SCM_CONNECT, 3); /* without a verdict, and family */
	SAYS(&rig, "ACK 3 CONNECT -97");
}
END_TEST

START_TEST(a_connection_has_its_time)
{
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, true);
	SAYS(&rig, "connect");
	scm_rig_pass(&rig, 19999);
	SAYS(&rig, "");
	scm_rig_pass(&rig, 1);
	SAYS(&rig, "socket, ACK 2 CONNECT -110");
	/* What the system says of the old descriptor is nobody's. */
	scm_socket_connected(&rig.s, 0, rig.now);
	SAYS(&rig, "");
	ck_assert_int_eq(rig.s.state, SCM_UNCONNECTED);
}
END_TEST

START_TEST(what_is_malformed_is_invalid)
{
	static const enum scm_op ops[] = { SCM_CONNECT, SCM_SETOPT, SCM_GETOPT,
		SCM_IOCTL };
	char says[64];

	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	for (int i = 0; i < UNIT_COUNT(ops); i++) {
		const struct scm_message m = { .op = ops[i], .id = 3,
			.sock = 9, .malformed = true };

		scm_socket_message(&rig.s, &m, NULL, rig.now);
		snprintf(says, sizeof says, "ACK 3 %s -22",
		    scm_op_name(ops[i]));
		SAYS(&rig, says);
	}
	ck_assert_str_eq(scm_socket_state_name(rig.s.state), "unconnected");
}
END_TEST

/* Shipped devices say IPv4 in OPEN, and IPv6 in CONNECT. */
START_TEST(dialect_12_says_its_family_in_connect)
{
	const struct scm_message m = { .op = SCM_CONNECT, .id = 2, .sock = 9,
		.address = { .family = SCM_INET6, .port = 80 } };
	const struct scm_verdict v = { .allowed = true };

	scm_rig_open(&rig, SCM_12, SCM_TCP, 0);
	scm_socket_message(&rig.s, &m, &v, rig.now);
	SAYS(&rig, "socket6, connect");
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_socket_message(&rig.s, &m, &v, rig.now);
	SAYS(&rig, "ACK 2 CONNECT -97");
}
END_TEST

START_TEST(no_descriptor_for_another_try)
{
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_connect(&rig, 2, true);
	rig.make_error = ENFILE;
	scm_socket_connected(&rig.s, ECONNREFUSED, rig.now);
	SAYS(&rig, "connect, socket, ACK 2 CONNECT -111, CLOSE");
	ck_assert_int_eq(rig.s.state, SCM_FAILED);
	ck_assert_ptr_nonnull(rig.s.fault);
	rig.make_error = 0;
}
END_TEST

/* ---- Every message in every state --------------------------------------- */

enum where {
	AT_UNCONNECTED,
	AT_CONNECTING,
	AT_CONNECTED,
	AT_FAILED,
	AT_CLOSING,
	AT_LEAVING,
	AT_COUNT,
};

static void
go(enum where where, enum scm_dialect dialect)
{
	scm_rig_open(&rig, dialect, SCM_TCP, 4);
	if (where == AT_UNCONNECTED)
		return;
	scm_rig_take_connect(&rig, 2, true);
	if (where != AT_CONNECTING) {
		scm_socket_connected(&rig.s, 0, rig.now);
		scm_rig_run(&rig);
	}
	if (where == AT_FAILED)
		scm_socket_broke(&rig.s, ECONNRESET, rig.now);
	if (where == AT_CLOSING)
		scm_rig_take_write(&rig, 3, 10);
	if (where == AT_CLOSING || where == AT_LEAVING)
		scm_rig_take(&rig, SCM_CLOSE, 4);
	scm_rig_log(&rig);
}

static const struct {
	enum scm_op op;
	const char *says[AT_COUNT];
	enum scm_socket_state becomes[AT_COUNT];
} transitions[] = {
	{ SCM_CONNECT,
	    { "connect", "ACK 20 CONNECT -114", "ACK 20 CONNECT -106",
		"ACK 20 CONNECT -32", "ACK 20 CONNECT -9",
		"ACK 20 CONNECT -9" },
	    { SCM_CONNECTING, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_CLOSE,
	    { "close, leave, ACK 20 CLOSE 0",
		"ACK 2 CONNECT -103, close, leave, ACK 20 CLOSE 0",
		"close, leave, ACK 20 CLOSE 0", "leave, ACK 20 CLOSE 0",
		"ACK 20 CLOSE -9", "ACK 20 CLOSE -9" },
	    { SCM_LEAVING, SCM_LEAVING, SCM_LEAVING, SCM_LEAVING, SCM_CLOSING,
		SCM_LEAVING } },
	{ SCM_WRITE,
	    { "ACK 20 WRITE -107", "", "", "ACK 20 WRITE -32",
		"ACK 20 WRITE -9", "ACK 20 WRITE -9" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_SHUTDOWN,
	    { "ACK 20 SHUTDOWN -107", "ACK 20 SHUTDOWN -107",
		"fin, ACK 20 SHUTDOWN 0", "ACK 20 SHUTDOWN -32",
		"ACK 20 SHUTDOWN -9", "ACK 20 SHUTDOWN -9" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_SETOPT,
	    { "set 5, ACK 20 SETOPT 0", "set 5, ACK 20 SETOPT 0",
		"set 5, ACK 20 SETOPT 0", "ACK 20 SETOPT -32",
		"ACK 20 SETOPT -9", "ACK 20 SETOPT -9" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_GETOPT,
	    { "get 5, REPLY 20 GETOPT 4", "get 5, REPLY 20 GETOPT 4",
		"get 5, REPLY 20 GETOPT 4", "ACK 20 GETOPT -32",
		"ACK 20 GETOPT -9", "ACK 20 GETOPT -9" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_IOCTL,
	    { "get 10, REPLY 20 IOCTL 4", "get 10, REPLY 20 IOCTL 4",
		"get 10, REPLY 20 IOCTL 4", "ACK 20 IOCTL -32",
		"ACK 20 IOCTL -9", "ACK 20 IOCTL -9" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_ACK, { "", "", "", "", "", "" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
	{ SCM_REPLY, { "", "", "", "", "", "" },
	    { SCM_UNCONNECTED, SCM_CONNECTING, SCM_CONNECTED, SCM_FAILED,
		SCM_CLOSING, SCM_LEAVING } },
};

static void
take(enum scm_op op)
{
	static const uint8_t one[4] = { 1 };
	const struct scm_message m = { .op = op, .id = 20, .sock = 9,
		.level = 6, .name = 1, .room = 4, .request = 0x541b,
		.data = one, .len = op == SCM_SETOPT ? 4 : 0 };

	if (op == SCM_CONNECT)
		scm_rig_take_connect(&rig, 20, true);
	else if (op == SCM_WRITE)
		scm_rig_take_write(&rig, 20, 3);
	else
		scm_socket_message(&rig.s, &m, NULL, rig.now);
}

START_TEST(every_message_in_every_state)
{
	for (int at = 0; at < AT_COUNT; at++) {
		go((enum where)at, SCM_8);
		take(transitions[_i].op);
		SAYS(&rig, transitions[_i].says[at]);
		ck_assert_msg(rig.s.state == transitions[_i].becomes[at],
		    "%s at %d: %s", scm_op_name(transitions[_i].op), at,
		    scm_socket_state_name(rig.s.state));
	}
}
END_TEST

/* From wherever it is, a socket whose device is gone ends. */
START_TEST(a_device_that_is_gone_ends_its_sockets)
{
	static const char *const says[AT_COUNT] = { "reset, end", "reset, end",
		"reset, end", "end", "reset, end", "end" };

	go((enum where)_i, SCM_8);
	scm_socket_gone(&rig.s);
	SAYS(&rig, says[_i]);
	ck_assert(rig.ended);
	ck_assert_int_eq(scm_socket_due(&rig.s).ns, MOMENT_NEVER.ns);
}
END_TEST

/* Results that come too late, and calls that nobody waits for, do nothing. */
START_TEST(late_events_do_nothing)
{
	go((enum where)_i, SCM_8);
	if (_i != AT_CONNECTING) {
		scm_socket_connected(&rig.s, 0, rig.now);
		scm_socket_connected(&rig.s, ETIMEDOUT, rig.now);
	}
	scm_socket_left(&rig.s);
	scm_socket_expire(&rig.s, rig.now);
	if (_i != AT_CONNECTED)
		scm_socket_peer_ended(&rig.s, rig.now);
	SAYS(&rig, "");
}
END_TEST

/* ---- The end ------------------------------------------------------------ */

/* CLOSE does not overtake data: neither in a queue of ours, nor on another
 * pipe. */
START_TEST(a_notice_waits_for_the_data)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 2);
	scm_socket_received(&rig.s, 10, rig.now);
	scm_socket_peer_ended(&rig.s, rig.now);
	SAYS(&rig, "");
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	scm_socket_left(&rig.s);
	SAYS(&rig, "CLOSE");
	ck_assert_uint_eq(rig.last.id, 101);
	ck_assert_int_eq(rig.last.code, 0);
	/* The device may go on writing, and ends it. */
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	scm_socket_written(&rig.s, 5, rig.now);
	SAYS(&rig, "ACK 3 WRITE 0");
	scm_rig_take_ack(&rig, 101, 0);
	scm_rig_take_ack(&rig, 100, 0);
	scm_rig_take(&rig, SCM_CLOSE, 4);
	SAYS(&rig, "close, leave, ACK 4 CLOSE 0");
	ck_assert_uint_eq(rig.s.violations, 0);
	scm_socket_gone(&rig.s);
	SAYS(&rig, "end");
	ck_assert_uint_eq(rig.s.ids.busy, 0);
}
END_TEST

START_TEST(a_notice_has_its_time)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 2);
	scm_socket_peer_ended(&rig.s, rig.now);
	SAYS(&rig, "CLOSE");
	scm_rig_pass(&rig, SCM_NOTICE_MS - 1);
	ck_assert(scm_rig_take_write(&rig, 3, 5));
	scm_rig_pass(&rig, SCM_NOTICE_MS - 1);
	SAYS(&rig, "");
	scm_rig_pass(&rig, 1);
	SAYS(&rig, "ACK 3 WRITE -32, close, leave");
}
END_TEST

START_TEST(a_close_waits_for_the_devices_data)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_write(&rig, 3, 5);
	scm_rig_take_part(&rig, 4, 2, 4, 2);
	scm_rig_take(&rig, SCM_CLOSE, 5);
	scm_socket_written(&rig.s, 7, rig.now);
	SAYS(&rig, "ACK 3 WRITE 0");
	ck_assert_uint_eq(scm_socket_room(&rig.s), 0);
	/* Two pipes: the rest of a WRITE may come behind the CLOSE. */
	ck_assert(scm_rig_take_part(&rig, 4, 2, 4, 0));
	scm_socket_written(&rig.s, 2, rig.now);
	SAYS(&rig, "ACK 4 WRITE 0, close, leave, ACK 5 CLOSE 0");
}
END_TEST

START_TEST(a_close_does_not_wait_for_ever)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_write(&rig, 3, 5);
	scm_rig_take(&rig, SCM_CLOSE, 4);
	scm_rig_pass(&rig, SCM_LINGER_MS - 1);
	scm_socket_written(&rig.s, 1, rig.now);
	scm_rig_pass(&rig, SCM_LINGER_MS - 1);
	SAYS(&rig, "");
	scm_rig_pass(&rig, 1);
	SAYS(&rig, "ACK 3 WRITE -110, reset, leave, ACK 4 CLOSE -110");
	ck_assert_int_eq(scm_socket_due(&rig.s).ns, MOMENT_NEVER.ns);
}
END_TEST

START_TEST(a_peer_breaks_while_closing)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_take_write(&rig, 3, 5);
	scm_rig_take(&rig, SCM_CLOSE, 4);
	scm_socket_broke(&rig.s, ECONNRESET, rig.now);
	SAYS(&rig, "ACK 3 WRITE -104, reset, leave, ACK 4 CLOSE -104");
}
END_TEST

START_TEST(a_shutdown_is_behind_the_data)
{
	scm_rig_connected(&rig, SCM_12, SCM_TCP, 0);
	scm_rig_take_write(&rig, 3, 5);
	scm_rig_take(&rig, SCM_SHUTDOWN, 4);
	SAYS(&rig, "");
	scm_rig_take(&rig, SCM_SHUTDOWN, 5);
	SAYS(&rig, "ACK 5 SHUTDOWN 0");
	ck_assert(!scm_rig_take_write(&rig, 6, 1));
	SAYS(&rig, "ACK 6 WRITE -32");
	scm_socket_written(&rig.s, 5, rig.now);
	SAYS(&rig, "ACK 3 WRITE 0, fin, ACK 4 SHUTDOWN 0");
	ck_assert_uint_gt(scm_socket_room(&rig.s), 0);
	scm_socket_peer_ended(&rig.s, rig.now);
	SAYS(&rig, "CLOSE");
}
END_TEST

START_TEST(an_idle_socket_ends)
{
	scm_rig_connected(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_pass(&rig, 99999);
	scm_rig_take_write(&rig, 3, 5);
	scm_rig_pass(&rig, 99999);
	SAYS(&rig, "");
	scm_rig_pass(&rig, 1);
	SAYS(&rig, "ACK 3 WRITE -110, reset, CLOSE");
	ck_assert_ptr_nonnull(strstr(rig.s.fault, "too long"));
	/* One that was never connected, too. */
	scm_rig_open(&rig, SCM_8, SCM_TCP, 4);
	scm_rig_pass(&rig, 100000);
	SAYS(&rig, "reset, CLOSE");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("scm socket");
	TCase *tc = tcase_create("begin");

	tcase_add_test(tc, a_socket_is_opened);
	tcase_add_test(tc, a_socket_that_cannot_be_made_leaves);
	tcase_add_test(tc, a_connection_is_made);
	tcase_add_loop_test(tc, a_connection_fails, 0, UNIT_COUNT(refusals));
	tcase_add_test(tc, a_refused_address_is_a_closed_port);
	tcase_add_test(tc, a_connection_has_its_time);
	tcase_add_test(tc, what_is_malformed_is_invalid);
	tcase_add_test(tc, dialect_12_says_its_family_in_connect);
	tcase_add_test(tc, no_descriptor_for_another_try);
	suite_add_tcase(s, tc);
	tc = tcase_create("transitions");
	tcase_add_loop_test(tc, every_message_in_every_state, 0,
	    UNIT_COUNT(transitions));
	tcase_add_loop_test(tc, a_device_that_is_gone_ends_its_sockets, 0,
	    AT_COUNT);
	tcase_add_loop_test(tc, late_events_do_nothing, 0, AT_COUNT);
	suite_add_tcase(s, tc);
	tc = tcase_create("end");
	tcase_add_test(tc, a_notice_waits_for_the_data);
	tcase_add_test(tc, a_notice_has_its_time);
	tcase_add_test(tc, a_close_waits_for_the_devices_data);
	tcase_add_test(tc, a_close_does_not_wait_for_ever);
	tcase_add_test(tc, a_peer_breaks_while_closing);
	tcase_add_test(tc, a_shutdown_is_behind_the_data);
	tcase_add_test(tc, an_idle_socket_ends);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
