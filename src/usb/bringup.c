/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A phone's way to its mux. */

#include "base/log.h"
#include "usb/bringup_int.h"

/* How often the serial number is asked for: a phone that is still busy with
 * its own start may refuse the first time. */
#define SERIAL_TRIES 3

/* Apple's (usbmux facts, sections 1 and 2.3). */
#define REQUEST_GET_MODE 0x45
#define REQUEST_SET_MODE 0x52

/*
 * Tells the device to change its mode.  USB_ERROR_GONE: it does and will be
 * back; USB_OK: it does not, and is used as it is.
 */
static int
change_mode(struct bringup *b)
{
	int n = bringup_ask(b, TYPE_VENDOR_IN, REQUEST_GET_MODE, 0, 0, 4);

	/* The answer tells only whether the mode was ever changed; that the
	 * request is understood is what counts. */
	if (n > 0)
		n = bringup_ask(b, TYPE_VENDOR_IN, REQUEST_SET_MODE, 0,
		    (uint16_t)b->wanted_mode, 1);
	if (n == USB_ERROR_GONE || n == USB_ERROR_TAKEN)
		return bringup_failed(b, n, "changing its mode");
	if (n < 1 || b->bytes[0] != 0) {
		log_info("device %s: stays in mode %u, refuses mode %d: %s",
		    b->name, b->out->mode, b->wanted_mode,
		    n < 0 ? usb_error_text(n) : "it said no");
		return USB_OK;
	}
	cause_set(b->why,
	    "device %s: changes from mode %u to mode %d and comes back",
	    b->name, b->out->mode, b->wanted_mode);
	return USB_ERROR_GONE;
}

static int
step_mode(struct bringup *b)
{
	int error = bringup_read_device(b);

	if (error == USB_OK)
		error = bringup_read_configurations(b);
	if (error != USB_OK)
		return error;
	b->out->mode = usb_guess_mode(b->configurations, b->count);
	/* A device whose mode cannot be told (a restore device, say) is left
	 * alone. */
	if (b->wanted_mode == 0 || b->out->mode == 0 ||
	    b->out->mode == b->wanted_mode)
		return USB_OK;
	return change_mode(b);
}

/* The highest configuration that holds the mux, or NULL. */
static const struct usb_configuration *
choose(const struct bringup *b)
{
	for (unsigned i = b->count; i > 0; i--)
		if (b->configurations[i - 1].has_mux &&
		    b->configurations[i - 1].value != 0)
			return &b->configurations[i - 1];
	return NULL;
}

static int
no_mux(struct bringup *b)
{
	if (b->out->mode == 5)
		cause_set(b->why,
		    "device %s: has no mux interface, because it is in mode 5; "
		    "set USBMUXD_DEFAULT_DEVICE_MODE to 1, or restart it",
		    b->name);
	else
		cause_set(b->why,
		    "device %s: none of its %u configurations has a mux "
		    "interface (ff/fe/02 with two bulk endpoints)",
		    b->name, b->count);
	return USB_ERROR_UNSUPPORTED;
}

static int
step_configuration(struct bringup *b)
{
	struct transport *t = b->t;
	int current;

	b->chosen = choose(b);
	if (b->chosen == NULL)
		return no_mux(b);
	current = t->ops->get_configuration(t);
	if (current < 0)
		return bringup_failed(b, current, "cannot read its configuration");
	b->out->configuration = b->chosen->value;
	if (current == b->chosen->value && !b->anew)
		return USB_OK;
	return bringup_configure(b, b->chosen->value, current);
}

static int
step_claim(struct bringup *b)
{
	const int error =
	    b->t->ops->claim(b->t, b->chosen->mux_interface);

	if (error < 0)
		return bringup_failed(b, error, "cannot claim its mux interface");
	b->out->interface = b->chosen->mux_interface;
	b->out->pipes = b->chosen->mux_pipes;
	return USB_OK;
}

/* Without a name clients could not tell it from others. */
static int
no_serial(struct bringup *b)
{
	cause_set(b->why,
	    "device %s: has no serial number of 1 to %d characters", b->name,
	    USB_SERIAL_LENGTH_MAX);
	return USB_ERROR_UNSUPPORTED;
}

static int
step_serial(struct bringup *b)
{
	int n = USB_ERROR_UNSUPPORTED;

	if (b->device.serial_index == 0)
		return no_serial(b);
	for (int i = 0; i < SERIAL_TRIES; i++) {
		n = bringup_read_serial(b);
		if (n >= 0)
			return USB_OK;
		if (n != USB_ERROR_TIMEOUT && !bringup_is_refusal(n))
			break;
	}
	if (n == USB_ERROR_UNSUPPORTED)
		return no_serial(b);
	return bringup_failed(b, n, "cannot read its serial number");
}

int
usb_bring_up(struct transport *t, const struct usb_ident *ident,
    int wanted_mode, bool anew, usb_step_hook *hook, void *hook_arg,
    struct usb_phone *out, struct cause *why)
{
	static const struct bringup_step steps[] = {
		{ USB_STEP_MODE, step_mode },
		{ USB_STEP_CONFIGURATION, step_configuration },
		{ USB_STEP_CLAIM, step_claim },
		{ USB_STEP_SERIAL, step_serial },
	};
	struct bringup b = { .t = t,
		.name = ident->key,
		.wanted_mode = wanted_mode,
		.anew = anew,
		.out = out,
		.why = why };

	return bringup_climb(&b, steps, sizeof steps / sizeof steps[0], hook, hook_arg);
}
