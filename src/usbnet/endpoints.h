/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_ENDPOINTS_H
#define MUXD_USBNET_ENDPOINTS_H

/*
 * What an open link has to know of a configuration: its endpoints and
 * interfaces.  The descriptors are a stranger's: these functions are total, and
 * what is nonsense ends the reading.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UN_INTERFACES_MAX 32 /* as many as libusb knows */
#define UN_ENDPOINTS_MAX 32  /* 16 each way */

struct un_endpoint {
	uint8_t attributes; /* bmAttributes */
	int32_t interval;   /* as USB/IP has it: in frames, or microframes */
};

static inline unsigned
un_endpoint_index(uint8_t address)
{
	return (address & 0x0fu) | (address & 0x80u) >> 3;
}

/* The endpoints of the alternate settings that are current, by interface; the
 * others are zero.  `microframes`: the device counts in them. */
void un_endpoints_read(struct un_endpoint out[UN_ENDPOINTS_MAX],
    const uint8_t alts[UN_INTERFACES_MAX], bool microframes,
    const uint8_t *configuration, size_t len);

bool un_has_interface(const uint8_t *configuration, size_t len,
    uint8_t number);

#endif
