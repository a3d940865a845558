/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USBNET_LIKE_H
#define TESTS_UNIT_USBNET_LIKE_H

/*
 * Configurations, most of them damaged, that two programs make trees of: one
 * with the system's libusb, one with ours.  usbnet-like-libusb.sh compares.
 */

#include <libusb.h>
#include <stddef.h>
#include <stdint.h>

#define LIKE_VENDOR 0x1234 /* whose product number is a case's */
#define LIKE_CASES 100
#define LIKE_SIZE_MAX 160

/* The bytes of a case, 1 .. LIKE_CASES; their number. */
size_t like_case(unsigned n, uint8_t out[LIKE_SIZE_MAX]);

/* One line: the case, and the tree (with rc 0) or the error. */
void like_print(unsigned n, int rc,
    const struct libusb_config_descriptor *config);

#endif
