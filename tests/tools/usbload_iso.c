/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usbload.h"

/* Isochronous transfers: alternate setting 1, PACKETS packets each. */

#define PACKETS 8
#define LIMIT_MS 5000

struct iso {
	struct load *l;
	uint8_t endpoint;
	unsigned left, packet;
	uint64_t moved, transfers;
	struct slot slots[DEPTH_MAX];
};

static void
iso_packet(struct iso *iso, struct slot *s, unsigned i)
{
	const struct libusb_iso_packet_descriptor *d =
	    &s->t->iso_packet_desc[i];
	const uint8_t *bytes = libusb_get_iso_packet_buffer_simple(s->t, i);

	if (bytes != s->buffer + (size_t)i * iso->packet)
		fault("packet %u lies elsewhere", i);
	if (d->length != iso->packet || d->actual_length > d->length) {
		fault("packet %u: %u bytes of %u", i, d->actual_length,
		    d->length);
		return;
	}
	if (d->status != LIBUSB_TRANSFER_COMPLETED)
		fault("packet %u ended with status %d", i, (int)d->status);
	if (iso->endpoint == EP_ISO_OUT && d->actual_length != d->length)
		fault("packet %u: %u bytes of %u were sent", i,
		    d->actual_length, d->length);
	if (iso->endpoint == EP_ISO_IN &&
	    content_wrong(bytes, d->actual_length, iso->packet,
		iso->l->o->content) < d->actual_length)
		fault("wrong bytes in packet %u", i);
	iso->moved += d->actual_length;
}

static void
iso_submit(struct iso *iso, struct slot *s)
{
	if (iso->left == 0)
		return;
	iso->left--;
	if (iso->endpoint == EP_ISO_IN)
		memset(s->buffer, 0xa5, s->size);
	expect(0, slot_submit(s), "submit_transfer");
}

static void LIBUSB_CALL
iso_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct iso *iso = s->mode;

	t->actual_length = 0; /* means nothing here */
	slot_landed(s);
	expect_status(LIBUSB_TRANSFER_COMPLETED, t, "an isochronous transfer");
	for (unsigned i = 0; i < PACKETS; i++)
		iso_packet(iso, s, i);
	iso->transfers++;
	iso_submit(iso, s);
}

static void
iso_slot(struct iso *iso, unsigned i)
{
	struct slot *s = &iso->slots[i];

	slot_init(s, iso->l, i, (size_t)PACKETS * iso->packet);
	libusb_free_transfer(s->t);
	s->t = libusb_alloc_transfer(PACKETS);
	if (s->t == NULL)
		fatal("out of memory");
	s->mode = iso;
	libusb_fill_iso_transfer(s->t, iso->l->dev, iso->endpoint, s->buffer,
	    (int)s->size, PACKETS, iso_done, s, LIMIT_MS);
	libusb_set_iso_packet_lengths(s->t, iso->packet);
	for (unsigned k = 0; k < PACKETS; k++)
		content_fill(s->buffer + (size_t)k * iso->packet, iso->packet,
		    iso->packet, iso->l->o->content);
}

static void
iso_way(struct load *l, uint8_t endpoint, const char *what)
{
	const struct moment since = clock_now();
	struct iso *iso = calloc(1, sizeof *iso);
	const int packet = libusb_get_max_iso_packet_size(
	    libusb_get_device(l->dev), endpoint);

	stage(l->o, what);
	if (iso == NULL)
		fatal("out of memory");
	if (packet <= 0)
		fatal("%s: get_max_iso_packet_size: %s", what,
		    libusb_error_name(packet));
	iso->l = l;
	iso->endpoint = endpoint;
	iso->packet = (unsigned)packet;
	iso->left = l->o->count;
	for (unsigned i = 0; i < l->o->depth; i++) {
		iso_slot(iso, i);
		iso_submit(iso, &iso->slots[i]);
	}
	slots_wait(l, iso->slots, l->o->depth, what);
	for (unsigned i = 0; i < l->o->depth; i++)
		slot_fini(&iso->slots[i]);
	result("%s: %llu transfers of %d packets of %d bytes, %llu bytes in "
	    "%.2f s", what, (unsigned long long)iso->transfers, PACKETS, packet,
	    (unsigned long long)iso->moved,
	    (double)(clock_now().ns - since.ns) / 1e9);
	if (iso->transfers != l->o->count)
		fault("%llu transfers ended of %u",
		    (unsigned long long)iso->transfers, l->o->count);
	free(iso);
}

void
run_iso(const struct options *o)
{
	struct load l;

	load_open(&l, o);
	expect(0, libusb_set_interface_alt_setting(l.dev, 0, 1),
	    "set_interface_alt_setting 1");
	iso_way(&l, EP_ISO_IN, "iso in");
	iso_way(&l, EP_ISO_OUT, "iso out");
	expect(0, libusb_set_interface_alt_setting(l.dev, 0, 0),
	    "set_interface_alt_setting 0");
	load_close(&l);
}
