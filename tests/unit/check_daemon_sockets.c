/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A socket that a device has opened, between its reader and its worker. */

#include <string.h>

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

int
main(void)
{
	Suite *s = suite_create("daemon/sockets");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 2.0 * UNIT_PATIENCE_MS / 1000);
	tcase_add_test(t, a_worker_that_does_not_keep_up_holds_the_reader);
	tcase_add_test(t, what_no_worker_takes_does_not_hold_the_reader);
	suite_add_tcase(s, t);
	return unit_run(s);
}
