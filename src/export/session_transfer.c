/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A URB as a transfer of libusb's, there and back. */

#include <stdlib.h>
#include <string.h>

#include "export/session_int.h"

/* A packet that libusb has not touched, as its transfer was cancelled. */
#define PACKET_UNTOUCHED LIBUSB_TRANSFER_CANCELLED

int
session_error(int error)
{
	switch (error) {
	case LIBUSB_SUCCESS:
		return USBIP_OK;
	case LIBUSB_ERROR_NOT_FOUND: /* no such endpoint, interface, setting */
	case LIBUSB_ERROR_PIPE:
		return USBIP_EPIPE;
	case LIBUSB_ERROR_NO_DEVICE:
		return USBIP_ESHUTDOWN;
	case LIBUSB_ERROR_INVALID_PARAM:
	case LIBUSB_ERROR_NOT_SUPPORTED:
		return USBIP_EINVAL;
	case LIBUSB_ERROR_NO_MEM:
		return USBIP_ENOMEM;
	case LIBUSB_ERROR_OVERFLOW:
		return USBIP_EOVERFLOW;
	case LIBUSB_ERROR_TIMEOUT:
		return USBIP_ETIMEDOUT;
	default:
		return USBIP_EPROTO;
	}
}

static int
status_of(enum libusb_transfer_status status)
{
	switch (status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return USBIP_OK;
	case LIBUSB_TRANSFER_STALL:
		return USBIP_EPIPE;
	case LIBUSB_TRANSFER_CANCELLED:
		return USBIP_ECONNRESET;
	case LIBUSB_TRANSFER_NO_DEVICE:
		return USBIP_ESHUTDOWN;
	case LIBUSB_TRANSFER_OVERFLOW:
		return USBIP_EOVERFLOW;
	case LIBUSB_TRANSFER_TIMED_OUT:
		return USBIP_ETIMEDOUT;
	case LIBUSB_TRANSFER_ERROR:
		break;
	}
	return USBIP_EPROTO;
}

/* ---- There -------------------------------------------------------------- */

/* The URB's transfer, with room for so many packets. */
static struct flight *
flight_of(struct session *s, struct usbip_urb *urb, int packets)
{
	struct flight *f = urb->backend;

	if (f == NULL) {
		f = calloc(1, sizeof *f);
		if (f == NULL)
			return NULL;
		f->s = s;
		f->urb = urb;
		urb->backend = f;
	}
	if (f->x != NULL && f->iso_room < packets) {
		libusb_free_transfer(f->x);
		f->x = NULL;
	}
	if (f->x == NULL) {
		f->x = libusb_alloc_transfer(packets);
		f->iso_room = packets;
	}
	return f->x != NULL ? f : NULL;
}

static uint8_t *
bounce_of(struct flight *f, size_t size)
{
	if (f->bounce_size < size) {
		free(f->bounce);
		f->bounce = malloc(size);
		f->bounce_size = f->bounce != NULL ? size : 0;
	}
	return f->bounce;
}

static uint16_t
setup_length(const uint8_t setup[8])
{
	return (uint16_t)(setup[6] | setup[7] << 8);
}

/* libusb wants the setup packet and the data in one piece. */
static int
fill_control(struct flight *f)
{
	const struct usbip_urb *urb = f->urb;
	const uint16_t len = setup_length(urb->setup);
	uint8_t *bytes = bounce_of(f, LIBUSB_CONTROL_SETUP_SIZE + (size_t)len);

	if (bytes == NULL)
		return LIBUSB_ERROR_NO_MEM;
	memcpy(bytes, urb->setup, LIBUSB_CONTROL_SETUP_SIZE);
	if ((urb->setup[0] & LIBUSB_ENDPOINT_IN) == 0 && len > 0)
		memcpy(bytes + LIBUSB_CONTROL_SETUP_SIZE, urb->buffer, len);
	f->x->buffer = bytes;
	f->x->length = LIBUSB_CONTROL_SETUP_SIZE + len;
	f->x->endpoint = 0;
	return 0;
}

/* Whether the packets lie behind one another, as libusb's do; and how many
 * bytes they are. */
static bool
is_contiguous(const struct usbip_urb *urb, size_t *sum)
{
	bool so = true;

	*sum = 0;
	for (uint32_t i = 0; i < urb->iso_count; i++) {
		so = so && urb->iso[i].offset == *sum;
		*sum += urb->iso[i].length;
	}
	return so;
}

static int
fill_iso(struct flight *f)
{
	const struct usbip_urb *urb = f->urb;
	struct libusb_transfer *x = f->x;
	size_t sum;
	const bool contiguous = is_contiguous(urb, &sum);
	uint8_t *at = contiguous ? urb->buffer : bounce_of(f, sum + 1);

	if (at == NULL)
		return LIBUSB_ERROR_NO_MEM;
	x->buffer = at;
	x->length = (int)sum;
	x->num_iso_packets = (int)urb->iso_count;
	for (uint32_t i = 0; i < urb->iso_count; i++) {
		const struct usbip_iso *iso = &urb->iso[i];

		x->iso_packet_desc[i] = (struct libusb_iso_packet_descriptor){
			.length = iso->length, .status = PACKET_UNTOUCHED };
		if (!contiguous && !usbip_urb_is_in(urb))
			memcpy(at, urb->buffer + iso->offset, iso->length);
		at += iso->length;
	}
	return 0;
}

/* Only a transfer that ends at the end of a packet has something to add, and
 * not every system's libusb can. */
static bool
needs_empty_packet(const struct usbip_urb *urb, const struct endpoint *e)
{
	return (urb->flags & USBIP_ZERO_PACKET) != 0 && urb->length > 0 &&
	    e->max_packet > 0 && urb->length % e->max_packet == 0;
}

static int
fill_plain(struct flight *f, const struct endpoint *e)
{
	f->x->buffer = f->urb->buffer;
	f->x->length = (int)f->urb->length;
	if (needs_empty_packet(f->urb, e))
		f->x->flags = LIBUSB_TRANSFER_ADD_ZERO_PACKET;
	return 0;
}

/*
 * Libusb calls this for whoever handles its events.  That is the events thread,
 * but on systems where its blocking calls are transfers, too, they may do it;
 * so it just hands the URB over.
 */
static void LIBUSB_CALL
on_done(struct libusb_transfer *x)
{
	const struct flight *f = x->user_data;
	struct session *s = f->s;
	struct msg *m = &f->urb->msg;

	m->type = EVENTS_DONE;
	/* The events thread looks into its mailbox after each handling of
	 * events, so it needs no wake-up from itself. */
	if (queue_push(&s->events.queue, &m->node) == QUEUE_WAKE &&
	    !pthread_equal(pthread_self(), s->events_thread.id))
		session_wake(s);
}

int
transfer_start(struct session *s, struct usbip_urb *urb,
    const struct endpoint *e)
{
	struct flight *f = flight_of(s, urb, (int)urb->iso_count);
	int r;

	if (f == NULL)
		return LIBUSB_ERROR_NO_MEM;
	f->x->dev_handle = s->handle;
	f->x->flags = 0;
	f->x->endpoint = urb->endpoint;
	f->x->type = e->type;
	f->x->timeout = 0;
	f->x->num_iso_packets = 0;
	f->x->callback = on_done;
	f->x->user_data = f;
	if (e->type == LIBUSB_TRANSFER_TYPE_CONTROL)
		r = fill_control(f);
	else if (e->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS)
		r = fill_iso(f);
	else
		r = fill_plain(f, e);
	return r < 0 ? r : libusb_submit_transfer(f->x);
}

/* ---- And back ----------------------------------------------------------- */

static uint32_t
finish_control(struct flight *f)
{
	const uint16_t room = setup_length(f->urb->setup);
	const uint32_t actual = f->x->actual_length < 0 ? 0
	    : f->x->actual_length < room ? (uint32_t)f->x->actual_length
					 : room;

	if ((f->urb->setup[0] & LIBUSB_ENDPOINT_IN) != 0 && actual > 0)
		memcpy(f->urb->buffer,
		    f->x->buffer + LIBUSB_CONTROL_SETUP_SIZE, actual);
	return actual;
}

static void
finish_iso(struct flight *f)
{
	const uint8_t *at = f->x->buffer;
	const bool bounced = at != f->urb->buffer;

	for (uint32_t i = 0; i < f->urb->iso_count; i++) {
		struct usbip_iso *iso = &f->urb->iso[i];
		const struct libusb_iso_packet_descriptor *d =
		    &f->x->iso_packet_desc[i];

		iso->actual = d->actual_length < iso->length ? d->actual_length
							     : iso->length;
		iso->status = d->status == PACKET_UNTOUCHED
		    ? USBIP_EXDEV : status_of(d->status);
		if (bounced && usbip_urb_is_in(f->urb))
			memcpy(f->urb->buffer + iso->offset, at, iso->actual);
		at += iso->length;
	}
}

int
transfer_finish(struct usbip_urb *urb, uint32_t *actual)
{
	struct flight *f = urb->backend;
	int status = status_of(f->x->status);

	/* Nobody asked for it: the endpoint has gone, with its interface's
	 * setting or with the device. */
	if (status == USBIP_ECONNRESET && urb->backend_state != URB_CANCELLING)
		status = USBIP_ESHUTDOWN;
	*actual = f->x->actual_length > 0 ? (uint32_t)f->x->actual_length : 0;
	if (f->x->type == LIBUSB_TRANSFER_TYPE_CONTROL)
		*actual = finish_control(f);
	else if (f->x->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS)
		finish_iso(f);
	return status;
}
