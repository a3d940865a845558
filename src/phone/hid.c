/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A human interface device, in one of three roles.
 *
 *	vendor		sends a report every `interval` milliseconds: a counter
 *			of four bytes, little-endian, and the first four bytes
 *			of the last output report
 *	boot-keyboard	nobody types on it; when asked to by SET_IDLE it repeats
 *			that no key is down
 *	fido		sends each output report back as an input report
 *
 * The last two are there for programs that treat such devices differently.
 * They are harmless when a system takes them for real ones.
 *
 * Source: USB HID 1.11 (7.2 requests, appendix B boot keyboard); FIDO CTAP 2.1
 * (11.2.8.1 report descriptor).
 */
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "phone/kinds.h"

#define HID_IN 0x81
#define HID_OUT 0x01

#define HID_REPORT_MAX 64
#define HID_INTERVAL_MS 10
#define HID_INTERVAL_MAX_MS 10000
#define HID_IDLE_UNIT_MS 4

enum hid_type { /* of a report, in requests */
	HID_INPUT = 1,
	HID_OUTPUT = 2,
	HID_FEATURE = 3,
};

struct hid;

struct role {
	const char *name;
	uint8_t subclass, protocol;
	const uint8_t *descriptor; /* of its reports */
	uint8_t descriptor_len;
	uint8_t size[4]; /* of the reports, by enum hid_type */
	/* Whether there is an input report now; if not, when there may be. */
	bool (*due)(const struct hid *h, struct moment *when);
};

struct hid {
	struct device usb;
	const struct role *role;
	unsigned interval_ms;
	uint8_t idle; /* SET_IDLE: in HID_IDLE_UNIT_MS; 0: for ever */
	uint8_t protocol; /* SET_PROTOCOL: 0 boot, 1 report */
	uint32_t counter; /* of the next input report */
	struct moment next; /* when it may leave */
	uint8_t output[HID_REPORT_MAX], feature[HID_REPORT_MAX];
	bool echo_due; /* fido */

	/* Descriptors; intervals depend on the options. */
	uint8_t extra[9];
	struct desc_endpoint endpoints[2];
	struct desc_interface interface;
	const struct desc_interface *settings[1];
	struct desc_configuration configuration;
	struct desc_device description;

	uint64_t reports_in, reports_out;          /* over the endpoints */
	uint64_t control_reports_in, control_reports_out;
	uint64_t bad_reports, bad_requests;
};

/* ---- Roles -------------------------------------------------------------- */

/* Usage page ff00; eight bytes of input, output and feature each. */
static const uint8_t vendor_descriptor[] = {
	0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00,
	0x75, 0x08, 0x95, 0x08, 0x09, 0x02, 0x81, 0x02, 0x09, 0x03, 0x91, 0x02,
	0x09, 0x04, 0xb1, 0x02, 0xc0,
};
static const uint8_t keyboard_descriptor[] = {
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7,
	0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01,
	0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01,
	0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06,
	0x75, 0x08, 0x15, 0x00, 0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65,
	0x81, 0x00, 0xc0,
};
/* Usage page f1d0; 64 bytes of input and output each. */
static const uint8_t fido_descriptor[] = {
	0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26,
	0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00,
	0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0,
};

static bool
vendor_due(const struct hid *h, struct moment *when)
{
	*when = h->next;
	return !moment_before(clock_now(), h->next);
}

static bool
keyboard_due(const struct hid *h, struct moment *when)
{
	*when = h->idle != 0 ? h->next : MOMENT_NEVER;
	return h->idle != 0 && !moment_before(clock_now(), h->next);
}

static bool
fido_due(const struct hid *h, struct moment *when)
{
	*when = MOMENT_NEVER;
	return h->echo_due;
}

static const struct role vendor_role = {
	.name = "vendor",
	.descriptor = vendor_descriptor,
	.descriptor_len = sizeof vendor_descriptor,
	.size = { [HID_INPUT] = 8, [HID_OUTPUT] = 8, [HID_FEATURE] = 8 },
	.due = vendor_due,
};
static const struct role keyboard_role = {
	.name = "boot-keyboard", .subclass = 1, .protocol = 1,
	.descriptor = keyboard_descriptor,
	.descriptor_len = sizeof keyboard_descriptor,
	.size = { [HID_INPUT] = 8, [HID_OUTPUT] = 1 },
	.due = keyboard_due,
};
static const struct role fido_role = {
	.name = "fido",
	.descriptor = fido_descriptor, .descriptor_len = sizeof fido_descriptor,
	.size = { [HID_INPUT] = 64, [HID_OUTPUT] = 64 },
	.due = fido_due,
};

/* ---- Life --------------------------------------------------------------- */

static struct hid *
self(struct device *d)
{
	return (struct hid *)d;
}

static const struct hid *
self_const(const struct device *d)
{
	return (const struct hid *)d;
}

static void
hid_defaults(struct device *d)
{
	self(d)->role = &vendor_role;
	self(d)->interval_ms = HID_INTERVAL_MS;
}

static int
hid_option(struct device *d, const char *name, const char *value,
    struct cause *why)
{
	struct hid *h = self(d);
	bool chosen;

	if (strcmp(name, "interval") == 0)
		return kinds_number(&h->interval_ms, name, value, 1,
		    HID_INTERVAL_MAX_MS, why);
	if (strcmp(name, keyboard_role.name) == 0)
		h->role = &keyboard_role;
	else if (strcmp(name, fido_role.name) == 0)
		h->role = &fido_role;
	else
		return cause_set(why, "there is no option '%s'", name);
	return kinds_flag(&chosen, name, value, why);
}

/* bInterval: milliseconds at full speed; above, 125 us times a power of 2, of
 * which this is the largest that is not too long. */
static uint8_t
interval_of(unsigned ms, enum desc_speed speed)
{
	uint8_t n = 1;

	if (speed == DESC_FULL)
		return ms < 255 ? (uint8_t)ms : 255;
	while (n < 16 && 1u << n <= ms * 8)
		n++;
	return n;
}

static void
describe_endpoints(struct hid *h)
{
	const uint8_t interval =
	    interval_of(h->interval_ms, h->usb.profile.speed);

	h->endpoints[0] = (struct desc_endpoint){
		HID_IN, DESC_INTERRUPT, h->role->size[HID_INPUT], interval,
	};
	h->endpoints[1] = (struct desc_endpoint){
		HID_OUT, DESC_INTERRUPT, h->role->size[HID_OUTPUT], interval,
	};
	h->interface = (struct desc_interface){
		.class = 3, .subclass = h->role->subclass,
		.protocol = h->role->protocol,
		.endpoint_count = 2, .endpoints = h->endpoints,
		.extra_len = sizeof h->extra, .extra = h->extra,
	};
}

static int
hid_init(struct device *d, struct cause *why)
{
	static const char *const texts[] = {
		[DESC_S_MANUFACTURER] = "muxphone",
		[DESC_S_PRODUCT] = "Human interface device",
		[DESC_S_SERIAL] = NULL,
	};
	struct hid *h = self(d);
	const uint8_t extra[sizeof h->extra] = {
		9, 0x21, 0x11, 0x01, 0, 1, 0x22, h->role->descriptor_len, 0,
	};

	(void)why;
	memcpy(h->extra, extra, sizeof extra);
	describe_endpoints(h);
	h->settings[0] = &h->interface;
	h->configuration = (struct desc_configuration){
		.interface_count = 1, .setting_count = 1,
		.settings = h->settings,
	};
	h->description = (struct desc_device){
		.vendor = 0x0525, .product = 0xa4ac, .release = 0x0100,
		.milliamps = 100,
		.texts = texts, .text_count = DESC_S_OWN,
		.configuration_count = 1, .configurations = &h->configuration,
	};
	d->profile.device = &h->description;
	return 0;
}

static void
hid_reset(struct device *d)
{
	struct hid *h = self(d);

	h->idle = 0;
	h->protocol = 1;
	h->counter = 0;
	h->echo_due = false;
	h->next = (struct moment){ 0 };
	memset(h->output, 0, sizeof h->output);
}

/* ---- Reports of the device ---------------------------------------------- */

/* The input report as it is now: `size` bytes. */
static void
make_input(const struct hid *h, uint8_t *out)
{
	struct writer w = writer_over(out, HID_REPORT_MAX);

	if (h->role == &vendor_role) {
		write_le32(&w, h->counter);
		write_bytes(&w, h->output, 4);
	} else if (h->role == &fido_role)
		write_bytes(&w, h->output, h->role->size[HID_INPUT]);
	else
		write_zeros(&w, h->role->size[HID_INPUT]);
}

static void
take_output(struct hid *h, const uint8_t *bytes, size_t len)
{
	const size_t size = h->role->size[HID_OUTPUT];

	h->bad_reports += len != size;
	memset(h->output, 0, sizeof h->output);
	memcpy(h->output, bytes, len < size ? len : size);
	h->echo_due = true;
}

/* From now on, not from when it was due: time in which nobody listened is not
 * made up for. */
static void
input_sent(struct hid *h)
{
	const unsigned ms = h->role == &keyboard_role
	    ? h->idle * HID_IDLE_UNIT_MS
	    : h->interval_ms;
	const struct moment now = clock_now();

	h->next = moment_after_ms(h->next, ms);
	if (moment_before(h->next, now))
		h->next = moment_after_ms(now, ms);
	h->counter++;
	h->echo_due = false;
}

/* ---- Control ------------------------------------------------------------ */

enum {
	GET_INTERFACE_DESCRIPTOR = SETUP_CODE(0x81, 6),
	GET_REPORT = SETUP_CODE(0xa1, 1),
	GET_IDLE = SETUP_CODE(0xa1, 2),
	GET_PROTOCOL = SETUP_CODE(0xa1, 3),
	SET_REPORT = SETUP_CODE(0x21, 9),
	SET_IDLE = SETUP_CODE(0x21, 10),
	SET_PROTOCOL = SETUP_CODE(0x21, 11),
};

enum { /* wValue of GET_DESCRIPTOR */
	DESCRIPTOR_HID = 0x2100,
	DESCRIPTOR_REPORT = 0x2200,
};

static int
get_descriptor(const struct hid *h, uint16_t which, uint8_t *data, size_t len)
{
	if (which == DESCRIPTOR_HID)
		return device_answer(data, len, h->extra, sizeof h->extra);
	if (which == DESCRIPTOR_REPORT)
		return device_answer(data, len, h->role->descriptor,
		    h->role->descriptor_len);
	return DEVICE_STALL;
}

/* There are no report IDs.  0: no such report. */
static size_t
report_size(const struct hid *h, uint16_t value)
{
	const unsigned type = value >> 8;

	return (value & 0xff) == 0 && type >= HID_INPUT && type <= HID_FEATURE
	    ? h->role->size[type]
	    : 0;
}

static int
get_report(struct hid *h, uint16_t value, uint8_t *data, size_t len)
{
	const size_t size = report_size(h, value);
	uint8_t input[HID_REPORT_MAX];

	if (size == 0)
		return DEVICE_STALL;
	h->control_reports_out++;
	if (value >> 8 == HID_OUTPUT)
		return device_answer(data, len, h->output, size);
	if (value >> 8 == HID_FEATURE)
		return device_answer(data, len, h->feature, size);
	make_input(h, input);
	return device_answer(data, len, input, size);
}

static int
set_report(struct hid *h, uint16_t value, const uint8_t *data, size_t len)
{
	const size_t size = report_size(h, value);

	if (size == 0 || value >> 8 == HID_INPUT || len != size)
		return DEVICE_STALL;
	h->control_reports_in++;
	if (value >> 8 == HID_OUTPUT)
		take_output(h, data, len);
	else
		memcpy(h->feature, data, len);
	return 0;
}

static int
set_idle(struct hid *h, uint16_t value)
{
	if ((value & 0xff) != 0)
		return DEVICE_STALL;
	h->idle = (uint8_t)(value >> 8);
	if (h->role == &keyboard_role)
		h->next = moment_after_ms(clock_now(),
		    h->idle * HID_IDLE_UNIT_MS);
	return 0;
}

static int
set_protocol(struct hid *h, uint16_t value)
{
	if (h->role->subclass != 1 || value > 1)
		return DEVICE_STALL;
	h->protocol = (uint8_t)value;
	return 0;
}

static int
carry_out(struct hid *h, const struct setup *s, uint8_t *data, size_t len)
{
	if (s->index != 0)
		return DEVICE_STALL;
	switch (setup_code(s)) {
	case GET_INTERFACE_DESCRIPTOR:
		return get_descriptor(h, s->value, data, len);
	case GET_REPORT:
		return get_report(h, s->value, data, len);
	case GET_IDLE:
		return device_answer(data, len, &h->idle, 1);
	case GET_PROTOCOL:
		return h->role->subclass == 1
		    ? device_answer(data, len, &h->protocol, 1)
		    : DEVICE_STALL;
	case SET_REPORT:
		return set_report(h, s->value, data, len);
	case SET_IDLE:
		return set_idle(h, s->value);
	case SET_PROTOCOL:
		return set_protocol(h, s->value);
	default:
		return DEVICE_STALL;
	}
}

static int
hid_control(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	const int result = carry_out(self(d), s, data, len);

	self(d)->bad_requests += result < 0;
	return result;
}

/* ---- Endpoints ---------------------------------------------------------- */

static bool
serve_in(struct hid *h, struct usbip_urb *urb, struct outcome *out)
{
	uint8_t input[HID_REPORT_MAX];
	struct moment when;
	const size_t size = h->role->size[HID_INPUT];

	if (!h->role->due(h, &when)) {
		device_wait(&h->usb, when);
		return false;
	}
	make_input(h, input);
	out->actual = (uint32_t)device_answer(urb->buffer, urb->length, input,
	    size);
	if (urb->length < size)
		out->status = USBIP_EOVERFLOW;
	input_sent(h);
	h->reports_out++;
	return true;
}

static bool
hid_serve(struct device *d, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	struct hid *h = self(d);

	if (endpoint_is_in(e))
		return serve_in(h, urb, out);
	take_output(h, urb->buffer, urb->length);
	h->reports_in++;
	out->actual = urb->length;
	return true;
}

/* ---- Reports of ours ---------------------------------------------------- */

static void
hid_describe(const struct device *d, struct json *j)
{
	const struct hid *h = self_const(d);

	json_string(j, "role", h->role->name);
	json_uint(j, "interval", h->interval_ms);
	json_uint(j, "idle", h->idle);
}

static void
hid_report(const struct device *d, struct json *j, bool more)
{
	const struct hid *h = self_const(d);

	(void)more;
	json_uint(j, "reports_in", h->reports_in);
	json_uint(j, "reports_out", h->reports_out);
	json_uint(j, "control_reports_in", h->control_reports_in);
	json_uint(j, "control_reports_out", h->control_reports_out);
	json_uint(j, "bad_reports", h->bad_reports);
	json_uint(j, "bad_requests", h->bad_requests);
}

const struct kind kind_hid = {
	.name = "hid",
	.size = sizeof(struct hid),
	.main_in = HID_IN,
	.main_out = HID_OUT,
	.defaults = hid_defaults,
	.option = hid_option,
	.init = hid_init,
	.reset = hid_reset,
	.control = hid_control,
	.serve = hid_serve,
	.describe = hid_describe,
	.report = hid_report,
};
