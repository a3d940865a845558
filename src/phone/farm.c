/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/farm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/mailbox.h"
#include "base/json.h"
#include "base/log.h"
#include "phone/control.h"
#include "phone/pattern.h"
#include "phone/phone.h"
#include "phone/udc.h"

#define LISTEN_BACKLOG 256

/* ---- Start --------------------------------------------------------------
 * In an order that can stop anywhere: farm_stop() and farm_fini() look at what
 * is there.  Sockets come before devices, so that whoever has read `ready` can
 * connect. */

/* Hosts tell devices apart by their serial numbers. */
static int
check_unique(const struct farm *f, const struct device *d, struct cause *why)
{
	for (unsigned i = 0; i < f->count; i++) {
		const struct device *other = f->gadgets[i].device;

		if (strcmp(d->id.udid, other->id.udid) == 0)
			return cause_set(why,
			    "%s %u and %s %u have the same %s, %s",
			    other->kind->name, other->id.index, d->kind->name,
			    d->id.index,
			    d->kind == &kind_phone ? "UDID" : "serial number",
			    d->id.udid);
	}
	return 0;
}

/* Takes over `d`, which may be NULL: then there is a cause already. */
static int
add_device(struct farm *f, struct device *d, const struct gadget_bus *bus,
    void *bus_arg, struct cause *why)
{
	if (d == NULL)
		return -1;
	if (check_unique(f, d, why) < 0) {
		device_free(d);
		return -1;
	}
	gadget_init(&f->gadgets[f->count++], bus, bus_arg, f->waker, d);
	return 0;
}

/* The first UDCs are those that the options name. */
static int
add_to_udc(struct farm *f, struct device *d, const struct options *o,
    struct cause *why)
{
	const unsigned i = f->count;
	struct udc *u;

	phone_set_layout(phone_of(d), o->configurations == 1
		? &phone_mux_only
		: &phone_mux_last_of_4);
	u = udc_new(i < o->udc_count ? o->udcs[i] : "", &d->profile, why);
	if (u == NULL) {
		device_free(d);
		return -1;
	}
	if (add_device(f, d, &gadget_bus_udc, u, why) == 0)
		return 0;
	udc_free(u);
	return -1;
}

static int
add_phone(struct farm *f, const struct options *o, struct cause *why)
{
	const unsigned i = f->count;
	const char *udid = i < o->udid_count ? o->udids[i] : NULL;
	struct identity id;
	struct device *d;

	if (identity_init(&id, i + 1, udid, o->serial_length, why) < 0)
		return -1;
	d = device_new(&kind_phone, &id, o->speed, NULL, why);
	if (d != NULL)
		phone_of(d)->mux.set.version = o->mux_version;
	if (d != NULL && o->gadget)
		return add_to_udc(f, d, o, why);
	return add_device(f, d, &gadget_bus_usbip, f->server, why);
}

static int
add_other(struct farm *f, const struct options_device *od,
    const struct options *o, struct cause *why)
{
	struct identity id;

	identity_init_kind(&id, f->count + 1, od->kind->name);
	return add_device(f,
	    device_new(od->kind, &id, o->speed, od->options, why),
	    &gadget_bus_usbip, f->server, why);
}

static int
make_pollfds(struct farm *f, struct cause *why)
{
	size_t total = 2 + CONTROL_CLIENTS_MAX;

	for (unsigned i = 0; i < f->count; i++)
		total += f->gadgets[i].device->kind->descriptors;
	f->pollfds = calloc(total, sizeof *f->pollfds);
	return f->pollfds != NULL
	    ? 0
	    : cause_set(why, "%u devices: out of memory", f->count);
}

static int
make_devices(struct farm *f, const struct options *o, struct cause *why)
{
	const unsigned total = o->count + o->device_count;

	f->gadgets = calloc(total, sizeof *f->gadgets);
	if (f->gadgets == NULL)
		return cause_set(why, "%u devices: out of memory", total);
	for (unsigned i = 0; i < o->count; i++)
		if (add_phone(f, o, why) < 0)
			return -1;
	for (unsigned i = 0; i < o->device_count; i++)
		if (add_other(f, &o->devices[i], o, why) < 0)
			return -1;
	return make_pollfds(f, why);
}

static int
listen_on(struct farm *f, struct sock_addr addr, struct cause *why)
{
	char text[SOCK_ADDR_TEXT_MAX];
	const bool any_port = !addr.is_unix && strcmp(addr.port, "0") == 0;
	const int fd = sock_listen(&addr, 0600, LISTEN_BACKLOG, why);

	if (fd < 0)
		return -1;
	if (any_port)
		snprintf(addr.port, sizeof addr.port, "%u",
		    sock_local_port(fd));
	f->listening++;
	if (usbip_server_listen(f->server, fd, why) < 0)
		return -1;
	if (any_port)
		printf("listening %s\n", sock_addr_text(text, &addr));
	return 0;
}

static int
start_server(struct farm *f, const struct options *o, struct cause *why)
{
	for (unsigned i = 0; i < o->listen_count; i++)
		if (listen_on(f, o->listen[i], why) < 0)
			return -1;
	for (unsigned i = 0; i < f->count; i++) {
		struct gadget *g = &f->gadgets[i];

		if (gadget_plug_in(g, why) < 0)
			return -1;
		printf("%s %s\n", gadget_place(g), g->device->id.udid);
	}
	return 0;
}

int
farm_start(struct farm *f, const struct options *o, struct cause *why)
{
	pattern_init();
	f->waker = waker_new_polled();
	if (f->waker == NULL)
		return cause_set(why, "cannot wait for events: %s",
		    strerror(errno));
	if (o->control != NULL) {
		f->control = control_open(f, o->control, why);
		if (f->control == NULL)
			return -1;
	}
	f->server = usbip_server_new(why);
	if (f->server == NULL || make_devices(f, o, why) < 0)
		return -1;
	return start_server(f, o, why);
}

/* ---- Run ---------------------------------------------------------------- */

void
farm_wake(struct farm *f)
{
	waker_wake(f->waker);
}

/* Lets every device do what is due.  When to do so again. */
static struct moment
tick(struct farm *f)
{
	struct moment next = MOMENT_NEVER;

	for (unsigned i = 0; i < f->count; i++)
		next = moment_earlier(next, gadget_tick(&f->gadgets[i]));
	return next;
}

/* Asks each device for its descriptors, which begin at pollfds[first].  The
 * place behind the last. */
static unsigned
watch_gadgets(struct farm *f, unsigned first, struct moment *until)
{
	unsigned n = first;

	for (unsigned i = 0; i < f->count; i++) {
		struct gadget *g = &f->gadgets[i];

		g->watching = gadget_watch(g, f->pollfds + n, until);
		n += g->watching;
	}
	return n;
}

static void
serve_gadgets(struct farm *f, unsigned first)
{
	const struct pollfd *pfd = f->pollfds + first;

	for (unsigned i = 0; i < f->count; i++) {
		struct gadget *g = &f->gadgets[i];

		gadget_watched(g, pfd, g->watching);
		pfd += g->watching;
	}
}

/* The waker is cleared before anything is looked at, so that what happens
 * meanwhile wakes again.  Commands come last: what a gadget is told of its
 * descriptors is what it has asked for. */
static void
wait_and_serve(struct farm *f, struct moment until)
{
	struct pollfd *pfd = f->pollfds;
	unsigned control = 1, n;

	pfd[0] = (struct pollfd){ .fd = f->waker->read_fd, .events = POLLIN };
	if (f->control != NULL)
		control += (unsigned)responder_pollfds(f->control, pfd + 1);
	n = watch_gadgets(f, control, &until);
	if (poll(pfd, n, moment_poll_timeout(clock_now(), until)) < 0)
		return; /* a signal; its handler has woken the waker */
	if (pfd[0].revents != 0)
		waker_clear(f->waker);
	serve_gadgets(f, control);
	if (f->control != NULL)
		responder_serve(f->control, pfd + 1);
}

void
farm_run(struct farm *f)
{
	while (!f->quitting)
		wait_and_serve(f, tick(f));
}

/* ---- End ---------------------------------------------------------------- */

void
farm_stop(struct farm *f, const struct options *o)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->gadgets[i].bus == &gadget_bus_udc)
			udc_free(f->gadgets[i].bus_arg);
	if (f->server == NULL)
		return;
	usbip_server_free(f->server);
	f->server = NULL;
	/* Those only that are ours: another server may hold the next one. */
	for (unsigned i = 0; i < f->listening; i++)
		if (o->listen[i].is_unix)
			unlink(o->listen[i].path);
}

uint64_t
farm_violations(struct farm *f)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < f->count; i++) {
		const struct device *d = gadget_lock(&f->gadgets[i]);

		if (d->kind->violations != NULL)
			total += d->kind->violations(d);
		gadget_unlock(&f->gadgets[i]);
	}
	return total;
}

static void
list_some(struct farm *f, struct json *j, const struct gadget *only,
    bool phones, void (*tell)(struct gadget *g, struct json *j))
{
	json_array(j, phones ? "phones" : "devices");
	for (unsigned i = 0; i < f->count; i++) {
		struct gadget *g = &f->gadgets[i];

		if ((only != NULL && only != g) ||
		    (g->device->kind == &kind_phone) != phones)
			continue;
		json_object(j, NULL);
		tell(g, j);
		json_end(j);
	}
	json_end(j);
}

void
farm_list_members(struct farm *f, struct json *j, const struct gadget *only,
    void (*tell)(struct gadget *g, struct json *j))
{
	list_some(f, j, only, true, tell);
	list_some(f, j, only, false, tell);
}

void
farm_list(struct farm *f, struct json *j, const struct gadget *only,
    void (*tell)(struct gadget *g, struct json *j))
{
	json_object(j, NULL);
	farm_list_members(f, j, only, tell);
	json_end(j);
}

/* Connections are those of a running session; there is none any more. */
static void
report_one(struct gadget *g, struct json *j)
{
	gadget_report(g, j, false);
}

int
farm_report(struct farm *f, const char *path, struct cause *why)
{
	struct json j;
	FILE *out;
	bool written;

	json_init(&j);
	farm_list(f, &j, NULL, report_one);
	out = fopen(path, "w");
	written = out != NULL && json_text(&j) != NULL &&
	    fprintf(out, "%s\n", json_text(&j)) > 0;
	if (out != NULL && fclose(out) != 0)
		written = false;
	json_fini(&j);
	return written ? 0
		       : cause_set(why, "cannot write the report to %s: %s",
			     path, strerror(errno));
}

void
farm_fini(struct farm *f)
{
	for (unsigned i = 0; i < f->count; i++)
		gadget_fini(&f->gadgets[i]);
	free(f->gadgets);
	free(f->pollfds);
	responder_close(f->control);
	if (f->waker != NULL)
		waker_put(f->waker);
}
