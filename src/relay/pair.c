/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "relay/pair.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOCAL, REMOTE };

/* One direction, named by the side that it reads. */
struct flow {
	uint8_t *held; /* read, not yet written; malloc'ed, NULL: nothing */
	size_t at, len;
	bool eof;  /* its source has ended; what is held is its last */
	bool done; /* and its sink has been told */
};

struct pair {
	struct pairs *all;
	struct poll_entry side[2];
	struct flow flow[2]; /* flow[i] reads side[i], writes side[!i] */
	bool lingers;
	struct moment linger_until;
	struct pair *next, *prev;	       /* in all, then in dead */
	struct pair *linger_next, *linger_prev; /* in lingering */
};

/* ---- Life ---- */

static void
linger_unlink(struct pair *p)
{
	struct pairs *all = p->all;

	if (!p->lingers)
		return;
	*(p->linger_prev != NULL ? &p->linger_prev->linger_next
				 : &all->lingering) = p->linger_next;
	*(p->linger_next != NULL ? &p->linger_next->linger_prev
				 : &all->lingering_last) = p->linger_prev;
	p->lingers = false;
}

/* Starts the wait for the answer again, at the end of the list: all wait for
 * the same time, so it stays in order. */
static void
linger_restart(struct pair *p)
{
	struct pairs *all = p->all;

	linger_unlink(p);
	p->lingers = true;
	p->linger_until = moment_after_ms(clock_now(), all->linger_ms);
	p->linger_next = NULL;
	p->linger_prev = all->lingering_last;
	*(p->linger_prev != NULL ? &p->linger_prev->linger_next
				 : &all->lingering) = p;
	all->lingering_last = p;
}

static void
pair_end(struct pair *p)
{
	struct pairs *all = p->all;

	linger_unlink(p);
	for (int i = 0; i < 2; i++) {
		poller_want(all->poller, &p->side[i], 0);
		close(p->side[i].fd);
		free(p->flow[i].held);
	}
	*(p->prev != NULL ? &p->prev->next : &all->all) = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->next = all->dead;
	all->dead = p;
	all->count--;
}

/* ---- Bytes ---- */

static void
flow_drop(struct flow *f)
{
	free(f->held);
	f->held = NULL;
	f->eof = f->done = true;
}

/* Writes what it can of `bytes`; SIZE_MAX when the sink takes no more ever. */
static size_t
write_some(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	do
		n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	return errno == EAGAIN || errno == ENOBUFS ? 0 : SIZE_MAX;
}

/* After the last byte: tells the sink. */
static void
flow_finish(struct pair *p, int from)
{
	struct flow *f = &p->flow[from];

	if (!f->eof || f->held != NULL || f->done)
		return;
	shutdown(p->side[!from].fd, SHUT_WR);
	f->done = true;
	if (from == LOCAL && p->all->linger_ms > 0)
		linger_restart(p);
}

static void
flow_flush(struct pair *p, int from)
{
	struct flow *f = &p->flow[from];
	const size_t n =
	    write_some(p->side[!from].fd, f->held + f->at, f->len - f->at);

	if (n == SIZE_MAX) {
		flow_drop(f);
		return;
	}
	f->at += n;
	if (f->at == f->len) {
		free(f->held);
		f->held = NULL;
		flow_finish(p, from);
	}
}

/* Keeps what the sink did not take at once.  Out of memory ends the flow, and
 * so in the end the pair. */
static void
flow_hold(struct flow *f, const uint8_t *bytes, size_t len)
{
	f->held = malloc(len);
	if (f->held == NULL) {
		flow_drop(f);
		return;
	}
	memcpy(f->held, bytes, len);
	f->at = 0;
	f->len = len;
}

/* `gone`: the source's peer has closed both directions, so that nothing can
 * be written to it either. */
static void
flow_fill(struct pair *p, int from, bool gone)
{
	struct flow *f = &p->flow[from];
	uint8_t bytes[PAIR_READ_SIZE];
	const ssize_t n =
	    recv(p->side[from].fd, bytes, sizeof bytes, MSG_DONTWAIT);
	size_t written;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		f->eof = true;
		if (n < 0 || gone)
			flow_drop(&p->flow[!from]);
		flow_finish(p, from);
		return;
	}
	if (p->lingers)
		linger_restart(p);
	written = write_some(p->side[!from].fd, bytes, (size_t)n);
	if (written == SIZE_MAX)
		flow_drop(f);
	else if (written < (size_t)n)
		flow_hold(f, bytes + written, (size_t)n - written);
}

/* ---- Events ---- */

static short
wanted_of(const struct pair *p, int side)
{
	const struct flow *from = &p->flow[side], *into = &p->flow[!side];

	return (short)((!from->eof && from->held == NULL ? POLLIN : 0) |
	    (into->held != NULL ? POLLOUT : 0));
}

/* Watches what the pair needs next, or ends it. */
static void
pair_settle(struct pair *p)
{
	bool over = p->flow[LOCAL].done && p->flow[REMOTE].done;

	for (int i = 0; i < 2 && !over; i++)
		over = poller_want(p->all->poller, &p->side[i],
			   wanted_of(p, i)) < 0;
	if (over)
		pair_end(p);
}

static void
side_ready(struct pair *p, int side, short events)
{
	const short broken = POLLHUP | POLLERR | POLLNVAL;

	if ((events & (POLLOUT | broken)) != 0 && p->flow[!side].held != NULL)
		flow_flush(p, !side);
	if ((events & (POLLIN | broken)) != 0 && !p->flow[side].eof &&
	    p->flow[side].held == NULL)
		flow_fill(p, side, (events & broken) != 0);
	pair_settle(p);
}

static void
local_ready(struct poll_entry *e, short events)
{
	struct pair *p = (struct pair *)((char *)e -
	    offsetof(struct pair, side[LOCAL]));

	side_ready(p, LOCAL, events);
}

static void
remote_ready(struct poll_entry *e, short events)
{
	struct pair *p = (struct pair *)((char *)e -
	    offsetof(struct pair, side[REMOTE]));

	side_ready(p, REMOTE, events);
}

/* ---- For the loop ---- */

int
pair_join(struct pairs *all, int local, int remote)
{
	struct pair *p = calloc(1, sizeof *p);

	if (p == NULL) {
		close(local);
		close(remote);
		errno = ENOMEM;
		return -1;
	}
	p->all = all;
	p->side[LOCAL] = (struct poll_entry){ .fd = local,
		.ready = local_ready };
	p->side[REMOTE] = (struct poll_entry){ .fd = remote,
		.ready = remote_ready };
	p->next = all->all;
	if (p->next != NULL)
		p->next->prev = p;
	all->all = p;
	all->count++;
	if (poller_want(all->poller, &p->side[LOCAL], POLLIN) < 0 ||
	    poller_want(all->poller, &p->side[REMOTE], POLLIN) < 0) {
		const int error = errno;

		pair_end(p);
		errno = error;
		return -1;
	}
	return 0;
}

struct moment
pairs_tend(struct pairs *all)
{
	const struct moment now = clock_now();

	while (all->lingering != NULL &&
	    !moment_before(now, all->lingering->linger_until))
		pair_end(all->lingering);
	while (all->dead != NULL) {
		struct pair *p = all->dead;

		all->dead = p->next;
		free(p);
	}
	return all->lingering != NULL ? all->lingering->linger_until
				      : MOMENT_NEVER;
}

void
pairs_fini(struct pairs *all)
{
	while (all->all != NULL)
		pair_end(all->all);
	pairs_tend(all);
}
