/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The USB/IP transport's requests to endpoint 0, and how its reader waits. */

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "usb/transport_usbip.h"

/* Standard requests (USB 2.0, 9.4). */
#define REQ_CLEAR_FEATURE 1
#define REQ_SET_FEATURE 3
#define REQ_GET_CONFIGURATION 8
#define REQ_SET_CONFIGURATION 9
#define FEATURE_ENDPOINT_HALT 0
#define FEATURE_PORT_RESET 4
#define TO_DEVICE 0x00
#define FROM_DEVICE 0x80
#define TO_ENDPOINT 0x02
#define TO_PORT 0x23 /* class request to a hub's port, as the kernel has it */

/* What the kernel gives a standard request. */
#define STANDARD_MS 5000

int
usbip_error_of(int32_t status)
{
	switch (status) {
	case USBIP_OK:
		return USB_OK;
	case USBIP_EPIPE:
		return USB_ERROR_STALL;
	case USBIP_ENODEV:
	case USBIP_ESHUTDOWN:
		return USB_ERROR_GONE;
	case USBIP_EOVERFLOW:
		return USB_ERROR_OVERFLOW;
	case USBIP_ETIMEDOUT:
		return USB_ERROR_TIMEOUT;
	case USBIP_ENOMEM:
		return USB_ERROR_NO_MEM;
	default:
		return USB_ERROR_IO;
	}
}

void
usbip_fail(struct usbip_transport *t, int error)
{
	int ok = USB_OK;

	atomic_compare_exchange_strong_explicit(&t->failure, &ok, error,
	    memory_order_relaxed, memory_order_relaxed);
	/* It may be the writer that fails while the reader waits. */
	waker_wake(t->waker);
}

/* ---- The reader waits ---- */

void
usbip_wait_and_work(struct usbip_transport *t, int timeout_ms)
{
	struct pollfd pfd[2] = {
		{ .fd = t->imp.fd, .events = importer_events(&t->imp) },
		{ .fd = t->waker->read_fd, .events = POLLIN },
	};

	if (!importer_is_ready(&t->imp)) {
		if (poll(pfd, 2, timeout_ms) <= 0)
			return;
		/* Whatever it was: the loops around this look at all that a
		 * wake-up can mean. */
		if (pfd[1].revents != 0)
			waker_clear(t->waker);
	}
	if (!importer_work(&t->imp))
		usbip_fail(t, USB_ERROR_GONE);
}

/* ---- Requests ---- */

static void
request_complete(struct importer_urb *urb)
{
	struct usbip_transport *t = urb->arg;

	t->request_flying = false;
}

/* Works until the request is done or the time is over.  False: it is not. */
static bool
await_request(struct usbip_transport *t, struct moment deadline)
{
	while (t->request_flying && usbip_failure(t) == USB_OK) {
		const int left = moment_poll_timeout(clock_now(), deadline);

		if (left == 0)
			break;
		usbip_wait_and_work(t, left);
	}
	return !t->request_flying;
}

static bool
make_room(struct usbip_transport *t, size_t size)
{
	uint8_t *more;

	if (size <= t->request_size)
		return true;
	more = realloc(t->request_bytes, size);
	if (more == NULL)
		return false;
	t->request_bytes = more;
	t->request_size = size;
	return true;
}

static void
load_request(struct usbip_transport *t, const struct usb_setup_packet *setup)
{
	const uint8_t bytes[8] = { setup->request_type, setup->request,
		(uint8_t)setup->value, (uint8_t)(setup->value >> 8),
		(uint8_t)setup->index, (uint8_t)(setup->index >> 8),
		(uint8_t)setup->length, (uint8_t)(setup->length >> 8) };

	memcpy(t->request.setup, bytes, sizeof bytes);
	t->request.buffer = t->request_bytes;
	t->request.length = setup->length;
	t->request.complete = request_complete;
	t->request.arg = t;
}

/* The request at hand, in bytes of our own: the server may write to them when
 * the caller has gone. */
static int
run_request(struct usbip_transport *t, struct moment deadline)
{
	struct importer_urb *const one[] = { &t->request };

	t->request_flying = true;
	if (!importer_submit(&t->imp, one, 1, false)) {
		t->request_flying = false;
		return USB_ERROR_GONE;
	}
	if (!await_request(t, deadline)) {
		if (usbip_failure(t) != USB_OK)
			return usbip_failure(t);
		importer_unlink(&t->imp, &t->request);
		return USB_ERROR_TIMEOUT;
	}
	return t->request.status != 0 ? usbip_error_of(t->request.status)
				      : (int)t->request.actual;
}

int
usbip_control(struct transport *base, const struct usb_setup_packet *setup,
    void *data, unsigned timeout_ms)
{
	struct usbip_transport *t = usbip_self(base);
	const struct moment deadline =
	    moment_after_ms(clock_now(), timeout_ms);
	const bool in = (setup->request_type & FROM_DEVICE) != 0;
	int n;

	if (!await_request(t, deadline)) {
		/* The server does not even give back what has timed out. */
		usbip_fail(t, USB_ERROR_GONE);
		return usbip_failure(t);
	}
	if (usbip_failure(t) != USB_OK)
		return usbip_failure(t);
	if (!make_room(t, setup->length))
		return USB_ERROR_NO_MEM;
	load_request(t, setup);
	if (!in && setup->length > 0)
		memcpy(t->request_bytes, data, setup->length);
	n = run_request(t, deadline);
	if (in && n > 0)
		memcpy(data, t->request_bytes, (size_t)n);
	return n;
}

/* A request without data. */
static int
plain_request(struct transport *t, uint8_t type, uint8_t request,
    uint16_t value, uint16_t index)
{
	const struct usb_setup_packet setup = { .request_type = type,
		.request = request, .value = value, .index = index };
	const int rc = usbip_control(t, &setup, NULL, STANDARD_MS);

	return rc < 0 ? rc : USB_OK;
}

int
usbip_get_configuration(struct transport *t)
{
	const struct usb_setup_packet setup = { .request_type = FROM_DEVICE,
		.request = REQ_GET_CONFIGURATION, .length = 1 };
	uint8_t value = 0;
	const int rc = usbip_control(t, &setup, &value, STANDARD_MS);

	return rc < 0 ? rc : value;
}

int
usbip_set_configuration(struct transport *t, int value, int interfaces)
{
	(void)interfaces; /* the server's kernel has let go of them already */
	return plain_request(t, TO_DEVICE, REQ_SET_CONFIGURATION,
	    (uint16_t)value, 0);
}

int
usbip_claim(struct transport *t, int interface)
{
	(void)t;
	(void)interface;
	return USB_OK; /* the whole device is ours */
}

int
usbip_clear_halt(struct transport *t, uint8_t endpoint)
{
	return plain_request(t, TO_ENDPOINT, REQ_CLEAR_FEATURE,
	    FEATURE_ENDPOINT_HALT, endpoint);
}

int
usbip_reset(struct transport *base)
{
	const int rc = plain_request(base, TO_PORT, REQ_SET_FEATURE,
	    FEATURE_PORT_RESET, 0);

	usbip_fail(usbip_self(base), USB_ERROR_GONE);
	return rc;
}
