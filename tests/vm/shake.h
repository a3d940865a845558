/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_SHAKE_H
#define MUXD_TESTS_SHAKE_H

/*
 * Disturbs phones that muxd serves through the kernel, as other programs of the
 * same host do, and watches what muxd makes of it.
 *
 * shake_cycles.c plugs and unplugs, and takes the time; shake_times.c keeps it.
 * shake_host.c is the kernel's side of a phone: its folder in /sys, its file in
 * /dev, its events.  shake_mux.c is the daemon's: what a listener hears, and
 * streams that compare each byte; and muxphone, which plugs and unplugs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define PHONES_MAX 16

/* The kernel has a phone so long after muxphone has plugged it in: the attaching
 * is the test's affair, not muxd's. */
#define ATTACH_MS 20000

struct phone {
	unsigned n; /* muxphone's number of it */
	const char *udid;

	/* ---- shake_host.c's, under its lock ---- */
	/* Of the last one that both have told of; udev tells later. */
	struct moment added_by_kernel, added_by_udev;

	/* ---- shake_mux.c's, under its lock ---- */
	uint32_t id; /* 0: not in the daemon's list */
	struct moment heard; /* when that was told */
};

extern struct phone phones[PHONES_MAX];
extern unsigned phone_count;

/* Ends the program, with a sentence. */
void die(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

struct moment in_ms(int64_t ms);
/* A thread for each phone; each has one of `args`, of that size. */
void for_all_phones(void *(*run)(void *), void *args, size_t size);
/* The phone's id, when it is in the daemon's list. */
uint32_t must_list(struct phone *p, int round);

/* ---- shake_cycles.c ---- */

/* So many cycles in all; the phones go at once, and come at once. */
int cycles(int count);

/* ---- shake_times.c ---- */

#define TIMES_MAX 1000

struct times {
	unsigned count;
	int ms[TIMES_MAX];
};

void times_add(struct times *t, int64_t ms);
void times_sum(struct times *to, const struct times *t);
/* Of what: the median and the longest. */
void times_print(struct times *t, const char *what);

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
void host_events_open(void);
/* Waits until the phone has been added after `since`, and udev's rules are done
 * with it. */
bool host_await_added(struct phone *p, struct moment since,
    struct moment until);

/* ---- shake_mux.c ---- */

/* muxd's socket, muxphone's control socket. */
void mux_open(const char *daemon, const char *control);
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
