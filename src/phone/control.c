/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/sock.h"
#include "phone/farm.h"

/*
 * A client is either being read, or has an answer under way; never both, so a
 * client that does not read its answers is not listened to, and what it makes
 * us hold is one line and one answer.
 */
struct client {
	struct client *next;
	int fd; /* -1: to be freed */
	bool ended; /* will send nothing more */
	char *line; /* what has come of a line, and beyond it */
	size_t have, size;
	struct json answer; /* on its way out */
	size_t sent;        /* of it and its newline */
};

struct control {
	struct sock_addr addr;
	int fd;
	struct client *clients;
	int count;
};

struct control *
control_open(const char *path, struct cause *why)
{
	struct control *c = calloc(1, sizeof *c);

	if (c == NULL) {
		cause_set(why, "control socket: out of memory");
		return NULL;
	}
	c->addr.is_unix = true;
	if (strlen(path) >= sizeof c->addr.path) {
		cause_set(why, "control socket: '%s' is too long", path);
		free(c);
		return NULL;
	}
	strcpy(c->addr.path, path);
	c->fd = sock_listen(&c->addr, 0600, 64, why);
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
	json_fini(&cl->answer);
	free(cl->line);
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

static bool
is_answering(const struct client *cl)
{
	return cl->answer.len > 0;
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
			.events = is_answering(cl) ? POLLOUT : POLLIN,
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
	json_init(&cl->answer);
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
	const char *text = cl->answer.text;

	while (cl->sent < cl->answer.len) {
		const ssize_t n = send(cl->fd, text + cl->sent,
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
	json_clear(&cl->answer);
	cl->sent = 0;
}

static void
answer_line(struct client *cl, struct farm *f, char *line)
{
	static const char no_memory[] = "{\"error\":\"out of memory\"}";

	json_clear(&cl->answer);
	command_run(f, line, &cl->answer);
	if (json_text(&cl->answer) == NULL) {
		json_fini(&cl->answer);
		send(cl->fd, no_memory, sizeof no_memory - 1, MSG_NOSIGNAL);
		hang_up(cl);
		return;
	}
	/* The newline takes the place of the end, which is not sent. */
	cl->answer.text[cl->answer.len++] = '\n';
	send_answer(cl);
}

/* Answers whole lines, as long as their answers leave at once. */
static void
take_lines(struct client *cl, struct farm *f)
{
	size_t start = 0;

	while (cl->fd >= 0 && !is_answering(cl)) {
		char *line = cl->line + start;
		char *end = memchr(line, '\n', cl->have - start);

		if (end == NULL)
			break;
		*end = '\0';
		start += (size_t)(end - line) + 1;
		answer_line(cl, f, line);
	}
	cl->have -= start;
	memmove(cl->line, cl->line + start, cl->have);
	if (cl->fd >= 0 && cl->ended && !is_answering(cl))
		hang_up(cl);
}

/* Room for more of a line.  False: it is too long. */
static bool
make_room(struct client *cl)
{
	const size_t size = cl->size > 0 ? cl->size * 2 : 1024;
	char *line;

	if (cl->have < cl->size)
		return true;
	if (cl->size >= CONTROL_LINE_MAX)
		return false;
	line = realloc(cl->line, size);
	if (line == NULL)
		return false;
	cl->line = line;
	cl->size = size;
	return true;
}

static void
receive(struct client *cl, struct farm *f)
{
	ssize_t n;

	if (!make_room(cl)) {
		log_warning("a control client was cut off: its line is too "
			    "long");
		hang_up(cl);
		return;
	}
	n = recv(cl->fd, cl->line + cl->have, cl->size - cl->have, 0);
	if (n < 0) {
		if (errno != EINTR && errno != EAGAIN)
			hang_up(cl);
		return;
	}
	if (n == 0)
		cl->ended = true;
	cl->have += (size_t)n;
	take_lines(cl, f);
}

static void
serve_client(struct client *cl, struct farm *f)
{
	if (!is_answering(cl)) {
		receive(cl, f);
		return;
	}
	send_answer(cl);
	if (cl->fd >= 0 && !is_answering(cl))
		take_lines(cl, f);
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
control_serve(struct control *c, struct farm *f, const struct pollfd *pfd)
{
	const bool comes = pfd[0].revents != 0;

	pfd++;
	for (struct client *cl = c->clients; cl != NULL; cl = cl->next, pfd++)
		if (pfd->revents != 0)
			serve_client(cl, f);
	free_gone(c);
	if (comes)
		accept_client(c);
}
