/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MUXD_USBNET_BUS_LIST_H
#define MUXD_USBNET_BUS_LIST_H

/*
 * An OP_REP_DEVLIST as it comes, in pieces of any size.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "wire/usbip.h"

/* The largest of the pieces that a list is made of. */
#define UN_LIST_PIECE (255 * USBIP_INTERFACE_SIZE)

struct un_list {
	enum un_list_stage {
		UN_LIST_HEAD,
		UN_LIST_DEVICE,
		UN_LIST_INTERFACES,
	} stage;
	uint8_t piece[UN_LIST_PIECE];
	size_t have, want;
	struct usbip_device_entry *entries; /* so far; owned */
	size_t count, total;
};

/* Ready for a list. */
void un_list_begin(struct un_list *l);
void un_list_fini(struct un_list *l);
/* Nothing of it has come yet. */
bool un_list_is_new(const struct un_list *l);

/*
 * Takes what it can use of `len` bytes; *used says how many.  1: `entries` are
 * all there.  0: more has to come.  -1: a cause.
 */
int un_list_take(struct un_list *l, const uint8_t *bytes, size_t len,
    size_t *used, struct cause *why);

#endif
