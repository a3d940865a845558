/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link to a USB/IP server: the importer, whose receiver is whoever has the
 * link's lock. */

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "usbnet/context.h"
#include "usbnet/device.h"
#include "usbnet/devices.h"
#include "usbnet/link.h"

/* There is nothing to wait on for the end of a reset. */
#define BUSY_AGAIN_MS 100

struct link_usbip {
	struct un_link link; /* first */
	struct importer imp;
};

static struct importer *
importer_of(struct un_link *l)
{
	return &((struct link_usbip *)l)->imp;
}

/* Slots that are left to endpoint 0: so that a program whose transfers wait for
 * data that does not come may still ask the device something. */
#define CONTROL_SLOTS 16

static bool
has_room(const struct importer *imp, const struct importer_urb *urb)
{
	/* Relaxed: it only changes under the link's lock. */
	return urb->endpoint == 0 ||
	    atomic_load_explicit(&imp->in_flight, memory_order_relaxed) <
	    IMPORTER_URBS_MAX - CONTROL_SLOTS;
}

static bool
do_submit(struct un_link *l, struct importer_urb *urb, bool more)
{
	struct importer *imp = importer_of(l);

	if (!has_room(imp, urb))
		return false;
	importer_cork(imp, more);
	return importer_submit(imp, &urb, 1, false);
}

static void
do_flush(struct un_link *l)
{
	importer_cork(importer_of(l), false);
}

static void
do_unlink(struct un_link *l, struct importer_urb *urb)
{
	importer_unlink(importer_of(l), urb);
}

static bool
do_work(struct un_link *l)
{
	return importer_work(importer_of(l));
}

/* All under the link's lock, so there is one sender. */
static uint64_t
do_moved(struct un_link *l)
{
	const struct importer *imp = importer_of(l);

	return imp->sent + imp->received;
}

static bool
do_ready(struct un_link *l)
{
	return importer_is_ready(importer_of(l));
}

static short
do_events(struct un_link *l)
{
	return importer_events(importer_of(l));
}

/* How long a server may take to notice that we have left: a way there and back.
 * A program that opens the device again at once finds it free; so it is with a
 * local one, too. */
#define LEAVE_MS 500

static void
do_leave(struct un_link *l)
{
	importer_leave(importer_of(l), LEAVE_MS);
}

static void
do_abort(struct un_link *l)
{
	importer_abort(importer_of(l));
}

static void
do_drop(struct un_link *l)
{
	importer_drop(importer_of(l));
}

static void
do_free(struct un_link *l)
{
	importer_fini(importer_of(l));
	free(l);
}

static const struct un_link_ops ops = {
	.submit = do_submit,
	.flush = do_flush,
	.unlink = do_unlink,
	.work = do_work,
	.moved = do_moved,
	.ready = do_ready,
	.events = do_events,
	.leave = do_leave,
	.abort = do_abort,
	.drop = do_drop,
	.free = do_free,
};

/* What the server's refusal is to a program.  A server that cannot be reached
 * has no device any more, whatever its last list said. */
static int
error_of_status(uint32_t status)
{
	switch (status) {
	case USBIP_ST_DEV_BUSY:
		return LIBUSB_ERROR_BUSY;
	case USBIP_ST_NODEV:
	case USBIP_ST_OK: /* none came */
		return LIBUSB_ERROR_NO_DEVICE;
	default:
		return LIBUSB_ERROR_IO;
	}
}

/* The socket, or -1.  What we have just closed may still be busy with that. */
static int
attach(struct libusb_device *dev, struct usbip_device_entry *entry,
    uint32_t *status, struct cause *why)
{
	const int timeout_ms = dev->ctx->timeout_ms;
	const struct moment limit = moment_after_ms(clock_now(), timeout_ms);
	bool again;
	int fd;

	for (;;) {
		fd = importer_attach(un_device_server(dev), dev->busid,
		    timeout_ms, entry, status, why);
		if (fd >= 0 || *status != USBIP_ST_DEV_BUSY)
			return fd;
		pthread_mutex_lock(&dev->ctx->lock);
		again = un_device_may_reset(dev);
		pthread_mutex_unlock(&dev->ctx->lock);
		if (!again || !moment_before(clock_now(), limit))
			return -1;
		poll(NULL, 0, BUSY_AGAIN_MS);
	}
}

int
un_link_open_usbip(struct libusb_device *dev, struct un_link **out)
{
	struct usbip_device_entry entry;
	struct link_usbip *l;
	struct cause why;
	uint32_t status;
	int fd;

	fd = attach(dev, &entry, &status, &why);
	if (fd < 0) {
		un_log(dev->ctx, LIBUSB_LOG_LEVEL_ERROR, "%s", why.text);
		return error_of_status(status);
	}
	l = calloc(1, sizeof *l);
	if (l == NULL) {
		close(fd);
		return LIBUSB_ERROR_NO_MEM;
	}
	un_device_set_configuration(dev, entry.configuration);
	un_link_init(&l->link, &ops, dev, fd);
	importer_init(&l->imp, fd, usbip_devid(entry.bus, entry.address),
	    dev->ctx->waker);
	*out = &l->link;
	return 0;
}
