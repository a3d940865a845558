/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_DEVICE_H
#define MUXD_PHONE_DEVICE_H

/*
 * The phone as a USB device: endpoints with the URBs that wait on them,
 * configurations, control requests, and the pump between the mux endpoints and
 * the mux.
 *
 * A URB that the device owns is in the queue of its endpoint; everything else
 * has been completed.  URBs are completed with usbip_urb_complete(), which
 * never blocks.
 *
 * Belongs to one phone; its lock is held around every call.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "phone/descriptors.h"
#include "phone/frame.h"
#include "phone/identity.h"
#include "phone/mux.h"
#include "phone/strict.h"
#include "usbip/server.h"

#define DEVICE_ENDPOINTS 32 /* 16 numbers, OUT and IN */
#define DEVICE_INTERFACES 8

struct endpoint {
	uint8_t kind; /* enum desc_transfer; 0: not in this configuration */
	uint8_t interface;
	bool mux; /* of the pair that carries the mux protocol */
	bool halted;
	struct usbip_urb *first, *last; /* waiting, in the order of arrival */
};

/* So many bytes a second, one transfer after another. */
struct pace {
	uint64_t rate; /* 0: as fast as it goes */
	struct moment free_at;
};

struct device {
	const struct identity *id;
	struct strict strict;
	struct mux mux;
	struct frame frame;

	struct desc_profile profile;
	uint8_t configuration; /* bConfigurationValue; 0: unconfigured */
	uint8_t alternate[DEVICE_INTERFACES];
	struct endpoint ep[DEVICE_ENDPOINTS];

	uint64_t resets; /* by the host */
	/* What testers do to it.  Neither ends anything: it waits. */
	bool hung;    /* answers nothing, not even control requests */
	bool stalled; /* the mux endpoints move nothing */
	struct pace out, in;
	/* When device_pump() is due though nothing happens. */
	struct moment due;
	/* SET_MODE, or a reset that ends a mode, has been heard: the phone is to
	 * leave the bus and to come back in this mode.  0: no. */
	unsigned next_mode;
};

/* `id` must outlive it. */
void device_init(struct device *d, const struct identity *id,
    enum desc_speed speed);
/* When no URB waits. */
void device_fini(struct device *d);

/* As it is when it has just come to the bus: unconfigured, no session.  What
 * still waits is completed with USBIP_ESHUTDOWN. */
void device_restart(struct device *d);

/* Takes the URB: completes it at once, or when its turn comes. */
void device_submit(struct device *d, struct usbip_urb *urb);
/* Completes it with USBIP_ECONNRESET, unless it has been completed.  A URB that
 * still waits has moved nothing: transfers are not served in part. */
void device_cancel(struct device *d, struct usbip_urb *urb);

/* Moves what can be moved between the mux endpoints and the mux. */
void device_pump(struct device *d);

/* A tester's doings; each lets go what it held up. */
void device_hang(struct device *d, bool on);
void device_stall(struct device *d, bool on);
void device_slow(struct device *d, uint64_t bytes_per_second);
/* Halts a mux endpoint as a device does that has met an error: until the host
 * clears it.  False: it is not there. */
bool device_halt(struct device *d, bool in);

/* What the device tells of its place and kind, for DEVLIST and IMPORT. */
void device_describe(const struct device *d, uint8_t address,
    struct usbip_description *out);

/* ---- device_control.c --------------------------------------------------- */

/* Carries out the request on endpoint 0 and completes its URB. */
void device_control(struct device *d, struct usbip_urb *urb);

/* ---- device.c, for device_control.c ------------------------------------- */

static inline unsigned
device_endpoint_index(uint8_t address)
{
	const unsigned number = address & 15;

	return number == 0 || (address & 0x80) == 0 ? number : number + 16;
}

/* Ends everything but control requests and takes over the configuration (of
 * the current mode; 0: none), with all interfaces at setting 0.  The session
 * of the mux ends. */
void device_configure(struct device *d, uint8_t value);
/* Takes over an alternate setting that exists. */
void device_select(struct device *d, const struct desc_interface *setting);
/* Completes what waits on the endpoint. */
void device_flush(struct device *d, unsigned index, int status);

#endif
