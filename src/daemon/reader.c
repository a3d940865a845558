/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device's reader: opens it, brings it up, then reads for its whole life and
 * hands each packet to the worker of its connection.  At the end it stops the
 * writer and tells every connection.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "daemon/protocol.h"
#include "daemon/reader_int.h"
#include "daemon/routes.h"

/* How long a phone may take to answer VERSION, and how often it is asked.  A
 * phone that is booting takes a second or two. */
#define HELLO_MS 1000
#define HELLO_TRIES 4

/* So many malformed packets in a row, and the device is reset: it and we no
 * longer agree where packets begin. */
#define MALFORMED_MAX 3

/* So many stalls of a pipe in a row, and the device is given up: clearing the halt
 * does not help, and would go on for ever, whatever the other pipe does. */
#define STALLS_MAX 16

/* What a connection gets before it has its turn: four packets of a phone's, which
 * is what its client's socket has room for when all has been read. */
#define FED_MAX (192 * 1024)
/* Less than that has its turn at once. */
#define FED_MIN 4096

/* How long the last frames (RSTs above all) may take to leave at the end: an
 * emulated bus of 1 MB/s needs up to 320 ms.  The manager waits for little more
 * (QUIT_DEVICES_MS). */
#define FLUSH_MS 450

static void
set_state(struct device *d, enum device_state state)
{
	atomic_store_explicit(&d->state, (int)state, memory_order_relaxed);
}

void
reader_end(struct device *d, enum device_end end, const char *why)
{
	if (d->stopping)
		return;
	d->stopping = true;
	d->end = end;
	snprintf(d->ended.text, sizeof d->ended.text, "%s", why);
}

/* ---- Messages ---- */

/* The connection hears that nothing more will come.  Takes the reference. */
static void
tell_gone(struct route *r)
{
	struct client *c = client_get(r->client);

	/* The message is the route's, so the reference goes with it. */
	if (!client_post(c, &r->gone_msg))
		route_put(r);
	client_put(c);
}

static void
add_route(struct device *d, struct route *r) RUNS_ON(on_reader)
{
	if (d->stopping || !routes_add(d, r))
		tell_gone(r);
}

static void
remove_route(struct device *d, struct route *r) RUNS_ON(on_reader)
{
	struct route *routed = routes_remove(d, r->port);

	if (routed != NULL)
		tell_gone(routed);
	route_put(r);
}

static void
take_message(struct device *d, struct msg *m) RUNS_ON(on_reader)
{
	switch ((enum msg_type)m->type) {
	case MSG_ROUTE:
		add_route(d, route_of_add(m));
		break;
	case MSG_UNROUTE:
		remove_route(d, route_of_remove(m));
		break;
	case MSG_DEVICE_STOP:
		reader_end(d, DEVICE_END_STOPPED, "stopped");
		break;
	case MSG_WRITER_ENDED:
		d->writer_running = false;
		break;
	case MSG_DEVICE_IO:
		d->io = true;
		/* Before what it tells of is looked at: what comes later is
		 * told again.  Release: pairs with the acquire in
		 * transport_ready(), which posts the message then. */
		atomic_store_explicit(&d->io_posted, false,
		    memory_order_release);
		break;
	default:
		if (d->protocol->take != NULL)
			d->protocol->take(d, m);
		break;
	}
}

void
reader_take_messages(struct device *d)
{
	struct msg *m = mailbox_take(&d->reader_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		take_message(d, m);
	}
}

/* ---- Packets ---- */

void
reader_attend_fed(struct device *d)
{
	struct client *c = d->fed;

	if (c == NULL)
		return;
	d->fed = NULL;
	client_attend(c, d->fed_bytes);
	client_put(c);
}

/* One that sleeps and gets bulk data has its turn when it has got what has come
 * together, as far as that is for it alone: fewer and larger pieces for its
 * client, and fewer acknowledgements. */
static void
feed(struct device *d, struct client *c, struct chunk *packet)
    RUNS_ON(on_reader)
{
	const uint32_t bytes = packet->packet_len;

	if (client_deliver(c, packet)) {
		reader_attend_fed(d);
		if (bytes < FED_MIN) {
			client_attend(c, bytes);
			return;
		}
		d->fed = client_get(c);
		d->fed_bytes = 0;
	}
	if (d->fed != c)
		return;
	d->fed_bytes += bytes;
	if (d->fed_bytes >= FED_MAX)
		reader_attend_fed(d);
}

static void
deliver(struct device *d, struct chunk *packet, uint16_t port)
    RUNS_ON(on_reader)
{
	const struct route *r = routes_find(d, port);

	counter_add(&d->stats.rx_packets, 1);
	counter_add(&d->stats.rx_bytes, packet->packet_len);
	if (r != NULL) {
		packet->port = port;
		feed(d, r->client, packet);
		return;
	}
	counter_add(&d->stats.rx_stray, 1);
	d->protocol->stray(d, packet, port);
	chunk_put(packet);
}

static void
reset(struct device *d, const char *why) RUNS_ON(on_reader)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	t->ops->reset(t);
	reader_end(d, DEVICE_END_RESET, why);
}

static void
count_malformed(struct device *d) RUNS_ON(on_reader)
{
	counter_add(&d->stats.rx_malformed, 1);
	if (++d->malformed_in_a_row < MALFORMED_MAX)
		return;
	log_warning("%s: %d malformed packets in a row, resetting it",
	    d->name, MALFORMED_MAX);
	reset(d, "reset after malformed packets");
}

bool
reader_take_read(struct device *d, struct chunk *read)
{
	struct chunk *packet;
	struct cause why;
	uint16_t port;

	d->stalls_in_a_row[read->pipe] = 0;
	counter_add(&d->stats.rx_reads, 1);
	if (read->len == 0)
		counter_add(&d->stats.rx_empty_reads, 1);
	/* A connection is routed before its SYN is sent; so whoever answers
	 * that SYN finds the route in the mailbox at the latest. */
	reader_take_messages(d);
	switch (d->protocol->input(d, read, &packet, &port, &why)) {
	case PROTOCOL_NOTHING:
		break;
	case PROTOCOL_TAKEN:
		d->malformed_in_a_row = 0;
		break;
	case PROTOCOL_PACKET:
		d->malformed_in_a_row = 0;
		deliver(d, packet, port);
		break;
	case PROTOCOL_READY:
		d->malformed_in_a_row = 0;
		return true;
	case PROTOCOL_REFUSED:
		reader_end(d, DEVICE_END_FAILED, why.text);
		break;
	case PROTOCOL_BAD:
		count_malformed(d);
		break;
	case PROTOCOL_BROKEN:
		log_warning("%s: %s; resetting it", d->name, why.text);
		reset(d, why.text);
		break;
	}
	return false;
}

static enum device_end
end_of_read(int error)
{
	switch (error) {
	case USB_ERROR_GONE:
		return DEVICE_END_GONE;
	case USB_ERROR_TAKEN:
		return DEVICE_END_TAKEN;
	default:
		return DEVICE_END_FAILED;
	}
}

static void
take_stall(struct device *d, enum usb_pipe pipe) RUNS_ON(on_reader)
{
	counter_add(&d->stats.rx_stalls, 1);
	if (++d->stalls_in_a_row[pipe] >= STALLS_MAX)
		reader_end(d, DEVICE_END_FAILED, pipe == USB_PIPE_INTERRUPT
			? "its interrupt IN endpoint stalls again and again"
			: "its IN endpoint stalls again and again");
}

void
reader_attend(struct device *d)
{
	/* A submission may have to wait for the device. */
	if (d->credit_back || d->credited != NULL)
		reader_attend_fed(d);
	writer_attend(d);
	connections_attend(d);
}

enum read_result
reader_read(struct device *d, int timeout_ms)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);
	struct chunk *read = NULL, **into = &read;
	int n;

	if (d->protocol->may_read != NULL &&
	    !d->protocol->may_read(d, &timeout_ms))
		into = NULL;
	n = t->ops->read(t, into, timeout_ms);
	reader_attend(d);
	if (n > 0) {
		const bool ready = reader_take_read(d, read);

		reader_attend_fed(d);
		return ready ? READ_READY : READ_SOMETHING;
	}
	if (n == USB_ERROR_STALL)
		take_stall(d, t->stalled_pipe);
	else if (n < 0)
		reader_end(d, end_of_read(n), usb_error_text(n));
	return READ_NOTHING;
}

bool
reader_wait_and_read(struct device *d, int timeout_ms)
{
	reader_take_messages(d);
	if (d->stopping || !mailbox_idle(&d->reader_box))
		return false;
	return reader_read(d, timeout_ms) == READ_READY;
}

/* ---- Life ---- */

static void
note_step(void *arg, enum usb_step step)
{
	struct device *d = arg;

	atomic_store_explicit(&d->step, (int)step, memory_order_relaxed);
}

static enum device_end
end_of_error(int error)
{
	switch (error) {
	case USB_ERROR_BUSY:
		return DEVICE_END_BUSY;
	case USB_ERROR_NO_MEM:
		return DEVICE_END_SHORT;
	default:
		return end_of_read(error);
	}
}

static void
clear_halts(const struct device *d, struct transport *t)
{
	const struct usb_pipes *p = &d->phone.pipes;
	const uint8_t all[] = { p->in, p->out, p->interrupt_in,
		p->interrupt_out };

	for (size_t i = 0; i < sizeof all; i++)
		if (all[i] != 0)
			t->ops->clear_halt(t, all[i]);
}

static int
open_device(struct device *d, struct transport **t, struct cause *why)
    RUNS_ON(on_reader)
{
	int error;

	note_step(d, USB_STEP_OPEN);
	error = d->source->ops->open(d->source, &d->ident, t, why);
	if (error != USB_OK)
		return error;
	/* Release: pairs with the acquire in reader_wake(). */
	atomic_store_explicit(&d->transport, *t, memory_order_release);
	error = d->protocol->bring_up(d, *t, note_step, d, why);
	if (error != USB_OK)
		return error;
	if (d->phone.udid[0] != '\0')
		snprintf(d->name, sizeof d->name, "device %u (%s)", d->id,
		    d->phone.udid);
	if (d->anew)
		clear_halts(d, *t);
	note_step(d, USB_STEP_START);
	error = (*t)->ops->start(*t, &d->phone.pipes, &d->pool);
	if (error != USB_OK)
		cause_set(why, "cannot start reading: %s",
		    usb_error_text(error));
	return error;
}

static bool
start_writer(struct device *d) RUNS_ON(on_reader)
{
	char name[16];
	int error;

	snprintf(name, sizeof name, "writer %u", d->id);
	device_get(d);
	error = thread_start(&d->writer_thread, name, writer_main, d);
	if (error != 0) {
		char text[128];

		device_put(d);
		snprintf(text, sizeof text, "no thread for its writer: %s",
		    strerror(error));
		reader_end(d, DEVICE_END_SHORT, text);
		return false;
	}
	d->writer_running = true;
	return true;
}

/* Asks for the version until it is answered.  True when it was. */
static bool
shake_hands(struct device *d) RUNS_ON(on_reader)
{
	if (d->protocol->hello == NULL)
		return true;
	set_state(d, DEVICE_HANDSHAKE);
	for (int i = 0; i < HELLO_TRIES && !d->stopping; i++) {
		const struct moment until =
		    moment_after_ms(clock_now(), HELLO_MS);
		int left = HELLO_MS;

		if (d->protocol->hello(d) < 0)
			break;
		while (left > 0 && !d->stopping) {
			if (reader_wait_and_read(d, left))
				return true;
			left = moment_poll_timeout(clock_now(), until);
		}
	}
	reader_end(d, DEVICE_END_FAILED,
	    "does not answer VERSION; replug it if it stays so");
	return false;
}

/* The writer still queues frames, or the transport still sends some. */
static bool
frames_are_leaving(const struct device *d) RUNS_ON(on_reader)
{
	return d->writer_running || credit_used(&d->write_credit) > 0;
}

/* Lets the last frames leave, then ends the writer. */
static void
stop_writer(struct device *d, struct transport *t) RUNS_ON(on_reader)
{
	const struct moment until = moment_after_ms(clock_now(), FLUSH_MS);
	int left = FLUSH_MS;

	mailbox_post(&d->writer_box, &d->writer_stop_msg);
	while (frames_are_leaving(d) && left > 0 &&
	    d->end == DEVICE_END_STOPPED) {
		struct chunk *read = NULL;
		int n;

		reader_take_messages(d);
		if (!frames_are_leaving(d) || !mailbox_idle(&d->reader_box))
			continue;
		n = t->ops->read(t, &read, left);
		reader_attend(d);
		if (n > 0)
			chunk_put(read);
		else if (n < 0 && n != USB_ERROR_STALL)
			break;
		left = moment_poll_timeout(clock_now(), until);
	}
	/* Release: pairs with the acquire in the writer, which the wake-up or
	 * the failing write lets look. */
	atomic_store_explicit(&d->writer_abort, true, memory_order_release);
	t->ops->halt(t);
	waker_wake(d->writer_waker);
	thread_join(&d->writer_thread);
	reader_take_messages(d); /* its last one, which lies in the device */
	device_put(d);
}

static void
tell_everyone(struct device *d) RUNS_ON(on_reader)
{
	struct route *r;

	reader_take_messages(d);
	while ((r = routes_remove_any(d)) != NULL)
		tell_gone(r);
}

static void
live(struct device *d) RUNS_ON(on_reader)
{
	struct transport *t = NULL;
	struct cause why = { "" };
	const int error = open_device(d, &t, &why);

	reader_take_messages(d);
	if (error != USB_OK) {
		reader_end(d, end_of_error(error), why.text);
	} else if (start_writer(d)) {
		if (!d->stopping && shake_hands(d)) {
			set_state(d, DEVICE_READY);
			mailbox_post(d->manager, &d->ready_msg);
			reader_serve(d);
		}
		set_state(d, DEVICE_ENDING);
		stop_writer(d, t);
	}
	if (t != NULL)
		t->ops->stop(t);
	connections_attend(d);
	d->protocol->fini(d);
	tell_everyone(d);
}

void *
reader_main(void *arg)
{
	struct device *d = arg;

	role_take(&on_reader);
	live(d);
	mailbox_post(d->manager, &d->ended_msg);
	role_drop(&on_reader);
	return NULL;
}
