/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests on endpoint 0: USB's standard ones (USB 2.0, 9.4), the port reset
 * that USB/IP sends as a request, and for the rest the device's kind.
 */
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/device.h"

enum {
	GET_STATUS_DEVICE = SETUP_CODE(0x80, 0),
	GET_STATUS_INTERFACE = SETUP_CODE(0x81, 0),
	GET_STATUS_ENDPOINT = SETUP_CODE(0x82, 0),
	CLEAR_FEATURE_DEVICE = SETUP_CODE(0x00, 1),
	CLEAR_FEATURE_ENDPOINT = SETUP_CODE(0x02, 1),
	SET_FEATURE_DEVICE = SETUP_CODE(0x00, 3),
	SET_FEATURE_ENDPOINT = SETUP_CODE(0x02, 3),
	SET_FEATURE_PORT = SETUP_CODE(0x23, 3),
	SET_ADDRESS = SETUP_CODE(0x00, 5),
	GET_DESCRIPTOR = SETUP_CODE(0x80, 6),
	GET_CONFIGURATION = SETUP_CODE(0x80, 8),
	SET_CONFIGURATION = SETUP_CODE(0x00, 9),
	GET_INTERFACE = SETUP_CODE(0x81, 10),
	SET_INTERFACE = SETUP_CODE(0x01, 11),
	SET_SEL = SETUP_CODE(0x00, 48),
	SET_ISOCH_DELAY = SETUP_CODE(0x00, 49),
};

enum {
	FEATURE_ENDPOINT_HALT = 0,
	FEATURE_PORT_RESET = 4,
	FEATURE_U1 = 48,
	FEATURE_LTM = 50,
};

static const struct desc_configuration *
current(const struct device *d)
{
	return desc_configuration(d->profile.device, d->configuration);
}

static bool
has_interface(const struct device *d, unsigned number)
{
	return current(d) != NULL && desc_setting(current(d), number, 0) != NULL;
}

/* The endpoint of a request's wIndex, or NULL; endpoint 0 always is there. */
static struct endpoint *
endpoint_of(struct device *d, uint16_t index)
{
	struct endpoint *e = &d->ep[device_endpoint_index(index & 0xff)];

	return (index & 15) == 0 || e->transfer != 0 ? e : NULL;
}

int
device_answer(uint8_t *data, size_t len, const void *bytes, size_t n)
{
	const size_t cut = n < len ? n : len;

	memcpy(data, bytes, cut);
	return (int)cut;
}

static int
get_status(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	uint8_t status[2] = { 0, 0 };

	if (setup_code(s) == GET_STATUS_DEVICE)
		status[0] = 1; /* self-powered */
	else if (setup_code(s) == GET_STATUS_INTERFACE) {
		if (!has_interface(d, s->index))
			return DEVICE_STALL;
	} else {
		const struct endpoint *e = endpoint_of(d, s->index);

		if (e == NULL)
			return DEVICE_STALL;
		status[0] = e->halted;
	}
	return device_answer(data, len, status, sizeof status);
}

static int
get_descriptor(const struct device *d, const struct setup *s, uint8_t *data,
    size_t len)
{
	uint8_t whole[DESC_LEN_MAX];
	const size_t n = desc_get(&d->profile, s->value, s->index, whole);

	return n > 0 ? device_answer(data, len, whole, n) : DEVICE_STALL;
}

static int
set_halt(struct device *d, const struct setup *s)
{
	struct endpoint *e = endpoint_of(d, s->index);

	if (s->value != FEATURE_ENDPOINT_HALT || e == NULL)
		return DEVICE_STALL;
	if ((s->index & 15) == 0)
		return 0; /* the next request clears it */
	device_halt(d, e->address);
	return 0;
}

static int
clear_halt(struct device *d, const struct setup *s)
{
	struct endpoint *e = endpoint_of(d, s->index);

	if (s->value != FEATURE_ENDPOINT_HALT || e == NULL)
		return DEVICE_STALL;
	if ((s->index & 15) == 0)
		return 0;
	device_clear_halt(d, e->address);
	return 0;
}

/* Power management of super speed, which a virtual device has no use for. */
static int
device_feature(const struct device *d, const struct setup *s)
{
	return d->profile.speed == DESC_SUPER && s->value >= FEATURE_U1 &&
		s->value <= FEATURE_LTM
	    ? 0
	    : DEVICE_STALL;
}

static int
port_reset(struct device *d, const struct setup *s)
{
	if (s->value != FEATURE_PORT_RESET)
		return DEVICE_STALL;
	log_info("%s %u: reset by its host", d->kind->name, d->id.index);
	d->resets++;
	device_configure(d, 0);
	if (d->kind->bus_reset != NULL)
		d->kind->bus_reset(d);
	return 0;
}

static int
set_configuration(struct device *d, const struct setup *s)
{
	if (s->value > 255 ||
	    (s->value != 0 &&
		desc_configuration(d->profile.device, s->value) == NULL))
		return DEVICE_STALL;
	log_info("%s %u: configuration %u", d->kind->name, d->id.index,
	    s->value);
	device_configure(d, (uint8_t)s->value);
	return 0;
}

static int
set_interface(struct device *d, const struct setup *s)
{
	const struct desc_interface *setting = current(d) != NULL
	    ? desc_setting(current(d), s->index, s->value)
	    : NULL;

	if (setting == NULL)
		return DEVICE_STALL;
	device_select(d, setting);
	return 0;
}

static int
get_interface(const struct device *d, const struct setup *s, uint8_t *data,
    size_t len)
{
	if (!has_interface(d, s->index))
		return DEVICE_STALL;
	return device_answer(data, len, &d->alternate[s->index], 1);
}

static int
own_request(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	const bool to_interface = (s->type & 0x1f) == 1;

	if (d->kind->control == NULL ||
	    (to_interface && !has_interface(d, s->index & 0xff)))
		return DEVICE_STALL;
	return d->kind->control(d, s, data, len);
}

static int
carry_out(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	switch (setup_code(s)) {
	case GET_STATUS_DEVICE:
	case GET_STATUS_INTERFACE:
	case GET_STATUS_ENDPOINT:
		return get_status(d, s, data, len);
	case CLEAR_FEATURE_DEVICE:
	case SET_FEATURE_DEVICE:
		return device_feature(d, s);
	case CLEAR_FEATURE_ENDPOINT:
		return clear_halt(d, s);
	case SET_FEATURE_ENDPOINT:
		return set_halt(d, s);
	case SET_FEATURE_PORT:
		return port_reset(d, s);
	case GET_DESCRIPTOR:
		return get_descriptor(d, s, data, len);
	case GET_CONFIGURATION:
		return device_answer(data, len, &d->configuration, 1);
	case SET_CONFIGURATION:
		return set_configuration(d, s);
	case GET_INTERFACE:
		return get_interface(d, s, data, len);
	case SET_INTERFACE:
		return set_interface(d, s);
	case SET_ADDRESS:
		return 0;
	case SET_SEL:
	case SET_ISOCH_DELAY:
		return d->profile.speed == DESC_SUPER ? 0 : DEVICE_STALL;
	default:
		return own_request(d, s, data, len);
	}
}

/* What a request changes may let something go on. */
void
device_control(struct device *d, struct usbip_urb *urb)
{
	struct reader r = reader_over(urb->setup, sizeof urb->setup);
	struct setup s;
	size_t len;
	int result;

	s.type = read_u8(&r);
	s.request = read_u8(&r);
	s.value = read_le16(&r);
	s.index = read_le16(&r);
	s.length = read_le16(&r);
	len = s.length < urb->length ? s.length : urb->length;
	result = carry_out(d, &s, urb->buffer, len);
	if (result < 0)
		usbip_urb_complete(urb, USBIP_EPIPE, 0);
	else
		usbip_urb_complete(urb, USBIP_OK,
		    (s.type & 0x80) != 0 ? (uint32_t)result : urb->length);
	device_pump(d);
}
