/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbnet/fork.h"

#include <pthread.h>
#include <unistd.h>

#include "usbnet/bus_virtual.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"
#include "usbnet/link.h"

/* ---- Before: nobody is in the middle of anything ---- */

static void
prepare(void)
{
	un_contexts_lock();
	for (struct libusb_context *c = un_contexts_first(); c != NULL;
	     c = c->next) {
		pthread_mutex_lock(&c->lock);
		for (struct un_link *l = c->links; l != NULL; l = l->next)
			pthread_mutex_lock(&l->lock);
		pthread_mutex_lock(&c->timer);
	}
}

/* After, on both sides: by the same thread. */
static void
unlock_all(void)
{
	for (struct libusb_context *c = un_contexts_first(); c != NULL;
	     c = c->next) {
		pthread_mutex_unlock(&c->timer);
		for (struct un_link *l = c->links; l != NULL; l = l->next)
			pthread_mutex_unlock(&l->lock);
		pthread_mutex_unlock(&c->lock);
	}
	un_contexts_unlock();
}

/* ---- In the child ---- */

/* What another thread of the parent may have held, which is not here to give it
 * back. */
static void
renew_locks(struct libusb_context *c)
{
	struct libusb_device *d;

	un_events_forget_others(c);
	for (d = c->devices; d != NULL; d = d->next) {
		pthread_mutex_init(&d->opening, NULL);
		pthread_mutex_init(&d->descs_lock, NULL);
	}
}

static void
lose_links(struct libusb_context *c)
{
	for (struct un_link *l = c->links; l != NULL; l = l->next) {
		if (!l->lost) {
			l->lost = true;
			l->ops->drop(l);
			l->ops->abort(l);
			un_link_end_line(l);
		}
		l->fd = -1;
		if (atomic_load(&l->dev->attached))
			un_device_detach(l->dev);
	}
}

static void
child(void)
{
	bool watched;

	for (struct libusb_context *c = un_contexts_first(); c != NULL;
	     c = c->next)
		renew_locks(c);
	unlock_all();
	for (struct libusb_context *c = un_contexts_first(); c != NULL;
	     c = c->next) {
		un_events_renew_fds(c);
		pthread_mutex_lock(&c->lock);
		un_buses_drop(c);
		lose_links(c);
		watched = c->callbacks != NULL;
		pthread_mutex_unlock(&c->lock);
		if (watched)
			un_buses_watch(c);
		un_wake(c);
	}
	un_virtual_forget();
}

static void
watch(void)
{
	pthread_atfork(prepare, unlock_all, child);
}

void
un_fork_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch);
}
