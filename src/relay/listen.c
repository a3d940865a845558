/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "relay/connector.h"
#include "relay/pair.h"
#include "relay/relay.h"

/*
 * The loop: accepts, sends the connector for the phone's side, joins the two,
 * and moves their bytes.
 */

/* The kernel cuts it to its own limit; whoever finds it full waits a second. */
#define BACKLOG 4096
/* How long accepting pauses when descriptors have run out.  A connection that
 * ends earlier ends the pause too, and so do errands that come back. */
#define PAUSE_MS 1000
/* A line about that once in a while is enough. */
#define PAUSE_WARNING_MS 60000
/* Descriptors besides two for each connection and one for each listener: the
 * standard ones, the poller's, the waker's, the watch's, a list's, and air. */
#define RESERVED_FDS 16

struct listener {
	struct poll_entry entry;
	struct loop *loop;
	struct relay_port port;
	char text[SOCK_ADDR_TEXT_MAX + 16]; /* "127.0.0.1:2222 -> 22" */
};

struct loop {
	struct pairs pairs;
	struct connector *connector;
	struct mailbox results; /* errands come back */
	struct waker *waker;
	struct poll_entry wakeup;
	struct listener listeners[RELAY_LISTENERS_MAX];
	unsigned listener_count;
	unsigned errands;	/* under way */
	unsigned most;		/* connections, by the descriptors there are */
	bool paused;		/* not accepting */
	struct moment paused_until;
	unsigned paused_with;	/* connections there were, */
	unsigned paused_errands; /* and errands */
	struct moment warned_until;
};

/* ---- Accepting ---- */

static void
set_accepting(struct loop *l, bool on)
{
	for (unsigned i = 0; i < l->listener_count; i++)
		poller_want(l->pairs.poller, &l->listeners[i].entry,
		    on ? POLLIN : 0);
	l->paused = !on;
}

/* `why` NULL: nothing that an operator could change. */
static void
pause_accepting(struct loop *l, const char *why)
{
	const struct moment now = clock_now();

	if (why != NULL && !moment_before(now, l->warned_until)) {
		log_warning("with %u connections, further ones wait: %s",
		    l->pairs.count + l->errands, why);
		l->warned_until = moment_after_ms(now, PAUSE_WARNING_MS);
	}
	set_accepting(l, false);
	l->paused_until = moment_after_ms(now, PAUSE_MS);
	l->paused_with = l->pairs.count + l->errands;
	l->paused_errands = l->errands;
}

static void
maybe_resume(struct loop *l)
{
	if (l->paused && (!moment_before(clock_now(), l->paused_until) ||
			     l->pairs.count + l->errands < l->paused_with ||
			     l->errands < l->paused_errands / 2))
		set_accepting(l, true);
}

static void
dispatch_client(struct listener *lst, int fd)
{
	struct loop *l = lst->loop;
	struct errand *e = calloc(1, sizeof *e);

	if (e == NULL) {
		close(fd);
		pause_accepting(l, "out of memory");
		return;
	}
	sock_set_keepalive(fd);
	e->listener = lst;
	e->port = lst->port.remote;
	e->local = fd;
	e->remote = -1;
	if (connector_send(l->connector, e)) {
		l->errands++;
		return;
	}
	log_warning("%s: connection closed: %s", lst->text, errno == EAGAIN
		? "too many wait for the phone" : strerror(errno));
	close(fd);
	free(e);
}

static void
listener_ready(struct poll_entry *entry, short events)
{
	struct listener *lst = (struct listener *)entry;
	struct loop *l = lst->loop;
	int fd;

	(void)events;
	if (l->errands >= CONNECTOR_WAITING) {
		pause_accepting(l, NULL);
		return;
	}
	if (l->pairs.count + l->errands >= l->most) {
		pause_accepting(l, "raise the limit of open files (ulimit -n)");
		return;
	}
	fd = accept(entry->fd, NULL, NULL);
	if (fd >= 0)
		dispatch_client(lst, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM)
		pause_accepting(l, strerror(errno));
}

/* ---- What the connector brings ---- */

static void
finish_errand(struct loop *l, struct errand *e)
{
	const char *text = e->listener->text;

	l->errands--;
	if (e->remote < 0) {
		log_error("%s: connection closed: %s", text, e->why.text);
		close(e->local);
	} else if (pair_join(&l->pairs, e->local, e->remote) < 0) {
		log_error("%s: connection closed: %s", text, strerror(errno));
	} else {
		log_info("%s: connected, %u in all", text, l->pairs.count);
	}
	free(e);
}

static void
results_ready(struct poll_entry *entry, short events)
{
	struct loop *l = (struct loop *)((char *)entry -
	    offsetof(struct loop, wakeup));

	(void)events;
	waker_clear(l->waker);
	do {
		struct msg *m = mailbox_take(&l->results), *next;

		for (; m != NULL; m = next) {
			next = msg_next(m);
			finish_errand(l, (struct errand *)m);
		}
	} while (!mailbox_idle(&l->results));
}

/* ---- Start ---- */

static int
open_listener(struct loop *l, const struct relay_options *o,
    struct relay_port port, struct cause *why)
{
	struct listener *lst = &l->listeners[l->listener_count];
	struct sock_addr addr = { 0 };
	char text[SOCK_ADDR_TEXT_MAX];
	int fd;

	if (strlen(o->bind) >= sizeof addr.host)
		return cause_set(why, "-b: the address is too long");
	strcpy(addr.host, o->bind);
	snprintf(addr.port, sizeof addr.port, "%u", port.local);
	fd = sock_listen(&addr, 0, BACKLOG, why);
	if (fd < 0)
		return -1;
	l->listener_count++;
	sock_set_nonblocking(fd, true);
	snprintf(addr.port, sizeof addr.port, "%u", sock_local_port(fd));
	lst->loop = l;
	lst->port = port;
	lst->entry = (struct poll_entry){ .fd = fd, .ready = listener_ready };
	snprintf(lst->text, sizeof lst->text, "%s -> %u",
	    sock_addr_text(text, &addr), port.remote);
	if (poller_want(l->pairs.poller, &lst->entry, POLLIN) < 0)
		return cause_set(why, "%s: %s", lst->text, strerror(errno));
	return 0;
}

/* So that whoever is accepted can also be connected to the phone. */
static unsigned
most_connections(unsigned listeners)
{
	const unsigned reserved = RESERVED_FDS + listeners;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == RLIM_INFINITY ||
	    r.rlim_cur > UINT_MAX)
		return UINT_MAX;
	if (r.rlim_cur < reserved + 2)
		return 1;
	return ((unsigned)r.rlim_cur - reserved) / 2;
}

static int
loop_init(struct loop *l, const struct relay_options *o,
    struct target *target, struct cause *why)
{
	memset(l, 0, sizeof *l);
	l->pairs.linger_ms = o->linger_ms;
	l->most = most_connections(o->port_count);
	l->pairs.poller = poller_new();
	l->waker = waker_new_polled();
	if (l->pairs.poller == NULL || l->waker == NULL)
		return cause_set(why, "cannot start: %s", strerror(errno));
	mailbox_init_waker(&l->results, l->waker);
	mailbox_idle(&l->results); /* so that the first errand wakes us */
	l->wakeup = (struct poll_entry){ .fd = l->waker->read_fd,
		.ready = results_ready };
	l->connector = connector_new(target, &l->results);
	if (l->connector == NULL ||
	    poller_want(l->pairs.poller, &l->wakeup, POLLIN) < 0)
		return cause_set(why, "cannot start: %s", strerror(errno));
	for (unsigned i = 0; i < o->port_count; i++)
		if (open_listener(l, o, o->ports[i], why) < 0)
			return -1;
	return 0;
}

static void
loop_fini(struct loop *l)
{
	struct msg *m, *next;

	for (unsigned i = 0; i < l->listener_count; i++)
		close(l->listeners[i].entry.fd);
	if (l->connector != NULL)
		connector_free(l->connector);
	if (l->waker != NULL) {
		for (m = mailbox_close(&l->results); m != NULL; m = next) {
			next = msg_next(m);
			finish_errand(l, (struct errand *)m);
		}
		waker_put(l->waker);
	}
	if (l->pairs.poller != NULL) {
		pairs_fini(&l->pairs);
		poller_free(l->pairs.poller);
	}
}

/* Scripts wait for these lines: each comes when its port really listens. */
static void
announce(const struct loop *l)
{
	for (unsigned i = 0; i < l->listener_count; i++)
		puts(l->listeners[i].text);
	fflush(stdout);
}

int
relay_listen(const struct relay_options *o, struct target *target,
    struct cause *why)
{
	struct loop *l = malloc(sizeof *l);
	int rc;

	if (l == NULL)
		return cause_set(why, "out of memory");
	rc = loop_init(l, o, target, why);
	if (rc == 0)
		announce(l);
	while (rc == 0) {
		struct moment until = pairs_tend(&l->pairs);

		maybe_resume(l);
		if (l->paused)
			until = moment_earlier(until, l->paused_until);
		if (poller_wait(l->pairs.poller,
			moment_poll_timeout(clock_now(), until)) < 0)
			rc = cause_set(why, "cannot wait for connections: %s",
			    strerror(errno));
	}
	loop_fini(l);
	free(l);
	return rc;
}
