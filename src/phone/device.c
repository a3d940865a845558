/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/device.h"

#include <stdio.h>
#include <string.h>

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
	urb->backend_state = URB_DONE;
	return urb;
}

/* Takes one out of the middle. */
static void
remove_urb(struct endpoint *e, struct usbip_urb *urb)
{
	struct usbip_urb *before = NULL, *at = e->first;

	while (at != urb) {
		before = at;
		at = next_of(at);
	}
	if (before == NULL) {
		dequeue(e);
		return;
	}
	set_next(before, next_of(urb));
	if (e->last == urb)
		e->last = before;
	urb->backend_state = URB_DONE;
}

void
device_flush(struct device *d, unsigned index, int status)
{
	struct usbip_urb *urb;

	while ((urb = dequeue(&d->ep[index])) != NULL)
		usbip_urb_complete(urb, status, 0);
}

/* ---- Life --------------------------------------------------------------- */

/*
 * device_init, device_restart and device_configure are three depths of the same
 * thing: a phone that has been made; one that has come to a bus; one that has
 * been configured.  Counters live as long as the first, the session of the mux
 * no longer than the last.
 */

void
device_init(struct device *d, const struct identity *id, enum desc_speed speed)
{
	memset(d, 0, sizeof *d);
	d->id = id;
	d->profile = (struct desc_profile){
		.speed = speed,
		.mode = DESC_MODE_INITIAL,
		.serial = id->serial,
	};
	strict_init(&d->strict, id->index);
	mux_init(&d->mux, &d->strict, id);
	frame_init(&d->frame, &d->mux, desc_bulk_packet(speed));
	d->due = MOMENT_NEVER;
}

void
device_fini(struct device *d)
{
	mux_fini(&d->mux);
}

void
device_restart(struct device *d)
{
	device_configure(d, 0);
	device_flush(d, 0, USBIP_ESHUTDOWN);
	d->out.free_at = d->in.free_at = (struct moment){ 0 };
	d->due = MOMENT_NEVER;
}

void
device_select(struct device *d, const struct desc_interface *setting)
{
	const bool is_mux = setting->class == 0xff &&
	    setting->subclass == 0xfe && setting->protocol == 2;

	for (unsigned i = 1; i < DEVICE_ENDPOINTS; i++)
		if (d->ep[i].kind != 0 &&
		    d->ep[i].interface == setting->number) {
			device_flush(d, i, USBIP_ESHUTDOWN);
			d->ep[i] = (struct endpoint){ 0 };
		}
	for (unsigned i = 0; i < setting->endpoint_count; i++) {
		const struct desc_endpoint *e = &setting->endpoints[i];

		d->ep[device_endpoint_index(e->address)] = (struct endpoint){
			.kind = e->attributes & 3,
			.interface = setting->number,
			.mux = is_mux,
		};
	}
	d->alternate[setting->number] = setting->alternate;
}

void
device_configure(struct device *d, uint8_t value)
{
	const struct desc_configuration *c =
	    desc_configuration(d->profile.mode, value);

	for (unsigned i = 1; i < DEVICE_ENDPOINTS; i++) {
		device_flush(d, i, USBIP_ESHUTDOWN);
		d->ep[i] = (struct endpoint){ 0 };
	}
	frame_reset_out(&d->frame);
	frame_reset_in(&d->frame);
	mux_reset(&d->mux);
	memset(d->alternate, 0, sizeof d->alternate);
	d->configuration = c != NULL ? value : 0;
	for (unsigned i = 0; c != NULL && i < c->setting_count; i++)
		if (c->settings[i]->alternate == 0)
			device_select(d, c->settings[i]);
}

void
device_describe(const struct device *d, uint8_t address,
    struct usbip_description *out)
{
	struct usbip_device_entry *e = &out->device;

	memset(out, 0, sizeof *out);
	snprintf(e->busid, sizeof e->busid, "%s", d->id->busid);
	snprintf(e->path, sizeof e->path, "/sys/devices/muxphone/usb%u/%s",
	    d->id->bus, d->id->busid);
	e->bus = d->id->bus;
	e->address = address;
	e->speed = d->profile.speed == DESC_SUPER ? USBIP_SPEED_SUPER
						  : USBIP_SPEED_HIGH;
	e->vendor = DESC_VENDOR;
	e->product = DESC_PRODUCT;
	e->release = DESC_RELEASE;
	e->configurations = (uint8_t)desc_configurations(d->profile.mode);
}

/* ---- The pump ----------------------------------------------------------- */

/* False: not yet; the pump is due when it will. */
static bool
pace_allows(struct device *d, const struct pace *p)
{
	if (p->rate == 0 || !moment_before(clock_now(), p->free_at))
		return true;
	d->due = moment_earlier(d->due, p->free_at);
	return false;
}

/* Time that passed unused is not saved up, so that a slow phone does not make
 * up for its rest. */
static void
pace_spend(struct pace *p, uint64_t bytes)
{
	struct moment now;

	if (p->rate == 0)
		return;
	now = clock_now();
	if (moment_before(p->free_at, now))
		p->free_at = now;
	p->free_at.ns += (int64_t)(bytes * 1000000000 / p->rate);
}

/* Takes what the host sends, as long as the answers have room.  A URB that is
 * not taken just waits: to the host the phone is busy (it NAKs). */
static bool
pump_out(struct device *d, struct endpoint *e)
{
	bool moved = false;

	while (e->first != NULL && mux_accepts(&d->mux) &&
	    pace_allows(d, &d->out)) {
		struct usbip_urb *urb = dequeue(e);

		frame_out(&d->frame, urb->buffer, urb->length,
		    (urb->flags & USBIP_ZERO_PACKET) != 0);
		pace_spend(&d->out, urb->length);
		usbip_urb_complete(urb, USBIP_OK, urb->length);
		moved = true;
	}
	return moved;
}

/* Fills what the host has asked for.  A read is completed as soon as there is
 * anything for it: it takes one packet, or a part of one. */
static bool
pump_in(struct device *d, struct endpoint *e)
{
	bool moved = false, babble;
	size_t len;

	while (e->first != NULL && pace_allows(d, &d->in) &&
	    frame_in(&d->frame, e->first->buffer, e->first->length, &len,
	    &babble)) {
		pace_spend(&d->in, len);
		usbip_urb_complete(dequeue(e),
		    babble ? USBIP_EOVERFLOW : USBIP_OK, (uint32_t)len);
		moved = true;
	}
	return moved;
}

void
device_pump(struct device *d)
{
	struct endpoint *out = &d->ep[device_endpoint_index(DESC_MUX_OUT)];
	struct endpoint *in = &d->ep[device_endpoint_index(DESC_MUX_IN)];
	bool moved;

	d->due = MOMENT_NEVER;
	if (d->hung || d->stalled || !out->mux)
		return;
	/* What goes out may make room for what wants in, and the reverse. */
	do {
		moved = pump_out(d, out);
		moved |= pump_in(d, in);
	} while (moved);
}

/* ---- URBs --------------------------------------------------------------- */

/* A URB for an endpoint other than 0 that is neither of the mux pair's: OUT is
 * taken and forgotten, IN waits for what never comes. */
static void
submit_other(struct device *d, struct usbip_urb *urb)
{
	if (usbip_urb_is_in(urb) || urb->iso_count > 0)
		enqueue(d, urb);
	else
		usbip_urb_complete(urb, USBIP_OK, urb->length);
}

/*
 * What is wrong is answered at once; what is right and cannot be done yet waits
 * in its endpoint's queue.  A phone that hangs does not even look.
 */
void
device_submit(struct device *d, struct usbip_urb *urb)
{
	const struct endpoint *e =
	    &d->ep[device_endpoint_index(urb->endpoint)];

	if (d->hung)
		enqueue(d, urb);
	else if ((urb->endpoint & 15) == 0)
		device_control(d, urb);
	else if (e->kind == 0 || e->halted)
		usbip_urb_complete(urb, USBIP_EPIPE, 0);
	else if ((urb->iso_count > 0) != (e->kind == DESC_ISOCHRONOUS))
		usbip_urb_complete(urb, USBIP_EINVAL, 0);
	else if (!e->mux)
		submit_other(d, urb);
	else {
		enqueue(d, urb);
		device_pump(d);
	}
}

void
device_cancel(struct device *d, struct usbip_urb *urb)
{
	if (urb->backend_state != URB_WAITS)
		return;
	remove_urb(&d->ep[device_endpoint_index(urb->endpoint)], urb);
	usbip_urb_complete(urb, USBIP_ECONNRESET, 0);
}

/* Afterwards everything that has waited is submitted as if it came just now:
 * requests first, because what they change decides about the rest. */
void
device_hang(struct device *d, bool on)
{
	struct usbip_urb *waiting[DEVICE_ENDPOINTS];

	if (on == d->hung)
		return;
	d->hung = on;
	if (on)
		return;
	for (unsigned i = 0; i < DEVICE_ENDPOINTS; i++) {
		waiting[i] = d->ep[i].first;
		d->ep[i].first = d->ep[i].last = NULL;
	}
	for (unsigned i = 0; i < DEVICE_ENDPOINTS; i++)
		while (waiting[i] != NULL) {
			struct usbip_urb *urb = waiting[i];

			waiting[i] = next_of(urb);
			device_submit(d, urb);
		}
	device_pump(d);
}

void
device_stall(struct device *d, bool on)
{
	d->stalled = on;
	device_pump(d);
}

void
device_slow(struct device *d, uint64_t bytes_per_second)
{
	d->out.rate = d->in.rate = bytes_per_second;
	d->out.free_at = d->in.free_at = (struct moment){ 0 };
	device_pump(d);
}

bool
device_halt(struct device *d, bool in)
{
	const unsigned i =
	    device_endpoint_index(in ? DESC_MUX_IN : DESC_MUX_OUT);

	if (!d->ep[i].mux)
		return false;
	d->ep[i].halted = true;
	device_flush(d, i, USBIP_EPIPE);
	return true;
}
