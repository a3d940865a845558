/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBNET_RIG_H
#define MUXD_TESTS_USBNET_RIG_H

/*
 * For tests of the drop-in libusb: the engine in this process with the devices
 * of usbip_rig.h, and a context that sees them, through libusb's own interface
 * only.
 */

#include "usbip_rig.h"
#include "usbnet/api.h"

#define USBNET_VENDOR 0x05ac
#define USBNET_PRODUCT 0x12a8

/* Addresses of the device's endpoints, as it describes them. */
#define EP_IN(n) ((unsigned char)(0x80 | (n)))
#define EP_OUT(n) ((unsigned char)(n))

struct usbnet_rig {
	struct rig server;
	struct rig_device dev;
	uint8_t info[1024]; /* what DEVINFO gives */
	libusb_context *ctx;
	libusb_device_handle *h;
};

/* A server with one device "3-1", no context yet. */
void usbnet_serve(struct usbnet_rig *r);
/* The same, with a context in which the device is open and interface 0
 * claimed. */
void usbnet_open(struct usbnet_rig *r);
/* Ends all that there is. */
void usbnet_close(struct usbnet_rig *r);

/* Names the servers of contexts to come. */
void usbnet_set_servers(const char *servers);

/* The number of the Nth server's bus: those of this host have theirs. */
unsigned usbnet_bus(unsigned nth);

/* A transfer that counts its callbacks. */
struct usbnet_transfer {
	struct libusb_transfer *t;
	_Atomic unsigned ended;
	unsigned char buffer[65536];
};
void usbnet_transfer_init(struct usbnet_transfer *x,
    struct usbnet_rig *r, unsigned char endpoint, int length,
    unsigned timeout_ms);
void usbnet_transfer_fini(struct usbnet_transfer *x);
/* Handles events until it has ended `times` times. */
void usbnet_await(struct usbnet_rig *r, struct usbnet_transfer *x,
    unsigned times);

/* Handles events until *counter has reached `value`. */
void usbnet_await_count(libusb_context *ctx, const _Atomic unsigned *counter,
    unsigned value);

/* One of the device's counters. */
unsigned usbnet_count(struct usbnet_rig *r, const unsigned *counter);

/* Checks that `bytes` are the first `n` of the rig's pattern for `length`. */
void usbnet_expect_pattern(const unsigned char *bytes, uint32_t length,
    uint32_t n);

/* Descriptors in this process that are open. */
unsigned usbnet_open_fds(void);

#endif
