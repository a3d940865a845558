/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_SYSFS_H
#define MUXD_USB_SYSFS_H

/*
 * This host's USB devices as Linux shows them: each has a folder in /sys, named
 * as its ident's key is (BUS-PORT.PORT), and a file in /dev, by bus and address.
 *
 * What is read here the kernel knows; no device is asked, none but the one that
 * is meant is looked at, and nothing waits but for that one: while it is reset
 * or configured, where said.  Any thread.
 */

#include <stdbool.h>

#include "usb/transport.h"

/* Where they are; a test has them elsewhere. */
extern const char *sysfs_root; /* /sys/bus/usb/devices */
extern const char *sysfs_nodes; /* /dev/bus/usb */

/* The system shows its devices in this way. */
bool sysfs_exists(void);

/* The device is where its ident says, and no other in its place: that has
 * another address. */
bool sysfs_has(const struct usb_ident *ident);

/* Tells of every device but hubs at the root, as far as it can be read. */
void sysfs_each(void (*tell)(void *arg, const struct usb_ident *ident),
    void *arg);

/* The current configuration of the device with that key, 0: none, or a
 * usb_error.  Waits while the kernel configures or resets it. */
int sysfs_configuration(const char *key);

/* Opens the device's file for usbfs; the caller's descriptor, or a usb_error.
 * Waits while the kernel configures or resets it. */
int sysfs_open(const struct usb_ident *ident);

#endif
