/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_DAEMON_DEVICE_H
#define MUXD_DAEMON_DEVICE_H

/*
 * One attempt to serve one plugged-in device, from opening it to its end.  It
 * is shared by the manager, its reader and writer, and the workers of its
 * connections; each field says whose it is.  A device that fails and is tried
 * again is a new `struct device` with a new id.
 */

#include <stdbool.h>
#include <stdint.h>

#include "actor/baton.h"
#include "actor/chunk.h"
#include "actor/counter.h"
#include "actor/credit.h"
#include "actor/mailbox.h"
#include "actor/poller.h"
#include "actor/ref.h"
#include "actor/thread.h"
#include "base/cause.h"
#include "base/clock.h"
#include "daemon/outbox.h"
#include "daemon/roles.h"
#include "daemon/scm_settings.h"
#include "mux/framing.h"
#include "usb/bringup.h"
#include "usb/transport.h"

struct protocol;
struct route;
struct scm_state;

/* What muxctl shows of a device that is not (yet, or any more) ready. */
enum device_state {
	DEVICE_BRINGUP,   /* see `step` */
	DEVICE_HANDSHAKE, /* waiting for the answer to VERSION */
	DEVICE_READY,
	DEVICE_ENDING,
};
const char *device_state_name(enum device_state state);

/* Why a device has ended. */
enum device_end {
	DEVICE_END_STOPPED, /* the manager wanted it */
	DEVICE_END_GONE,    /* unplugged, or its server is */
	DEVICE_END_FAILED,  /* could not be brought up, or broke down */
	DEVICE_END_BUSY,    /* somebody else holds it */
	DEVICE_END_SHORT,   /* no memory, descriptor or thread for it */
	DEVICE_END_RESET,   /* broke the protocol and was reset */
	DEVICE_END_TAKEN,   /* another program reset or configured it */
};

/* Counted by the reader (rx) and by the writer (tx). */
struct device_stats {
	struct counter rx_reads, rx_empty_reads, rx_packets, rx_bytes;
	struct counter rx_malformed, rx_stray, rx_stalls;
	struct counter tx_packets, tx_bytes, tx_zlps, tx_acks;
};

/* The reader's table port -> route, in two levels of 256, so that a phone
 * with few connections costs little. */
#define ROUTE_LEAF 256
struct route_leaf {
	uint32_t used;
	struct route *routes[ROUTE_LEAF];
};

/* Descriptors of a transport that pollers watch: libusb has three. */
#define DEVICE_WATCHES 4

/* What the phones' protocol keeps (protocol_mux.c). */
struct mux_state {
	struct mux_framing framing OWNED_BY(on_reader);
	struct chunk *first OWNED_BY(on_reader); /* packet being gathered */
	struct chunk *last OWNED_BY(on_reader);
	bool versioned OWNED_BY(on_reader);
	uint16_t tx_seq OWNED_BY(on_writer);
	uint32_t notes OWNED_BY(on_reader); /* CONTROL texts logged this while */
	struct moment notes_since OWNED_BY(on_reader);
	/* 1 or 2.  Stored by the reader before it posts the first frame that
	 * needs it; the queue orders that. */
	_Atomic int version;
	_Atomic uint16_t rx_seq; /* last seen; relaxed, any value will do */
};

struct device {
	struct ref refs;

	/* ---- Never change ---- */
	uint32_t id;
	struct usb_source *source;
	struct usb_ident ident;
	const struct protocol *protocol;
	struct mailbox *manager;
	struct poller *poller; /* NULL: there is none */
	unsigned group; /* its, and of its connections */
	int wanted_mode;
	/* The attempt before failed on the way: configuration and pipes are set
	 * up from the start. */
	bool anew;
	/* In force when the attempt began, a reference; newer ones come through
	 * scm_inbox.  NULL: no device is served by SCM. */
	struct scm_settings *scm;

	/* ---- Written by the reader before MSG_DEVICE_READY ---- */
	struct usb_phone phone;
	char name[96]; /* "device 7 (UDID)", for the log */

	/* ---- Messages that must not fail to be sent ---- */
	struct msg ready_msg, ended_msg, stop_msg;
	struct msg io_msg; /* in the reader's mailbox as long as io_posted */
	struct msg writer_stop_msg, writer_ended_msg;

	/* Settings that have changed since, for the reader. */
	struct scm_inbox scm_inbox;

	/* ---- Shared, each with its own rule ---- */
	struct mailbox reader_box;
	struct waker *reader_waker;
	struct baton reader_baton;
	/* The reader sleeps on its waker, not in its transport.  Relaxed: the
	 * mailbox orders it. */
	_Atomic bool reader_lends;
	_Atomic bool io_posted;
	/* Set once by the reader.  Release there, acquire in the wake
	 * function. */
	_Atomic(struct transport *) transport;
	struct mailbox writer_box;
	struct waker *writer_waker;
	struct baton writer_baton;
	struct credit write_credit; /* bus_weight()s at the transport */
	/* Payload that a frame should have at most, by the writer's measure of
	 * the bus; relaxed. */
	_Atomic uint32_t frame_payload;
	/* Frames that a connection should have on their way, as many as there are
	 * others; the same. */
	_Atomic uint32_t flow_frames;
	/* RSTs for strays that have not left; relaxed.  Added to by the reader,
	 * taken from by whoever is done with one. */
	_Atomic uint32_t replies;
	/* Routes that somebody has, of connections that have ended, too.  Relaxed:
	 * added to by the manager, who bounds it; taken from by whoever is the last
	 * to have one. */
	_Atomic uint32_t routes_alive;
	_Atomic bool writer_abort; /* set by the reader: throw away, and end */
	_Atomic int state; /* enum device_state; relaxed, for display */
	_Atomic int step;  /* enum usb_step; the same */
	struct device_stats stats;
	struct mux_state mux;
	struct scm_state *scm_state; /* what the other one keeps (scm_host.h) */

	/* ---- The writer's ---- */
	struct outbox outbox OWNED_BY(on_writer);

	/* ---- The reader's ---- */
	struct chunk_pool pool; /* chunk_put() from any thread */
	struct route_leaf *routes[ROUTE_LEAF] OWNED_BY(on_reader);
	uint32_t malformed_in_a_row OWNED_BY(on_reader);
	uint32_t stalls_in_a_row[USB_PIPES] OWNED_BY(on_reader);
	bool stopping OWNED_BY(on_reader);
	bool writer_running OWNED_BY(on_reader);
	/* The writer sleeps and waits for credit that has come back. */
	bool credit_back OWNED_BY(on_reader);
	/* The same of connections, the first that was told first. */
	struct route *credited OWNED_BY(on_reader);
	struct route **credited_end OWNED_BY(on_reader);
	/* While pollers watch the transport for it. */
	struct poller_watch *watches[DEVICE_WATCHES] OWNED_BY(on_reader);
	bool io OWNED_BY(on_reader); /* there is something to look at */
	/* A connection that has got so much payload while it slept and is still
	 * to be attended to, a reference; NULL: none.  Like those above it waits
	 * while the kernel keeps the reader waiting in the middle of a look. */
	struct client *fed OWNED_BY(on_reader);
	uint32_t fed_bytes OWNED_BY(on_reader);
	int waits_ms OWNED_BY(on_reader); /* so long in all... */
	struct moment waits_until OWNED_BY(on_reader); /* ...and until then */
	struct thread writer_thread OWNED_BY(on_reader);

	/* ---- Written by the reader before MSG_DEVICE_ENDED ---- */
	enum device_end end;
	struct cause ended;

	/* ---- The manager's ---- */
	struct thread reader_thread OWNED_BY(on_manager);
	bool shown OWNED_BY(on_manager); /* clients were told of it */
	struct moment ready_at OWNED_BY(on_manager);
	uint8_t ports_used[65536 / 8] OWNED_BY(on_manager);
	uint16_t last_port OWNED_BY(on_manager);
	uint32_t connections OWNED_BY(on_manager);
};

/* With one reference, the caller's; its reader is not running yet.  NULL when
 * memory or descriptors have run out. */
struct device *device_new(uint32_t id, struct usb_source *source,
    const struct usb_ident *ident, const struct protocol *protocol,
    struct mailbox *manager);
struct device *device_get(struct device *d);
void device_put(struct device *d);

static inline uint32_t
device_flow_frames(const struct device *d)
{
	return atomic_load_explicit(&d->flow_frames, memory_order_relaxed);
}

/* Source ports, unique among a device's live connections.  0: none is free. */
uint16_t device_take_port(struct device *d) RUNS_ON(on_manager);
void device_give_port(struct device *d, uint16_t port) RUNS_ON(on_manager);

/* Entry points of the two threads; `arg` is the device. */
void *reader_main(void *arg);
void *writer_main(void *arg);

/* Why the device ends; only the first reason counts. */
void reader_end(struct device *d, enum device_end end, const char *why)
    RUNS_ON(on_reader);

/* For mailbox_init(): wakes the reader wherever it sleeps, or acts for it. */
void reader_wake(void *device);

/* Gives a frame to the writer, or acts as the writer if it sleeps and its work
 * does not block.  False: the writer has ended, `m` is the caller's.  Any thread
 * with a reference. */
bool writer_post(struct device *d, struct msg *m);
/* The transport is done with so much of the write credit.  As tx.done(). */
void writer_give_credit(struct device *d, uint32_t n);
/* All that the transport had to say of frames has been heard: goes on for the
 * writer, if it sleeps and has waited for that. */
void writer_attend(struct device *d) RUNS_ON(on_reader);

#endif
