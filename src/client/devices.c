/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/muxclient_int.h"

/*
 * A daemon without ListDevices tells of its devices only when it is listened
 * to, and never says that this was the last.  It sends them at once, so a
 * silence this long is taken for the end.
 */
#define SILENCE_MS 100

struct list {
	struct muxclient_device *items;
	size_t count;
};

static enum muxclient_error
list_add(struct list *l, const struct client_device *d)
{
	struct muxclient_device *grown =
	    realloc(l->items, (l->count + 1) * sizeof *grown);

	if (grown == NULL)
		return MUXCLIENT_NO_MEMORY;
	l->items = grown;
	device_from_wire(&grown[l->count++], d);
	return MUXCLIENT_OK;
}

static void
list_remove(struct list *l, uint32_t id)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].id == id) {
			l->items[i] = l->items[--l->count];
			return;
		}
}

static enum muxclient_error
list_hear(struct list *l, int fd, struct moment deadline)
{
	struct client_reply reply;
	enum muxclient_error error;

	for (;;) {
		const struct moment quiet =
		    moment_after_ms(clock_now(), SILENCE_MS);

		error = exchange_recv(fd, moment_earlier(quiet, deadline),
		    &reply);
		if (error == MUXCLIENT_TIMEOUT &&
		    !moment_before(clock_now(), quiet))
			return MUXCLIENT_OK;
		if (error != MUXCLIENT_OK)
			return error;
		if (reply.kind == CLIENT_REPLY_ATTACHED)
			error = list_add(l, &reply.device);
		else if (reply.kind == CLIENT_REPLY_DETACHED)
			list_remove(l, reply.device_id);
		client_reply_fini(&reply);
		if (error != MUXCLIENT_OK)
			return error;
	}
}

static enum muxclient_error
list_by_listening(const struct muxclient *mc, struct moment deadline,
    struct list *l)
{
	int fd;
	enum muxclient_error error = exchange_listen(mc, deadline, &fd);

	if (error != MUXCLIENT_OK)
		return error;
	error = list_hear(l, fd, deadline);
	close(fd);
	return error;
}

static enum muxclient_error
list_by_asking(const struct muxclient *mc, struct moment deadline,
    struct list *l)
{
	struct client_reply reply;
	enum muxclient_error error = exchange(mc, deadline,
	    CLIENT_LIST_DEVICES,
	    client_ask_simple(CLIENT_LIST_DEVICES, 1, &mc->self), &reply,
	    NULL);

	if (error != MUXCLIENT_OK)
		return error;
	if (reply.kind != CLIENT_REPLY_DEVICES)
		error = MUXCLIENT_GARBLED;
	else if (reply.count > 0) {
		l->items = malloc(reply.count * sizeof *l->items);
		if (l->items == NULL)
			error = MUXCLIENT_NO_MEMORY;
	}
	for (size_t i = 0; error == MUXCLIENT_OK && i < reply.count; i++)
		device_from_wire(&l->items[l->count++],
		    &reply.devices[i]);
	client_reply_fini(&reply);
	return error;
}

enum muxclient_error
muxclient_list(const struct muxclient *mc, struct muxclient_device **list,
    size_t *count)
{
	const struct moment deadline = exchange_deadline(mc);
	struct list l = { NULL, 0 };
	enum muxclient_error error = MUXCLIENT_UNSUPPORTED;

	if (atomic_load_explicit(&mc->form, memory_order_relaxed) ==
	    CLIENT_PLIST)
		error = list_by_asking(mc, deadline, &l);
	if (error == MUXCLIENT_UNSUPPORTED)
		error = list_by_listening(mc, deadline, &l);
	if (error != MUXCLIENT_OK) {
		free(l.items);
		return error;
	}
	*list = l.items;
	*count = l.count;
	return MUXCLIENT_OK;
}

/* True when both are the same without hyphens and case. */
static bool
same_udid(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '-')
			a++;
		while (*b == '-')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

enum muxclient_error
muxclient_find(const struct muxclient *mc, const char *udid, unsigned links,
    struct muxclient_device *out)
{
	const struct muxclient_device *best = NULL;
	struct muxclient_device *list;
	size_t count;
	enum muxclient_error error = muxclient_list(mc, &list, &count);

	if (error != MUXCLIENT_OK)
		return error;
	for (size_t i = 0; i < count; i++) {
		const struct muxclient_device *d = &list[i];

		if ((d->link & links) == 0 ||
		    (udid != NULL && !same_udid(udid, d->udid)))
			continue;
		if (best == NULL || (best->link != MUXCLIENT_USB &&
					d->link == MUXCLIENT_USB))
			best = d;
	}
	if (best != NULL)
		*out = *best;
	free(list);
	return best != NULL ? MUXCLIENT_OK : MUXCLIENT_NO_DEVICE;
}

enum muxclient_error
muxclient_connect(const struct muxclient *mc, uint32_t id, uint16_t port,
    int *fd)
{
	return exchange_connect(mc, exchange_deadline(mc), id, port, fd);
}
