/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Contexts: begin and end, the default one, and forks. */

#include "usbnet/context.h"

#include <stdlib.h>

#include "usbnet/bus.h"
#include "usbnet/device.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/fork.h"
#include "usbnet/handle.h"
#include "usbnet/hotplug.h"

#define TIMEOUT_MS 3000

/* Outside of all other locks. */
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct libusb_context *contexts; /* under it */
static unsigned default_uses;           /* under it */
static _Atomic(struct libusb_context *) default_context, first_context;
static _Atomic bool without_buses;

/* ---- Which is meant ---- */

struct libusb_context *
un_context(libusb_context *ctx)
{
	/* Acquire: pairs with the release of whoever has made it. */
	if (ctx == NULL)
		ctx = atomic_load_explicit(&default_context,
		    memory_order_acquire);
	if (ctx == NULL)
		ctx = atomic_load_explicit(&first_context,
		    memory_order_acquire);
	return ctx;
}

struct libusb_context *
un_context_get(struct libusb_context *ctx)
{
	/* Relaxed: who can copy a reference already holds one. */
	atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
	return ctx;
}

void
un_context_put(struct libusb_context *ctx)
{
	/* Release and acquire pair among them: the last one sees all uses. */
	if (atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) !=
	    1)
		return;
	un_events_fini(ctx);
	pthread_mutex_destroy(&ctx->lock);
	free(ctx->buses);
	free(ctx);
}

void
un_context_without_buses(void)
{
	atomic_store_explicit(&without_buses, true, memory_order_relaxed);
}

/* ---- Begin ---- */

static int
timeout_of_environment(void)
{
	const char *text = getenv("USBNET_TIMEOUT");
	const int ms = text != NULL ? atoi(text) : 0;

	return ms > 0 ? ms : TIMEOUT_MS;
}

/* LIBUSB_ERROR_*, or 0. */
static int
apply(struct libusb_context *ctx, const struct libusb_init_option *options,
    int count, bool *buses)
{
	int rc = 0;

	for (int i = 0; i < count && rc == 0; i++) {
		const struct libusb_init_option *o = &options[i];

		switch ((int)o->option) {
		case LIBUSB_OPTION_LOG_CB:
			libusb_set_log_cb(ctx, o->value.log_cbval,
			    LIBUSB_LOG_CB_CONTEXT);
			break;
		case LIBUSB_OPTION_NO_DEVICE_DISCOVERY:
			*buses = false;
			break;
		default:
			rc = libusb_set_option(ctx, o->option,
			    (int)o->value.ival);
		}
	}
	return rc;
}

static struct libusb_context *
new_context(void)
{
	struct libusb_context *ctx = calloc(1, sizeof *ctx);

	if (ctx == NULL || un_events_init(ctx) < 0) {
		free(ctx);
		return NULL;
	}
	atomic_init(&ctx->refs, 1);
	pthread_mutex_init(&ctx->lock, NULL);
	un_log_init(ctx);
	ctx->timeout_ms = timeout_of_environment();
	return ctx;
}

static int
open_context(struct libusb_context **out,
    const struct libusb_init_option *options, int count)
{
	bool buses = !atomic_load_explicit(&without_buses,
	    memory_order_relaxed);
	struct libusb_context *ctx = new_context();
	int rc;

	if (ctx == NULL)
		return LIBUSB_ERROR_NO_MEM;
	rc = apply(ctx, options, count, &buses);
	if (rc == 0 && buses)
		rc = un_buses_open(ctx);
	if (rc != 0) {
		un_context_put(ctx);
		return rc;
	}
	*out = ctx;
	return 0;
}

/* Under the contexts' lock. */
static void
publish(struct libusb_context *ctx, bool is_default)
{
	struct libusb_context **end = &contexts;

	while (*end != NULL)
		end = &(*end)->next;
	*end = ctx;
	/* Release: pairs with un_context(). */
	atomic_store_explicit(&first_context, contexts, memory_order_release);
	if (!is_default)
		return;
	default_uses = 1;
	atomic_store_explicit(&default_context, ctx, memory_order_release);
}

static int
init_default(const struct libusb_init_option *options, int count)
{
	struct libusb_context *ctx;
	int rc = 0;

	/* Held all the time: whoever else wants the default one needs it
	 * ready. */
	pthread_mutex_lock(&contexts_lock);
	if (default_uses > 0) {
		default_uses++;
	} else {
		rc = open_context(&ctx, options, count);
		if (rc == 0)
			publish(ctx, true);
	}
	pthread_mutex_unlock(&contexts_lock);
	return rc;
}

int
libusb_init_context(libusb_context **out,
    const struct libusb_init_option options[], int num_options)
{
	struct libusb_context *ctx;
	int rc;

	un_fork_watch();
	if (out == NULL)
		return init_default(options, num_options);
	rc = open_context(&ctx, options, num_options);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&contexts_lock);
	publish(ctx, false);
	pthread_mutex_unlock(&contexts_lock);
	*out = ctx;
	return 0;
}

int
libusb_init(libusb_context **ctx)
{
	return libusb_init_context(ctx, NULL, 0);
}

/* ---- End ---- */

/* The one to end, out of the list; NULL: none, or others still use it. */
static struct libusb_context *
unpublish(struct libusb_context *ctx)
{
	struct libusb_context *def =
	    atomic_load_explicit(&default_context, memory_order_relaxed);
	struct libusb_context **at = &contexts;

	if (ctx == NULL)
		ctx = def;
	if (ctx == NULL || (ctx == def && --default_uses > 0))
		return NULL;
	if (ctx == def)
		atomic_store_explicit(&default_context, NULL,
		    memory_order_relaxed);
	while (*at != NULL && *at != ctx)
		at = &(*at)->next;
	if (*at == NULL)
		return NULL;
	*at = ctx->next;
	atomic_store_explicit(&first_context, contexts, memory_order_relaxed);
	return ctx;
}

static void
forget_devices(struct libusb_context *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	while (ctx->devices != NULL)
		un_device_detach(ctx->devices);
	pthread_mutex_unlock(&ctx->lock);
}

void
libusb_exit(libusb_context *asked)
{
	struct libusb_context *ctx;
	bool entered;

	pthread_mutex_lock(&contexts_lock);
	ctx = unpublish(asked);
	pthread_mutex_unlock(&contexts_lock);
	if (ctx == NULL)
		return;
	entered = un_events_enter(ctx);
	pthread_mutex_lock(&ctx->lock);
	ctx->exited = true;
	pthread_mutex_unlock(&ctx->lock);
	un_handles_abandon(ctx);
	un_hotplug_fini(ctx);
	un_buses_close(ctx);
	forget_devices(ctx);
	if (entered)
		un_events_leave(ctx);
	un_events_end(ctx);
	un_context_put(ctx);
}

/* ---- What it can ---- */

int
libusb_has_capability(uint32_t capability)
{
	switch (capability) {
	case LIBUSB_CAP_HAS_CAPABILITY:
	case LIBUSB_CAP_HAS_HOTPLUG:
	case LIBUSB_CAP_HAS_HID_ACCESS:
	case LIBUSB_CAP_SUPPORTS_DETACH_KERNEL_DRIVER:
		return 1;
	default:
		return 0;
	}
}

/* ---- Forks (fork.c) ---- */

void
un_contexts_lock(void)
{
	pthread_mutex_lock(&contexts_lock);
}

void
un_contexts_unlock(void)
{
	pthread_mutex_unlock(&contexts_lock);
}

struct libusb_context *
un_contexts_first(void)
{
	return contexts;
}
