/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_EXPORT_RIG_H
#define MUXD_TESTS_EXPORT_RIG_H

/*
 * For tests of usbexportd's backend: the real engine and monitor over a libusb
 * without USB, and an importer that speaks to them PDU by PDU (usbip_rig.h).
 *
 * The device, 1-2.3, 0525:a4a0, serial number "S1", is in configuration 1:
 *
 *	interface 0, setting 0	bulk 81, 01
 *	interface 0, setting 1	bulk 81, 01; isochronous 82, 02
 *	interface 1		interrupt 83, 03; has a driver no more than 0
 *
 * and has a configuration 2 with interface 0: bulk 84, preceded and followed by
 * descriptors that libusb only passes on.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/log.h"
#include "export/monitor.h"
#include "fake_libusb.h"
#include "unit.h"
#include "usbip_rig.h"

struct export_rig {
	struct rig rig;
	struct policy policy;
	struct waker *settled;
	struct monitor *monitor;
	struct fake_device *device;
	/* For the importer's functions, which want one. */
	struct rig_device as;
};
extern struct export_rig x;

/* What the device does: set before, or between, transfers. */
extern struct export_script {
	_Atomic uint32_t held; /* endpoints whose transfers stay in flight,
				* a bit each: number, and 16 more for IN */
	_Atomic int status; /* of the transfers that are done at once */
	_Atomic int shorter; /* bytes that IN transfers bring less */
	/* The last transfer that was submitted. */
	_Atomic int type, flags;
	_Atomic int submitted; /* how many */
} script;

#define HELD(endpoint) \
	((uint32_t)1 << (((endpoint) & 15) + ((endpoint) >> 7) * 16))

extern const struct libusb_device_descriptor rig_descriptor;
extern const struct libusb_config_descriptor *const rig_configurations[2];
extern const struct fake_spec rig_spec;

/* Nothing is logged; a test that reads the log wants something else. */
extern enum log_level export_log_level;

/* Fixtures: the device is plugged in and looked at. */
void export_set_up(void);
/* Wants everything to be given back. */
void export_tear_down(void);

/* Waits until the state of the device at `busid` is this. */
void export_await_state(const char *busid, enum monitor_state state);
/* Waits until `*value` is `wanted`, or `fn()` is. */
void export_await_submitted(int wanted);
void export_await_counts(bool (*fn)(const struct fake_counts *c),
    const char *what);

/* A connection that has imported the device. */
int export_import(void);
/* Ends it and waits until the device has been given back. */
void export_release(int fd);

/* SUBMIT of a control transfer with this setup packet; an OUT one carries no
 * data. */
#define GET_STATUS 0x80, 0, 0, 0, 2
#define SET_CONFIGURATION(n) 0x00, 9, (n), 0, 0
#define SET_INTERFACE(i, n) 0x01, 11, (n), (i), 0
#define CLEAR_HALT(e) 0x02, 1, 0, (e), 0
#define PORT_RESET 0x23, 3, 4, 0, 0
void export_control(int fd, uint32_t seqnum, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, uint16_t length);

#endif
