/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ctl/control.h"

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "wire/admin.h"

/* ---- Causes ---- */

/* A connect has failed with errno `error`, as `plain` says: adds what is to be
 * done about it, where there is something. */
static int
no_connection(const struct control *c, const struct sock_addr *addr, int error,
    const struct cause *plain, struct cause *why)
{
	if (error == EACCES || error == EPERM)
		return cause_set(why, "%s; it is for the daemon's user and "
		    "group: try as root (sudo muxctl), or join that group",
		    plain->text);
	if ((error == ENOENT || error == ECONNREFUSED) && addr->is_unix)
		return cause_set(why, "%s; is %s running? start it, or name "
		    "its --control socket with -c", plain->text, c->daemon);
	if (error == ENOENT || error == ECONNREFUSED)
		return cause_set(why, "%s; is the socket of %s forwarded to "
		    "that port?", plain->text, c->daemon);
	if (error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH)
		return cause_set(why, "%s; is that host up, and the daemon "
		    "alive?", plain->text);
	return cause_set(why, "%s", plain->text);
}

/* errno to a sentence, after sending or receiving failed. */
static int
lost(const struct control *c, struct cause *why)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return cause_set(why, "%s: no answer for %d s; is the daemon "
		    "stopped, or its host overloaded?", c->name,
		    CONTROL_TIMEOUT_MS / 1000);
	if (errno == ECONNRESET || errno == EPIPE)
		return cause_set(why, "%s: the daemon has closed it; if it has "
		    "ended, its log says why", c->name);
	return cause_set(why, "%s: %s", c->name, strerror(errno));
}

static int
no_daemon(const struct control *c, struct cause *why)
{
	return cause_set(why, "%s: what answers there is no control socket of "
	    "%s; name that with -c", c->name, c->daemon);
}

/* ---- The socket ---- */

static void
set_timeouts(int fd)
{
	const struct timeval tv = { CONTROL_TIMEOUT_MS / 1000,
		CONTROL_TIMEOUT_MS % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

int
control_open(struct control *c, const struct sock_addr *addr,
    struct cause *why)
{
	struct cause plain;

	c->tag = 0;
	sock_addr_text(c->name, addr);
	c->fd = sock_connect(addr, CONTROL_TIMEOUT_MS, &plain);
	if (c->fd < 0)
		return no_connection(c, addr, errno, &plain, why);
	set_timeouts(c->fd);
	/* `watch` may wait for days, and has to notice a host that is gone. */
	sock_set_keepalive(c->fd);
	return 0;
}

void
control_close(struct control *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* ---- Messages ---- */

/* The next message, whatever it is: its dictionary and tag. */
static plist_t
receive(struct control *c, uint32_t *tag, struct cause *why)
{
	uint8_t bytes[USBMUX_HEADER_SIZE], *payload;
	struct client_header h;
	plist_t dict = NULL;
	size_t len;

	if (sock_recv_all(c->fd, bytes, sizeof bytes) < 0) {
		lost(c, why);
		return NULL;
	}
	if (!client_header_read(&h, bytes, ADMIN_REPLY_MAX) ||
	    h.message != USBMUX_PLIST) {
		no_daemon(c, why);
		return NULL;
	}
	len = h.length - USBMUX_HEADER_SIZE;
	payload = malloc(len + 1); /* never 0 */
	if (payload == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	if (sock_recv_all(c->fd, payload, len) < 0) {
		lost(c, why);
	} else {
		dict = admin_parse_reply(payload, len);
		if (dict == NULL)
			no_daemon(c, why);
	}
	free(payload);
	*tag = h.tag;
	return dict;
}

/* Frees the request. */
static int
send_request(struct control *c, const char *type, plist_t request,
    struct cause *why)
{
	struct client_frame frame;
	int rc;

	plist_dict_set_item(request, "MessageType", plist_new_string(type));
	frame = admin_frame(++c->tag, request);
	if (frame.bytes == NULL)
		return cause_set(why, "out of memory");
	rc = sock_send_all(c->fd, frame.bytes, frame.len);
	free(frame.bytes);
	return rc < 0 ? lost(c, why) : 0;
}

/* 0 unless the answer is a Result that says no. */
static int
check_result(const struct control *c, const char *type, plist_t answer,
    struct cause *why)
{
	const char *kind = admin_text(answer, "MessageType");
	const uint64_t number = admin_number(answer, "Number");

	if (kind == NULL || strcmp(kind, "Result") != 0 || number == USBMUX_OK)
		return 0;
	if (number == USBMUX_BAD_COMMAND)
		return cause_set(why, "%s: does not know '%s': it is not "
		    "%s's control socket, or of an older %s than this "
		    "muxctl " PACKAGE_VERSION, c->name, type, c->daemon,
		    c->daemon);
	return cause_set(why, "%s: the daemon refuses '%s': %s", c->name, type,
	    number <= 255 ? strerror((int)number) : "for an unknown reason");
}

plist_t
control_ask(struct control *c, const char *type, plist_t request,
    struct cause *why)
{
	plist_t answer;
	uint32_t tag;

	if (send_request(c, type, request, why) < 0)
		return NULL;
	answer = receive(c, &tag, why);
	if (answer == NULL)
		return NULL;
	if (tag == c->tag && check_result(c, type, answer, why) == 0)
		return answer;
	if (tag != c->tag)
		no_daemon(c, why);
	plist_free(answer);
	return NULL;
}

plist_t
control_next_event(struct control *c, int out_fd, struct cause *why)
{
	struct pollfd pfd[2] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = out_fd, .events = 0 }, /* POLLERR comes unasked */
	};
	uint32_t tag;

	why->text[0] = '\0';
	while (poll(pfd, 2, -1) < 0)
		if (errno != EINTR && errno != EAGAIN) {
			cause_set(why, "poll: %s", strerror(errno));
			return NULL;
		}
	if (pfd[0].revents == 0)
		return NULL;
	return receive(c, &tag, why);
}
