/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "usbip/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "usbip/server_conn.h"
#include "usbip/server_import.h"
#include "usbip/server_registry.h"

struct role on_usbip_server;

#define LISTENERS_MAX 16
/* Connections that are no import: lists being sent, and watchers.  At the
 * bound nobody is accepted until one has gone. */
#define CONNS_MAX 256
/* Of these, watchers: all others end within seconds, so that half of them never
 * keep anybody out for longer. */
#define WATCHERS_MAX (CONNS_MAX / 2)
/* How long an IMPORT waits for the end of an import whose importer has hung
 * up: the limit of a backend's cancel(), and released(). */
#define ENDING_MS 4000
/* Accepting again after descriptors ran out. */
#define ACCEPT_PAUSE_MS 1000

enum {
	SERVER_LISTEN, /* any thread: struct give, a listening socket */
	SERVER_ADOPT,  /* any thread: struct give, a connected one */
	SERVER_ENDED,  /* rx: its import's last message */
	SERVER_QUIT,   /* usbip_server_free() */
};

struct give {
	struct msg msg;
	int fd;
	struct conn_end end; /* SERVER_ADOPT */
};

struct usbip_server {
	struct thread thread;
	struct mailbox mailbox;
	struct waker *waker;
	struct msg quit;
	struct server_registry registry;
	/* The gate: set before the first listener is posted, and constant from
	 * then on. */
	bool (*admit)(void *arg, const struct sockaddr *peer, socklen_t len);
	void *admit_arg;

	int listeners[LISTENERS_MAX] OWNED_BY(on_usbip_server);
	int listener_count OWNED_BY(on_usbip_server);
	struct conn *conns OWNED_BY(on_usbip_server);
	int conn_count OWNED_BY(on_usbip_server);
	int import_count OWNED_BY(on_usbip_server);
	bool watchers_refused OWNED_BY(on_usbip_server);
	bool quitting OWNED_BY(on_usbip_server);
	struct moment accept_again OWNED_BY(on_usbip_server);
	struct pollfd pfd[1 + LISTENERS_MAX + CONNS_MAX]
	    OWNED_BY(on_usbip_server);
};

/* ---- Operations --------------------------------------------------------- */

static void
start_list(struct usbip_server *s, struct conn *c) RUNS_ON(on_usbip_server)
{
	size_t len;
	uint8_t *reply = server_registry_list(&s->registry,
	    c->state == CONN_WATCH, &len, &c->generation);

	conn_reply(c, reply, len);
}

static void
start_info(struct usbip_server *s, struct conn *c) RUNS_ON(on_usbip_server)
{
	uint32_t status;
	size_t len;
	uint8_t *reply =
	    server_registry_info(&s->registry, c->busid, &len, &status);

	if (reply == NULL) {
		conn_refuse(c, status);
		return;
	}
	c->state = CONN_REPLY;
	conn_reply(c, reply, len);
}

/* Hands the connection over to a new import's rx.  A status for the client,
 * or REGISTRY_ENDING. */
static int
start_import(struct usbip_server *s, struct conn *c) RUNS_ON(on_usbip_server)
{
	struct import *im =
	    import_new(&s->registry, &s->mailbox, SERVER_ENDED);
	int status;

	if (im == NULL)
		return USBIP_ST_ERROR;
	im->fd = c->fd;
	memcpy(im->peer, c->peer, sizeof im->peer);
	im->end = c->end;
	status = server_registry_claim(&s->registry, c->busid, im);
	if (status == USBIP_ST_OK) {
		if (sock_set_nonblocking(c->fd, false) == 0 &&
		    thread_start(&im->rx_thread, "usbip-rx", import_rx_main,
			im) == 0) {
			s->import_count++;
			c->fd = -1;
			c->end.ended = NULL;
			c->state = CONN_CLOSED;
			return USBIP_ST_OK;
		}
		server_registry_release(&s->registry, im);
		status = USBIP_ST_ERROR;
	}
	im->fd = -1;
	import_free(im);
	return status;
}

static void
try_import(struct usbip_server *s, struct conn *c) RUNS_ON(on_usbip_server)
{
	const bool late = !moment_before(clock_now(), c->deadline);
	int status = start_import(s, c);

	if (status == REGISTRY_ENDING && late)
		status = USBIP_ST_DEV_BUSY;
	if (status > USBIP_ST_OK)
		conn_refuse(c, (uint32_t)status);
}

/*
 * One watcher too many gets the list once, as from a server that does not know
 * of watching, whereupon clients ask now and then.  Said once, until there is
 * room again.
 */
static void
limit_watchers(struct usbip_server *s, struct conn *c)
    RUNS_ON(on_usbip_server)
{
	int watchers = 0;

	for (const struct conn *it = s->conns; it != NULL; it = it->next)
		watchers += it->state == CONN_WATCH;
	if (watchers <= WATCHERS_MAX) {
		s->watchers_refused = false;
		return;
	}
	if (!s->watchers_refused)
		log_warning("%s: %d clients watch the list of devices already; "
		    "this one, and more, will have to ask again", c->peer,
		    WATCHERS_MAX);
	s->watchers_refused = true;
	c->state = CONN_REPLY;
	c->deadline = moment_after_ms(clock_now(), CONN_OPERATION_MS);
}

static void
on_readable(struct usbip_server *s, struct conn *c) RUNS_ON(on_usbip_server)
{
	const enum conn_state before = c->state;

	conn_receive(c);
	if (c->state == before)
		return;
	if (c->state == CONN_WATCH)
		limit_watchers(s, c);
	if (c->state == CONN_IMPORT) {
		c->deadline = moment_after_ms(clock_now(), ENDING_MS);
		try_import(s, c);
	} else if (c->state == CONN_INFO) {
		start_info(s, c);
	} else if (c->state != CONN_CLOSED) {
		start_list(s, c);
	}
}

/* What time, the registry and ended imports make of a connection. */
static void
look_after(struct usbip_server *s, struct conn *c, uint64_t generation)
    RUNS_ON(on_usbip_server)
{
	if (c->state == CONN_WATCH && c->reply == NULL &&
	    c->generation != generation)
		start_list(s, c);
	else if (c->state == CONN_IMPORT)
		try_import(s, c);
	else if (!moment_before(clock_now(), c->deadline))
		c->state = CONN_CLOSED;
}

static void
look_after_all(struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	const uint64_t generation = server_registry_generation(&s->registry);
	struct conn **at = &s->conns;

	while (*at != NULL) {
		struct conn *c = *at;

		look_after(s, c, generation);
		if (c->state != CONN_CLOSED && !s->quitting) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		conn_free(c);
		s->conn_count--;
	}
}

/* ---- Connections come --------------------------------------------------- */

static void
add_conn(struct usbip_server *s, int fd, const struct conn_end *end)
    RUNS_ON(on_usbip_server)
{
	struct conn *c = conn_new(fd);

	if (c == NULL) {
		log_warning("a USB/IP client was turned away: out of memory");
		conn_end_tell(end);
		return;
	}
	c->end = *end;
	c->next = s->conns;
	s->conns = c;
	s->conn_count++;
}

/* One that has been accepted; the gate decides. */
static void
let_in(struct usbip_server *s, int fd, const struct sockaddr *peer,
    socklen_t len) RUNS_ON(on_usbip_server)
{
	static const struct conn_end nobody;
	static struct log_limit refusals;
	char name[CONN_PEER_SIZE], more[LOG_LIMIT_MAX];

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (s->admit == NULL || s->admit(s->admit_arg, peer, len)) {
		add_conn(s, fd, &nobody);
		return;
	}
	if (log_limit_pass(&refusals, more) != NULL) {
		conn_name_peer(name, fd);
		log_notice("%s: refused: its address is not allowed%s", name,
		    more);
	}
	close(fd);
}

static void
accept_all(struct usbip_server *s, int listener) RUNS_ON(on_usbip_server)
{
	while (s->conn_count < CONNS_MAX) {
		struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof ss;
		const int fd = accept(listener, (struct sockaddr *)&ss, &len);

		if (fd >= 0) {
			let_in(s, fd, (struct sockaddr *)&ss, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			log_warning("cannot accept a USB/IP client: %s",
			    strerror(errno));
			s->accept_again =
			    moment_after_ms(clock_now(), ACCEPT_PAUSE_MS);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
add_listener(struct usbip_server *s, int fd) RUNS_ON(on_usbip_server)
{
	if (s->listener_count == LISTENERS_MAX ||
	    sock_set_nonblocking(fd, true) < 0) {
		log_error("the USB/IP server listens on %d sockets at most",
		    LISTENERS_MAX);
		close(fd);
		return;
	}
	s->listeners[s->listener_count++] = fd;
}

/* ---- Messages ----------------------------------------------------------- */

static void
on_ended(struct usbip_server *s, struct import *im) RUNS_ON(on_usbip_server)
{
	const struct conn_end end = im->end;

	thread_join(&im->rx_thread);
	import_free(im);
	s->import_count--;
	conn_end_tell(&end);
}

static void
on_give(struct usbip_server *s, struct give *g) RUNS_ON(on_usbip_server)
{
	if (s->quitting) {
		close(g->fd);
		conn_end_tell(&g->end);
	} else if (g->msg.type == SERVER_LISTEN) {
		add_listener(s, g->fd);
	} else {
		add_conn(s, g->fd, &g->end);
	}
	free(g);
}

static void
on_quit(struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	s->quitting = true;
	while (s->listener_count > 0)
		close(s->listeners[--s->listener_count]);
}

static struct import *
import_of_ended(struct msg *m)
{
	return (struct import *)((char *)m - offsetof(struct import, ended));
}

static void
take_messages(struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	struct msg *m = mailbox_take(&s->mailbox);

	while (m != NULL) {
		struct msg *next = msg_next(m);

		switch (m->type) {
		case SERVER_ENDED:
			on_ended(s, import_of_ended(m));
			break;
		case SERVER_QUIT:
			on_quit(s);
			break;
		default:
			on_give(s, (struct give *)m);
			break;
		}
		m = next;
	}
}

/* ---- Loop --------------------------------------------------------------- */

static void
tell_unplugged(struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	struct usbip_export *e;

	while ((e = server_registry_take_gone(&s->registry)) != NULL) {
		struct usbip_device *dev = e->dev;

		usbip_export_free(e);
		if (dev->ops->unplugged != NULL)
			dev->ops->unplugged(dev);
	}
}

static bool
accepting(const struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	return s->conn_count < CONNS_MAX &&
	    !moment_before(clock_now(), s->accept_again);
}

/* When something is due although nothing happens. */
static struct moment
next_deadline(const struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	struct moment deadline = MOMENT_NEVER;

	if (moment_before(clock_now(), s->accept_again))
		deadline = s->accept_again;
	for (const struct conn *c = s->conns; c != NULL; c = c->next)
		deadline = moment_earlier(deadline, c->deadline);
	return deadline;
}

/* Sleeps until something happens.  The number of listeners that were asked
 * about; adopted connections beyond the bound wait for their turn. */
static int
wait_for_events(struct usbip_server *s) RUNS_ON(on_usbip_server)
{
	const int listeners = accepting(s) ? s->listener_count : 0;
	const int timeout = mailbox_idle(&s->mailbox)
	    ? moment_poll_timeout(clock_now(), next_deadline(s)) : 0;
	int n = 0;

	s->pfd[n++] = (struct pollfd){ s->waker->read_fd, POLLIN, 0 };
	for (int i = 0; i < listeners; i++)
		s->pfd[n++] = (struct pollfd){ s->listeners[i], POLLIN, 0 };
	for (struct conn *c = s->conns;
	     c != NULL && n < (int)(sizeof s->pfd / sizeof s->pfd[0]);
	     c = c->next)
		s->pfd[n++] = (struct pollfd){ c->fd, conn_events(c), 0 };
	while (poll(s->pfd, (nfds_t)n, timeout) < 0 && errno == EINTR)
		;
	if (s->pfd[0].revents != 0)
		waker_clear(s->waker);
	return listeners;
}

static void
serve_conns(struct usbip_server *s, const struct pollfd *pfd)
    RUNS_ON(on_usbip_server)
{
	const struct pollfd *end = s->pfd + sizeof s->pfd / sizeof s->pfd[0];

	for (struct conn *c = s->conns; c != NULL && pfd < end;
	     c = c->next, pfd++) {
		if (pfd->revents == 0)
			continue;
		if (c->reply != NULL)
			conn_send(c);
		else if (c->state == CONN_IMPORT)
			c->state = CONN_CLOSED; /* hung up while it waited */
		else
			on_readable(s, c);
	}
}

static void *
server_main(void *arg)
{
	struct usbip_server *s = arg;

	role_take(&on_usbip_server);
	while (!s->quitting || s->import_count > 0 ||
	    !server_registry_is_empty(&s->registry)) {
		const int listeners = wait_for_events(s);

		serve_conns(s, s->pfd + 1 + listeners);
		for (int i = 0; i < listeners; i++)
			if (s->pfd[1 + i].revents != 0)
				accept_all(s, s->listeners[i]);
		take_messages(s);
		look_after_all(s);
		tell_unplugged(s);
	}
	role_drop(&on_usbip_server);
	return NULL;
}

/* ---- From outside ------------------------------------------------------- */

struct usbip_server *
usbip_server_new(struct cause *why)
{
	struct usbip_server *s = calloc(1, sizeof *s);
	int error;

	if (s == NULL || (s->waker = waker_new_polled()) == NULL) {
		cause_set(why, "USB/IP server: %s", strerror(errno));
		free(s);
		return NULL;
	}
	mailbox_init_waker(&s->mailbox, s->waker);
	server_registry_init(&s->registry);
	error = thread_start(&s->thread, "usbip-server", server_main, s);
	if (error != 0) {
		cause_set(why, "USB/IP server: cannot start a thread: %s",
		    strerror(error));
		server_registry_fini(&s->registry);
		waker_put(s->waker);
		free(s);
		return NULL;
	}
	return s;
}

static int
give(struct usbip_server *s, int fd, int type, struct conn_end end,
    struct cause *why)
{
	struct give *g = malloc(sizeof *g);

	if (g == NULL) {
		close(fd);
		return cause_set(why, "USB/IP server: out of memory");
	}
	g->msg.type = type;
	g->fd = fd;
	g->end = end;
	mailbox_post(&s->mailbox, &g->msg);
	return 0;
}

int
usbip_server_listen(struct usbip_server *s, int fd, struct cause *why)
{
	return give(s, fd, SERVER_LISTEN, (struct conn_end){ NULL, NULL },
	    why);
}

int
usbip_server_adopt(struct usbip_server *s, int fd, void (*ended)(void *arg),
    void *arg, struct cause *why)
{
	return give(s, fd, SERVER_ADOPT, (struct conn_end){ ended, arg }, why);
}

void
usbip_server_set_gate(struct usbip_server *s,
    bool (*admit)(void *arg, const struct sockaddr *peer, socklen_t len),
    void *arg)
{
	s->admit = admit;
	s->admit_arg = arg;
}

int
usbip_server_plug(struct usbip_server *s, struct usbip_device *dev,
    const struct usbip_description *desc, struct cause *why)
{
	const int rc = server_registry_plug(&s->registry, dev, desc, why);

	waker_wake(s->waker);
	return rc;
}

void
usbip_server_update(struct usbip_server *s, struct usbip_device *dev,
    const struct usbip_description *desc)
{
	server_registry_update(&s->registry, dev, desc);
}

void
usbip_server_unplug(struct usbip_server *s, struct usbip_device *dev)
{
	server_registry_unplug(&s->registry, dev);
	waker_wake(s->waker);
}

size_t
usbip_server_snapshot(struct usbip_server *s, struct usbip_server_row *rows,
    size_t max)
{
	return server_registry_snapshot(&s->registry, rows, max);
}

bool
usbip_server_kick(struct usbip_server *s, const char *busid)
{
	return server_registry_kick(&s->registry, busid);
}

void
usbip_server_free(struct usbip_server *s)
{
	server_registry_unplug_all(&s->registry);
	s->quit.type = SERVER_QUIT;
	mailbox_post(&s->mailbox, &s->quit);
	thread_join(&s->thread);
	server_registry_fini(&s->registry);
	waker_put(s->waker);
	free(s);
}
