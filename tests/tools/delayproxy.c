/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/clock.h"
#include "base/sock.h"

/*
 * delayproxy -l ADDRESS -c ADDRESS [-d MS] [-x BYTES [-r]]
 *
 * Passes each connection made to the first address on to the second one, every
 * byte MS milliseconds (fractions allowed) after it came, both ways.  It is a
 * delay line and no throttle: what comes is read at once and kept with its
 * time.  With -x all connections end, and the proxy too, when BYTES have been
 * passed on in all, both ways counted together; -r makes that a reset.
 *
 * Prints "ready", and at its end how many bytes went up (to -c) and down.
 */

/* What may be under way in one direction: 10 ms at 6 GB/s. */
#define HELD_MAX (64u << 20)
#define CHUNK_SIZE (64u << 10)
/* A chunk takes what comes within this time of its first byte, so bytes may
 * leave that much early; it keeps small messages from costing a chunk each. */
#define CHUNK_SPAN_NS 10000
#define PAIRS_MAX 256
#define CHUNKS_AT_ONCE 16

struct chunk {
	struct chunk *next;
	struct moment came;
	size_t len, sent;
	bool end; /* no bytes: the sender has shut its side down */
	uint8_t bytes[CHUNK_SIZE];
};

struct line {
	int from, to;
	struct chunk *first, *last;
	size_t held;
	bool ended, finished; /* the end has been read; has been passed on */
	uint64_t *carried;
};

struct pair {
	struct line up, down;
	bool used;
};

struct proxy {
	int64_t delay_ns;
	int listen_fd;
	struct sock_addr server;
	struct pair pairs[PAIRS_MAX];
	size_t used;
	struct chunk *spare;
	uint64_t carried[2], connections;
	uint64_t budget; /* bytes until the cut */
	bool cuts, resets;
};

static volatile sig_atomic_t stopped;

static void
on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- Chunks: the one that was used last is still in the cache ---- */

static struct chunk *
chunk_take(struct proxy *p)
{
	struct chunk *c = p->spare;

	if (c != NULL)
		p->spare = c->next;
	else if ((c = malloc(sizeof *c)) == NULL)
		return NULL;
	c->next = NULL;
	c->len = c->sent = 0;
	c->end = false;
	return c;
}

static void
line_drop_first(struct proxy *p, struct line *l)
{
	struct chunk *c = l->first;

	l->first = c->next;
	if (l->first == NULL)
		l->last = NULL;
	c->next = p->spare;
	p->spare = c;
}

/* The chunk that bytes which come now belong in. */
static struct chunk *
line_room(struct proxy *p, struct line *l, struct moment now)
{
	struct chunk *c = l->last;

	if (c != NULL && c->len < CHUNK_SIZE &&
	    now.ns - c->came.ns < CHUNK_SPAN_NS)
		return c;
	c = chunk_take(p);
	if (c == NULL)
		return NULL;
	c->came = now;
	if (l->last != NULL)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
	return c;
}

/* ---- In ---- */

static void
line_end(struct proxy *p, struct line *l, struct moment now)
{
	struct chunk *c;

	l->ended = true;
	c = chunk_take(p);
	if (c == NULL)
		return;
	c->came = now;
	c->end = true;
	if (l->last != NULL)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
}

static void
line_read(struct proxy *p, struct line *l)
{
	const struct moment now = clock_now();
	struct chunk *c;
	ssize_t n;

	while (l->held < HELD_MAX && (c = line_room(p, l, now)) != NULL) {
		n = recv(l->from, c->bytes + c->len, CHUNK_SIZE - c->len,
		    MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			line_end(p, l, now);
			return;
		}
		c->len += (size_t)n;
		l->held += (size_t)n;
		if (c->len < CHUNK_SIZE) /* that was all */
			return;
	}
}

/* ---- Out ---- */

static bool
line_due(const struct proxy *p, const struct line *l, struct moment now)
{
	return l->first != NULL && l->first->came.ns + p->delay_ns <= now.ns;
}

/* What has been passed on, off the line and off the budget. */
static void
line_passed(struct proxy *p, struct line *l, size_t n)
{
	*l->carried += n;
	l->held -= n;
	if (p->cuts)
		p->budget -= n;
	while (n > 0) {
		struct chunk *c = l->first;
		const size_t part = c->len - c->sent < n ? c->len - c->sent : n;

		c->sent += part;
		n -= part;
		if (c->sent == c->len)
			line_drop_first(p, l);
	}
}

static size_t
line_gather(const struct proxy *p, const struct line *l, struct moment now,
    struct iovec iov[CHUNKS_AT_ONCE])
{
	uint64_t left = p->cuts ? p->budget : UINT64_MAX;
	size_t n = 0;

	for (const struct chunk *c = l->first; c != NULL && !c->end &&
	     n < CHUNKS_AT_ONCE && left > 0 &&
	     c->came.ns + p->delay_ns <= now.ns; c = c->next) {
		const size_t len = c->len - c->sent;

		iov[n].iov_base = (void *)(uintptr_t)(c->bytes + c->sent);
		iov[n].iov_len = len < left ? len : (size_t)left;
		left -= iov[n++].iov_len;
	}
	return n;
}

/* Empty chunks stand where a read found nothing. */
static void
line_write(struct proxy *p, struct line *l, struct moment now)
{
	struct iovec iov[CHUNKS_AT_ONCE];
	struct msghdr m = { .msg_iov = iov };
	ssize_t n;

	while (line_due(p, l, now) && (!p->cuts || p->budget > 0)) {
		if (l->first->end) {
			shutdown(l->to, SHUT_WR);
			l->finished = true;
			line_drop_first(p, l);
			return;
		}
		m.msg_iovlen = line_gather(p, l, now, iov);
		n = sendmsg(l->to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			l->ended = l->finished = true;
			return;
		}
		line_passed(p, l, (size_t)n);
		while (l->first != NULL && l->first->len == l->first->sent &&
		    !l->first->end)
			line_drop_first(p, l);
	}
}

/* ---- Pairs ---- */

static void
close_hard(const struct proxy *p, int fd)
{
	const struct linger none = { .l_onoff = 1 };

	if (p->resets)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

static void
pair_close(struct proxy *p, struct pair *pair)
{
	while (pair->up.first != NULL)
		line_drop_first(p, &pair->up);
	while (pair->down.first != NULL)
		line_drop_first(p, &pair->down);
	close_hard(p, pair->up.from);
	close_hard(p, pair->up.to);
	pair->used = false;
	p->used--;
}

static void
proxy_accept(struct proxy *p)
{
	struct pair *pair = p->pairs;
	struct cause why;
	int client, server;

	client = accept(p->listen_fd, NULL, NULL);
	if (client < 0)
		return;
	server = sock_connect(&p->server, 3000, &why);
	if (server < 0) {
		fprintf(stderr, "delayproxy: %s\n", why.text);
		close(client);
		return;
	}
	while (pair->used)
		pair++;
	memset(pair, 0, sizeof *pair);
	pair->used = true;
	pair->up = (struct line){ .from = client, .to = server,
		.carried = &p->carried[0] };
	pair->down = (struct line){ .from = server, .to = client,
		.carried = &p->carried[1] };
	p->used++;
	p->connections++;
}

/* ---- The loop ---- */

/* What `fd` is watched for: the line that reads from it, and the one that
 * writes to it. */
static struct pollfd
watch(const struct proxy *p, const struct line *in, const struct line *out,
    struct moment now)
{
	struct pollfd f = { .fd = in->from };

	if (!in->ended && in->held < HELD_MAX)
		f.events |= POLLIN;
	if (line_due(p, out, now) && !out->finished)
		f.events |= POLLOUT;
	if (f.events == 0)
		f.fd = -1; /* a hang-up would be told again and again */
	return f;
}

static struct moment
next_due(const struct proxy *p, struct moment now)
{
	struct moment next = MOMENT_NEVER;

	for (size_t i = 0; i < PAIRS_MAX; i++) {
		const struct line *lines[] = { &p->pairs[i].up,
			&p->pairs[i].down };

		for (size_t k = 0; k < 2 && p->pairs[i].used; k++)
			if (lines[k]->first != NULL && !line_due(p, lines[k],
				now))
				next = moment_earlier(next, (struct moment){
				    lines[k]->first->came.ns + p->delay_ns });
	}
	return next;
}

static void
pair_work(struct proxy *p, struct pair *pair, const struct pollfd f[2])
{
	struct moment now;

	if ((f[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    !pair->up.ended)
		line_read(p, &pair->up);
	if ((f[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
	    !pair->down.ended)
		line_read(p, &pair->down);
	now = clock_now();
	line_write(p, &pair->up, now);
	line_write(p, &pair->down, now);
	if (pair->up.finished && pair->down.finished)
		pair_close(p, pair);
}

static void
proxy_turn(struct proxy *p, const sigset_t *open_mask)
{
	struct pollfd fds[1 + 2 * PAIRS_MAX];
	const struct moment now = clock_now();
	const struct moment next = next_due(p, now);
	const int64_t wait = next.ns > now.ns ? next.ns - now.ns : 0;
	const struct timespec ts = { .tv_sec = wait / 1000000000,
		.tv_nsec = wait % 1000000000 };
	nfds_t n = 1;

	fds[0] = (struct pollfd){ .fd = p->listen_fd,
		.events = p->used < PAIRS_MAX ? POLLIN : 0 };
	for (size_t i = 0; i < PAIRS_MAX; i++) {
		const struct pair *pair = &p->pairs[i];

		if (pair->used) {
			fds[n++] = watch(p, &pair->up, &pair->down, now);
			fds[n++] = watch(p, &pair->down, &pair->up, now);
		}
	}
	if (ppoll(fds, n, next.ns == INT64_MAX ? NULL : &ts, open_mask) < 0)
		return;
	n = 1;
	for (size_t i = 0; i < PAIRS_MAX; i++)
		if (p->pairs[i].used) {
			pair_work(p, &p->pairs[i], &fds[n]);
			n += 2;
		}
	if ((fds[0].revents & POLLIN) != 0)
		proxy_accept(p);
}

static int
usage(void)
{
	fprintf(stderr, "usage: delayproxy -l ADDRESS -c ADDRESS [-d MS] "
	    "[-x BYTES [-r]]\n");
	return 2;
}

static int
bad_address(const struct cause *why)
{
	fprintf(stderr, "delayproxy: %s\n", why->text);
	return -1;
}

/* 0, or -1 after a line on standard error. */
static int
parse(struct proxy *p, int argc, char **argv)
{
	struct sock_addr at = { .is_unix = false };
	struct cause why;
	bool have[2] = { false, false };
	int c;

	while ((c = getopt(argc, argv, "l:c:d:x:r")) != -1) {
		switch (c) {
		case 'l':
		case 'c':
			if (sock_addr_parse(c == 'l' ? &at : &p->server,
				optarg, NULL, &why) < 0)
				return bad_address(&why);
			have[c == 'c'] = true;
			break;
		case 'd':
			p->delay_ns = (int64_t)(strtod(optarg, NULL) * 1e6);
			break;
		case 'x':
			p->cuts = true;
			p->budget = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			p->resets = true;
			break;
		default:
			return usage(), -1;
		}
	}
	if (!have[0] || !have[1] || optind < argc)
		return usage(), -1;
	p->listen_fd = sock_listen(&at, 0600, 64, &why);
	return p->listen_fd < 0 ? bad_address(&why) : 0;
}

int
main(int argc, char **argv)
{
	static struct proxy proxy;
	const struct sigaction stop = { .sa_handler = on_stop };
	sigset_t closed, open_mask;

	if (parse(&proxy, argc, argv) < 0)
		return 2;
#ifdef __linux__
	prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
#endif
	sigemptyset(&closed);
	sigaddset(&closed, SIGTERM);
	sigaddset(&closed, SIGINT);
	sigprocmask(SIG_BLOCK, &closed, &open_mask);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	puts("ready");
	fflush(stdout);
	while (!stopped && !(proxy.cuts && proxy.budget == 0))
		proxy_turn(&proxy, &open_mask);
	close(proxy.listen_fd);
	for (size_t i = 0; i < PAIRS_MAX; i++)
		if (proxy.pairs[i].used)
			pair_close(&proxy, &proxy.pairs[i]);
	printf("up %llu down %llu connections %llu\n",
	    (unsigned long long)proxy.carried[0],
	    (unsigned long long)proxy.carried[1],
	    (unsigned long long)proxy.connections);
	return 0;
}
