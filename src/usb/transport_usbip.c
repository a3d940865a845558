/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A device of a USB/IP server as a transport: reading, writing, life.  The
 * reader is the importer's receiver: everything completes in its calls.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usb/transport_usbip.h"
#include "usb/usbip.h"

/* How long connecting and importing may take. */
#define ATTACH_MS 2000
/* With no read in flight for want of memory: look again this soon. */
#define RETRY_MS 10

/* ---- Reading ---- */

/* False: no memory, or the connection is broken. */
static bool
start_read(struct usbip_transport *t, struct read_urb *r)
{
	struct importer_urb *const one[] = { &r->urb };
	struct chunk *c = chunk_take(t->pool);

	if (c == NULL)
		return false;
	c->pipe = r->pipe;
	r->urb.buffer = c->data;
	if (!importer_submit(&t->imp, one, 1, false)) {
		chunk_put(c);
		return false;
	}
	r->chunk = c;
	reading_begun(&t->reading, &t->base, r->pipe);
	return true;
}

/* Starts those that are not in flight. */
static void
start_reads(struct usbip_transport *t, enum usb_pipe pipe)
{
	const int all = pipe == USB_PIPE_BULK ? READS : EVENTS;

	if (t->in[pipe] == 0 || t->reading.flying[pipe] == all ||
	    !reading_may_begin(&t->reading, pipe))
		return;
	for (int i = 0; i < READS + EVENTS; i++)
		if (t->reads[i].pipe == pipe && t->reads[i].chunk == NULL &&
		    !start_read(t, &t->reads[i]))
			return;
}

static void
start_all(struct usbip_transport *t)
{
	start_reads(t, USB_PIPE_BULK);
	start_reads(t, USB_PIPE_INTERRUPT);
}

static void
read_complete(struct importer_urb *urb)
{
	struct read_urb *r = (struct read_urb *)urb; /* its first member */
	struct usbip_transport *t = urb->arg;
	struct chunk *c = r->chunk;
	const int error = usbip_error_of(urb->status);

	r->chunk = NULL;
	reading_ended(&t->reading, &t->base, c, (int)urb->actual, error);
	if (error != USB_OK && !t->reading.stalled[r->pipe])
		usbip_fail(t, error);
	else
		start_reads(t, r->pipe);
}

/* What a read is of, always. */
static void
prepare_read(struct usbip_transport *t, struct read_urb *r,
    const struct usb_pipes *pipes)
{
	const bool bulk = r->pipe == USB_PIPE_BULK;

	r->urb.endpoint = t->in[r->pipe];
	r->urb.length = bulk ? CHUNK_SIZE : pipes->interrupt_in_packet;
	r->urb.interval = bulk ? 0 : pipes->interrupt_in_interval;
	r->urb.complete = read_complete;
	r->urb.arg = t;
}

static int
start(struct transport *base, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct usbip_transport *t = usbip_self(base);

	t->pool = pool;
	t->in[USB_PIPE_BULK] = pipes->in;
	t->in[USB_PIPE_INTERRUPT] = pipes->interrupt_in;
	t->out = pipes->out;
	t->event_out = pipes->interrupt_out;
	t->event_interval = pipes->interrupt_out_interval;
	for (int i = 0; i < READS + EVENTS; i++) {
		t->reads[i].pipe =
		    i < READS ? USB_PIPE_BULK : USB_PIPE_INTERRUPT;
		prepare_read(t, &t->reads[i], pipes);
	}
	start_all(t);
	return usbip_failure(t);
}

/* That pipe is stalled and everything of it has come back. */
static int
clear_stall(struct usbip_transport *t, enum usb_pipe pipe)
{
	const int error = usbip_clear_halt(&t->base, t->in[pipe]);
	int result;

	if (error < 0) {
		usbip_fail(t, error == USB_ERROR_STALL ? USB_ERROR_IO : error);
		return usbip_failure(t);
	}
	result = reading_cleared(&t->reading, &t->base, pipe);
	start_all(t);
	return result;
}

/* What there is to return without waiting: 1, or a usb_error; USB_OK: nothing
 * yet. */
static int
outcome(struct usbip_transport *t, struct chunk **out)
{
	enum usb_pipe pipe;

	if (t->reading.ready.first != NULL && out != NULL) {
		*out = chunk_list_take(&t->reading.ready);
		return 1;
	}
	if (usbip_failure(t) != USB_OK)
		return usbip_failure(t);
	if (reading_can_clear(&t->reading, &pipe))
		return clear_stall(t, pipe);
	return USB_OK;
}

/* Before it waits: everything is under way that can be. */
static void
prepare(struct usbip_transport *t)
{
	start_all(t);
	if (!reading_any_stalled(&t->reading))
		return;
	/* A pipe is cleared when nothing is in flight on it. */
	for (int i = 0; i < READS + EVENTS; i++)
		if (t->reading.stalled[t->reads[i].pipe] &&
		    t->reads[i].chunk != NULL)
			importer_unlink(&t->imp, &t->reads[i].urb);
}

/* Without a read in flight there is nothing to wait for: memory is short. */
static int
patience(const struct usbip_transport *t, int left)
{
	if (t->reading.flying[USB_PIPE_BULK] > 0 || t->reading.holding ||
	    (left >= 0 && left < RETRY_MS))
		return left;
	return RETRY_MS;
}

static int
do_read(struct transport *base, struct chunk **out, int timeout_ms)
{
	struct usbip_transport *t = usbip_self(base);
	struct moment deadline = MOMENT_NEVER;

	t->reading.holding = out == NULL;
	t->wrote = false;
	if (t->reading.ready.first != NULL && out != NULL)
		return outcome(t, out);
	if (timeout_ms >= 0)
		deadline = moment_after_ms(clock_now(), timeout_ms);
	for (;;) {
		int left = -1, rc;

		prepare(t);
		rc = outcome(t, out);
		/* Acquire: pairs with the release in interrupt(), whose wake-up
		 * ends the wait below even if it comes right here. */
		if (rc != USB_OK ||
		    atomic_exchange_explicit(&t->interrupted, false,
			memory_order_acquire))
			return rc;
		if (timeout_ms >= 0)
			left = moment_poll_timeout(clock_now(), deadline);
		usbip_wait_and_work(t, patience(t, left));
		rc = outcome(t, out);
		if (rc != USB_OK || left == 0 ||
		    (t->reading.holding && t->wrote))
			return rc;
	}
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

static struct write_urb *
write_of(struct qnode *n)
{
	return (struct write_urb *)n; /* node is the first member */
}

static void
write_done(struct usbip_transport *t, struct write_urb *w, int32_t status)
{
	struct tx *tx = w->tx;

	t->wrote = true;
	if (w->error == USB_OK)
		w->error = usbip_error_of(status);
	if (--w->left > 0)
		return;
	/* A frame that was lost leaves a hole in somebody's stream. */
	if (w->error != USB_OK)
		usbip_fail(t,
		    w->error == USB_ERROR_STALL ? USB_ERROR_IO : w->error);
	status = w->error;
	count_write(t, false);
	recycler_give(&t->frames, &w->node);
	tx->done(tx, status);
}

static void
data_complete(struct importer_urb *urb)
{
	write_done(urb->arg,
	    (struct write_urb *)((char *)urb - offsetof(struct write_urb, data)),
	    urb->status);
}

static void
zlp_complete(struct importer_urb *urb)
{
	write_done(urb->arg,
	    (struct write_urb *)((char *)urb - offsetof(struct write_urb, zlp)),
	    urb->status);
}

static struct write_urb *
new_write(struct usbip_transport *t)
{
	struct write_urb *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->data.arg = w->zlp.arg = t;
	w->data.complete = data_complete;
	w->zlp.complete = zlp_complete;
	w->next = t->writes;
	t->writes = w;
	return w;
}

static struct write_urb *
take_write(struct usbip_transport *t)
{
	struct qnode *n = recycler_take(&t->frames);

	return n != NULL ? write_of(n) : new_write(t);
}

/* Submits the frame.  False: nothing will come of it. */
static bool
submit_write(struct usbip_transport *t, struct tx *tx)
{
	struct write_urb *w = take_write(t);
	struct importer_urb *both[2];

	if (w == NULL)
		return false;
	w->tx = tx;
	w->error = USB_OK;
	w->left = tx->zlp ? 2 : 1;
	w->data.buffer = tx->data + tx->offset;
	w->data.length = tx->len;
	w->data.endpoint = w->zlp.endpoint =
	    tx->interrupt ? t->event_out : t->out;
	w->data.interval = w->zlp.interval =
	    tx->interrupt ? t->event_interval : 0;
	both[0] = &w->data;
	both[1] = &w->zlp;
	count_write(t, true);
	if (importer_submit(&t->imp, both, (unsigned)w->left, true))
		return true;
	count_write(t, false);
	recycler_keep(&t->frames, &w->node);
	return false;
}

static void
do_write(struct transport *base, struct tx *tx)
{
	struct usbip_transport *t = usbip_self(base);

	if (usbip_failure(t) == USB_OK && submit_write(t, tx))
		return;
	/* A frame that is not sent leaves a hole in somebody's stream. */
	usbip_fail(t, USB_ERROR_GONE);
	tx->done(tx, USB_ERROR_GONE);
}

static void
interrupt(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	/* Release: pairs with the acquire in do_read().  The wake-up stays
	 * until it is cleared. */
	if (!atomic_exchange_explicit(&t->interrupted, true,
		memory_order_release))
		waker_wake(t->waker);
}

static void
halt(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	usbip_fail(t, USB_ERROR_GONE);
	importer_break(&t->imp);
}

/* ---- Life ---- */

static void
stop(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	t->reading.stopping = true;
	usbip_fail(t, USB_ERROR_GONE);
	importer_abort(&t->imp);
	importer_fini(&t->imp);
	usbip_source_hold(t->source, t->busid, -1);
	chunk_list_drop(&t->reading.ready);
}

static void
do_free(struct transport *base)
{
	struct usbip_transport *t = usbip_self(base);

	while (t->writes != NULL) {
		struct write_urb *w = t->writes;

		t->writes = w->next;
		free(w);
	}
	waker_put(t->waker);
	free(t->request_bytes);
	free(t);
}

static const struct transport_ops ops = {
	.name = "usbip",
	.write_blocks = true, /* while its socket takes no more */
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
		t->waker = waker_new_polled();
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
	reading_init(&t->reading);
	recycler_init(&t->frames);
	importer_init(&t->imp, fd, usbip_devid(entry.bus, entry.address),
	    t->waker);
	*out = &t->base;
	return USB_OK;
}
