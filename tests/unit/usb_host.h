/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USB_HOST_H
#define MUXD_TESTS_USB_HOST_H

/*
 * A USB host in a test's hands: one virtual device, URBs for it, and what
 * becomes of them.  It takes the place of the USB/IP engine, so a test with it
 * does not link libusbip.
 */

#include <check.h>
#include <stdint.h>

#include "phone/device.h"
#include "phone/kinds.h"
#include "unit.h"

#define PENDING 1 /* no status of a URB */
#define URB_BYTES_MAX (1u << 20)

struct test_urb {
	struct usbip_urb u;
	int status; /* or PENDING */
	uint32_t actual;
	unsigned order; /* of its completion */
	struct usbip_iso iso[64];
	uint8_t bytes[URB_BYTES_MAX];
};

extern struct device *dev;
extern unsigned usb_completions;

/* Takes over a device, which comes to the bus; the log is silent from now on.
 * NULL fails the test. */
void usb_plug(struct device *d);
/* A device of that kind, with what --device says behind its colon. */
void usb_plug_kind(const struct kind *kind, const char *options);
/* What --device is told of such options. */
void usb_expect_no_device(const struct kind *kind, const char *options,
    const char *cause);
/* The device leaves; every URB has been completed then. */
void usb_unplug(void);

/* A URB with `data`, or zeros; the test may change it before it submits it. */
struct test_urb *make_urb(uint8_t endpoint, const void *data, uint32_t length);
struct test_urb *submit(uint8_t endpoint, const void *data, uint32_t length);
/* An isochronous one of `count` packets of `length` each. */
struct test_urb *submit_iso(uint8_t endpoint, const void *data, unsigned count,
    uint32_t length, uint32_t flags, int32_t start_frame);
/* A control request; OUT with `data`, or zeros. */
struct test_urb *control_with(uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, const void *data, uint16_t length);
struct test_urb *control(uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, uint16_t length);
/* Lets the device go on by itself until the URB is done. */
void usb_wait(const struct test_urb *t);

/* For a device whose behaviour is a matter of time. */
void usb_pass_time(int ms);

/* It is done, so, and free again if it was the last that was made. */
void expect(struct test_urb *t, int status, uint32_t actual);
void expect_control(uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, uint16_t length, int status, const void *answer,
    uint32_t len);
/* The request with data is taken, or stalls. */
void expect_write(uint8_t type, uint8_t request, uint16_t value,
    uint16_t index, const void *data, uint16_t length, int status);
#define OUT_REQUEST(type, request, value, index) \
	expect_control(type, request, value, index, 0, USBIP_OK, NULL, 0)
#define STALLS(type, request, value, index, length)                      \
	expect_control(type, request, value, index, length, USBIP_EPIPE, \
	    NULL, 0)
void configure(uint8_t value);

/* A number in the device's report. */
uint64_t counted(const char *name);

#endif
