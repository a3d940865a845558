/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The buses of a context, and what a server's list makes of them. */

#include "usbnet/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "usbnet/bus_virtual.h"
#include "usbnet/devices.h"
#include "usbnet/events.h"

#define SERVERS_DEFAULT "127.0.0.1:" USBIP_PORT
#define BUSES_MAX 255 /* a bus number is a byte */
/* Linux has one for each bus of the host. */
#define LOCAL_BUS "/sys/bus/usb/devices/usb%u"

/* How long a list waits for a server that has failed before. */
#define AWAY_WAIT_MS 100
/* A server that did not answer a question is left alone for so long. */
#define SILENT_MS 5000
/* Another thread may see what a wait is for: it looks again this often. */
#define LOOK_MS 20

bool
un_bus_may_ask(struct un_bus *b)
{
	return clock_now().ns >=
	    atomic_load_explicit(&b->silent_until, memory_order_relaxed);
}

void
un_bus_note_silence(struct un_bus *b)
{
	atomic_store_explicit(&b->silent_until,
	    moment_after_ms(clock_now(), SILENT_MS).ns, memory_order_relaxed);
}

bool
un_bus_may_describe(struct un_bus *b)
{
	return atomic_load_explicit(&b->describes, memory_order_relaxed) !=
	    UN_BUS_NO;
}

void
un_bus_note_describes(struct un_bus *b, bool does)
{
	enum un_bus_answer known = UN_BUS_UNKNOWN;

	if (does)
		atomic_store_explicit(&b->describes, UN_BUS_YES,
		    memory_order_relaxed);
	else
		atomic_compare_exchange_strong_explicit(&b->describes, &known,
		    UN_BUS_NO, memory_order_relaxed, memory_order_relaxed);
}

struct un_bus *
un_bus_at(struct libusb_context *ctx, size_t i)
{
	return &ctx->buses[i];
}

const struct sock_addr *
un_bus_server(const struct un_bus *b)
{
	return &b->server;
}

bool
un_bus_is_virtual(const struct un_bus *b)
{
	return b->is_virtual;
}

const struct sock_addr *
un_device_server(const struct libusb_device *dev)
{
	return &dev->bus->server;
}

/* ---- Differences ---- */

/* It becomes a word in the log, and is sent back to the server. */
static bool
is_busid(const char *text)
{
	const size_t len = strspn(text, "0123456789.:-_"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return len > 0 && text[len] == '\0';
}

static struct libusb_device *
find(const struct un_bus *b, const char *busid)
{
	struct libusb_device *d = b->ctx->devices;

	while (d != NULL && (d->bus != b || strcmp(d->busid, busid) != 0))
		d = d->next;
	return d;
}

/* A server is one bus, whatever it has; the devices here have numbers of their
 * own, from 1. */
static uint8_t
number_of(const struct un_bus *b, const struct usbip_device_entry *e)
{
	return b->is_virtual ? (uint8_t)(b->number + e->bus - 1) : b->number;
}

static void
note_entry(struct un_bus *b, const struct usbip_device_entry *e)
{
	struct libusb_device *d = find(b, e->busid);

	if (d != NULL && d->seen)
		return; /* twice in one list */
	if (d != NULL && d->entry.address == e->address &&
	    d->entry.vendor == e->vendor && d->entry.product == e->product) {
		d->seen = true;
		if (d->link == NULL)
			un_device_set_configuration(d, e->configuration);
		return;
	}
	/* In the same place, but with a new address: replugged meanwhile. */
	if (d != NULL)
		un_device_detach(d);
	d = un_device_attach(b->ctx, b, number_of(b, e), e);
	if (d != NULL)
		d->seen = true;
}

/* A plain server leaves out of its list what is in use, by us too: that tells
 * of its end by its own connection.  So it does with what is `just_closed`. */
static void
spare(struct un_bus *b, bool just_closed)
{
	struct libusb_device *d;

	for (d = b->ctx->devices; d != NULL; d = d->next)
		if (d->bus == b && (d->link != NULL ||
				       (just_closed && un_device_may_reset(d))))
			d->seen = true;
}

static void
drop_unseen(struct un_bus *b)
{
	struct libusb_device *d, *next;

	for (d = b->ctx->devices; d != NULL; d = next) {
		next = d->next;
		if (d->bus == b && !d->seen)
			un_device_detach(d);
	}
}

static void
mark_unseen(struct un_bus *b)
{
	struct libusb_device *d;

	for (d = b->ctx->devices; d != NULL; d = d->next)
		if (d->bus == b)
			d->seen = false;
}

void
un_bus_apply(struct un_bus *b, const struct usbip_device_entry *entries,
    size_t count)
{
	mark_unseen(b);
	for (size_t i = 0; i < count; i++)
		if (is_busid(entries[i].busid))
			note_entry(b, &entries[i]);
	/* That it lists all shows by its pushing. */
	if (b->lists < 2)
		spare(b, true);
	drop_unseen(b);
}

void
un_bus_apply_nothing(struct un_bus *b)
{
	mark_unseen(b);
	spare(b, false);
	drop_unseen(b);
}

/* ---- Events ---- */

struct pollfd
un_bus_pollfd(const struct un_bus *b)
{
	return (struct pollfd){ .fd = b->fd,
		.events = b->state == UN_BUS_CONNECTING ? POLLOUT : POLLIN };
}

/* Moves; a program that polls by itself is told of another socket, and a thread
 * that sleeps in poll() without it takes it up. */
static void
with_notice(struct un_bus *b, void (*act)(struct un_bus *b))
{
	const struct pollfd before = un_bus_pollfd(b);
	const uint32_t sockets = b->sockets;
	struct pollfd after;

	act(b);
	after = un_bus_pollfd(b);
	if (before.fd == after.fd && before.events == after.events &&
	    sockets == b->sockets)
		return;
	un_wake(b->ctx);
	pthread_mutex_unlock(&b->ctx->lock);
	if (before.fd >= 0)
		un_poll_removed(b->ctx, before.fd);
	if (after.fd >= 0)
		un_poll_added(b->ctx, after.fd, after.events);
	pthread_mutex_lock(&b->ctx->lock);
}

void
un_bus_work(struct un_bus *b)
{
	pthread_mutex_lock(&b->ctx->lock);
	with_notice(b, un_bus_move);
	pthread_mutex_unlock(&b->ctx->lock);
}

struct moment
un_buses_expire(struct libusb_context *ctx, struct moment now)
{
	struct moment next = MOMENT_NEVER;

	pthread_mutex_lock(&ctx->lock);
	for (size_t i = 0; i < ctx->bus_count; i++) {
		struct un_bus *b = &ctx->buses[i];

		if (!moment_before(now, b->deadline))
			un_bus_resolve(b);
		if (!moment_before(now, b->deadline))
			with_notice(b, un_bus_run_out);
		next = moment_earlier(next, b->deadline);
	}
	pthread_mutex_unlock(&ctx->lock);
	return next;
}

/* For a list: what has come, if that is to be relied on. */
static void
refresh(struct un_bus *b)
{
	const size_t failures = b->failures;

	if (b->is_virtual) {
		un_bus_virtual_look(b);
		return;
	}
	if (b->state == UN_BUS_WATCHING && !un_bus_is_trusted(b))
		un_bus_stop(b);
	else if (b->state != UN_BUS_IDLE)
		un_bus_move(b);
	/* Also when it has closed just now: it may have ended. */
	if (b->state == UN_BUS_IDLE && b->failures == failures)
		un_bus_start(b);
}

/* Soon, not now: the server has to notice the loss, too. */
static void
ask_soon(struct un_bus *b)
{
	if (b->state == UN_BUS_CONNECTING || b->state == UN_BUS_RECEIVING)
		return;
	un_bus_stop(b);
	b->deadline = moment_after_ms(clock_now(), AWAY_WAIT_MS);
	un_timer_set(b->ctx, b->deadline);
}

void
un_bus_ask_again(struct un_bus *b)
{
	if (b->is_virtual)
		b->generation--; /* the waker is next */
	else
		with_notice(b, ask_soon);
}

void
un_buses_look(struct libusb_context *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	for (size_t i = 0; i < ctx->bus_count; i++)
		if (ctx->buses[i].is_virtual)
			un_bus_virtual_look(&ctx->buses[i]);
	pthread_mutex_unlock(&ctx->lock);
}

void
un_buses_watch(struct libusb_context *ctx)
{
	pthread_mutex_lock(&ctx->lock);
	for (size_t i = 0; i < ctx->bus_count; i++) {
		struct un_bus *b = &ctx->buses[i];

		if (b->is_virtual)
			continue; /* the waker tells */
		if (b->state == UN_BUS_IDLE && b->deadline.ns ==
		    MOMENT_NEVER.ns)
			b->deadline = moment_after_ms(clock_now(), LOOK_MS);
		else if (b->state == UN_BUS_WATCHING)
			un_bus_doubt(b);
		un_timer_set(ctx, b->deadline);
	}
	pthread_mutex_unlock(&ctx->lock);
}

/* ---- Refresh ---- */

/* Until when a list waits for this server. */
static struct moment
patience(const struct un_bus *b, struct moment begin)
{
	if (b->settled)
		return begin;
	return b->failures == 0
	    ? b->limit
	    : moment_after_ms(begin, AWAY_WAIT_MS);
}

static struct moment
latest(const struct libusb_context *ctx, struct moment begin)
{
	struct moment until = begin;

	for (size_t i = 0; i < ctx->bus_count; i++) {
		const struct moment m = patience(&ctx->buses[i], begin);

		if (moment_before(until, m))
			until = m;
	}
	return until;
}

static void
move_all(struct libusb_context *ctx)
{
	for (size_t i = 0; i < ctx->bus_count; i++) {
		struct un_bus *b = &ctx->buses[i];

		if (b->settled)
			continue;
		with_notice(b, un_bus_move);
		if (!b->settled && !moment_before(clock_now(), b->deadline))
			with_notice(b, un_bus_run_out);
	}
}

/* Under the lock, which is let go meanwhile. */
static void
wait_for_some(struct libusb_context *ctx, struct moment until)
{
	struct pollfd pfd[BUSES_MAX];
	const int left = moment_poll_timeout(clock_now(), until);
	const size_t n = ctx->bus_count;

	for (size_t i = 0; i < n; i++) {
		pfd[i] = un_bus_pollfd(&ctx->buses[i]);
		if (ctx->buses[i].settled)
			pfd[i].fd = -1;
	}
	pthread_mutex_unlock(&ctx->lock);
	poll(pfd, (nfds_t)n, left < LOOK_MS ? left : LOOK_MS);
	pthread_mutex_lock(&ctx->lock);
}

void
un_buses_refresh(struct libusb_context *ctx)
{
	const struct moment begin = clock_now();
	struct moment until;

	pthread_mutex_lock(&ctx->lock);
	for (size_t i = 0; i < ctx->bus_count; i++) {
		if (!ctx->buses[i].is_virtual)
			un_bus_resolve(&ctx->buses[i]);
		with_notice(&ctx->buses[i], refresh);
	}
	while (until = latest(ctx, begin), moment_before(clock_now(), until)) {
		wait_for_some(ctx, until);
		move_all(ctx);
	}
	move_all(ctx);
	pthread_mutex_unlock(&ctx->lock);
}

/* ---- Begin and end ---- */

/* A program that has a device from us may look for more about it in sysfs, by
 * its bus and port, as lsusb does for the names: so it must find nothing there,
 * and not a device of this host that has the same numbers. */
static bool
is_of_this_host(unsigned number)
{
	char path[sizeof LOCAL_BUS + 3 * sizeof number];

	snprintf(path, sizeof path, LOCAL_BUS, number);
	return access(path, F_OK) == 0;
}

static unsigned
next_number(unsigned number)
{
	do
		number++;
	while (number <= BUSES_MAX && is_of_this_host(number));
	return number;
}

/* Each server has a number, whatever becomes of those before it. */
static void
add(struct libusb_context *ctx, const char *text, unsigned number)
{
	struct un_bus *b = &ctx->buses[ctx->bus_count];
	struct cause why;

	if (sock_addr_parse(&b->server, text, USBIP_PORT, &why) < 0) {
		un_say(ctx, "%s; USBNET_SERVERS takes HOST:PORT and unix:PATH",
		    why.text);
		return;
	}
	b->ctx = ctx;
	b->number = (uint8_t)number;
	ctx->bus_count++;
	b->fd = -1;
	b->deadline = MOMENT_NEVER;
}

static size_t
count_words(const char *text)
{
	size_t n = 0;

	while (text[strspn(text, " \t\n")] != '\0') {
		text += strspn(text, " \t\n");
		text += strcspn(text, " \t\n");
		n++;
	}
	return n;
}

/* None are meant where there are virtual devices and none is named. */
static const char *
servers_of_environment(void)
{
	const char *servers = getenv("USBNET_SERVERS");

	if (servers != NULL && servers[strspn(servers, " \t\n")] != '\0')
		return servers;
	return un_virtual_is_wanted() ? "" : SERVERS_DEFAULT;
}

int
un_buses_open(struct libusb_context *ctx)
{
	const char *servers = servers_of_environment();
	char *text, *word, *rest = NULL;
	unsigned number = next_number(0);

	text = strdup(servers);
	ctx->buses = calloc(count_words(servers) + 1, sizeof *ctx->buses);
	if (text == NULL || ctx->buses == NULL) {
		free(text);
		return LIBUSB_ERROR_NO_MEM;
	}
	for (word = strtok_r(text, " \t\n", &rest);
	     word != NULL && number <= BUSES_MAX;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		add(ctx, word, number);
		number = next_number(number);
	}
	free(text);
	if (un_virtual_is_wanted() && number <= BUSES_MAX &&
	    un_bus_virtual_open(&ctx->buses[ctx->bus_count], ctx, number))
		ctx->bus_count++;
	un_buses_refresh(ctx);
	return 0;
}

void
un_buses_close(struct libusb_context *ctx)
{
	for (size_t i = 0; i < ctx->bus_count; i++) {
		struct un_bus *b = &ctx->buses[i];

		pthread_mutex_lock(&ctx->lock);
		with_notice(b, un_bus_stop);
		pthread_mutex_unlock(&ctx->lock);
		b->deadline = MOMENT_NEVER;
		if (b->is_virtual)
			un_bus_virtual_close(b);
		un_list_fini(&b->list);
		if (b->hosts != NULL)
			freeaddrinfo(b->hosts);
		b->hosts = NULL;
	}
}

void
un_buses_drop(struct libusb_context *ctx)
{
	for (size_t i = 0; i < ctx->bus_count; i++) {
		un_bus_stop(&ctx->buses[i]);
		ctx->buses[i].deadline = MOMENT_NEVER;
		if (ctx->buses[i].is_virtual)
			un_bus_virtual_drop(&ctx->buses[i]);
	}
}
