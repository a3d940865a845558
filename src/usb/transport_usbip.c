/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device of a USB/IP server as a transport.  The reader is the importer's
 * receiver: everything completes in its calls.
 */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usb/transport_usbip.h"
#include "usb/usbip.h"

/* How long connecting and importing may take. */
#define ATTACH_MS 2000

/* ---- Reading ---- */

static void
count_read(struct usbip_transport *t, int change)
{
	atomic_store_explicit(&t->base.reads_in_flight,
	    atomic_load_explicit(&t->base.reads_in_flight,
		memory_order_relaxed) + (uint32_t)change,
	    memory_order_relaxed);
}

/* Starts a read.  False: no memory, or the connection is broken. */
static bool
start_read(struct usbip_transport *t, struct read_urb *r)
{
	r->chunk = chunk_take(t->pool);
	if (r->chunk == NULL)
		return false;
	r->urb.buffer = r->chunk->data;
	r->in_flight = true;
	count_read(t, 1);
	if (importer_submit(&t->imp, &r->urb, false))
		return true;
	r->in_flight = false;
	count_read(t, -1);
	chunk_put(r->chunk);
	r->chunk = NULL;
	return false;
}

/* Starts those that are not in flight. */
static void
start_reads(struct usbip_transport *t)
{
	for (int i = 0; i < READS; i++)
		if (!t->reads[i].in_flight && !start_read(t, &t->reads[i]))
			return;
}

static void
read_complete(struct importer_urb *urb)
{
	struct read_urb *r = (struct read_urb *)urb;
	struct usbip_transport *t = r->t;
	struct chunk *c = r->chunk;

	r->in_flight = false;
	r->chunk = NULL;
	count_read(t, -1);
	if (urb->status != 0) {
		chunk_put(c);
		if (urb->status == USBIP_EPIPE)
			t->stalled = true;
		else if (t->failure == USB_OK)
			t->failure = usbip_error_of(urb->status);
		return;
	}
	c->offset = 0;
	c->len = urb->actual;
	*t->ready_end = c;
	t->ready_end = &c->more;
	if (!t->stalled)
		start_read(t, r);
}

static int
start(struct transport *base, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct usbip_transport *t = usbip_self(base);

	t->pool = pool;
	t->in = pipes->in;
	t->out = pipes->out;
	for (int i = 0; i < READS; i++) {
		t->reads[i].t = t;
		t->reads[i].urb.endpoint = pipes->in;
		t->reads[i].urb.length = CHUNK_SIZE;
		t->reads[i].urb.complete = read_complete;
	}
	start_reads(t);
	return t->reads[0].in_flight ? USB_OK : USB_ERROR_NO_MEM;
}

static struct chunk *
take_ready(struct usbip_transport *t)
{
	struct chunk *c = t->ready;

	t->ready = c->more;
	if (t->ready == NULL)
		t->ready_end = &t->ready;
	c->more = NULL;
	return c;
}

/* All that came before the stall has been handed out. */
static int
clear_stall(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);
	const int rc = usbip_clear_halt(base, t->in);

	t->stalled = false;
	if (rc < 0)
		return rc == USB_ERROR_STALL ? USB_ERROR_IO : rc;
	start_reads(t);
	return USB_ERROR_STALL;
}

static bool
any_read_in_flight(const struct usbip_transport *t)
{
	return atomic_load_explicit(&t->base.reads_in_flight,
		   memory_order_relaxed) > 0;
}

static int
do_read(struct transport *base, struct chunk **out, int timeout_ms)
{
	struct usbip_transport *t = usbip_self(base);

	if (t->ready == NULL && t->failure == USB_OK && !t->stalled) {
		/* Without a read there is nothing to wait for: memory was
		 * short, so look again soon. */
		if (!any_read_in_flight(t)) {
			start_reads(t);
			if (!any_read_in_flight(t) &&
			    (timeout_ms < 0 || timeout_ms > 10))
				timeout_ms = 10;
		}
		usbip_wait_and_work(t, timeout_ms);
	}
	if (t->ready != NULL) {
		*out = take_ready(t);
		return 1;
	}
	if (t->failure != USB_OK)
		return t->failure;
	return t->stalled ? clear_stall(base) : 0;
}

/* ---- Writing ---- */

static void
count_write(struct usbip_transport *t, bool more)
{
	if (more)
		atomic_fetch_add_explicit(&t->base.writes_in_flight, 1,
		    memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&t->base.writes_in_flight, 1,
		    memory_order_relaxed);
}

static void
write_complete(struct importer_urb *urb)
{
	struct write_urb *w = (struct write_urb *)urb;
	struct usbip_transport *t = w->t;
	struct tx *tx = w->tx;
	const int error = usbip_error_of(urb->status);

	/* A frame that was lost leaves a hole in somebody's stream. */
	if (error != USB_OK && t->failure == USB_OK)
		t->failure = error == USB_ERROR_STALL ? USB_ERROR_IO : error;
	count_write(t, false);
	queue_push(&t->returned, &w->node);
	tx->done(tx, error);
}

static struct write_urb *
write_of(struct qnode *n)
{
	return (struct write_urb *)((char *)n - offsetof(struct write_urb, node));
}

static struct write_urb *
take_write(struct usbip_transport *t)
{
	struct write_urb *w;

	if (t->spare == NULL)
		t->spare = queue_take(&t->returned);
	if (t->spare != NULL) {
		w = write_of(t->spare);
		t->spare = w->node.next;
		return w;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	w->t = t;
	w->urb.endpoint = t->out;
	w->urb.complete = write_complete;
	return w;
}

static void
keep_write(struct usbip_transport *t, struct write_urb *w)
{
	w->node.next = t->spare;
	t->spare = &w->node;
}

/* Submits the frame.  False: nothing will come of it. */
static bool
submit_write(struct usbip_transport *t, struct tx *tx)
{
	struct write_urb *w = take_write(t);

	if (w == NULL)
		return false;
	w->tx = tx;
	/* The flag makes the host controller at the other end add the empty
	 * packet: one request instead of two. */
	w->urb.flags = tx->zlp ? USBIP_ZERO_PACKET : 0;
	w->urb.buffer = tx->data + tx->offset;
	w->urb.length = tx->len;
	count_write(t, true);
	if (importer_submit(&t->imp, &w->urb, true))
		return true;
	count_write(t, false);
	keep_write(t, w);
	return false;
}

static void
do_write(struct transport *base, struct tx *tx)
{
	struct usbip_transport *t = usbip_self(base);

	if (submit_write(t, tx))
		return;
	/* A frame that is not sent leaves a hole in somebody's stream. */
	importer_break(&t->imp);
	tx->done(tx, USB_ERROR_GONE);
}

static void
interrupt(struct transport *t)
{
	waker_wake(usbip_self(t)->waker);
}

static void
halt(struct transport *base)
{
	importer_break(&usbip_self(base)->imp);
}

/* ---- Life ---- */

static void
stop(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	t->stalled = true; /* no new read for one that ends now */
	importer_abort(&t->imp);
	importer_fini(&t->imp);
	usbip_source_hold(t->source, t->busid, -1);
	while (t->ready != NULL)
		chunk_put(take_ready(t));
}

static void
free_writes(struct qnode *n)
{
	while (n != NULL) {
		struct qnode *next = n->next;

		free(write_of(n));
		n = next;
	}
}

static void
do_free(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	free_writes(t->spare);
	free_writes(queue_take(&t->returned));
	waker_put(t->waker);
	free(t);
}

static const struct transport_ops ops = {
	.name = "usbip",
	.control = usbip_control,
	.get_configuration = usbip_get_configuration,
	.set_configuration = usbip_set_configuration,
	.claim = usbip_claim,
	.clear_halt = usbip_clear_halt,
	.reset = usbip_reset,
	.start = start,
	.read = do_read,
	.write = do_write,
	.interrupt = interrupt,
	.halt = halt,
	.stop = stop,
	.free = do_free,
};

static int
error_of_import(uint32_t status)
{
	switch (status) {
	case USBIP_ST_DEV_BUSY:
		return USB_ERROR_BUSY;
	case USBIP_ST_NODEV:
	case USBIP_ST_OK: /* it did not come to that */
		return USB_ERROR_GONE;
	default:
		return USB_ERROR_IO;
	}
}

int
transport_usbip_open(struct usbip_source *source,
    const struct sock_addr *server, const char *busid, struct transport **out,
    struct cause *why)
{
	struct usbip_transport *t = calloc(1, sizeof *t);
	struct usbip_device_entry entry;
	uint32_t status;
	int fd;

	if (t != NULL)
		t->waker = waker_new();
	if (t == NULL || t->waker == NULL) {
		free(t);
		cause_set(why, "no memory or descriptors for %s", busid);
		return USB_ERROR_NO_MEM;
	}
	/* Before the import: from that moment on a plain server hides it. */
	usbip_source_hold(source, busid, 1);
	fd = importer_attach(server, busid, ATTACH_MS, &entry, &status, why);
	if (fd < 0) {
		usbip_source_hold(source, busid, -1);
		waker_put(t->waker);
		free(t);
		return error_of_import(status);
	}
	t->base.ops = &ops;
	t->source = source;
	snprintf(t->busid, sizeof t->busid, "%s", busid);
	t->ready_end = &t->ready;
	queue_init(&t->returned);
	importer_init(&t->imp, fd, usbip_devid(entry.bus, entry.address));
	*out = &t->base;
	return USB_OK;
}
