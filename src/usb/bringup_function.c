/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The way to an interface that is no phone's mux. */

#include <string.h>

#include "usb/bringup_int.h"

/* Characters of a serial number that gets a hyphen behind the 8th. */
#define SERIAL_OF_PHONE 24

static int
step_own_serial(struct bringup *b)
{
	int n = bringup_read_device(b);

	if (n < 0)
		return n;
	if (b->device.serial_index == 0)
		return USB_OK;
	n = bringup_read_serial(b);
	if (n == SERIAL_OF_PHONE + 1) /* the hyphen is for phones */
		memmove(b->out->udid + 8, b->out->udid + 9,
		    SERIAL_OF_PHONE - 8 + 1);
	if (n >= 0)
		return USB_OK;
	b->out->udid[0] = '\0';
	if (n == USB_ERROR_UNSUPPORTED || bringup_is_refusal(n))
		return USB_OK;
	return bringup_failed(b, n, "cannot read its serial number");
}

static int
step_own_configuration(struct bringup *b)
{
	int error;

	b->current = b->t->ops->get_configuration(b->t);
	if (b->current < 0)
		return bringup_failed(b, b->current, "cannot read its configuration");
	error = bringup_read_configurations(b);
	if (error < 0)
		return error;
	if (b->function.configuration == 0) {
		cause_set(b->why, "device %s: none of its %u configurations "
		    "has an interface to serve, with one bulk endpoint in "
		    "each direction", b->name, b->count);
		return USB_ERROR_UNSUPPORTED;
	}
	b->out->configuration = b->function.configuration;
	if (b->current == b->function.configuration && !b->anew)
		return USB_OK;
	return bringup_configure(b, b->function.configuration, b->current);
}

static int
step_own_claim(struct bringup *b)
{
	const int error = b->t->ops->claim(b->t, b->function.interface);

	if (error < 0)
		return bringup_failed(b, error, "cannot claim its interface");
	b->out->interface = b->function.interface;
	b->out->pipes = b->function.pipes;
	return USB_OK;
}

/* bInterval in frames, or microframes: there it is an exponent (USB 2.0,
 * 9.6.6). */
static uint16_t
urb_interval(enum usb_speed speed, uint16_t interval)
{
	if (interval == 0)
		return 1;
	if (speed == USB_SPEED_LOW || speed == USB_SPEED_FULL)
		return interval;
	return (uint16_t)(1u << (interval < 16 ? interval - 1 : 15));
}

int
usb_bring_up_function(struct transport *t, const struct usb_ident *ident,
    usb_class_fits *fits, void *arg, bool anew, usb_step_hook *hook,
    void *hook_arg, struct usb_phone *out, struct cause *why)
{
	static const struct bringup_step steps[] = {
		{ USB_STEP_SERIAL, step_own_serial },
		{ USB_STEP_CONFIGURATION, step_own_configuration },
		{ USB_STEP_CLAIM, step_own_claim },
	};
	struct bringup b = { .t = t,
		.name = ident->key,
		.anew = anew,
		.fits = fits,
		.fits_arg = arg,
		.out = out,
		.why = why };
	const int error =
	    bringup_climb(&b, steps, sizeof steps / sizeof steps[0], hook, hook_arg);

	out->pipes.interrupt_in_interval = urb_interval(ident->speed,
	    out->pipes.interrupt_in_interval);
	out->pipes.interrupt_out_interval = urb_interval(ident->speed,
	    out->pipes.interrupt_out_interval);
	return error;
}
