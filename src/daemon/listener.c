/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A client that listens: told of the devices there are, then of each change. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "daemon/client.h"

static struct client_frame
build_notice(const struct msg_notice *n, enum client_form form)
{
	switch (n->kind) {
	case NOTICE_ATTACHED:
		return client_build_attached(form, &n->device);
	case NOTICE_DETACHED:
		return client_build_detached(form, n->device.id);
	case NOTICE_PAIRED:
		return client_build_paired(form, n->device.id);
	case NOTICE_FAILED:
		break;
	}
	return (struct client_frame){ NULL, 0 };
}

static bool
send_notice(struct client *c, struct msg_notice *n) RUNS_ON(on_worker)
{
	/* An ordinary client drops every device when it meets an event that it
	 * does not know: those are for admin clients. */
	const bool known = n->kind != NOTICE_FAILED;
	bool alive = true;

	if (known)
		alive = client_send(c, build_notice(n, c->form));
	free(n);
	if (!alive)
		log_info("%s: stopped listening", client_name(c));
	return alive;
}

static bool
send_roster(struct client *c) RUNS_ON(on_worker)
{
	struct roster *r = c->ask.roster;
	bool alive = r != NULL;

	for (size_t i = 0; alive && i < r->count; i++)
		alive = client_send(c,
		    client_build_attached(c->form, &r->devices[i]));
	roster_put(r);
	return alive;
}

/*
 * It may leave, but has nothing more to say: a command gets its refusal, and
 * the socket is closed.  What is not there yet is not waited for, because the
 * news would pile up meanwhile.  False: it is over.
 */
static bool
take_command(struct client *c) RUNS_ON(on_worker)
{
	uint8_t bytes[USBMUX_HEADER_SIZE];
	struct client_header h;
	const ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0)
		log_info("%s: sent a command while it listens, closed",
		    client_name(c));
	if (n == sizeof bytes &&
	    client_header_read(&h, bytes, CLIENT_REQUEST_MAX))
		client_send(c, client_build_result(c->form, h.tag,
		    USBMUX_BAD_COMMAND));
	return false;
}

void
listener_serve(struct client *c, uint32_t tag, const struct client_info *info)
{
	bool alive;

	c->ask.kind = ASK_LISTEN;
	c->ask.info = *info;
	client_ask(c);
	log_info("%s: listens", client_name(c));
	alive = client_send(c, client_build_result(c->form, tag, USBMUX_OK)) &&
	    send_roster(c);
	while (alive && !c->stopped) {
		struct msg *m = client_next_message(c);
		short revents;

		if (m != NULL) {
			if (m->type == MSG_NOTICE)
				alive = send_notice(c, (struct msg_notice *)m);
			else
				client_discard(m);
			continue;
		}
		if (c->stopped)
			break;
		client_wait(c, POLLIN, MOMENT_NEVER, &revents);
		if (revents != 0)
			alive = take_command(c);
	}
}
