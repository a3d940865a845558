/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link to a device in this process. */

#include <poll.h>
#include <stdlib.h>

#include "usbnet/bus_virtual.h"
#include "usbnet/devices.h"
#include "usbnet/link.h"
#include "usbnet/virtual.h"

struct link_virtual {
	struct un_link link; /* first */
	const struct virtual_ops *v;
	struct virtual_open *open;
};

static struct link_virtual *
self(struct un_link *l)
{
	return (struct link_virtual *)l;
}

static bool
do_submit(struct un_link *l, struct importer_urb *urb, bool more)
{
	(void)more; /* a hand-over costs no system call while they are busy */
	self(l)->v->submit(self(l)->open, urb);
	return true;
}

static void
do_nothing(struct un_link *l)
{
	(void)l;
}

static void
do_unlink(struct un_link *l, struct importer_urb *urb)
{
	self(l)->v->unlink(self(l)->open, urb);
}

static bool
do_work(struct un_link *l)
{
	return self(l)->v->work(self(l)->open);
}

static uint64_t
do_moved(struct un_link *l)
{
	return self(l)->v->moved(self(l)->open);
}

static bool
do_ready(struct un_link *l)
{
	return self(l)->v->ready(self(l)->open);
}

static short
do_events(struct un_link *l)
{
	(void)l;
	return POLLIN;
}

static void
do_attend(struct un_link *l, bool on)
{
	self(l)->v->attend(self(l)->open, on);
}

static void
do_abort(struct un_link *l)
{
	self(l)->v->abort(self(l)->open);
}

static void
do_drop(struct un_link *l)
{
	self(l)->v->drop(self(l)->open);
}

static void
do_free(struct un_link *l)
{
	self(l)->v->free(self(l)->open);
	free(l);
}

static const struct un_link_ops ops = {
	.submit = do_submit,
	.flush = do_nothing,
	.unlink = do_unlink,
	.work = do_work,
	.moved = do_moved,
	.ready = do_ready,
	.events = do_events,
	.attend = do_attend,
	.leave = do_nothing,
	.abort = do_abort,
	.drop = do_drop,
	.free = do_free,
};

int
un_link_open_virtual(struct libusb_device *dev, struct un_link **out)
{
	const struct virtual_ops *v = un_virtual();
	struct link_virtual *l = calloc(1, sizeof *l);

	if (l == NULL)
		return LIBUSB_ERROR_NO_MEM;
	l->v = v;
	l->open = v->open(&dev->entry, dev->ctx->waker);
	if (l->open == NULL) {
		free(l);
		return LIBUSB_ERROR_NO_DEVICE;
	}
	un_device_set_configuration(dev, v->configuration(l->open));
	un_link_init(&l->link, &ops, dev, v->fd(l->open));
	*out = &l->link;
	return 0;
}
