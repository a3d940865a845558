/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "device_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actor/thread.h"
#include "base/log.h"
#include "daemon/protocol.h"
#include "unit.h"

void
rig_init(struct rig *r)
{
	log_set_level(LOG_LEVEL_FATAL); /* faults are made on purpose */
	memset(r, 0, sizeof *r);
	fake_init(&r->fake, "1-3");
	r->waker = waker_new();
	mailbox_init_waker(&r->manager, r->waker);
	r->d = device_new(7, &r->fake.source, &r->fake.ident, &protocol_mux,
	    &r->manager);
	HOLDS(r->d != NULL, "no device");
}

/* The test is the manager. */
void
rig_start(struct rig *r) ROLE_UNCHECKED
{
	HOLDS(thread_start(&r->d->reader_thread, "reader 7", reader_main,
		  device_get(r->d)) == 0, "no reader");
}

void
rig_speak(struct rig *r, int version)
{
	struct phone_frame *f = malloc(sizeof *f);

	HOLDS(rig_phone_hears(r).protocol == 0, "it does not ask");
	phone_make_version(f, (uint32_t)version, 0);
	fake_packet(&r->fake, f->bytes, f->len);
	free(f);
	rig_await(r, MSG_DEVICE_READY);
	r->version = version;
	if (version == 2)
		HOLDS(rig_phone_hears(r).protocol == 2, "no SETUP");
}

void
rig_begin(struct rig *r, int version)
{
	rig_init(r);
	rig_start(r);
	rig_speak(r, version);
}

void
rig_await(struct rig *r, enum msg_type type)
{
	struct msg *m = r->kept;

	while (m == NULL) {
		m = mailbox_take(&r->manager);
		if (m == NULL && mailbox_idle(&r->manager))
			HOLDS(waker_wait(r->waker, UNIT_PATIENCE_MS),
			    "the manager waits in vain for message %d", type);
	}
	r->kept = msg_next(m);
	HOLDS(m->type == (int)type, "message %d instead of %d", m->type, type);
}

void
rig_post_stop(struct rig *r)
{
	HOLDS(mailbox_post(&r->d->reader_box, &r->d->stop_msg),
	    "the reader's mailbox is closed");
}

static void
tell_gone(struct route *route)
{
	if (!mailbox_post(&route->client->box, &route->gone_msg))
		route_put(route);
}

void
rig_await_end(struct rig *r, enum device_end end, const char *why)
    ROLE_UNCHECKED
{
	rig_await(r, MSG_DEVICE_ENDED);
	thread_join(&r->d->reader_thread);
	for (struct msg *m = mailbox_close(&r->d->reader_box), *next; m != NULL;
	     m = next) {
		next = msg_next(m);
		if (m->type == MSG_UNROUTE)
			route_put(route_of_remove(m));
		if (m->type == MSG_ROUTE)
			tell_gone(route_of_add(m));
	}
	HOLDS(r->d->end == end, "end %d: %s", r->d->end, r->d->ended.text);
	ck_assert_str_eq(r->d->ended.text, why);
	device_put(r->d);
}

void
rig_fini(struct rig *r)
{
	HOLDS(credit_used(&r->d->write_credit) == 0, "%u frames were not done",
	    credit_used(&r->d->write_credit));
	device_put(r->d);
	ck_assert_uint_eq(r->fake.frees,
	    r->fake.open_error == USB_OK ? r->fake.opens : 0);
	ck_assert_ptr_null(mailbox_close(&r->manager));
	waker_put(r->waker);
	fake_fini(&r->fake);
}

void
rig_stop(struct rig *r)
{
	rig_post_stop(r);
	rig_await_end(r, DEVICE_END_STOPPED, "stopped");
}

void
rig_end(struct rig *r)
{
	rig_stop(r);
	rig_fini(r);
}

void
rig_phone_says(struct rig *r, struct phone_words w)
{
	struct phone_frame *f = malloc(sizeof *f);

	w.protocol = 6;
	w.tx_seq = ++r->tx_seq;
	phone_make(f, r->version, &w);
	fake_packet(&r->fake, f->bytes, f->len);
	free(f);
}

struct phone_words
rig_phone_hears(struct rig *r)
{
	static uint8_t bytes[65536];
	struct fake_write *w = fake_await_write(&r->fake);
	const uint32_t len = w->len;

	HOLDS(len <= sizeof bytes, "a frame of %u bytes", len);
	HOLDS(w->zlp == (len % FAKE_MAX_PACKET == 0), "%u bytes, empty packet %d",
	    len, w->zlp);
	memcpy(bytes, w->bytes, len);
	free(w);
	return phone_parse(bytes, len, r->version);
}

struct client *
rig_client(struct rig *r, uint32_t number)
{
	struct waker *w = waker_new();
	struct client *c;
	int fds[2];

	HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "no sockets");
	close(fds[1]);
	c = client_new(fds[0], number, false, w, &r->manager);
	HOLDS(c != NULL, "no client");
	waker_put(w);
	return c;
}

/* The test is its worker. */
void
rig_client_fini(struct client *c) ROLE_UNCHECKED
{
	close(c->fd);
	client_close_box(c);
	client_put(c);
}

struct route *
rig_route(struct rig *r, struct client *c, uint16_t port)
{
	struct route *route = route_new(c, r->d, port);

	HOLDS(mailbox_post(&r->d->reader_box, &route_get(route)->add_msg),
	    "the reader's mailbox is closed");
	return route;
}

void
rig_unroute(struct rig *r, struct route *route)
{
	if (!mailbox_post(&r->d->reader_box, &route->remove_msg))
		route_put(route);
}

struct msg *
rig_client_await(struct client *c, enum msg_type type) ROLE_UNCHECKED
{
	struct msg *m;

	while ((m = client_next_message(c)) == NULL)
		if (mailbox_idle(&c->box))
			HOLDS(waker_wait(c->waker, UNIT_PATIENCE_MS),
			    "client %u waits in vain for message %d", c->number,
			    type);
	HOLDS(m->type == (int)type, "message %d instead of %d", m->type, type);
	return m;
}

void
rig_client_await_gone(struct client *c, const struct route *route)
{
	struct route *gone =
	    route_of_gone(rig_client_await(c, MSG_ROUTE_GONE));

	HOLDS(gone == route, "another route");
	route_put(gone);
}
