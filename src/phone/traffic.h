/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_TRAFFIC_H
#define MUXD_PHONE_TRAFFIC_H

/*
 * What has been moved over a device's data endpoints, counted as the device
 * sees it: in packets, the empty ones that end a transfer among them.  "In" is
 * from the host to the device, as in every report of muxphone.
 *
 * Belongs to one gadget, under its lock.
 */

#include <stdbool.h>
#include <stdint.h>

#include "phone/device.h"

struct traffic {
	uint64_t transfers_in, transfers_out;
	uint64_t packets_in, packets_out; /* without empty ones */
	uint64_t bytes_in, bytes_out;
	uint64_t zlps_in, zlps_out;
	/* Packets to the host that found too little room. */
	uint64_t babbles;
};

/* An OUT transfer has ended, of which `len` bytes were taken. */
void traffic_take(struct traffic *t, const struct endpoint *e,
    const struct usbip_urb *urb, uint32_t len);
/* An IN transfer has ended, with `len` bytes in it; a status of
 * USBIP_EOVERFLOW is a babble. */
void traffic_give(struct traffic *t, const struct endpoint *e,
    const struct usbip_urb *urb, const struct outcome *out);

/* As members of the object that is open. */
void traffic_report(const struct traffic *t, struct json *j);

#endif
