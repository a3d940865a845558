/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host's side: transfers in and out.  Under the link's lock, but for what
 * says otherwise. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "virtual/runner.h"
#include "virtual/unit.h"

static pthread_mutex_t detaching = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t detached = PTHREAD_COND_INITIALIZER;

/* ---- Begin and end ------------------------------------------------------ */

static bool
attach(struct virtual_open *o, const struct usbip_device_entry *e)
{
	struct unit *u = o->unit;

	gadget_lock(u->gadget);
	/* With another address it is there for the second time. */
	o->attached = u->offered && u->entry.address == e->address;
	if (o->attached) {
		o->next = u->opens;
		u->opens = o;
		u->gadget->imported = true;
	}
	gadget_unlock(u->gadget);
	return o->attached;
}

struct virtual_open *
open_new(struct unit *u, const struct usbip_device_entry *e, struct waker *w)
{
	struct virtual_open *o = calloc(1, sizeof *o);

	if (o == NULL)
		return NULL;
	o->unit = u;
	o->other = waker_new_polled();
	queue_init(&o->done);
	atomic_init(&o->attending, 0);
	if (o->other != NULL)
		o->handler = waker_get(w);
	if (o->other == NULL || !attach(o, e)) {
		open_free(o);
		return NULL;
	}
	return o;
}

void
open_free(struct virtual_open *o)
{
	while (o->all != NULL) {
		struct unit_urb *urb = o->all;

		o->all = urb->next_of_all;
		free(urb);
	}
	if (o->handler != NULL)
		waker_put(o->handler);
	if (o->other != NULL)
		waker_put(o->other);
	free(o);
}

uint8_t
open_configuration(struct virtual_open *o)
{
	const uint8_t value = gadget_lock(o->unit->gadget)->configuration;

	gadget_unlock(o->unit->gadget);
	return value;
}

/* ---- Waking ------------------------------------------------------------- */

int
open_fd(const struct virtual_open *o)
{
	return o->other->read_fd;
}

/* Sequentially consistent, as is open_wake()'s look: who begins to attend looks
 * at the queue afterwards, who wakes has put something in before. */
void
open_attend(struct virtual_open *o, bool on)
{
	if (on)
		atomic_fetch_add(&o->attending, 1);
	else
		atomic_fetch_sub(&o->attending, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void
open_wake(struct virtual_open *o)
{
	waker_wake(o->handler);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&o->attending) > 0)
		waker_wake(o->other);
}

bool
open_ready(struct virtual_open *o)
{
	return !queue_idle(&o->done);
}

/* ---- In ----------------------------------------------------------------- */

/* The device's call. */
static void
complete(struct usbip_urb *usb, int status, uint32_t actual)
{
	struct unit_urb *urb = (struct unit_urb *)usb;
	struct virtual_open *o = urb->open;

	urb->status = status;
	urb->actual = actual;
	usb->msg.type = UNIT_DONE;
	/* From here on it is the host's, and `o` may be going. */
	if (queue_push(&o->done, &usb->msg.node) == QUEUE_WAKE)
		runner_wake_later(o);
}

static const struct usbip_urb_host host = { .complete = complete };

static struct unit_urb *
take_free(struct virtual_open *o)
{
	struct unit_urb *urb = o->free;

	if (urb != NULL) {
		o->free = urb->next_free;
		return urb;
	}
	urb = calloc(1, sizeof *urb);
	if (urb == NULL)
		return NULL;
	urb->open = o;
	urb->usb.host = &host;
	urb->next_of_all = o->all;
	o->all = urb;
	return urb;
}

static void
put_free(struct virtual_open *o, struct unit_urb *urb)
{
	urb->next_free = o->free;
	o->free = urb;
}

static void
fill(struct usbip_urb *usb, const struct importer_urb *from)
{
	static uint8_t nothing;

	usb->endpoint = from->endpoint;
	if (from->endpoint == 0 && importer_urb_is_in(from))
		usb->endpoint = 0x80;
	memcpy(usb->setup, from->setup, sizeof usb->setup);
	usb->flags = from->flags;
	usb->length = from->length;
	usb->interval = from->interval;
	usb->buffer = from->buffer != NULL ? from->buffer : &nothing;
	usb->iso = from->iso;
	usb->iso_count = from->iso_count;
	usb->start_frame = from->start_frame;
	usb->backend_state = 0;
}

static void
finish(struct importer_urb *from, int32_t status, uint32_t actual)
{
	from->status = status;
	from->actual = actual;
	from->complete(from);
}

void
open_submit(struct virtual_open *o, struct importer_urb *from)
{
	struct unit_urb *urb = take_free(o);

	if (urb == NULL) {
		finish(from, USBIP_EPROTO, 0);
		return;
	}
	urb->from = from;
	from->arg = urb;
	urb->busy = true;
	fill(&urb->usb, from);
	urb->usb.msg.type = UNIT_SUBMIT;
	/* Refused at the end of the process, when nobody will miss it. */
	if (!mailbox_post(&o->unit->runner->box, &urb->usb.msg))
		o->dropped = true;
}

void
open_unlink(struct virtual_open *o, struct importer_urb *from)
{
	struct unit_urb *urb = from->arg;

	if (!urb->busy || urb->cancelling)
		return;
	urb->cancelling = true;
	urb->usb.cancel_msg.type = UNIT_CANCEL;
	if (!mailbox_post(&o->unit->runner->box, &urb->usb.cancel_msg))
		o->dropped = true;
}

/* ---- Out ---------------------------------------------------------------- */

static struct unit_urb *
urb_of_cancel(struct msg *m)
{
	return (struct unit_urb *)((char *)m -
	    offsetof(struct unit_urb, usb.cancel_msg));
}

/* Nobody else knows of it any more. */
static void
settle(struct virtual_open *o, struct unit_urb *urb)
{
	if (!urb->busy && !urb->cancelling)
		put_free(o, urb);
}

static void
end(struct virtual_open *o, struct unit_urb *urb, int32_t status)
{
	struct importer_urb *from = urb->from;

	from->start_frame = urb->usb.start_frame;
	urb->busy = false;
	settle(o, urb);
	o->moved++;
	finish(from, status, urb->actual);
}

/* One message of the device's; `status` stands for whatever that says, unless
 * it is USBIP_OK. */
static void
take(struct virtual_open *o, struct msg *m, int32_t status)
{
	struct unit_urb *urb;

	switch (m->type) {
	case UNIT_DONE:
		urb = (struct unit_urb *)m;
		end(o, urb, status != USBIP_OK ? status : urb->status);
		break;
	case UNIT_CANCELLED:
		urb = urb_of_cancel(m);
		urb->cancelling = false;
		settle(o, urb);
		break;
	case UNIT_LEFT:
		o->left = true;
		break;
	}
}

static void
take_all(struct virtual_open *o, int32_t status)
{
	struct qnode *n = queue_take(&o->done);

	while (n != NULL) {
		struct msg *m = (struct msg *)n;

		n = n->next;
		take(o, m, status);
	}
}

/* Those who attend may be asleep: to them the queue must not seem to be in
 * somebody's hands when it is in nobody's. */
bool
open_work(struct virtual_open *o)
{
	do {
		if (atomic_load(&o->attending) > 0)
			waker_clear(o->other);
		take_all(o, USBIP_OK);
	} while (atomic_load(&o->attending) > 0 && !queue_idle(&o->done));
	return !o->left;
}

uint64_t
open_moved(const struct virtual_open *o)
{
	return o->moved;
}

/* ---- The end ------------------------------------------------------------ */

void
open_detached(struct virtual_open *o)
{
	pthread_mutex_lock(&detaching);
	o->detached = true;
	pthread_cond_broadcast(&detached);
	pthread_mutex_unlock(&detaching);
}

static void
detach(struct virtual_open *o)
{
	o->detach.type = UNIT_DETACH;
	if (!mailbox_post(&o->unit->runner->box, &o->detach))
		return;
	pthread_mutex_lock(&detaching);
	while (!o->detached)
		pthread_cond_wait(&detached, &detaching);
	pthread_mutex_unlock(&detaching);
}

void
open_abort(struct virtual_open *o)
{
	if (!o->dropped)
		detach(o);
	if (!o->dropped)
		take_all(o, USBIP_ESHUTDOWN);
	/* What no device will give back. */
	for (struct unit_urb *urb = o->all; urb != NULL;
	     urb = urb->next_of_all)
		if (urb->busy) {
			urb->actual = 0;
			end(o, urb, USBIP_ESHUTDOWN);
		}
}

void
open_drop(struct virtual_open *o)
{
	o->dropped = true;
	pthread_mutex_init(&detaching, NULL);
	pthread_cond_init(&detached, NULL);
}
