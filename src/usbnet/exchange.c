/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Waiting on a link without handling events: for control requests of the
 * library's own, which programs may cause from within their callbacks, and for
 * transfers that must be over before a handle is.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/cursor.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/link.h"
#include "usbnet/transfer.h"

struct exchange {
	struct importer_urb urb; /* first */
	struct un_link *link;
	struct waker *waker; /* another thread may see its end */
	bool over;
};

/*
 * Waits for something on the link, or for the waker, and moves what can be
 * moved.  False when the link's patience with what was asked at `asked` is over.
 * Under the link's lock, which is let go meanwhile.
 */
static bool
pump(struct un_link *l, struct waker *waker, struct moment asked, int most)
{
	struct pollfd pfd[2] = {
		{ .fd = l->fd, .events = l->ops->events(l) },
		{ .fd = waker->read_fd, .events = POLLIN },
	};
	const bool ready = l->lost || l->ops->ready(l);
	const int timeout =
	    ready ? 0 : moment_poll_timeout(clock_now(),
			    un_link_patience(l, asked, most));
	bool lost;

	pthread_mutex_unlock(&l->lock);
	if (poll(pfd, 2, timeout) > 0 && pfd[1].revents != 0)
		waker_clear(waker);
	pthread_mutex_lock(&l->lock);
	lost = !un_link_work(l);
	if (lost) {
		pthread_mutex_unlock(&l->lock);
		un_link_tell_lost(l);
		pthread_mutex_lock(&l->lock);
	}
	/* The handler has callbacks to make, or sleeps without an eye on room
	 * for what those in line have left to send. */
	if (!TAILQ_EMPTY(&l->done) || l->ops->events(l) != POLLIN)
		un_wake(l->ctx);
	return moment_before(clock_now(), un_link_patience(l, asked, most));
}

/* The server does not answer any more. */
static void
lose(struct un_link *l)
{
	if (l->lost)
		return;
	un_link_lose(l);
	pthread_mutex_unlock(&l->lock);
	un_link_tell_lost(l);
	pthread_mutex_lock(&l->lock);
}

static void
attend(struct un_link *l, bool on)
{
	if (l->ops->attend != NULL)
		l->ops->attend(l, on);
}

/* ---- Control requests ---- */

static void
complete(struct importer_urb *urb)
{
	struct exchange *x = (struct exchange *)urb;

	if (urb->status == USBIP_OK)
		un_link_note_request(x->link, urb->setup);
	x->over = true;
	waker_wake(x->waker);
}

static void
run(struct un_link *l, struct exchange *x)
{
	struct moment asked = clock_now();
	bool in_time = true, begun = false;

	while (!l->lost && in_time && !begun) {
		begun = l->ops->submit(l, &x->urb, false);
		if (!begun)
			in_time = pump(l, x->waker, asked, UN_PATIENCE_ANSWER);
	}
	if (!begun) {
		x->urb.status = l->lost ? USBIP_ESHUTDOWN : USBIP_ETIMEDOUT;
		return;
	}
	while (!x->over && in_time)
		in_time = pump(l, x->waker, asked, UN_PATIENCE_ANSWER);
	if (x->over)
		return;
	l->ops->unlink(l, &x->urb);
	asked = clock_now();
	while (!x->over && pump(l, x->waker, asked, UN_PATIENCE_RETURN))
		;
	if (!x->over)
		lose(l);
}

static int
result_of(const struct importer_urb *urb)
{
	switch (urb->status) {
	case USBIP_OK:
		return (int)urb->actual;
	case USBIP_EPIPE:
		return LIBUSB_ERROR_PIPE;
	case USBIP_ENODEV:
	case USBIP_ESHUTDOWN:
		return LIBUSB_ERROR_NO_DEVICE;
	case USBIP_ETIMEDOUT:
	case USBIP_ECONNRESET:
	case USBIP_ENOENT:
		return LIBUSB_ERROR_TIMEOUT;
	case USBIP_EOVERFLOW:
		return LIBUSB_ERROR_OVERFLOW;
	default:
		return LIBUSB_ERROR_IO;
	}
}

int
un_link_control(struct un_link *l, uint8_t request_type, uint8_t request,
    uint16_t value, uint16_t index, void *data, uint16_t length)
{
	struct exchange x = { .link = l, .waker = waker_new_polled() };
	struct writer w = writer_over(x.urb.setup, sizeof x.urb.setup);

	if (x.waker == NULL)
		return LIBUSB_ERROR_NO_MEM;
	write_u8(&w, request_type);
	write_u8(&w, request);
	write_le16(&w, value);
	write_le16(&w, index);
	write_le16(&w, length);
	x.urb.buffer = data;
	x.urb.length = length;
	x.urb.complete = complete;
	attend(l, true);
	pthread_mutex_lock(&l->lock);
	run(l, &x);
	pthread_mutex_unlock(&l->lock);
	attend(l, false);
	waker_put(x.waker);
	return result_of(&x.urb);
}

/* ---- Taking back ---- */

static bool
has_flying_orphan(const struct un_link *l)
{
	const struct un_transfer *t;

	TAILQ_FOREACH(t, &l->flying, place)
		if (t->orphaned)
			return true;
	return false;
}

static bool
is_in(const struct un_transfers *list, const struct un_transfer *t)
{
	const struct un_transfer *u;

	TAILQ_FOREACH(u, list, place)
		if (u == t)
			return true;
	return false;
}

static void
ask_back(struct un_link *l, struct un_transfer *t)
{
	t->orphaned = true;
	l->ops->unlink(l, &t->urb);
}

/* From one of the lists of those that do not fly. */
static void
take_from(struct un_link *l, struct un_transfers *list, struct un_transfer *t)
{
	TAILQ_REMOVE(list, t, place);
	t->orphaned = true;
	un_transfer_done(l, t);
}

static void
take_back_all(struct un_link *l, struct libusb_device_handle *h)
{
	struct un_transfers *const idle[] = { &l->line, &l->done };
	struct un_transfer *t, *next;

	TAILQ_FOREACH(t, &l->flying, place)
		if (t->handle == h)
			ask_back(l, t);
	for (int i = 0; i < 2; i++)
		for (t = TAILQ_FIRST(idle[i]); t != NULL; t = next) {
			next = TAILQ_NEXT(t, place);
			if (t->handle == h)
				take_from(l, idle[i], t);
		}
}

/* Waits for those that have been asked back; also in a callback, where sending
 * is put off. */
static void
await_orphans(struct un_link *l)
{
	const struct moment asked = clock_now();
	struct waker *waker;

	if (!has_flying_orphan(l))
		return;
	waker = waker_new_polled();
	attend(l, true);
	l->ops->flush(l);
	while (waker != NULL && has_flying_orphan(l) &&
	    pump(l, waker, asked, UN_PATIENCE_RETURN))
		;
	attend(l, false);
	if (has_flying_orphan(l))
		lose(l);
	if (waker != NULL)
		waker_put(waker);
}

void
un_link_retire(struct un_link *l, struct libusb_device_handle *h)
{
	take_back_all(l, h);
	await_orphans(l);
}

void
un_link_take_back(struct un_link *l, struct un_transfer *t)
{
	struct un_transfers *const idle[] = { &l->line, &l->done,
		&l->ctx->done };

	if (is_in(&l->flying, t))
		ask_back(l, t);
	for (int i = 0; i < 3; i++)
		if (is_in(idle[i], t)) {
			take_from(l, idle[i], t);
			break;
		}
	await_orphans(l);
}
