/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/gadget.h"

#include <string.h>

#include "actor/mailbox.h"
#include "base/json.h"
#include "base/log.h"
#include "phone/phone.h"

struct device *
gadget_lock(struct gadget *g)
{
	pthread_mutex_lock(&g->lock);
	return g->device;
}

/* When gadget_tick() has something to do. */
static struct moment
next_due(const struct gadget *g)
{
	if (g->device->leaving || g->device->watch_again)
		return (struct moment){ 0 };
	if (g->place == GADGET_AWAY && g->wanted)
		return moment_earlier(g->device->due, g->back_at);
	return g->device->due;
}

/* Tells who ticks it when it must do so earlier than it means to. */
static void
arm(struct gadget *g)
{
	const struct moment due = next_due(g);

	if (moment_before(due, g->armed)) {
		g->armed = due;
		if (g->waker != NULL)
			waker_wake(g->waker);
	}
}

void
gadget_unlock(struct gadget *g)
{
	arm(g);
	pthread_mutex_unlock(&g->lock);
}

struct moment
gadget_release(struct gadget *g)
{
	const struct moment next = next_due(g);

	g->armed = next;
	pthread_mutex_unlock(&g->lock);
	return next;
}

/* ---- Coming and going --------------------------------------------------- */

void
gadget_init(struct gadget *g, const struct gadget_bus *bus, void *bus_arg,
    struct waker *waker, struct device *device)
{
	g->bus = bus;
	g->bus_arg = bus_arg;
	g->waker = waker;
	pthread_mutex_init(&g->lock, NULL);
	g->device = device;
	g->place = GADGET_AWAY;
	g->armed = MOMENT_NEVER;
}

void
gadget_fini(struct gadget *g)
{
	device_free(g->device);
	pthread_mutex_destroy(&g->lock);
}

/* Each time with another address, as a bus does it: a list that was read
 * before and one that is read afterwards differ. */
static uint8_t
next_address(struct gadget *g)
{
	const uint8_t laps = 126 / (IDENTITY_PORTS + 1);

	g->lap = (uint8_t)((g->lap + 1) % laps);
	return (uint8_t)(1 + g->device->id.port +
	    g->lap * (IDENTITY_PORTS + 1));
}

int
gadget_plug_in(struct gadget *g, struct cause *why)
{
	struct usbip_description desc;
	uint8_t info[DEVICE_INFO_MAX];
	struct device *d = gadget_lock(g);

	if (d->kind->arrive != NULL)
		d->kind->arrive(d, g->by_itself);
	d->leaving = false;
	device_restart(d);
	device_describe(d, next_address(g), &desc);
	desc.info = info;
	desc.info_len = device_info(d, info);
	g->place = GADGET_PLUGGED;
	gadget_unlock(g);
	if (g->bus->plug(g, &desc, why) == 0)
		return 0;
	gadget_lock(g);
	g->place = GADGET_AWAY;
	gadget_unlock(g);
	return -1;
}

/* Lets it leave, if it is there, and perhaps come back after a while. */
static void
leave(struct gadget *g, bool come_back, bool by_itself)
{
	bool plugged;

	gadget_lock(g);
	plugged = g->place == GADGET_PLUGGED;
	g->wanted = come_back;
	g->by_itself = by_itself;
	g->back_at = moment_after_ms(clock_now(), GADGET_AWAY_MS);
	g->device->leaving = false;
	if (plugged)
		g->place = GADGET_LEAVING;
	gadget_unlock(g);
	if (plugged)
		g->bus->unplug(g);
}

void
gadget_unplug(struct gadget *g)
{
	leave(g, false, false);
}

void
gadget_bounce(struct gadget *g)
{
	leave(g, true, false);
}

void
gadget_gone(struct gadget *g)
{
	gadget_lock(g);
	g->place = GADGET_AWAY;
	gadget_unlock(g);
	log_info("%s %u: unplugged", g->device->kind->name,
	    g->device->id.index);
}

void
gadget_plug(struct gadget *g)
{
	gadget_lock(g);
	if (g->place != GADGET_PLUGGED) {
		g->wanted = true;
		g->back_at = clock_now();
	}
	gadget_unlock(g);
}

bool
gadget_halt(struct gadget *g, uint8_t address)
{
	const bool done = device_halt(gadget_lock(g), address);

	gadget_unlock(g);
	if (done && g->bus->halted != NULL)
		g->bus->halted(g);
	return done;
}

/* Whether it is time to come back. */
static bool
is_due_back(const struct gadget *g)
{
	return g->place == GADGET_AWAY && g->wanted &&
	    !moment_before(clock_now(), g->back_at);
}

static void
come_back(struct gadget *g)
{
	struct cause why;

	if (gadget_plug_in(g, &why) == 0) {
		g->wanted = false;
		return;
	}
	log_error("%s %u cannot be plugged in: %s", g->device->kind->name,
	    g->device->id.index, why.text);
	g->back_at = moment_after_ms(clock_now(), GADGET_AWAY_MS);
}

/* Each part takes the lock by itself: plugging and unplugging call the bus,
 * which must not be done under it. */
struct moment
gadget_tick(struct gadget *g)
{
	struct device *d = gadget_lock(g);
	const bool leaving = d->leaving;
	bool due_back;

	d->watch_again = false; /* whoever polls asks after this */
	if (d->due.ns != MOMENT_NEVER.ns)
		device_pump(d);
	gadget_unlock(g);
	if (leaving)
		leave(g, true, true);

	gadget_lock(g);
	due_back = is_due_back(g);
	gadget_unlock(g);
	if (due_back)
		come_back(g);

	gadget_lock(g);
	return gadget_release(g);
}

unsigned
gadget_watch(struct gadget *g, struct pollfd *pfd, struct moment *until)
{
	struct device *d;
	unsigned n;

	if (g->device->kind->watch == NULL)
		return 0;
	d = gadget_lock(g);
	n = d->kind->watch(d, pfd, until);
	gadget_unlock(g);
	return n;
}

void
gadget_watched(struct gadget *g, const struct pollfd *pfd, unsigned count)
{
	struct device *d;

	if (g->device->kind->watched == NULL)
		return;
	d = gadget_lock(g);
	d->kind->watched(d, pfd, count);
	device_pump(d);
	gadget_unlock(g);
}

const char *
gadget_place(const struct gadget *g)
{
	return g->bus->place != NULL ? g->bus->place(g) : g->device->id.busid;
}

/* ---- Reports ------------------------------------------------------------ */

/* A phone is known by its UDID, which its serial number is made from. */
static void
identify(const struct device *d, struct json *j)
{
	json_uint(j, "n", d->id.index);
	if (d->kind != &kind_phone)
		json_string(j, "kind", d->kind->name);
	json_string(j, d->kind == &kind_phone ? "udid" : "serial", d->id.udid);
}

void
gadget_describe(struct gadget *g, struct json *j)
{
	const struct device *d = gadget_lock(g);

	identify(d, j);
	json_string(j, "busid", gadget_place(g));
	json_bool(j, "plugged", g->place == GADGET_PLUGGED);
	json_bool(j, "imported", g->imported);
	json_uint(j, "configuration", d->configuration);
	if (d->kind->describe != NULL)
		d->kind->describe(d, j);
	gadget_unlock(g);
}

void
gadget_report(struct gadget *g, struct json *j, bool more)
{
	const struct device *d = gadget_lock(g);

	identify(d, j);
	json_uint(j, "resets", d->resets);
	d->kind->report(d, j, more);
	gadget_unlock(g);
}
