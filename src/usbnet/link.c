/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all links have in common: transfers that come and go. */

#include "usbnet/link.h"

#include <string.h>

#include "usbnet/bus.h"
#include "usbnet/context.h"
#include "usbnet/device.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/transfer.h"

void
un_link_init(struct un_link *l, const struct un_link_ops *ops,
    struct libusb_device *dev, int fd)
{
	l->ops = ops;
	l->ctx = dev->ctx;
	l->dev = libusb_ref_device(dev);
	l->fd = fd;
	pthread_mutex_init(&l->lock, NULL);
	TAILQ_INIT(&l->flying);
	TAILQ_INIT(&l->line);
	TAILQ_INIT(&l->done);
}

int
un_link_open(struct libusb_device *dev, struct un_link **out)
{
	return un_bus_is_virtual(dev->bus) ? un_link_open_virtual(dev, out)
					   : un_link_open_usbip(dev, out);
}

/* Those that wait for room take it, first come, first served. */
static void
take_from_line(struct un_link *l)
{
	struct un_transfer *t;

	while ((t = TAILQ_FIRST(&l->line)) != NULL &&
	    l->ops->submit(l, &t->urb, true)) {
		TAILQ_REMOVE(&l->line, t, place);
		TAILQ_INSERT_TAIL(&l->flying, t, place);
		t->state = UN_FLYING;
	}
	l->ops->flush(l);
}

void
un_link_end_line(struct un_link *l)
{
	struct un_transfer *t;

	while ((t = TAILQ_FIRST(&l->line)) != NULL) {
		TAILQ_REMOVE(&l->line, t, place);
		t->urb.status = USBIP_ESHUTDOWN;
		t->urb.actual = 0;
		un_transfer_done(l, t);
	}
}

void
un_link_lose(struct un_link *l)
{
	l->lost = true;
	l->ops->abort(l);
	un_link_end_line(l);
}

bool
un_link_work(struct un_link *l)
{
	uint64_t moved;
	bool good;

	if (l->lost)
		return true;
	moved = l->ops->moved(l);
	good = l->ops->work(l);
	if (l->ops->moved(l) != moved)
		l->moved_at = clock_now();
	if (!good)
		un_link_lose(l);
	else if (!TAILQ_EMPTY(&l->line))
		take_from_line(l);
	return good;
}

void
un_link_tell_lost(struct un_link *l)
{
	un_log(l->ctx, LIBUSB_LOG_LEVEL_INFO,
	    "the connection of device %s is lost", l->dev->busid);
	un_device_lost(l->dev);
	un_wake(l->ctx); /* what it had in flight is done */
}

static void
forget_done(struct un_link *l)
{
	struct un_transfer *t;

	while ((t = TAILQ_FIRST(&l->done)) != NULL) {
		TAILQ_REMOVE(&l->done, t, place);
		un_transfer_done(l, t);
	}
}

void
un_link_close(struct un_link *l)
{
	pthread_mutex_lock(&l->lock);
	l->closing = true;
	if (!l->lost) {
		l->ops->leave(l);
		l->ops->abort(l);
	}
	l->lost = true;
	un_link_end_line(l);
	forget_done(l);
	pthread_mutex_unlock(&l->lock);
	un_timers_fini(&l->timers);
	pthread_mutex_destroy(&l->lock);
	libusb_unref_device(l->dev);
	l->ops->free(l);
}

/* ---- Timeouts ---- */

struct moment
un_link_patience(const struct un_link *l, struct moment asked, int most)
{
	const int ms = l->ctx->timeout_ms;
	const struct moment from =
	    moment_before(asked, l->moved_at) ? l->moved_at : asked;

	return moment_earlier(moment_after_ms(from, ms),
	    moment_after_ms(asked, (int64_t)most * ms));
}

/* For want of memory it may wait without limit. */
static void
await_return(struct un_link *l, struct un_transfer *t)
{
	un_timers_drop(&l->timers, &t->timer);
	t->timer.deadline =
	    un_link_patience(l, t->asked_back, UN_PATIENCE_RETURN);
	(void)un_timers_add(&l->timers, &t->timer);
}

void
un_link_ask_back(struct un_link *l, struct un_transfer *t)
{
	l->ops->unlink(l, &t->urb);
	t->asked_back = clock_now();
	await_return(l, t);
}

static struct un_transfer *
transfer_of_timer(struct un_timer *timer)
{
	return (struct un_transfer *)((char *)timer -
	    offsetof(struct un_transfer, timer));
}

static void
run_out(struct un_link *l, struct un_transfer *t)
{
	t->timed_out = true;
	if (t->state == UN_FLYING) {
		un_link_ask_back(l, t);
		return;
	}
	TAILQ_REMOVE(&l->line, t, place);
	t->urb.status = USBIP_ECONNRESET;
	t->urb.actual = 0;
	un_transfer_done(l, t);
}

bool
un_link_expire(struct un_link *l, struct moment now)
{
	struct un_timer *first;

	while ((first = un_timers_first(&l->timers)) != NULL &&
	    !moment_before(now, first->deadline)) {
		struct un_transfer *t = transfer_of_timer(first);

		if (!t->cancelled && !t->timed_out) {
			run_out(l, t);
			continue;
		}
		await_return(l, t); /* longer, if the server still works */
		if (!moment_before(now, t->timer.deadline)) {
			un_link_lose(l);
			return false;
		}
	}
	return true;
}

/* ---- Endpoints ---- */

void
un_link_learn_endpoints(struct un_link *l)
{
	const uint8_t *bytes;
	size_t len;

	if (!un_device_cached_configuration(l->dev,
		un_device_configuration(l->dev), &bytes, &len)) {
		bytes = NULL;
		len = 0;
	}
	un_endpoints_read(l->endpoints, l->alts,
	    l->dev->speed >= LIBUSB_SPEED_HIGH, bytes, len);
}

void
un_link_note_request(struct un_link *l, const uint8_t setup[8])
{
	const uint8_t value = setup[2], interface = setup[4];

	if (setup[0] == LIBUSB_RECIPIENT_DEVICE &&
	    setup[1] == LIBUSB_REQUEST_SET_CONFIGURATION) {
		memset(l->alts, 0, sizeof l->alts);
		un_device_set_configuration(l->dev, value);
		un_link_learn_endpoints(l);
	} else if (setup[0] == LIBUSB_RECIPIENT_INTERFACE &&
	    setup[1] == LIBUSB_REQUEST_SET_INTERFACE &&
	    interface < UN_INTERFACES_MAX) {
		l->alts[interface] = value;
		un_link_learn_endpoints(l);
	}
}
