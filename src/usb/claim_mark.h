/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_USB_CLAIM_MARK_H
#define MUXD_USB_CLAIM_MARK_H

/*
 * Whether a claimed interface has been ours without a break.
 *
 * Linux takes an interface from a program when another one resets the device
 * or sets a configuration, even the same one, and gives it back without a word
 * to the next transfer (usbfs, drivers/usb/core/devio.c: checkintf()).  What is
 * in flight meanwhile fails.  But when all of it had just been completed, nothing
 * does, and the device has forgotten a session that the program goes on with.
 *
 * What shows it is the link from the interface to its driver in /sys: it is made
 * when the interface is claimed, and another one, with another inode, when it
 * is claimed again.
 *
 * Belongs to whoever acts as the reader.
 */

#include <stdbool.h>
#include <stdint.h>

struct claim_mark {
	int folder;     /* the interface's, open; -1: none */
	uint64_t inode; /* 0: it cannot be told */
};

void claim_mark_init(struct claim_mark *m);
void claim_mark_fini(struct claim_mark *m);

/*
 * Remembers the claim as it is now.  `key` is the device's as the kernel names
 * it, BUS-PORT.PORT.
 */
void claim_mark_set(struct claim_mark *m, const char *key, int configuration,
    int interface);

/*
 * False: the interface was lost since, or is not claimed.  True where that
 * cannot be told.  A system call in which the kernel takes no lock of the device;
 * and the link goes before anything else happens to the device, when it is
 * reset, configured or unplugged (drivers/base/dd.c: driver_sysfs_remove()).
 */
bool claim_mark_holds(const struct claim_mark *m);

static inline bool
claim_mark_is_set(const struct claim_mark *m)
{
	return m->inode != 0;
}

#endif
