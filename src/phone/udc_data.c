/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two bulk endpoints.  An OUT transfer is read from the kernel and then
 * given to the device; an IN transfer is filled by the device and then written
 * to the kernel.  Both go round as long as the host has the device configured.
 *
 * Where a packet of the device protocol ends is for the kernel to see: a read
 * that comes back shorter than it could be has ended with a short packet, or
 * with an empty one (ZLP) behind a full one; one that comes back full says
 * nothing.
 */
#include "phone/udc_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"

static bool
is_out(const struct pipe *p)
{
	return (p->endpoint->address & 0x80) == 0;
}

/* ---- To the kernel ------------------------------------------------------ */

static void ended(struct transfer *t, int64_t result);

static void
fly(struct transfer *t, struct iocb *cb, size_t len)
{
	struct pipe *p = t->pipe;

	memset(cb, 0, sizeof *cb);
	cb->aio_data = (uintptr_t)t;
	cb->aio_lio_opcode = is_out(p) ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	cb->aio_fildes = (uint32_t)p->fd;
	cb->aio_buf = (uintptr_t)t->buffer;
	cb->aio_nbytes = len;
	cb->aio_flags = IOCB_FLAG_RESFD;
	cb->aio_resfd = (uint32_t)p->udc->waker->write_fd;
	t->flying++;
	p->flying++;
	if (aio_submit(p->udc->aio, cb) < 0)
		ended(t, -errno);
}

/* ---- From and to the device --------------------------------------------- */

static void
submit(struct transfer *t, uint32_t length, uint32_t flags)
{
	struct gadget *g = t->pipe->udc->gadget;

	t->urb.length = length;
	t->urb.flags = flags;
	t->urb.backend_state = 0;
	t->in_device = true;
	device_submit(gadget_lock(g), &t->urb);
	gadget_unlock(g);
}

/* From the device, on any thread. */
static void
complete(struct usbip_urb *urb, int status, uint32_t actual)
{
	struct transfer *t = (struct transfer *)urb; /* its first member */

	t->status = status;
	t->actual = actual;
	mailbox_post(&t->pipe->udc->done, &urb->msg);
}

static const struct usbip_urb_host host = { .complete = complete };

static uint16_t
packet_of(const struct pipe *p)
{
	return desc_packet(p->endpoint,
	    p->udc->gadget->device->profile.speed);
}

/* A transfer that is not full is the last of a packet of the device's. */
static void
write_out(struct transfer *t)
{
	const bool last = t->actual < UDC_TRANSFER_SIZE;

	if (t->actual > 0)
		fly(t, &t->data, t->actual);
	if (last && t->actual % packet_of(t->pipe) == 0)
		fly(t, &t->zlp, 0);
}

/* One halt can be heard of more than once, until it is handed over. */
static bool
is_halted(const struct pipe *p)
{
	struct gadget *g = p->udc->gadget;
	const struct device *d = gadget_lock(g);
	const bool halted =
	    d->ep[device_endpoint_index(p->endpoint->address)].halted;

	gadget_unlock(g);
	return halted;
}

void
pipe_look_for_halt(struct pipe *p)
{
	p->halt_due = p->udc->moving && is_halted(p);
	pipe_run(p);
}

void
pipe_done(struct transfer *t)
{
	struct pipe *p = t->pipe;
	const struct udc *u = p->udc;
	const bool current = u->moving && t->session == u->session;

	t->in_device = false;
	if (current && t->status == USBIP_EPIPE)
		p->halt_due = is_halted(p);
	else if (current && !is_out(p) && t->status == USBIP_OK)
		write_out(t);
	pipe_run(p);
}

static void
read_in(struct transfer *t, uint32_t len)
{
	const bool ended_full = len > 0 && len < UDC_TRANSFER_SIZE &&
	    len % packet_of(t->pipe) == 0;

	submit(t, len, ended_full ? USBIP_ZERO_PACKET : 0);
}

/*
 * ESHUTDOWN and EAGAIN come before the event that explains them: the host has
 * taken the configuration away.  Other failures are the controller's, and
 * nothing moves until the host configures the device again.
 */
static void
fail(struct pipe *p, int error)
{
	struct udc *u = p->udc;

	u->moving = false;
	if (error != ESHUTDOWN && error != EAGAIN)
		log_error("%s, endpoint 0x%02x: %s", u->configfs.name,
		    p->endpoint->address, strerror(error));
}

static void
ended(struct transfer *t, int64_t result)
{
	struct pipe *p = t->pipe;
	struct udc *u = p->udc;

	t->flying--;
	p->flying--;
	if (t->session == u->session && u->moving) {
		if (result < 0 && result != -ECONNRESET)
			fail(p, (int)-result);
		else if (result >= 0 && is_out(p))
			read_in(t, (uint32_t)result);
	}
	pipe_run(p);
}

/* ---- Halts -------------------------------------------------------------- */

/* What the host has half sent is lost with the halt. */
static void
cancel_reads(struct pipe *p)
{
	for (unsigned i = 0; i < UDC_TRANSFERS; i++)
		if (p->transfers[i].flying > 0)
			aio_cancel(p->udc->aio, &p->transfers[i].data);
}

/*
 * Moving data the wrong way is how FunctionFS is told to halt an endpoint.  The
 * kernel answers the host from then on, and does not tell when that clears the
 * halt; so to the device it is cleared now, and what it has to say waits in the
 * kernel.
 */
static void
hand_over_halt(struct pipe *p)
{
	struct gadget *g = p->udc->gadget;
	uint8_t nothing[1] = { 0 };

	if (is_out(p))
		(void)!write(p->fd, nothing, sizeof nothing);
	else
		(void)!read(p->fd, nothing, sizeof nothing);
	p->halt_due = false;
	device_clear_halt(gadget_lock(g), p->endpoint->address);
	gadget_unlock(g);
}

/* ---- Round and round ---------------------------------------------------- */

void
pipe_run(struct pipe *p)
{
	struct udc *u = p->udc;

	if (p->halt_due && is_out(p))
		cancel_reads(p);
	if (p->halt_due && p->flying == 0)
		hand_over_halt(p);
	for (unsigned i = 0; i < UDC_TRANSFERS && u->moving && !p->halt_due;
	     i++) {
		struct transfer *t = &p->transfers[i];

		if (t->in_device || t->flying > 0)
			continue;
		t->session = u->session;
		if (is_out(p))
			fly(t, &t->data, UDC_TRANSFER_SIZE);
		else
			submit(t, UDC_TRANSFER_SIZE, 0);
	}
}

/* Events come first, because they tell whether what has ended belongs to the
 * session that there is now. */
bool
udc_take_ended(struct udc *u)
{
	struct io_event events[2 * UDC_TRANSFERS];
	const int n = aio_ended(u->aio, events, 2 * UDC_TRANSFERS);

	udc_take_events(u);
	for (int i = 0; i < n; i++)
		ended((struct transfer *)(uintptr_t)events[i].data,
		    events[i].res);
	return n > 0;
}

/* ---- Life --------------------------------------------------------------- */

int
pipe_open(struct pipe *p, struct udc *u, const char *name,
    const struct desc_endpoint *e, struct cause *why)
{

	p->udc = u;
	p->endpoint = e;
	for (unsigned i = 0; i < UDC_TRANSFERS; i++) {
		struct transfer *t = &p->transfers[i];

		t->pipe = p;
		t->urb.host = &host;
		t->urb.endpoint = e->address;
		t->urb.buffer = t->buffer;
	}
	p->fd = openat(u->dir_fd, name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return cause_set(why, "--gadget: FunctionFS has no %s: %s",
		    name, strerror(errno));
	return 0;
}

void
pipe_close(struct pipe *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
