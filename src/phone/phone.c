/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/phone.h"

#include <string.h>

#include "actor/mailbox.h"
#include "base/json.h"
#include "base/log.h"

static struct phone *
phone_of(struct usbip_device *usb)
{
	return (struct phone *)usb; /* its first member */
}

struct device *
phone_lock(struct phone *p)
{
	pthread_mutex_lock(&p->lock);
	return &p->device;
}

/* When phone_tick() has something to do. */
static struct moment
next_due(const struct phone *p)
{
	if (p->device.next_mode != 0)
		return (struct moment){ 0 };
	if (p->place == PHONE_AWAY && p->wanted)
		return moment_earlier(p->device.due, p->back_at);
	return p->device.due;
}

/* Tells the main thread when it must look earlier than it means to. */
static void
arm(struct phone *p)
{
	const struct moment due = next_due(p);

	if (moment_before(due, p->armed)) {
		p->armed = due;
		waker_wake(p->waker);
	}
}

void
phone_unlock(struct phone *p)
{
	arm(p);
	pthread_mutex_unlock(&p->lock);
}

/* ---- The server's calls -------------------------------------------------
 * From an import's rx thread, except unplugged(): from the server's.  Imports
 * begin and end with a fresh device, because an importer may vanish amid
 * anything. */

static int
on_imported(struct usbip_device *usb)
{
	struct phone *p = phone_of(usb);

	phone_lock(p);
	p->imported = true;
	device_restart(&p->device);
	phone_unlock(p);
	log_info("phone %u: imported", p->id.index);
	return USBIP_ST_OK;
}

static void
on_released(struct usbip_device *usb)
{
	struct phone *p = phone_of(usb);

	phone_lock(p);
	p->imported = false;
	device_restart(&p->device);
	phone_unlock(p);
	log_info("phone %u: released", p->id.index);
}

static void
on_submit(struct usbip_device *usb, struct usbip_urb *urb)
{
	struct phone *p = phone_of(usb);

	device_submit(phone_lock(p), urb);
	phone_unlock(p);
}

static void
on_cancel(struct usbip_device *usb, struct usbip_urb *urb)
{
	struct phone *p = phone_of(usb);

	device_cancel(phone_lock(p), urb);
	phone_unlock(p);
}

static void
on_unplugged(struct usbip_device *usb)
{
	struct phone *p = phone_of(usb);

	phone_lock(p);
	p->place = PHONE_AWAY;
	phone_unlock(p);
	log_info("phone %u: unplugged", p->id.index);
}

static const struct usbip_device_ops phone_ops = {
	.imported = on_imported,
	.released = on_released,
	.submit = on_submit,
	.cancel = on_cancel,
	.unplugged = on_unplugged,
};

/* ---- Coming and going --------------------------------------------------- */

void
phone_init(struct phone *p, struct usbip_server *server, struct waker *waker,
    enum desc_speed speed)
{
	p->usb.ops = &phone_ops;
	p->server = server;
	p->waker = waker;
	pthread_mutex_init(&p->lock, NULL);
	device_init(&p->device, &p->id, speed);
	p->place = PHONE_AWAY;
	p->next_mode = DESC_MODE_INITIAL;
	p->armed = MOMENT_NEVER;
}

void
phone_fini(struct phone *p)
{
	device_fini(&p->device);
	pthread_mutex_destroy(&p->lock);
}

/* Each time with another address, as a bus does it: a list that was read
 * before and one that is read afterwards differ. */
static uint8_t
next_address(struct phone *p)
{
	const uint8_t laps = 126 / (IDENTITY_PORTS + 1);

	p->lap = (uint8_t)((p->lap + 1) % laps);
	return (uint8_t)(1 + p->id.port + p->lap * (IDENTITY_PORTS + 1));
}

int
phone_plug_in(struct phone *p, struct cause *why)
{
	struct usbip_description desc;
	struct device *d = phone_lock(p);

	d->profile.mode = p->next_mode;
	d->next_mode = 0;
	device_restart(d);
	device_describe(d, next_address(p), &desc);
	p->place = PHONE_PLUGGED;
	phone_unlock(p);
	if (usbip_server_plug(p->server, &p->usb, &desc, why) == 0)
		return 0;
	phone_lock(p);
	p->place = PHONE_AWAY;
	phone_unlock(p);
	return -1;
}

/* Lets it leave, if it is there, and come back in that mode after a while. */
static void
leave(struct phone *p, bool come_back, unsigned mode, unsigned away_ms)
{
	bool plugged;

	phone_lock(p);
	plugged = p->place == PHONE_PLUGGED;
	p->wanted = come_back;
	p->next_mode = mode;
	p->back_at = moment_after_ms(clock_now(), away_ms);
	p->device.next_mode = 0;
	if (plugged)
		p->place = PHONE_LEAVING;
	phone_unlock(p);
	if (plugged)
		usbip_server_unplug(p->server, &p->usb);
}

void
phone_unplug(struct phone *p)
{
	leave(p, false, DESC_MODE_INITIAL, 0);
}

void
phone_bounce(struct phone *p)
{
	leave(p, true, DESC_MODE_INITIAL, PHONE_AWAY_MS);
}

void
phone_plug(struct phone *p)
{
	phone_lock(p);
	if (p->place != PHONE_PLUGGED) {
		p->wanted = true;
		p->back_at = clock_now();
	}
	phone_unlock(p);
	phone_tick(p);
}

/* Whether it is time to come back. */
static bool
is_due_back(const struct phone *p)
{
	return p->place == PHONE_AWAY && p->wanted &&
	    !moment_before(clock_now(), p->back_at);
}

static void
come_back(struct phone *p)
{
	struct cause why;

	if (phone_plug_in(p, &why) == 0) {
		p->wanted = false;
		return;
	}
	log_error("phone %u cannot be plugged in: %s", p->id.index, why.text);
	p->back_at = moment_after_ms(clock_now(), PHONE_AWAY_MS);
}

/* Each part takes the lock by itself: plugging and unplugging call the server,
 * which must not be done under it. */
struct moment
phone_tick(struct phone *p)
{
	struct device *d = phone_lock(p);
	const unsigned mode = d->next_mode;
	struct moment next;
	bool due_back;

	if (d->due.ns != MOMENT_NEVER.ns)
		device_pump(d);
	phone_unlock(p);
	if (mode != 0)
		leave(p, true, mode, PHONE_AWAY_MS);

	phone_lock(p);
	due_back = is_due_back(p);
	phone_unlock(p);
	if (due_back)
		come_back(p);

	phone_lock(p);
	p->armed = next = next_due(p);
	pthread_mutex_unlock(&p->lock);
	return next;
}

/* ---- Reports ------------------------------------------------------------ */

void
phone_describe(struct phone *p, struct json *j)
{
	const struct device *d = phone_lock(p);

	json_uint(j, "n", p->id.index);
	json_string(j, "busid", p->id.busid);
	json_string(j, "udid", p->id.udid);
	json_bool(j, "plugged", p->place == PHONE_PLUGGED);
	json_bool(j, "imported", p->imported);
	json_uint(j, "mode", d->profile.mode);
	json_uint(j, "configuration", d->configuration);
	json_bool(j, "up", d->mux.state == MUX_UP);
	json_uint(j, "mux", d->mux.set.version);
	json_uint(j, "connections", d->mux.live);
	phone_unlock(p);
}

void
phone_report(struct phone *p, struct json *j, bool connections)
{
	const struct device *d = phone_lock(p);

	json_uint(j, "n", p->id.index);
	json_string(j, "udid", p->id.udid);
	json_uint(j, "resets", d->resets);
	mux_report(&d->mux, j);
	strict_report(&d->strict, j);
	if (connections)
		mux_report_connections(&d->mux, j);
	phone_unlock(p);
}
