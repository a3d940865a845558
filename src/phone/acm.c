/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A modem on a serial port, whose far end echoes: CDC ACM.
 *
 * Bytes written come back.  DTR makes the far end raise its carrier (DCD) and
 * be ready (DSR), and a break that is sent comes back as one, each told in a
 * notification SERIAL_STATE.
 *
 * Sources: USB CDC 1.2, and its PSTN subclass 1.2 (6.3 requests, 6.5
 * notifications).
 */
#include <string.h>

#include "base/cursor.h"
#include "base/json.h"
#include "phone/echo.h"
#include "phone/kinds.h"

#define ACM_IN 0x81
#define ACM_OUT 0x01
#define ACM_NOTIFY 0x82

#define LINE_CODING_SIZE 7
#define STATE_SIZE 10 /* of the notification */

enum { /* SERIAL_STATE */
	STATE_DCD = 1,
	STATE_DSR = 2,
	STATE_BREAK = 4,
};
enum { /* SET_CONTROL_LINE_STATE */
	LINE_DTR = 1,
	LINE_RTS = 2,
};

struct acm {
	struct device usb;
	struct echo echo;
	uint8_t coding[LINE_CODING_SIZE];
	uint16_t lines; /* as the host has set them */
	uint16_t state; /* as it is told */
	bool news;      /* and has not been told yet */
	uint64_t codings, line_states, breaks, notifications;
	uint64_t bad_requests;
};

/* ---- Descriptors -------------------------------------------------------- */

enum {
	S_CONTROL = DESC_S_OWN,
	S_DATA,
	S_COUNT,
};
static const char *const texts[S_COUNT] = {
	[DESC_S_MANUFACTURER] = "muxphone",
	[DESC_S_PRODUCT] = "Serial echo",
	[S_CONTROL] = "CDC abstract control model",
	[S_DATA] = "CDC ACM data",
};

/* Header of release 1.2; call management: none, interface 1; ACM: line coding,
 * line state and breaks; union of the interfaces 0 and 1. */
static const uint8_t functional[] = {
	5, 0x24, 0, 0x20, 0x01,
	5, 0x24, 1, 0x00, 1,
	4, 0x24, 2, 0x06,
	5, 0x24, 6, 0, 1,
};
static const struct desc_endpoint control_endpoints[] = {
	{ ACM_NOTIFY, DESC_INTERRUPT, 16, 9 },
};
static const struct desc_endpoint data_endpoints[] = {
	{ ACM_IN, DESC_BULK, 0, 0 },
	{ ACM_OUT, DESC_BULK, 0, 0 },
};
static const struct desc_interface control_interface = {
	.number = 0, .class = 2, .subclass = 2, .protocol = 1,
	.name = S_CONTROL,
	.endpoint_count = 1, .endpoints = control_endpoints,
	.extra_len = sizeof functional, .extra = functional,
};
static const struct desc_interface data_interface = {
	.number = 1, .class = 10, .name = S_DATA,
	.endpoint_count = 2, .endpoints = data_endpoints,
};
static const struct desc_interface *const settings[] = {
	&control_interface, &data_interface,
};
static const struct desc_configuration configuration = {
	.interface_count = 2, .setting_count = 2, .settings = settings,
};
static const struct desc_device description = {
	.vendor = 0x0525, .product = 0xa4a7, .release = 0x0100,
	.class = 2, .milliamps = 2,
	.texts = texts, .text_count = S_COUNT,
	.configuration_count = 1, .configurations = &configuration,
};

/* ---- Life --------------------------------------------------------------- */

static struct acm *
self(struct device *d)
{
	return (struct acm *)d;
}

static const struct acm *
self_const(const struct device *d)
{
	return (const struct acm *)d;
}

static int
acm_init(struct device *d, struct cause *why)
{
	(void)why;
	d->profile.device = &description;
	return 0;
}

static void
acm_fini(struct device *d)
{
	echo_fini(&self(d)->echo);
}

/* 9600 bits a second, one stop bit, no parity, 8 data bits. */
static void
acm_reset(struct device *d)
{
	static const uint8_t usual[LINE_CODING_SIZE] = {
		0x80, 0x25, 0, 0, 0, 0, 8,
	};
	struct acm *a = self(d);

	echo_reset(&a->echo);
	memcpy(a->coding, usual, sizeof usual);
	a->lines = a->state = 0;
	a->news = false;
}

/* ---- Control ------------------------------------------------------------ */

enum {
	SET_LINE_CODING = SETUP_CODE(0x21, 0x20),
	GET_LINE_CODING = SETUP_CODE(0xa1, 0x21),
	SET_CONTROL_LINE_STATE = SETUP_CODE(0x21, 0x22),
	SEND_BREAK = SETUP_CODE(0x21, 0x23),
};

/* Stop bits 0 .. 2, parity 0 .. 4, data bits 5 .. 8 or 16. */
static int
set_line_coding(struct acm *a, const uint8_t *data, size_t len)
{
	if (len != LINE_CODING_SIZE || data[4] > 2 || data[5] > 4 ||
	    ((data[6] < 5 || data[6] > 8) && data[6] != 16))
		return DEVICE_STALL;
	memcpy(a->coding, data, LINE_CODING_SIZE);
	a->codings++;
	return 0;
}

static void
set_state(struct acm *a, uint16_t state)
{
	a->news |= state != a->state;
	a->state = state;
}

static int
set_line_state(struct acm *a, uint16_t lines)
{
	const uint16_t there = STATE_DCD | STATE_DSR;

	if ((lines & ~(LINE_DTR | LINE_RTS)) != 0)
		return DEVICE_STALL;
	a->line_states++;
	a->lines = lines;
	set_state(a, (uint16_t)((a->state & ~there) |
			 ((lines & LINE_DTR) != 0 ? there : 0)));
	return 0;
}

/* Its length (0xffff: until one of length 0) does not matter to the far end. */
static int
send_break(struct acm *a, uint16_t length)
{
	a->breaks++;
	if (length != 0)
		set_state(a, a->state | STATE_BREAK);
	return 0;
}

static int
carry_out(struct acm *a, const struct setup *s, uint8_t *data, size_t len)
{
	if (s->index != 0)
		return DEVICE_STALL;
	switch (setup_code(s)) {
	case SET_LINE_CODING:
		return set_line_coding(a, data, len);
	case GET_LINE_CODING:
		return device_answer(data, len, a->coding, sizeof a->coding);
	case SET_CONTROL_LINE_STATE:
		return set_line_state(a, s->value);
	case SEND_BREAK:
		return send_break(a, s->value);
	default:
		return DEVICE_STALL;
	}
}

static int
acm_control(struct device *d, const struct setup *s, uint8_t *data, size_t len)
{
	const int result = carry_out(self(d), s, data, len);

	if (result < 0)
		self(d)->bad_requests++;
	return result;
}

/* ---- Endpoints ---------------------------------------------------------- */

/* A break is told once; lines are told until they change. */
static bool
notify(struct acm *a, struct usbip_urb *urb, struct outcome *out)
{
	uint8_t bytes[STATE_SIZE];
	struct writer w = writer_over(bytes, sizeof bytes);

	if (!a->news)
		return false;
	write_u8(&w, 0xa1);
	write_u8(&w, 0x20); /* SERIAL_STATE */
	write_le16(&w, 0);
	write_le16(&w, 0); /* of interface 0 */
	write_le16(&w, 2);
	write_le16(&w, a->state);
	out->actual = (uint32_t)device_answer(urb->buffer, urb->length, bytes,
	    sizeof bytes);
	if (urb->length < sizeof bytes)
		out->status = USBIP_EOVERFLOW;
	a->state &= (uint16_t)~STATE_BREAK;
	a->news = false;
	a->notifications++;
	return true;
}

static bool
acm_serve(struct device *d, struct endpoint *e, struct usbip_urb *urb,
    struct outcome *out)
{
	if (e->address == ACM_NOTIFY)
		return notify(self(d), urb, out);
	return echo_serve(&self(d)->echo, e, urb, out);
}

/* ---- Reports ------------------------------------------------------------ */

static void
acm_describe(const struct device *d, struct json *j)
{
	const struct acm *a = self_const(d);
	struct reader r = reader_over(a->coding, sizeof a->coding);

	json_uint(j, "bits_per_second", read_le32(&r));
	json_bool(j, "dtr", (a->lines & LINE_DTR) != 0);
	json_bool(j, "rts", (a->lines & LINE_RTS) != 0);
}

static void
acm_report(const struct device *d, struct json *j, bool more)
{
	const struct acm *a = self_const(d);

	(void)more;
	echo_report(&a->echo, j);
	json_uint(j, "codings", a->codings);
	json_uint(j, "line_states", a->line_states);
	json_uint(j, "breaks", a->breaks);
	json_uint(j, "notifications", a->notifications);
	json_uint(j, "bad_requests", a->bad_requests);
}

const struct kind kind_acm = {
	.name = "cdc-acm",
	.size = sizeof(struct acm),
	.main_in = ACM_IN,
	.main_out = ACM_OUT,
	.init = acm_init,
	.fini = acm_fini,
	.reset = acm_reset,
	.control = acm_control,
	.serve = acm_serve,
	.describe = acm_describe,
	.report = acm_report,
};
