/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/responder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"

/* A client is either being read, or has an answer under way; never both. */
struct client {
	struct client *next;
	int fd;     /* -1: to be freed */
	bool ended; /* will send nothing more */
	uint8_t *bytes; /* of a request, and beyond it */
	size_t have, size;
	uint8_t *answer; /* on its way out; NULL: none */
	size_t answer_len, sent;
};

struct responder {
	struct sock_addr addr;
	int fd;
	int spare; /* for when there is no other descriptor; or -1 */
	const struct responder_ops *ops;
	void *arg;
	struct client *clients;
	int count, max;
};

/* ---- Begin and end ---- */

static int
set_path(struct sock_addr *addr, const char *path, struct cause *why)
{
	if (strlen(path) >= sizeof addr->path)
		return cause_set(why, "socket '%.60s...': a path has %zu "
		    "characters at most", path, sizeof addr->path - 1);
	addr->is_unix = true;
	strcpy(addr->path, path);
	return 0;
}

static void
take_spare(struct responder *r)
{
	r->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

struct responder *
responder_open(const char *path, int clients_max,
    const struct responder_ops *ops, void *arg, struct cause *why)
{
	struct responder *r = calloc(1, sizeof *r);

	if (r == NULL) {
		cause_set(why, "out of memory");
		return NULL;
	}
	r->ops = ops;
	r->arg = arg;
	r->max = clients_max;
	r->fd = set_path(&r->addr, path, why) < 0
	    ? -1
	    : sock_listen(&r->addr, 0600, clients_max, why);
	if (r->fd < 0) {
		free(r);
		return NULL;
	}
	sock_set_nonblocking(r->fd, true);
	take_spare(r);
	return r;
}

static void
client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->answer);
	free(c->bytes);
	free(c);
}

void
responder_close(struct responder *r)
{
	if (r == NULL)
		return;
	while (r->clients != NULL) {
		struct client *c = r->clients;

		r->clients = c->next;
		client_free(c);
	}
	/* While we listen, nobody else can have taken the path over. */
	unlink(r->addr.path);
	close(r->fd);
	if (r->spare >= 0)
		close(r->spare);
	free(r);
}

int
responder_pollfds(const struct responder *r, struct pollfd *pfd)
{
	int n = 0;

	pfd[n++] = (struct pollfd){
		.fd = r->count < r->max ? r->fd : -1,
		.events = POLLIN,
	};
	for (const struct client *c = r->clients; c != NULL; c = c->next)
		pfd[n++] = (struct pollfd){
			.fd = c->fd,
			.events = c->answer != NULL ? POLLOUT : POLLIN,
		};
	return n;
}

/* Descriptors have run out: whoever waits is hung up on, because poll() would
 * go on telling of him. */
static void
turn_away(struct responder *r)
{
	int fd;

	if (r->spare < 0)
		return;
	close(r->spare);
	fd = accept(r->fd, NULL, NULL);
	if (fd >= 0)
		close(fd);
	take_spare(r);
}

static void
accept_client(struct responder *r)
{
	const int fd = accept(r->fd, NULL, NULL);
	struct client *c;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(r);
		return;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	sock_set_nonblocking(fd, true);
	c->fd = fd;
	c->next = r->clients;
	r->clients = c;
	r->count++;
}

/* The descriptor says so; free_gone() does the rest. */
static void
hang_up(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

/* ---- Answers ---- */

/* Sends what the socket takes of it. */
static void
send_answer(struct client *c)
{
	while (c->sent < c->answer_len) {
		const ssize_t n = send(c->fd, c->answer + c->sent,
		    c->answer_len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				hang_up(c);
			return;
		}
		c->sent += (size_t)n;
	}
	free(c->answer);
	c->answer = NULL;
}

static void
answer(struct responder *r, struct client *c, uint8_t *request, size_t len)
{
	c->sent = 0;
	c->answer = r->ops->answer(r->arg, request, len, &c->answer_len);
	if (c->answer == NULL)
		hang_up(c);
	else
		send_answer(c);
}

/* Answers whole requests, as long as their answers leave at once. */
static void
take_requests(struct responder *r, struct client *c)
{
	size_t start = 0, len;

	while (c->fd >= 0 && c->answer == NULL && start < c->have) {
		len = r->ops->measure(c->bytes + start, c->have - start);
		if (len == RESPONDER_NONSENSE) {
			hang_up(c);
			return;
		}
		if (len == 0)
			break;
		start += len;
		answer(r, c, c->bytes + start - len, len);
	}
	if (start > 0) {
		c->have -= start;
		memmove(c->bytes, c->bytes + start, c->have);
	}
	if (c->fd >= 0 && c->ended && c->answer == NULL)
		hang_up(c);
}

/* ---- Requests ---- */

/* Room for more of a request.  False: it is too long, or memory has run out. */
static bool
make_room(const struct responder *r, struct client *c)
{
	size_t size = c->size > 0 ? c->size * 2 : 1024;
	uint8_t *bytes;

	if (c->have < c->size)
		return true;
	if (size > r->ops->request_max)
		size = r->ops->request_max;
	bytes = size > c->size ? realloc(c->bytes, size) : NULL;
	if (bytes == NULL)
		return false;
	c->bytes = bytes;
	c->size = size;
	return true;
}

static void
receive(struct responder *r, struct client *c)
{
	ssize_t n;

	if (!make_room(r, c)) {
		log_warning("a client of %s was cut off: its request is too "
		    "long", r->addr.path);
		hang_up(c);
		return;
	}
	n = recv(c->fd, c->bytes + c->have, c->size - c->have, 0);
	if (n < 0) {
		if (errno != EINTR && errno != EAGAIN)
			hang_up(c);
		return;
	}
	if (n == 0)
		c->ended = true;
	c->have += (size_t)n;
	take_requests(r, c);
}

static void
serve_client(struct responder *r, struct client *c)
{
	if (c->answer == NULL) {
		receive(r, c);
		return;
	}
	send_answer(c);
	if (c->fd >= 0 && c->answer == NULL)
		take_requests(r, c);
}

/* Clients end in the middle of being served; they are freed afterwards. */
static void
free_gone(struct responder *r)
{
	struct client **at = &r->clients;

	while (*at != NULL) {
		struct client *c = *at;

		if (c->fd >= 0) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		client_free(c);
		r->count--;
	}
}

void
responder_serve(struct responder *r, const struct pollfd *pfd)
{
	const bool comes = pfd[0].revents != 0;

	pfd++;
	for (struct client *c = r->clients; c != NULL; c = c->next, pfd++)
		if (pfd->revents != 0)
			serve_client(r, c);
	free_gone(r);
	if (comes)
		accept_client(r);
}
