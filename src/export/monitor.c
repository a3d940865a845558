/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/monitor.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/thread.h"
#include "base/log.h"
#include "export/device.h"
#include "export/roles.h"

struct role on_export_monitor;

/* With hotplug, nothing needs a look before it says so. */
#define IDLE_MS 60000
/* Between two attempts when libusb cannot even wait. */
#define FAULT_MS 500

struct entry {
	struct entry *next;
	struct monitor_row row;
	bool seen; /* in the newest list */
	struct probe *probe;   /* PROBING, or LEAVING as such */
	bool looked; /* `probe` is done, but its turn has not come */
	struct device *device; /* OFFERED, or LEAVING as such */
};

struct monitor {
	const struct policy *policy;
	struct usbip_server *server;
	struct waker *settled_waker;
	libusb_context *ctx;
	struct thread thread;
	struct mailbox mailbox; /* woken through libusb */
	_Atomic bool quitting;
	_Atomic bool changed; /* set by libusb's callback */
	_Atomic bool settled;
	bool hotplug OWNED_BY(on_export_monitor);
	struct moment settle_by OWNED_BY(on_export_monitor);
	unsigned probes OWNED_BY(on_export_monitor);

	/* The monitor changes the list, and the rows in it, under the lock;
	 * others read them under it. */
	pthread_mutex_t lock;
	struct entry *entries;
};

/* ---- Entries ------------------------------------------------------------ */

static void
set_state(struct monitor *m, struct entry *e, enum monitor_state state)
    RUNS_ON(on_export_monitor)
{
	pthread_mutex_lock(&m->lock);
	e->row.state = state;
	pthread_mutex_unlock(&m->lock);
}

static void
keep(struct monitor *m, struct entry *e, const char *reason)
    RUNS_ON(on_export_monitor)
{
	pthread_mutex_lock(&m->lock);
	e->row.state = MONITOR_KEPT;
	snprintf(e->row.reason, sizeof e->row.reason, "%s", reason);
	pthread_mutex_unlock(&m->lock);
	log_info("device %s (%04x:%04x) is not exported: %s",
	    e->row.ident.busid, e->row.ident.vendor, e->row.ident.product,
	    reason);
}

static void
add_entry(struct monitor *m, const struct bus_ident *ident,
    enum usbip_speed speed) RUNS_ON(on_export_monitor)
{
	struct entry **end = &m->entries, *e = calloc(1, sizeof *e);

	if (e == NULL) {
		log_error("device %s is not exported: out of memory",
		    ident->busid);
		return;
	}
	e->row.ident = *ident;
	e->row.speed = speed;
	e->seen = true;
	pthread_mutex_lock(&m->lock);
	while (*end != NULL)
		end = &(*end)->next;
	*end = e;
	pthread_mutex_unlock(&m->lock);
}

static void
remove_entry(struct monitor *m, struct entry *e) RUNS_ON(on_export_monitor)
{
	struct entry **at = &m->entries;

	pthread_mutex_lock(&m->lock);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	pthread_mutex_unlock(&m->lock);
	free(e);
}

/* ---- Looking at devices ------------------------------------------------- */

static void
probe(struct monitor *m, struct entry *e) RUNS_ON(on_export_monitor)
{
	e->probe = probe_start(m->policy, &e->row.ident, &m->mailbox);
	if (e->probe == NULL) {
		keep(m, e, "out of memory or threads");
		return;
	}
	m->probes++;
	set_state(m, e, MONITOR_PROBING);
}

static void
note_texts(struct monitor *m, struct entry *e, const struct probe *p)
    RUNS_ON(on_export_monitor)
{
	pthread_mutex_lock(&m->lock);
	e->row.device_class = p->device_class;
	memcpy(e->row.serial, p->serial, sizeof p->serial);
	memcpy(e->row.product, p->product, sizeof p->product);
	pthread_mutex_unlock(&m->lock);
}

static void
offer(struct monitor *m, struct entry *e, struct probe *p)
    RUNS_ON(on_export_monitor)
{
	struct cause why;

	e->device = device_plug(m->server, p, &m->mailbox, &why);
	if (e->device == NULL) {
		log_error("device %s cannot be exported: %s", p->ident.busid,
		    why.text);
		keep(m, e, why.text);
		return;
	}
	set_state(m, e, MONITOR_OFFERED);
	log_info("device %s (%04x:%04x) is exported", p->ident.busid,
	    p->ident.vendor, p->ident.product);
}

/* What the look has shown decides. */
static void
conclude(struct monitor *m, struct entry *e) RUNS_ON(on_export_monitor)
{
	struct probe *p = e->probe;

	e->probe = NULL;
	e->looked = false;
	note_texts(m, e, p);
	if (p->error != 0)
		keep(m, e, libusb_error_name(p->error));
	else if (p->verdict != POLICY_EXPORT)
		keep(m, e, policy_verdict_text(p->verdict));
	else
		offer(m, e, p);
	probe_free(p);
}

static bool
has_settled(const struct monitor *m)
{
	return atomic_load_explicit(&m->settled, memory_order_relaxed);
}

/* At the start, devices wait for one another (until `settle_by`), so that
 * importers get them in the order of the bus, each time. */
static void
on_probed(struct monitor *m, struct probe *p) RUNS_ON(on_export_monitor)
{
	struct entry *e = m->entries;

	while (e->probe != p)
		e = e->next;
	m->probes--;
	if (e->row.state == MONITOR_LEAVING) {
		remove_entry(m, e);
		probe_free(p);
	} else if (has_settled(m)) {
		conclude(m, e);
	} else {
		e->looked = true;
	}
}

static void
on_unplugged(struct monitor *m, struct device *d) RUNS_ON(on_export_monitor)
{
	struct entry *e = m->entries;

	while (e->device != d)
		e = e->next;
	remove_entry(m, e);
	device_free(d);
}

/* ---- Differences -------------------------------------------------------- */

static bool
is_same(const struct entry *e, const struct bus_ident *ident)
{
	return e->row.state != MONITOR_LEAVING &&
	    e->row.ident.address == ident->address &&
	    e->row.ident.vendor == ident->vendor &&
	    e->row.ident.product == ident->product &&
	    strcmp(e->row.ident.busid, ident->busid) == 0;
}

static void
note_device(struct monitor *m, libusb_device *device)
    RUNS_ON(on_export_monitor)
{
	struct entry *e = m->entries;
	struct bus_ident ident;

	if (!bus_identify(device, &ident))
		return;
	while (e != NULL && !is_same(e, &ident))
		e = e->next;
	if (e != NULL)
		e->seen = true;
	else
		add_entry(m, &ident, bus_speed(device));
}

static void
note_left(struct monitor *m, struct entry *e) RUNS_ON(on_export_monitor)
{
	log_info("device %s has gone", e->row.ident.busid);
	if (e->looked) {
		probe_free(e->probe);
		e->probe = NULL;
	}
	if (e->device != NULL || e->probe != NULL)
		set_state(m, e, MONITOR_LEAVING);
	if (e->device != NULL)
		usbip_server_unplug(m->server, &e->device->usb);
	else if (e->probe == NULL)
		remove_entry(m, e);
}

/* Those that left go before those that came are looked at, since one may come
 * in the place of another. */
static void
note_list(struct monitor *m, libusb_device **list, ssize_t count)
    RUNS_ON(on_export_monitor)
{
	for (struct entry *e = m->entries; e != NULL; e = e->next)
		e->seen = false;
	for (ssize_t i = 0; i < count; i++)
		note_device(m, list[i]);
	for (struct entry *e = m->entries, *next; e != NULL; e = next) {
		next = e->next;
		if (!e->seen && e->row.state != MONITOR_LEAVING)
			note_left(m, e);
	}
}

static void
scan(struct monitor *m) RUNS_ON(on_export_monitor)
{
	libusb_device **list;
	const ssize_t count = libusb_get_device_list(m->ctx, &list);

	if (count < 0) {
		log_error("cannot list the USB devices of this host: %s",
		    libusb_error_name((int)count));
		return;
	}
	note_list(m, list, count);
	libusb_free_device_list(list, 1);
}

/* ---- The start ---------------------------------------------------------- */

static bool
is_there(const struct monitor *m, const struct policy_rule *r)
    RUNS_ON(on_export_monitor)
{
	for (const struct entry *e = m->entries; e != NULL; e = e->next) {
		const bool looked_at = e->row.state != MONITOR_NEW &&
		    e->row.state != MONITOR_PROBING;
		const struct policy_device d = { .busid = e->row.ident.busid,
			.vendor = e->row.ident.vendor,
			.product = e->row.ident.product,
			.serial = looked_at ? e->row.serial : NULL };

		if (policy_names(r, &d))
			return true;
	}
	return false;
}

/* Named devices may come later; but it may be a mistake, too. */
static void
say_what_is_missing(const struct monitor *m) RUNS_ON(on_export_monitor)
{
	char text[POLICY_RULE_TEXT_MAX];

	for (size_t i = 0; i < m->policy->rule_count; i++)
		if (!is_there(m, &m->policy->rules[i]))
			log_notice("device %s is not there; it will be "
			    "exported when it is plugged in",
			    policy_rule_text(text, &m->policy->rules[i]));
}

static void
settle(struct monitor *m) RUNS_ON(on_export_monitor)
{
	if (has_settled(m))
		return;
	for (struct entry *e = m->entries; e != NULL; e = e->next)
		if (e->looked)
			conclude(m, e);
	say_what_is_missing(m);
	/* Release: pairs with the acquire in monitor_settled(). */
	atomic_store_explicit(&m->settled, true, memory_order_release);
	waker_wake(m->settled_waker);
}

/* Looks at new devices, as many at a time as may be. */
static void
advance(struct monitor *m) RUNS_ON(on_export_monitor)
{
	for (struct entry *e = m->entries;
	     e != NULL && m->probes < MONITOR_PROBES_MAX; e = e->next)
		if (e->row.state == MONITOR_NEW)
			probe(m, e);
	if (m->probes == 0 || !moment_before(clock_now(), m->settle_by))
		settle(m);
}

/* ---- The loop ----------------------------------------------------------- */

/* In libusb's event handling, where almost nothing may be called: just a note.
 * Only the monitor handles the events of its context. */
static int LIBUSB_CALL
on_hotplug(libusb_context *ctx, libusb_device *device,
    libusb_hotplug_event event, void *arg)
{
	struct monitor *m = arg;

	(void)ctx;
	(void)device;
	(void)event;
	atomic_store_explicit(&m->changed, true, memory_order_relaxed);
	return 0;
}

static void
watch(struct monitor *m) RUNS_ON(on_export_monitor)
{
	m->hotplug = libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) != 0 &&
	    libusb_hotplug_register_callback(m->ctx,
		LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED |
		    LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
		0, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
		LIBUSB_HOTPLUG_MATCH_ANY, on_hotplug, m, NULL) == 0;
	if (!m->hotplug)
		log_debug("libusb does not tell of devices that come and go; "
		    "looking each second");
}

static void
wake(void *arg)
{
	const struct monitor *m = arg;

	libusb_interrupt_event_handler(m->ctx);
}

static bool
quitting(const struct monitor *m)
{
	return atomic_load_explicit(&m->quitting, memory_order_relaxed);
}

/* How long there is nothing to be done. */
static int
idle_ms(const struct monitor *m) RUNS_ON(on_export_monitor)
{
	const int ms = m->hotplug ? IDLE_MS : MONITOR_POLL_MS;
	const int left = has_settled(m) || quitting(m) ? ms
	    : moment_poll_timeout(clock_now(), m->settle_by);

	return left < ms ? left : ms;
}

static void
wait_for_events(struct monitor *m) RUNS_ON(on_export_monitor)
{
	const int ms = mailbox_idle(&m->mailbox) ? idle_ms(m) : 0;
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };
	const int r = libusb_handle_events_timeout_completed(m->ctx, &tv, NULL);

	if (r < 0 && r != LIBUSB_ERROR_INTERRUPTED) {
		log_warning("cannot wait for USB devices: %s",
		    libusb_error_name(r));
		poll(NULL, 0, FAULT_MS);
	}
}

static void
take_messages(struct monitor *m) RUNS_ON(on_export_monitor)
{
	struct msg *msg = mailbox_take(&m->mailbox);

	while (msg != NULL) {
		struct msg *next = msg_next(msg);

		if (msg->type == PROBE_DONE)
			on_probed(m, (struct probe *)msg);
		else
			on_unplugged(m, device_of_unplugged(msg));
		msg = next;
	}
}

static void *
monitor_main(void *arg)
{
	struct monitor *m = arg;

	role_take(&on_export_monitor);
	m->settle_by = moment_after_ms(clock_now(), MONITOR_SETTLE_MS);
	watch(m);
	scan(m);
	while (!quitting(m)) {
		advance(m);
		wait_for_events(m);
		take_messages(m);
		if (atomic_exchange_explicit(&m->changed, false,
			memory_order_relaxed) || !m->hotplug)
			scan(m);
	}
	while (m->probes > 0) {
		wait_for_events(m);
		take_messages(m);
	}
	role_drop(&on_export_monitor);
	return NULL;
}

/* ---- From outside ------------------------------------------------------- */

static int
start(struct monitor *m, struct cause *why)
{
	int r = libusb_init(&m->ctx);

	if (r < 0)
		return cause_set(why, "the USB of this host cannot be used: %s",
		    libusb_error_name(r));
	pthread_mutex_init(&m->lock, NULL);
	mailbox_init(&m->mailbox, wake, m);
	r = thread_start(&m->thread, "usb-monitor", monitor_main, m);
	if (r == 0)
		return 0;
	pthread_mutex_destroy(&m->lock);
	libusb_exit(m->ctx);
	return cause_set(why, "cannot start a thread: %s", strerror(r));
}

struct monitor *
monitor_start(const struct policy *policy, struct usbip_server *server,
    struct waker *settled, struct cause *why)
{
	struct monitor *m = calloc(1, sizeof *m);

	if (m == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	m->policy = policy;
	m->server = server;
	m->settled_waker = settled;
	if (start(m, why) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

bool
monitor_settled(struct monitor *m)
{
	return atomic_load_explicit(&m->settled, memory_order_acquire);
}

size_t
monitor_list(struct monitor *m, struct monitor_row *rows, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&m->lock);
	for (const struct entry *e = m->entries; e != NULL; e = e->next, n++)
		if (n < max)
			rows[n] = e->row;
	pthread_mutex_unlock(&m->lock);
	return n;
}

void
monitor_stop(struct monitor *m)
{
	/* The wake-up stays with libusb until its events are handled next. */
	atomic_store_explicit(&m->quitting, true, memory_order_relaxed);
	libusb_interrupt_event_handler(m->ctx);
	thread_join(&m->thread);
}

/* The engine's last messages lie in the mailbox; they speak of devices that
 * are freed here in any case. */
void
monitor_free(struct monitor *m)
{
	while (m->entries != NULL) {
		struct entry *e = m->entries;

		m->entries = e->next;
		if (e->device != NULL)
			device_free(e->device);
		if (e->looked)
			probe_free(e->probe);
		free(e);
	}
	libusb_exit(m->ctx);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
