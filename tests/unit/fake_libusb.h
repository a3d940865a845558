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
/* The same with fake_describe(), before anybody can look at it. */
struct fake_device *fake_plug_as(const struct fake_spec *spec,
    const struct libusb_device_descriptor *device,
    const struct libusb_config_descriptor *const *configurations);
/* Transfers end with NO_DEVICE.  The pointer stays good. */
void fake_unplug(struct fake_device *d);
/*
 * Another program sets its configuration (its own again: or resets it): what is
 * in flight ends with NO_DEVICE, though the device stays.
 */
void fake_reconfigure(struct fake_device *d, int configuration);

/* The contexts that there are hear no more of what comes and goes: their lists
 * stay as they are. */
void fake_deafen(void);

/*
 * From now on devices are seen as on Linux, in a folder of the test's that this
 * returns: FOLDER/devices/KEY is what /sys has of them, FOLDER/nodes/BUS/ADDRESS
 * their file, which libusb_wrap_sys_device() takes; and devices whose ports are
 * not known are not there.
 */
const char *fake_show(void);
/* What that call says about a device, 1: it is unplugged amid it; without fake_show() it does not know what
 * it is asked. */
void fake_set_wrap(int error);
/* Removes the folder. */
void fake_hide(void);

/* ---- The host: the next calls answer so; 0 again is well ---- */

void fake_set_hotplug(bool has);
/* What a program that polls by itself polls: this, and nothing comes of it.
 * Without a timer among the descriptors it has to ask for the time. */
#define FAKE_POLL_FD 12345
void fake_set_poll_fd(int fd); /* another one */
void fake_set_timerless(bool without);
/* Somebody holds a device's lock: to handle its events would wait. */
void fake_set_locked(bool locked);
void fake_set_init(int error);
void fake_set_open(int error);
/* Bytes that all transfers in flight may have; -1: any number. */
void fake_set_memory(long bytes);
/* How long libusb_set_configuration() takes. */
void fake_set_slowness(int ms);
/* What claiming an interface, and resetting a device, say.  A reset usually
 * says LIBUSB_ERROR_NOT_FOUND. */
void fake_set_claim(int error);
/* Only claiming this interface says so; -1: any. */
void fake_set_claim_of(int interface);
/* What setting a configuration says: another program holds an interface. */
void fake_set_configuring(int error);
void fake_set_reset(int error);
/* This interface stalls what would give it another setting; -1: none. */
void fake_set_stuck(int interface);

/* ---- A device ---- */

/* Answers control requests; without it they stall. */
typedef int fake_control(struct fake_device *d, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length);
void fake_on_control(struct fake_device *d, fake_control *control);

/* Its descriptors, which must live as long; without them it has a device
 * descriptor only.  It begins in the first configuration.  One that is NULL
 * cannot be read. */
void fake_describe(struct fake_device *d,
    const struct libusb_device_descriptor *device,
    const struct libusb_config_descriptor *const *configurations);

/*
 * Takes every transfer that is submitted, instead of what is said below.  True:
 * it is done, and status, actual_length and data are filled in.  False: it
 * stays in flight until fake_finish() ends the oldest of its endpoint (of
 * control: 0).  Called under the stand-in's lock.
 */
typedef bool fake_transfer_fn(struct fake_device *d,
    struct libusb_transfer *x);
void fake_on_transfer(struct fake_device *d, fake_transfer_fn *fn);
/* False: there is none. */
bool fake_finish(struct fake_device *d, uint8_t endpoint, int status,
    int actual);

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
	int discoveries; /* by contexts, of all devices */
	int handles;
	int transfers; /* allocated now */
	int in_flight;
	int clear_halts, resets;
	int cancels; /* of transfers in flight */
	int holes;   /* of them those that go out, with later ones in flight */
	int configuration; /* last set; -1: never */
	int detached;      /* drivers */
	int attached;      /* the same, given back */
	int set_configurations;
	uint32_t claims;   /* interfaces that are claimed now, a bit each */
	int interface, setting; /* the last one chosen; -1: never */
	int claimed, released; /* last interface; -1: never */
};
struct fake_counts fake_counts(void);

#endif
