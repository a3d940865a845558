/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Wires that take time.
 *
 * Their time is simulated: whatever was to happen at a moment happens as of that
 * moment, even if nobody came to look until later, and one transfer begins when
 * the one before it has ended.  So who looks late delays what a host hears, but
 * the wire carries what it can carry.  What is new begins now; time in which
 * nothing waited is not made up for.
 *
 * Isochronous endpoints have a clock of their own, and control requests take no
 * time.
 */
#include "phone/device.h"

static struct wire *
wire_of(struct device *d, const struct endpoint *e)
{
	return &d->wires[endpoint_is_in(e) && !d->half_duplex];
}

bool
wire_carries(const struct device *d, const struct endpoint *e)
{
	return d->wires[endpoint_is_in(e) && !d->half_duplex].rate != 0 &&
	    (e->transfer == DESC_BULK || e->transfer == DESC_INTERRUPT);
}

/* From the wires' moment on. */
static void
occupy(struct device *d, struct wire *w, struct endpoint *e, uint64_t bytes)
{
	w->busy = e;
	w->end = (struct moment){ d->at.ns +
		(int64_t)(bytes * 1000000000 / w->rate) };
}

/* ---- Begin -------------------------------------------------------------- */

/* What an IN transfer takes from the device is on the wire from now on, also
 * when there will be more of it. */
static bool
begin_in(struct device *d, struct wire *w, struct endpoint *e)
{
	const uint32_t before = e->progress;
	struct outcome end = { USBIP_OK, 0 };

	if (d->kind->serve(d, e, e->first, &end)) {
		w->outcome = end;
		occupy(d, w, e, end.actual > before ? end.actual - before : 0);
		return true;
	}
	if (e->progress == before)
		return false;
	occupy(d, w, NULL, e->progress - before);
	return true;
}

/* What the device has refused is with it, and does not cross again. */
static bool
begin_out(struct device *d, struct wire *w, struct endpoint *e)
{
	if (e->carried)
		return device_serve_first(d, e);
	occupy(d, w, e, e->first->length - e->progress);
	return true;
}

static bool
begin_on(struct device *d, struct wire *w)
{
	for (unsigned n = 1; n <= DEVICE_ENDPOINTS; n++) {
		const unsigned i = (w->last + n) % DEVICE_ENDPOINTS;
		struct endpoint *e = &d->ep[i];

		if (e->first == NULL || !wire_carries(d, e) ||
		    wire_of(d, e) != w)
			continue;
		if (endpoint_is_in(e) ? begin_in(d, w, e)
				      : begin_out(d, w, e)) {
			w->last = i;
			return true;
		}
	}
	return false;
}

static bool
is_free(const struct device *d, const struct wire *w)
{
	return w->busy == NULL && !moment_before(d->at, w->end);
}

/* One transfer.  False: none can begin. */
static bool
begin(struct device *d)
{
	for (int i = 0; i < 2; i++)
		if (is_free(d, &d->wires[i]) && begin_on(d, &d->wires[i]))
			return true;
	return false;
}

/* ---- End ---------------------------------------------------------------- */

static void
land(struct device *d, struct wire *w)
{
	struct endpoint *e = w->busy;

	w->busy = NULL;
	if (e == NULL)
		return;
	if (endpoint_is_in(e)) {
		device_end_first(d, e, &w->outcome);
		return;
	}
	e->carried = true;
	(void)device_serve_first(d, e);
}

bool
wires_take_off(struct device *d, struct endpoint *e, struct outcome *end)
{
	for (int i = 0; i < 2; i++) {
		struct wire *w = &d->wires[i];

		if (w->busy != e)
			continue;
		w->busy = NULL;
		w->end = moment_earlier(w->end, clock_now());
		if (endpoint_is_in(e)) {
			*end = w->outcome;
			return true;
		}
	}
	return false;
}

void
wires_settle(struct device *d)
{
	for (int i = 0; i < 2; i++) {
		struct wire *w = &d->wires[i];

		land(d, w);
		w->end = moment_earlier(w->end, clock_now());
	}
}

/* ---- Time --------------------------------------------------------------- */

/* The wire on which something happens next, or NULL. */
static struct wire *
next_event(struct device *d)
{
	struct wire *next = NULL;

	for (int i = 0; i < 2; i++) {
		struct wire *w = &d->wires[i];

		if (!is_free(d, w) &&
		    (next == NULL || moment_before(w->end, next->end)))
			next = w;
	}
	return next;
}

void
wires_pump(struct device *d)
{
	const struct moment now = clock_now();
	struct wire *w;

	for (;;) {
		w = next_event(d);
		if (w != NULL && !moment_before(now, w->end)) {
			d->at = w->end;
			land(d, w);
		} else if (moment_before(d->at, now)) {
			d->at = now;
		} else {
			break;
		}
		while (begin(d))
			;
	}
	if (w != NULL)
		device_wait(d, w->end);
}
