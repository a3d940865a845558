/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <poll.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "usbload.h"

/*
 * Says which devices come and go, a line each, until a line or the end comes
 * on standard input; the test that runs it does the plugging.  The rules of
 * callbacks are checked at the start, on what is there.
 */

struct watch {
	libusb_context *ctx;
	unsigned calls;
	libusb_hotplug_callback_handle self;
	bool deregisters; /* itself, from inside */
	int answer;
	bool talks;
};

static int LIBUSB_CALL
on_change(libusb_context *ctx, libusb_device *dev, libusb_hotplug_event event,
    void *arg)
{
	struct watch *w = arg;
	struct libusb_device_descriptor d;

	w->calls++;
	if (ctx != w->ctx)
		fault("a callback gets another context");
	expect(0, libusb_get_device_descriptor(dev, &d),
	    "get_device_descriptor in a callback");
	if (w->deregisters)
		libusb_hotplug_deregister_callback(ctx, w->self);
	if (w->talks)
		result("%s %04x:%04x bus %u address %u",
		    event == LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED ? "arrived"
								 : "left",
		    d.idVendor, d.idProduct, libusb_get_bus_number(dev),
		    libusb_get_device_address(dev));
	return w->answer;
}

static int
watch_start(struct watch *w, const struct options *o, int flags, int vendor)
{
	(void)o;
	return libusb_hotplug_register_callback(w->ctx,
	    LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED |
	    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
	    flags, vendor, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
	    on_change, w, &w->self);
}

static void
events_once(libusb_context *ctx)
{
	struct timeval tv = { .tv_usec = 20000 };

	expect(0, libusb_handle_events_timeout_completed(ctx, &tv, NULL),
	    "handle_events_timeout_completed");
}

/* `devices`: how many there are. */
static void
check_rules(libusb_context *ctx, const struct options *o, unsigned devices)
{
	struct watch all = { .ctx = ctx }, none = { .ctx = ctx },
	    once = { .ctx = ctx, .answer = 1 },
	    inside = { .ctx = ctx, .deregisters = true };

	stage(o, "callbacks of hotplug");
	expect(0, watch_start(&all, o, LIBUSB_HOTPLUG_ENUMERATE,
	    LIBUSB_HOTPLUG_MATCH_ANY), "hotplug_register_callback");
	if (all.calls != devices)
		fault("%u calls of register for %u devices", all.calls,
		    devices);
	expect(0, watch_start(&none, o, LIBUSB_HOTPLUG_ENUMERATE, 0xdead),
	    "hotplug_register_callback");
	if (none.calls != 0)
		fault("%u calls for a vendor that is not there", none.calls);
	expect(0, watch_start(&once, o, 0, LIBUSB_HOTPLUG_MATCH_ANY),
	    "hotplug_register_callback");
	expect(0, watch_start(&inside, o, 0, LIBUSB_HOTPLUG_MATCH_ANY),
	    "hotplug_register_callback");
	if (libusb_hotplug_get_user_data(ctx, all.self) != &all)
		fault("hotplug_get_user_data gives something else");
	libusb_hotplug_deregister_callback(ctx, none.self);
	libusb_hotplug_deregister_callback(ctx, once.self);
	libusb_hotplug_deregister_callback(ctx, inside.self);
	libusb_hotplug_deregister_callback(ctx, all.self);
	events_once(ctx);
	if (all.calls != devices || once.calls != 0)
		fault("calls after deregister");
}

static bool
line_came(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

void
run_hotplug(const struct options *o)
{
	struct watch talker = { .talks = true }, once = { .answer = 1 },
	    inside = { .deregisters = true };
	libusb_device **list;
	libusb_context *ctx;
	ssize_t n;

	expect(0, libusb_init(&ctx), "libusb_init");
	expect(1, libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) != 0,
	    "LIBUSB_CAP_HAS_HOTPLUG");
	n = libusb_get_device_list(ctx, &list);
	if (n < 0)
		fatal("get_device_list: %s", libusb_error_name((int)n));
	libusb_free_device_list(list, 1);
	check_rules(ctx, o, (unsigned)n);
	talker.ctx = once.ctx = inside.ctx = ctx;
	expect(0, watch_start(&talker, o, LIBUSB_HOTPLUG_ENUMERATE,
	    LIBUSB_HOTPLUG_MATCH_ANY), "hotplug_register_callback");
	expect(0, watch_start(&once, o, 0, LIBUSB_HOTPLUG_MATCH_ANY),
	    "hotplug_register_callback");
	expect(0, watch_start(&inside, o, 0, LIBUSB_HOTPLUG_MATCH_ANY),
	    "hotplug_register_callback");
	result("watching %zd", n);
	while (!line_came()) {
		stage(o, "watching");
		events_once(ctx);
	}
	if (once.calls > 1)
		fault("%u calls of one that answers 1", once.calls);
	if (inside.calls > 1)
		fault("%u calls of one that deregisters itself", inside.calls);
	libusb_hotplug_deregister_callback(ctx, talker.self);
	libusb_exit(ctx);
	result("hotplug: %u told", talker.calls);
}
