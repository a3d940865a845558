/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Local ports, and who connects to them: clients, of whom each is a socket of
 * the device's.
 *
 * Both directions push back.  Of a client nothing is read while its socket
 * holds SCMDEV_TX_MAX bytes that the host has not fetched, or not answered; and
 * what the host writes is answered when the client has taken it.
 *
 * Ends: when the peer has closed, the client gets what came before, and then
 * its end.  A client's end is told with SHUTDOWN in dialect 12.  Dialect 8 can
 * say no more than CLOSE, which would cut off an answer that is still to come:
 * so the socket lingers, until the peer closes too, or until nothing has come
 * from it for as long as the option says.
 *
 * Main thread, under the gadget's lock; descriptors are nowhere else.
 */
#include "phone/scmdev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define READ_SIZE 16384
#define READS_AT_ONCE 8 /* then others have their turn */
#define LISTEN_BACKLOG 256

/* ---- Forwards ----------------------------------------------------------- */

/* PORT alone is one of the loopback's. */
static int
parse_local(struct sock_addr *out, const char *text, struct cause *why)
{
	char port[32];

	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return sock_addr_parse(out, text, NULL, why);
	snprintf(port, sizeof port, "127.0.0.1:%.16s", text);
	return sock_addr_parse(out, port, NULL, why);
}

int
scmdev_forward_parse(struct scmdev_forward *f, const char *text,
    struct cause *why)
{
	const char *to = text != NULL ? strrchr(text, '=') : NULL;
	char local[SOCK_ADDR_TEXT_MAX];
	struct sock_addr address;
	struct cause what;

	f->fd = -1;
	if (to == NULL || (size_t)(to - text) >= sizeof local)
		return cause_set(why, "forward: give LOCAL=ADDRESS:PORT, as in "
		    "8080=192.0.2.1:80");
	snprintf(local, sizeof local, "%.*s", (int)(to++ - text), text);
	if (parse_local(&f->local, local, &what) < 0 ||
	    sock_addr_parse(&address, to, NULL, &what) < 0)
		return cause_set(why, "forward: %s", what.text);
	if (address.is_unix)
		return cause_set(why, "forward: '%s' is a UNIX socket; a host "
		    "connects to ADDRESS:PORT", to);
	if (scmdev_address_parse(&f->to, address.host, address.port, &what) < 0)
		return cause_set(why, "forward: %s", what.text);
	return 0;
}

static int
open_forward(struct scmdev_forward *f, struct cause *why)
{
	f->fd = sock_listen(&f->local, 0600, LISTEN_BACKLOG, why);
	if (f->fd < 0)
		return -1;
	sock_set_nonblocking(f->fd, true);
	if (!f->local.is_unix)
		snprintf(f->local.port, sizeof f->local.port, "%u",
		    sock_local_port(f->fd));
	return 0;
}

static void
close_forward(struct scmdev_forward *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	f->fd = -1;
	if (f->local.is_unix)
		unlink(f->local.path);
}

int
scmdev_ports_open(struct scmdev *s, struct cause *why)
{
	for (unsigned i = 0; i < s->forward_count; i++)
		if (open_forward(&s->forwards[i], why) < 0) {
			scmdev_ports_close(s);
			return -1;
		}
	return 0;
}

/* ---- Clients ------------------------------------------------------------ */

/* With a reset, when something has been cut off. */
static void
hang_up(struct scmdev_socket *sock)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (sock->abort)
		setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &at_once,
		    sizeof at_once);
	close(sock->fd);
	sock->fd = -1;
}

void
scmdev_ports_close(struct scmdev *s)
{
	for (unsigned i = 0; i < s->forward_count; i++)
		close_forward(&s->forwards[i]);
	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		struct scmdev_socket *sock = s->sockets[i];

		if (sock == NULL)
			continue;
		if (sock->fd >= 0)
			hang_up(sock);
		scmdev_socket_drop(s, sock);
	}
}

static void
adopt(struct scmdev *s, struct scmdev_forward *f, int fd)
{
	struct scmdev_socket *sock = scmdev_socket_new(s);

	if (sock == NULL) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	sock_set_nonblocking(fd, true);
	sock->fd = fd;
	sock->to = f->to;
	sock->v6 = f->to.v6;
	f->accepted++;
}

/* As many as there are sockets; more wait in the listen queue. */
static void
accept_clients(struct scmdev *s, struct scmdev_forward *f)
{
	while (s->current < SCMDEV_SOCKETS && s->usb.configuration != 0) {
		const int fd = accept(f->fd, NULL, NULL);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				log_warning("scm %u: a client waits: %s",
				    s->usb.id.index, strerror(errno));
			return;
		}
		adopt(s, f, fd);
	}
}

static bool
wants_more(const struct scmdev_socket *sock)
{
	return !sock->eof && !sock->leaving &&
	    (sock->broken || sock->tx.used < SCMDEV_TX_MAX);
}

/* What comes for a peer that takes no more is read and forgotten, so that the
 * client gets as far as its own end. */
static void
read_client(struct scmdev *s, struct scmdev_socket *sock)
{
	uint8_t bytes[READ_SIZE];

	for (int i = 0; i < READS_AT_ONCE && wants_more(sock); i++) {
		const ssize_t n = recv(sock->fd, bytes, sizeof bytes, 0);

		if (n == 0)
			sock->eof = true;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n > 0 && sock->broken)
			s->count.discarded += (uint64_t)n;
		else if (n < 0 || !ring_put(&sock->tx, bytes, (size_t)n))
			scmdev_socket_abort(s, sock);
	}
}

static void
write_client(struct scmdev *s, struct scmdev_socket *sock)
{
	struct span piece[2];

	while (sock->rx.used > 0) {
		ssize_t n;

		ring_peek(&sock->rx, sock->rx.used, piece);
		n = send(sock->fd, piece[0].at, piece[0].len, MSG_NOSIGNAL);
		if (n >= 0)
			scmdev_socket_taken(s, sock, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			scmdev_socket_abort(s, sock);
	}
}

/* Whether all has been said, but for what the peer may still answer: it cannot
 * be told that its client is at its end. */
static bool
lingers(const struct scmdev *s, const struct scmdev_socket *sock)
{
	const bool told = s->style.hss && !s->style.shipped && !sock->broken;

	return sock->eof && sock->state == SCMDEV_S_CONNECTED &&
	    !sock->host_closed && !sock->leaving && !told &&
	    sock->rx.used == 0 && sock->tx.used == 0 && sock->waiting == 0;
}

/* Begins to count when nothing moves any more. */
static bool
has_lingered(const struct scmdev *s, struct scmdev_socket *sock)
{
	if (!lingers(s, sock)) {
		sock->linger_until = MOMENT_NEVER;
		return false;
	}
	if (sock->linger_until.ns == MOMENT_NEVER.ns)
		sock->linger_until = moment_after_ms(clock_now(),
		    s->linger_ms);
	return !moment_before(clock_now(), sock->linger_until);
}

/* Nothing is to come any more for a client that sends no more. */
static bool
is_done(const struct scmdev *s, struct scmdev_socket *sock)
{
	const bool lingered = has_lingered(s, sock);

	return sock->eof && sock->rx.used == 0 &&
	    (sock->host_closed || lingered);
}

/* What follows from how far both sides are. */
static void
see_to_ends(struct scmdev *s, struct scmdev_socket *sock)
{
	if ((sock->host_closed || sock->broken) && sock->rx.used == 0 &&
	    !sock->shut) {
		sock->shut = true;
		shutdown(sock->fd, SHUT_WR);
	}
	if (!sock->leaving && is_done(s, sock)) {
		sock->leaving = true;
		scmdev_notice(s); /* the pump sends CLOSE */
	}
}

/* The host knows of it no more, or has been told CLOSE: neither has a use for
 * the client. */
static bool
is_over(const struct scmdev_socket *sock)
{
	return sock->state >= SCMDEV_S_CLOSING;
}

/* ---- Polling ------------------------------------------------------------ */

/* False: nothing of it is to be waited for at the moment. */
static bool
watch_client(const struct scmdev_socket *sock, struct pollfd *pfd)
{
	*pfd = (struct pollfd){ .fd = sock->fd };
	if (wants_more(sock))
		pfd->events |= POLLIN;
	if (sock->rx.used > 0)
		pfd->events |= POLLOUT;
	return pfd->events != 0;
}

/* Lets go of a client whose socket is over. */
static void
reap(struct scmdev *s, struct scmdev_socket *sock)
{
	hang_up(sock);
	if (sock->state == SCMDEV_S_GONE)
		scmdev_socket_drop(s, sock);
}

static unsigned
watch_clients(struct scmdev *s, struct pollfd *pfd, struct moment *until)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SCMDEV_SOCKETS; i++) {
		struct scmdev_socket *sock = s->sockets[i];

		if (sock == NULL || sock->fd < 0)
			continue;
		see_to_ends(s, sock);
		if (is_over(sock)) {
			reap(s, sock);
			continue;
		}
		*until = moment_earlier(*until, sock->linger_until);
		if (watch_client(sock, &pfd[n]))
			s->watched[n++] = (uint16_t)i;
	}
	return n;
}

/* Nobody is let in while there is no host: they wait in the listen queue. */
unsigned
scmdev_watch(struct device *d, struct pollfd *pfd, struct moment *until)
{
	struct scmdev *s = scmdev_of(d);
	unsigned n = watch_clients(s, pfd, until);

	scmdev_input_tick(s, until);
	if (d->configuration == 0 || s->current == SCMDEV_SOCKETS)
		return n;
	for (unsigned i = 0; i < s->forward_count; i++) {
		pfd[n] = (struct pollfd){
			.fd = s->forwards[i].fd, .events = POLLIN,
		};
		s->watched[n++] = (uint16_t)(SCMDEV_SOCKETS + i);
	}
	return n;
}

static void
serve_client(struct scmdev *s, struct scmdev_socket *sock, short found)
{
	if ((found & POLLOUT) != 0)
		write_client(s, sock);
	if ((found & (POLLIN | POLLHUP | POLLERR)) != 0)
		read_client(s, sock);
	see_to_ends(s, sock);
}

/* The slots are as watch() has seen them: only the main thread adds and frees
 * sockets that have a descriptor. */
void
scmdev_watched(struct device *d, const struct pollfd *pfd, unsigned count)
{
	struct scmdev *s = scmdev_of(d);

	for (unsigned i = 0; i < count; i++) {
		const unsigned which = s->watched[i];

		if (pfd[i].revents == 0)
			continue;
		if (which < SCMDEV_SOCKETS)
			serve_client(s, s->sockets[which], pfd[i].revents);
		else
			accept_clients(s, &s->forwards[which - SCMDEV_SOCKETS]);
	}
}
