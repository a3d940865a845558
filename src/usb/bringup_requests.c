/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a device is asked while it is brought up. */

#include <string.h>

#include "usb/bringup_int.h"

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

#define REQUEST_GET_DESCRIPTOR 6

#define LANGUAGE_ENGLISH_US 0x0409

int
bringup_ask(struct bringup *b, uint8_t type, uint8_t request, uint16_t value,
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
	return bringup_ask(b, TYPE_STANDARD_IN, REQUEST_GET_DESCRIPTOR,
	    (uint16_t)(type << 8 | index), language, length);
}

int
bringup_failed(struct bringup *b, int error, const char *what)
{
	cause_set(b->why, "device %s: %s: %s", b->name, what,
	    usb_error_text(error));
	return error;
}

bool
bringup_is_refusal(int error)
{
	return error == USB_ERROR_STALL || error == USB_ERROR_IO ||
	    error == USB_ERROR_OVERFLOW;
}

int
bringup_read_device(struct bringup *b)
{
	const int n = ask_descriptor(b, USB_DESCRIPTOR_DEVICE, 0, 0,
	    USB_DEVICE_DESCRIPTOR_SIZE);

	if (n < 0)
		return bringup_failed(b, n, "cannot read its device descriptor");
	if (usb_device_parse(&b->device, b->bytes, (size_t)n) < 0)
		return bringup_failed(b, USB_ERROR_IO,
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

/* The first that has the interface, or the current one if that has it. */
static void
look_for_function(struct bringup *b, size_t len)
{
	struct usb_function found;

	if (b->fits == NULL ||
	    !usb_function_find(&found, b->bytes, len, b->fits, b->fits_arg) ||
	    found.configuration == 0)
		return;
	if (b->function.configuration == 0 ||
	    found.configuration == b->current)
		b->function = found;
}

int
bringup_read_configurations(struct bringup *b)
{
	b->count = b->device.configurations;
	if (b->count > CONFIGURATIONS_MAX)
		b->count = CONFIGURATIONS_MAX;
	for (unsigned i = 0; i < b->count; i++) {
		const int n = read_configuration(b, (uint8_t)i);

		if (n < 0 && !bringup_is_refusal(n))
			return bringup_failed(b, n, "cannot read its configurations");
		if (n < 0 ||
		    usb_configuration_parse(&b->configurations[i], b->bytes,
			(size_t)n) < 0)
			memset(&b->configurations[i], 0,
			    sizeof b->configurations[i]);
		if (n > 0)
			look_for_function(b, (size_t)n);
	}
	return USB_OK;
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

int
bringup_configure(struct bringup *b, uint8_t value, int current)
{
	const int error = b->t->ops->set_configuration(b->t, value,
	    current == 0 ? 0 : current_interfaces(b, current));

	if (error < 0)
		return bringup_failed(b, error, "cannot change its configuration");
	return USB_OK;
}

int
bringup_read_serial(struct bringup *b)
{
	uint16_t language = LANGUAGE_ENGLISH_US;
	int n = ask_descriptor(b, USB_DESCRIPTOR_STRING, 0, 0, 255);

	if (n < 0 && !bringup_is_refusal(n))
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

int
bringup_climb(struct bringup *b, const struct bringup_step *steps, size_t count,
    usb_step_hook *hook, void *hook_arg)
{
	memset(b->out, 0, sizeof *b->out);
	for (size_t i = 0; i < count; i++) {
		int error;

		if (hook != NULL)
			hook(hook_arg, steps[i].step);
		b->deadline = moment_after_ms(clock_now(), STEP_MS);
		error = steps[i].take(b);
		if (error < 0)
			return error;
	}
	return USB_OK;
}
