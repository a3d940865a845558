/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening and closing. */

#include "usbnet/handle.h"

#include <poll.h>
#include <stdlib.h>

#include "usbnet/events.h"
#include "usbnet/transfer.h"

bool
un_handle_is_good(struct libusb_device_handle *h)
{
	struct un_link *l = h->link;
	bool lost;

	if (l == NULL)
		return false;
	pthread_mutex_lock(&l->lock);
	lost = l->lost;
	pthread_mutex_unlock(&l->lock);
	return !lost;
}

/* ---- Open ---- */

/* After an import a device may have no configuration (the kernel's server), in
 * which nothing works.  One that refuses may still be good for something. */
static void
configure(struct un_link *l)
{
	const uint8_t *bytes;
	size_t len;

	if (un_device_configuration(l->dev) == 0 &&
	    un_device_first_configuration(l->dev, &bytes, &len))
		un_link_control(l, LIBUSB_RECIPIENT_DEVICE,
		    LIBUSB_REQUEST_SET_CONFIGURATION, bytes[5], 0, NULL, 0);
}

/* The device's first link.  Under its `opening`. */
static int
make_link(struct libusb_device *dev, struct un_link **out)
{
	struct un_link *l;
	int rc = un_link_open(dev, &l);
	bool lost;

	if (rc != 0)
		return rc;
	rc = un_device_fetch(dev, l);
	if (rc != 0)
		un_log(dev->ctx, LIBUSB_LOG_LEVEL_WARNING,
		    "no descriptors of device %s", dev->busid);
	configure(l);
	pthread_mutex_lock(&l->lock);
	un_link_learn_endpoints(l);
	lost = l->lost;
	pthread_mutex_unlock(&l->lock);
	if (lost) {
		un_link_close(l);
		return LIBUSB_ERROR_NO_DEVICE;
	}
	*out = l;
	return 0;
}

/* Shows the handle, and its link when that is new, to the context. */
static void
publish(struct libusb_device_handle *h)
{
	struct libusb_context *ctx = h->ctx;
	struct un_link *l = h->link;
	const bool is_new = l->handles == 0;

	if (is_new) {
		l->told = un_link_is_polled(l);
		l->told_events = POLLIN;
	}
	pthread_mutex_lock(&ctx->lock);
	if (is_new) {
		h->dev->link = l;
		l->next = ctx->links;
		ctx->links = l;
	}
	l->handles++;
	h->next = ctx->handles;
	ctx->handles = h;
	pthread_mutex_unlock(&ctx->lock);
	if (is_new && l->told)
		un_poll_added(ctx, l->fd, POLLIN);
	if (is_new)
		un_wake(ctx);
}

int
libusb_open(libusb_device *dev, libusb_device_handle **dev_handle)
{
	struct libusb_device_handle *h = calloc(1, sizeof *h);
	int rc = 0;

	if (h == NULL)
		return LIBUSB_ERROR_NO_MEM;
	pthread_mutex_lock(&dev->opening);
	h->link = dev->link;
	if (!atomic_load(&dev->attached))
		rc = LIBUSB_ERROR_NO_DEVICE;
	else if (h->link == NULL)
		rc = make_link(dev, &h->link);
	if (rc == 0) {
		h->ctx = un_context_get(dev->ctx);
		h->dev = libusb_ref_device(dev);
		publish(h);
	}
	pthread_mutex_unlock(&dev->opening);
	if (rc != 0) {
		free(h);
		return rc;
	}
	*dev_handle = h;
	return 0;
}

/* ---- Close ---- */

/* Callbacks to come are not called any more. */
static void
forget_done(struct libusb_context *ctx, const struct libusb_device_handle *h,
    struct un_link *l)
{
	struct un_transfer *t, *next;

	for (t = TAILQ_FIRST(&ctx->done); t != NULL; t = next) {
		next = TAILQ_NEXT(t, place);
		if (t->handle != h)
			continue;
		TAILQ_REMOVE(&ctx->done, t, place);
		t->orphaned = true;
		un_transfer_done(l, t);
	}
}

static void
forget_corked(struct libusb_context *ctx, struct un_link *l)
{
	struct un_link **at = &ctx->corked;

	while (*at != NULL && *at != l)
		at = &(*at)->next_corked;
	if (*at != NULL)
		*at = l->next_corked;
}

/* Out of the context's list; the program polls it no more. */
static void
unpublish(struct libusb_context *ctx, struct un_link *l)
{
	struct un_link **at = &ctx->links;

	pthread_mutex_lock(&ctx->lock);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->dev->link = NULL;
	un_device_note_closed(l->dev);
	pthread_mutex_unlock(&ctx->lock);
	forget_corked(ctx, l);
	if (l->told && l->fd >= 0)
		un_poll_removed(ctx, l->fd);
}

/* The events lock's owner, under the device's `opening`. */
static void
leave_link(struct libusb_device_handle *h, struct un_link *l)
{
	struct libusb_context *ctx = h->ctx;
	bool is_last;

	pthread_mutex_lock(&ctx->lock);
	is_last = --l->handles == 0;
	pthread_mutex_unlock(&ctx->lock);
	pthread_mutex_lock(&l->lock);
	forget_done(ctx, h, l);
	for (int i = 0; i < UN_INTERFACES_MAX; i++)
		if (l->claims[i] == h)
			l->claims[i] = NULL;
	if (!is_last)
		un_link_retire(l, h);
	pthread_mutex_unlock(&l->lock);
	if (is_last) {
		unpublish(ctx, l);
		un_link_close(l);
	}
}

static void
forget_handle(struct libusb_device_handle *h)
{
	struct libusb_device_handle **at = &h->ctx->handles;

	pthread_mutex_lock(&h->ctx->lock);
	while (*at != NULL && *at != h)
		at = &(*at)->next;
	if (*at != NULL) /* not after the context's end */
		*at = h->next;
	pthread_mutex_unlock(&h->ctx->lock);
}

void
libusb_close(libusb_device_handle *dev_handle)
{
	struct libusb_device_handle *h = dev_handle;
	bool entered;

	if (h == NULL)
		return;
	forget_handle(h);
	if (h->link != NULL) {
		entered = un_events_enter(h->ctx);
		pthread_mutex_lock(&h->dev->opening);
		leave_link(h, h->link);
		pthread_mutex_unlock(&h->dev->opening);
		if (entered)
			un_events_leave(h->ctx);
	}
	libusb_unref_device(h->dev);
	un_context_put(h->ctx);
	free(h);
}

void
un_handles_abandon(struct libusb_context *ctx)
{
	while (ctx->handles != NULL) {
		struct libusb_device_handle *h = ctx->handles;

		un_log(ctx, LIBUSB_LOG_LEVEL_WARNING,
		    "the program has left device %s open", h->dev->busid);
		forget_handle(h);
		leave_link(h, h->link);
		h->link = NULL;
	}
}

libusb_device *
libusb_get_device(libusb_device_handle *dev_handle)
{
	return dev_handle->dev;
}

libusb_device_handle *
libusb_open_device_with_vid_pid(libusb_context *ctx, uint16_t vendor_id,
    uint16_t product_id)
{
	libusb_device_handle *h = NULL;
	libusb_device **list;

	if (libusb_get_device_list(ctx, &list) < 0)
		return NULL;
	for (libusb_device **d = list; *d != NULL; d++)
		if ((*d)->entry.vendor == vendor_id &&
		    (*d)->entry.product == product_id) {
			if (libusb_open(*d, &h) != 0)
				h = NULL;
			break;
		}
	libusb_free_device_list(list, 1);
	return h;
}

/* There is nothing of the system's to wrap. */
int
libusb_wrap_sys_device(libusb_context *ctx, intptr_t sys_dev,
    libusb_device_handle **dev_handle)
{
	(void)ctx;
	(void)sys_dev;
	(void)dev_handle;
	return LIBUSB_ERROR_NOT_SUPPORTED;
}
