/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usbload.h"

#define GUARD 64
#define GUARD_BYTE 0xe5

/* ---- The device ---- */

/* By where they are plugged, which a device keeps that comes back. */
static int
by_place(const void *a, const void *b)
{
	libusb_device *const *x = a, *const *y = b;
	const int bus = libusb_get_bus_number(*x) - libusb_get_bus_number(*y);

	return bus != 0 ? bus : libusb_get_port_number(*x) -
	    libusb_get_port_number(*y);
}

/* The first bulk OUT endpoint of interface 0; 0: it has none. */
static uint8_t
bulk_out(libusb_device *dev)
{
	struct libusb_config_descriptor *c;
	const struct libusb_interface_descriptor *s;
	uint8_t found = 0;

	if (libusb_get_config_descriptor(dev, 0, &c) != 0)
		return 0;
	s = c->interface[0].altsetting;
	for (int i = 0; i < s->bNumEndpoints && found == 0; i++)
		if (s->endpoint[i].bmAttributes == LIBUSB_TRANSFER_TYPE_BULK &&
		    (s->endpoint[i].bEndpointAddress & LIBUSB_ENDPOINT_IN) == 0)
			found = s->endpoint[i].bEndpointAddress;
	libusb_free_config_descriptor(c);
	return found;
}

/* The list has no order that anybody promises. */
int
load_find_open(struct load *l)
{
	int rc = LIBUSB_ERROR_NO_DEVICE;
	unsigned nth = l->o->nth;
	libusb_device **list;
	const ssize_t n = libusb_get_device_list(l->ctx, &list);

	if (n < 0)
		return (int)n;
	qsort(list, (size_t)n, sizeof *list, by_place);
	for (ssize_t i = 0; i < n; i++) {
		struct libusb_device_descriptor d;

		if (libusb_get_device_descriptor(list[i], &d) != 0 ||
		    d.idVendor != l->o->vendor || d.idProduct != l->o->product)
			continue;
		if (nth-- > 0)
			continue;
		l->packet_before = libusb_get_max_packet_size(list[i], EP_IN);
		rc = libusb_open(list[i], &l->dev);
		if (rc != 0)
			break;
		l->packet = (size_t)libusb_get_max_packet_size(list[i], EP_IN);
		l->out = bulk_out(list[i]);
		/* A kernel may have a driver for it. */
		libusb_set_auto_detach_kernel_driver(l->dev, 1);
		break;
	}
	if (list[n] != NULL)
		fault("the list of devices has no NULL at its end");
	libusb_free_device_list(list, 1);
	return rc;
}

void
load_open_unclaimed(struct load *l, const struct options *o)
{
	int rc;

	memset(l, 0, sizeof *l);
	l->o = o;
	rc = libusb_init(&l->ctx);
	if (rc != 0)
		fatal("libusb_init: %s", libusb_error_name(rc));
	rc = load_find_open(l);
	if (rc != 0)
		fatal("no device %04x:%04x (number %u): %s", o->vendor,
		    o->product, o->nth, libusb_error_name(rc));
}

void
load_open(struct load *l, const struct options *o)
{
	int rc;

	load_open_unclaimed(l, o);
	rc = libusb_claim_interface(l->dev, 0);
	if (rc != 0)
		fatal("claim_interface: %s", libusb_error_name(rc));
}

void
load_close(struct load *l)
{
	expect(0, libusb_release_interface(l->dev, 0), "release_interface");
	libusb_close(l->dev);
	libusb_exit(l->ctx);
	l->dev = NULL;
	l->ctx = NULL;
}

void
load_events(struct load *l, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	expect(0, libusb_handle_events_timeout_completed(l->ctx, &tv, NULL),
	    "handle_events_timeout_completed");
}

/* ---- What the device sends and wants ---- */

#define RUN 1024 /* of the pattern, for every size of packet there is */

/* One packet or several, as they come on the wire. */
static void
content_run(uint8_t run[RUN], size_t packet, enum content c)
{
	for (size_t i = 0; i < RUN; i++)
		run[i] = c == CONTENT_MOD63 ? (uint8_t)(i % packet % 63) : 0;
}

void
content_fill(uint8_t *buf, size_t len, size_t packet, enum content c)
{
	uint8_t run[RUN];

	content_run(run, packet, c);
	for (size_t at = 0; at < len; at += RUN)
		memcpy(buf + at, run, len - at < RUN ? len - at : RUN);
}

size_t
content_wrong(const uint8_t *buf, size_t len, size_t packet, enum content c)
{
	uint8_t run[RUN];
	size_t at = 0, i;

	if (c == CONTENT_NONE)
		return len;
	content_run(run, packet, c);
	while (at < len && memcmp(buf + at, run,
		len - at < RUN ? len - at : RUN) == 0)
		at += RUN;
	for (i = at < len ? at : len; i < len && buf[i] == run[i % RUN]; i++)
		continue;
	return i;
}

/* ---- Small things ---- */

/* Marsaglia's xorshift64*. */
uint64_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u >> 16;
}

unsigned
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; /* ".", "..", and the directory itself */
}

void
wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* ---- Slots ---- */

void
slot_init(struct slot *s, struct load *l, unsigned number, size_t size)
{
	memset(s, 0, sizeof *s);
	s->l = l;
	s->number = number;
	s->size = size;
	s->memory = malloc(size + 2 * GUARD);
	s->t = libusb_alloc_transfer(0);
	if (s->memory == NULL || s->t == NULL)
		fatal("out of memory");
	memset(s->memory, GUARD_BYTE, size + 2 * GUARD);
	s->buffer = s->memory + GUARD;
}

void
slot_fini(struct slot *s)
{
	if (s->flying)
		fault("transfer %u has not ended", s->number);
	if (s->submitted != s->ended)
		fault("transfer %u: submitted %u times, ended %u times",
		    s->number, s->submitted, s->ended);
	libusb_free_transfer(s->t);
	free(s->memory);
}

void
slot_fill_bulk(struct slot *s, uint8_t endpoint, libusb_transfer_cb_fn cb,
    unsigned timeout_ms)
{
	libusb_fill_bulk_transfer(s->t, s->l->dev, endpoint, s->buffer,
	    (int)s->size, cb, s, timeout_ms);
}

int
slot_submit(struct slot *s)
{
	int rc;

	if (atomic_exchange(&s->flying, true))
		fatal("transfer %u is submitted while it flies", s->number);
	atomic_fetch_add(&s->submitted, 1);
	rc = libusb_submit_transfer(s->t);
	if (rc != 0) {
		atomic_fetch_sub(&s->submitted, 1);
		atomic_store(&s->flying, false);
	}
	return rc;
}

void
slot_landed(struct slot *s)
{
	const uint8_t *after = s->buffer + s->size;

	if (!atomic_exchange(&s->flying, false))
		fault("transfer %u ended, and was not under way", s->number);
	atomic_fetch_add(&s->ended, 1);
	if (s->t->actual_length < 0 ||
	    (size_t)s->t->actual_length > s->size)
		fatal("transfer %u: actual_length is %d of %zu", s->number,
		    s->t->actual_length, s->size);
	for (size_t i = 0; i < GUARD; i++)
		if (s->memory[i] != GUARD_BYTE || after[i] != GUARD_BYTE)
			fatal("transfer %u: written outside of its buffer",
			    s->number);
}

void
slots_wait(struct load *l, struct slot *s, size_t n, const char *what)
{
	stage(l->o, what);
	for (size_t i = 0; i < n; i++)
		while (s[i].flying)
			load_events(l, 1000);
}
