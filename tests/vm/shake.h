/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SHAKE_H
#define MUXD_TESTS_SHAKE_H

/*
 * Disturbs phones that muxd serves through the kernel, as other programs of the
 * same host do, and watches what muxd makes of it.
 *
 * shake_host.c is the kernel's side of a phone: its folder in /sys, its file in
 * /dev, its events.  shake_mux.c is the daemon's: what a listener hears, and
 * streams that compare each byte; and muxphone, which plugs and unplugs.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct phone {
	unsigned n; /* muxphone's number of it */
	const char *udid;

	/* ---- shake_host.c's, under its lock ---- */
	struct moment added[2]; /* told by the kernel, by udev */

	/* ---- shake_mux.c's, under its lock ---- */
	uint32_t id; /* 0: not in the daemon's list */
	struct moment heard; /* when that was told */
};

/* Ends the program, with a sentence. */
void die(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* ---- shake_host.c ---- */

#define HOST_PATH_MAX 280

/* The phone's folder in /sys.  False: the kernel does not have it. */
bool host_find(const struct phone *p, char folder[HOST_PATH_MAX]);
/* The kernel's idea of the current configuration; 0 also when there is none
 * to ask for. */
int host_configuration(const char *folder);
/* As udev's rule does it.  False: the device has gone. */
bool host_configure(const char *folder, int value);
/* As usbreset(1) does it.  The same. */
bool host_reset(const char *folder);

/* Hears the kernel's events and udev's about phones, from now on. */
void host_events_open(struct phone *phones, unsigned count);
/*
 * Waits until the phone has been added, after `since`; true: *when it was.  The
 * kernel tells of it, and then udev, when its rules are done.
 */
bool host_await_added(struct phone *p, bool by_udev, struct moment since,
    struct moment until, struct moment *when);

/* ---- shake_mux.c ---- */

/* muxd's socket, muxphone's control socket. */
void mux_open(const char *daemon, const char *control, struct phone *phones,
    unsigned count);
/* One command to muxphone, about that phone. */
void mux_command(const char *command, const struct phone *p);
/* Waits until the daemon has the phone under another id than `not`; the id, or
 * 0 when it does not come in time. */
uint32_t mux_await_listed(struct phone *p, uint32_t not, struct moment until);
bool mux_await_gone(struct phone *p, struct moment until);
/* When the listener heard last of the phone. */
struct moment mux_heard(struct phone *p);

enum stream_end {
	STREAM_DONE,  /* all bytes, each as it must be */
	STREAM_ENDED, /* its connection did, or never began */
	STREAM_HUNG,  /* nothing moved for STREAM_PATIENCE_MS */
	STREAM_WRONG, /* a byte that it must not be */
};
const char *stream_end_name(enum stream_end end);

/* What each bound of a test is multiplied by. */
extern int patience;

static inline struct timespec
timespec_of(struct moment t)
{
	return (struct timespec){ .tv_sec = t.ns / 1000000000,
		.tv_nsec = t.ns % 1000000000 };
}

/* `len` bytes to the phone's echo service and back, or, `one_way`, from its
 * chargen. */
enum stream_end stream_run(uint32_t id, bool one_way, uint64_t len,
    uint64_t seed);

#endif
