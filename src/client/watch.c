/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/muxclient_int.h"

/* Never reads beyond the message it is in, so that poll() on the descriptor
 * tells whether there is another. */
struct muxclient_watch {
	int fd;
	uint8_t head[USBMUX_HEADER_SIZE];
	size_t head_got;
	struct client_header header; /* once head is full */
	uint8_t *payload;	     /* the same; malloc'ed */
	size_t payload_got;
	enum muxclient_error over; /* why the watch has ended, or OK */
};

enum muxclient_error
muxclient_watch_open(const struct muxclient *mc, struct muxclient_watch **out)
{
	struct muxclient_watch *w = calloc(1, sizeof *w);
	enum muxclient_error error;

	if (w == NULL)
		return MUXCLIENT_NO_MEMORY;
	error = exchange_listen(mc, exchange_deadline(mc), &w->fd);
	if (error != MUXCLIENT_OK) {
		free(w);
		return error;
	}
	*out = w;
	return MUXCLIENT_OK;
}

void
muxclient_watch_close(struct muxclient_watch *w)
{
	if (w == NULL)
		return;
	close(w->fd);
	free(w->payload);
	free(w);
}

int
muxclient_watch_fd(const struct muxclient_watch *w)
{
	return w->fd;
}

/* Fills `into` up to `len`, of which *got are there: OK when it is full. */
static enum muxclient_error
fill(int fd, uint8_t *into, size_t len, size_t *got)
{
	while (*got < len) {
		const ssize_t n =
		    recv(fd, into + *got, len - *got, MSG_DONTWAIT);

		if (n > 0)
			*got += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return MUXCLIENT_AGAIN;
		else
			return MUXCLIENT_CLOSED;
	}
	return MUXCLIENT_OK;
}

static enum muxclient_error
receive(struct muxclient_watch *w, struct client_reply *reply)
{
	enum muxclient_error error;
	size_t len;

	if (w->payload == NULL) {
		error = fill(w->fd, w->head, sizeof w->head, &w->head_got);
		if (error != MUXCLIENT_OK)
			return error;
		if (!client_header_read(&w->header, w->head, CLIENT_REPLY_MAX))
			return MUXCLIENT_GARBLED;
		w->payload = malloc(w->header.length);
		if (w->payload == NULL)
			return MUXCLIENT_NO_MEMORY;
	}
	len = w->header.length - USBMUX_HEADER_SIZE;
	error = fill(w->fd, w->payload, len, &w->payload_got);
	if (error != MUXCLIENT_OK)
		return error;
	if (!client_reply_parse(reply, &w->header, w->payload, len))
		error = MUXCLIENT_GARBLED;
	free(w->payload);
	w->payload = NULL;
	w->head_got = w->payload_got = 0;
	return error;
}

/* False for a message that is no event for the caller. */
static bool
event_from(struct muxclient_event *event, const struct client_reply *reply)
{
	event->id = reply->device_id;
	if (reply->kind == CLIENT_REPLY_ATTACHED) {
		event->type = MUXCLIENT_ATTACHED;
		event->id = reply->device.id;
		device_from_wire(&event->device, &reply->device);
	} else if (reply->kind == CLIENT_REPLY_DETACHED) {
		event->type = MUXCLIENT_DETACHED;
	} else if (reply->kind == CLIENT_REPLY_PAIRED) {
		event->type = MUXCLIENT_PAIRED;
	} else {
		return false;
	}
	return true;
}

enum muxclient_error
muxclient_watch_next(struct muxclient_watch *w, struct muxclient_event *event)
{
	struct client_reply reply;
	bool found = false;

	/* Kinds of messages that are newer than this library are passed over. */
	while (w->over == MUXCLIENT_OK && !found) {
		const enum muxclient_error error = receive(w, &reply);

		if (error == MUXCLIENT_AGAIN || error == MUXCLIENT_NO_MEMORY)
			return error;
		if (error != MUXCLIENT_OK) {
			w->over = error;
			break;
		}
		found = event_from(event, &reply);
		client_reply_fini(&reply);
	}
	return w->over;
}
