/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_IDENTITY_H
#define MUXD_PHONE_IDENTITY_H

/*
 * Who a device is.  Everything follows from its index and its UDID or serial
 * number, so that two runs show the same devices.  Filled once, then only read.
 */

#include <stdint.h>

#include "base/cause.h"

#define IDENTITY_UDID_MAX 41 /* 40 characters and the end */

struct identity {
	unsigned index;                 /* from 1 */
	/* As shown: a phone's has a hyphen after the 8th of 24 characters. */
	char udid[IDENTITY_UDID_MAX];
	char serial[IDENTITY_UDID_MAX]; /* as on the bus: without the hyphen */
	char busid[16];                 /* "BUS-PORT" */
	uint8_t bus;                    /* from 1 */
	uint8_t port;                   /* 1 .. IDENTITY_PORTS */
};

/* Root ports of a bus: few enough for a nibble of a LocationID each. */
#define IDENTITY_PORTS 7
/* Buses have one byte there. */
#define IDENTITY_INDEX_MAX (255 * IDENTITY_PORTS)

/*
 * `udid` is 40 hexadecimal characters, or 24 with or without a hyphen after the
 * 8th; NULL for one that is made from the index, of `length` characters (24 or
 * 40; 0: alternating, the first has 40).  0, or -1 and a cause.
 */
int identity_init(struct identity *id, unsigned index, const char *udid,
    unsigned length, struct cause *why);

/* The same for a device of another kind: its serial number is KIND-INDEX. */
void identity_init_kind(struct identity *id, unsigned index, const char *kind);

/* Another serial number: printable ASCII, at most 40 characters.  0, or -1 and
 * a cause. */
int identity_set_serial(struct identity *id, const char *serial,
    struct cause *why);

/* A number that depends on the UDID and `what`, evenly spread. */
uint64_t identity_number(const struct identity *id, const char *what);

#endif
