/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/sockets.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Connections that wait for the manager: a farm starts its clients at once. */
#define BACKLOG 1024

/* Any user may talk to phones, as with usbmuxd; the control socket is for the
 * daemon's own user and group. */
#define SOCKET_MODE 0666
#define CONTROL_MODE 0660

static int
listen_on(struct sockets *s, const char *text, mode_t mode, struct cause *why)
{
	struct sock_addr addr;
	int fd;

	if (sock_addr_parse(&addr, text, NULL, why) < 0)
		return -1;
	fd = sock_listen(&addr, mode, BACKLOG, why);
	if (fd < 0)
		return -1;
	sock_set_nonblocking(fd, true);
	if (addr.is_unix)
		s->named[s->named_count++] = addr;
	return fd;
}

/* ---- Passed ---- */

static int
take_passed(struct sockets *s, const struct supervisor_socket *given,
    struct cause *why)
{
	if (strcmp(given->name, SOCKETS_CONTROL_NAME) == 0) {
		if (s->control >= 0)
			return cause_set(why, "two sockets named "
			    SOCKETS_CONTROL_NAME " were passed; one is "
			    "possible");
		s->control = given->fd;
		return 0;
	}
	if (s->listener_count == OPTIONS_SOCKETS_MAX)
		return cause_set(why, "more than %d sockets for clients were "
		    "passed", OPTIONS_SOCKETS_MAX);
	s->activated = true;
	s->listeners[s->listener_count++] = given->fd;
	return 0;
}

/* ---- Our own ---- */

static int
open_listeners(struct sockets *s, const struct options *o, struct cause *why)
{
	for (size_t i = 0; i < o->socket_count; i++) {
		const int fd = listen_on(s, o->sockets[i], SOCKET_MODE, why);

		if (fd < 0)
			return -1;
		s->listeners[s->listener_count++] = fd;
	}
	return 0;
}

static int
open_control(struct sockets *s, const struct options *o,
    const struct process_user *owner, struct cause *why)
{
	const struct sock_addr *addr = &s->named[s->named_count];

	s->control = listen_on(s, o->control, CONTROL_MODE, why);
	if (s->control < 0)
		return -1;
	/* So that muxctl works for members of the daemon's group. */
	if (owner->name != NULL && addr->is_unix &&
	    chown(addr->path, owner->uid, owner->gid) < 0)
		log_warning("control socket %s: %s", addr->path,
		    strerror(errno));
	return 0;
}

int
sockets_open(struct sockets *s, struct supervisor *given,
    const struct options *o, const struct process_user *owner,
    struct cause *why)
{
	while (given->socket_count > 0)
		if (take_passed(s, &given->sockets[--given->socket_count],
			why) < 0)
			return -1;
	if (s->listener_count == 0 && open_listeners(s, o, why) < 0)
		return -1;
	if (s->control < 0 && o->control != NULL)
		return open_control(s, o, owner, why);
	return 0;
}

/* ---- The end ---- */

void
sockets_withdraw(struct sockets *s)
{
	while (s->named_count > 0)
		unlink(s->named[--s->named_count].path);
}

void
sockets_close(struct sockets *s)
{
	/* While they still listen: another daemon takes only names at which
	 * nobody does, so these are ours. */
	sockets_withdraw(s);
	for (size_t i = 0; i < s->listener_count; i++)
		close(s->listeners[i]);
	s->listener_count = 0;
	if (s->control >= 0)
		close(s->control);
	s->control = -1;
}
