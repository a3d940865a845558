/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manager's devices: attempts to serve what is plugged in, and the list
 * that clients see. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/manager_int.h"
#include "daemon/protocol.h"

/*
 * Pauses before a device that failed is tried again.  The first is short,
 * because a phone that was reset, or changed its configuration, is back at
 * once; after the last it is left alone until it is plugged in anew (or a
 * rescan is asked for).
 */
static const int retry_pauses_ms[] = { 100, 500, 1000, 2000, 4000, 8000, 16000 };
#define RETRIES (sizeof retry_pauses_ms / sizeof retry_pauses_ms[0])

/* Somebody else holds it, has reset or configured it, or we are short of
 * something: that is no fault of the device, and may end at any time, so asking
 * never does.  The pauses are the same, up to this one. */
#define OTHERS_PAUSE_MS 5000

/* A device that was ready for this long starts afresh when it fails. */
#define STABLE_MS 30000

static struct client_device
describe(const struct device *d)
{
	struct client_device out = {
		.id = d->id,
		.link = CLIENT_LINK_USB,
		.location = usb_location(&d->ident),
		.speed = usb_speed_bits(d->ident.speed),
		.product_id = d->ident.product,
	};

	snprintf(out.udid, sizeof out.udid, "%s", d->phone.udid);
	return out;
}

/* ---- The list ---- */

static void
rebuild_roster(struct manager *m) RUNS_ON(on_manager)
{
	struct roster *fresh;
	size_t count = 0;

	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL && p->device->shown)
			count++;
	fresh = roster_new(count);
	if (fresh == NULL) {
		log_error("no memory for the list of devices; it stays as it "
		    "was");
		return;
	}
	count = 0;
	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL && p->device->shown)
			fresh->devices[count++] = describe(p->device);
	roster_put(m->roster);
	m->roster = fresh;
}

static void
show(struct manager *m, struct device *d) RUNS_ON(on_manager)
{
	const struct msg_notice news = { .kind = NOTICE_ATTACHED,
		.device = describe(d) };

	d->shown = true;
	rebuild_roster(m);
	clients_notify(m, &news);
}

static void
hide(struct manager *m, struct device *d, const char *why)
    RUNS_ON(on_manager)
{
	struct msg_notice news = { .kind = NOTICE_DETACHED };

	/* Until it is ready, what describes it is the reader's. */
	if (!d->shown)
		return;
	d->shown = false;
	rebuild_roster(m);
	news.device = describe(d);
	snprintf(news.text, sizeof news.text, "%s", why);
	clients_notify(m, &news);
}

struct device *
devices_find(struct manager *m, uint32_t id)
{
	for (struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL && p->device->shown &&
		    p->device->id == id)
			return p->device;
	return NULL;
}

bool
devices_any(struct manager *m)
{
	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		if (!p->left && !p->given_up)
			return true;
	return false;
}

bool
devices_all_ended(struct manager *m)
{
	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL)
			return false;
	return true;
}

/* ---- Plugs ---- */

static struct plug *
find_plug(struct manager *m, const struct usb_source *source, const char *key)
    RUNS_ON(on_manager)
{
	for (struct plug *p = m->plugs; p != NULL; p = p->next)
		if (!p->left && p->source == source &&
		    strcmp(p->ident.key, key) == 0)
			return p;
	return NULL;
}

static struct plug *
find_plug_of(struct manager *m, const struct device *d) RUNS_ON(on_manager)
{
	struct plug *p = m->plugs;

	while (p != NULL && p->device != d)
		p = p->next;
	return p;
}

static void
free_plug(struct manager *m, struct plug *gone) RUNS_ON(on_manager)
{
	struct plug **at = &m->plugs;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone);
}

static void
give_up(struct manager *m, struct plug *p) RUNS_ON(on_manager)
{
	struct msg_notice news = { .kind = NOTICE_FAILED,
		.source = p->source->name };

	p->given_up = true;
	p->retry_at = MOMENT_NEVER;
	log_error("%s %s: left alone after %u attempts, the last one: %s",
	    p->source->name, p->ident.key, p->attempts, p->trouble);
	snprintf(news.key, sizeof news.key, "%s", p->ident.key);
	snprintf(news.text, sizeof news.text, "%s", p->trouble);
	clients_notify(m, &news);
}

static void
plan_retry(struct manager *m, struct plug *p, enum device_end end)
    RUNS_ON(on_manager)
{
	const unsigned before = p->attempts++;
	int pause = retry_pauses_ms[before < RETRIES ? before : RETRIES - 1];

	if (end == DEVICE_END_BUSY || end == DEVICE_END_SHORT ||
	    end == DEVICE_END_TAKEN) {
		if (pause > OTHERS_PAUSE_MS)
			pause = OTHERS_PAUSE_MS;
	} else if (p->faults++ >= RETRIES) {
		give_up(m, p);
		return;
	}
	p->retry_at = moment_after_ms(clock_now(), pause);
}

/* ---- Attempts ---- */

/* What is no phone is reported by a source because it was asked for. */
static const struct protocol *
protocol_of(const struct usb_ident *ident)
{
	return usb_is_phone(ident->vendor, ident->product) ? &protocol_mux
							   : &protocol_scm;
}

static unsigned
count_in_group(const struct manager *m, unsigned group) RUNS_ON(on_manager)
{
	unsigned n = 0;

	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		n += p->device != NULL && !p->left &&
		    p->device->group == group;
	return n;
}

/* That of the fewest devices.  A device that is alone is in the first, where the
 * first listener is: while clients come one at a time, one thread has them and
 * what they ask for. */
static unsigned
choose_group(const struct manager *m) RUNS_ON(on_manager)
{
	const unsigned count =
	    m->config.poller != NULL ? poller_groups(m->config.poller) : 1;
	unsigned best = 0, fewest = count_in_group(m, 0);

	for (unsigned group = 1; group < count && fewest > 0; group++) {
		const unsigned n = count_in_group(m, group);

		if (n < fewest) {
			best = group;
			fewest = n;
		}
	}
	return best;
}

static void
start_attempt(struct manager *m, struct plug *p) RUNS_ON(on_manager)
{
	struct device *d = device_new(++m->last_device_id, p->source,
	    &p->ident, protocol_of(&p->ident), &m->box);
	char name[16];

	p->retry_at = MOMENT_NEVER;
	snprintf(name, sizeof name, "reader %u", m->last_device_id);
	if (d != NULL) {
		d->poller = m->config.poller;
		d->group = choose_group(m);
		d->wanted_mode = m->config.wanted_mode;
		d->anew = p->anew;
		d->scm = scm_in_force(m);
		/* One reference for the list, one for the thread. */
		if (thread_start(&d->reader_thread, name, reader_main,
			device_get(d)) == 0) {
			p->device = d;
			return;
		}
		device_put(d);
		device_put(d);
	}
	snprintf(p->trouble, sizeof p->trouble,
	    "no memory, descriptor or thread for it");
	log_error("%s %s: %s", p->source->name, p->ident.key, p->trouble);
	plan_retry(m, p, DEVICE_END_SHORT);
}

struct moment
devices_run_due(struct manager *m)
{
	const struct moment now = clock_now();
	struct moment next = MOMENT_NEVER;

	for (struct plug *p = m->plugs; p != NULL; p = p->next) {
		if (p->device != NULL || p->left || m->quitting)
			continue;
		if (!moment_before(now, p->retry_at))
			start_attempt(m, p);
		if (p->device == NULL)
			next = moment_earlier(next, p->retry_at);
	}
	return next;
}

void
devices_plugged(struct manager *m, const struct msg_plug *msg)
{
	struct plug *p, **end = &m->plugs;

	if (m->quitting || find_plug(m, msg->source, msg->ident.key) != NULL)
		return;
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		log_error("%s %s: no memory for it", msg->source->name,
		    msg->ident.key);
		return;
	}
	p->source = msg->source;
	p->ident = msg->ident;
	while (*end != NULL)
		end = &(*end)->next;
	*end = p;
	log_info("%s %s: plugged in (%04x:%04x)", p->source->name,
	    p->ident.key, p->ident.vendor, p->ident.product);
	start_attempt(m, p);
}

void
devices_unplugged(struct manager *m, const struct msg_plug *msg)
{
	struct plug *p = find_plug(m, msg->source, msg->ident.key);

	if (p == NULL || m->quitting)
		return;
	log_info("%s %s: unplugged", p->source->name, p->ident.key);
	p->left = true;
	if (p->device == NULL) {
		free_plug(m, p);
		return;
	}
	if (p->device->ready_at.ns != 0)
		log_notice("%s: detached", p->device->name);
	hide(m, p->device, "unplugged");
	mailbox_post(&p->device->reader_box, &p->device->stop_msg);
}

void
devices_ready(struct manager *m, struct device *d)
{
	const struct plug *p = find_plug_of(m, d);

	d->ready_at = clock_now();
	if (p == NULL || p->left || m->quitting)
		return; /* it has been told to stop already */
	if (!d->protocol->is_phone) {
		log_notice("%s: attached, %s %s, %04x:%04x, %s", d->name,
		    d->source->name, d->ident.key, d->ident.vendor,
		    d->ident.product, d->protocol->name);
		return;
	}
	log_notice("%s: attached, %s %s, product %04x, location 0x%08x, "
	    "mux version %d", d->name, d->source->name, d->ident.key,
	    d->ident.product, usb_location(&d->ident),
	    atomic_load_explicit(&d->mux.version, memory_order_relaxed));
	show(m, d);
}

static void
log_failure(const struct plug *p, const struct device *d)
{
	if ((d->end == DEVICE_END_FAILED || d->end == DEVICE_END_TAKEN) &&
	    p->attempts == 0)
		log_warning("%s: %s", d->name, p->trouble);
	else
		log_info("%s: ended: %s", d->name, p->trouble);
}

/* Its reader is joined: what still lies in its mailbox is the manager's. */
static void
close_reader_box(struct device *d) RUNS_ON(on_manager)
{
	struct msg *m = mailbox_close(&d->reader_box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		if (m->type == MSG_ROUTE) {
			struct route *r = route_of_add(m);

			if (!mailbox_post(&r->client->box, &r->gone_msg))
				route_put(r);
		} else if (m->type == MSG_UNROUTE) {
			route_put(route_of_remove(m));
		} else if (d->protocol->discard != NULL) {
			d->protocol->discard(m);
		}
	}
}

void
devices_ended(struct manager *m, struct device *d)
{
	struct plug *p = find_plug_of(m, d);

	thread_join(&d->reader_thread);
	close_reader_box(d);
	if (d->ready_at.ns != 0 && !p->left)
		log_notice("%s: detached: %s", d->name, d->ended.text);
	hide(m, d, d->ended.text);
	snprintf(p->trouble, sizeof p->trouble, "%s", d->ended.text);
	p->anew = d->ready_at.ns == 0 && d->end == DEVICE_END_FAILED;
	p->device = NULL;
	if (p->left) {
		free_plug(m, p);
	} else if (!m->quitting) {
		if (d->ready_at.ns != 0 &&
		    moment_ms_between(d->ready_at, clock_now()) >= STABLE_MS)
			p->attempts = p->faults = 0;
		log_failure(p, d);
		plan_retry(m, p, d->end);
	}
	device_put(d); /* the thread's */
	device_put(d); /* the list's */
}

void
devices_retry_all(struct manager *m)
{
	for (struct plug *p = m->plugs; p != NULL; p = p->next) {
		if (p->device != NULL || p->left)
			continue;
		p->given_up = false;
		p->attempts = p->faults = 0;
		p->retry_at = clock_now();
	}
}

void
devices_stop_all(struct manager *m)
{
	for (struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL && !p->left)
			mailbox_post(&p->device->reader_box,
			    &p->device->stop_msg);
}

void
devices_fini(struct manager *m)
{
	while (m->plugs != NULL)
		free_plug(m, m->plugs);
	roster_put(m->roster);
	m->roster = NULL;
}
