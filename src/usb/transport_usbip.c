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

static void
count_reads(struct usbip_transport *t, int change)
{
	t->reads_flying += (unsigned)change;
	atomic_store_explicit(&t->base.reads_in_flight, t->reads_flying,
	    memory_order_relaxed);
}

/* Starts a read.  False: no memory, or the connection is broken. */
static bool
start_read(struct usbip_transport *t, struct read_urb *r)
{
	struct importer_urb *const one[] = { &r->urb };

	r->chunk = chunk_take(t->pool);
	if (r->chunk == NULL)
		return false;
	r->urb.buffer = r->chunk->data;
	if (!importer_submit(&t->imp, one, 1, false)) {
		chunk_put(r->chunk);
		r->chunk = NULL;
		return false;
	}
	return true;
}

/* Starts those that are not in flight. */
static void
start_reads(struct usbip_transport *t)
{
	if (t->stalled || t->stopping || t->holding || t->reads_flying == READS)
		return;
	for (int i = 0; i < READS; i++) {
		if (t->reads[i].chunk != NULL)
			continue;
		if (!start_read(t, &t->reads[i]))
			return;
		count_reads(t, 1);
	}
}

static void
start_events(struct usbip_transport *t)
{
	if (!t->has_events || t->events_stalled || t->stopping || t->holding)
		return;
	for (int i = 0; i < EVENTS; i++)
		if (t->events[i].chunk == NULL && !start_read(t, &t->events[i]))
			return;
}

static void
append_ready(struct usbip_transport *t, struct chunk *c, uint32_t len)
{
	c->offset = 0;
	c->len = len;
	chunk_list_append(&t->ready, c);
}

static void
read_complete(struct importer_urb *urb)
{
	struct read_urb *r = (struct read_urb *)urb; /* its first member */
	struct usbip_transport *t = urb->arg;
	struct chunk *c = r->chunk;

	r->chunk = NULL;
	count_reads(t, -1);
	/* One that was taken back, or failed, may have got something before. */
	if (urb->status == 0 || urb->actual > 0)
		append_ready(t, c, urb->actual);
	else
		chunk_put(c);
	if (urb->status == USBIP_EPIPE)
		t->stalled = true;
	else if (urb->status != 0 && !t->stalled)
		usbip_fail(t, usbip_error_of(urb->status));
	else if (!t->stalled && !t->stopping && !t->holding && start_read(t, r))
		count_reads(t, 1);
}

static void
event_complete(struct importer_urb *urb)
{
	struct read_urb *r = (struct read_urb *)urb; /* its first member */
	struct usbip_transport *t = urb->arg;
	struct chunk *c = r->chunk;

	r->chunk = NULL;
	c->pipe = USB_PIPE_INTERRUPT;
	if (urb->status == 0 || urb->actual > 0)
		append_ready(t, c, urb->actual);
	else
		chunk_put(c);
	if (urb->status == USBIP_EPIPE)
		t->events_stalled = true;
	else if (urb->status != 0 && !t->events_stalled)
		usbip_fail(t, usbip_error_of(urb->status));
	else
		start_events(t);
}

/* What a read is of, always. */
static void
prepare_read(struct usbip_transport *t, struct read_urb *r, uint8_t endpoint,
    uint32_t len, void (*complete)(struct importer_urb *urb))
{
	r->urb.endpoint = endpoint;
	r->urb.length = len;
	r->urb.complete = complete;
	r->urb.arg = t;
}

static int
start(struct transport *base, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct usbip_transport *t = usbip_self(base);

	t->pool = pool;
	t->out = pipes->out;
	t->event_out = pipes->interrupt_out;
	t->event_interval = pipes->interrupt_out_interval;
	t->has_events = pipes->interrupt_in != 0;
	for (int i = 0; i < READS; i++)
		prepare_read(t, &t->reads[i], pipes->in, CHUNK_SIZE,
		    read_complete);
	for (int i = 0; i < EVENTS; i++) {
		prepare_read(t, &t->events[i], pipes->interrupt_in,
		    pipes->interrupt_in_packet, event_complete);
		t->events[i].urb.interval = pipes->interrupt_in_interval;
	}
	start_reads(t);
	start_events(t);
	return usbip_failure(t);
}

static bool
events_fly(const struct usbip_transport *t)
{
	bool any = false;

	for (int i = 0; i < EVENTS; i++)
		any |= t->events[i].chunk != NULL;
	return any;
}

/* That pipe is stalled and everything of it has come back. */
static int
clear_stall(struct usbip_transport *t, const struct read_urb *of,
    bool *stalled)
{
	const int error = usbip_clear_halt(&t->base, of->urb.endpoint);

	if (error < 0) {
		usbip_fail(t, error == USB_ERROR_STALL ? USB_ERROR_IO : error);
		return usbip_failure(t);
	}
	*stalled = false;
	t->base.stalled_pipe = stalled == &t->events_stalled
	    ? USB_PIPE_INTERRUPT
	    : USB_PIPE_BULK;
	start_reads(t);
	start_events(t);
	return USB_ERROR_STALL;
}

/* What there is to return without waiting: 1, or a usb_error; USB_OK: nothing
 * yet. */
static int
outcome(struct usbip_transport *t, struct chunk **out)
{
	if (t->ready.first != NULL && out != NULL) {
		*out = chunk_list_take(&t->ready);
		return 1;
	}
	if (usbip_failure(t) != USB_OK)
		return usbip_failure(t);
	if (t->stalled && t->reads_flying == 0)
		return clear_stall(t, t->reads, &t->stalled);
	if (t->events_stalled && !events_fly(t))
		return clear_stall(t, t->events, &t->events_stalled);
	return USB_OK;
}

/* Before it waits: everything is under way that can be. */
static void
prepare(struct usbip_transport *t)
{
	start_reads(t);
	start_events(t);
	/* A pipe is cleared when nothing is in flight on it. */
	for (int i = 0; i < READS && t->stalled; i++)
		if (t->reads[i].chunk != NULL)
			importer_unlink(&t->imp, &t->reads[i].urb);
	for (int i = 0; i < EVENTS && t->events_stalled; i++)
		if (t->events[i].chunk != NULL)
			importer_unlink(&t->imp, &t->events[i].urb);
}

/* Without a read in flight there is nothing to wait for: memory is short. */
static int
patience(const struct usbip_transport *t, int left)
{
	if (t->reads_flying > 0 || t->holding ||
	    (left >= 0 && left < RETRY_MS))
		return left;
	return RETRY_MS;
}

static int
do_read(struct transport *base, struct chunk **out, int timeout_ms)
{
	struct usbip_transport *t = usbip_self(base);
	struct moment deadline = MOMENT_NEVER;

	t->holding = out == NULL;
	t->wrote = false;
	if (t->ready.first != NULL && out != NULL)
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
		if (rc != USB_OK || left == 0 || (t->holding && t->wrote))
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

	t->stopping = true;
	usbip_fail(t, USB_ERROR_GONE);
	importer_abort(&t->imp);
	importer_fini(&t->imp);
	usbip_source_hold(t->source, t->busid, -1);
	chunk_list_drop(&t->ready);
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
	chunk_list_init(&t->ready);
	recycler_init(&t->frames);
	importer_init(&t->imp, fd, usbip_devid(entry.bus, entry.address),
	    t->waker);
	*out = &t->base;
	return USB_OK;
}
