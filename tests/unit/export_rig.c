/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export_rig.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct export_rig x;
struct export_script script;

/* ---- Descriptors ---- */

#define ENDPOINT(address, attributes, size) \
	{ \
		.bLength = 7, .bDescriptorType = LIBUSB_DT_ENDPOINT, \
		.bEndpointAddress = (address), .bmAttributes = (attributes), \
		.wMaxPacketSize = (size), .bInterval = 4, \
	}

static const unsigned char class_specific[] = { 5, 0x24, 1, 2, 3 };
/* An association of interfaces with the name 6. */
static const unsigned char association[] = { 8, 0x0b, 0, 1, 0xff, 0, 0, 6 };

static const struct libusb_endpoint_descriptor bulk[] = {
	ENDPOINT(0x81, 2, 512), ENDPOINT(0x01, 2, 512) };
static const struct libusb_endpoint_descriptor bulk_iso[] = {
	ENDPOINT(0x81, 2, 512), ENDPOINT(0x01, 2, 512),
	ENDPOINT(0x82, 1, 1024), ENDPOINT(0x02, 1, 1024) };
static const struct libusb_endpoint_descriptor interrupt[] = {
	ENDPOINT(0x83, 3, 8), ENDPOINT(0x03, 3, 8) };
static const struct libusb_endpoint_descriptor other[] = {
	{ .bLength = 9, .bDescriptorType = LIBUSB_DT_ENDPOINT,
	    .bEndpointAddress = 0x84, .bmAttributes = 2,
	    .wMaxPacketSize = 512, .bRefresh = 1, .bSynchAddress = 2,
	    .extra = class_specific,
	    .extra_length = sizeof class_specific } };

#define SETTING(n, alternate, class, endpoints) \
	{ \
		.bLength = 9, .bDescriptorType = LIBUSB_DT_INTERFACE, \
		.bInterfaceNumber = (n), .bAlternateSetting = (alternate), \
		.bNumEndpoints = UNIT_COUNT(endpoints), \
		.bInterfaceClass = (class), .endpoint = (endpoints), \
	}

static const struct libusb_interface_descriptor settings_0[] = {
	SETTING(0, 0, 0xff, bulk), SETTING(0, 1, 0xff, bulk_iso) };
static const struct libusb_interface_descriptor settings_1[] = {
	SETTING(1, 0, 0xfe, interrupt) };
static const struct libusb_interface_descriptor settings_other[] = {
	SETTING(0, 0, 0x0a, other) };
static const struct libusb_interface interfaces[] = { { settings_0, 2 },
	{ settings_1, 1 } };
static const struct libusb_interface interfaces_other[] = {
	{ settings_other, 1 } };

static const struct libusb_config_descriptor configuration_1 = {
	.bLength = 9, .bDescriptorType = LIBUSB_DT_CONFIG, .bNumInterfaces = 2,
	.bConfigurationValue = 1, .iConfiguration = 4, .bmAttributes = 0x80,
	.MaxPower = 50, .interface = interfaces };
static const struct libusb_config_descriptor configuration_2 = {
	.bLength = 9, .bDescriptorType = LIBUSB_DT_CONFIG, .bNumInterfaces = 1,
	.bConfigurationValue = 2, .bmAttributes = 0xc0,
	.interface = interfaces_other, .extra = association,
	.extra_length = sizeof association };

const struct libusb_config_descriptor *const rig_configurations[2] = {
	&configuration_1, &configuration_2 };
const struct libusb_device_descriptor rig_descriptor = { .bLength = 18,
	.bDescriptorType = LIBUSB_DT_DEVICE, .bcdUSB = 0x0210,
	.bMaxPacketSize0 = 64, .idVendor = 0x0525, .idProduct = 0xa4a0,
	.bcdDevice = 0x0123, .iManufacturer = 1, .iProduct = 2,
	.iSerialNumber = 3, .bNumConfigurations = 2 };
const struct fake_spec rig_spec = { .bus = 1, .address = 7, .ports = { 2, 3 },
	.port_count = 2, .vendor = 0x0525, .product = 0xa4a0,
	.speed = LIBUSB_SPEED_SUPER };

/* ---- The device ---- */

/* GET_DESCRIPTOR of strings and of the BOS, as libusb's own requests. */
static int
answer_control(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	static const uint8_t languages[] = { 4, 3, 9, 4 };
	static const uint8_t serial[] = { 6, 3, 'S', 0, '1', 0 };
	static const uint8_t name[] = { 8, 3, 'A', 0, 0xe4, 0, 'B', 0 };
	static const uint8_t bos[] = { 5, 15, 5, 0, 0 };
	const uint8_t *bytes = name;
	size_t len = sizeof name;

	(void)d, (void)index;
	if (type != 0x80 || request != LIBUSB_REQUEST_GET_DESCRIPTOR)
		return LIBUSB_ERROR_PIPE;
	if (value == LIBUSB_DT_BOS << 8) {
		bytes = bos;
		len = sizeof bos;
	} else if (value == LIBUSB_DT_STRING << 8) {
		bytes = languages;
		len = sizeof languages;
	} else if (value == (LIBUSB_DT_STRING << 8 | 3)) {
		bytes = serial;
		len = sizeof serial;
	}
	memcpy(data, bytes, len < length ? len : length);
	return (int)(len < length ? len : length);
}

static void
move_iso(struct libusb_transfer *t)
{
	const uint8_t *at = t->buffer;

	for (int i = 0; i < t->num_iso_packets; i++) {
		struct libusb_iso_packet_descriptor *p = &t->iso_packet_desc[i];

		p->status = i == 1 ? LIBUSB_TRANSFER_OVERFLOW
				   : LIBUSB_TRANSFER_COMPLETED;
		p->actual_length = p->length / 2;
		if ((t->endpoint & 0x80) != 0)
			memset((uint8_t *)at, 'a' + i, p->actual_length);
		else
			for (unsigned k = 0; k < p->length; k++)
				RIG_EQ(at[k], 'a' + i);
		at += p->length;
	}
}

static void
move_data(struct libusb_transfer *t, uint8_t *data, int length)
{
	const bool in = t->type == LIBUSB_TRANSFER_TYPE_CONTROL
	    ? (t->buffer[0] & 0x80) != 0 : (t->endpoint & 0x80) != 0;

	if (in)
		length -= script.shorter < length ? script.shorter : length;
	t->actual_length = length;
	for (int i = 0; i < length; i++)
		if (in)
			data[i] = rig_pattern((uint32_t)length, (uint32_t)i);
		else
			RIG_EQ(data[i],
			    rig_pattern((uint32_t)length, (uint32_t)i));
}

static bool
on_transfer(struct fake_device *d, struct libusb_transfer *t)
{
	(void)d;
	script.type = t->type;
	script.flags = t->flags;
	script.submitted++;
	RIG_EQ(t->timeout, 0);
	if ((script.held & HELD(t->endpoint)) != 0)
		return false;
	t->status = (enum libusb_transfer_status)script.status;
	t->actual_length = 0;
	if (t->status != LIBUSB_TRANSFER_COMPLETED)
		return true;
	if (t->type == LIBUSB_TRANSFER_TYPE_CONTROL)
		move_data(t, t->buffer + 8, t->length - 8);
	else if (t->num_iso_packets > 0)
		move_iso(t);
	else
		move_data(t, t->buffer, t->length);
	return true;
}

/* ---- Fixtures ---- */

enum log_level export_log_level = LOG_LEVEL_FATAL;

void
export_set_up(void)
{
	struct cause why;

	log_set_level(export_log_level);
	fake_set_reset(0);
	x.device = fake_plug(&rig_spec);
	fake_describe(x.device, &rig_descriptor, rig_configurations);
	fake_on_control(x.device, answer_control);
	fake_on_transfer(x.device, on_transfer);
	rig_open(&x.rig);
	x.settled = waker_new();
	ck_assert_ptr_nonnull(x.settled);
	x.monitor = monitor_start(&x.policy, x.rig.server, x.settled, &why);
	ck_assert_msg(x.monitor != NULL, "%s", why.text);
	HOLDS(waker_wait(x.settled, UNIT_PATIENCE_MS), "settling");
	ck_assert(monitor_settled(x.monitor));
}

void
export_tear_down(void)
{
	struct fake_counts c;

	monitor_stop(x.monitor);
	rig_close(&x.rig);
	monitor_free(x.monitor);
	waker_put(x.settled);
	c = fake_counts();
	ck_assert_int_eq(c.in_flight, 0);
	ck_assert_int_eq(c.transfers, 0);
	ck_assert_int_eq(c.handles, 0);
	ck_assert_int_eq(c.contexts, 0);
	ck_assert_uint_eq(c.claims, 0);
	/* With another configuration the system gives drivers by itself. */
	if (c.set_configurations == 0)
		ck_assert_int_eq(c.attached, c.detached);
}

/* ---- Waiting ---- */

/* Looks until it is so; nothing else tells. */
static void
look_until(bool (*fn)(void *arg), void *arg, const char *what)
{
	const struct moment until =
	    moment_after_ms(clock_now(), UNIT_PATIENCE_MS);

	while (!fn(arg)) {
		HOLDS(moment_before(clock_now(), until), "waited in vain: %s",
		    what);
		poll(NULL, 0, 1);
	}
}

struct wanted_state {
	const char *busid;
	enum monitor_state state;
};

static bool
has_state(void *arg)
{
	const struct wanted_state *w = arg;
	struct monitor_row rows[8];
	const size_t n = monitor_list(x.monitor, rows, 8);

	for (size_t i = 0; i < n && i < 8; i++)
		if (strcmp(rows[i].ident.busid, w->busid) == 0 &&
		    rows[i].state == w->state)
			return true;
	return false;
}

void
export_await_state(const char *busid, enum monitor_state state)
{
	struct wanted_state w = { busid, state };

	look_until(has_state, &w, "a state of a device");
}

static bool
has_submitted(void *arg)
{
	return script.submitted >= *(int *)arg;
}

void
export_await_submitted(int wanted)
{
	look_until(has_submitted, &wanted, "a transfer");
}

struct wanted_counts {
	bool (*fn)(const struct fake_counts *c);
};

static bool
has_counts(void *arg)
{
	const struct wanted_counts *w = arg;
	const struct fake_counts c = fake_counts();

	return w->fn(&c);
}

void
export_await_counts(bool (*fn)(const struct fake_counts *c), const char *what)
{
	struct wanted_counts w = { fn };

	look_until(has_counts, &w, what);
}

/* ---- The importer ---- */

int
export_import(void)
{
	const int fd = rig_connect(&x.rig);

	RIG_EQ(rig_try_import(fd, "1-2.3", &x.as.desc.device), USBIP_ST_OK);
	return fd;
}

static bool
nothing_open(const struct fake_counts *c)
{
	return c->handles == 0 && c->contexts == 1;
}

void
export_release(int fd)
{
	close(fd);
	export_await_counts(nothing_open, "the device to be given back");
}

void
export_control(int fd, uint32_t seqnum, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, uint16_t length)
{
	struct usbip_pdu pdu = rig_submit_pdu(&x.as, seqnum, type & 0x80,
	    (type & 0x80) != 0 ? length : 0);
	const uint8_t setup[8] = { type, request, (uint8_t)value,
		(uint8_t)(value >> 8), (uint8_t)index, (uint8_t)(index >> 8),
		(uint8_t)length, (uint8_t)(length >> 8) };

	memcpy(pdu.submit.setup, setup, sizeof setup);
	rig_send_pdu(fd, &pdu);
}
