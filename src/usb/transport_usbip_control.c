/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The USB/IP transport's requests to endpoint 0, and how its reader waits. */

#include <poll.h>
#include <stddef.h>

#include "base/clock.h"
#include "usb/transport_usbip.h"

/* How long a server may take to give back a request that has timed out. */
#define UNLINK_MS 500

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

/* ---- The reader waits ---- */

bool
usbip_wait_and_work(struct usbip_transport *t, int timeout_ms)
{
	struct pollfd pfd[2] = {
		{ .fd = t->imp.fd, .events = importer_events(&t->imp) },
		{ .fd = t->waker->read_fd, .events = POLLIN },
	};

	if (poll(pfd, 2, timeout_ms) <= 0)
		return true;
	if (pfd[0].revents != 0 && !importer_work(&t->imp) &&
	    t->failure == USB_OK)
		t->failure = USB_ERROR_GONE;
	if (pfd[1].revents == 0)
		return true;
	waker_clear(t->waker);
	return false;
}

/* ---- Control ---- */

struct control {
	struct importer_urb urb;
	bool done;
};

static void
control_complete(struct importer_urb *urb)
{
	((struct control *)urb)->done = true;
}

/* Works until the request is done or the time is over.  An interrupt that
 * comes meanwhile is for the next read(). */
static bool
await_control(struct usbip_transport *t, struct control *c,
    unsigned timeout_ms)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), timeout_ms);
	bool interrupted = false;

	while (!c->done && t->failure == USB_OK) {
		const int left = moment_poll_timeout(clock_now(), deadline);

		if (left == 0)
			break;
		interrupted |= !usbip_wait_and_work(t, left);
	}
	if (interrupted)
		waker_wake(t->waker);
	return c->done;
}

static int
run_control(struct usbip_transport *t, struct control *c, unsigned timeout_ms)
{
	if (t->failure != USB_OK || !importer_submit(&t->imp, &c->urb, false))
		return USB_ERROR_GONE;
	if (await_control(t, c, timeout_ms))
		return c->urb.status != 0 ? usbip_error_of(c->urb.status)
					  : (int)c->urb.actual;
	if (t->failure == USB_OK) {
		importer_unlink(&t->imp, &c->urb);
		if (await_control(t, c, UNLINK_MS))
			return USB_ERROR_TIMEOUT;
	}
	/* A server that does not even give a request back is lost, and the
	 * request lives in our frame: end it here. */
	t->failure = USB_ERROR_GONE;
	importer_abort(&t->imp);
	return USB_ERROR_TIMEOUT;
}

int
usbip_control(struct transport *base, const struct usb_setup_packet *setup,
    void *data, unsigned timeout_ms)
{
	struct control c = {
		.urb = {
			.setup = {
				setup->request_type,
				setup->request,
				(uint8_t)setup->value,
				(uint8_t)(setup->value >> 8),
				(uint8_t)setup->index,
				(uint8_t)(setup->index >> 8),
				(uint8_t)setup->length,
				(uint8_t)(setup->length >> 8),
			},
			.buffer = data,
			.length = setup->length,
			.complete = control_complete,
		},
	};

	return run_control(usbip_self(base), &c, timeout_ms);
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
	struct usbip_transport *t = usbip_self(base);
	const int rc = plain_request(base, TO_PORT, REQ_SET_FEATURE,
	    FEATURE_PORT_RESET, 0);

	if (t->failure == USB_OK)
		t->failure = USB_ERROR_GONE;
	return rc;
}
