/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_BRINGUP_H
#define MUXD_USB_BRINGUP_H

/*
 * From an opened transport to a claimed interface: of a phone's mux by mode,
 * configuration, claim, serial number; another one by serial number,
 * configuration, claim.  Every step has a time limit; a step that fails ends
 * the attempt with a sentence that names the step.
 */

#include "base/cause.h"
#include "usb/descriptors.h"
#include "usb/transport.h"

/* The steps, in the order in which they happen; for log and muxctl. */
enum usb_step {
	USB_STEP_OPEN,
	USB_STEP_MODE,
	USB_STEP_CONFIGURATION,
	USB_STEP_CLAIM,
	USB_STEP_SERIAL,
	USB_STEP_START,
};
const char *usb_step_name(enum usb_step step);

#define USB_SERIAL_MAX 64

/* What the daemon needs to know of a device that is ready to talk. */
struct usb_phone {
	char udid[USB_SERIAL_MAX]; /* as shown: a hyphen after the 8th of 24 */
	struct usb_pipes pipes;
	uint8_t configuration;
	uint8_t interface;
	uint8_t mode; /* 1..5 as guessed from the descriptors; 0 unknown */
};

/* Hears of each step before it is taken.  Reader's thread. */
typedef void usb_step_hook(void *arg, enum usb_step step);

/*
 * Brings `t` up to USB_STEP_SERIAL; the caller then calls start().  `wanted_mode`
 * is 1..5 (USBMUXD_DEFAULT_DEVICE_MODE), 0 for "leave it".  `anew` sets the
 * configuration even if it is that already, which the system may believe of a
 * device that has forgotten it.  USB_OK, or a
 * usb_error and a cause.  USB_ERROR_GONE with a cause that says so is also what
 * a device gives that was told to change its mode: it comes back by itself.
 * Reader's thread.
 */
int usb_bring_up(struct transport *t, const struct usb_ident *ident,
    int wanted_mode, bool anew, usb_step_hook *hook, void *hook_arg,
    struct usb_phone *out, struct cause *why);

/*
 * The same for an interface that `fits`, in the configuration that is set, or if
 * that has none, in the first that has one.  `fits` is asked when out->udid is
 * known: the serial number, or "" of a device without one.
 */
int usb_bring_up_function(struct transport *t, const struct usb_ident *ident,
    usb_class_fits *fits, void *arg, bool anew, usb_step_hook *hook,
    void *hook_arg, struct usb_phone *out, struct cause *why);

#endif
