/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_PHONE_CONFIGFS_H
#define MUXD_PHONE_CONFIGFS_H

/*
 * A gadget as Linux' configfs knows it: a directory below usb_gadget with the
 * device's numbers and strings, its functions, its configurations, and the name
 * of the UDC (USB device controller) that it is bound to.
 *
 * Directories are called muxphone-1, muxphone-2 and so on.  Who has one holds a
 * lock on it; one that nobody holds was left behind by a process that has been
 * killed, and is taken over.
 *
 * Source: Documentation/usb/gadget_configfs.rst of the kernel.  Main thread;
 * functions block for as long as the kernel takes.
 */

#include "base/cause.h"
#include "phone/descriptors.h"

#define CONFIGFS_UDC_MAX 64 /* of a UDC's name */

struct configfs {
	int base_fd; /* usb_gadget */
	int fd;      /* the gadget's directory, locked; -1: there is none */
	char name[32];
};

/*
 * Makes the directory, with everything in it, for a device as `p` describes it:
 * configurations with settings have the function ffs.NAME, those without have
 * the kernel's Loopback.  0, or -1 and a cause; then nothing is left.
 */
int configfs_make(struct configfs *c, const struct desc_profile *p,
    struct cause *why);
/* Takes it away again, unbound if need be. */
void configfs_remove(struct configfs *c);

/*
 * Shows the device to the host at the UDC `wanted`, or, when that is empty, at
 * the first one that is free and can do `speed`, whose name is put into `got`.
 * Functions must be ready.  0, or -1 and a cause.
 */
int configfs_bind(struct configfs *c, const char *wanted,
    enum desc_speed speed, char got[CONFIGFS_UDC_MAX], struct cause *why);
/* Pulls the cable.  The kernel has told the functions when this returns. */
void configfs_unbind(struct configfs *c);

/* What the host has made of the device: "configured", for example, or "not
 * attached" (the kernel's usb_device_state). */
void configfs_udc_state(const char *udc, char *out, size_t size);

#endif
