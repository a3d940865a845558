/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The phones on this host's USB, and what else is wanted.  Whatever happens (libusb's hotplug callback,
 * the clock where there is none, a rescan), the answer is the same: look at the
 * list of devices and tell what is different.  So nothing depends on the order
 * or on the completeness of events, and nothing is done inside a callback.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "usb/sysfs.h"
#include "usb/transport_libusb.h"

/* Where libusb cannot tell of changes, the list is looked at this often. */
#define POLL_MS 1000
/* Otherwise nothing needs a look before it says so. */
#define IDLE_MS 60000
/*
 * A device that is listed and cannot be found has left unheard, and may be back
 * as another: libusb drops the event of one that is reset while it is looked
 * at.  So many looks follow, POLL_MS apart.
 */
#define DOUBT_LOOKS 10
/* libusb cannot wait for events this many times in a row: it never will. */
#define FAULTS_MAX 10

struct known {
	struct known *next;
	struct usb_ident ident;
	bool seen; /* in the newest list */
	bool told; /* that it has arrived */
};

struct local_source {
	struct usb_source base; /* first */
	bool wants_hotplug;
	struct read_budget budget; /* of all devices that were opened here */

	/* The context changes at a rescan, and quit() wakes it from elsewhere:
	 * a few times in the daemon's life. */
	pthread_mutex_t lock;
	libusb_context *ctx; /* written by the monitor, under `lock` */
	_Atomic bool quitting;
	_Atomic uint32_t rescans; /* asked for; relaxed: the wake-up orders */
	_Atomic int doubts; /* looks to come; relaxed, the same */

	/* ---- The monitor's ---- */
	uint32_t answered; /* of `rescans` */
	struct moment doubt_at; /* the next look for a doubt, not before that */
	bool hotplug; /* libusb tells of changes */
	bool changed; /* and has told */
	struct known *known;
};

static struct local_source *
self(struct usb_source *s)
{
	return (struct local_source *)s;
}

/* ---- Differences ---- */

static void
note_left(struct local_source *s, struct known **at, struct usb_listener *l)
{
	struct known *k = *at;

	*at = k->next;
	if (k->told) {
		/* It may be back at once, of which libusb does not always hear:
		 * a device that is being reset cannot be asked what it is. */
		if (local_is_direct())
			atomic_store_explicit(&s->doubts, DOUBT_LOOKS,
			    memory_order_relaxed);
		l->left(l, k->ident.key);
	}
	free(k);
}

static void
tell(struct known *k, bool now, struct usb_listener *l)
{
	k->seen = true;
	if (!k->told && now)
		l->arrived(l, &k->ident);
	k->told |= now;
}

/* One that is not to be told `now` is told when it is seen again. */
static void
note_device(struct local_source *s, const struct usb_ident *ident, bool now,
    struct usb_listener *l)
{
	struct known **at = &s->known, *k;

	while (*at != NULL && strcmp((*at)->ident.key, ident->key) != 0)
		at = &(*at)->next;
	k = *at;
	if (k != NULL && k->ident.address == ident->address &&
	    k->ident.product == ident->product) {
		tell(k, true, l);
		return;
	}
	/* In the same port, but another address: it was away meanwhile. */
	if (k != NULL)
		note_left(s, at, l);
	k = calloc(1, sizeof *k);
	if (k == NULL) {
		l->trouble(l, "no memory to note a device");
		return;
	}
	k->ident = *ident;
	k->next = s->known;
	s->known = k;
	tell(k, now, l);
}

/* The interfaces of a configuration; their first settings tell what they are. */
static void
note_classes(const struct libusb_config_descriptor *c, struct usb_ident *ident)
{
	for (int i = 0; i < c->bNumInterfaces; i++) {
		const struct libusb_interface_descriptor *d =
		    c->interface[i].altsetting;

		if (c->interface[i].num_altsetting > 0)
			usb_ident_add_class(ident, (struct usb_class){
				.base = d->bInterfaceClass,
				.sub = d->bInterfaceSubClass,
				.protocol = d->bInterfaceProtocol,
			});
	}
}

/* Phones are told by their vendor; of others libusb has the descriptors, where
 * the system keeps them. */
static bool
is_wanted(libusb_device *device, struct usb_ident *ident,
    struct usb_listener *l)
{
	if (usb_is_phone(ident->vendor, ident->product))
		return true;
	for (uint8_t i = 0; i < ident->configurations; i++) {
		struct libusb_config_descriptor *c;

		if (libusb_get_config_descriptor(device, i, &c) < 0)
			continue;
		note_classes(c, ident);
		libusb_free_config_descriptor(c);
	}
	return usb_is_wanted(l, ident);
}

/* What to look at: libusb's list; all that the kernel has as well, which libusb
 * may hear of in a moment, and then no reader should have been there before udev
 * was; or all, because it was asked for. */
enum scope { LISTED, MISSED, ALL };

struct look {
	struct local_source *s;
	struct usb_listener *l;
	bool now; /* what is found is told */
};

static void
note_unlisted(void *arg, const struct usb_ident *ident)
{
	const struct look *look = arg;

	if (usb_is_wanted(look->l, ident))
		note_device(look->s, ident, look->now, look->l);
}

/*
 * libusb's list is what it was told, and so tells when udev is done with a
 * device; what is there the kernel knows.  Where devices are opened directly,
 * that counts: what libusb has not heard of is found, and what has left it
 * unheard is not believed.
 */
static void
note_list(struct local_source *s, libusb_device **list, ssize_t count,
    enum scope scope, struct usb_listener *l)
{
	struct look look = { s, l, scope == ALL };

	for (struct known *k = s->known; k != NULL; k = k->next)
		k->seen = local_is_direct() && sysfs_has(&k->ident);
	for (ssize_t i = 0; i < count; i++) {
		struct usb_ident ident;

		if (local_describe(list[i], &ident) &&
		    (!local_is_direct() || sysfs_has(&ident)) &&
		    is_wanted(list[i], &ident, l))
			note_device(s, &ident, true, l);
	}
	if (scope != LISTED && local_is_direct())
		sysfs_each(note_unlisted, &look);
	for (struct known **at = &s->known; *at != NULL;)
		if (!(*at)->seen)
			note_left(s, at, l);
		else
			at = &(*at)->next;
}

static void
scan(struct local_source *s, enum scope scope, struct usb_listener *l)
{
	libusb_device **list;
	ssize_t count;

	s->changed = false;
	count = libusb_get_device_list(s->ctx, &list);
	if (count < 0) {
		l->trouble(l, "cannot list the USB devices of this host");
		return;
	}
	note_list(s, list, count, scope, l);
	libusb_free_device_list(list, 1);
}

/* ---- Contexts ---- */

/* In libusb's event handling, where almost nothing may be called: just a note. */
static int LIBUSB_CALL
on_hotplug(libusb_context *ctx, libusb_device *device,
    libusb_hotplug_event event, void *arg)
{
	struct local_source *s = arg;

	(void)ctx;
	(void)device;
	(void)event;
	s->changed = true;
	return 0;
}

static void
watch(struct local_source *s)
{
	s->hotplug = s->wants_hotplug &&
	    libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) != 0 &&
	    libusb_hotplug_register_callback(s->ctx,
		LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED |
		    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
		0, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
		LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug, s, NULL) == 0;
}

/*
 * A list without gaps: a new context enumerates, where one that follows events
 * knows only of what it was told.
 */
static void
renew(struct local_source *s, struct usb_listener *l)
{
	libusb_context *fresh, *old = s->ctx;

	if (libusb_init(&fresh) < 0) {
		l->trouble(l, "cannot look at the USB anew");
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->ctx = fresh;
	pthread_mutex_unlock(&s->lock);
	libusb_exit(old); /* and with it its callback */
	watch(s);
}

/* ---- The loop ---- */

static bool
quitting(struct local_source *s)
{
	return atomic_load_explicit(&s->quitting, memory_order_relaxed);
}

static bool
is_in_doubt(struct local_source *s)
{
	return atomic_load_explicit(&s->doubts, memory_order_relaxed) > 0;
}

/* Looks for a doubt are no closer together because other things happen. */
static bool
doubt_is_due(struct local_source *s)
{
	const struct moment now = clock_now();

	if (moment_before(now, s->doubt_at))
		return false;
	s->doubt_at = moment_after_ms(now, POLL_MS);
	atomic_fetch_sub_explicit(&s->doubts, 1, memory_order_relaxed);
	return true;
}

/* Looks at the list if there is a reason to. */
static void
look_again(struct local_source *s, struct usb_listener *l)
{
	/* Before the look that answers them. */
	const uint32_t asked =
	    atomic_load_explicit(&s->rescans, memory_order_relaxed);
	const bool doubts = is_in_doubt(s) && doubt_is_due(s);
	const bool anew = asked != s->answered || doubts;

	if (anew && !local_is_direct())
		renew(s, l);
	if (anew || s->changed || (s->wants_hotplug && !s->hotplug))
		scan(s, asked != s->answered ? ALL : doubts ? MISSED : LISTED,
		    l);
	if (asked != s->answered)
		l->scanned(l, asked);
	s->answered = asked;
}

static int
wait_for_events(struct local_source *s)
{
	const bool polls =
	    (s->wants_hotplug && !s->hotplug) || is_in_doubt(s);
	const int ms = polls ? POLL_MS : IDLE_MS;
	struct timeval tv = { .tv_sec = ms / 1000 };
	const int r =
	    libusb_handle_events_timeout_completed(s->ctx, &tv, NULL);

	return r == LIBUSB_ERROR_INTERRUPTED ? 0 : r;
}

static int
run(struct usb_source *base, struct usb_listener *l, struct cause *why)
{
	struct local_source *s = self(base);
	int faults = 0;

	watch(s);
	scan(s, LISTED, l);
	l->scanned(l, 0);
	while (!quitting(s)) {
		const int r = wait_for_events(s);

		faults = r < 0 ? faults + 1 : 0;
		if (faults == FAULTS_MAX)
			return cause_set(why, "cannot wait for USB events: %s",
			    usb_error_text(local_error(r)));
		look_again(s, l);
	}
	return 0;
}

/* The wake-up stays with libusb until its events are handled next, so it cannot
 * be lost between a look at the flags and the wait. */
static void
wake(struct local_source *s)
{
	pthread_mutex_lock(&s->lock);
	libusb_interrupt_event_handler(s->ctx);
	pthread_mutex_unlock(&s->lock);
}

static void
rescan(struct usb_source *base)
{
	atomic_fetch_add_explicit(&self(base)->rescans, 1,
	    memory_order_relaxed);
	wake(self(base));
}

static void
quit(struct usb_source *base)
{
	atomic_store_explicit(&self(base)->quitting, true,
	    memory_order_relaxed);
	wake(self(base));
}

static int
open_device(struct usb_source *base, const struct usb_ident *ident,
    struct transport **out, struct cause *why)
{
	struct local_source *s = self(base);
	const int error = local_open(&s->budget, ident, out, why);

	if (error == USB_ERROR_GONE) {
		atomic_store_explicit(&s->doubts, DOUBT_LOOKS,
		    memory_order_relaxed);
		wake(s);
	}
	return error;
}

static void
do_free(struct usb_source *base)
{
	struct local_source *s = self(base);

	while (s->known != NULL) {
		struct known *k = s->known;

		s->known = k->next;
		free(k);
	}
	libusb_exit(s->ctx);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct usb_source_ops ops = {
	.run = run,
	.rescan = rescan,
	.quit = quit,
	.open = open_device,
	.free = do_free,
};

struct usb_source *
usb_source_libusb_new(bool hotplug, struct cause *why)
{
	struct local_source *s = calloc(1, sizeof *s);
	int r = LIBUSB_ERROR_NO_MEM;

	if (s != NULL)
		r = libusb_init(&s->ctx);
	if (r < 0) {
		free(s);
		cause_set(why, "the USB of this host cannot be used: %s",
		    usb_error_text(local_error(r)));
		return NULL;
	}
	local_choose_way(s->ctx);
	pthread_mutex_init(&s->lock, NULL);
	read_budget_init(&s->budget);
	s->wants_hotplug = hotplug;
	s->base.ops = &ops;
	s->base.name = "usb";
	return &s->base;
}
