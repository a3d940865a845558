/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FAKEMUXD_H
#define MUXD_TESTS_FAKEMUXD_H

/*
 * A usbmux daemon without devices, for tests of clients: it answers as muxd
 * would, or as a daemon with the given fault would, and serves the ports of
 * its devices itself, on the client's own socket.
 *
 *	1	greets, then echoes	19	sends RFC 864's pattern
 *	7	echoes			62078	a little lockdown
 *	9	discards		any other: refused
 *
 * It runs on threads of its own: one that accepts, one for each client.
 */

#include <stdbool.h>
#include <stdint.h>

enum fake_fault {
	FAKE_SOUND,
	FAKE_BINARY_ONLY, /* Result 6 to every plist */
	FAKE_NO_LIST,	  /* Result 1 to ListDevices */
	FAKE_SILENT,	  /* reads, never answers */
	FAKE_HANGS_UP,	  /* closes instead of answering */
	FAKE_GARBLES,	  /* answers what is no message */
	FAKE_CUTS,	  /* closes in the middle of its answer */
	FAKE_BUSY,	  /* never accepts */
};

struct fake;

/* Listens at the UNIX path `path`, with devices 1 to `devices`: "fake-0001"
 * and so on; each third one (3, 6, ...) is a network device.  NULL and a line
 * on standard error when it cannot. */
struct fake *fake_start(const char *path, unsigned devices,
    enum fake_fault fault);
void fake_stop(struct fake *f);

/* Tells those who listen; lists follow.  Any thread. */
void fake_attach(struct fake *f, uint32_t id);
void fake_detach(struct fake *f, uint32_t id);

/* How many requests have been answered or swallowed, in all. */
unsigned fake_requests(struct fake *f);

#endif
