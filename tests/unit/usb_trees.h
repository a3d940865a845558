/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_USB_TREES_H
#define TESTS_UNIT_USB_TREES_H

/* The stand-in's devices as src/usb/sysfs.c sees them. */

#include <stdbool.h>

/* Whether devices can be opened directly here. */
bool can_open_directly(void);

/* From now on they are seen there. */
void show_trees(void);
/* And are opened directly; a source chooses that by itself. */
void choose_direct(void);
/* Ends that, and wants every file of theirs to be closed. */
void hide_trees(void);

#endif
