/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * Standard input to an isochronous OUT endpoint, one packet each interval, as a
 * sound goes to a loudspeaker.  A packet that the bus had no time for is lost,
 * and here a fault: whoever listens on the other side can tell what came.
 */

#define PACKETS 8
#define LIMIT_MS 5000

struct play {
	struct load *l;
	unsigned interface, setting, endpoint;
	uint64_t packets, lost;
	struct slot slots[DEPTH_MAX];
};

static void
parse_place(struct play *p, const char *text)
{
	if (text == NULL || sscanf(text, "%u:%u:%u", &p->interface, &p->setting,
		&p->endpoint) != 3 || p->endpoint < 1 || p->endpoint > 15)
		fatal("play: INTERFACE:SETTING:ENDPOINT wanted");
}

/* What is next of the input, in as many packets as it needs; the last one is
 * filled up with zeros. */
static void
play_submit(struct play *p, struct slot *s)
{
	const size_t packet = p->l->o->size;
	const size_t len = fread(s->buffer, 1, s->size, stdin);
	const size_t packets = (len + packet - 1) / packet;

	if (packets == 0)
		return;
	memset(s->buffer + len, 0, s->size - len);
	s->t->num_iso_packets = (int)packets;
	s->t->length = (int)(packets * packet);
	expect(0, slot_submit(s), "submit_transfer");
}

static void LIBUSB_CALL
play_done(struct libusb_transfer *t)
{
	struct slot *s = t->user_data;
	struct play *p = s->mode;

	t->actual_length = 0; /* means nothing here */
	slot_landed(s);
	expect_status(LIBUSB_TRANSFER_COMPLETED, t, "an isochronous transfer");
	for (int i = 0; i < t->num_iso_packets; i++) {
		const struct libusb_iso_packet_descriptor *d =
		    &t->iso_packet_desc[i];

		p->packets++;
		if (d->status != LIBUSB_TRANSFER_COMPLETED ||
		    d->actual_length != d->length)
			p->lost++;
	}
	play_submit(p, s);
}

static void
play_slot(struct play *p, unsigned i)
{
	const size_t packet = p->l->o->size;
	struct slot *s = &p->slots[i];

	slot_init(s, p->l, i, PACKETS * packet);
	libusb_free_transfer(s->t);
	s->t = libusb_alloc_transfer(PACKETS);
	if (s->t == NULL)
		fatal("out of memory");
	s->mode = p;
	libusb_fill_iso_transfer(s->t, p->l->dev, (unsigned char)p->endpoint,
	    s->buffer, (int)s->size, PACKETS, play_done, s, LIMIT_MS);
	libusb_set_iso_packet_lengths(s->t, (unsigned)packet);
}

static void
play_all(struct play *p)
{
	const struct moment since = clock_now();
	const struct options *o = p->l->o;

	for (unsigned i = 0; i < o->depth; i++) {
		play_slot(p, i);
		play_submit(p, &p->slots[i]);
	}
	slots_wait(p->l, p->slots, o->depth, "playing");
	for (unsigned i = 0; i < o->depth; i++)
		slot_fini(&p->slots[i]);
	result("play: %llu packets of %zu bytes in %.2f s, %llu lost",
	    (unsigned long long)p->packets, o->size,
	    (double)(clock_now().ns - since.ns) / 1e9,
	    (unsigned long long)p->lost);
	if (p->packets == 0 || p->lost > 0)
		fault("%llu of %llu packets were not sent",
		    (unsigned long long)p->lost,
		    (unsigned long long)p->packets);
}

void
run_play(const struct options *o)
{
	struct play *p = calloc(1, sizeof *p);
	struct load l;
	int interface;

	if (p == NULL)
		fatal("out of memory");
	parse_place(p, o->argument);
	interface = (int)p->interface;
	load_open_unclaimed(&l, o);
	p->l = &l;
	expect(0, libusb_claim_interface(l.dev, interface), "claim_interface");
	expect(0, libusb_set_interface_alt_setting(l.dev, interface,
	    (int)p->setting), "set_interface_alt_setting");
	if (fault_count() == 0)
		play_all(p);
	expect(0, libusb_set_interface_alt_setting(l.dev, interface, 0),
	    "set_interface_alt_setting 0");
	expect(0, libusb_release_interface(l.dev, interface),
	    "release_interface");
	libusb_close(l.dev);
	libusb_exit(l.ctx);
	free(p);
}
