/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests on endpoint 0: USB's standard ones (USB 2.0, 9.4), the port reset
 * that USB/IP sends as a request, and the vendor's device modes.
 */
#include <string.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/device.h"

struct setup {
	uint8_t type, request;
	uint16_t value, index, length;
};

/* bmRequestType and bRequest as one number, for the table of requests. */
#define REQUEST(type, request) ((type) << 8 | (request))

enum {
	GET_STATUS_DEVICE = REQUEST(0x80, 0),
	GET_STATUS_INTERFACE = REQUEST(0x81, 0),
	GET_STATUS_ENDPOINT = REQUEST(0x82, 0),
	CLEAR_FEATURE_DEVICE = REQUEST(0x00, 1),
	CLEAR_FEATURE_ENDPOINT = REQUEST(0x02, 1),
	SET_FEATURE_DEVICE = REQUEST(0x00, 3),
	SET_FEATURE_ENDPOINT = REQUEST(0x02, 3),
	SET_FEATURE_PORT = REQUEST(0x23, 3),
	SET_ADDRESS = REQUEST(0x00, 5),
	GET_DESCRIPTOR = REQUEST(0x80, 6),
	GET_CONFIGURATION = REQUEST(0x80, 8),
	SET_CONFIGURATION = REQUEST(0x00, 9),
	GET_INTERFACE = REQUEST(0x81, 10),
	SET_INTERFACE = REQUEST(0x01, 11),
	SET_SEL = REQUEST(0x00, 48),
	SET_ISOCH_DELAY = REQUEST(0x00, 49),
	GET_MODE = REQUEST(0xc0, 0x45),
	SET_MODE = REQUEST(0xc0, 0x52),
};

enum {
	FEATURE_ENDPOINT_HALT = 0,
	FEATURE_PORT_RESET = 4,
	FEATURE_U1 = 48,
	FEATURE_LTM = 50,
};

#define STALL (-1)

static const struct desc_configuration *
current(const struct device *d)
{
	return desc_configuration(d->profile.mode, d->configuration);
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

	return (index & 15) == 0 || e->kind != 0 ? e : NULL;
}

static int
answer(uint8_t *out, const void *bytes, size_t len)
{
	memcpy(out, bytes, len);
	return (int)len;
}

static int
get_status(struct device *d, unsigned which, uint16_t index, uint8_t *out)
{
	uint8_t status[2] = { 0, 0 };

	if (which == GET_STATUS_DEVICE)
		status[0] = 1; /* self-powered */
	else if (which == GET_STATUS_INTERFACE) {
		if (!has_interface(d, index))
			return STALL;
	} else {
		const struct endpoint *e = endpoint_of(d, index);

		if (e == NULL)
			return STALL;
		status[0] = e->halted;
	}
	return answer(out, status, sizeof status);
}

static int
set_halt(struct device *d, const struct setup *s)
{
	struct endpoint *e = endpoint_of(d, s->index);

	if (s->value != FEATURE_ENDPOINT_HALT || e == NULL)
		return STALL;
	if ((s->index & 15) == 0)
		return 0; /* the next request clears it */
	e->halted = true;
	device_flush(d, device_endpoint_index(s->index & 0xff), USBIP_EPIPE);
	return 0;
}

/*
 * What the host has half sent is lost with the halt.  What the phone has half
 * sent goes on after a halt; a clearing without one comes from a host that
 * begins and has no use for the end of what another one was told.
 */
static int
clear_halt(struct device *d, const struct setup *s)
{
	struct endpoint *e = endpoint_of(d, s->index);

	if (s->value != FEATURE_ENDPOINT_HALT || e == NULL)
		return STALL;
	if (e->mux && (s->index & 0x80) == 0)
		frame_reset_out(&d->frame);
	else if (e->mux && !e->halted)
		frame_reset_in(&d->frame);
	e->halted = false;
	return 0;
}

/* Power management of super speed, which a virtual device has no use for. */
static int
device_feature(const struct device *d, const struct setup *s)
{
	return d->profile.speed == DESC_SUPER && s->value >= FEATURE_U1 &&
		s->value <= FEATURE_LTM
	    ? 0
	    : STALL;
}

static int
port_reset(struct device *d, const struct setup *s)
{
	if (s->value != FEATURE_PORT_RESET)
		return STALL;
	log_info("phone %u: reset by its host", d->id->index);
	d->resets++;
	device_configure(d, 0);
	if (d->profile.mode != DESC_MODE_INITIAL)
		d->next_mode = DESC_MODE_INITIAL;
	return 0;
}

static int
set_configuration(struct device *d, const struct setup *s)
{
	if (s->value > 255 ||
	    (s->value != 0 &&
		desc_configuration(d->profile.mode, s->value) == NULL))
		return STALL;
	log_info("phone %u: configuration %u", d->id->index, s->value);
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
		return STALL;
	device_select(d, setting);
	return 0;
}

static int
get_interface(struct device *d, const struct setup *s, uint8_t *out)
{
	if (!has_interface(d, s->index))
		return STALL;
	return answer(out, &d->alternate[s->index], 1);
}

static int
get_mode(const struct device *d, const struct setup *s, uint8_t *out)
{
	const uint8_t mode[4] = {
		d->profile.mode == DESC_MODE_INITIAL ? 3 : 5, 3, 3, 0,
	};

	if (s->value != 0 || s->index != 0)
		return STALL;
	return answer(out, mode, sizeof mode);
}

static int
set_mode(struct device *d, const struct setup *s, uint8_t *out)
{
	static const uint8_t done = 0;

	if (s->value != 0 || s->index < 1 || s->index > DESC_MODES)
		return STALL;
	log_info("phone %u: told to change to mode %u", d->id->index, s->index);
	d->next_mode = s->index;
	return answer(out, &done, 1);
}

/* Bytes put into `out`, which has room for DESC_LEN_MAX, or STALL. */
static int
carry_out(struct device *d, const struct setup *s, uint8_t *out)
{
	size_t len;

	switch (REQUEST(s->type, s->request)) {
	case GET_STATUS_DEVICE:
	case GET_STATUS_INTERFACE:
	case GET_STATUS_ENDPOINT:
		return get_status(d, REQUEST(s->type, s->request), s->index,
		    out);
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
		len = desc_get(&d->profile, s->value, s->index, out);
		return len > 0 ? (int)len : STALL;
	case GET_CONFIGURATION:
		return answer(out, &d->configuration, 1);
	case SET_CONFIGURATION:
		return set_configuration(d, s);
	case GET_INTERFACE:
		return get_interface(d, s, out);
	case SET_INTERFACE:
		return set_interface(d, s);
	case SET_ADDRESS:
		return 0;
	case SET_SEL:
	case SET_ISOCH_DELAY:
		return d->profile.speed == DESC_SUPER ? 0 : STALL;
	case GET_MODE:
		return get_mode(d, s, out);
	case SET_MODE:
		return set_mode(d, s, out);
	default:
		return STALL;
	}
}

void
device_control(struct device *d, struct usbip_urb *urb)
{
	struct reader r = reader_over(urb->setup, sizeof urb->setup);
	uint8_t out[DESC_LEN_MAX];
	struct setup s;
	size_t len;
	int result;

	s.type = read_u8(&r);
	s.request = read_u8(&r);
	s.value = read_le16(&r);
	s.index = read_le16(&r);
	s.length = read_le16(&r);
	result = carry_out(d, &s, out);
	if (result < 0) {
		usbip_urb_complete(urb, USBIP_EPIPE, 0);
		return;
	}
	if ((s.type & 0x80) == 0) {
		usbip_urb_complete(urb, USBIP_OK, urb->length);
		return;
	}
	len = (size_t)result;
	len = len < s.length ? len : s.length;
	len = len < urb->length ? len : urb->length;
	memcpy(urb->buffer, out, len);
	usbip_urb_complete(urb, USBIP_OK, (uint32_t)len);
}
