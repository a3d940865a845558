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

static struct local_read *
idle_read(struct local_transport *t, enum usb_pipe pipe)
{
	for (int i = 0; i < LOCAL_READS + LOCAL_EVENTS; i++)
		if (t->reads[i].pipe == pipe && t->reads[i].chunk == NULL)
			return &t->reads[i];
	return NULL;
}

/* One more read in flight.  False: not now. */
static bool
submit_read(struct local_transport *t, enum usb_pipe pipe)
{
	struct local_read *r = idle_read(t, pipe);
	struct chunk *c = r != NULL ? chunk_take(t->pool) : NULL;
	int error;

	if (c == NULL)
		return false;
	c->pipe = pipe;
	r->transfer->buffer = c->data;
	error = local_submit(t, r->transfer);
	if (error == 0) {
		r->chunk = c;
		reading_begun(&t->reading, &t->base, pipe);
		return true;
	}
	chunk_put(c);
	/* Short of memory: what is in flight will make room, or time will. */
	if (error != LIBUSB_ERROR_NO_MEM)
		local_fail(t, local_error(error));
	return false;
}

/* How many reads of that pipe the device may have in flight.  Those of the
 * interrupt endpoint are too small for the budget. */
static int
allowance(struct local_transport *t, enum usb_pipe pipe)
{
	if (pipe == USB_PIPE_INTERRUPT)
		return t->in[pipe] != 0 ? LOCAL_EVENTS : 0;
	read_budget_adjust(t->budget, &t->claim,
	    t->claim.held - t->reading.flying[USB_PIPE_BULK]);
	return t->claim.held;
}

/* Has as many in flight as it may. */
static void
fill(struct local_transport *t, enum usb_pipe pipe)
{
	int most;

	if (!reading_may_begin(&t->reading, pipe) ||
	    local_failure(t) != USB_OK)
		return;
	most = allowance(t, pipe);
	while (t->reading.flying[pipe] < most && submit_read(t, pipe))
		;
}

static void
fill_all(struct local_transport *t)
{
	fill(t, USB_PIPE_BULK);
	fill(t, USB_PIPE_INTERRUPT);
}

static void LIBUSB_CALL
read_done(struct libusb_transfer *x)
{
	struct local_read *r = x->user_data;
	struct local_transport *t = r->t;
	struct chunk *c = r->chunk;
	const int error = local_reap(t, x);

	r->chunk = NULL;
	t->unchecked = claim_mark_is_set(&t->mark);
	reading_ended(&t->reading, &t->base, c, x->actual_length, error);
	if (error != USB_OK && error != USB_ERROR_STALL &&
	    !(x->status == LIBUSB_TRANSFER_CANCELLED &&
		t->reading.stalled[r->pipe]))
		local_fail(t, error);
	fill(t, r->pipe);
}

/* In this order: reads that were submitted before what follows was found well
 * fail when it ceases to be. */
static int
settle(struct local_transport *t)
{
	fill_all(t);
	if (local_failure(t) != USB_OK)
		return local_explain(t, local_failure(t));
	claim_mark_set(&t->mark, t->key, t->configuration, t->claimed);
	return local_verify(t);
}

static bool
make_read(struct local_transport *t, struct local_read *r,
    const struct usb_pipes *pipes)
{
	const uint8_t endpoint = t->in[r->pipe];

	if (endpoint == 0)
		return true;
	r->t = t;
	r->transfer = libusb_alloc_transfer(0);
	if (r->transfer == NULL)
		return false;
	if (r->pipe == USB_PIPE_BULK)
		libusb_fill_bulk_transfer(r->transfer, t->handle, endpoint,
		    NULL, CHUNK_SIZE, read_done, r, 0);
	else
		libusb_fill_interrupt_transfer(r->transfer, t->handle,
		    endpoint, NULL, pipes->interrupt_in_packet, read_done, r,
		    0);
	return true;
}

int
local_start(struct transport *base, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct local_transport *t = local_of(base);

	t->in[USB_PIPE_BULK] = pipes->in;
	t->in[USB_PIPE_INTERRUPT] = pipes->interrupt_in;
	t->out = pipes->out;
	t->event_out = pipes->interrupt_out;
	for (int i = 0; i < LOCAL_READS + LOCAL_EVENTS; i++) {
		struct local_read *r = &t->reads[i];

		r->pipe = i < LOCAL_READS ? USB_PIPE_BULK : USB_PIPE_INTERRUPT;
		if (!make_read(t, r, pipes))
			return USB_ERROR_NO_MEM;
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
local_reads_cancel(struct local_transport *t, enum usb_pipe pipe)
{
	for (int i = 0; i < LOCAL_READS + LOCAL_EVENTS; i++)
		if (t->reads[i].pipe == pipe && t->reads[i].chunk != NULL)
			libusb_cancel_transfer(t->reads[i].transfer);
}

/* That pipe is stalled and everything of it has come back. */
static int
clear_stall(struct local_transport *t, enum usb_pipe pipe)
{
	const int error = libusb_clear_halt(t->handle, t->in[pipe]);
	int result;

	if (error < 0) {
		local_fail(t, error == LIBUSB_ERROR_PIPE ? USB_ERROR_IO
							 : local_error(error));
		return local_failure(t);
	}
	result = reading_cleared(&t->reading, &t->base, pipe);
	fill_all(t);
	return result;
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
	enum usb_pipe pipe;

	if (t->reading.ready.first != NULL && out != NULL) {
		*out = chunk_list_take(&t->reading.ready);
		return 1;
	}
	/* Acquire: pairs with the release in halt(). */
	if (atomic_load_explicit(&t->halted, memory_order_acquire))
		return USB_ERROR_GONE;
	if (failure(t) != USB_OK)
		return local_failure(t);
	if (reading_can_clear(&t->reading, &pipe))
		return clear_stall(t, pipe);
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
	return (t->reading.flying[USB_PIPE_BULK] == 0 &&
		!t->reading.stalled[USB_PIPE_BULK] && !t->reading.holding) ||
	    atomic_load_explicit(&t->parked_count, memory_order_relaxed) > 0;
}

/* How long it may wait: not long while something waits for memory, or for the
 * reader, who may have found it by a look of its own: then nothing tells of it
 * again. */
static int
patience(struct local_transport *t, int left)
{
	const bool starved = is_starved(t);
	const int limit = starved || reading_any_stalled(&t->reading) ? RETRY_MS
	    : t->unchecked ? CLAIM_MS
			   : IDLE_MS;

	if (starved)
		watch_starvation(t);
	return left < 0 || left > limit ? limit : left;
}

/* Before it waits: everything is under way that can be. */
static void
prepare(struct local_transport *t)
{
	for (int i = 0; i < USB_PIPES; i++)
		if (t->reading.stalled[i])
			/* It is cleared when nothing is in flight on it. */
			local_reads_cancel(t, (enum usb_pipe)i);
	fill_all(t);
	local_writes_unpark(t);
	look_at_claim(t);
}

int
local_read(struct transport *base, struct chunk **out, int timeout_ms)
{
	struct local_transport *t = local_of(base);
	struct moment deadline = MOMENT_NEVER;

	t->wrote = false;
	t->reading.holding = out == NULL;
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
	    local_failure(t) != USB_OK ||
	    reading_any_stalled(&t->reading) || is_starved(t);
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

		if (t->reading.ready.first != NULL) {
			*out = chunk_list_take(&t->reading.ready);
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
	chunk_list_drop(&t->reading.ready);
}

void
local_reads_fini(struct local_transport *t)
{
	for (int i = 0; i < LOCAL_READS + LOCAL_EVENTS; i++)
		libusb_free_transfer(t->reads[i].transfer);
	if (t->claim.held > 0)
		read_budget_leave(t->budget, &t->claim);
}
