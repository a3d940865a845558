/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The phones of a USB/IP server, and what else is wanted.  A server of ours pushes its list whenever it
 * changes; any other is asked again every second.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "usb/usbip.h"
#include "usbip/importer.h"

/* A server that does not push is asked this often. */
#define POLL_MS 1000

/* A server that is away: pauses between attempts, growing up to the last. */
static const int away_pauses_ms[] = { 100, 200, 500, 1000, 2000, 5000 };
#define AWAY_PAUSES (sizeof away_pauses_ms / sizeof away_pauses_ms[0])

#define CONNECT_MS 3000
/* How long a server may take from one byte of its list to the next. */
#define LIST_MS 5000

/* So many phones a server may show: four full racks.  A bound, because each gets
 * threads of its own, and the server is a stranger. */
#define PHONES_MAX 1024

struct known {
	struct known *next;
	struct usb_ident ident;
	uint32_t devnum; /* all of it: ident.address is a byte */
	bool seen; /* in the newest list */
};

/* A device of the newest list. */
struct listed {
	struct usb_ident ident;
	uint32_t devnum;
	bool asked; /* for the interfaces that the list does not name */
};

/* A device that we have imported, or are about to. */
struct held {
	struct held *next;
	int count;
	char busid[USBIP_BUSID_SIZE + 1];
};

struct usbip_source {
	struct usb_source base; /* first */
	struct sock_addr server;
	char name[SOCK_ADDR_TEXT_MAX + 8];
	struct waker *waker;
	_Atomic bool quitting;
	_Atomic uint32_t rescans; /* asked for; relaxed: the wake-up orders */

	/* Imports come and go on the devices' own threads, a few times in a
	 * device's life. */
	pthread_mutex_t lock;
	struct held *held; /* under `lock` */

	/* ---- The monitor's ---- */
	struct usb_listener *listener;
	struct known *known;
	size_t known_count;
	bool plain;      /* it closes when asked to push its list */
	bool pushes;     /* this connection has given more than one list */
	bool told_limit; /* that PHONES_MAX is reached */
	bool looked;     /* the first time */
	uint32_t answered; /* of `rescans` */
	/* The newest list: what is wanted of it may change. */
	struct listed *list;
	size_t list_count;
	bool tells_little; /* asked for more than a list, it did not answer */
	size_t failures; /* in a row */
	/* ---- Of wait_for_bytes(), the monitor's too ---- */
	bool is_between_lists; /* it may take as long as it likes */
	bool timed_out;
};

static struct usbip_source *
self(struct usb_source *s)
{
	return (struct usbip_source *)s;
}

/* ---- What we hold ---- */

void
usbip_source_hold(struct usbip_source *s, const char *busid, int change)
{
	struct held **at, *h;

	pthread_mutex_lock(&s->lock);
	for (at = &s->held; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->busid, busid) == 0)
			break;
	h = *at;
	if (h == NULL && change > 0 && (h = calloc(1, sizeof *h)) != NULL) {
		snprintf(h->busid, sizeof h->busid, "%s", busid);
		*at = h;
	}
	if (h != NULL && (h->count += change) <= 0) {
		*at = h->next;
		free(h);
	}
	pthread_mutex_unlock(&s->lock);
	/* What was left out of the newest list because of it may be gone. */
	if (change < 0)
		waker_wake(s->waker);
}

static bool
is_held(struct usbip_source *s, const char *busid)
{
	const struct held *h;

	pthread_mutex_lock(&s->lock);
	for (h = s->held; h != NULL; h = h->next)
		if (strcmp(h->busid, busid) == 0)
			break;
	pthread_mutex_unlock(&s->lock);
	return h != NULL;
}

/* ---- From a list's entry to an identity ---- */

static enum usb_speed
speed_of(uint32_t speed)
{
	switch (speed) {
	case USBIP_SPEED_LOW:
		return USB_SPEED_LOW;
	case USBIP_SPEED_FULL:
		return USB_SPEED_FULL;
	case USBIP_SPEED_HIGH:
		return USB_SPEED_HIGH;
	case USBIP_SPEED_SUPER:
		return USB_SPEED_SUPER;
	case USBIP_SPEED_SUPER_PLUS:
		return USB_SPEED_SUPER_PLUS;
	default:
		return USB_SPEED_UNKNOWN;
	}
}

/* A busid is "BUS-PORT.PORT...", as the kernel names devices. */
static void
parse_ports(struct usb_ident *out, const char *busid)
{
	const char *at = strchr(busid, '-');

	out->port_count = 0;
	while (at != NULL && out->port_count < USB_PORTS_MAX) {
		char *end;
		const unsigned long port = strtoul(at + 1, &end, 10);

		if (end == at + 1 || port == 0 || port > 255)
			return;
		out->ports[out->port_count++] = (uint8_t)port;
		at = *end == '.' ? end : NULL;
	}
}

static struct usb_ident
ident_of(const struct usbip_device_entry *e)
{
	struct usb_ident out = {
		.bus = (uint8_t)e->bus,
		.address = (uint8_t)e->address,
		.configurations = e->configurations,
		.vendor = e->vendor,
		.product = e->product,
		.release = e->release,
		.speed = speed_of(e->speed),
	};

	snprintf(out.key, sizeof out.key, "%s", e->busid);
	parse_ports(&out, e->busid);
	if (usb_is_phone(e->vendor, e->product))
		return out;
	for (unsigned i = 0; i < e->interface_count &&
	     i < USBIP_ENTRY_INTERFACES; i++)
		usb_ident_add_class(&out, (struct usb_class){
			.base = e->interfaces[i].interface_class,
			.sub = e->interfaces[i].interface_subclass,
			.protocol = e->interfaces[i].interface_protocol,
		});
	return out;
}

/* It becomes a word in the log, and a key. */
static bool
is_busid(const char *text)
{
	const size_t len = strspn(text, "0123456789.:-_"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return len > 0 && text[len] == '\0';
}

/* ---- Differences ---- */

static void
note_left(struct usbip_source *s, struct known **at)
{
	struct known *k = *at;

	*at = k->next;
	s->known_count--;
	s->listener->left(s->listener, k->ident.key);
	free(k);
}

static void
note_arrived(struct usbip_source *s, const struct usb_ident *ident,
    uint32_t devnum)
{
	struct known *k;

	if (s->known_count >= PHONES_MAX) {
		if (!s->told_limit)
			s->listener->trouble(s->listener,
			    "has too many devices; not all are served");
		s->told_limit = true;
		return;
	}
	k = calloc(1, sizeof *k);
	if (k == NULL)
		return; /* the next list is another chance */
	k->ident = *ident;
	k->devnum = devnum;
	k->seen = true;
	k->next = s->known;
	s->known = k;
	s->known_count++;
	s->listener->arrived(s->listener, &k->ident);
}

static void
note_listed(struct usbip_source *s, const struct listed *d)
{
	struct known **at = &s->known, *k;

	if (!usb_is_wanted(s->listener, &d->ident))
		return;
	while (*at != NULL && strcmp((*at)->ident.key, d->ident.key) != 0)
		at = &(*at)->next;
	k = *at;
	if (k != NULL && k->seen)
		return; /* twice in one list */
	if (k != NULL && k->devnum == d->devnum &&
	    k->ident.product == d->ident.product) {
		k->seen = true;
		return;
	}
	/* In the same place, but with a new address: replugged meanwhile. */
	if (k != NULL)
		note_left(s, at);
	note_arrived(s, &d->ident, d->devnum);
}

/* A plain server leaves out of its list what is in use, by us too: that tells
 * of its end by its own connection. */
static void
drop_unseen(struct usbip_source *s)
{
	for (struct known **at = &s->known; *at != NULL;)
		if (!(*at)->seen &&
		    (s->pushes || !is_held(s, (*at)->ident.key)))
			note_left(s, at);
		else
			at = &(*at)->next;
}

/* Tells what is different since the list was looked at last. */
static void
look_at_list(struct usbip_source *s)
{
	for (struct known *k = s->known; k != NULL; k = k->next)
		k->seen = false;
	for (size_t i = 0; i < s->list_count; i++)
		note_listed(s, &s->list[i]);
	drop_unseen(s);
}

/*
 * A device that no configuration was set for is listed without interfaces.  A
 * server of ours tells of them without an import; any other closes, which is not
 * tried again.
 */
static void
learn_classes(struct usbip_source *s, struct listed *d)
{
	for (size_t i = 0; i < s->list_count; i++) {
		const struct listed *before = &s->list[i];

		if (before->asked && before->devnum == d->devnum &&
		    strcmp(before->ident.key, d->ident.key) == 0) {
			*d = *before;
			return;
		}
	}
	if (s->tells_little)
		return;
	d->asked = usbip_ask_classes(&s->server, &d->ident);
	s->tells_little = !d->asked;
}

static void
note_list(struct usbip_source *s, const struct usbip_device_entry *entries,
    size_t count)
{
	struct listed *fresh = calloc(count + 1, sizeof *fresh);
	size_t n = 0;

	if (fresh == NULL)
		return; /* the next list is another chance */
	for (size_t i = 0; i < count; i++) {
		const struct usbip_device_entry *e = &entries[i];

		if (!is_busid(e->busid))
			continue;
		fresh[n].ident = ident_of(e);
		fresh[n].devnum = e->address;
		if (e->interface_count == 0 &&
		    !usb_is_phone(e->vendor, e->product))
			learn_classes(s, &fresh[n]);
		n++;
	}
	free(s->list);
	s->list = fresh;
	s->list_count = n;
	look_at_list(s);
}

/* ---- Watching ---- */

static bool
quitting(struct usbip_source *s)
{
	return atomic_load_explicit(&s->quitting, memory_order_relaxed);
}

/* What the server shows is known, as far as it can be. */
static void
answer_rescans(struct usbip_source *s)
{
	const uint32_t asked =
	    atomic_load_explicit(&s->rescans, memory_order_relaxed);

	if (!s->looked || asked != s->answered)
		s->listener->scanned(s->listener, asked);
	s->looked = true;
	s->answered = asked;
}

/* importer_wait: for the next bytes. */
static bool
wait_for_bytes(void *arg, int fd)
{
	struct usbip_source *s = arg;
	struct pollfd pfd[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = s->waker->read_fd, .events = POLLIN },
	};
	const int limit = s->is_between_lists ? -1 : LIST_MS;

	do {
		s->timed_out = poll(pfd, 2, limit) == 0;
		if (pfd[1].revents != 0) {
			waker_clear(s->waker);
			if (s->is_between_lists) {
				look_at_list(s);
				answer_rescans(s);
			}
		}
		if (quitting(s) || s->timed_out)
			return false;
	} while (pfd[0].revents == 0);
	s->is_between_lists = false;
	return true;
}

static int
connect_to(struct usbip_source *s, struct cause *why)
{
	int fd;

	/* What wakes us here is worth starting over, unless it is the end. */
	while ((fd = sock_connect_or_cancel(&s->server, CONNECT_MS,
		    s->waker->read_fd, why)) < 0) {
		if (errno != ECANCELED || quitting(s))
			return -1;
		waker_clear(s->waker);
	}
	sock_set_keepalive(fd);
	s->tells_little = false;
	if (!importer_request_list(fd, !s->plain)) {
		close(fd);
		return cause_set(why, "it closed the connection");
	}
	return fd;
}

static void
note_back(struct usbip_source *s)
{
	if (s->failures > 0)
		s->listener->trouble(s->listener, "back");
	s->failures = 0;
}

/*
 * One connection: every list that it gives.  How many that were, or -1 and a
 * cause when it went wrong before the first.
 */
static int
take_lists(struct usbip_source *s, struct cause *why)
{
	const int fd = connect_to(s, why);
	int lists = 0, rc;

	if (fd < 0)
		return -1;
	s->is_between_lists = false;
	for (;;) {
		struct usbip_device_entry *entries;
		size_t count;

		rc = importer_receive_list(fd, wait_for_bytes, s, &entries,
		    &count, why);
		if (rc <= 0)
			break;
		/* That it pushes shows by a second list. */
		s->pushes = ++lists > 1;
		s->is_between_lists = true;
		note_back(s);
		note_list(s, entries, count);
		free(entries);
		answer_rescans(s);
	}
	close(fd);
	if (rc == 0 && lists == 0 && s->timed_out)
		rc = cause_set(why, "it does not answer");
	return lists > 0 ? lists : rc;
}

/* ---- The loop ---- */

/* A rescan, or a device that we let go, ends the pause. */
static void
pause_for(struct usbip_source *s, int ms)
{
	if (!quitting(s))
		waker_wait(s->waker, ms);
}

static void
note_away(struct usbip_source *s, const struct cause *why)
{
	char text[sizeof why->text + 64];
	const size_t n =
	    s->failures < AWAY_PAUSES ? s->failures : AWAY_PAUSES - 1;

	if (s->failures++ == 0) {
		snprintf(text, sizeof text, "away, trying again: %s",
		    why->text);
		s->listener->trouble(s->listener, text);
	}
	/* It may be another one that comes back. */
	s->plain = false;
	s->pushes = false;
	note_list(s, NULL, 0);
	answer_rescans(s);
	pause_for(s, away_pauses_ms[n]);
}

/*
 * A server that closes without a word does not like to be asked for more than
 * a list: the kernel's usbipd, for one, wants a zero in that field.
 */
static void
note_silence(struct usbip_source *s)
{
	const struct cause why = { "it closes without an answer" };

	if (s->plain)
		note_away(s, &why);
	else
		s->plain = true;
}

static int
run(struct usb_source *base, struct usb_listener *l, struct cause *why)
{
	struct usbip_source *s = self(base);

	s->listener = l;
	while (!quitting(s)) {
		const int lists = take_lists(s, why);

		if (quitting(s))
			break;
		if (lists < 0)
			note_away(s, why);
		else if (lists == 0)
			note_silence(s);
		else
			pause_for(s, s->pushes ? away_pauses_ms[0] : POLL_MS);
	}
	return 0;
}

static void
rescan(struct usb_source *s)
{
	atomic_fetch_add_explicit(&self(s)->rescans, 1, memory_order_relaxed);
	waker_wake(self(s)->waker);
}

static void
quit(struct usb_source *s)
{
	atomic_store_explicit(&self(s)->quitting, true, memory_order_relaxed);
	waker_wake(self(s)->waker);
}

static int
open_device(struct usb_source *base, const struct usb_ident *ident,
    struct transport **out, struct cause *why)
{
	struct usbip_source *s = self(base);

	return transport_usbip_open(s, &s->server, ident->key, out, why);
}

static void
do_free(struct usb_source *base)
{
	struct usbip_source *s = self(base);

	while (s->known != NULL) {
		struct known *k = s->known;

		s->known = k->next;
		free(k);
	}
	free(s->list);
	pthread_mutex_destroy(&s->lock);
	waker_put(s->waker);
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
usb_source_usbip_new(const char *address, struct cause *why)
{
	struct usbip_source *s = calloc(1, sizeof *s);
	char text[SOCK_ADDR_TEXT_MAX];

	if (s == NULL || (s->waker = waker_new_polled()) == NULL) {
		free(s);
		cause_set(why, "no memory or descriptors for the USB/IP "
		    "server %s", address);
		return NULL;
	}
	if (sock_addr_parse(&s->server, address, USBIP_PORT, why) < 0) {
		waker_put(s->waker);
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	snprintf(s->name, sizeof s->name, "usbip %s",
	    sock_addr_text(text, &s->server));
	s->base.ops = &ops;
	s->base.name = s->name;
	return &s->base;
}
