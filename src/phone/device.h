/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_DEVICE_H
#define MUXD_PHONE_DEVICE_H

/*
 * A USB device that exists in software only, and the contract with what it is:
 * its kind.
 *
 * Every device does here what USB's chapter 9 has all devices do: standard
 * requests, configurations and alternate settings, halts, URBs that wait on
 * their endpoints, and what testers do to it (hang, stall, slow, halt).  The
 * kind has the descriptors, as tables; requests of its class or vendor; and
 * what becomes of a transfer.
 *
 * A URB that the device owns is in the queue of its endpoint; everything else
 * has been completed.  URBs are completed with usbip_urb_complete(), which
 * never blocks.
 *
 * Belongs to one gadget; its lock is held around every call.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/clock.h"
#include "phone/descriptors.h"
#include "phone/identity.h"
#include "usbip/urb.h"

#define DEVICE_ENDPOINTS 32 /* 16 numbers, OUT and IN */
#define DEVICE_INTERFACES 8

struct json;
struct pollfd;
struct usbip_description;

/* ---- What a kind of device is ------------------------------------------- */

struct setup {
	uint8_t type, request;
	uint16_t value, index, length;
};

/* bmRequestType and bRequest as one number, for tables of requests. */
#define SETUP_CODE(type, request) ((type) << 8 | (request))
static inline unsigned
setup_code(const struct setup *s)
{
	return (unsigned)SETUP_CODE(s->type, s->request);
}

#define DEVICE_STALL (-1)

struct endpoint {
	uint8_t address;
	uint8_t transfer; /* enum desc_transfer; 0: not at the moment */
	uint8_t interval; /* bInterval */
	uint16_t packet;  /* wMaxPacketSize */
	const struct desc_interface *setting; /* whose it is */
	bool halted;
	struct usbip_urb *first, *last; /* waiting, in the order of arrival */
	/* Bytes of the first that have been moved already, for kinds that serve
	 * transfers in part. */
	uint32_t progress;
	/* OUT, with a wire that takes time: the first has crossed it, and the
	 * device has not taken it yet. */
	bool carried;
};

static inline bool
endpoint_is_in(const struct endpoint *e)
{
	return (e->address & 0x80) != 0;
}

/* How a transfer has ended. */
struct outcome {
	int status; /* enum usbip_errno; USBIP_EPIPE also halts the endpoint */
	uint32_t actual;
};

struct device;

struct kind {
	const char *name;
	size_t size; /* of its structure, whose first member is struct device */
	/* The endpoints that a tester means by "in" and "out"; 0: none. */
	uint8_t main_in, main_out;

	/* What the options may change, in a structure that is all zeros.  May
	 * be NULL. */
	void (*defaults)(struct device *d);
	/* One option, that is none of those that all kinds have; `value` is
	 * NULL when there is none.  May be NULL: there are no others.  0, or -1
	 * and a cause. */
	int (*option)(struct device *d, const char *name, const char *value,
	    struct cause *why);
	/* After the options, with profile.speed and id set: sets
	 * profile.device, and whatever lasts as long as the device.  0, or -1
	 * and a cause. */
	int (*init)(struct device *d, struct cause *why);
	/* May be NULL. */
	void (*fini)(struct device *d);

	/* It is about to be plugged in: by itself after `leaving`, or by
	 * somebody.  May be NULL. */
	void (*arrive)(struct device *d, bool by_itself);
	/* A new beginning: a configuration is about to be set, or taken away.
	 * Nothing waits on any endpoint but 0.  May be NULL. */
	void (*reset)(struct device *d);
	/* The host has reset it; reset() has been called.  May be NULL. */
	void (*bus_reset)(struct device *d);
	/* The host clears a halt; e->halted tells whether there is one.  May
	 * be NULL. */
	void (*clear)(struct device *d, struct endpoint *e);

	/*
	 * A request that is not one of USB's standard ones for all devices; to
	 * an interface only when it is there.  IN: puts at most `len` bytes
	 * into `data`, and returns how many (see device_answer()).  OUT: `len`
	 * bytes are there; returns 0.  In both cases DEVICE_STALL is a refusal.
	 * May be NULL: there are none.
	 */
	int (*control)(struct device *d, const struct setup *s, uint8_t *data,
	    size_t len);
	/*
	 * Does what can be done for the first transfer on an endpoint that is
	 * neither halted nor 0.  True: it has ended, as `out` tells (which is 0
	 * and 0 before).  False: it goes on waiting; the kind may have moved a
	 * part of it, told in e->progress, and has called device_wait() when
	 * only time is lacking.  May be NULL: there are no endpoints but 0.
	 */
	bool (*serve)(struct device *d, struct endpoint *e,
	    struct usbip_urb *urb, struct outcome *out);

	/*
	 * Descriptors of its own, for which the main thread polls.  watch()
	 * fills at most `descriptors` elements, says how many, and moves
	 * *until to when it wants to be called at the latest; watched() is
	 * told what was found in them, or nothing but that time has passed,
	 * and the device is pumped then.  Both on the main thread.  May be
	 * NULL and 0: there are none.
	 */
	unsigned descriptors;
	unsigned (*watch)(struct device *d, struct pollfd *pfd,
	    struct moment *until);
	void (*watched)(struct device *d, const struct pollfd *pfd,
	    unsigned count);
	/* A command of the control socket that begins with the kind's name:
	 * the words behind the device's number, which it may change.  Writes
	 * exactly one value; the device is pumped then.  Main thread.  May be
	 * NULL: there are none. */
	void (*command)(struct device *d, char **word, int count,
	    struct json *j);

	/* Members of the object that is open: how it is (may be NULL); what it
	 * has counted, with `more` in every detail. */
	void (*describe)(const struct device *d, struct json *j);
	void (*report)(const struct device *d, struct json *j, bool more);
	/* What the host did that it must not.  May be NULL. */
	uint64_t (*violations)(const struct device *d);
};

/* ---- Device ------------------------------------------------------------- */

/*
 * What carries transfers between host and device, so many bytes a second and one
 * transfer after another (device_wire.c).  A transfer ends when its last byte
 * has crossed; an IN transfer is filled when it begins, an OUT transfer is the
 * device's when it ends.
 */
struct wire {
	uint64_t rate; /* 0: it takes no time */
	struct endpoint *busy; /* whose first transfer it carries, or NULL */
	struct moment end;     /* until when it is in use */
	struct outcome outcome; /* IN: of that transfer */
	unsigned last;         /* endpoint that had it last: the others first */
};

struct device {
	const struct kind *kind;
	struct identity id;
	struct desc_profile profile;
	/* It comes to the bus in the first configuration, as a device does that
	 * a host has seen already; otherwise in none. */
	bool configured;

	uint8_t configuration; /* bConfigurationValue; 0: unconfigured */
	uint8_t alternate[DEVICE_INTERFACES];
	struct endpoint ep[DEVICE_ENDPOINTS];

	uint64_t resets; /* by the host */
	/* What testers do to it.  Neither ends anything: it waits. */
	bool hung;    /* answers nothing, not even control requests */
	bool stalled; /* no endpoint but 0 moves anything */
	/* OUT and IN; `half_duplex`: the first is for both. */
	struct wire wires[2];
	bool half_duplex;
	struct moment at; /* the moment that the wires have come to */
	/* When device_pump() is due though nothing happens. */
	struct moment due;
	/* It is to leave the bus and to come back: its kind's wish. */
	bool leaving;
	/* watch() would say something else than it did: so it is asked again. */
	bool watch_again;
};

/*
 * A device of that kind, which takes over a copy of `id`; `options` is what
 * --device says behind the kind's name (cut into pieces here), or NULL.  NULL
 * and a cause when an option is wrong or memory has run out.
 */
struct device *device_new(const struct kind *kind, const struct identity *id,
    enum desc_speed speed, char *options, struct cause *why);
/* When no URB waits. */
void device_free(struct device *d);

/* As it is when it has just come to the bus: no configuration, no session.
 * What still waits is completed with USBIP_ESHUTDOWN. */
void device_restart(struct device *d);

/* Another speed of the wires, from now on. */
void device_pace(struct device *d, uint64_t bytes_per_second,
    bool half_duplex);

/* Takes the URB: completes it at once, or when its turn comes. */
void device_submit(struct device *d, struct usbip_urb *urb);
/* Completes it with USBIP_ECONNRESET, unless it has been completed. */
void device_cancel(struct device *d, struct usbip_urb *urb);

/* Moves what can be moved. */
void device_pump(struct device *d);

/* A tester's doings; each lets go what it held up. */
void device_hang(struct device *d, bool on);
void device_stall(struct device *d, bool on);
void device_slow(struct device *d, uint64_t bytes_per_second);
/* Halts an endpoint as a device does that has met an error: until the host
 * clears it.  False: it is not there. */
bool device_halt(struct device *d, uint8_t address);
/* What the host's CLEAR_FEATURE does to an endpoint that is there. */
void device_clear_halt(struct device *d, uint8_t address);

/* ---- device_info.c ------------------------------------------------------ */

/* What the device tells of its place and kind, for DEVLIST and IMPORT. */
void device_describe(const struct device *d, uint8_t address,
    struct usbip_description *out);

/* Room for all descriptors of any device here. */
#define DEVICE_INFO_MAX 8192

/* Records for usbip_description.info: all descriptors that can be asked for,
 * but those of other speeds.  How many bytes. */
size_t device_info(const struct device *d, uint8_t out[DEVICE_INFO_MAX]);

/* ---- For kinds ---------------------------------------------------------- */

/* Cuts an answer of `n` bytes to the `len` that control() may give. */
int device_answer(uint8_t *data, size_t len, const void *bytes, size_t n);

/* serve(): pump again then. */
static inline void
device_wait(struct device *d, struct moment until)
{
	d->due = moment_earlier(d->due, until);
}

/* ---- device_control.c --------------------------------------------------- */

/* Carries out the request on endpoint 0 and completes its URB. */
void device_control(struct device *d, struct usbip_urb *urb);

/* ---- device.c, for device_wire.c ---------------------------------------- */

/* Completes the first, which halts the endpoint if it is a stall. */
void device_end_first(struct device *d, struct endpoint *e,
    const struct outcome *end);
/* Lets the device do what it can for the first; false: it goes on waiting. */
bool device_serve_first(struct device *d, struct endpoint *e);

/* ---- device_wire.c ------------------------------------------------------ */

static inline bool
device_is_paced(const struct device *d)
{
	return (d->wires[0].rate | d->wires[1].rate) != 0;
}

/* The endpoint's transfers cross a wire that takes time. */
bool wire_carries(const struct device *d, const struct endpoint *e);
/* Does what has happened on the wires until now, and begins what can begin. */
void wires_pump(struct device *d);
/* What is on them arrives now: they are about to stand still. */
void wires_settle(struct device *d);
/* The endpoint's first transfer is taken away.  True, and its outcome: but for
 * the time it has crossed. */
bool wires_take_off(struct device *d, struct endpoint *e,
    struct outcome *end);

/* ---- device.c, for device_control.c ------------------------------------- */

static inline unsigned
device_endpoint_index(uint8_t address)
{
	const unsigned number = address & 15;

	return number == 0 || (address & 0x80) == 0 ? number : number + 16;
}

/* Ends everything but control requests and takes over the configuration (0:
 * none), with all interfaces at setting 0. */
void device_configure(struct device *d, uint8_t value);
/* Takes over an alternate setting that exists. */
void device_select(struct device *d, const struct desc_interface *setting);
/* Completes what waits on the endpoint. */
void device_flush(struct device *d, unsigned index, int status);

#endif
