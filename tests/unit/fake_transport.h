/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FAKE_TRANSPORT_H
#define MUXD_TESTS_FAKE_TRANSPORT_H

/*
 * A source with one device, for tests of what stands above usb/transport.h.
 * The test says what each call gives, hands in reads and takes out writes; the
 * fake watches that the contract is kept (a frame is done once, nothing is
 * written after stop(), and so on) and ends the test otherwise.
 *
 * It brings its own usb_bring_up(), so that a program with it must not need
 * the real one.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "usb/transport.h"

#define FAKE_UDID "00008030-001A2B3C4D5E6F70"
#define FAKE_MAX_PACKET 512

/* What becomes of a frame that is written. */
enum fake_writing {
	FAKE_COMPLETES, /* done in the next read() */
	FAKE_HOLDS,     /* in flight until fake_complete(), or the end */
	FAKE_FAILS,     /* done within write(), with an error */
	FAKE_BLOCKS,    /* write() does not return before halt() */
};

struct fake_write {
	struct fake_write *next;
	uint32_t len;
	bool zlp;
	uint8_t bytes[];
};

struct fake_read; /* a read that is to complete */

struct fake {
	struct usb_source source; /* first */
	struct usb_ident ident;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;

	/* ---- What the test wants ---- */
	int open_error, bring_up_error, start_error;
	enum fake_writing writing;
	bool may_block; /* FAKE_BLOCKS will come: nobody else writes for the writer */
	uint16_t max_packet;

	/* ---- Reads to come and writes that came ---- */
	struct fake_read *reads, **reads_end;
	struct fake_write *writes, **writes_end;

	/* The transport that was opened last: it gets the reads, and what the
	 * test does to frames is about those of this one.  One before it may
	 * still be on its way to its end. */
	struct fake_transport *open;

	/* ---- Counts, of all transports ---- */
	unsigned opens, frees, resets, halts, reads_done, writes_done;
	unsigned clear_halts, interrupts;

	/* ---- For run() ---- */
	struct usb_listener *listener;
	bool quit;
	unsigned rescans;
	unsigned answered; /* of them, after the first look */
	bool looked;
	bool holds_looks; /* no look ends */
	bool anew; /* as the last bring-up was asked for */
};

void fake_init(struct fake *f, const char *key);
/* Asserts that every transport was freed; frees what was not taken out. */
void fake_fini(struct fake *f);

/* The next read completes with these bytes, or with an error.  Any thread. */
void fake_read(struct fake *f, const void *bytes, uint32_t len);
void fake_read_error(struct fake *f, int error);
/* It is empty, or has that error, and came by that pipe. */
void fake_read_of(struct fake *f, enum usb_pipe pipe, int error);
/* An error, but every read from then on. */
void fake_read_error_for_ever(struct fake *f, int error);
/* `len` bytes as reads: full ones, a rest, and an empty one where the device
 * must send it. */
void fake_packet(struct fake *f, const void *bytes, uint32_t len);

/* The next frame that was written; the caller frees it.  Ends the test when
 * none comes. */
struct fake_write *fake_await_write(struct fake *f);
/* None has been written that was not taken out. */
bool fake_no_write(struct fake *f);

void fake_set_writing(struct fake *f, enum fake_writing writing);
/* Everything in flight is done. */
void fake_complete(struct fake *f);

/* Waits until all reads that were handed in have been read. */
void fake_await_reads_done(struct fake *f);
/* Waits until somebody is in a write() that blocks. */
void fake_await_blocked(struct fake *f);
/* Waits until so many transports have been opened, in all, and started. */
void fake_await_started(struct fake *f, unsigned opens);

/* For tests with a monitor: it runs when this returns. */
void fake_await_watched(struct fake *f);
/* No look at the source ends from now on, or those that wait do. */
void fake_hold_looks(struct fake *f, bool hold);
/* Waits until the source has been asked to look so many times. */
void fake_await_rescans(struct fake *f, unsigned count);
void fake_plug(struct fake *f);
void fake_unplug(struct fake *f);

#endif
