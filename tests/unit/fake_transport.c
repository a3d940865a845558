/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_transport_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit.h"
#include "usb/bringup.h"

static struct fake_transport *
fake_of(struct transport *t)
{
	return (struct fake_transport *)t; /* it comes first */
}

/* ---- Waiting ---- */

struct timespec
fake_after_ms(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

bool
fake_wait_change(struct fake *f, const struct timespec *until)
{
	return pthread_cond_timedwait(&f->changed, &f->lock, until) !=
	    ETIMEDOUT;
}

/* ---- Lists of frames ---- */

static void
append_tx(struct tx ***end, struct tx *tx)
{
	tx->msg.node.next = NULL;
	**end = tx;
	*end = (struct tx **)&tx->msg.node.next;
}

void
fake_move_all(struct tx ***to_end, struct tx **from, struct tx ***from_end)
{
	if (*from == NULL)
		return;
	**to_end = *from;
	*to_end = *from_end;
	*from = NULL;
	*from_end = from;
}

/* Without the lock: done() may do anything that does not block. */
static void
finish(struct fake *f, struct tx *list, int error)
{
	unsigned n = 0;

	while (list != NULL) {
		struct tx *next = (struct tx *)list->msg.node.next;

		list->done(list, error);
		list = next;
		n++;
	}
	pthread_mutex_lock(&f->lock);
	f->writes_done += n;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static struct tx *
take_completed(struct fake_transport *ft)
{
	struct tx *list = ft->completed;

	ft->completed = NULL;
	ft->completed_end = &ft->completed;
	return list;
}

/* ---- The transport's operations ---- */

static int
op_clear_halt(struct transport *t, uint8_t endpoint)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	HOLDS(endpoint == 0x85 || endpoint == 0x04, "endpoint 0x%02x",
	    endpoint);
	pthread_mutex_lock(&f->lock);
	f->clear_halts++;
	pthread_mutex_unlock(&f->lock);
	return USB_OK;
}

static int
op_reset(struct transport *t)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	pthread_mutex_lock(&f->lock);
	f->resets++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return USB_OK;
}

static int
op_start(struct transport *t, const struct usb_pipes *pipes,
    struct chunk_pool *pool)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	HOLDS(pipes->in == 0x85 && pipes->out == 0x04, "pipes");
	pthread_mutex_lock(&f->lock);
	ft->pool = pool;
	ft->started = f->start_error == USB_OK;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return f->start_error;
}

/* The next read, with the lock held; NULL when there is none. */
static struct fake_read *
take_read(struct fake *f)
{
	struct fake_read *r = f->reads;

	if (r == NULL || r->for_ever)
		return r;
	f->reads = r->next;
	if (f->reads == NULL)
		f->reads_end = &f->reads;
	return r;
}

static int
deliver(struct fake_transport *ft, struct fake_read *r, struct chunk **out)
{
	struct fake *f = ft->f;
	int result = r->error;

	if (r->error == USB_ERROR_STALL)
		ft->t.stalled_pipe = r->pipe;
	if (r->error == 0) {
		struct chunk *c = chunk_take(ft->pool);

		HOLDS(c != NULL, "no memory for a chunk");
		memcpy(c->data, r->bytes, r->len);
		c->len = r->len;
		c->pipe = r->pipe;
		*out = c;
		result = 1;
	}
	if (!r->for_ever)
		free(r);
	pthread_mutex_lock(&f->lock);
	f->reads_done++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return result;
}

static int
op_read(struct transport *t, struct chunk **out, int timeout_ms)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;
	const struct timespec until =
	    fake_after_ms(timeout_ms < 0 ? 86400000 : timeout_ms);
	struct fake_read *r = NULL;
	struct tx *done = NULL;
	bool in_time = true, interrupted = false, halted;

	pthread_mutex_lock(&f->lock);
	HOLDS(ft->started && !ft->stopped, "read() of what does not run");
	while (in_time && !ft->halted && !ft->interrupted &&
	    ft->completed == NULL && (f->reads == NULL || f->open != ft))
		in_time = fake_wait_change(f, &until);
	halted = ft->halted;
	done = take_completed(ft);
	if (ft->interrupted) {
		interrupted = true;
		ft->interrupted = false;
	} else if (!halted && f->open == ft) {
		r = take_read(f);
	}
	pthread_mutex_unlock(&f->lock);
	finish(f, done, USB_OK);
	if (r != NULL)
		return deliver(ft, r, out);
	return halted && !interrupted ? USB_ERROR_GONE : 0;
}

static void
record(struct fake *f, const struct tx *tx)
{
	struct fake_write *w = malloc(sizeof *w + tx->len);

	HOLDS(tx->len > 0, "an empty frame");
	HOLDS(w != NULL, "no memory for a frame");
	w->next = NULL;
	w->len = tx->len;
	w->zlp = tx->zlp;
	memcpy(w->bytes, tx->data + tx->offset, tx->len);
	*f->writes_end = w;
	f->writes_end = &w->next;
}

static void
op_write(struct transport *t, struct tx *tx)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;
	const struct timespec until = fake_after_ms(UNIT_PATIENCE_MS);
	int error = USB_OK;

	pthread_mutex_lock(&f->lock);
	HOLDS(ft->started && !ft->stopped, "write() to what does not run");
	HOLDS(ft->writers++ == 0, "two writers");
	if (!ft->halted)
		record(f, tx);
	pthread_cond_broadcast(&f->changed);
	while (f->writing == FAKE_BLOCKS && !ft->halted)
		HOLDS(fake_wait_change(f, &until), "nobody halts a blocked write");
	if (ft->halted)
		error = USB_ERROR_GONE;
	else if (f->writing == FAKE_FAILS)
		error = USB_ERROR_IO;
	else if (f->writing == FAKE_HOLDS)
		append_tx(&ft->in_flight_end, tx);
	else
		append_tx(&ft->completed_end, tx);
	ft->writers--;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	if (error != USB_OK) {
		tx->msg.node.next = NULL;
		finish(f, tx, error);
	}
}

static void
op_interrupt(struct transport *t)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	pthread_mutex_lock(&f->lock);
	ft->interrupted = true;
	f->interrupts++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void
op_halt(struct transport *t)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	pthread_mutex_lock(&f->lock);
	ft->halted = true;
	f->halts++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void
op_stop(struct transport *t)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;
	struct tx *done;

	pthread_mutex_lock(&f->lock);
	HOLDS(!ft->stopped, "stopped twice");
	HOLDS(ft->writers == 0, "stop() beside a write()");
	ft->stopped = true;
	fake_move_all(&ft->completed_end, &ft->in_flight, &ft->in_flight_end);
	done = take_completed(ft);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	finish(f, done, USB_ERROR_GONE);
}

static void
op_free(struct transport *t)
{
	struct fake_transport *ft = fake_of(t);
	struct fake *f = ft->f;

	pthread_mutex_lock(&f->lock);
	HOLDS(ft->stopped, "freed before it was stopped");
	HOLDS(ft->in_flight == NULL && ft->completed == NULL,
	    "freed with frames in flight");
	f->frees++;
	if (f->open == ft)
		f->open = NULL;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	free(t);
}

static const struct transport_ops ops = {
	.name = "fake",
	.clear_halt = op_clear_halt,
	.reset = op_reset,
	.start = op_start,
	.read = op_read,
	.write = op_write,
	.interrupt = op_interrupt,
	.halt = op_halt,
	.stop = op_stop,
	.free = op_free,
};

int
usb_bring_up(struct transport *t, const struct usb_ident *ident,
    int wanted_mode, bool anew, usb_step_hook *hook, void *hook_arg,
    struct usb_phone *out, struct cause *why)
{
	struct fake *f = fake_of(t)->f;
	int error;

	(void)ident;
	(void)wanted_mode;
	for (int step = USB_STEP_MODE; step <= USB_STEP_SERIAL; step++)
		hook(hook_arg, (enum usb_step)step);
	pthread_mutex_lock(&f->lock);
	error = f->bring_up_error;
	f->anew = anew;
	pthread_mutex_unlock(&f->lock);
	if (error != USB_OK) {
		cause_set(why, "the fake does not come up");
		return error;
	}
	memset(out, 0, sizeof *out);
	snprintf(out->udid, sizeof out->udid, "%s", FAKE_UDID);
	out->pipes = (struct usb_pipes){ .in = 0x85, .out = 0x04,
		.max_packet = f->max_packet };
	out->configuration = 4;
	out->interface = 1;
	out->mode = 1;
	return USB_OK;
}

/* ---- The source's operations ---- */

static int
op_open(struct usb_source *s, const struct usb_ident *ident,
    struct transport **out, struct cause *why)
{
	struct fake *f = (struct fake *)s;
	struct fake_transport *t;

	HOLDS(strcmp(ident->key, f->ident.key) == 0, "key '%s'", ident->key);
	pthread_mutex_lock(&f->lock);
	f->opens++;
	pthread_cond_broadcast(&f->changed);
	if (f->open_error != USB_OK) {
		pthread_mutex_unlock(&f->lock);
		cause_set(why, "the fake does not open");
		return f->open_error;
	}
	t = calloc(1, sizeof *t);
	HOLDS(t != NULL, "no memory for a transport");
	t->ops = ops;
	t->ops.write_blocks = f->may_block;
	t->t.ops = &t->ops;
	t->f = f;
	t->in_flight_end = &t->in_flight;
	t->completed_end = &t->completed;
	f->open = t;
	pthread_mutex_unlock(&f->lock);
	*out = &t->t;
	return USB_OK;
}

static int
op_run(struct usb_source *s, struct usb_listener *listener, struct cause *why)
{
	struct fake *f = (struct fake *)s;

	(void)why;
	pthread_mutex_lock(&f->lock);
	f->listener = listener;
	pthread_cond_broadcast(&f->changed);
	while (!f->quit) {
		if (f->holds_looks)
			; /* the test lets them go */
		else if (!f->looked || f->answered != f->rescans) {
			f->looked = true;
			f->answered = f->rescans;
			listener->scanned(listener, f->answered);
		}
		pthread_cond_wait(&f->changed, &f->lock);
	}
	f->listener = NULL;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static void
op_rescan(struct usb_source *s)
{
	struct fake *f = (struct fake *)s;

	pthread_mutex_lock(&f->lock);
	f->rescans++;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void
op_quit(struct usb_source *s)
{
	struct fake *f = (struct fake *)s;

	pthread_mutex_lock(&f->lock);
	f->quit = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

const struct usb_source_ops fake_source_ops = {
	.run = op_run,
	.rescan = op_rescan,
	.quit = op_quit,
	.open = op_open,
};
