/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/device.h"

#include <stdlib.h>
#include <string.h>

#include "phone/kinds.h"

/* The URB's backend_state. */
enum { URB_DONE, URB_WAITS };

/* ---- Queues of URBs ----------------------------------------------------- */

static struct usbip_urb *
next_of(const struct usbip_urb *urb)
{
	return (struct usbip_urb *)msg_next(&urb->msg);
}

static void
set_next(struct usbip_urb *urb, struct usbip_urb *next)
{
	urb->msg.node.next = next != NULL ? &next->msg.node : NULL;
}

static void
enqueue(struct device *d, struct usbip_urb *urb)
{
	struct endpoint *e = &d->ep[device_endpoint_index(urb->endpoint)];

	set_next(urb, NULL);
	urb->backend_state = URB_WAITS;
	if (e->last != NULL)
		set_next(e->last, urb);
	else
		e->first = urb;
	e->last = urb;
}

static struct usbip_urb *
dequeue(struct endpoint *e)
{
	struct usbip_urb *urb = e->first;

	if (urb == NULL)
		return NULL;
	e->first = next_of(urb);
	if (e->first == NULL)
		e->last = NULL;
	e->progress = 0;
	e->carried = false;
	urb->backend_state = URB_DONE;
	return urb;
}

/* Takes out one that is not the first. */
static void
remove_urb(struct endpoint *e, struct usbip_urb *urb)
{
	struct usbip_urb *before = e->first;

	while (next_of(before) != urb)
		before = next_of(before);
	set_next(before, next_of(urb));
	if (e->last == urb)
		e->last = before;
	urb->backend_state = URB_DONE;
}

/* What of it has been moved counts, also when it ends early. */
static void
finish_first(struct device *d, struct endpoint *e, int status)
{
	struct outcome end = { status, e->progress };

	(void)wires_take_off(d, e, &end);
	usbip_urb_complete(dequeue(e), status, end.actual);
}

void
device_flush(struct device *d, unsigned index, int status)
{
	struct endpoint *e = &d->ep[index];

	while (e->first != NULL)
		finish_first(d, e, status);
}

/* ---- Life --------------------------------------------------------------- */

/*
 * device_new, device_restart and device_configure are three depths of the same
 * thing: a device that has been made; one that has come to a bus; one that has
 * been configured.  Counters live as long as the first, a session no longer
 * than the last.
 */

struct device *
device_new(const struct kind *kind, const struct identity *id,
    enum desc_speed speed, char *options, struct cause *why)
{
	struct device *d = calloc(1, kind->size);

	if (d == NULL) {
		cause_set(why, "%s %u: out of memory", kind->name, id->index);
		return NULL;
	}
	d->kind = kind;
	d->id = *id;
	d->profile.speed = speed;
	d->due = MOMENT_NEVER;
	if (kind->defaults != NULL)
		kind->defaults(d);
	if (kinds_take_options(d, options, why) < 0 ||
	    kind->init(d, why) < 0) {
		free(d);
		return NULL;
	}
	d->profile.serial = d->id.serial;
	return d;
}

void
device_free(struct device *d)
{
	if (d == NULL)
		return;
	if (d->kind->fini != NULL)
		d->kind->fini(d);
	free(d);
}

void
device_restart(struct device *d)
{
	device_configure(d, d->configured);
	device_flush(d, 0, USBIP_ESHUTDOWN);
	d->due = MOMENT_NEVER;
}

static void
drop_endpoint(struct device *d, unsigned index)
{
	device_flush(d, index, USBIP_ESHUTDOWN);
	d->ep[index] = (struct endpoint){ 0 };
}

void
device_select(struct device *d, const struct desc_interface *setting)
{
	for (unsigned i = 1; i < DEVICE_ENDPOINTS; i++)
		if (d->ep[i].transfer != 0 &&
		    d->ep[i].setting->number == setting->number)
			drop_endpoint(d, i);
	for (unsigned i = 0; i < setting->endpoint_count; i++) {
		const struct desc_endpoint *e = &setting->endpoints[i];

		d->ep[device_endpoint_index(e->address)] = (struct endpoint){
			.address = e->address,
			.transfer = e->attributes & 3,
			.interval = e->interval,
			.packet = desc_packet(e, d->profile.speed),
			.setting = setting,
		};
	}
	d->alternate[setting->number] = setting->alternate;
}

void
device_configure(struct device *d, uint8_t value)
{
	const struct desc_configuration *c =
	    desc_configuration(d->profile.device, value);

	for (unsigned i = 1; i < DEVICE_ENDPOINTS; i++)
		drop_endpoint(d, i);
	if (d->kind->reset != NULL)
		d->kind->reset(d);
	memset(d->alternate, 0, sizeof d->alternate);
	d->configuration = c != NULL ? value : 0;
	for (unsigned i = 0; c != NULL && i < c->setting_count; i++)
		if (c->settings[i]->alternate == 0)
			device_select(d, c->settings[i]);
}

/* ---- The pump ----------------------------------------------------------- */

void
device_end_first(struct device *d, struct endpoint *e,
    const struct outcome *end)
{
	usbip_urb_complete(dequeue(e), end->status, end->actual);
	if (end->status == USBIP_EPIPE)
		device_halt(d, e->address);
}

bool
device_serve_first(struct device *d, struct endpoint *e)
{
	struct outcome end = { USBIP_OK, 0 };

	if (!d->kind->serve(d, e, e->first, &end))
		return false;
	device_end_first(d, e, &end);
	return true;
}

/* Serves what waits there.  A URB that is not served just waits: to the host
 * the device is busy (it NAKs). */
static bool
pump_endpoint(struct device *d, struct endpoint *e)
{
	bool moved = false;

	while (e->first != NULL) {
		const uint32_t before = e->progress;

		if (!device_serve_first(d, e))
			return moved || e->progress != before;
		moved = true;
	}
	return moved;
}

/* What goes out may make room for what wants in, and the reverse. */
void
device_pump(struct device *d)
{
	bool moved;

	do {
		moved = false;
		d->due = MOMENT_NEVER;
		if (d->hung || d->stalled)
			return;
		for (unsigned i = 1; i < DEVICE_ENDPOINTS; i++)
			if (d->ep[i].first != NULL &&
			    !wire_carries(d, &d->ep[i]))
				moved |= pump_endpoint(d, &d->ep[i]);
	} while (moved);
	if (device_is_paced(d))
		wires_pump(d);
}

/* ---- URBs --------------------------------------------------------------- */

/* What was to happen on a wire before now has not met what comes now. */
static void
catch_up(struct device *d)
{
	if (device_is_paced(d))
		device_pump(d);
}

/*
 * What is wrong is answered at once; what is right and cannot be done yet waits
 * in its endpoint's queue.  A device that hangs does not even look.
 */
void
device_submit(struct device *d, struct usbip_urb *urb)
{
	const struct endpoint *e =
	    &d->ep[device_endpoint_index(urb->endpoint)];

	catch_up(d);
	if (d->hung)
		enqueue(d, urb);
	else if ((urb->endpoint & 15) == 0)
		device_control(d, urb);
	else if (e->transfer == 0 || e->halted)
		usbip_urb_complete(urb, USBIP_EPIPE, 0);
	else if ((urb->iso_count > 0) != (e->transfer == DESC_ISOCHRONOUS))
		usbip_urb_complete(urb, USBIP_EINVAL, 0);
	else {
		enqueue(d, urb);
		device_pump(d);
	}
}

void
device_cancel(struct device *d, struct usbip_urb *urb)
{
	struct endpoint *e = &d->ep[device_endpoint_index(urb->endpoint)];
	struct outcome end;

	catch_up(d);
	if (urb->backend_state != URB_WAITS)
		return;
	if (urb == e->first) {
		if (wires_take_off(d, e, &end))
			device_end_first(d, e, &end);
		else
			finish_first(d, e, USBIP_ECONNRESET);
		return;
	}
	remove_urb(e, urb);
	usbip_urb_complete(urb, USBIP_ECONNRESET, 0);
}

/* Submits what has waited in a queue as if it came just now. */
static void
submit_again(struct device *d, struct usbip_urb *waiting)
{
	while (waiting != NULL) {
		struct usbip_urb *urb = waiting;

		waiting = next_of(urb);
		device_submit(d, urb);
	}
}

/* Requests come first afterwards, because what they change decides about the
 * rest; a transfer that was half done goes on where it was. */
void
device_hang(struct device *d, bool on)
{
	struct endpoint was[DEVICE_ENDPOINTS];

	if (on == d->hung)
		return;
	wires_settle(d);
	d->hung = on;
	if (on)
		return;
	memcpy(was, d->ep, sizeof was);
	for (unsigned i = 0; i < DEVICE_ENDPOINTS; i++) {
		d->ep[i].first = d->ep[i].last = NULL;
		d->ep[i].progress = 0;
	}
	for (unsigned i = 0; i < DEVICE_ENDPOINTS; i++) {
		if (d->ep[i].transfer != 0 && !d->ep[i].halted)
			d->ep[i].progress = was[i].progress;
		submit_again(d, was[i].first);
	}
	device_pump(d);
}

void
device_stall(struct device *d, bool on)
{
	wires_settle(d);
	d->stalled = on;
	device_pump(d);
}

void
device_pace(struct device *d, uint64_t bytes_per_second, bool half_duplex)
{
	wires_settle(d);
	for (int i = 0; i < 2; i++)
		d->wires[i] = (struct wire){ .rate = bytes_per_second };
	d->half_duplex = half_duplex;
	device_pump(d);
}

void
device_slow(struct device *d, uint64_t bytes_per_second)
{
	device_pace(d, bytes_per_second, d->half_duplex);
}

void
device_clear_halt(struct device *d, uint8_t address)
{
	struct endpoint *e = &d->ep[device_endpoint_index(address)];

	if (d->kind->clear != NULL)
		d->kind->clear(d, e);
	e->halted = false;
}

bool
device_halt(struct device *d, uint8_t address)
{
	const unsigned i = device_endpoint_index(address);

	if (i == 0 || d->ep[i].transfer == 0)
		return false;
	d->ep[i].halted = true;
	device_flush(d, i, USBIP_EPIPE);
	return true;
}
