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

#define LISTEN_BACKLOG 256

/* ---- Start --------------------------------------------------------------
 * In an order that can stop anywhere: farm_stop() and farm_fini() look at what
 * is there.  Sockets come before phones, so that whoever has read `ready` can
 * connect. */

static int
make_phones(struct farm *f, const struct options *o, struct cause *why)
{
	f->phones = calloc(o->count, sizeof *f->phones);
	if (f->phones == NULL)
		return cause_set(why, "%u phones: out of memory", o->count);
	for (unsigned i = 0; i < o->count; i++) {
		struct phone *p = &f->phones[i];
		const char *udid = i < o->udid_count ? o->udids[i] : NULL;

		if (identity_init(&p->id, i + 1, udid, o->serial_length, why) <
		    0)
			return -1;
		for (unsigned k = 0; k < i; k++)
			if (strcmp(p->id.udid, f->phones[k].id.udid) == 0)
				return cause_set(why,
				    "phones %u and %u have the same UDID, %s",
				    k + 1, i + 1, p->id.udid);
		phone_init(p, f->server, f->waker, o->speed);
		p->device.mux.set.version = o->mux_version;
		f->count++;
	}
	return 0;
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
		struct phone *p = &f->phones[i];

		if (phone_plug_in(p, why) < 0)
			return -1;
		printf("%s %s\n", p->id.busid, p->id.udid);
	}
	return 0;
}

int
farm_start(struct farm *f, const struct options *o, struct cause *why)
{
	pattern_init();
	f->waker = waker_new();
	if (f->waker == NULL)
		return cause_set(why, "cannot wait for events: %s",
		    strerror(errno));
	if (o->control != NULL) {
		f->control = control_open(o->control, why);
		if (f->control == NULL)
			return -1;
	}
	f->server = usbip_server_new(why);
	if (f->server == NULL || make_phones(f, o, why) < 0)
		return -1;
	return start_server(f, o, why);
}

/* ---- Run ---------------------------------------------------------------- */

void
farm_wake(struct farm *f)
{
	waker_wake(f->waker);
}

/* Lets every phone do what is due.  When to do so again. */
static struct moment
tick(struct farm *f)
{
	struct moment next = MOMENT_NEVER;

	for (unsigned i = 0; i < f->count; i++)
		next = moment_earlier(next, phone_tick(&f->phones[i]));
	return next;
}

/* The waker is cleared before anything is looked at, so that what happens
 * meanwhile wakes again. */
static void
wait_and_serve(struct farm *f, struct moment until)
{
	struct pollfd pfd[2 + CONTROL_CLIENTS_MAX];
	int n = 1;

	pfd[0] = (struct pollfd){ .fd = f->waker->read_fd, .events = POLLIN };
	if (f->control != NULL)
		n += control_pollfds(f->control, pfd + 1);
	if (poll(pfd, (nfds_t)n, moment_poll_timeout(clock_now(), until)) < 0)
		return; /* a signal; its handler has woken the waker */
	if (pfd[0].revents != 0)
		waker_clear(f->waker);
	if (f->control != NULL)
		control_serve(f->control, f, pfd + 1);
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
		total += phone_lock(&f->phones[i])->strict.total;
		phone_unlock(&f->phones[i]);
	}
	return total;
}

int
farm_report(struct farm *f, const char *path, struct cause *why)
{
	struct json j;
	FILE *out;
	bool written;

	json_init(&j);
	json_object(&j, NULL);
	json_array(&j, "phones");
	for (unsigned i = 0; i < f->count; i++) {
		json_object(&j, NULL);
		phone_report(&f->phones[i], &j, false);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
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
		phone_fini(&f->phones[i]);
	free(f->phones);
	control_close(f->control);
	if (f->waker != NULL)
		waker_put(f->waker);
}
