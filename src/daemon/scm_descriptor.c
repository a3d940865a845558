/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a socket's engine wants done (scm/socket.h), with a descriptor of this
 * host. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/scm_conn.h"
#include "daemon/scm_host.h"

/* ---- The descriptor ----------------------------------------------------- */

/* Where the device has set SO_LINGER, close() would wait until the peer has taken
 * all, nonblocking or not, and the worker could be told nothing.  The system
 * sends it without being waited for, too. */
static void
do_not_linger(int fd)
{
	struct linger linger = { 0 };
	socklen_t len = sizeof linger;

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) < 0 ||
	    linger.l_onoff == 0 || linger.l_linger == 0)
		return;
	linger.l_onoff = 0;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* `hard`: the peer is told that something went wrong. */
static void
close_descriptor(struct scm_conn *c, bool hard) RUNS_ON(on_worker)
{
	static const struct linger at_once = { .l_onoff = 1 };

	if (c->fd < 0)
		return;
	if (hard && !c->socket.datagram)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once,
		    sizeof at_once);
	else
		do_not_linger(c->fd);
	close(c->fd);
	c->fd = -1;
	c->connecting = false;
	scm_relay_drop(c);
}

static void
make_descriptor(struct scm_conn *c, const struct scm_action *a)
    RUNS_ON(on_worker)
{
	const int family = a->family == SCM_INET6 ? AF_INET6 : AF_INET;
	const int type = a->datagram ? SOCK_DGRAM : SOCK_STREAM;
	static struct log_limit limit;
	char more[LOG_LIMIT_MAX];
	int error = 0;

	close_descriptor(c, false);
	c->fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    a->datagram ? IPPROTO_UDP : IPPROTO_TCP);
	if (c->fd < 0) {
		error = errno;
		if (log_limit_pass(&limit, more) != NULL)
			log_warning("%s: no descriptor for socket %u: %s%s",
			    c->device->name, c->open.sock, strerror(error),
			    more);
	}
	scm_socket_made(&c->socket, error);
}

/* ---- Connecting --------------------------------------------------------- */

static void
note_connected(struct scm_conn *c, int error) RUNS_ON(on_worker)
{
	struct scm_stats *stats = &c->device->scm_state->stats;
	char text[SCM_ADDRESS_TEXT_MAX];

	atomic_fetch_add_explicit(error == 0 ? &stats->connected
					     : &stats->connect_failed,
	    1, memory_order_relaxed);
	log_info("%s: socket %u: %s: %s", c->device->name, c->open.sock,
	    scm_address_text(text, &c->socket.peer),
	    error == 0 ? "connected" : strerror(error));
	scm_socket_connected(&c->socket, error, clock_now());
}

static void
show_peer(struct scm_conn *c, const struct scm_address *a) RUNS_ON(on_worker)
{
	for (int i = 0; i < 2; i++) {
		uint64_t part;

		memcpy(&part, a->ip + 8 * i, sizeof part);
		atomic_store_explicit(&c->peer_ip[i], part,
		    memory_order_relaxed);
	}
	atomic_store_explicit(&c->peer_port,
	    (uint32_t)a->family << 16 | a->port, memory_order_relaxed);
}

static void
begin_connect(struct scm_conn *c, const struct scm_action *a)
    RUNS_ON(on_worker)
{
	struct sockaddr_storage to;
	const socklen_t len = scm_sockaddr(&to, &a->address);
	int error = 0;

	show_peer(c, &a->address);
	if (connect(c->fd, (const struct sockaddr *)&to, len) < 0)
		error = errno;
	/* Interrupted, it goes on by itself. */
	if (error == EINPROGRESS || error == EINTR)
		c->connecting = true;
	else
		note_connected(c, error);
}

void
scm_conn_finish_connect(struct scm_conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	c->connecting = false;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	note_connected(c, error);
}

/* ---- Options ------------------------------------------------------------ */

static int
set_option(struct scm_conn *c, const struct scm_action *a) RUNS_ON(on_worker)
{
	const struct linger linger = { .l_onoff = a->value.v[0],
		.l_linger = a->value.v[1] };
	const int value = a->value.v[0];
	int level, name, r;

	if (!scm_option_native(a->option, &level, &name))
		return ENOPROTOOPT;
	if (a->option == SCM_LINGER)
		r = setsockopt(c->fd, level, name, &linger, sizeof linger);
	else
		r = setsockopt(c->fd, level, name, &value, sizeof value);
	return r < 0 ? errno : 0;
}

static int
ask_option(struct scm_conn *c, enum scm_option option, struct scm_value *out)
    RUNS_ON(on_worker)
{
	struct linger linger = { 0 };
	int level, name, value = 0, r;
	socklen_t len = sizeof value, linger_len = sizeof linger;

	if (!scm_option_native(option, &level, &name)) {
		r = name != 0 ? ioctl(c->fd, (unsigned long)name, &value) : -1;
		errno = name != 0 ? errno : ENOTTY;
	} else if (option == SCM_LINGER) {
		r = getsockopt(c->fd, level, name, &linger, &linger_len);
	} else {
		r = getsockopt(c->fd, level, name, &value, &len);
	}
	if (r < 0)
		return errno;
	*out = (struct scm_value){ { value, 0 } };
	if (option == SCM_LINGER)
		*out = (struct scm_value){ { linger.l_onoff,
			linger.l_linger } };
	return 0;
}

static void
use_option(struct scm_conn *c, const struct scm_action *a)
    RUNS_ON(on_worker)
{
	struct scm_value value = { { 0, 0 } };
	const int error = a->kind == SCM_DO_SETOPT
	    ? set_option(c, a)
	    : ask_option(c, a->option, &value);

	scm_socket_option_done(&c->socket, error, &value);
}

/* ---- The end ------------------------------------------------------------ */

/* Each carries a reference of its own, which comes back when the device's
 * reader has ended. */
static void
leave(struct scm_conn *c)
{
	if (!mailbox_post(&c->device->reader_box,
	    &scm_conn_get(c)->leave_msg))
		scm_conn_put(c);
}

static void
end(struct scm_conn *c) RUNS_ON(on_worker)
{
	c->over = true;
	c->ids = c->socket.ids;
	if (!mailbox_post(&c->device->reader_box,
	    &scm_conn_get(c)->release_msg))
		scm_conn_put(c);
}

/* ---- All of it ---------------------------------------------------------- */

static void
do_action(struct scm_conn *c, const struct scm_action *a) RUNS_ON(on_worker)
{
	switch (a->kind) {
	case SCM_DO_NOTHING:
		break;
	case SCM_DO_SOCKET:
		make_descriptor(c, a);
		break;
	case SCM_DO_CONNECT:
		begin_connect(c, a);
		break;
	case SCM_DO_SETOPT:
	case SCM_DO_GETOPT:
		use_option(c, a);
		break;
	case SCM_DO_SEND:
		scm_send(c->device, c, &a->message);
		break;
	case SCM_DO_SHUTDOWN:
		shutdown(c->fd, SHUT_WR);
		break;
	case SCM_DO_CLOSE:
		close_descriptor(c, a->hard);
		break;
	case SCM_DO_LEAVE:
		leave(c);
		break;
	case SCM_DO_END:
		end(c);
		break;
	}
}

void
scm_conn_obey(struct scm_conn *c)
{
	struct scm_action a;

	for (;;) {
		scm_socket_next(&c->socket, clock_now(), &a);
		if (a.kind == SCM_DO_NOTHING)
			return;
		do_action(c, &a);
	}
}
