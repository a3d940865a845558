/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/hotplug.h"

#include <limits.h>
#include <stdlib.h>

#include "usbnet/bus.h"
#include "usbnet/events.h"

#define ALL_EVENTS \
	(LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT)

struct un_message {
	struct un_message *next;
	struct libusb_device *dev; /* a reference */
	libusb_hotplug_event event;
	libusb_hotplug_callback_handle newest; /* when it happened */
};

/* Under the context's lock.  It stays in the list while it is being called,
 * whoever deregisters it meanwhile. */
struct un_callback {
	struct un_callback *next;
	libusb_hotplug_callback_handle handle;
	int events, vendor, product, device_class;
	libusb_hotplug_callback_fn fn;
	void *user_data;
	unsigned busy; /* calls under way */
	bool dead;     /* deregistered */
};

/* ---- Messages ---- */

void
un_hotplug_post(struct libusb_device *dev, libusb_hotplug_event event)
{
	struct libusb_context *ctx = dev->ctx;
	struct un_message *m;

	if (ctx->callbacks == NULL || ctx->exited)
		return;
	m = calloc(1, sizeof *m);
	if (m == NULL)
		return;
	m->dev = libusb_ref_device(dev);
	m->event = event;
	m->newest = ctx->next_callback;
	if (ctx->messages == NULL)
		ctx->messages_end = &ctx->messages;
	*ctx->messages_end = m;
	ctx->messages_end = &m->next;
	un_wake(ctx);
}

static struct un_message *
take_message(struct libusb_context *ctx)
{
	struct un_message *m;

	pthread_mutex_lock(&ctx->lock);
	m = ctx->messages;
	if (m != NULL)
		ctx->messages = m->next;
	pthread_mutex_unlock(&ctx->lock);
	return m;
}

static void
free_message(struct un_message *m)
{
	libusb_unref_device(m->dev);
	free(m);
}

/* ---- Callbacks ---- */

/* Takes out what is dead and not in use.  Under the lock. */
static void
bury(struct libusb_context *ctx)
{
	struct un_callback **at = &ctx->callbacks;

	while (*at != NULL) {
		struct un_callback *cb = *at;

		if (cb->dead && cb->busy == 0) {
			*at = cb->next;
			free(cb);
		} else {
			at = &cb->next;
		}
	}
}

static bool
wants(const struct un_callback *cb, const struct libusb_device *dev,
    libusb_hotplug_event event)
{
	const struct usbip_device_entry *e = &dev->entry;

	return !cb->dead && (cb->events & (int)event) != 0 &&
	    (cb->vendor < 0 || cb->vendor == e->vendor) &&
	    (cb->product < 0 || cb->product == e->product) &&
	    (cb->device_class < 0 || cb->device_class == e->device_class);
}

/* Under the lock, which is let go during the call.  True when the callback
 * wants no more. */
static bool
call(struct libusb_context *ctx, struct un_callback *cb,
    struct libusb_device *dev, libusb_hotplug_event event)
{
	int finished;

	if (!wants(cb, dev, event))
		return false;
	cb->busy++;
	pthread_mutex_unlock(&ctx->lock);
	finished = cb->fn(ctx, dev, event, cb->user_data);
	pthread_mutex_lock(&ctx->lock);
	cb->busy--;
	return finished != 0;
}

static void
deliver(struct libusb_context *ctx, struct un_message *m)
{
	struct un_callback *cb;

	pthread_mutex_lock(&ctx->lock);
	/* One that was registered later knows of it, or does not care.  One
	 * that is busy stays in the list, so its `next` is good. */
	for (cb = ctx->callbacks; cb != NULL; cb = cb->next) {
		cb->busy++;
		if (cb->handle <= m->newest &&
		    call(ctx, cb, m->dev, m->event))
			cb->dead = true;
		cb->busy--;
	}
	bury(ctx);
	pthread_mutex_unlock(&ctx->lock);
}

void
un_hotplug_deliver(struct libusb_context *ctx)
{
	struct un_message *m;

	while ((m = take_message(ctx)) != NULL) {
		deliver(ctx, m);
		free_message(m);
	}
}

void
un_hotplug_fini(struct libusb_context *ctx)
{
	struct un_message *m;

	while ((m = take_message(ctx)) != NULL)
		free_message(m);
	while (ctx->callbacks != NULL) {
		struct un_callback *cb = ctx->callbacks;

		ctx->callbacks = cb->next;
		free(cb);
	}
}

/* ---- Registration ---- */

static bool
is_match(int value, int max)
{
	return value == LIBUSB_HOTPLUG_MATCH_ANY ||
	    (value >= 0 && value <= max);
}

/* At the end of the list.  Under the lock. */
static struct un_callback *
add(struct libusb_context *ctx, const struct un_callback *wanted)
{
	struct un_callback *cb =
	    ctx->next_callback < INT_MAX ? malloc(sizeof *cb) : NULL;
	struct un_callback **end;

	if (cb == NULL)
		return NULL;
	*cb = *wanted;
	cb->handle = ++ctx->next_callback;
	for (end = &ctx->callbacks; *end != NULL; end = &(*end)->next)
		;
	*end = cb;
	return cb;
}

/* Those that are there already, as arrivals.  What the callback returns does
 * not count yet: so the documentation, and programs. */
static void
enumerate(struct libusb_context *ctx, struct un_callback *cb,
    libusb_device **list)
{
	pthread_mutex_lock(&ctx->lock);
	for (libusb_device **d = list; *d != NULL; d++)
		call(ctx, cb, *d, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED);
	pthread_mutex_unlock(&ctx->lock);
	libusb_free_device_list(list, 1);
}

int
libusb_hotplug_register_callback(libusb_context *asked, int events, int flags,
    int vendor_id, int product_id, int dev_class,
    libusb_hotplug_callback_fn cb_fn, void *user_data,
    libusb_hotplug_callback_handle *callback_handle)
{
	const struct un_callback wanted = {
		.events = events,
		.vendor = vendor_id,
		.product = product_id,
		.device_class = dev_class,
		.fn = cb_fn,
		.user_data = user_data,
		.busy = 1,
	};
	struct libusb_context *ctx = un_context(asked);
	libusb_device **list = NULL;
	struct un_callback *cb;

	if (ctx == NULL || events == 0 || (events & ~ALL_EVENTS) != 0 ||
	    (flags & ~LIBUSB_HOTPLUG_ENUMERATE) != 0 || cb_fn == NULL ||
	    !is_match(vendor_id, 0xffff) || !is_match(product_id, 0xffff) ||
	    !is_match(dev_class, 0xff))
		return LIBUSB_ERROR_INVALID_PARAM;
	un_buses_refresh(ctx);
	/* What arrives from here on is a message, what is there is listed. */
	pthread_mutex_lock(&ctx->lock);
	cb = add(ctx, &wanted);
	if (cb != NULL && callback_handle != NULL)
		*callback_handle = cb->handle;
	if (cb != NULL && (flags & LIBUSB_HOTPLUG_ENUMERATE) != 0)
		un_devices_list(ctx, &list);
	pthread_mutex_unlock(&ctx->lock);
	if (cb == NULL)
		return LIBUSB_ERROR_NO_MEM;
	un_buses_watch(ctx);
	if (list != NULL)
		enumerate(ctx, cb, list);
	pthread_mutex_lock(&ctx->lock);
	cb->busy--;
	bury(ctx);
	pthread_mutex_unlock(&ctx->lock);
	return LIBUSB_SUCCESS;
}

/* Under the lock.  NULL: there is none. */
static struct un_callback *
find(struct libusb_context *ctx, libusb_hotplug_callback_handle handle)
{
	struct un_callback *cb = ctx->callbacks;

	while (cb != NULL && (cb->dead || cb->handle != handle))
		cb = cb->next;
	return cb;
}

void
libusb_hotplug_deregister_callback(libusb_context *asked,
    libusb_hotplug_callback_handle callback_handle)
{
	struct libusb_context *ctx = un_context(asked);
	struct un_callback *cb;

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&ctx->lock);
	cb = find(ctx, callback_handle);
	if (cb != NULL)
		cb->dead = true;
	bury(ctx);
	pthread_mutex_unlock(&ctx->lock);
	/* How a thread that does nothing but handle events is made to look
	 * whether it should end. */
	un_wake(ctx);
}

void *
libusb_hotplug_get_user_data(libusb_context *asked,
    libusb_hotplug_callback_handle callback_handle)
{
	struct libusb_context *ctx = un_context(asked);
	const struct un_callback *cb;
	void *user_data = NULL;

	if (ctx == NULL)
		return NULL;
	pthread_mutex_lock(&ctx->lock);
	cb = find(ctx, callback_handle);
	if (cb != NULL)
		user_data = cb->user_data;
	pthread_mutex_unlock(&ctx->lock);
	return user_data;
}
