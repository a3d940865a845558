/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When a connection acknowledges.  No worker runs; the test calls its steps. */

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"
#include "daemon/relay.h"
#include "fake_transport.h"
#include "mux/stream.h"
#include "unit.h"

static struct fake fake;
static struct mailbox manager;
static struct waker *waker;
static struct device *d;
static struct client *c;
static struct msg answer = { .type = MSG_ANSWER };

/* The test is the worker. */
static void
begin(void) ROLE_UNCHECKED
{
	const struct tcp_header syn_ack = { .sport = 7, .dport = 1, .ack = 1,
		.flags = TCP_SYN | TCP_ACK };
	int fds[2];

	fake_init(&fake, "1-3");
	waker = waker_new();
	mailbox_init_waker(&manager, waker);
	d = device_new(7, &fake.source, &fake.ident, &protocol_mux, &manager);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[1]);
	c = client_new(fds[0], 1, false, waker, &manager);
	ck_assert_ptr_nonnull(c);
	c->conn.device = d;
	c->conn.ack_at = MOMENT_NEVER;
	stream_init(&c->conn.stream, 1, 7);
	stream_syn(&c->conn.stream);
	ck_assert_int_eq(stream_input(&c->conn.stream, &syn_ack, 0),
	    STREAM_CONNECTED);
	stream_ack(&c->conn.stream);
}

static void
end(void) ROLE_UNCHECKED
{
	close(c->fd);
	client_close_box(c);
	client_put(c);
	device_put(d);
	waker_put(waker);
	fake_fini(&fake);
}

/* The client has read so many bytes; is that acknowledged? */
static bool
acknowledges(uint32_t consumed, bool more_to_do) ROLE_UNCHECKED
{
	struct msg *m;

	stream_consumed(&c->conn.stream, consumed);
	if (more_to_do)
		mailbox_post(&c->box, &answer);
	relay_acknowledge(c);
	mailbox_take(&c->box);
	m = mailbox_take(&d->writer_box);
	if (m == NULL)
		return false;
	HOLDS(msg_next(m) == NULL, "two acknowledgements");
	packet_free(packet_of_msg(m));
	return true;
}

static struct moment
due(void) ROLE_UNCHECKED
{
	return c->conn.ack_at;
}

static void
let_it_be_due(void) ROLE_UNCHECKED
{
	c->conn.ack_at = (struct moment){ 0 };
}

START_TEST(nothing_is_not_acknowledged)
{
	ck_assert(!acknowledges(0, false));
	ck_assert(due().ns == MOMENT_NEVER.ns);
}
END_TEST

START_TEST(a_little_waits_and_is_acknowledged_once)
{
	struct moment at;

	ck_assert(!acknowledges(1, false));
	at = due();
	ck_assert(moment_before(clock_now(), at));
	ck_assert(moment_before(at, moment_after_ms(clock_now(), 1000)));
	/* More does not put it off. */
	ck_assert(!acknowledges(100, false));
	ck_assert(due().ns == at.ns);
	let_it_be_due();
	ck_assert(acknowledges(0, true));
	ck_assert(due().ns == MOMENT_NEVER.ns);
	ck_assert(!acknowledges(0, false));
}
END_TEST

START_TEST(a_lot_is_acknowledged_when_there_is_nothing_else_to_do)
{
	ck_assert(!acknowledges(16 * 1024 - 1, false));
	ck_assert(!acknowledges(1, true));
	ck_assert(acknowledges(0, false));
}
END_TEST

START_TEST(a_quarter_of_the_window_is_acknowledged_at_once)
{
	ck_assert(!acknowledges(STREAM_RECV_WINDOW / 4 - 1, true));
	ck_assert(acknowledges(1, true));
	ck_assert(acknowledges(STREAM_RECV_WINDOW, true));
}
END_TEST

static void
send_data(void) ROLE_UNCHECKED
{
	stream_data(&c->conn.stream, 0);
}

START_TEST(what_rode_on_data_is_not_acknowledged_again)
{
	ck_assert(!acknowledges(100, false));
	send_data();
	let_it_be_due();
	ck_assert(!acknowledges(0, false));
	ck_assert(due().ns == MOMENT_NEVER.ns);
}
END_TEST

static void
reset(void) ROLE_UNCHECKED
{
	stream_rst(&c->conn.stream);
}

START_TEST(a_closed_stream_acknowledges_nothing)
{
	ck_assert(!acknowledges(100, false));
	reset();
	ck_assert(!acknowledges(STREAM_RECV_WINDOW, false));
	ck_assert(due().ns == MOMENT_NEVER.ns);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon: acknowledgements");
	TCase *tc = tcase_create("ack");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, nothing_is_not_acknowledged);
	tcase_add_test(tc, a_little_waits_and_is_acknowledged_once);
	tcase_add_test(tc, a_lot_is_acknowledged_when_there_is_nothing_else_to_do);
	tcase_add_test(tc, a_quarter_of_the_window_is_acknowledged_at_once);
	tcase_add_test(tc, what_rode_on_data_is_not_acknowledged_again);
	tcase_add_test(tc, a_closed_stream_acknowledges_nothing);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
