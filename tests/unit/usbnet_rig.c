/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbnet_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"

#define PATIENCE_MS (RIG_PATIENCE_S * 1000)

/* ---- What the device says of itself ---- */

static const uint8_t device_descriptor[] = {
	18, 1, 0x00, 0x02, 0, 0, 0, 64,
	0xac, 0x05, 0xa8, 0x12, 0x04, 0x15, 1, 2, 3, 2,
};

/* Two configurations; the first has two alternate settings, of which the second
 * has the isochronous endpoint. */
static const uint8_t first_configuration[] = {
	9, 2, 48, 0, 1, 1, 0, 0xc0, 250,
	9, 4, 0, 0, 2, 0xff, 0, 0, 0,
	7, 5, 0x81, 2, 0x00, 0x02, 0,
	7, 5, 0x86, 3, 0x40, 0x00, 4,
	9, 4, 0, 1, 1, 0xff, 0, 0, 0,
	7, 5, 0x85, 1, 0x00, 0x02, 1,
};
static const uint8_t second_configuration[] = {
	9, 2, 18, 0, 1, 5, 0, 0xc0, 250,
	9, 4, 2, 0, 0, 0xff, 0, 0, 0,
};
static const uint8_t languages[] = { 4, 3, 0x09, 0x04 };
static const uint8_t product[] = { 8, 3, 'F', 0, 0xe4, 0x01, 'n', 0 };

static void
describe(struct usbnet_rig *r)
{
	static const struct usbip_info_record records[] = {
		{ 1, 0, 0, sizeof device_descriptor, device_descriptor },
		{ 2, 0, 0, sizeof first_configuration, first_configuration },
		{ 2, 1, 0, sizeof second_configuration,
		    second_configuration },
		{ 3, 0, 0, sizeof languages, languages },
		{ 3, 2, 0x0409, sizeof product, product },
	};
	struct writer w = writer_over(r->info, sizeof r->info);

	for (size_t i = 0; i < sizeof records / sizeof *records; i++)
		RIG_CHECK(usbip_info_add(&w, &records[i]), "too much");
	r->dev.desc.info = r->info;
	r->dev.desc.info_len = writer_used(&w);
	r->dev.desc.device.configurations = 2;
	r->dev.desc.device.configuration = 1;
	r->dev.desc.device.release = 0x1504;
}

/* ---- Begin and end ---- */

void
usbnet_set_servers(const char *servers)
{
	setenv("USBNET_SERVERS", servers, 1);
	setenv("USBNET_QUIET", "1", 1);
}

unsigned
usbnet_bus(unsigned nth)
{
	unsigned number = 0;

	while (nth > 0) {
		char path[64];

		snprintf(path, sizeof path, "/sys/bus/usb/devices/usb%u",
		    ++number);
		if (access(path, F_OK) != 0)
			nth--;
	}
	return number;
}

void
usbnet_serve(struct usbnet_rig *r)
{
	char address[80];

	memset(r, 0, sizeof *r);
	rig_open(&r->server);
	rig_device_init(&r->dev, "3-1", 9);
	describe(r);
	rig_plug(&r->server, &r->dev);
	snprintf(address, sizeof address, "unix:%s", r->server.path);
	usbnet_set_servers(address);
}

void
usbnet_open(struct usbnet_rig *r)
{
	usbnet_serve(r);
	RIG_EQ(libusb_init(&r->ctx), 0);
	r->h = libusb_open_device_with_vid_pid(r->ctx, USBNET_VENDOR,
	    USBNET_PRODUCT);
	RIG_CHECK(r->h != NULL, "the device is not there");
	RIG_EQ(libusb_claim_interface(r->h, 0), 0);
}

void
usbnet_close(struct usbnet_rig *r)
{
	libusb_close(r->h);
	if (r->ctx != NULL)
		libusb_exit(r->ctx);
	rig_unplug(&r->server, &r->dev);
	rig_device_fini(&r->dev);
	rig_close(&r->server);
}

/* ---- Transfers ---- */

static void
on_end(struct libusb_transfer *t)
{
	struct usbnet_transfer *x = t->user_data;

	x->ended++;
}

void
usbnet_transfer_init(struct usbnet_transfer *x, struct usbnet_rig *r,
    unsigned char endpoint, int length, unsigned timeout_ms)
{
	x->ended = 0;
	x->t = libusb_alloc_transfer(0);
	RIG_CHECK(x->t != NULL, "out of memory");
	for (int i = 0; i < length; i++)
		x->buffer[i] = (endpoint & 0x80) != 0
		    ? 0xee
		    : rig_pattern((uint32_t)length, (uint32_t)i);
	libusb_fill_bulk_transfer(x->t, r->h, endpoint, x->buffer, length,
	    on_end, x, timeout_ms);
}

void
usbnet_transfer_fini(struct usbnet_transfer *x)
{
	libusb_free_transfer(x->t);
}

void
usbnet_await_count(libusb_context *ctx, const _Atomic unsigned *counter,
    unsigned value)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), PATIENCE_MS);

	while (*counter < value) {
		struct timeval tv = { .tv_usec = 100000 };

		RIG_EQ(libusb_handle_events_timeout(ctx, &tv), 0);
		RIG_CHECK(moment_before(clock_now(), deadline),
		    "waited in vain for %u, it is %u", value, *counter);
	}
}

void
usbnet_await(struct usbnet_rig *r, struct usbnet_transfer *x, unsigned times)
{
	usbnet_await_count(r->ctx, &x->ended, times);
	RIG_EQ(x->ended, times);
}

unsigned
usbnet_count(struct usbnet_rig *r, const unsigned *counter)
{
	unsigned n;

	pthread_mutex_lock(&r->dev.lock);
	n = *counter;
	pthread_mutex_unlock(&r->dev.lock);
	return n;
}

void
usbnet_expect_pattern(const unsigned char *bytes, uint32_t length, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		RIG_CHECK(bytes[i] == rig_pattern(length, i),
		    "byte %u of %u is %02x", i, n, bytes[i]);
}

unsigned
usbnet_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	RIG_CHECK(dir != NULL, "no /proc");
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}
