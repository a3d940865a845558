/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/phone.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "phone/kinds.h"

/* The device is the first member. */
static struct phone *
self(struct device *d)
{
	return (struct phone *)d;
}

static const struct phone *
self_const(const struct device *d)
{
	return (const struct phone *)d;
}

/* ---- Options ------------------------------------------------------------ */

/* So small a packet has room for some data behind both headers. */
#define FRAME_LEAST 64

static int
phone_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	struct phone_wishes *wishes = &self(d)->wishes;

	if (strcmp(name, "window") == 0)
		return kinds_number(&wishes->window, name, value,
		    MUX_WINDOW_UNIT, MUX_WINDOW_MAX, why);
	if (strcmp(name, "frame") == 0)
		return kinds_number(&wishes->frame, name, value, FRAME_LEAST,
		    MUX_PACKET_MAX, why);
	if (strcmp(name, "mux") == 0)
		return kinds_number(&wishes->mux, name, value, 1, 2, why);
	if (strcmp(name, "udid") == 0 && value != NULL)
		return identity_init(&d->id, d->id.index, value, 0, why);
	return cause_set(why, "there is no option '%s'", name);
}

static void
grant_wishes(struct phone *p)
{
	const struct phone_wishes *wishes = &p->wishes;

	if (wishes->window != 0)
		p->mux.set.window = wishes->window;
	if (wishes->frame != 0)
		p->mux.set.max_packet = wishes->frame;
	if (wishes->mux != 0)
		p->mux.set.version = wishes->mux;
}

/* ---- Life --------------------------------------------------------------- */

static void
set_mode(struct phone *p, unsigned mode)
{
	p->mode = mode;
	if (p->layout == NULL)
		p->usb.profile.device = &phone_modes[mode - 1];
}

void
phone_set_layout(struct phone *p, const struct desc_device *layout)
{
	p->layout = layout;
	p->usb.profile.device = layout;
}

static uint16_t
bulk_packet(const struct device *d)
{
	static const struct desc_endpoint bulk = {
		PHONE_MUX_IN, DESC_BULK, 0, 0,
	};

	return desc_packet(&bulk, d->profile.speed);
}

static int
phone_init(struct device *d, struct cause *why)
{
	struct phone *p = self(d);

	(void)why;
	set_mode(p, PHONE_MODE_INITIAL);
	strict_init(&p->strict, &strict_phone, d->id.index);
	mux_init(&p->mux, &p->strict, &d->id);
	grant_wishes(p);
	frame_init(&p->frame, &p->mux, bulk_packet(d));
	return 0;
}

static void
phone_fini(struct device *d)
{
	mux_fini(&self(d)->mux);
}

/* Who pulls the cable ends its mode. */
static void
phone_arrive(struct device *d, bool by_itself)
{
	struct phone *p = self(d);

	if (!by_itself)
		p->next_mode = PHONE_MODE_INITIAL;
	if (p->next_mode != 0)
		set_mode(p, p->next_mode);
	p->next_mode = 0;
}

static void
phone_reset(struct device *d)
{
	struct phone *p = self(d);

	frame_reset_out(&p->frame);
	frame_reset_in(&p->frame);
	p->frame.max_packet = bulk_packet(d);
	mux_reset(&p->mux);
}

/* ---- Modes -------------------------------------------------------------- */

enum {
	GET_MODE = SETUP_CODE(0xc0, 0x45),
	SET_MODE = SETUP_CODE(0xc0, 0x52),
};

static void
leave_for(struct phone *p, unsigned mode)
{
	p->next_mode = mode;
	p->usb.leaving = true;
}

static void
phone_bus_reset(struct device *d)
{
	struct phone *p = self(d);

	if (p->mode != PHONE_MODE_INITIAL)
		leave_for(p, PHONE_MODE_INITIAL);
}

static int
phone_control(struct device *d, const struct setup *s, uint8_t *data,
    size_t len)
{
	static const uint8_t done = 0;
	struct phone *p = self(d);
	const uint8_t modes[4] = {
		p->mode == PHONE_MODE_INITIAL ? 3 : 5, 3, 3, 0,
	};

	switch (setup_code(s)) {
	case GET_MODE:
		if (s->value != 0 || s->index != 0)
			return DEVICE_STALL;
		return device_answer(data, len, modes, sizeof modes);
	case SET_MODE:
		if (s->value != 0 || s->index < 1 || s->index > PHONE_MODES ||
		    p->layout != NULL)
			return DEVICE_STALL;
		log_info("phone %u: told to change to mode %u", d->id.index,
		    s->index);
		leave_for(p, s->index);
		return device_answer(data, len, &done, 1);
	default:
		return DEVICE_STALL;
	}
}

/* ---- Endpoints ---------------------------------------------------------- */

static bool
is_mux(const struct endpoint *e)
{
	return e->setting->class == 0xff && e->setting->subclass == 0xfe &&
	    e->setting->protocol == 2;
}

/*
 * What the host has half sent is lost with the halt.  What the phone has half
 * sent goes on after a halt; a clearing without one comes from a host that
 * begins and has no use for the end of what another one was told.
 */
static void
phone_clear(struct device *d, struct endpoint *e)
{
	struct phone *p = self(d);

	if (!is_mux(e))
		return;
	if (!endpoint_is_in(e))
		frame_reset_out(&p->frame);
	else if (!e->halted)
		frame_reset_in(&p->frame);
}

/* Takes what the host sends, as long as the answers have room. */
static bool
serve_out(struct phone *p, const struct usbip_urb *urb, struct outcome *out)
{
	if (!mux_accepts(&p->mux))
		return false;
	frame_out(&p->frame, urb->buffer, urb->length,
	    (urb->flags & USBIP_ZERO_PACKET) != 0);
	out->actual = urb->length;
	return true;
}

/* Fills what the host has asked for.  A read is completed as soon as there is
 * anything for it: it takes one packet, or a part of one. */
static bool
serve_in(struct phone *p, struct usbip_urb *urb, struct outcome *out)
{
	size_t len;
	bool babble;

	if (!frame_in(&p->frame, urb->buffer, urb->length, &len, &babble))
		return false;
	out->status = babble ? USBIP_EOVERFLOW : USBIP_OK;
	out->actual = (uint32_t)len;
	return true;
}

/* On the other endpoints OUT is taken and forgotten, IN waits for what never
 * comes. */
static bool
phone_serve(struct device *d, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	if (is_mux(e))
		return endpoint_is_in(e) ? serve_in(self(d), urb, out)
					 : serve_out(self(d), urb, out);
	if (endpoint_is_in(e) || urb->iso_count > 0)
		return false;
	out->actual = urb->length;
	return true;
}

/* ---- Reports ------------------------------------------------------------ */

static void
phone_describe(const struct device *d, struct json *j)
{
	const struct phone *p = self_const(d);

	json_uint(j, "mode", p->mode);
	json_bool(j, "up", p->mux.state == MUX_UP);
	json_uint(j, "mux", p->mux.set.version);
	json_uint(j, "connections", p->mux.live);
}

static void
phone_report(const struct device *d, struct json *j, bool more)
{
	const struct phone *p = self_const(d);

	mux_report(&p->mux, j);
	strict_report(&p->strict, j);
	if (more)
		mux_report_connections(&p->mux, j);
}

static uint64_t
phone_violations(const struct device *d)
{
	return self_const(d)->strict.total;
}

const struct kind kind_phone = {
	.name = "phone",
	.size = sizeof(struct phone),
	.main_in = PHONE_MUX_IN,
	.main_out = PHONE_MUX_OUT,
	.option = phone_option,
	.init = phone_init,
	.fini = phone_fini,
	.arrive = phone_arrive,
	.reset = phone_reset,
	.bus_reset = phone_bus_reset,
	.clear = phone_clear,
	.control = phone_control,
	.serve = phone_serve,
	.describe = phone_describe,
	.report = phone_report,
	.violations = phone_violations,
};
