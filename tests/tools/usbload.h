/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBLOAD_H
#define MUXD_TESTS_USBLOAD_H

/*
 * usbload: load on a device through libusb, and a look at whether libusb does
 * what its documentation promises.  It knows nothing of which libusb it has
 * been started with.  The device is muxphone's `sourcesink`.
 *
 * A mode is a function that opens what it needs, works, and reports what went
 * wrong with fault(); the exit status is 1 when anything did.  Nothing hangs:
 * a mode names its stage, and an alarm ends the process when a stage takes
 * longer than the patience that the command line gives.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libusb.h>

#define EP_IN 0x81
#define EP_ISO_IN 0x82
#define EP_ISO_OUT 0x02
/* The vendor requests of Linux' gadget zero: write a buffer, read it back. */
#define REQUEST_WRITE 0x5b
#define REQUEST_READ 0x5c
#define REQUEST_BUFFER 4096

#define DEPTH_MAX 256
#define THREADS_MAX 64

enum content {
	CONTENT_ZERO,
	CONTENT_MOD63, /* byte i of each packet is i % 63 */
	CONTENT_NONE,  /* not looked at */
};

struct options {
	const char *argument; /* of the mode, NULL: none */
	uint16_t vendor, product;
	unsigned nth; /* of the devices with these ids, from 0 */
	unsigned count, depth, threads, patience_s;
	size_t size;
	uint64_t bytes, seed;
	enum content content;
};

/* One device under load. */
struct load {
	const struct options *o;
	libusb_context *ctx;
	libusb_device_handle *dev;
	uint8_t out;	   /* the bulk endpoint: muxphone's is 0x01, Linux' 0x02 */
	size_t packet;	   /* wMaxPacketSize of EP_IN */
	int packet_before; /* the same as it was told before open */
};

struct mode {
	const char *name, *help;
	void (*run)(const struct options *o);
};

/* ---- usbload.c ---- */

/* Something is not as documented.  Any thread. */
void fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the process ends. */
void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));
unsigned fault_count(void);
/* What is being done now, and from now the patience counts.  Main thread. */
void stage(const struct options *o, const char *what);
/* A line of figures on standard output. */
void result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A fault unless `rc`, a number or libusb's error, is `wanted`. */
void expect(int wanted, int rc, const char *what);
void expect_status(enum libusb_transfer_status wanted,
    const struct libusb_transfer *t, const char *what);

/* ---- usbload_device.c ---- */

/* A context, the device opened, interface 0 claimed; fatal() otherwise. */
void load_open(struct load *l, const struct options *o);
void load_close(struct load *l);
/* The device without a context of its own: 0 or libusb's error. */
int load_find_open(struct load *l);
/* A context, and that; fatal() otherwise. */
void load_open_unclaimed(struct load *l, const struct options *o);
/* Handles events once, for `ms` milliseconds at most. */
void load_events(struct load *l, int ms);

void content_fill(uint8_t *buf, size_t len, size_t packet, enum content c);
/* The offset of the first byte that is wrong, `len` when none is. */
size_t content_wrong(const uint8_t *buf, size_t len, size_t packet,
    enum content c);

uint64_t random_next(uint64_t *state);
unsigned open_fds(void);
/* Waits on a pipe that nobody writes to. */
void wait_ms(int ms);

/*
 * A transfer with its buffer between two guards.  `flying` is set by
 * slot_submit() and cleared by the one callback that must follow.
 */
struct slot {
	struct load *l;
	struct libusb_transfer *t;
	uint8_t *memory, *buffer;
	size_t size;
	unsigned number;
	atomic_bool flying;
	atomic_uint submitted, ended;
	uint64_t order; /* of its submission, for the mode */
	void *mode;	/* the mode's */
};

void slot_init(struct slot *s, struct load *l, unsigned number, size_t size);
void slot_fini(struct slot *s);
void slot_fill_bulk(struct slot *s, uint8_t endpoint, libusb_transfer_cb_fn cb,
    unsigned timeout_ms);
/* libusb's answer; the slot flies when it is 0. */
int slot_submit(struct slot *s);
/* First thing in a callback: the slot flew, and its guards are whole. */
void slot_landed(struct slot *s);
/* Handles events until none of `n` slots flies. */
void slots_wait(struct load *l, struct slot *s, size_t n, const char *what);

/* ---- usbload_pollfds.c ---- */

/* A part of run_events(). */
void test_pollfds(struct load *l);

/* ---- Modes ---- */

void run_async_in(const struct options *o);
void run_async_out(const struct options *o);
void run_loop(const struct options *o);
void run_cancel(const struct options *o);
void run_timeout(const struct options *o);
void run_storm(const struct options *o);
void run_events(const struct options *o);
void run_threads(const struct options *o);
void run_hotplug(const struct options *o);
void run_control(const struct options *o);
void run_interface(const struct options *o);
void run_iso(const struct options *o);
void run_play(const struct options *o);
void run_attach(const struct options *o);
void run_once(const struct options *o);
void run_gone(const struct options *o);
void run_fork(const struct options *o);

#endif
