/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb_local_rig.h"

#include <check.h>
#include <string.h>

#include "base/log.h"
#include "usb_trees.h"

const struct fake_spec local_rig_spec = { .bus = 1, .address = 7,
	.ports = { 2, 3 }, .port_count = 2, .vendor = 0x05ac,
	.product = 0x12a8, .speed = LIBUSB_SPEED_HIGH };
const struct usb_pipes local_rig_pipes = { .in = 0x85, .out = 0x04,
	.max_packet = 512 };

struct fake_device *device;
struct read_budget budget;
struct chunk_pool pool;
struct transport *t;

struct usb_ident
local_rig_ident(void)
{
	return (struct usb_ident){ .key = "1-2.3", .bus = 1, .address = 7 };
}

void
local_rig_setup(void)
{
	const struct usb_ident id = local_rig_ident();
	struct cause why;

	log_set_level(LOG_LEVEL_FATAL);
	device = fake_plug(&local_rig_spec);
	read_budget_init(&budget);
	chunk_pool_init(&pool, 16);
	ck_assert_int_eq(local_open(&budget, &id, &t, &why), USB_OK);
	ck_assert_int_eq(t->ops->claim(t, 1), USB_OK);
}

void
local_rig_setup_direct(void)
{
	show_trees();
	choose_direct();
	local_rig_setup();
}

void
local_rig_start(void)
{
	ck_assert_int_eq(t->ops->start(t, &local_rig_pipes, &pool), USB_OK);
}

void
local_rig_finish(void)
{
	struct fake_counts c;

	t->ops->stop(t);
	/* Who frees it does not wait for libusb; and may be late. */
	ck_assert_int_eq(fake_counts().contexts, 0);
	t->ops->interrupt(t);
	t->ops->free(t);
	chunk_pool_fini(&pool);
	c = fake_counts();
	hide_trees();
	ck_assert_int_eq(c.in_flight, 0);
	ck_assert_int_eq(c.transfers, 0);
	ck_assert_int_eq(c.handles, 0);
	ck_assert_int_eq(c.contexts, 0);
	ck_assert_int_eq(c.released, 1);
	ck_assert_int_eq(c.holes, 0);
	ck_assert_int_eq(atomic_load(&budget.left), READ_BUDGET);
}

void
local_rig_done(struct tx *tx, int error)
{
	struct frame *f = (struct frame *)tx;

	f->done++;
	f->error = error;
	if (f->finished != NULL)
		atomic_fetch_add(f->finished, 1);
}

void
local_rig_frame(struct frame *f, uint32_t number, uint32_t len, bool zlp)
{
	memset(f, 0, sizeof *f);
	f->tx.done = local_rig_done;
	f->tx.data = f->bytes;
	f->tx.offset = 8;
	f->tx.len = len;
	f->tx.zlp = zlp;
	for (int i = 0; i < 4; i++)
		f->bytes[8 + i] = (uint8_t)(number >> 8 * i);
}
