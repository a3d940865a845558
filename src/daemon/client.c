/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A client's object and its worker's ways to wait, to ask and to send. */

#include "daemon/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "daemon/relay.h"

/* ---- The object ---- */

void
client_program(pid_t pid, char *out, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

const char *
client_name(struct client *c)
{
	char program[32];

	if (c->name[0] != '\0')
		return c->name;
	if (c->pid > 0) {
		client_program(c->pid, program, sizeof program);
		snprintf(c->name, sizeof c->name, "client %u (pid %ld%s%s)",
		    c->number, (long)c->pid, program[0] != '\0' ? " " : "",
		    program);
	} else {
		snprintf(c->name, sizeof c->name, "client %u", c->number);
	}
	return c->name;
}

static void
find_peer(struct client *c)
{
#ifdef SO_PEERCRED
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	    cred.pid > 0)
		c->pid = cred.pid;
#endif
}

static bool
socket_is_unix(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    ss.ss_family == AF_UNIX;
}

/* Nobody else has the object yet, whatever role the caller has. */
static void
init_worker_part(struct client *c) ROLE_UNCHECKED
{
	c->form = CLIENT_BINARY;
	c->put_by_end = &c->put_by;
}

struct client *
client_new(int fd, uint32_t number, bool admin, struct waker *waker,
    struct mailbox *manager)
{
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	ref_init(&c->refs);
	c->number = number;
	c->fd = fd;
	c->admin = admin;
	find_peer(c);
	c->is_unix = c->pid > 0 || socket_is_unix(fd);
	if (!c->is_unix)
		sock_set_keepalive(fd); /* its host may vanish */
	c->manager = manager;
	c->serve_msg.type = MSG_SERVE;
	c->ended_msg.type = MSG_CLIENT_ENDED;
	c->stop_msg.type = MSG_CLIENT_STOP;
	c->call_msg.type = MSG_CLIENT_CALLS;
	c->arrived_msg.type = MSG_ARRIVED;
	c->socket_msg.type = MSG_SOCKET;
	mailbox_init(&c->box, client_wake_owner, c);
	if (waker != NULL) {
		atomic_init(&c->waker, waker_get(waker));
		baton_init(&c->baton);
	} else {
		baton_init_free(&c->baton);
	}
	connection_init(&c->conn);
	credit_init(&c->conn.upload, OUTBOX_FLOW_MAX, &c->box,
	    MSG_UPLOAD_CREDIT);
	init_worker_part(c);
	return c;
}

struct client *
client_get(struct client *c)
{
	ref_get(&c->refs);
	return c;
}

static struct client *
client_of_socket(struct msg *m)
{
	return (struct client *)((char *)m -
	    offsetof(struct client, socket_msg));
}

void
client_discard(struct msg *m)
{
	if (m->type == MSG_RECEIVED)
		chunk_put(chunk_of_msg(m));
	else if (m->type == MSG_NOTICE)
		free(m);
	else if (m->type == MSG_ROUTE_GONE)
		route_put(route_of_gone(m));
	else if (m->type == MSG_SOCKET)
		atomic_store_explicit(&client_of_socket(m)->socket_events, 0,
		    memory_order_release);
	/* The others are part of some object. */
}

void
client_close_box(struct client *c)
{
	struct msg *m, *next;

	while ((m = client_next_message(c)) != NULL)
		client_discard(m);
	for (m = mailbox_close(&c->box); m != NULL; m = next) {
		next = msg_next(m);
		client_discard(m);
	}
}

void
client_put(struct client *c)
{
	struct waker *w;

	if (!ref_put(&c->refs))
		return;
	connection_fini(&c->conn);
	w = atomic_load_explicit(&c->waker, memory_order_relaxed);
	if (w != NULL)
		waker_put(w);
	free(c);
}

/* ---- Messages ---- */

static void
put_by(struct client *c, struct msg *m) RUNS_ON(on_worker)
{
	m->node.next = NULL;
	*c->put_by_end = m;
	c->put_by_end = (struct msg **)&m->node.next;
}

static void
take_messages(struct client *c) RUNS_ON(on_worker)
{
	struct msg *m = mailbox_take(&c->box), *next;

	for (; m != NULL; m = next) {
		next = msg_next(m);
		if (m->type == MSG_CLIENT_STOP)
			c->stopped = true;
		else
			put_by(c, m);
	}
}

struct msg *
client_next_message(struct client *c)
{
	struct msg *m;

	if (c->put_by == NULL)
		take_messages(c);
	m = c->put_by;
	if (m != NULL) {
		c->put_by = msg_next(m);
		if (c->put_by == NULL)
			c->put_by_end = &c->put_by;
	}
	return m;
}

/* Takes the first of that type out of what has been put by.  NULL: there is
 * none yet. */
static struct msg *
unlink_message(struct client *c, enum msg_type type) RUNS_ON(on_worker)
{
	struct msg **at = &c->put_by, *m;

	while (*at != NULL && (enum msg_type)(*at)->type != type)
		at = (struct msg **)&(*at)->node.next;
	m = *at;
	if (m == NULL)
		return NULL;
	*at = msg_next(m);
	if (*at == NULL)
		c->put_by_end = at;
	return m;
}

void
client_put_question(struct client *c)
{
	c->ask.msg.type = MSG_ASK;
	c->ask.result = 0;
	c->ask.roster = NULL;
	c->ask.listeners = NULL;
	c->ask.count = 0;
	c->ask.snapshot = NULL;
	mailbox_post(c->manager, &c->ask.msg);
}

bool
client_has_answer(struct client *c)
{
	take_messages(c);
	return unlink_message(c, MSG_ANSWER) != NULL;
}

/* Its worker's own. */
static struct waker *
waker_of(struct client *c) RUNS_ON(on_worker)
{
	return atomic_load_explicit(&c->waker, memory_order_relaxed);
}

void
client_await_answer(struct client *c)
{
	while (!client_has_answer(c))
		if (mailbox_idle(&c->box))
			waker_wait(waker_of(c), -1);
}

void
client_ask(struct client *c)
{
	client_put_question(c);
	client_await_answer(c);
}

/* Waits on the waker, and on the socket unless told otherwise. */
static void
wait_for_both(struct client *c, int events, struct moment until,
    short *revents) RUNS_ON(on_worker)
{
	struct pollfd pfd[2] = { [1] = { .fd = c->fd,
		.events = (short)events } };

	if (events == CLIENT_NO_SOCKET)
		waker_wait_until(waker_of(c), until);
	else
		waker_poll(waker_of(c), pfd, 2,
		    moment_poll_timeout(clock_now(), until));
	*revents = pfd[1].revents;
}

void
client_wait(struct client *c, int events, struct moment until,
    short *revents)
{
	if (c->put_by != NULL || !mailbox_idle(&c->box))
		until = MOMENT_PAST;
	wait_for_both(c, events, until, revents);
}

void
client_wait_lending(struct client *c, int events, struct moment until,
    short *revents)
{
	const bool sleep = c->put_by == NULL && mailbox_idle(&c->box);

	if (c->watch != NULL)
		events = CLIENT_NO_SOCKET;
	if (sleep)
		baton_lay_down(&c->baton);
	else
		until = MOMENT_PAST;
	wait_for_both(c, events, until, revents);
	if (sleep)
		baton_take_up(&c->baton, waker_of(c));
}

/* ---- Sending and receiving messages ---- */

/* What pollers have told of the socket, in c->conn.ready, too. */
static short
hear_pollers(struct client *c) RUNS_ON(on_worker)
{
	struct msg *m = unlink_message(c, MSG_SOCKET);

	if (m != NULL)
		relay_take_message(c, m);
	return c->conn.ready;
}

/* A client that is watched is lent no descriptor to wait for its socket. */
bool
client_wait_socket(struct client *c, short events, struct moment deadline)
{
	const short wanted = events | POLLHUP | POLLERR;
	short revents = 0;

	if (c->watch != NULL) {
		c->conn.ready &= ~events;
		c->conn.watched |= events;
		poller_rewatch(c->watch, c->conn.watched);
		events = CLIENT_NO_SOCKET;
	}
	while (!c->stopped) {
		take_messages(c);
		if (c->watch != NULL)
			revents = hear_pollers(c) & wanted;
		if (revents != 0)
			return true;
		if (c->stopped || !moment_before(clock_now(), deadline))
			return false;
		/* What has been put by can wait until this is done. */
		if (mailbox_idle(&c->box))
			wait_for_both(c, events, deadline, &revents);
	}
	return false;
}

bool
client_send(struct client *c, struct client_frame frame)
{
	const struct moment deadline =
	    moment_after_ms(clock_now(), CLIENT_SEND_MS);
	size_t sent = 0;
	bool alive = frame.bytes != NULL;

	while (alive && sent < frame.len) {
		const ssize_t n = send(c->fd, frame.bytes + sent,
		    frame.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			alive = client_wait_socket(c, POLLOUT, deadline);
		else if (errno != EINTR)
			alive = false;
	}
	free(frame.bytes);
	return alive;
}

/* All of `len` bytes.  False: the client has gone, in order or not. */
static bool
receive_all(struct client *c, uint8_t *into, size_t len) RUNS_ON(on_worker)
{
	while (len > 0) {
		const ssize_t n = recv(c->fd, into, len, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n > 0) {
			into += n;
			len -= (size_t)n;
		} else if (!client_wait_socket(c, POLLIN, MOMENT_NEVER)) {
			return false;
		}
	}
	return true;
}

bool
client_receive(struct client *c, struct client_header *h, uint8_t **payload)
{
	uint8_t bytes[USBMUX_HEADER_SIZE];
	char hex[LOG_HEX_MAX];
	size_t len;

	if (!receive_all(c, bytes, sizeof bytes))
		return false;
	if (!client_header_read(h, bytes, CLIENT_REQUEST_MAX)) {
		log_warning("%s: closed, its message has an impossible "
		    "length: %s", client_name(c),
		    log_hex(hex, bytes, sizeof bytes));
		return false;
	}
	len = h->length - USBMUX_HEADER_SIZE;
	*payload = malloc(len + 1);
	if (*payload == NULL) {
		log_warning("%s: closed, no memory for its message",
		    client_name(c));
		return false;
	}
	if (!receive_all(c, *payload, len)) {
		free(*payload);
		return false;
	}
	return true;
}
