/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usbload.h"

#define LIMIT_MS 5000
#define VENDOR_OUT 0x40
#define VENDOR_IN 0xc0
#define INTERFACE_NONE 9
#define ALT_NONE 7

/* ---- Control transfers ---- */

static void LIBUSB_CALL
control_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;

	slot_landed(s);
}

static int
control_async(struct load *l, struct slot *s, uint8_t type, uint8_t request,
    uint16_t len)
{
	libusb_fill_control_setup(s->buffer, type, request, 0, 0, len);
	libusb_fill_control_transfer(s->t, l->dev, s->buffer, control_done, s,
	    LIMIT_MS);
	expect(0, slot_submit(s), "submit_transfer of a control transfer");
	slots_wait(l, s, 1, "a control transfer");
	expect_status(LIBUSB_TRANSFER_COMPLETED, s->t, "a control transfer");
	return s->t->actual_length;
}

static void
write_and_read(struct load *l, struct slot *s, unsigned len, unsigned round)
{
	uint8_t back[REQUEST_BUFFER];
	uint8_t *data = s->buffer + LIBUSB_CONTROL_SETUP_SIZE;
	int rc;

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + round);
	if (round % 2 == 0) {
		rc = control_async(l, s, VENDOR_OUT, REQUEST_WRITE,
		    (uint16_t)len);
		expect((int)len, rc, "length of a control write");
		rc = libusb_control_transfer(l->dev, VENDOR_IN, REQUEST_READ,
		    0, 0, back, (uint16_t)len, LIMIT_MS);
		expect((int)len, rc, "length of a control read");
		if (memcmp(back, data, len) != 0)
			fault("a buffer of %u bytes came back changed", len);
		return;
	}
	memcpy(back, data, len);
	rc = libusb_control_transfer(l->dev, VENDOR_OUT, REQUEST_WRITE, 0, 0,
	    back, (uint16_t)len, LIMIT_MS);
	expect((int)len, rc, "length of a control write");
	memset(data, 0xa5, len);
	rc = control_async(l, s, VENDOR_IN, REQUEST_READ, (uint16_t)len);
	expect((int)len, rc, "length of a control read");
	if (memcmp(back, libusb_control_transfer_get_data(s->t), len) != 0)
		fault("a buffer of %u bytes came back changed", len);
}

/* What every device answers, and what none does. */
static void
standard_requests(const struct load *l)
{
	struct libusb_device_descriptor d;
	uint8_t raw[18], text[128];
	int config = -1;

	stage(l->o, "standard requests");
	expect(18, libusb_get_descriptor(l->dev, LIBUSB_DT_DEVICE, 0, raw,
	    sizeof raw), "get_descriptor of the device");
	expect(0, libusb_get_device_descriptor(libusb_get_device(l->dev), &d),
	    "get_device_descriptor");
	if (raw[8] != (d.idVendor & 0xff) || raw[9] != d.idVendor >> 8 ||
	    raw[7] != d.bMaxPacketSize0 || raw[16] != d.iSerialNumber)
		fault("the device and libusb tell of two devices");
	expect(0, libusb_get_configuration(l->dev, &config),
	    "get_configuration");
	expect(1, config, "configuration");
	if (d.iProduct != 0 && libusb_get_string_descriptor_ascii(l->dev,
		d.iProduct, text, sizeof text) <= 0)
		fault("no string for the product");
	expect(LIBUSB_ERROR_PIPE, libusb_control_transfer(l->dev, VENDOR_IN,
	    0xee, 0, 0, raw, sizeof raw, LIMIT_MS), "a request that stalls");
	expect(2, libusb_control_transfer(l->dev, 0x80, 0, 0, 0, raw, 2,
	    LIMIT_MS), "GET_STATUS after it");
}

void
run_control(const struct options *o)
{
	const struct moment since = clock_now();
	uint64_t random = o->seed;
	struct load l;
	struct slot s;

	load_open(&l, o);
	slot_init(&s, &l, 0, REQUEST_BUFFER + LIBUSB_CONTROL_SETUP_SIZE);
	standard_requests(&l);
	for (unsigned i = 0; i < o->count; i++) {
		stage(o, "control transfers, written and read back");
		write_and_read(&l, &s,
		    1 + (unsigned)(random_next(&random) % REQUEST_BUFFER), i);
	}
	slot_fini(&s);
	load_close(&l);
	result("control: %u buffers written and read back in %.2f s", o->count,
	    (double)(clock_now().ns - since.ns) / 1e9);
}

/* ---- Interfaces ---- */

static void
claims(const struct load *l)
{
	stage(l->o, "claims");
	libusb_set_auto_detach_kernel_driver(l->dev, 0);
	expect(LIBUSB_ERROR_NOT_FOUND,
	    libusb_claim_interface(l->dev, INTERFACE_NONE),
	    "claim_interface of none");
	expect(LIBUSB_ERROR_NOT_FOUND,
	    libusb_release_interface(l->dev, INTERFACE_NONE),
	    "release_interface of none");
	expect(0, libusb_claim_interface(l->dev, 0),
	    "claim_interface a second time");
	expect(0, libusb_set_interface_alt_setting(l->dev, 0, 1),
	    "set_interface_alt_setting 1");
	expect(0, libusb_set_interface_alt_setting(l->dev, 0, 0),
	    "set_interface_alt_setting 0");
	expect(LIBUSB_ERROR_NOT_FOUND,
	    libusb_set_interface_alt_setting(l->dev, 0, ALT_NONE),
	    "set_interface_alt_setting of none");
	expect(0, libusb_release_interface(l->dev, 0), "release_interface");
	expect(LIBUSB_ERROR_NOT_FOUND, libusb_release_interface(l->dev, 0),
	    "release_interface of one released");
	expect(LIBUSB_ERROR_NOT_FOUND,
	    libusb_set_interface_alt_setting(l->dev, 0, 0),
	    "set_interface_alt_setting of one released");
	expect(0, libusb_set_configuration(l->dev, 1), "set_configuration");
	expect(LIBUSB_ERROR_NOT_FOUND, libusb_set_configuration(l->dev, 77),
	    "set_configuration of none");
	expect(0, libusb_claim_interface(l->dev, 0), "claim_interface again");
	expect(LIBUSB_ERROR_BUSY, libusb_set_configuration(l->dev, 1),
	    "set_configuration with an interface claimed");
	expect(0, libusb_kernel_driver_active(l->dev, 0),
	    "kernel_driver_active");
}

/* The sink stalls on what is not its pattern; until the halt is cleared
 * nothing moves, and then all does. */
static void
halts(const struct load *l)
{
	uint8_t *buf = malloc(l->packet);
	int moved = -1;

	stage(l->o, "a halted endpoint");
	if (buf == NULL)
		fatal("out of memory");
	expect(0, libusb_clear_halt(l->dev, l->out), "clear_halt of none");
	memset(buf, 0xee, l->packet);
	expect(LIBUSB_ERROR_PIPE, libusb_bulk_transfer(l->dev, l->out, buf,
	    (int)l->packet, &moved, LIMIT_MS), "a write that stalls");
	content_fill(buf, l->packet, l->packet, l->o->content);
	expect(LIBUSB_ERROR_PIPE, libusb_bulk_transfer(l->dev, l->out, buf,
	    (int)l->packet, &moved, LIMIT_MS), "a write while halted");
	expect(0, libusb_clear_halt(l->dev, l->out), "clear_halt");
	expect(0, libusb_bulk_transfer(l->dev, l->out, buf, (int)l->packet,
	    &moved, LIMIT_MS), "a write after clear_halt");
	expect((int)l->packet, moved, "length of it");
	expect(0, libusb_bulk_transfer(l->dev, l->out, buf, 0, &moved,
	    LIMIT_MS), "an empty write");
	expect(LIBUSB_ERROR_NOT_FOUND, libusb_clear_halt(l->dev, 0x8f),
	    "clear_halt of no endpoint");
	free(buf);
}

/* A read that is no whole packet gets one all the same: it babbles. */
static void
babble(const struct load *l)
{
	uint8_t buf[100], *whole = malloc(l->packet);
	int moved = 0;

	stage(l->o, "a read of less than a packet");
	if (whole == NULL)
		fatal("out of memory");
	expect(LIBUSB_ERROR_OVERFLOW, libusb_bulk_transfer(l->dev, EP_IN, buf,
	    sizeof buf, &moved, LIMIT_MS), "a read that is too short");
	libusb_clear_halt(l->dev, EP_IN);
	expect(0, libusb_bulk_transfer(l->dev, EP_IN, whole, (int)l->packet,
	    &moved, LIMIT_MS), "a read after it");
	expect((int)l->packet, moved, "length of it");
	expect(0, libusb_bulk_transfer(l->dev, EP_IN, whole, (int)l->packet,
	    NULL, LIMIT_MS), "a read that nobody counts");
	free(whole);
}

static void
properties(const struct load *l)
{
	libusb_device *dev = libusb_get_device(l->dev);
	uint8_t ports[7];

	stage(l->o, "what is told of a device");
	expect((int)l->packet, libusb_get_max_packet_size(dev, l->out),
	    "get_max_packet_size");
	expect((int)l->packet, l->packet_before,
	    "get_max_packet_size before open");
	expect(LIBUSB_ERROR_NOT_FOUND, libusb_get_max_packet_size(dev, 0x8f),
	    "get_max_packet_size of no endpoint");
	if (libusb_get_device_speed(dev) != (l->packet == 1024
		    ? LIBUSB_SPEED_SUPER : LIBUSB_SPEED_HIGH))
		fault("speed %d", libusb_get_device_speed(dev));
	if (libusb_get_bus_number(dev) == 0 ||
	    libusb_get_device_address(dev) == 0)
		fault("bus %u, address %u", libusb_get_bus_number(dev),
		    libusb_get_device_address(dev));
	if (libusb_get_port_numbers(dev, ports, sizeof ports) < 0)
		fault("no port numbers");
	if (libusb_ref_device(dev) != dev)
		fault("ref_device gives another device");
	libusb_unref_device(dev);
	expect(1, libusb_has_capability(LIBUSB_CAP_HAS_CAPABILITY),
	    "has_capability");
}

static void
reset(const struct load *l)
{
	uint8_t buf[64];

	stage(l->o, "reset");
	expect(0, libusb_reset_device(l->dev), "reset_device");
	expect(18, libusb_get_descriptor(l->dev, LIBUSB_DT_DEVICE, 0, buf, 18),
	    "get_descriptor after a reset");
}

static void
by_ids(const struct load *l)
{
	libusb_device_handle *h;

	stage(l->o, "open by ids");
	h = libusb_open_device_with_vid_pid(l->ctx, l->o->vendor,
	    l->o->product);
	if (h == NULL)
		fault("open_device_with_vid_pid finds nothing");
	else
		libusb_close(h);
	if (libusb_open_device_with_vid_pid(l->ctx, 0xdead, 0xbeef) != NULL)
		fault("open_device_with_vid_pid finds what is not there");
}

void
run_interface(const struct options *o)
{
	struct load l;

	load_open(&l, o);
	properties(&l);
	claims(&l);
	halts(&l);
	babble(&l);
	by_ids(&l);
	reset(&l);
	load_close(&l);
	result("interface: %s", fault_count() == 0 ? "all as documented"
						   : "not as documented");
}
