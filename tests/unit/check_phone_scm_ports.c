/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Local ports: real clients on one side, the bus on the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scmdev_rig.h"

#define BULK SCMDEV_IN
#define EVENT SCMDEV_EVENT_IN

static int client;

/* What a test waits for comes about while the main thread runs. */
#define UNTIL(claim)                                                     \
	do {                                                             \
		const struct moment end = moment_after_ms(clock_now(),   \
		    UNIT_PATIENCE_MS);                                   \
		while (!(claim)) {                                       \
			HOLDS(moment_before(clock_now(), end), #claim);  \
			main_round(10);                                  \
		}                                                        \
	} while (0)

static int
connect_client(void)
{
	struct cause why;
	const int fd = sock_connect(&scm()->forwards[0].local, 5000, &why);

	ck_assert_msg(fd >= 0, "%s", why.text);
	return fd;
}

static void
plug_with(const char *options)
{
	char text[200];

	snprintf(text, sizeof text, "forward=0=192.0.2.1:80%s", options);
	scm_plug(text);
	client = connect_client();
	UNTIL(scm()->current == 1);
}

static void
take_down(void)
{
	if (client >= 0)
		close(client);
	behaved();
	scm_unplug();
}

/* Socket 0 is connected, the next message is 2. */
static void
plug_8(void)
{
	plug_with(",linger=0");
	host_gets(BULK, "00 00 00 00 0200 0600");
	host_gets_nothing(BULK);
	host_sends(0x01, "04 00 00 00 00000000");
	host_gets(BULK, "01 01 00 00 10000000 0200 0050 c0000201"
	    "00000000 00000000");
	host_sends(0x01, "04 01 00 00 00000000");
}

static ssize_t
client_has(void *into, size_t len)
{
	const ssize_t n = recv(client, into, len, MSG_DONTWAIT);

	return n < 0 && errno == EAGAIN ? -2 : n;
}

/* The client gets exactly that. */
static void
client_gets(const char *text)
{
	char got[64];
	ssize_t n = -2;

	UNTIL((n = client_has(got, sizeof got)) != -2);
	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}

static bool
sent(uint8_t endpoint, const char *hex)
{
	uint8_t bytes[256];
	const size_t len = unhex(bytes, sizeof bytes, hex);
	struct test_urb *t = submit(endpoint, NULL,
	    endpoint == BULK ? 512 : 64);

	if (t->status == PENDING) {
		device_cancel(dev, &t->u);
		expect(t, USBIP_ECONNRESET, 0);
		return false;
	}
	ck_assert_uint_eq(t->actual, len);
	ck_assert_mem_eq(t->bytes, bytes, len);
	expect(t, USBIP_OK, (uint32_t)len);
	return true;
}

START_TEST(both_ways)
{
	ck_assert_int_eq(send(client, "ping", 4, 0), 4);
	UNTIL(sent(BULK, "03 02 00 00 04000000 70696e67"));
	host_sends(0x01, "03 09 00 00 04000000 706f6e67");
	host_gets_nothing(BULK); /* the client has not got it yet */
	client_gets("pong");
	host_gets(BULK, "04 09 00 00 00000000");
	host_sends(0x01, "04 02 00 00 00000000");
}
END_TEST

START_TEST(peer_closes)
{
	host_sends(0x01, "03 09 00 00 03000000 656e64"
	    "02 0a 00 00 00000000");
	host_gets(BULK, "04 0a 00 00 00000000");
	client_gets("end");
	client_gets("");
	host_gets(BULK, "04 09 00 00 00000000");
	/* The other direction is still there. */
	ck_assert_int_eq(send(client, "bye", 3, 0), 3);
	UNTIL(sent(BULK, "03 02 00 00 03000000 627965"));
	host_sends(0x01, "04 02 00 00 00000000");
	host_gets_nothing(BULK);
	close(client);
	client = -1;
	UNTIL(sent(BULK, "02 03 00 00 00000000"));
	host_sends(0x01, "04 03 00 00 00000000");
	UNTIL(scm()->current == 0);
}
END_TEST

/* Data that has not been answered holds CLOSE back, whoever has ended first. */
START_TEST(both_close)
{
	host_sends(0x01, "02 0a 00 00 00000000");
	host_gets(BULK, "04 0a 00 00 00000000");
	client_gets("");
	ck_assert_int_eq(send(client, "bye", 3, 0), 3);
	shutdown(client, SHUT_WR);
	UNTIL(scm()->sockets[0]->leaving);
	host_gets(BULK, "03 02 00 00 03000000 627965");
	main_round(0);
	host_gets_nothing(BULK);
	host_sends(0x01, "04 02 00 00 00000000");
	host_gets(BULK, "02 03 00 00 00000000");
}
END_TEST

START_TEST(client_closes)
{
	ck_assert_int_eq(send(client, "bye", 3, 0), 3);
	shutdown(client, SHUT_WR);
	UNTIL(sent(BULK, "03 02 00 00 03000000 627965"));
	main_round(0);
	host_gets_nothing(BULK);
	host_sends(0x01, "04 02 00 00 00000000");
	UNTIL(sent(BULK, "02 03 00 00 00000000")); /* linger=0 */
	client_gets("");
	host_sends(0x01, "04 03 00 00 00000000");
	UNTIL(scm()->current == 0);
}
END_TEST

START_TEST(lingers)
{
	struct scmdev_socket *sock = scm()->sockets[0];

	scm()->linger_ms = 3600000;
	shutdown(client, SHUT_WR);
	UNTIL(sock->eof && sock->linger_until.ns != MOMENT_NEVER.ns);
	host_sends(0x01, "03 09 00 00 03000000 656e64");
	client_gets("end");
	host_gets(BULK, "04 09 00 00 00000000");
	main_round(0);
	host_gets_nothing(BULK);
	ck_assert(sock->linger_until.ns != MOMENT_NEVER.ns);
	sock->linger_until = clock_now();
	UNTIL(sent(BULK, "02 02 00 00 00000000"));
}
END_TEST

/* What the peer does not take is nobody's; what it had sent is the client's. */
START_TEST(peer_breaks)
{
	ck_assert_int_eq(send(client, "lost", 4, 0), 4);
	UNTIL(sent(BULK, "03 02 00 00 04000000 6c6f7374"));
	host_sends(0x01, "03 09 00 00 03000000 656e64"
	    "04 02 00 00 e0ffffff" "02 0a 00 00 00000000");
	client_gets("end");
	client_gets("");
	ck_assert_int_eq(send(client, "more", 4, 0), 4);
	UNTIL(counted("discarded") == 4);
	close(client);
	client = -1;
	host_gets(BULK, "04 0a 00 00 00000000");
	host_gets(BULK, "04 09 00 00 00000000");
	UNTIL(sent(BULK, "02 03 00 00 00000000"));
}
END_TEST

static void
expect_reset(void)
{
	char c;
	ssize_t n = -2;

	UNTIL((n = client_has(&c, 1)) != -2);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

START_TEST(refused)
{
	plug_with("");
	host_gets(BULK, "00 00 00 00 0200 0600");
	host_sends(0x01, "04 00 00 00 00000000");
	host_fetches(BULK);
	host_sends(0x01, "04 01 00 00 91ffffff"); /* -ECONNREFUSED */
	host_gets(BULK, "02 02 00 00 00000000");
	expect_reset();
	host_sends(0x01, "04 02 00 00 00000000");
	ck_assert_uint_eq(scm()->current, 0);
	ck_assert_uint_eq(counted("refused"), 1);
	close(client);
	client = connect_client();
	UNTIL(sent(BULK, "00 03 01 00 0200 0600"));
	host_sends(0x01, "04 03 01 00 e8ffffff"); /* -EMFILE */
	expect_reset();
	UNTIL(scm()->current == 0);
	take_down();
}
END_TEST

START_TEST(client_resets)
{
	const struct linger at_once = { .l_onoff = 1 };

	host_sends(0x01, "03 09 00 00 03000000 656e64");
	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(client);
	client = -1;
	UNTIL(scm()->sockets[0]->leaving);
	host_fetches(BULK); /* an ACK, with whichever result */
	host_gets(BULK, "02 02 00 00 00000000");
	host_sends(0x01, "04 02 00 00 00000000");
	UNTIL(scm()->current == 0);
}
END_TEST

/* The session's end is every client's. */
START_TEST(unplugged)
{
	host_sends(0x01, "03 09 00 00 03000000 656e64");
	device_restart(dev);
	expect_reset();
	UNTIL(scm()->current == 0);
	configure(1);
	host_gets_nothing(BULK); /* nothing is owed to the next session */
}
END_TEST

START_TEST(shutdown_12)
{
	plug_with(",dialect=12");
	host_gets(EVENT, "0000 0000 00000000 09000000 00010000 0100 0100 01");
	host_sends(0x02, "0400 0000 00010000 03000000 0000 00");
	host_gets(EVENT, "0100 0100 00010000 08000000 0100 0050 c0000201");
	/* Data overtakes the news that the socket is connected. */
	host_sends(0x01, "0300 0500 00010000 02000000 6869");
	client_gets("hi");
	host_gets(EVENT, "0400 0500 00010000 03000000 0300 00");
	host_sends(0x02, "0400 0100 00010000 03000000 0100 00");
	ck_assert_int_eq(send(client, "bye", 3, 0), 3);
	shutdown(client, SHUT_WR);
	UNTIL(sent(BULK, "0300 0200 00010000 03000000 627965"));
	main_round(0);
	host_gets_nothing(EVENT); /* it must not overtake the data */
	host_sends(0x02, "0400 0200 00010000 03000000 0300 00");
	UNTIL(sent(EVENT, "0200 0300 00010000 00000000"));
	host_sends(0x02, "0400 0300 00010000 03000000 0200 00");
	host_sends(0x01, "0300 0600 00010000 03000000 656e64");
	client_gets("end");
	host_gets(EVENT, "0400 0600 00010000 03000000 0300 00");
	host_sends(0x02, "0600 0700 00010000 00000000");
	host_gets(EVENT, "0400 0700 00010000 03000000 0600 00");
	client_gets("");
	UNTIL(sent(EVENT, "0600 0400 00010000 00000000"));
	take_down();
}
END_TEST

/* ---- Back-pressure ------------------------------------------------------ */

static uint8_t
byte_at(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

/* A client that sends as much as it can, and no more is taken of it than the
 * host takes. */
START_TEST(slow_host)
{
	const size_t total = 4u << 20;
	uint8_t *bytes = malloc(total);
	size_t put = 0, got = 0;
	unsigned unanswered = 0;
	char hex[32];

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < total; i++)
		bytes[i] = byte_at(i);
	while (got < total) {
		struct test_urb *t = submit(BULK, NULL, 32768);
		const ssize_t n = send(client, bytes + put, total - put,
		    MSG_DONTWAIT);

		put += n > 0 ? (size_t)n : 0;
		main_round(0);
		ck_assert_uint_le(scm()->sockets[0]->tx.used,
		    SCMDEV_TX_MAX + 16384);
		if (t->status == USBIP_OK) {
			ck_assert_uint_eq(t->bytes[0], SCMDEV_WRITE);
			ck_assert_uint_le(t->actual, 8 + 16384);
			HOLDS(memcmp(t->bytes + 8, bytes + got,
				  t->actual - 8) == 0, "at %zu", got);
			got += t->actual - 8;
			snprintf(hex, sizeof hex, "04 %02x 00 00 00000000",
			    t->bytes[1]);
			expect(t, USBIP_OK, t->actual);
			unanswered++;
			ck_assert_uint_le(unanswered, 8); /* the window */
			if (unanswered < 8)
				continue;
			main_round(0); /* the window: an answer opens it */
			host_gets_nothing(BULK);
			host_sends(0x01, hex);
			unanswered--;
		} else {
			device_cancel(dev, &t->u);
			expect(t, USBIP_ECONNRESET, 0);
		}
	}
	free(bytes);
}
END_TEST

/* A client that does not read: the host is not answered, and then it cannot
 * send any more.  All of it comes when the client reads. */
START_TEST(slow_client)
{
	static uint8_t message[8 + 16384] = { SCMDEV_WRITE, 0, 0, 0, 0, 0x40 };
	static uint8_t got[65536];
	struct test_urb *t;
	size_t sent_bytes = 0, had = 0;

	for (;;) {
		for (size_t i = 0; i < 16384; i++)
			message[8 + i] = byte_at(sent_bytes + i);
		t = make_urb(0x01, message, sizeof message);
		device_submit(dev, &t->u);
		if (t->status == PENDING)
			break;
		expect(t, USBIP_OK, sizeof message);
		sent_bytes += 16384;
		message[1]++;
		for (int i = 0; i < 3; i++)
			main_round(0);
		/* Ids that are free again. */
		while (scm()->out[SCMDEV_BULK].count > 0)
			host_fetches(BULK);
		ck_assert_uint_lt(sent_bytes, 64u << 20);
	}
	ck_assert_uint_ge(scm()->sockets[0]->rx.used, SCMDEV_RX_MAX);
	ck_assert_uint_le(scm()->sockets[0]->rx.used, SCMDEV_RX_MAX + 16384);
	while (had < sent_bytes + 16384) {
		ssize_t n = -2;

		UNTIL((n = client_has(got, sizeof got)) != -2);
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			HOLDS(got[i] == byte_at(had + (size_t)i), "at %zu",
			    had + (size_t)i);
		had += (size_t)n;
	}
	ck_assert_int_eq(t->status, USBIP_OK);
	UNTIL(scm()->sockets[0]->due_count == 0);
}
END_TEST

/* More clients than sockets wait; and none comes in while there is no host. */
START_TEST(many_clients)
{
	int fd[SCMDEV_SOCKETS + 4];

	scm_plug("forward=0=192.0.2.1:80");
	configure(0);
	for (int i = 0; i < 100; i++)
		fd[i] = connect_client();
	main_round(50);
	ck_assert_uint_eq(scm()->current, 0);
	configure(1);
	UNTIL(scm()->current == 100);
	for (int i = 100; i < UNIT_COUNT(fd); i++)
		fd[i] = connect_client();
	UNTIL(scm()->current == SCMDEV_SOCKETS);
	main_round(50);
	ck_assert_uint_eq(scm()->forwards[0].accepted, SCMDEV_SOCKETS);
	for (int i = 0; i < SCMDEV_SOCKETS; i++)
		host_fetches(BULK); /* 256 OPENs without an answer */
	host_gets_nothing(BULK);
	host_sends(0x01, "04 07 07 00 e8ffffff");
	UNTIL(scm()->forwards[0].accepted == SCMDEV_SOCKETS + 1);
	host_gets(BULK, "00 07 07 00 0200 0600");
	for (int i = 0; i < UNIT_COUNT(fd); i++)
		close(fd[i]);
	client = -1;
	take_down();
}
END_TEST

/* ---- Options ------------------------------------------------------------ */

START_TEST(options)
{
	static const char *const bad[][2] = {
		{ "forward=8080", "forward: give LOCAL=ADDRESS:PORT, as in "
		    "8080=192.0.2.1:80" },
		{ "forward=8080=example.org:80", "forward: 'example.org' is no "
		    "address of IPv4 or IPv6; the protocol carries no names" },
		{ "forward=8080=/tmp/x", "forward: '/tmp/x' is a UNIX socket; "
		    "a host connects to ADDRESS:PORT" },
		{ "dialect=9", "dialect: '9' is none of 8, 12" },
		{ "window=257", "window: '257' is no number from 1 to 256" },
		{ "write=0", "write: '0' is no number from 1 to 65536" },
		{ "misbehave=badly", "misbehave: 'badly' is none that it "
		    "knows; see muxphone(1)" },
		{ "loop", "there is no option 'loop'" },
	};
	char text[300];

	for (int i = 0; i < UNIT_COUNT(bad); i++) {
		snprintf(text, sizeof text, "--device scm: %s", bad[i][1]);
		usb_expect_no_device(&kind_scm, bad[i][0], text);
	}
	scm_plug("forward=127.0.0.1:0=[2001:db8::1]:22,forward=0=192.0.2.9:1,"
	    "dialect=12,interrupt=off,acks=off,misbehave=split/2");
	ck_assert_uint_eq(scm()->forward_count, 2);
	ck_assert(scm()->forwards[0].to.v6 && !scm()->forwards[1].to.v6);
	ck_assert_uint_eq(scm()->forwards[0].to.port, 22);
	ck_assert(!scm()->events && !scm()->acks && scm()->style.hss);
	ck_assert_int_eq(scm()->misbehaviour, SCMDEV_M_SPLIT);
	scm_unplug();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phone/scm-ports");
	TCase *t = tcase_create("connected");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, plug_8, take_down);
	tcase_add_test(t, both_ways);
	tcase_add_test(t, peer_closes);
	tcase_add_test(t, both_close);
	tcase_add_test(t, client_closes);
	tcase_add_test(t, lingers);
	tcase_add_test(t, peer_breaks);
	tcase_add_test(t, client_resets);
	tcase_add_test(t, unplugged);
	tcase_add_test(t, slow_host);
	tcase_add_test(t, slow_client);
	suite_add_tcase(s, t);
	t = tcase_create("others");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, refused);
	tcase_add_test(t, shutdown_12);
	tcase_add_test(t, many_clients);
	tcase_add_test(t, options);
	suite_add_tcase(s, t);
	return unit_run(s);
}
