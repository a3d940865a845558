/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBIP_RIG_H
#define MUXD_TESTS_USBIP_RIG_H

/*
 * For tests of the USB/IP server engine: a backend that does what a test wants,
 * and an importer that speaks to the engine over a socket, PDU by PDU.  The
 * importer's functions end the test when something takes longer than
 * RIG_PATIENCE_S.
 */

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "actor/mailbox.h"
#include "actor/thread.h"
#include "usbip/server.h"

#define RIG_PATIENCE_S 30

/* An assertion that costs nothing while it holds (Check's own writes a file
 * each time, and is not made for several threads). */
#define RIG_CHECK(cond, ...)                       \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#define RIG_EQ(a, b)                                                     \
	do {                                                             \
		const long long rig_a = (long long)(a);                  \
		const long long rig_b = (long long)(b);                  \
		RIG_CHECK(rig_a == rig_b, #a " == " #b ": %lld, %lld",   \
		    rig_a, rig_b);                                       \
	} while (0)

/* ---- Backend ------------------------------------------------------------ */

/* Endpoints of the device; each serves both directions unless said otherwise. */
enum rig_endpoint {
	RIG_CONTROL = 0, /* done at once; GET_DESCRIPTOR gives 18 bytes */
	RIG_INSTANT = 1, /* done within submit() */
	RIG_HELD = 2,    /* kept until rig_finish() or cancel() */
	RIG_ACTOR = 3,   /* a thread of its own, which is also told to cancel */
	RIG_SHORT = 4,   /* IN: half of what was asked for, at once */
	RIG_ISO = 5,     /* each packet half full, the second one failed */
	RIG_PARTIAL = 6, /* IN: kept; five bytes are there when cancelled */
	RIG_LOCKED = 7,  /* completed by whoever is first under a lock */
};

struct rig_queue {
	struct usbip_urb *first, **end; /* through rig_next() */
	unsigned count;
};

struct rig_device {
	struct usbip_device dev; /* first */
	struct usbip_description desc;
	int refuse_with; /* imported() returns it */

	pthread_mutex_t lock; /* of all below, except the actor's */
	pthread_cond_t changed;
	struct rig_queue held;   /* RIG_HELD and RIG_PARTIAL */
	struct rig_queue locked; /* RIG_LOCKED */
	unsigned imported, released, unplugged;
	unsigned submits, cancels, made, forgotten;
	unsigned holes; /* held URBs cancelled before later ones */
	unsigned interval; /* of the newest URB */
	bool quitting;

	struct thread actor, racer;
	struct mailbox mailbox; /* the actor's */
	struct waker *waker;
	struct rig_queue acting;
	struct msg quit;
};

/* A device of `busid` BUS-PORT, bus 3; starts its threads. */
void rig_device_init(struct rig_device *d, const char *busid,
    uint32_t address);
/* After unplugged(). */
void rig_device_fini(struct rig_device *d);

/* Completes the oldest of the held URBs. */
void rig_finish(struct rig_device *d, int status, uint32_t actual);
/* Waits until `*counter` (of `d`) has reached `value`. */
void rig_await(struct rig_device *d, const unsigned *counter, unsigned value);

/* What RIG_INSTANT gives and expects at `i` of a transfer of `length`. */
uint8_t rig_pattern(uint32_t length, uint32_t i);

/* ---- Server ------------------------------------------------------------- */

struct rig {
	struct usbip_server *server;
	char dir[32];
	char path[64]; /* its UNIX socket */
};

void rig_open(struct rig *r);
void rig_close(struct rig *r);
void rig_plug(struct rig *r, struct rig_device *d);
/* Unplugs, and waits for unplugged(). */
void rig_unplug(struct rig *r, struct rig_device *d);

/* ---- Importer ----------------------------------------------------------- */

/* A new connection; the caller closes it. */
int rig_connect(struct rig *r);
void rig_send(int fd, const void *bytes, size_t len);
void rig_receive(int fd, void *bytes, size_t len);
/* The next byte is the end of the stream. */
void rig_expect_end(int fd);

/* Asks for the list: the busids, each with a blank behind it, in `out`. */
void rig_send_devlist(int fd, uint32_t status);
void rig_receive_devlist(int fd, char out[512]);
/* The list of a plain client on a connection of its own. */
void rig_devlist(struct rig *r, char out[512]);

/* The status of an IMPORT; the reply is read whole. */
uint32_t rig_try_import(int fd, const char *busid,
    struct usbip_device_entry *entry);
/* A connection that has imported `d`. */
int rig_import(struct rig *r, struct rig_device *d);

/* A SUBMIT that the caller may still change; `endpoint` is an address. */
struct usbip_pdu rig_submit_pdu(const struct rig_device *d, uint32_t seqnum,
    uint8_t endpoint, int32_t length);
void rig_send_pdu(int fd, const struct usbip_pdu *pdu);
/* A SUBMIT with pattern data when it is OUT. */
void rig_submit(int fd, const struct rig_device *d, uint32_t seqnum,
    uint8_t endpoint, int32_t length);
void rig_unlink(int fd, const struct rig_device *d, uint32_t seqnum,
    uint32_t victim);
struct usbip_pdu rig_receive_pdu(int fd);

/* Expects RET_SUBMIT or RET_UNLINK with these. */
void rig_expect_ret(int fd, uint32_t seqnum, int32_t status, int32_t actual);
void rig_expect_unlinked(int fd, uint32_t seqnum, int32_t status);
/* RET_SUBMIT of an IN with pattern data of `length`. */
void rig_expect_data(int fd, uint32_t seqnum, uint32_t length);

#endif
