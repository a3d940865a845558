/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_TESTS_USBIP_TWO_H
#define MUXD_TESTS_USBIP_TWO_H

/* What most tests of the server engine have: a server with one device, and
 * another that they may plug in. */

#include "usbip_rig.h"

extern struct rig rig;
extern struct rig_device one, two; /* 3-1, which is there, and 3-2 */

/* Fixtures. */
void two_setup(void);
void two_teardown(void);

#endif
