/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_TRANSPORT_H
#define MUXD_USB_TRANSPORT_H

/*
 * How bytes reach a device: the contract between the daemon and whatever
 * carries USB.  Two things implement it, the local USB (libusb) and a USB/IP
 * server; the daemon cannot tell them apart.
 *
 * A `struct usb_source` is a place where devices come and go; its monitor
 * thread runs source->ops->run().  A `struct transport` is one opened device.
 * Two threads use a transport: the device's reader, which does the bring-up,
 * then reads (or lets others look), and in whose calls every completion is
 * delivered; and whoever acts as the device's writer, one at a time, which only
 * calls write().
 */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/chunk.h"
#include "actor/mailbox.h"
#include "base/cause.h"

/* Results of transport calls; 0 and above is success. */
enum usb_error {
	USB_OK = 0,
	USB_ERROR_TIMEOUT = -1,     /* the time limit of the call is over */
	USB_ERROR_STALL = -2,       /* the endpoint or request is halted */
	USB_ERROR_GONE = -3,        /* unplugged, or the server closed */
	USB_ERROR_IO = -4,          /* anything else on the bus */
	USB_ERROR_BUSY = -5,        /* someone else holds it */
	USB_ERROR_ACCESS = -6,      /* no permission */
	USB_ERROR_NO_MEM = -7,      /* memory or descriptors have run out */
	USB_ERROR_UNSUPPORTED = -8, /* this source cannot do that */
	USB_ERROR_OVERFLOW = -9,    /* the device sent more than was asked */
	/* Another program has reset it, or set a configuration: it is there,
	 * but no longer ours, and has forgotten whatever it was told. */
	USB_ERROR_TAKEN = -10,
};

/* Words for a log line. */
const char *usb_error_text(int error);

/* Bits per second, as clients are told. */
enum usb_speed {
	USB_SPEED_UNKNOWN,
	USB_SPEED_LOW,
	USB_SPEED_FULL,
	USB_SPEED_HIGH,
	USB_SPEED_SUPER,
	USB_SPEED_SUPER_PLUS,
};
uint64_t usb_speed_bits(enum usb_speed speed);

#define USB_PORTS_MAX 7

/* What an interface is: bInterfaceClass and the two behind it. */
struct usb_class {
	uint8_t base, sub, protocol;
};
/* Interfaces of a device that are looked at, all its configurations together;
 * the largest compound devices have about a dozen. */
#define USB_CLASSES_MAX 32

/* What a source knows of a device before anybody opens it. */
struct usb_ident {
	char key[64]; /* names it within its source: bus and port, or busid */
	uint8_t bus;
	uint8_t address;
	uint8_t ports[USB_PORTS_MAX]; /* chain of hub ports from the root */
	uint8_t port_count;
	uint8_t configurations; /* bNumConfigurations */
	uint16_t vendor;
	uint16_t product;
	uint16_t release; /* bcdDevice */
	enum usb_speed speed;
	/* Its interfaces, as far as the source is told: a USB/IP server names
	 * those of the configuration that is set.  Of phones, none. */
	uint8_t class_count;
	struct usb_class classes[USB_CLASSES_MAX];
};

/*
 * LocationID: one byte of bus, then a nibble for each hub port, as Apple's own
 * does it; the same for every phone that is ever put into that port.
 */
uint32_t usb_location(const struct usb_ident *ident);

/*
 * One frame to be written, in one buffer with its payload.  Whoever makes it
 * owns it until transport write(); then the transport does, until it calls
 * `done`, once, on the reader's thread or whichever acts as the reader (or on that
 * which called write(), when it fails at once), with 0 or a usb_error.  done() must not block.
 */
struct tx {
	struct msg msg; /* for the way to the writer */
	void (*done)(struct tx *tx, int error);
	void *transport_private; /* the transport's, while it owns the frame */
	uint32_t offset; /* where the frame begins in `data` */
	uint32_t len;    /* its length in bytes, at least 1 */
	bool zlp;        /* follow it with a zero-length packet */
	bool interrupt;  /* by the interrupt OUT endpoint, which the device has */
	uint8_t *data;
};

struct usb_setup_packet {
	uint8_t request_type;
	uint8_t request;
	uint16_t value;
	uint16_t index;
	uint16_t length;
};

/* What start() is to serve: a bulk pair, and an interrupt pair if there is
 * one. */
struct usb_pipes {
	uint8_t in;          /* endpoint address, bit 7 set */
	uint8_t out;         /* endpoint address */
	uint16_t max_packet; /* of the OUT endpoint */
	uint8_t interrupt_in, interrupt_out; /* 0, both: none */
	uint16_t interrupt_in_packet, interrupt_out_packet;
	/* As a URB has them: frames, from high speed on microframes. */
	uint16_t interrupt_in_interval, interrupt_out_interval;
};
/* In struct chunk: which of them a read came by. */
enum usb_pipe {
	USB_PIPE_BULK,
	USB_PIPE_INTERRUPT,
};
#define USB_PIPES 2

struct transport {
	const struct transport_ops *ops;
	/* Gauges for `muxctl stats`; written by the transport, read by anyone.
	 * Relaxed. */
	_Atomic uint32_t reads_in_flight;
	_Atomic uint32_t writes_in_flight;
	/* Which pipe it was, when read() returns USB_ERROR_STALL.  Reader's
	 * thread. */
	enum usb_pipe stalled_pipe;
};

struct transport_ops {
	const char *name; /* "libusb", "usbip" */
	/* write() may block for as long as a peer likes, so only the writer's
	 * own thread calls it.  Otherwise it may be anyone who acts as the
	 * writer: it blocks at most while the system is busy with this device
	 * itself (a reset, a halt that is cleared). */
	bool write_blocks;

	/*
	 * Bring-up: on the reader's thread, before start().  Each may block
	 * it, `timeout_ms` at most where given, otherwise for about five
	 * seconds (what the operating system allows a configuration change).
	 */

	/* Data moves by the direction bit of `request_type`; `data` holds
	 * setup->length bytes.  Bytes moved, or a usb_error. */
	int (*control)(struct transport *t, const struct usb_setup_packet *setup,
	    void *data, unsigned timeout_ms);
	/* The current configuration's value (0: unconfigured), or an error. */
	int (*get_configuration)(struct transport *t);
	/* Detaches kernel drivers from the current configuration's interfaces
	 * (0 .. interfaces-1) first, where that is a thing. */
	int (*set_configuration)(struct transport *t, int value,
	    int interfaces);
	/* USB_ERROR_TAKEN also when the configuration is not (any more) the
	 * one that was last got or set; the same holds for start(). */
	int (*claim)(struct transport *t, int interface);
	int (*clear_halt)(struct transport *t, uint8_t endpoint);

	/*
	 * Resets the device.  It usually leaves and comes back: the transport
	 * is of no use afterwards and must be stopped.  Reader's thread.
	 */
	int (*reset)(struct transport *t);

	/*
	 * Starts several 16 KiB reads on the IN pipe, each into a chunk of
	 * `pool`.  How many is the transport's affair: fewer, down to one,
	 * when memory runs short.  And two of one packet on the interrupt IN
	 * endpoint.  Reader's thread.
	 */
	int (*start)(struct transport *t, const struct usb_pipes *pipes,
	    struct chunk_pool *pool);

	/*
	 * Waits for the next completed read, and delivers the completions of
	 * writes meanwhile.  1: *out is a chunk with `len` (0 .. CHUNK_SIZE)
	 * bytes at offset 0, now the caller's, and chunk->pipe says of which
	 * pipe (enum usb_pipe); reads come in the order of the bus.  0: interrupted, or `timeout_ms` (-1: none) are over; and, where
	 * write() does not block, writes have been completed.  Negative:
	 * a usb_error; after a STALL that pipe (t->stalled_pipe) has been
	 * cleared and reading may go on, all else is final.  USB_ERROR_TAKEN
	 * comes within a second, whether or not anything is sent.  Reader's
	 * thread.
	 *
	 * `out` NULL: the caller wants no more of the device for now.  Reads
	 * that complete meanwhile stay with the transport, none is started, and
	 * 0 is returned as soon as a write has been completed, too.
	 */
	int (*read)(struct transport *t, struct chunk **out, int timeout_ms);

	/*
	 * For readers that sleep elsewhere while others watch for them; each
	 * NULL where they cannot.  After start().
	 *
	 * watched: the descriptors that become ready (an edge, actor/poller.h)
	 * when look() has something to do; how many, `max` at most, or -1 when
	 * it cannot be said.  They stay the same until stop().  Reader's thread.
	 *
	 * look: as read(), but of what is there already, and never blocks.  1
	 * as there; 0: nothing more, until a descriptor says so; -1: read() is
	 * to be called, by the reader itself, because it may block.  Delivers
	 * completions of writes, too.  Whoever acts as the reader.
	 *
	 * patience: so many milliseconds after look() has found nothing read()
	 * is to be called in any case.  The same.
	 */
	int (*watched)(struct transport *t, struct pollfd *fds, int max);
	int (*look)(struct transport *t, struct chunk **out);
	int (*patience)(struct transport *t);

	/*
	 * Queues a frame behind those before it, with its zero-length packet
	 * if it asks for one, and returns; takes the frame in any case.  May
	 * block only while the operating system takes bytes (a socket's
	 * buffer), never for the device's answer.  How many frames may be in
	 * flight is the caller's affair; every transport has room for 200.  A
	 * frame that fails ends the transport: what follows it fails, too, and
	 * read() returns an error.  Whoever acts as the writer.
	 */
	void (*write)(struct transport *t, struct tx *tx);

	/* Makes a read() that waits, or the next one, return 0.  Any thread. */
	void (*interrupt)(struct transport *t);

	/*
	 * From now on a write() that blocks, and every later one, ends at once
	 * (its done() gets USB_ERROR_GONE), and read() returns
	 * USB_ERROR_GONE.  So that the reader can join a writer before stop().
	 * Any thread.
	 */
	void (*halt)(struct transport *t);

	/*
	 * Ends all transfers, calls every outstanding done() with
	 * USB_ERROR_GONE, and gives up the device.  Within a second, whatever
	 * the device does.  No write() may run or follow.  Reader's thread;
	 * once, also when start() was never called.
	 */
	void (*stop)(struct transport *t);

	/* Frees the transport, after stop(), which has let go of all that may take
	 * time: any thread may be the last to want it, one that others wait for,
	 * too. */
	void (*free)(struct transport *t);
};

/*
 * What a source tells the daemon, on the monitor's thread.  `ident` is only
 * lent.  A key that has arrived does not arrive again before it has left.
 */
struct usb_listener {
	void (*arrived)(struct usb_listener *l, const struct usb_ident *ident);
	void (*left)(struct usb_listener *l, const char *key);
	/* The source has a problem that is worth a line (server away), or is
	 * well again; it goes on trying by itself. */
	void (*trouble)(struct usb_listener *l, const char *text);
	/* Whether such a device is to be told of, beside phones; NULL: none is.
	 * May change between two looks.  */
	bool (*wanted)(struct usb_listener *l, const struct usb_ident *ident);
	/* A look at everything is over, and what it found has been told: the
	 * first one (`rescans` is 0), and each that answers a rescan().  It
	 * began after rescan() had been called `rescans` times in all.  A USB/IP
	 * source answers with what its server has told so far, and answers
	 * while its server is away, too. */
	void (*scanned)(struct usb_listener *l, uint32_t rescans);
};

struct usb_source {
	const struct usb_source_ops *ops;
	const char *name; /* for log lines and muxctl: "usb", "usbip HOST:PORT" */
};

struct usb_source_ops {
	/*
	 * Watches until quit(): reports each phone (vendor and product of
	 * usb_is_phone()) and each other device that is wanted() that is there,
	 * and then what comes and goes.  What is not wanted any more leaves.  The
	 * monitor's thread.  0, or -1 and a cause when watching is impossible
	 * for good.
	 */
	int (*run)(struct usb_source *s, struct usb_listener *listener,
	    struct cause *why);
	/* Looks again at once (for `-n`, where nothing is watched); scanned()
	 * tells when it has.  Any thread. */
	void (*rescan)(struct usb_source *s);
	/* Makes run() return soon.  Any thread. */
	void (*quit)(struct usb_source *s);
	/* Opens a device that this source has reported.  Blocks a second or
	 * two at most.  The device's reader thread; many may be in here at
	 * once.  A usb_error and a cause, or USB_OK and *out. */
	int (*open)(struct usb_source *s, const struct usb_ident *ident,
	    struct transport **out, struct cause *why);
	/* After run() has returned and all transports have been freed. */
	void (*free)(struct usb_source *s);
};

/* Vendor and product of a phone, tablet, watch, TV, bridge or restore device
 * (reference: usbmux facts, section 1). */
bool usb_is_phone(uint16_t vendor, uint16_t product);

/* Whether a source tells its listener of the device. */
bool usb_is_wanted(struct usb_listener *l, const struct usb_ident *ident);
/* One interface more; beyond USB_CLASSES_MAX they are not noted. */
void usb_ident_add_class(struct usb_ident *ident, struct usb_class c);

/* The two sources.  NULL and a cause on failure. */
struct usb_source *usb_source_libusb_new(bool hotplug, struct cause *why);
struct usb_source *usb_source_usbip_new(const char *address,
    struct cause *why);

#endif
