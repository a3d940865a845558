/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "export/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "wire/admin.h"

/*
 * A client is either being read, or has an answer under way; never both, so a
 * client that does not read its answers is not listened to, and what it makes
 * us hold is one request and one answer.
 */
struct client {
	struct client *next;
	int fd; /* -1: to be freed */
	uint8_t request[CLIENT_REQUEST_MAX];
	size_t have;
	struct client_frame answer; /* on its way out; bytes NULL: none */
	size_t sent;
};

struct control {
	struct sock_addr addr;
	int fd;
	struct usbip_server *server;
	struct monitor *monitor;
	struct client *clients;
	int count;
};

struct control *
control_open(const char *path, struct usbip_server *server,
    struct monitor *monitor, struct cause *why)
{
	struct control *c = calloc(1, sizeof *c);

	if (c == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	c->server = server;
	c->monitor = monitor;
	c->addr.is_unix = true;
	if (strlen(path) >= sizeof c->addr.path) {
		cause_set(why, "socket '%.60s...': a path has %zu characters "
		    "at most", path, sizeof c->addr.path - 1);
		free(c);
		return NULL;
	}
	strcpy(c->addr.path, path);
	c->fd = sock_listen(&c->addr, 0600, CONTROL_CLIENTS_MAX, why);
	if (c->fd < 0) {
		free(c);
		return NULL;
	}
	sock_set_nonblocking(c->fd, true);
	return c;
}

static void
client_free(struct client *cl)
{
	if (cl->fd >= 0)
		close(cl->fd);
	free(cl->answer.bytes);
	free(cl);
}

void
control_close(struct control *c)
{
	if (c == NULL)
		return;
	while (c->clients != NULL) {
		struct client *cl = c->clients;

		c->clients = cl->next;
		client_free(cl);
	}
	close(c->fd);
	unlink(c->addr.path);
	free(c);
}

int
control_pollfds(const struct control *c, struct pollfd *pfd)
{
	int n = 0;

	pfd[n++] = (struct pollfd){
		.fd = c->count < CONTROL_CLIENTS_MAX ? c->fd : -1,
		.events = POLLIN,
	};
	for (const struct client *cl = c->clients; cl != NULL; cl = cl->next)
		pfd[n++] = (struct pollfd){
			.fd = cl->fd,
			.events = cl->answer.bytes != NULL ? POLLOUT : POLLIN,
		};
	return n;
}

static void
accept_client(struct control *c)
{
	const int fd = accept(c->fd, NULL, NULL);
	struct client *cl;

	if (fd < 0)
		return;
	cl = calloc(1, sizeof *cl);
	if (cl == NULL) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	sock_set_nonblocking(fd, true);
	cl->fd = fd;
	cl->next = c->clients;
	c->clients = cl;
	c->count++;
}

/* The descriptor says so; free_gone() does the rest. */
static void
hang_up(struct client *cl)
{
	close(cl->fd);
	cl->fd = -1;
}

/* Sends what the socket takes of the answer. */
static void
send_answer(struct client *cl)
{
	while (cl->sent < cl->answer.len) {
		const ssize_t n = send(cl->fd, cl->answer.bytes + cl->sent,
		    cl->answer.len - cl->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				hang_up(cl);
			return;
		}
		cl->sent += (size_t)n;
	}
	free(cl->answer.bytes);
	cl->answer = (struct client_frame){ NULL, 0 };
	cl->sent = 0;
}

static void
answer(struct control *c, struct client *cl, uint32_t tag,
    const uint8_t *payload, size_t len)
{
	plist_t request = admin_parse_request(payload, len);

	cl->answer = admin_frame(tag,
	    control_answer(c->server, c->monitor, request));
	plist_free(request);
	if (cl->answer.bytes == NULL)
		hang_up(cl); /* out of memory */
	else
		send_answer(cl);
}

/* Answers whole requests, as long as their answers leave at once. */
static void
take_requests(struct control *c, struct client *cl)
{
	size_t start = 0;

	while (cl->fd >= 0 && cl->answer.bytes == NULL &&
	    cl->have - start >= USBMUX_HEADER_SIZE) {
		const uint8_t *at = cl->request + start;
		struct client_header h;

		if (!client_header_read(&h, at, sizeof cl->request)) {
			hang_up(cl);
			return;
		}
		if (h.length > cl->have - start)
			break;
		start += h.length;
		answer(c, cl, h.tag, at + USBMUX_HEADER_SIZE,
		    h.length - USBMUX_HEADER_SIZE);
	}
	cl->have -= start;
	memmove(cl->request, cl->request + start, cl->have);
}

static void
receive(struct control *c, struct client *cl)
{
	const ssize_t n = recv(cl->fd, cl->request + cl->have,
	    sizeof cl->request - cl->have, 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		hang_up(cl);
		return;
	}
	cl->have += (size_t)n;
	take_requests(c, cl);
}

static void
serve_client(struct control *c, struct client *cl)
{
	if (cl->answer.bytes == NULL) {
		receive(c, cl);
		return;
	}
	send_answer(cl);
	if (cl->fd >= 0)
		take_requests(c, cl);
}

/* Clients end in the middle of being served; they are freed afterwards. */
static void
free_gone(struct control *c)
{
	struct client **at = &c->clients;

	while (*at != NULL) {
		struct client *cl = *at;

		if (cl->fd >= 0) {
			at = &cl->next;
			continue;
		}
		*at = cl->next;
		client_free(cl);
		c->count--;
	}
}

void
control_serve(struct control *c, const struct pollfd *pfd)
{
	const bool comes = pfd[0].revents != 0;

	pfd++;
	for (struct client *cl = c->clients; cl != NULL; cl = cl->next, pfd++)
		if (pfd->revents != 0)
			serve_client(c, cl);
	free_gone(c);
	if (comes)
		accept_client(c);
}
