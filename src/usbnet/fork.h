/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_FORK_H
#define MUXD_USBNET_FORK_H

/*
 * After a fork two processes would share every connection.  The parent keeps
 * them; in the child what was open is lost, as if the devices had left, while
 * contexts and devices stay good, and connect anew when they are used.
 */

#include "usbnet/context.h"

/* Has it happen at each fork from now on. */
void un_fork_watch(void);

/* All contexts, for fork.c alone. */
void un_contexts_lock(void);
void un_contexts_unlock(void);
struct libusb_context *un_contexts_first(void);

#endif
