/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads of a local device: several in flight, each into a chunk. */

#include "usb/transport_libusb.h"

#include <sys/stat.h>

/* With nothing in flight for want of memory there is no completion to wait
 * for: try again this soon, and give up after that long. */
#define RETRY_MS 10
#define STARVED_MS 10000
/* How often, and how long after the last read, the claim is looked at: a system
 * call in which the kernel takes no lock of the device. */
#define CLAIM_MS 250
/* Otherwise nothing needs a look before it says so. */
#define IDLE_MS 60000
/* libusb takes 25 completions of a device at a time, and does not say whether
 * there are more: with fewer than these there were none. */
#define DRAINED 16

static void
count_reads(struct local_transport *t, int change)
{
	t->reads_flying += change;
	atomic_store_explicit(&t->base.reads_in_flight,
	    (uint32_t)t->reads_flying, memory_order_relaxed);
}

static struct local_read *
idle_read(struct local_transport *t)
{
	for (int i = 0; i < LOCAL_READS; i++)
		if (t->reads[i].chunk == NULL)
			return &t->reads[i];
	return NULL;
}

/* Puts a read of `len` bytes in flight.  False: not now. */
static bool
submit_into(struct local_transport *t, struct local_read *r, int len)
{
	struct chunk *c = r != NULL ? chunk_take(t->pool) : NULL;
	int error;

	if (c == NULL)
		return false;
	r->transfer->buffer = c->data;
	r->transfer->length = len;
	error = local_submit(t, r->transfer);
	if (error == 0) {
		r->chunk = c;
		return true;
	}
	chunk_put(c);
	/* Short of memory: what is in flight will make room, or time will. */
	if (error != LIBUSB_ERROR_NO_MEM)
		local_fail(t, local_error(error));
	return false;
}

/* One more read in flight.  False: not now. */
static bool
submit_read(struct local_transport *t)
{
	if (!submit_into(t, idle_read(t), CHUNK_SIZE))
		return false;
	count_reads(t, 1);
	return true;
}

/* As many reads as the device may have. */
static void
fill(struct local_transport *t)
{
	if (t->stopping || t->stalled || t->holding ||
	    local_failure(t) != USB_OK)
		return;
	read_budget_adjust(t->budget, &t->claim,
	    t->claim.held - t->reads_flying);
	while (t->reads_flying < t->claim.held && submit_read(t))
		;
}

/* The same of the interrupt endpoint, whose reads are too small to count. */
static void
fill_events(struct local_transport *t)
{
	if (t->event_packet == 0 || t->stopping || t->events_stalled ||
	    t->holding || local_failure(t) != USB_OK)
		return;
	for (int i = 0; i < LOCAL_EVENTS; i++) {
		struct local_read *r = &t->events[i];

		if (r->chunk == NULL)
			submit_into(t, r, t->event_packet);
	}
}

static void
append_ready(struct local_transport *t, struct chunk *c, int len)
{
	c->offset = 0;
	c->len = (uint32_t)len;
	chunk_list_append(&t->ready, c);
}

static void LIBUSB_CALL
read_done(struct libusb_transfer *x)
{
	struct local_read *r = x->user_data;
	struct local_transport *t = r->t;
	struct chunk *c = r->chunk;
	const int error = local_reap(t, x);

	r->chunk = NULL;
	count_reads(t, -1);
	t->unchecked = claim_mark_is_set(&t->mark);
	/* One that was cancelled may have got something before. */
	if (error == USB_OK || x->actual_length > 0)
		append_ready(t, c, x->actual_length);
	else
		chunk_put(c);
	if (error == USB_ERROR_STALL)
		t->stalled = true;
	else if (error != USB_OK &&
	    !(x->status == LIBUSB_TRANSFER_CANCELLED && t->stalled))
		local_fail(t, error);
	fill(t);
}

static void LIBUSB_CALL
event_done(struct libusb_transfer *x)
{
	struct local_read *r = x->user_data;
	struct local_transport *t = r->t;
	struct chunk *c = r->chunk;
	const int error = local_reap(t, x);

	r->chunk = NULL;
	t->unchecked = claim_mark_is_set(&t->mark);
	c->pipe = USB_PIPE_INTERRUPT;
	if (error == USB_OK || x->actual_length > 0)
		append_ready(t, c, x->actual_length);
	else
		chunk_put(c);
	if (error == USB_ERROR_STALL)
		t->events_stalled = true;
	else if (error != USB_OK &&
	    !(x->status == LIBUSB_TRANSFER_CANCELLED && t->events_stalled))
		local_fail(t, error);
	fill_events(t);
}

/* In this order: reads that were submitted before what follows was found well
 * fail when it ceases to be. */
static int
settle(struct local_transport *t)
{
	fill(t);
	fill_events(t);
	if (local_failure(t) != USB_OK)
		return local_explain(t, local_failure(t));
	claim_mark_set(&t->mark, t->key, t->configuration, t->claimed);
	return local_verify(t);
}

static bool
make_events(struct local_transport *t, const struct usb_pipes *pipes)
{
	if (pipes->interrupt_in == 0)
		return true;
	for (int i = 0; i < LOCAL_EVENTS; i++) {
		struct local_read *r = &t->events[i];

		r->t = t;
		r->transfer = libusb_alloc_transfer(0);
		if (r->transfer == NULL)
			return false;
		libusb_fill_interrupt_transfer(r->transfer, t->handle,
		    pipes->interrupt_in, NULL, 0, event_done, r, 0);
	}
	t->event_packet = pipes->interrupt_in_packet;
	return true;
}

int
local_start(struct transport *base, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct local_transport *t = local_of(base);

	t->out = pipes->out;
	t->event_out = pipes->interrupt_out;
	if (!make_events(t, pipes))
		return USB_ERROR_NO_MEM;
	for (int i = 0; i < LOCAL_READS; i++) {
		struct local_read *r = &t->reads[i];

		r->t = t;
		r->transfer = libusb_alloc_transfer(0);
		if (r->transfer == NULL)
			return USB_ERROR_NO_MEM;
		libusb_fill_bulk_transfer(r->transfer, t->handle, pipes->in,
		    NULL, 0, read_done, r, 0);
	}
	read_budget_join(t->budget, &t->claim, LOCAL_READS);
	t->pool = pool;
	return settle(t);
}

bool
local_handle_events(struct local_transport *t, int timeout_ms)
{
	struct timeval tv = { .tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 };
	const int r =
	    libusb_handle_events_timeout_completed(t->ctx, &tv, NULL);

	if (r == 0 || r == LIBUSB_ERROR_INTERRUPTED)
		return true;
	local_fail(t, local_error(r));
	return false;
}

void
local_reads_cancel(struct local_transport *t)
{
	for (int i = 0; i < LOCAL_READS; i++)
		if (t->reads[i].chunk != NULL)
			libusb_cancel_transfer(t->reads[i].transfer);
}

void
local_events_cancel(struct local_transport *t)
{
	for (int i = 0; i < LOCAL_EVENTS; i++)
		if (t->events[i].chunk != NULL)
			libusb_cancel_transfer(t->events[i].transfer);
}

static bool
events_fly(const struct local_transport *t)
{
	bool any = false;

	for (int i = 0; i < LOCAL_EVENTS; i++)
		any |= t->events[i].chunk != NULL;
	return any;
}

static bool
is_stalled(const struct local_transport *t)
{
	return t->stalled || t->events_stalled;
}

/* That pipe is stalled and everything of it has come back. */
static int
clear_stall(struct local_transport *t, const struct local_read *of,
    bool *stalled)
{
	const int error =
	    libusb_clear_halt(t->handle, of->transfer->endpoint);

	if (error < 0) {
		local_fail(t, error == LIBUSB_ERROR_PIPE ? USB_ERROR_IO
							 : local_error(error));
		return local_failure(t);
	}
	*stalled = false;
	t->base.stalled_pipe = stalled == &t->events_stalled
	    ? USB_PIPE_INTERRUPT
	    : USB_PIPE_BULK;
	fill(t);
	fill_events(t);
	return USB_ERROR_STALL;
}

/* The first failure, with what is behind it. */
static int
failure(struct local_transport *t)
{
	const int error = local_failure(t);

	if (error == USB_OK || t->explained)
		return error;
	t->explained = true;
	atomic_store_explicit(&t->failure, local_explain(t, error),
	    memory_order_relaxed);
	return local_failure(t);
}

/*
 * Reads that have completed may all have done so before another program took
 * the device: then it stays silent, and nothing else tells of that.
 */
static void
look_at_claim(struct local_transport *t)
{
	struct moment now;

	if (!t->unchecked)
		return;
	now = clock_now();
	if (moment_before(now, t->check_at))
		return;
	t->unchecked = false;
	t->check_at = moment_after_ms(now, CLAIM_MS);
	if (!claim_mark_holds(&t->mark))
		local_fail(t, USB_ERROR_TAKEN);
}

/* What there is to return without waiting: 1, or a usb_error; USB_OK: nothing
 * yet. */
static int
outcome(struct local_transport *t, struct chunk **out)
{
	if (t->ready.first != NULL && out != NULL) {
		*out = chunk_list_take(&t->ready);
		return 1;
	}
	/* Acquire: pairs with the release in halt(). */
	if (atomic_load_explicit(&t->halted, memory_order_acquire))
		return USB_ERROR_GONE;
	if (failure(t) != USB_OK)
		return local_failure(t);
	if (t->stalled && t->reads_flying == 0)
		return clear_stall(t, t->reads, &t->stalled);
	if (t->events_stalled && !events_fly(t))
		return clear_stall(t, t->events, &t->events_stalled);
	return USB_OK;
}

/* Fails when nothing at all could be put in flight for long. */
static void
watch_starvation(struct local_transport *t)
{
	if (atomic_load_explicit(&t->flying, memory_order_relaxed) > 0)
		t->starved_since = MOMENT_NEVER;
	else if (t->starved_since.ns == MOMENT_NEVER.ns)
		t->starved_since = clock_now();
	else if (moment_ms_between(t->starved_since, clock_now()) > STARVED_MS)
		local_fail(t, USB_ERROR_NO_MEM);
}

/* Something waits for memory. */
static bool
is_starved(const struct local_transport *t)
{
	return (t->reads_flying == 0 && !t->stalled && !t->holding) ||
	    atomic_load_explicit(&t->parked_count, memory_order_relaxed) > 0;
}

/* How long it may wait: not long while something waits for memory, or for the
 * reader, who may have found it by a look of its own: then nothing tells of it
 * again. */
static int
patience(struct local_transport *t, int left)
{
	const bool starved = is_starved(t);
	const int limit = starved || is_stalled(t) ? RETRY_MS
	    : t->unchecked			? CLAIM_MS
						: IDLE_MS;

	if (starved)
		watch_starvation(t);
	return left < 0 || left > limit ? limit : left;
}

/* Before it waits: everything is under way that can be. */
static void
prepare(struct local_transport *t)
{
	if (t->stalled)
		/* A pipe is cleared when nothing is in flight on it. */
		local_reads_cancel(t);
	else if (t->reads_flying < t->claim.held)
		fill(t);
	if (t->events_stalled)
		local_events_cancel(t);
	fill_events(t);
	local_writes_unpark(t);
	look_at_claim(t);
}

int
local_read(struct transport *base, struct chunk **out, int timeout_ms)
{
	struct local_transport *t = local_of(base);
	struct moment deadline = MOMENT_NEVER;

	t->wrote = false;
	t->holding = out == NULL;
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
		t->drained = false; /* of what was before */
		local_handle_events(t, patience(t, left));
		rc = outcome(t, out);
		if (rc != USB_OK || left == 0 || t->wrote)
			return rc;
	}
}

/* ---- For readers that sleep elsewhere ---- */

/* A libusb that has its devices over a network leaves bytes in its socket as it
 * likes, and waits for room in it at times: there is no edge to rely on. */
static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
local_watched(struct transport *base, struct pollfd *fds, int max)
{
	libusb_context *ctx = local_of(base)->ctx;
	const struct libusb_pollfd **all;
	int n = 0;

	/* Without a timer's descriptor somebody has to ask for the time. */
	if (libusb_pollfds_handle_timeouts(ctx) == 0)
		return -1;
	all = libusb_get_pollfds(ctx);
	if (all == NULL)
		return -1;
	for (; all[n] != NULL && n < max && !is_socket(all[n]->fd); n++)
		fds[n] = (struct pollfd){ .fd = all[n]->fd,
			.events = all[n]->events };
	if (all[n] != NULL)
		n = -1;
	libusb_free_pollfds(all);
	return n;
}

/* Asks of the device, or of other programs' doings, or takes time. */
static bool
needs_reader(struct local_transport *t)
{
	/* Acquire: pairs with the release in halt(). */
	return atomic_load_explicit(&t->halted, memory_order_acquire) ||
	    local_failure(t) != USB_OK || is_stalled(t) || is_starved(t);
}

/*
 * To reap a transfer waits for the device's lock, and whoever resets, configures
 * or disconnects the device holds that until it is done: 0.05 s for a reset, many
 * seconds when the device does not answer.  What was in flight ends at the
 * beginning of that, so this is when a look is likely; but the claim is lost still
 * earlier.  The reader then finds out, by itself, what has happened.
 */
static bool
is_being_taken(struct local_transport *t)
{
	if (claim_mark_holds(&t->mark))
		return false;
	local_fail(t, USB_ERROR_GONE);
	return true;
}

int
local_look(struct transport *base, struct chunk **out)
{
	struct local_transport *t = local_of(base);

	for (;;) {
		uint32_t before = t->reaped;

		if (t->ready.first != NULL) {
			*out = chunk_list_take(&t->ready);
			return 1;
		}
		if (needs_reader(t))
			return -1;
		if (t->drained) {
			t->drained = false;
			return 0;
		}
		if (is_being_taken(t))
			return -1;
		local_handle_events(t, 0);
		t->drained = t->reaped - before < DRAINED;
	}
}

int
local_patience(struct transport *base)
{
	return patience(local_of(base), -1);
}

void
local_reads_drop(struct local_transport *t)
{
	chunk_list_drop(&t->ready);
}

void
local_reads_fini(struct local_transport *t)
{
	for (int i = 0; i < LOCAL_READS; i++)
		libusb_free_transfer(t->reads[i].transfer);
	for (int i = 0; i < LOCAL_EVENTS; i++)
		libusb_free_transfer(t->events[i].transfer);
	if (t->claim.held > 0)
		read_budget_leave(t->budget, &t->claim);
}
