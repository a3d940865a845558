/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Events of FunctionFS, and requests on endpoint 0. */
#include "phone/udc_int.h"

#include <endian.h>
#include <errno.h>
#include <linux/usb/functionfs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cursor.h"
#include "base/log.h"
#include "phone/functionfs.h"

/* ---- Requests ----------------------------------------------------------- */

static bool
is_in(const struct control *c)
{
	return (c->urb.setup[0] & 0x80) != 0;
}

/* Moving data the wrong way is how FunctionFS is told to stall. */
static void
stall(const struct control *c)
{
	uint8_t nothing[1] = { 0 };

	if (is_in(c))
		(void)!read(c->udc->ep0_fd, nothing, 0);
	else
		(void)!write(c->udc->ep0_fd, nothing, 0);
}

/* The host may have given up, and have begun something else: then the kernel
 * refuses the answer, and there is nothing to do about it. */
static void
answer(const struct control *c)
{
	uint8_t nothing[1];

	if (is_in(c))
		(void)!write(c->udc->ep0_fd, c->buffer, c->actual);
	else if (c->urb.length == 0)
		(void)!read(c->udc->ep0_fd, nothing, 0);
	/* Data from the host have been acknowledged when they were read. */
}

/*
 * Hosts give up after a second or more, of which nobody tells.  An answer that
 * comes later (the device was hung) would wait in the kernel for the host's next
 * request, and this thread with it; a refusal waits for nobody.
 */
#define LATE_MS 1000

static bool
is_late(const struct control *c)
{
	return moment_ms_between(c->since, clock_now()) >= LATE_MS;
}

void
udc_control_done(struct control *c)
{
	c->pending = false;
	if (c->status == USBIP_OK && !is_late(c))
		answer(c);
	else if (is_in(c) || c->urb.length == 0)
		stall(c);
}

/* From the device, on any thread. */
static void
complete(struct usbip_urb *urb, int status, uint32_t actual)
{
	struct control *c = (struct control *)urb; /* its first member */

	c->status = status;
	c->actual = actual;
	mailbox_post(&c->udc->done, &urb->msg);
}

const struct usbip_urb_host udc_control_host = { .complete = complete };

/* False: the host has taken back what it had sent. */
static bool
read_data(struct control *c)
{
	size_t have = 0;
	ssize_t n;

	if (is_in(c))
		return true;
	while (have < c->urb.length) {
		n = read(c->udc->ep0_fd, c->buffer + have,
		    c->urb.length - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

/* USB's own requests are the kernel's affair; what it does not know of them is
 * refused. */
static void
take_request(struct control *c, const uint8_t setup[8])
{
	struct udc *u = c->udc;

	memcpy(c->urb.setup, setup, sizeof c->urb.setup);
	c->urb.endpoint = setup[0] & 0x80;
	c->urb.length = setup[6] | (uint32_t)setup[7] << 8;
	c->urb.backend_state = 0;
	if ((setup[0] & 0x60) == 0 || c->urb.length > sizeof c->buffer) {
		stall(c);
		return;
	}
	if (!read_data(c))
		return;
	c->pending = true;
	c->since = clock_now();
	device_submit(gadget_lock(u->gadget), &c->urb);
	gadget_unlock(u->gadget);
}

/* ---- Events ------------------------------------------------------------- */

/* The packet that the endpoint has now tells the speed at which the host has
 * taken the device, which may be lower than what it can do. */
static enum desc_speed
current_speed(const struct udc *u, enum desc_speed otherwise)
{
	struct usb_endpoint_descriptor d;

	if (ioctl(u->out.fd, FUNCTIONFS_ENDPOINT_DESC, &d) < 0)
		return otherwise;
	for (enum desc_speed s = DESC_FULL; s <= DESC_SUPER; s++)
		if (desc_packet(u->out.endpoint, s) ==
		    le16toh(d.wMaxPacketSize))
			return s;
	return otherwise;
}

static void
configure(struct udc *u, bool on)
{
	struct device *d = gadget_lock(u->gadget);

	u->moving = on;
	u->session++;
	u->out.halt_due = u->in.halt_due = false;
	if (on)
		d->profile.speed = current_speed(u, d->profile.speed);
	device_configure(d, on ? u->value : 0);
	u->gadget->imported = on;
	log_info("%s %u: configuration %u", d->kind->name, d->id.index,
	    d->configuration);
	gadget_unlock(u->gadget);
	pipe_run(&u->out);
	pipe_run(&u->in);
}

static void
take_event(struct udc *u, const struct functionfs_event *e)
{
	switch (e->type) {
	case FUNCTIONFS_IS_ENABLED:
		configure(u, true);
		break;
	case FUNCTIONFS_IS_DISABLED:
		configure(u, false);
		break;
	case FUNCTIONFS_HAS_SETUP:
		take_request(&u->control, e->setup);
		break;
	default:
		/* Bound and unbound, which is our own doing; suspended and
		 * resumed, which costs it nothing. */
		break;
	}
}

/* EIDRM: the request that was being answered is no longer wanted. */
void
udc_take_events(struct udc *u)
{
	uint8_t bytes[FUNCTIONFS_EVENT_SIZE];
	struct functionfs_event e;
	ssize_t n;

	while (!u->control.pending) {
		n = read(u->ep0_fd, bytes, sizeof bytes);
		if (n < 0 && (errno == EIDRM || errno == EINTR))
			continue;
		if (n != (ssize_t)sizeof bytes)
			return;
		functionfs_event_parse(&e, bytes);
		take_event(u, &e);
	}
}
