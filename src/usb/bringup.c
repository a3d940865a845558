/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/bringup.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "usb/descriptors.h"

/*
 * One request: a phone answers within milliseconds, one that has just booted
 * within a few hundred; the reference daemon gives up after a second too.
 */
#define REQUEST_MS 1000
/*
 * A step of several requests: no more than this, however many configurations a
 * device claims to have.
 */
#define STEP_MS 5000
/* How often the serial number is asked for: a phone that is still busy with
 * its own start may refuse the first time. */
#define SERIAL_TRIES 3

/* Phones have up to six; what a device claims beyond that is not looked at. */
#define CONFIGURATIONS_MAX 16
/* The largest configuration of a phone is below 1 KiB. */
#define DESCRIPTOR_MAX 4096

#define REQUEST_GET_DESCRIPTOR 6
#define TYPE_STANDARD_IN 0x80
#define TYPE_VENDOR_IN 0xc0
/* Apple's (usbmux facts, sections 1 and 2.3). */
#define REQUEST_GET_MODE 0x45
#define REQUEST_SET_MODE 0x52

#define LANGUAGE_ENGLISH_US 0x0409

struct bringup {
	struct transport *t;
	const char *name; /* of the device, for the cause */
	int wanted_mode;
	bool anew;
	struct usb_phone *out;
	struct cause *why;
	struct moment deadline; /* of the step */

	struct usb_device_descriptor device;
	struct usb_configuration configurations[CONFIGURATIONS_MAX];
	unsigned count;
	const struct usb_configuration *chosen;
	uint8_t bytes[DESCRIPTOR_MAX]; /* of the request at hand */
};

/* An IN request into b->bytes, within what is left of the step's time.  Bytes
 * received, or a usb_error. */
static int
ask(struct bringup *b, uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, uint16_t length)
{
	const struct usb_setup_packet setup = { .request_type = type,
		.request = request,
		.value = value,
		.index = index,
		.length = length };
	int left = moment_poll_timeout(clock_now(), b->deadline);
	int n;

	if (left == 0)
		return USB_ERROR_TIMEOUT;
	if (left > REQUEST_MS)
		left = REQUEST_MS;
	n = b->t->ops->control(b->t, &setup, b->bytes, (unsigned)left);
	return n > length ? USB_ERROR_OVERFLOW : n;
}

static int
ask_descriptor(struct bringup *b, enum usb_descriptor_type type, uint8_t index,
    uint16_t language, uint16_t length)
{
	return ask(b, TYPE_STANDARD_IN, REQUEST_GET_DESCRIPTOR,
	    (uint16_t)(type << 8 | index), language, length);
}

static int
failed(struct bringup *b, int error, const char *what)
{
	cause_set(b->why, "device %s: %s: %s", b->name, what,
	    usb_error_text(error));
	return error;
}

/* After these a device may still be usable; after others it is not. */
static bool
is_refusal(int error)
{
	return error == USB_ERROR_STALL || error == USB_ERROR_IO ||
	    error == USB_ERROR_OVERFLOW;
}

static int
read_device(struct bringup *b)
{
	const int n = ask_descriptor(b, USB_DESCRIPTOR_DEVICE, 0, 0,
	    USB_DEVICE_DESCRIPTOR_SIZE);

	if (n < 0)
		return failed(b, n, "cannot read its device descriptor");
	if (usb_device_parse(&b->device, b->bytes, (size_t)n) < 0)
		return failed(b, USB_ERROR_IO,
		    "its device descriptor makes no sense");
	return USB_OK;
}

/* A usb_error, or the bytes of configuration `index` in b->bytes. */
static int
read_configuration(struct bringup *b, uint8_t index)
{
	int n = ask_descriptor(b, USB_DESCRIPTOR_CONFIGURATION, index, 0,
	    USB_CONFIGURATION_HEAD_SIZE);
	int total;

	if (n < 0)
		return n;
	total = usb_configuration_total(b->bytes, (size_t)n);
	if (total < 0)
		return USB_ERROR_IO;
	if (total > DESCRIPTOR_MAX)
		total = DESCRIPTOR_MAX;
	return ask_descriptor(b, USB_DESCRIPTOR_CONFIGURATION, index, 0,
	    (uint16_t)total);
}

/* One that cannot be read stays empty: it holds no mux. */
static int
read_configurations(struct bringup *b)
{
	b->count = b->device.configurations;
	if (b->count > CONFIGURATIONS_MAX)
		b->count = CONFIGURATIONS_MAX;
	for (unsigned i = 0; i < b->count; i++) {
		const int n = read_configuration(b, (uint8_t)i);

		if (n < 0 && !is_refusal(n))
			return failed(b, n, "cannot read its configurations");
		if (n < 0 ||
		    usb_configuration_parse(&b->configurations[i], b->bytes,
			(size_t)n) < 0)
			memset(&b->configurations[i], 0,
			    sizeof b->configurations[i]);
	}
	return USB_OK;
}

/*
 * Tells the device to change its mode.  USB_ERROR_GONE: it does and will be
 * back; USB_OK: it does not, and is used as it is.
 */
static int
change_mode(struct bringup *b)
{
	int n = ask(b, TYPE_VENDOR_IN, REQUEST_GET_MODE, 0, 0, 4);

	/* The answer tells only whether the mode was ever changed; that the
	 * request is understood is what counts. */
	if (n > 0)
		n = ask(b, TYPE_VENDOR_IN, REQUEST_SET_MODE, 0,
		    (uint16_t)b->wanted_mode, 1);
	if (n == USB_ERROR_GONE || n == USB_ERROR_TAKEN)
		return failed(b, n, "changing its mode");
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
	int error = read_device(b);

	if (error == USB_OK)
		error = read_configurations(b);
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

/* How many interfaces a kernel driver may sit on. */
static int
current_interfaces(const struct bringup *b, int current)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->configurations[i].value == current)
			return b->configurations[i].interfaces;
	return 0;
}

static int
step_configuration(struct bringup *b)
{
	struct transport *t = b->t;
	int current, error;

	b->chosen = choose(b);
	if (b->chosen == NULL)
		return no_mux(b);
	current = t->ops->get_configuration(t);
	if (current < 0)
		return failed(b, current, "cannot read its configuration");
	b->out->configuration = b->chosen->value;
	if (current == b->chosen->value && !b->anew)
		return USB_OK;
	error = t->ops->set_configuration(t, b->chosen->value,
	    current == 0 ? 0 : current_interfaces(b, current));
	if (error < 0)
		return failed(b, error, "cannot change its configuration");
	return USB_OK;
}

static int
step_claim(struct bringup *b)
{
	const int error =
	    b->t->ops->claim(b->t, b->chosen->mux_interface);

	if (error < 0)
		return failed(b, error, "cannot claim its mux interface");
	b->out->interface = b->chosen->mux_interface;
	b->out->pipes = b->chosen->mux_pipes;
	return USB_OK;
}

/* One attempt: a usb_error, or the length of the serial number. */
static int
read_serial(struct bringup *b)
{
	uint16_t language = LANGUAGE_ENGLISH_US;
	int n = ask_descriptor(b, USB_DESCRIPTOR_STRING, 0, 0, 255);

	if (n < 0 && !is_refusal(n))
		return n;
	if (n > 0 && usb_string_language(b->bytes, (size_t)n) != 0)
		language = usb_string_language(b->bytes, (size_t)n);
	n = ask_descriptor(b, USB_DESCRIPTOR_STRING, b->device.serial_index,
	    language, 255);
	if (n < 0)
		return n;
	n = usb_serial_parse(b->out->udid, b->bytes, (size_t)n);
	return n < 0 ? USB_ERROR_UNSUPPORTED : n;
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
		n = read_serial(b);
		if (n >= 0)
			return USB_OK;
		if (n != USB_ERROR_TIMEOUT && !is_refusal(n))
			break;
	}
	if (n == USB_ERROR_UNSUPPORTED)
		return no_serial(b);
	return failed(b, n, "cannot read its serial number");
}

int
usb_bring_up(struct transport *t, const struct usb_ident *ident,
    int wanted_mode, bool anew, usb_step_hook *hook, void *hook_arg,
    struct usb_phone *out, struct cause *why)
{
	static const struct {
		enum usb_step step;
		int (*take)(struct bringup *b);
	} steps[] = {
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

	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		int error;

		if (hook != NULL)
			hook(hook_arg, steps[i].step);
		b.deadline = moment_after_ms(clock_now(), STEP_MS);
		error = steps[i].take(&b);
		if (error < 0)
			return error;
	}
	return USB_OK;
}
