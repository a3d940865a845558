/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A socket that a device has opened, between its reader and its worker. */

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/packet.h"
#include "daemon/protocol.h"
#include "daemon/scm_conn.h"
#include "daemon/scm_host.h"
#include "daemon/scm_settings.h"
#include "unit.h"

static const struct scm_identity who = { 0x2fe0, 0x8b01, "S1", "1-4" };
static struct cause why;

static struct scm_settings *
settings_of(const char *rules)
{
	struct scm_settings *s = scm_settings_empty("scm.conf");

	ck_assert_ptr_nonnull(s);
	scm_policy_free(s->policy);
	s->policy = scm_policy_new("scm.conf", rules, strlen(rules), &why);
	ck_assert_msg(s->policy != NULL, "%s", why.text);
	return s;
}

/* ---- What workers have not taken ---------------------------------------- */

static const struct scm_format twelve = { .dialect = SCM_12 };
static const struct scm_format eight = { .dialect = SCM_8 };
static struct usb_source no_source = { .name = "test" };
static struct mailbox manager_box;
static struct waker *waker;

static struct device *
new_device(const struct scm_settings *settings,
    const struct scm_format *format) ROLE_UNCHECKED
{
	const struct usb_ident ident = { .key = "1-4" };
	struct device *d = device_new(1, &no_source, &ident, &protocol_scm,
	    &manager_box);

	ck_assert_ptr_nonnull(d);
	scm_device_init(&d->scm_state->engine, format, settings->policy, &who,
	    &settings->host, clock_now());
	return d;
}

static enum protocol_verdict
send_read(struct device *d, const struct scm_message *m, unsigned times)
{
	struct chunk *read = chunk_take(&d->pool);
	struct writer w;

	ck_assert_ptr_nonnull(read);
	w = writer_over(read->data, CHUNK_SIZE);
	while (times-- > 0)
		ck_assert(scm_message_write(&w, &d->scm_state->engine.format,
		    m));
	if (m->op == SCM_WRITE && m->total > 0) {
		memset(w.at, 'x', m->total);
		w.at += m->total;
	}
	read->len = (uint32_t)writer_used(&w);
	return protocol_scm.input(d, read, NULL, NULL, &why);
}

/* WRITEs of nothing, which no bytes wait of, as long as the reader would read on;
 * how many. */
#define AT_ONCE 1000
static unsigned
send_writes(struct device *d)
{
	const struct scm_message m = { .op = SCM_WRITE, .sock = 7 };
	unsigned sent = 0;
	int timeout_ms = -1;

	while (protocol_scm.may_read(d, &timeout_ms)) {
		ck_assert_uint_lt(sent, 100 * AT_ONCE);
		ck_assert_int_eq(send_read(d, &m, AT_ONCE), PROTOCOL_TAKEN);
		sent += AT_ONCE;
	}
	ck_assert_int_eq(timeout_ms, -1);
	return sent;
}

static struct scm_conn *
open_seven(struct device *d)
{
	const struct scm_message m = { .op = SCM_OPEN, .sock = 7,
		.family = SCM_INET, .protocol = SCM_TCP };
	struct msg *opened;

	ck_assert_int_eq(send_read(d, &m, 1), PROTOCOL_TAKEN);
	opened = mailbox_take(&manager_box);
	ck_assert_ptr_nonnull(opened);
	ck_assert_int_eq(opened->type, MSG_SCM_OPENED);
	return scm_conn_of_opened(opened);
}

/* As if all answers had left. */
static void
put_answers(struct device *d, struct msg *m)
{
	struct msg *next;

	for (; m != NULL; m = next) {
		struct tx *tx = &packet_of_msg(m)->tx;

		next = msg_next(m);
		tx->done(tx, USB_OK);
	}
	ck_assert_uint_eq(atomic_load(&d->scm_state->answers), 0);
}

/* It is told that what was forwarded has been taken. */
static void
expect_credit(struct device *d)
{
	struct msg *m = mailbox_take(&d->reader_box), *next;
	bool told = false;
	int timeout_ms = -1;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		told = told || m->type == MSG_SCM_UNREAD_CREDIT;
		protocol_scm.take(d, m);
	}
	ck_assert(told);
	put_answers(d, mailbox_take(&d->writer_box));
	ck_assert(protocol_scm.may_read(d, &timeout_ms));
}

/* Its messages are dealt with. */
static void
take_all(struct device *d)
{
	struct msg *m = mailbox_take(&d->reader_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		protocol_scm.take(d, m);
	}
	ck_assert_uint_eq(credit_used(&d->scm_state->unread), 0);
}

static void
end_device(struct device *d)
{
	put_answers(d, mailbox_close(&d->writer_box));
	device_put(d);
}

START_TEST(a_worker_that_does_not_keep_up_holds_the_reader) ROLE_UNCHECKED
{
	struct scm_settings *settings = settings_of("");
	struct device *d;
	struct scm_conn *c;

	waker = waker_new();
	mailbox_init_waker(&manager_box, waker);
	d = new_device(settings, &twelve);
	c = open_seven(d);
	ck_assert_uint_ge(send_writes(d), SCM_UNREAD_MAX);
	/* Its worker takes them all, and hears at their end that it is over. */
	protocol_scm.fini(d);
	scm_conn_serve(c, waker);
	expect_credit(d);
	ck_assert_uint_eq(credit_used(&d->scm_state->unread), 0);
	scm_conn_put(c);
	end_device(d);
	scm_settings_put(settings);
	waker_put(waker);
}
END_TEST

START_TEST(what_no_worker_takes_does_not_hold_the_reader) ROLE_UNCHECKED
{
	struct scm_settings *settings = settings_of("");
	struct device *d;
	struct scm_conn *c;

	waker = waker_new();
	mailbox_init_waker(&manager_box, waker);
	d = new_device(settings, &twelve);
	c = open_seven(d);
	ck_assert_uint_ge(send_writes(d), SCM_UNREAD_MAX);
	/* The manager has none. */
	protocol_scm.take(d, &c->unserved_msg);
	expect_credit(d);
	ck_assert_uint_eq(credit_used(&d->scm_state->unread), 0);
	end_device(d);
	scm_settings_put(settings);
	waker_put(waker);
}
END_TEST

/* ---- A socket that lingers ---------------------------------------------- */

/* A peer that takes as little as it can; its port. */
static int
listen_without_reading(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM, 0), little = 4096;
	socklen_t len = sizeof at;

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void *
serve(void *arg) ROLE_UNCHECKED
{
	scm_conn_serve(arg, waker);
	return NULL;
}

static void
await_state(const struct scm_conn *c, enum scm_socket_state state)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (atomic_load(&c->state) != (int)state) {
		HOLDS(moment_before(clock_now(), until), "not that state");
		poll(NULL, 0, 1);
	}
}

START_TEST(a_socket_that_lingers_does_not_keep_its_worker) ROLE_UNCHECKED
{
	static const uint8_t linger[8] = { 1, 0, 0, 0, 60 };
	struct scm_message connect_it = { .op = SCM_CONNECT, .id = 2,
		.sock = 7 };
	const struct scm_message set = { .op = SCM_SETOPT, .id = 3, .sock = 7,
		.level = 1, .name = 13, .data = linger, .len = 8 };
	const struct scm_message data = { .op = SCM_WRITE, .id = 4, .sock = 7,
		.total = 16000 };
	const struct scm_message end = { .op = SCM_CLOSE, .id = 5, .sock = 7 };
	struct scm_settings *settings;
	struct device *d;
	struct scm_conn *c;
	struct moment began;
	pthread_t worker;
	struct scm_ip ip;
	uint16_t port;
	int peer;

	settings = settings_of("allow-special * tcp 127.0.0.0/8 *\n");
	peer = listen_without_reading(&port);
	ck_assert_int_eq(scm_ip_parse(&ip, "127.0.0.1", &why), 0);
	connect_it.address = scm_address_to(&ip, port);
	waker = waker_new();
	mailbox_init_waker(&manager_box, waker);
	d = new_device(settings, &eight);
	c = open_seven(d);
	ck_assert_int_eq(pthread_create(&worker, NULL, serve, c), 0);
	send_read(d, &connect_it, 1);
	await_state(c, SCM_CONNECTED);
	send_read(d, &set, 1);
	send_read(d, &data, 1);
	send_read(d, &data, 1);
	began = clock_now();
	send_read(d, &end, 1);
	/* The kernel has it all, and the peer does not take it. */
	await_state(c, SCM_LEAVING);
	ck_assert_int_lt(moment_ms_between(began, clock_now()), 9000);
	protocol_scm.fini(d);
	pthread_join(worker, NULL);
	take_all(d);
	scm_conn_put(c);
	end_device(d);
	scm_settings_put(settings);
	waker_put(waker);
	close(peer);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemon/sockets");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 2.0 * UNIT_PATIENCE_MS / 1000);
	tcase_add_test(t, a_worker_that_does_not_keep_up_holds_the_reader);
	tcase_add_test(t, what_no_worker_takes_does_not_hold_the_reader);
	tcase_add_test(t, a_socket_that_lingers_does_not_keep_its_worker);
	suite_add_tcase(s, t);
	return unit_run(s);
}
