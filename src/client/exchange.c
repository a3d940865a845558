/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/muxclient_int.h"

#define TAG 1 /* one request a connection, so one tag does */

/* ---- Bytes within a time ---- */

struct moment
exchange_deadline(const struct muxclient *mc)
{
	return mc->timeout_ms < 0
	    ? MOMENT_NEVER
	    : moment_after_ms(clock_now(), mc->timeout_ms);
}

static enum muxclient_error
wait_for(int fd, short events, struct moment deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, moment_poll_timeout(clock_now(), deadline));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return MUXCLIENT_SYSTEM;
	return n == 0 ? MUXCLIENT_TIMEOUT : MUXCLIENT_OK;
}

static bool
try_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static enum muxclient_error
recv_exactly(int fd, struct moment deadline, void *into, size_t len)
{
	uint8_t *at = into;
	enum muxclient_error error;
	ssize_t n;

	while (len > 0) {
		n = recv(fd, at, len, MSG_DONTWAIT);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (n == 0 || !try_again())
			return MUXCLIENT_CLOSED;
		error = wait_for(fd, POLLIN, deadline);
		if (error != MUXCLIENT_OK)
			return error;
	}
	return MUXCLIENT_OK;
}

static enum muxclient_error
send_exactly(int fd, struct moment deadline, const uint8_t *at, size_t len)
{
	enum muxclient_error error;
	ssize_t n;

	while (len > 0) {
		n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (!try_again())
			return MUXCLIENT_CLOSED;
		error = wait_for(fd, POLLOUT, deadline);
		if (error != MUXCLIENT_OK)
			return error;
	}
	return MUXCLIENT_OK;
}

/* ---- Messages ---- */

enum muxclient_error
exchange_open(const struct muxclient *mc, struct moment deadline, int *fd)
{
	struct cause why;

	if (mc->addr_bad)
		return MUXCLIENT_BAD_ADDRESS;
	errno = 0;
	*fd = sock_connect(&mc->addr,
	    moment_poll_timeout(clock_now(), deadline), &why);
	if (*fd >= 0)
		return MUXCLIENT_OK;
	switch (errno) {
	case ETIMEDOUT:
		return MUXCLIENT_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return MUXCLIENT_SYSTEM;
	default:
		return MUXCLIENT_NO_DAEMON;
	}
}

enum muxclient_error
exchange_send(int fd, struct moment deadline, struct client_frame frame)
{
	enum muxclient_error error = MUXCLIENT_NO_MEMORY;

	if (frame.bytes != NULL)
		error = send_exactly(fd, deadline, frame.bytes, frame.len);
	free(frame.bytes);
	return error;
}

enum muxclient_error
exchange_recv(int fd, struct moment deadline, struct client_reply *out)
{
	uint8_t head[USBMUX_HEADER_SIZE], *payload;
	struct client_header h;
	enum muxclient_error error;
	size_t len;

	error = recv_exactly(fd, deadline, head, sizeof head);
	if (error != MUXCLIENT_OK)
		return error;
	if (!client_header_read(&h, head, CLIENT_REPLY_MAX))
		return MUXCLIENT_GARBLED;
	len = h.length - USBMUX_HEADER_SIZE;
	payload = malloc(len > 0 ? len : 1);
	if (payload == NULL)
		return MUXCLIENT_NO_MEMORY;
	error = recv_exactly(fd, deadline, payload, len);
	if (error == MUXCLIENT_OK && !client_reply_parse(out, &h, payload, len))
		error = MUXCLIENT_GARBLED;
	free(payload);
	return error;
}

/* ---- Requests ---- */

/* What a Result number means depends on what was asked. */
static enum muxclient_error
error_of(enum client_kind kind, uint32_t result)
{
	if (result == USBMUX_OK)
		return MUXCLIENT_OK;
	if (kind == CLIENT_CONNECT && result == USBMUX_BAD_DEVICE)
		return MUXCLIENT_NO_DEVICE;
	if (kind == CLIENT_CONNECT && result == USBMUX_CONNECTION_REFUSED)
		return MUXCLIENT_REFUSED;
	if (result == USBMUX_BAD_COMMAND || result == USBMUX_BAD_VERSION)
		return MUXCLIENT_UNSUPPORTED;
	if (kind < CLIENT_READ_BUID)
		return MUXCLIENT_GARBLED;
	if (result == USBMUX_RECORD_MISSING)
		return MUXCLIENT_NO_RECORD;
	if (result == USBMUX_RECORD_INVALID)
		return MUXCLIENT_INVALID;
	errno = (int)result;
	return MUXCLIENT_STORE;
}

enum muxclient_error
exchange(const struct muxclient *mc, struct moment deadline,
    enum client_kind kind, struct client_frame frame, struct client_reply *out,
    int *fd)
{
	enum muxclient_error error;
	int s;

	error = exchange_open(mc, deadline, &s);
	if (error != MUXCLIENT_OK) {
		free(frame.bytes);
		return error;
	}
	error = exchange_send(s, deadline, frame);
	if (error == MUXCLIENT_OK)
		error = exchange_recv(s, deadline, out);
	if (error == MUXCLIENT_OK && out->kind == CLIENT_REPLY_RESULT)
		error = error_of(kind, out->result);
	if (error == MUXCLIENT_OK && fd != NULL) {
		*fd = s;
	} else {
		const int saved = errno; /* of MUXCLIENT_STORE */

		close(s);
		errno = saved;
	}
	return error;
}

/* A request that only a Result answers. */
static enum muxclient_error
exchange_result(const struct muxclient *mc, struct moment deadline,
    enum client_kind kind, struct client_frame frame, int *fd)
{
	struct client_reply reply;
	const enum muxclient_error error =
	    exchange(mc, deadline, kind, frame, &reply, fd);

	if (error != MUXCLIENT_OK || reply.kind == CLIENT_REPLY_RESULT)
		return error;
	client_reply_fini(&reply);
	close(*fd);
	return MUXCLIENT_GARBLED;
}

static enum muxclient_error
ask_in(const struct muxclient *mc, struct moment deadline,
    enum client_form form, enum client_kind kind, uint32_t id, uint16_t port,
    int *fd)
{
	return exchange_result(mc, deadline, kind, kind == CLIENT_LISTEN
		? client_ask_listen(form, TAG, &mc->self)
		: client_ask_connect(form, TAG, &mc->self, id, port), fd);
}

static enum muxclient_error
ask_in_either(const struct muxclient *mc, struct moment deadline,
    enum client_kind kind, uint32_t id, uint16_t port, int *fd)
{
	const enum client_form form = (enum client_form)atomic_load_explicit(
	    &mc->form, memory_order_relaxed);
	enum muxclient_error error =
	    ask_in(mc, deadline, form, kind, id, port, fd);

	if (error != MUXCLIENT_UNSUPPORTED || form == CLIENT_BINARY)
		return error;
	error = ask_in(mc, deadline, CLIENT_BINARY, kind, id, port, fd);
	if (error != MUXCLIENT_UNSUPPORTED)
		/* A cache, no setting: const for the caller. */
		atomic_store_explicit(&((struct muxclient *)mc)->form,
		    CLIENT_BINARY, memory_order_relaxed);
	return error;
}

enum muxclient_error
exchange_listen(const struct muxclient *mc, struct moment deadline, int *fd)
{
	return ask_in_either(mc, deadline, CLIENT_LISTEN, 0, 0, fd);
}

enum muxclient_error
exchange_connect(const struct muxclient *mc, struct moment deadline,
    uint32_t id, uint16_t port, int *fd)
{
	return ask_in_either(mc, deadline, CLIENT_CONNECT, id, port, fd);
}
