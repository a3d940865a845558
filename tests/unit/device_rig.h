/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_DEVICE_RIG_H
#define MUXD_TESTS_DEVICE_RIG_H

/*
 * A device with its reader and writer over the fake transport.  The test is the
 * manager, the phone, and the owner of clients (whose workers do not run).
 */

#include "actor/mailbox.h"
#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/msg.h"
#include "fake_phone.h"

struct rig {
	struct fake fake;
	struct mailbox manager;
	struct waker *waker;
	struct msg *kept; /* taken from the mailbox, not looked at */
	struct device *d;
	int version; /* 1 or 2, once they speak */
	uint16_t tx_seq; /* the phone's */
};

/* Makes the device; its reader does not run yet. */
void rig_init(struct rig *r);
/* Starts the reader. */
void rig_start(struct rig *r);
/* The handshake up to MSG_DEVICE_READY, SETUP included. */
void rig_speak(struct rig *r, int version);
/* All of the three. */
void rig_begin(struct rig *r, int version);

/* The manager's next message, which must be of that type. */
void rig_await(struct rig *r, enum msg_type type);
void rig_post_stop(struct rig *r);
/* Waits for MSG_DEVICE_ENDED, and asserts why; joins the reader, and gives back
 * everything but the test's own reference. */
void rig_await_end(struct rig *r, enum device_end end, const char *why);
/* Stops it, and does that. */
void rig_stop(struct rig *r);
/* The last reference; the fake checks that all is back. */
void rig_fini(struct rig *r);
/* All of it, from the stop on. */
void rig_end(struct rig *r);

/* The phone sends a segment. */
void rig_phone_says(struct rig *r, struct phone_words w);
/* The next frame that has been written.  Its payload is gone with the next
 * call. */
struct phone_words rig_phone_hears(struct rig *r);

/* A client whose mailbox the test reads, and a route to it. */
struct client *rig_client(struct rig *r, uint32_t number);
void rig_client_fini(struct client *c);
struct route *rig_route(struct rig *r, struct client *c, uint16_t port);
/* Has it removed; gives up the reference that rig_route() gave. */
void rig_unroute(struct rig *r, struct route *route);
/* The client's next message, which must be of that type. */
struct msg *rig_client_await(struct client *c, enum msg_type type);
/* That the reader has let go of this route; drops the reference in it. */
void rig_client_await_gone(struct client *c, const struct route *route);

#endif
