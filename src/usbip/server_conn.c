/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server_conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"

void
conn_name_peer(char out[CONN_PEER_SIZE], int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	char host[48], port[8];

	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    ss.ss_family != AF_UNIX &&
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof host, port,
		sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(out, CONN_PEER_SIZE, "%s port %s", host, port);
	else
		snprintf(out, CONN_PEER_SIZE, "a local client");
}

struct conn *
conn_new(int fd)
{
	struct conn *c = calloc(1, sizeof *c);
	const int on = 1;

	if (c == NULL || sock_set_nonblocking(fd, true) < 0) {
		close(fd);
		free(c);
		return NULL;
	}
	c->fd = fd;
	c->deadline = moment_after_ms(clock_now(), CONN_OPERATION_MS);
	sock_set_keepalive(fd);
	/* Fails on a UNIX socket, which does not wait for more anyway. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	conn_name_peer(c->peer, fd);
	return c;
}

void
conn_free(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->reply);
	conn_end_tell(&c->end);
	free(c);
}

short
conn_events(const struct conn *c)
{
	/* While it sends, the end of the peer shows as an error. */
	if (c->reply != NULL)
		return POLLOUT;
	return c->state == CONN_IMPORT ? 0 : POLLIN;
}

static void
close_for(struct conn *c, const char *reason)
{
	log_info("%s: %s; disconnected", c->peer, reason);
	c->state = CONN_CLOSED;
}

static void
close_for_request(struct conn *c, const char *reason)
{
	static struct log_limit beginnings;
	char hex[LOG_HEX_MAX], more[LOG_LIMIT_MAX];

	if (log_limit_pass(&beginnings, more) != NULL)
		log_warning("%s: it began with %s%s", c->peer,
		    log_hex(hex, c->request, (unsigned)c->have), more);
	close_for(c, reason);
}

static void
on_devlist(struct conn *c, uint32_t status)
{
	if (status == USBIP_WATCH) {
		c->state = CONN_WATCH;
		c->deadline = MOMENT_NEVER;
	} else {
		c->state = CONN_REPLY;
	}
}

/* Looks at what has arrived of the request. */
static void
on_request(struct conn *c)
{
	struct usbip_op op;

	if (c->have < USBIP_OP_SIZE)
		return;
	usbip_op_decode(&op, c->request);
	if (op.version != USBIP_VERSION) {
		close_for_request(c,
		    "speaks another version of USB/IP than 1.1.1");
	} else if (op.code == USBIP_REQ_DEVLIST) {
		on_devlist(c, op.status);
	} else if (op.code != USBIP_REQ_IMPORT &&
	    op.code != USBIP_REQ_DEVINFO) {
		close_for_request(c, "asked for an unknown operation");
	} else if (c->have == USBIP_REQ_IMPORT_SIZE) {
		usbip_busid_decode(c->busid, c->request + USBIP_OP_SIZE);
		c->state = op.code == USBIP_REQ_IMPORT ? CONN_IMPORT
						       : CONN_INFO;
	}
}

/* What may still be read: never more than the request, since what follows
 * IMPORT is for the import. */
static size_t
request_left(const struct conn *c)
{
	return (c->have < USBIP_OP_SIZE ? USBIP_OP_SIZE
					: USBIP_REQ_IMPORT_SIZE) - c->have;
}

static bool
would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

void
conn_receive(struct conn *c)
{
	ssize_t n;

	while (c->state == CONN_REQUEST) {
		n = recv(c->fd, c->request + c->have, request_left(c), 0);
		if (n < 0 && would_block())
			return;
		if (n <= 0) {
			c->state = CONN_CLOSED;
			return;
		}
		c->have += (size_t)n;
		on_request(c);
	}
	if (c->state == CONN_WATCH) {
		/* A watcher has nothing to say: this is its end. */
		n = recv(c->fd, c->request, 1, 0);
		if (n == 0 || (n < 0 && !would_block()))
			c->state = CONN_CLOSED;
		else if (n > 0)
			close_for(c, "sent more than a request");
	}
}

void
conn_send(struct conn *c)
{
	while (c->reply_at < c->reply_len) {
		const ssize_t n = send(c->fd, c->reply + c->reply_at,
		    c->reply_len - c->reply_at, MSG_NOSIGNAL);

		if (n < 0 && would_block())
			return;
		if (n < 0) {
			c->state = CONN_CLOSED;
			return;
		}
		c->reply_at += (size_t)n;
	}
	free(c->reply);
	c->reply = NULL;
	if (c->state == CONN_REPLY)
		c->state = CONN_CLOSED;
}

void
conn_reply(struct conn *c, uint8_t *reply, size_t len)
{
	if (reply == NULL) {
		close_for(c, "out of memory");
		return;
	}
	c->reply = reply;
	c->reply_len = len;
	c->reply_at = 0;
	conn_send(c);
}

void
conn_refuse(struct conn *c, uint32_t status)
{
	const bool import = c->state == CONN_IMPORT;
	const struct usbip_op op = { .version = USBIP_VERSION,
		.code = import ? USBIP_REP_IMPORT : USBIP_REP_DEVINFO,
		.status = status };
	uint8_t *reply = malloc(USBIP_OP_SIZE);

	log_info("%s: %s of %s refused: %s", c->peer,
	    import ? "import" : "description", c->busid,
	    usbip_status_text(status));
	if (reply != NULL)
		usbip_op_encode(reply, &op);
	c->state = CONN_REPLY;
	conn_reply(c, reply, USBIP_OP_SIZE);
}
