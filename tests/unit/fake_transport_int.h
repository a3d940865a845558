/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_FAKE_TRANSPORT_INT_H
#define MUXD_TESTS_FAKE_TRANSPORT_INT_H

/* What the fake's two files share: fake_transport.c, which the daemon calls,
 * and fake_control.c, which the test calls. */

#include <time.h>

#include "fake_transport.h"

struct fake_read {
	struct fake_read *next;
	int error;
	bool for_ever;
	enum usb_pipe pipe;
	uint32_t len;
	uint8_t bytes[];
};

struct fake_transport {
	struct transport t; /* first */
	struct transport_ops ops;
	struct fake *f;
	bool started, interrupted, halted, stopped;
	unsigned writers; /* in write() */
	struct chunk_pool *pool;
	/* Frames, through their messages. */
	struct tx *in_flight, **in_flight_end;
	struct tx *completed, **completed_end; /* for the next read() */
};

extern const struct usb_source_ops fake_source_ops;

struct timespec fake_after_ms(int ms);
/* Waits for a change, with the lock held.  False: it is `until`. */
bool fake_wait_change(struct fake *f, const struct timespec *until);
/* Hands on all of `from`, and empties it. */
void fake_move_all(struct tx ***to_end, struct tx **from,
    struct tx ***from_end);

#endif
