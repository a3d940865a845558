/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_SOURCESINK_H
#define MUXD_PHONE_SOURCESINK_H

/*
 * A source and a sink of bytes: the device that Linux' usbtest and its gadget
 * "zero" know as 0525:a4a0.  Setting 0 has a bulk pair, setting 1 the same and
 * an isochronous pair.
 *
 * Each packet that it sends has a pattern, which begins anew with each packet,
 * and each that it takes must have it: otherwise the sink stalls (bulk), or
 * counts (isochronous).  Source: Linux' f_sourcesink.c, usbtest.c.
 *
 * Belongs to one gadget, under its lock.
 */

#include "phone/echo.h"
#include "phone/kinds.h"
#include "phone/traffic.h"

#define SOURCESINK_SOURCE 0x81
#define SOURCESINK_SINK 0x01
#define SOURCESINK_ISO_SOURCE 0x82
#define SOURCESINK_ISO_SINK 0x02

/* What the vendor's control requests write and read. */
#define SOURCESINK_BUFFER 4096
/* The largest packet of any endpoint. */
#define SOURCESINK_PACKET_MAX 1024

enum sourcesink_pattern {
	PATTERN_ZERO,
	PATTERN_MOD63, /* byte i of a packet is i mod 63 */
	PATTERN_NONE,  /* zeros go out, and anything is taken */
};

struct sourcesink {
	struct device usb;
	enum sourcesink_pattern pattern;
	bool loop;     /* what the sink takes, the source gives */
	bool iso_pace; /* isochronous packets take their time */
	uint8_t packet[SOURCESINK_PACKET_MAX]; /* the pattern */
	uint8_t buffer[SOURCESINK_BUFFER];

	struct moment frame_0;     /* since when frames are counted */
	/* Of the isochronous sink, and source: the first frame that is free;
	 * and whether one transfer follows another at once. */
	uint32_t next_frame[2];
	bool queued[2];

	struct echo echo;          /* of a loop */
	struct traffic bulk;       /* otherwise */
	uint64_t mismatches;
	uint64_t iso_packets_in, iso_packets_out;
	uint64_t iso_bytes_in, iso_bytes_out;
	uint64_t iso_mismatches, iso_babbles;
	uint64_t bad_requests, bad_transfers;
};

/* sourcesink_data.c: the kind's serve(). */
bool sourcesink_serve(struct device *d, struct endpoint *e,
    struct usbip_urb *urb, struct outcome *out);

#endif
