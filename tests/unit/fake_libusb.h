/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_FAKE_LIBUSB_H
#define TESTS_UNIT_FAKE_LIBUSB_H

/*
 * A libusb without USB: it is linked in the place of the real one and does what
 * the test says.  It holds its caller to libusb's rules: freeing a transfer that
 * is in flight, or closing a device that has some, ends the test.
 *
 * Any thread may call anything here.  State is global: one test, one process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libusb.h>

struct fake_device;

struct fake_spec {
	uint8_t bus, address;
	uint8_t ports[7];
	int port_count;
	uint16_t vendor, product;
	int speed; /* enum libusb_speed */
};

/* ---- The bus ---- */

struct fake_device *fake_plug(const struct fake_spec *spec);
/* Transfers end with NO_DEVICE.  The pointer stays good. */
void fake_unplug(struct fake_device *d);

/* ---- The host: the next calls answer so; 0 again is well ---- */

void fake_set_hotplug(bool has);
void fake_set_init(int error);
void fake_set_open(int error);
/* Bytes that all transfers in flight may have; -1: any number. */
void fake_set_memory(long bytes);
/* How long libusb_set_configuration() takes. */
void fake_set_slowness(int ms);

/* ---- A device ---- */

/* Answers control requests; without it they stall. */
typedef int fake_control(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length);
void fake_on_control(struct fake_device *d, fake_control *control);

/* What the device sends: one transfer's worth, whose bytes are all `byte`. */
void fake_send(struct fake_device *d, uint8_t byte, int length);
/* The next read ends with this (enum libusb_transfer_status). */
void fake_send_status(struct fake_device *d, int status);
/* Held: what is written stays in flight; let go: it completes. */
void fake_hold(struct fake_device *d, bool hold);
/* The next write ends with this. */
void fake_fail_write(struct fake_device *d, int status);
/* Cancelling has no effect. */
void fake_jam(struct fake_device *d, bool jammed);

/* What was written so far: one entry a transfer. */
#define FAKE_WRITES_MAX 65536
struct fake_written {
	int length;
	uint32_t number; /* the first four bytes, little-endian */
};
int fake_written(struct fake_device *d, struct fake_written **out);

/* ---- What happened ---- */

struct fake_counts {
	int contexts; /* open now */
	int handles;
	int transfers; /* allocated now */
	int in_flight;
	int clear_halts, resets;
	int configuration; /* last set; -1: never */
	int detached;      /* drivers */
	int claimed, released; /* last interface; -1: never */
};
struct fake_counts fake_counts(void);

#endif
