/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The events thread of a session.  Each endpoint has a queue of URBs that are
 * not submitted yet; it is empty unless memory is short, or a blocking request
 * is under way: one that the control endpoint waits for, or a new configuration
 * or a reset, for which all do.  Whatever keeps the first from being submitted
 * keeps those behind it.
 */

#include <poll.h>
#include <string.h>

#include "base/log.h"
#include "export/session_int.h"

struct role on_export_events;

/* Nothing needs a look before something happens. */
#define IDLE_MS 60000
/* Between two attempts when libusb cannot even wait. */
#define FAULT_MS 200

/* What start() says beside 0 and libusb's (negative) errors. */
#define START_LATER 1

/* ---- Queues ------------------------------------------------------------- */

static struct usbip_urb *
urb_next(const struct usbip_urb *urb)
{
	return (struct usbip_urb *)msg_next(&urb->msg);
}

static void
enqueue(struct endpoint *e, struct usbip_urb *urb)
{
	urb->backend_state = URB_WAITING;
	urb->msg.node.next = NULL;
	if (e->last != NULL)
		e->last->msg.node.next = &urb->msg.node;
	else
		e->first = urb;
	e->last = urb;
}

/* Takes `urb` out, which is in it. */
static void
dequeue(struct endpoint *e, struct usbip_urb *urb)
{
	struct usbip_urb *before = NULL;

	if (e->first == urb) {
		e->first = urb_next(urb);
		e->starved = MOMENT_NEVER;
	} else {
		for (before = e->first; urb_next(before) != urb;
		     before = urb_next(before))
			;
		before->msg.node.next = urb->msg.node.next;
	}
	if (e->last == urb)
		e->last = before;
}

static struct endpoint *
endpoint_of(struct session *s, const struct usbip_urb *urb)
    RUNS_ON(on_export_events)
{
	return &s->endpoints[endpoint_index(urb->endpoint)];
}

static void
complete(struct usbip_urb *urb, int status, uint32_t actual)
{
	urb->backend_state = URB_DONE;
	usbip_urb_complete(urb, status, actual);
}

/* ---- Endpoints of the current configuration ----------------------------- */

static void
add_endpoint(struct session *s, const struct libusb_endpoint_descriptor *d)
    RUNS_ON(on_export_events)
{
	struct endpoint *e = &s->endpoints[endpoint_index(d->bEndpointAddress)];

	if ((d->bEndpointAddress & 15) == 0)
		return; /* nonsense: that is the control endpoint */
	e->exists = true;
	e->type = d->bmAttributes & 3;
	e->max_packet = d->wMaxPacketSize & 0x7ff;
}

static void
add_interface(struct session *s, const struct libusb_interface *intf)
    RUNS_ON(on_export_events)
{
	for (int i = 0; i < intf->num_altsetting; i++) {
		const struct libusb_interface_descriptor *a =
		    &intf->altsetting[i];

		if (a->bInterfaceNumber >= INTERFACES_MAX ||
		    a->bAlternateSetting != s->settings[a->bInterfaceNumber])
			continue;
		for (int k = 0; k < a->bNumEndpoints; k++)
			add_endpoint(s, &a->endpoint[k]);
	}
}

/* Which endpoints there are, after the configuration or a setting changed.
 * Transfers of those that have gone end by themselves. */
static void
note_endpoints(struct session *s) RUNS_ON(on_export_events)
{
	for (unsigned i = 1; i < ENDPOINTS_MAX; i++)
		s->endpoints[i].exists = false;
	for (int i = 0; s->configuration != NULL &&
	     i < s->configuration->bNumInterfaces; i++)
		add_interface(s, &s->configuration->interface[i]);
}

static void
init_endpoints(struct session *s) RUNS_ON(on_export_events)
{
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++)
		s->endpoints[i].starved = MOMENT_NEVER;
	s->endpoints[0].exists = true;
	s->endpoints[0].type = LIBUSB_TRANSFER_TYPE_CONTROL;
	note_endpoints(s);
}

/* ---- Blocking requests -------------------------------------------------- */

/* The interfaces that are not in their first setting. */
static uint32_t
changed_settings(const struct session *s) RUNS_ON(on_export_events)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < INTERFACES_MAX; i++)
		if (s->settings[i] != 0)
			bits |= (uint32_t)1 << i;
	return bits;
}

/* Hands the request to its thread, unless there is nothing to be done.  As
 * start(). */
static int
start_request(struct session *s, struct usbip_urb *urb)
    RUNS_ON(on_export_events)
{
	struct request *r = &s->request;

	if (s->endpoints[0].flying > 0)
		return START_LATER;
	r->kind = request_kind_of(urb->setup, r);
	r->configuration = NULL;
	if (r->kind == REQUEST_CONFIGURATION && s->configuration != NULL &&
	    r->value == s->configuration->bConfigurationValue) {
		/* Doing it would reset the toggles of both ends, or only of
		 * one; and importers begin with it. */
		r->kind = REQUEST_FIRST_SETTINGS;
		r->settings = changed_settings(s);
	}
	dequeue(&s->endpoints[0], urb);
	/* The device's address is its host's affair; the importer's is that of
	 * its own bus, and importers' kernels do not send it at all. */
	if (r->kind == REQUEST_ADDRESS ||
	    (r->kind == REQUEST_FIRST_SETTINGS && r->settings == 0)) {
		complete(urb, USBIP_OK, 0);
		return 0;
	}
	urb->backend_state = URB_REQUESTED;
	s->request_urb = urb;
	s->requesting = true;
	r->msg.type = REQUESTS_DO;
	mailbox_post(&s->requests, &r->msg);
	return 0;
}

/* What a request has changed. */
static void
note_request(struct session *s, struct request *r) RUNS_ON(on_export_events)
{
	switch (r->kind) {
	case REQUEST_CONFIGURATION:
		libusb_free_config_descriptor(s->configuration);
		s->configuration = r->configuration;
		memset(s->settings, 0, sizeof s->settings);
		break;
	case REQUEST_RESET:
		if (r->result == 0)
			memset(s->settings, 0, sizeof s->settings);
		break;
	case REQUEST_FIRST_SETTINGS:
		for (unsigned i = 0; i < INTERFACES_MAX; i++)
			if ((r->settings & (uint32_t)1 << i) != 0)
				s->settings[i] = 0;
		break;
	case REQUEST_INTERFACE:
		if (r->result == 0 && r->index < INTERFACES_MAX)
			s->settings[r->index] = (uint8_t)r->value;
		break;
	case REQUEST_CLEAR_HALT:
	case REQUEST_ADDRESS:
	case REQUEST_NONE:
		return;
	}
	note_endpoints(s);
}

static void pump_all(struct session *s) RUNS_ON(on_export_events);

/* A failed reset leaves nothing claimed that libusb believes to be, or another
 * device in the place of this one; but where there is none, nothing happened. */
static bool
breaks(const struct request *r)
{
	return r->kind == REQUEST_RESET && r->result != 0 &&
	    r->result != LIBUSB_ERROR_NOT_SUPPORTED;
}

static void
on_request(struct session *s, struct request *r) RUNS_ON(on_export_events)
{
	/* A device that came back as another one after its reset. */
	const int status = r->kind == REQUEST_RESET &&
		r->result == LIBUSB_ERROR_NOT_FOUND
	    ? USBIP_ESHUTDOWN : session_error(r->result);
	struct usbip_urb *urb = s->request_urb;

	note_request(s, r);
	s->requesting = false;
	s->request_urb = NULL;
	if (urb != NULL)
		complete(urb, status, 0);
	if (breaks(r)) {
		log_warning("device %s: cannot be reset, which ends its "
		    "import: %s", s->ident.busid, libusb_error_name(r->result));
		s->ops->broken(s->arg);
	}
	pump_all(s);
}

/* ---- Starting ----------------------------------------------------------- */

/* Meanwhile nothing is claimed, and Linux would claim for a transfer what the
 * request must have free. */
static bool
is_unsettled(const struct session *s) RUNS_ON(on_export_events)
{
	return s->requesting &&
	    (s->request.kind == REQUEST_CONFIGURATION ||
		s->request.kind == REQUEST_RESET);
}

/* Begins on the first URB of the queue and takes it out: 0; or leaves it there:
 * START_LATER, when something must be over before, or an error of libusb's. */
static int
start(struct session *s, struct endpoint *e) RUNS_ON(on_export_events)
{
	struct usbip_urb *urb = e->first;
	const bool iso = e->type == LIBUSB_TRANSFER_TYPE_ISOCHRONOUS;
	struct request unused;
	int r;

	if (is_unsettled(s))
		return START_LATER;
	if (!e->exists)
		return LIBUSB_ERROR_NOT_FOUND;
	if (iso != (urb->iso_count > 0))
		return LIBUSB_ERROR_INVALID_PARAM;
	if (e == &s->endpoints[0]) {
		if (s->requesting)
			return START_LATER;
		if (request_kind_of(urb->setup, &unused) != REQUEST_NONE)
			return start_request(s, urb);
	}
	r = transfer_start(s, urb, e);
	if (r < 0)
		return r;
	dequeue(e, urb);
	urb->backend_state = URB_FLYING;
	e->flying++;
	return 0;
}

/* There was no memory for the endpoint's first URB.  True: it has waited for
 * long enough. */
static bool
starve(struct session *s, struct endpoint *e) RUNS_ON(on_export_events)
{
	const struct moment now = clock_now();

	if (e->starved.ns == MOMENT_NEVER.ns)
		e->starved = now;
	if (!moment_before(now, moment_after_ms(e->starved,
		SESSION_STARVED_MS)))
		return true;
	s->starving = true;
	return false;
}

/*
 * Starts what can be started.  A URB that cannot is answered, but not before
 * those of its endpoint that libusb still has, because replies of an endpoint
 * keep their order: each of these, when it is done, comes here again.
 */
static void
pump(struct session *s, struct endpoint *e) RUNS_ON(on_export_events)
{
	while (e->first != NULL) {
		struct usbip_urb *urb = e->first;
		const int r = start(s, e);

		if (r == 0)
			continue;
		if (r == START_LATER || e->flying > 0)
			return;
		if (r == LIBUSB_ERROR_NO_MEM && !starve(s, e))
			return;
		dequeue(e, urb);
		complete(urb, session_error(r), 0);
	}
}

static void
pump_all(struct session *s)
{
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++)
		if (s->endpoints[i].first != NULL)
			pump(s, &s->endpoints[i]);
}

/* Memory may have come back. */
static void
pump_starving(struct session *s) RUNS_ON(on_export_events)
{
	s->starving = false;
	pump_all(s);
}

/* ---- Messages ----------------------------------------------------------- */

static void
on_submit(struct session *s, struct usbip_urb *urb) RUNS_ON(on_export_events)
{
	struct endpoint *e = endpoint_of(s, urb);

	enqueue(e, urb);
	if (e->first == urb)
		pump(s, e);
}

static void
on_done(struct session *s, struct usbip_urb *urb) RUNS_ON(on_export_events)
{
	struct endpoint *e = endpoint_of(s, urb);
	uint32_t actual;
	const int status = transfer_finish(urb, &actual);

	e->flying--;
	complete(urb, status, actual);
	if (e->first != NULL)
		pump(s, e);
	if (s->starving)
		pump_starving(s);
}

static void
on_cancel(struct session *s, struct usbip_urb *urb) RUNS_ON(on_export_events)
{
	struct endpoint *e = endpoint_of(s, urb);
	const struct flight *f = urb->backend;

	switch (urb->backend_state) {
	case URB_WAITING:
		dequeue(e, urb);
		complete(urb, USBIP_ECONNRESET, 0);
		pump(s, e);
		break;
	case URB_FLYING:
		/* "Not found": it is done, and its message on the way. */
		urb->backend_state = URB_CANCELLING;
		libusb_cancel_transfer(f->x);
		break;
	case URB_REQUESTED:
		s->request_urb = NULL;
		complete(urb, USBIP_ECONNRESET, 0);
		break;
	default:
		break;
	}
	usbip_urb_put(urb);
}

static struct usbip_urb *
urb_of_cancel(struct msg *m)
{
	return (struct usbip_urb *)((char *)m -
	    offsetof(struct usbip_urb, cancel_msg));
}

static void
take_messages(struct session *s) RUNS_ON(on_export_events)
{
	struct msg *m = mailbox_take(&s->events);

	while (m != NULL) {
		struct msg *next = msg_next(m);

		switch (m->type) {
		case EVENTS_SUBMIT:
			on_submit(s, (struct usbip_urb *)m);
			break;
		case EVENTS_CANCEL:
			on_cancel(s, urb_of_cancel(m));
			break;
		case EVENTS_DONE:
			on_done(s, (struct usbip_urb *)m);
			break;
		case EVENTS_REQUEST:
			on_request(s, (struct request *)m);
			break;
		default:
			s->quitting = true;
			break;
		}
		m = next;
	}
}

/* ---- Loop --------------------------------------------------------------- */

void
session_wake(void *arg)
{
	const struct session *s = arg;

	libusb_interrupt_event_handler(s->ctx);
}

/* Waits for transfers, messages and the time to look for memory again.  A
 * wake-up stays with libusb until its events are handled next, so none is lost
 * between mailbox_idle() and the wait. */
static void
wait_for_events(struct session *s) RUNS_ON(on_export_events)
{
	const int ms = !mailbox_idle(&s->events) ? 0
	    : s->starving ? SESSION_RETRY_MS : IDLE_MS;
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };
	const int r = libusb_handle_events_timeout_completed(s->ctx, &tv, NULL);

	if (r < 0 && r != LIBUSB_ERROR_INTERRUPTED) {
		log_warning("device %s: cannot wait for its transfers: %s",
		    s->ident.busid, libusb_error_name(r));
		poll(NULL, 0, FAULT_MS);
	}
}

void *
session_events_main(void *arg)
{
	struct session *s = arg;

	role_take(&on_export_events);
	init_endpoints(s);
	while (!s->quitting) {
		wait_for_events(s);
		take_messages(s);
		if (s->starving)
			pump_starving(s);
	}
	role_drop(&on_export_events);
	return NULL;
}
