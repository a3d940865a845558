/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/bus_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

_Static_assert(UN_LIST_PIECE >= USBIP_DEVICE_SIZE, "an entry is a piece");

static void
expect(struct un_list *l, enum un_list_stage stage, size_t want)
{
	l->stage = stage;
	l->have = 0;
	l->want = want;
}

void
un_list_begin(struct un_list *l)
{
	un_list_fini(l);
	expect(l, UN_LIST_HEAD, USBIP_DEVLIST_HEAD_SIZE);
}

void
un_list_fini(struct un_list *l)
{
	free(l->entries);
	l->entries = NULL;
	l->count = l->total = 0;
}

bool
un_list_is_new(const struct un_list *l)
{
	return l->stage == UN_LIST_HEAD && l->have == 0;
}

static int
next_device(struct un_list *l)
{
	if (l->count == l->total)
		return 1;
	expect(l, UN_LIST_DEVICE, USBIP_DEVICE_SIZE);
	return 0;
}

static int
take_head(struct un_list *l, struct cause *why)
{
	struct reader r = reader_over(l->piece + USBIP_OP_SIZE, 4);
	const size_t total = read_be32(&r);
	struct usbip_op op;

	usbip_op_decode(&op, l->piece);
	if (op.version != USBIP_VERSION || op.code != USBIP_REP_DEVLIST)
		return cause_set(why, "it speaks version %04x of USB/IP, not "
		    "%04x", op.version, USBIP_VERSION);
	if (op.status != USBIP_ST_OK)
		return cause_set(why, "it gives no list of devices: %s",
		    usbip_status_text(op.status));
	if (total > USBIP_DEVLIST_MAX)
		return cause_set(why, "it claims to have %zu devices", total);
	l->entries = calloc(total + 1, sizeof *l->entries);
	if (l->entries == NULL)
		return cause_set(why, "no memory for its %zu devices", total);
	l->total = total;
	return next_device(l);
}

static int
take_device(struct un_list *l)
{
	struct usbip_device_entry *e = &l->entries[l->count++];

	usbip_device_decode(e, l->piece);
	if (e->interface_count == 0)
		return next_device(l);
	expect(l, UN_LIST_INTERFACES,
	    (size_t)e->interface_count * USBIP_INTERFACE_SIZE);
	return 0;
}

static int
take_piece(struct un_list *l, struct cause *why)
{
	switch (l->stage) {
	case UN_LIST_HEAD:
		return take_head(l, why);
	case UN_LIST_DEVICE:
		return take_device(l);
	default:
		return next_device(l);
	}
}

int
un_list_take(struct un_list *l, const uint8_t *bytes, size_t len,
    size_t *used, struct cause *why)
{
	int rc = 0;

	*used = 0;
	while (rc == 0 && *used < len) {
		const size_t missing = l->want - l->have;
		const size_t n = len - *used < missing ? len - *used : missing;

		memcpy(l->piece + l->have, bytes + *used, n);
		*used += n;
		l->have += n;
		if (l->have == l->want)
			rc = take_piece(l, why);
	}
	return rc;
}
