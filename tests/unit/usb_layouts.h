/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USB_LAYOUTS_H
#define TESTS_UNIT_USB_LAYOUTS_H

/*
 * Configuration descriptors laid out as phones do, as bytes, for every test
 * that needs a phone's.  (What the interfaces are: usbmux facts, 2.3.)
 */

#include <stdint.h>

#define U_CONFIG(total, interfaces, value)                                  \
	9, 2, (total) & 0xff, (total) >> 8, (interfaces), (value), 0, 0xc0, \
	    250
#define U_INTERFACE(n, alt, endpoints, class, subclass, protocol) \
	9, 4, (n), (alt), (endpoints), (class), (subclass), (protocol), 0
#define U_ENDPOINT(address, attributes, max) \
	7, 5, (address), (attributes), (max) & 0xff, (max) >> 8, 0
#define U_PTP                                                       \
	U_INTERFACE(0, 0, 3, 6, 1, 1), U_ENDPOINT(0x02, 2, 512),    \
	    U_ENDPOINT(0x81, 2, 512), U_ENDPOINT(0x83, 3, 64)
#define U_MUX(n)                                                     \
	U_INTERFACE(n, 0, 2, 0xff, 0xfe, 2), U_ENDPOINT(0x04, 2, 512), \
	    U_ENDPOINT(0x85, 2, 512)

/* 1: photos alone. */
static const uint8_t layout_ptp[] = { U_CONFIG(39, 1, 1), U_PTP };

/* 2: an audio device with a HID beside it (and a class-specific descriptor). */
static const uint8_t layout_audio[] = { U_CONFIG(52, 3, 2),
	U_INTERFACE(0, 0, 0, 1, 1, 0), 9, 0x24, 1, 0, 1, 30, 0, 1, 1,
	U_INTERFACE(1, 0, 0, 1, 2, 0), U_INTERFACE(2, 0, 1, 3, 0, 0),
	7, 5, 0x83, 3, 64, 0, 1 };

/* 3: photos and the mux. */
static const uint8_t layout_mux[] = { U_CONFIG(62, 2, 3), U_PTP, U_MUX(1) };

/* 4: photos, the mux and Ethernet, the last with an alternate setting. */
static const uint8_t layout_tether[] = { U_CONFIG(94, 3, 4), U_PTP, U_MUX(1),
	U_INTERFACE(2, 0, 0, 0xff, 0xfd, 1),
	U_INTERFACE(2, 1, 2, 0xff, 0xfd, 1), U_ENDPOINT(0x86, 2, 512),
	U_ENDPOINT(0x05, 2, 512) };

/* 5 in mode 2: with screen capture. */
static const uint8_t layout_valeria[] = { U_CONFIG(85, 3, 5), U_PTP, U_MUX(1),
	U_INTERFACE(2, 0, 2, 0xff, 0x2a, 0xff), U_ENDPOINT(0x86, 2, 512),
	U_ENDPOINT(0x05, 2, 512) };

/* 5 in mode 3: with CDC NCM; the mux at SuperSpeed, its endpoints followed by
 * their companions and the other way round. */
static const uint8_t layout_ncm[] = { U_CONFIG(97, 4, 5), U_PTP,
	U_INTERFACE(1, 0, 2, 0xff, 0xfe, 2), U_ENDPOINT(0x85, 2, 1024),
	6, 0x30, 15, 0, 0, 0, U_ENDPOINT(0x04, 2, 1024),
	6, 0x30, 15, 0, 0, 0, U_INTERFACE(2, 0, 0, 2, 0x0d, 0),
	5, 0x24, 0, 0x10, 1, U_INTERFACE(3, 0, 0, 0x0a, 0, 1) };

/* The only one in mode 5: NCM, no mux at all. */
static const uint8_t layout_direct[] = { U_CONFIG(27, 2, 1),
	U_INTERFACE(0, 0, 0, 2, 0x0d, 0), U_INTERFACE(1, 0, 0, 0x0a, 0, 1) };

#endif
