/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include "usbnet/bus_virtual.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/virtual.h"

#define MODULE_INSTALLED PKGLIBDIR "/" VIRTUAL_MODULE_NAME

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
/* Under it, until it is there; it stays. */
static _Atomic(const struct virtual_ops *) loaded;

bool
un_virtual_is_wanted(void)
{
	const char *text = secure_getenv("USBNET_VIRTUAL");

	return text != NULL && text[strspn(text, " \t\n")] != '\0';
}

const struct virtual_ops *
un_virtual(void)
{
	/* Acquire: pairs with the release of whoever has loaded it. */
	return atomic_load_explicit(&loaded, memory_order_acquire);
}

/* Its own libraries are nobody else's, and it stays: its threads run in it. */
static const struct virtual_ops *
load(struct cause *why)
{
	const char *path = secure_getenv("USBNET_VIRTUAL_MODULE");
	const struct virtual_ops *v;
	const char *words;
	void *handle;

	if (path == NULL || *path == '\0')
		path = MODULE_INSTALLED;
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	v = handle != NULL ? dlsym(handle, VIRTUAL_SYMBOL) : NULL;
	if (v == NULL) {
		words = dlerror();
		cause_set(why, "the module cannot be loaded: %s",
		    words != NULL ? words : path);
		return NULL;
	}
	if (strcmp(v->version, PACKAGE_VERSION) != 0) {
		cause_set(why, "%s is of version %s, not %s", path, v->version,
		    PACKAGE_VERSION);
		return NULL;
	}
	return v;
}

static const struct virtual_ops *
load_once(struct cause *why)
{
	const struct virtual_ops *v;

	pthread_mutex_lock(&loading);
	v = un_virtual();
	if (v == NULL && (v = load(why)) != NULL)
		atomic_store_explicit(&loaded, v, memory_order_release);
	pthread_mutex_unlock(&loading);
	return v;
}

bool
un_bus_virtual_open(struct un_bus *b, struct libusb_context *ctx,
    unsigned number)
{
	struct cause why;
	const struct virtual_ops *v = load_once(&why);

	if (v == NULL || v->enter(ctx->waker, &why) < 0) {
		un_say(ctx, "no virtual devices: %s", why.text);
		return false;
	}
	b->ctx = ctx;
	b->number = (uint8_t)number;
	b->fd = -1;
	b->deadline = MOMENT_NEVER;
	b->settled = true;
	b->lists = 2; /* it lists all, and tells of changes */
	b->is_virtual = true;
	b->generation = v->generation() - 1;
	return true;
}

void
un_bus_virtual_close(struct un_bus *b)
{
	un_virtual()->leave(b->ctx->waker);
	b->is_virtual = false;
}

void
un_bus_virtual_drop(struct un_bus *b)
{
	un_bus_apply(b, NULL, 0);
	b->is_virtual = false;
}

void
un_virtual_forget(void)
{
	pthread_mutex_init(&loading, NULL);
	if (un_virtual() != NULL)
		un_virtual()->forget();
}

void
un_bus_virtual_look(struct un_bus *b)
{
	const struct virtual_ops *v = un_virtual();
	const uint32_t generation = v->generation();
	struct usbip_device_entry *entries;
	size_t count;

	if (generation == b->generation)
		return;
	entries = v->list(&count);
	if (entries == NULL)
		return;
	b->generation = generation;
	un_bus_apply(b, entries, count);
	free(entries);
}
