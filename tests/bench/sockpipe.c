/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/sock.h"

/*
 * What a plain socket carries, for a comparison with USB over it:
 *
 *	sockpipe -l ADDRESS			serves one client after another
 *	sockpipe -c ADDRESS [OPTION...] WHAT	prints MB/s, bytes of data only
 *
 * WHAT is one of
 *	in	requests of 48 bytes, answers of 48 + SIZE, DEPTH at a time
 *	out	requests of 48 + SIZE bytes, answers of 48, DEPTH at a time
 *	source	the server sends pieces of SIZE without being asked
 *	sink	the client does
 *
 * -q DEPTH, -s SIZE, -t SECONDS.  With -i BUSID the server is one of USB/IP, and
 * in and out are the bulk endpoints 1 of that device: what it carries with the
 * least that can stand at this end.
 *
 * The data of each request has a buffer of its
 * own, and bytes go from and to these buffers with no copy between; as many
 * pieces as are due go with one system call.
 */

#define HEAD 48
#define HELLO 16
#define PIECES 64 /* with one system call */
#define DEPTH_MAX 256
#define SIZE_MAX_BYTES (16u << 20)

enum what { WHAT_IN, WHAT_OUT, WHAT_SOURCE, WHAT_SINK };

static const char *const names[] = { "in", "out", "source", "sink" };

/* One direction of the stream: messages of `head` bytes and `data` bytes that
 * follow one another. */
struct flow {
	int fd;
	size_t head, data;
	unsigned depth;
	uint8_t *slots; /* depth * data */
	uint8_t *heads; /* depth * HEAD */
	uint64_t done; /* messages that have passed whole */
	size_t into;   /* bytes of the next one */
};

struct pipe_options {
	enum what what;
	unsigned depth;
	uint32_t size;
	double seconds;
	const char *busid; /* NULL: no USB/IP */
	uint32_t devid;
};

static int
flow_init(struct flow *f, int fd, size_t head, size_t data, unsigned depth)
{
	memset(f, 0, sizeof *f);
	f->fd = fd;
	f->head = head;
	f->data = data;
	f->depth = depth;
	f->heads = calloc(depth, HEAD);
	if (f->heads == NULL)
		return -1;
	if (data == 0)
		return 0;
	f->slots = malloc(depth * data);
	if (f->slots == NULL)
		return -1;
	memset(f->slots, 0, depth * data);
	return 0;
}

static void
flow_fini(struct flow *f)
{
	free(f->slots);
	free(f->heads);
}

/* The pieces from where the flow stands up to `messages` messages on. */
static int
flow_pieces(struct flow *f, uint64_t messages, struct iovec iov[PIECES])
{
	size_t skip = f->into;
	int n = 0;

	for (uint64_t m = f->done; m < f->done + messages && n + 2 <= PIECES;
	     m++) {
		uint8_t *slot = f->data > 0
		    ? f->slots + m % f->depth * f->data : NULL;

		if (skip < f->head) {
			iov[n].iov_base = f->heads +
			    m % f->depth * HEAD + skip;
			iov[n++].iov_len = f->head - skip;
			skip = 0;
		} else {
			skip -= f->head;
		}
		if (f->data > 0) {
			iov[n].iov_base = slot + skip;
			iov[n++].iov_len = f->data - skip;
			skip = 0;
		}
	}
	return n;
}

static void
flow_advance(struct flow *f, size_t bytes)
{
	const size_t all = f->into + bytes, message = f->head + f->data;

	f->done += all / message;
	f->into = all % message;
}

/* Up to `messages` more, one system call.  -1 when there are no more. */
static int
flow_recv(struct flow *f, uint64_t messages)
{
	struct iovec iov[PIECES];
	struct msghdr m = { .msg_iov = iov };
	ssize_t n;

	m.msg_iovlen = (size_t)flow_pieces(f, messages, iov);
	do
		n = recvmsg(f->fd, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	flow_advance(f, (size_t)n);
	return 0;
}

static int
flow_send(struct flow *f, uint64_t messages)
{
	const uint64_t until = f->done + messages;
	struct iovec iov[PIECES];
	struct msghdr m = { .msg_iov = iov };
	ssize_t n;

	while (f->done < until) {
		m.msg_iovlen = (size_t)flow_pieces(f, until - f->done, iov);
		do
			n = sendmsg(f->fd, &m, MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -1;
		flow_advance(f, (size_t)n);
	}
	return 0;
}

/* ---- Server ---- */

static void
serve_talk(struct flow *in, struct flow *out, unsigned depth)
{
	while (flow_recv(in, depth) == 0)
		if (flow_send(out, in->done - out->done) < 0)
			return;
}

static void
serve(int fd)
{
	uint8_t hello[HELLO];
	struct reader r = reader_over(hello, sizeof hello);
	struct flow in, out;
	uint32_t what, depth, size;

	if (sock_recv_all(fd, hello, sizeof hello) < 0)
		return;
	what = read_be32(&r);
	depth = read_be32(&r);
	size = read_be32(&r);
	if (what > WHAT_SINK || depth < 1 || depth > DEPTH_MAX || size < 1 ||
	    size > SIZE_MAX_BYTES)
		return;
	if (flow_init(&in, fd, what < WHAT_SOURCE ? HEAD : 0,
		what == WHAT_OUT || what == WHAT_SINK ? size : 0, depth) < 0 ||
	    flow_init(&out, fd, what < WHAT_SOURCE ? HEAD : 0,
		what == WHAT_IN || what == WHAT_SOURCE ? size : 0, depth) < 0)
		return;
	if (what == WHAT_SOURCE) {
		while (flow_send(&out, depth) == 0)
			continue;
	} else if (what == WHAT_SINK) {
		while (flow_recv(&in, depth) == 0)
			continue;
		sock_send_all(fd, hello, 1);
	} else {
		serve_talk(&in, &out, depth);
	}
	flow_fini(&in);
	flow_fini(&out);
}

static int
server_main(const struct sock_addr *at)
{
	struct cause why;
	const int listen_fd = sock_listen(at, 0600, 8, &why);

	if (listen_fd < 0) {
		fprintf(stderr, "sockpipe: %s\n", why.text);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		const int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0)
			continue;
		serve(fd);
		close(fd);
	}
}

/* ---- USB/IP ---- */

#define OP_HEAD 8
#define DEVICE_ENTRY 312
#define DEVICE_DEVID 288 /* bus and device number in it */
#define SUBMIT 1
#define DIR_IN 1

static void
put_submit(uint8_t *head, const struct pipe_options *o, uint32_t seq,
    uint32_t endpoint, uint32_t length)
{
	struct writer w = writer_over(head, HEAD);

	write_be32(&w, SUBMIT);
	write_be32(&w, seq);
	write_be32(&w, o->devid);
	write_be32(&w, o->what == WHAT_IN && endpoint != 0 ? DIR_IN : 0);
	write_be32(&w, endpoint);
	write_be32(&w, 0); /* flags */
	write_be32(&w, length);
}

/* Imports the device and gives it its first configuration. */
static int
usbip_import(int fd, struct pipe_options *o)
{
	static const uint8_t set_configuration[8] = { 0, 9, 1 };
	uint8_t request[OP_HEAD + 32] = { 1, 0x11, 0x80, 3 };
	uint8_t head[HEAD] = { 0 }, entry[DEVICE_ENTRY];
	struct reader r = reader_over(entry + DEVICE_DEVID, 8);

	snprintf((char *)request + OP_HEAD, 32, "%s", o->busid);
	if (sock_send_all(fd, request, sizeof request) < 0 ||
	    sock_recv_all(fd, head, OP_HEAD) < 0 || head[7] != 0 ||
	    sock_recv_all(fd, entry, sizeof entry) < 0)
		return -1;
	o->devid = read_be32(&r) << 16;
	o->devid |= read_be32(&r);
	put_submit(head, o, DEPTH_MAX + 1, 0, 0);
	memcpy(head + HEAD - 8, set_configuration, 8);
	return sock_send_all(fd, head, HEAD) < 0 ? -1
						  : sock_recv_all(fd, head,
							HEAD);
}

static void
put_submits(struct flow *out, const struct pipe_options *o)
{
	for (uint32_t i = 0; o->busid != NULL && i < o->depth; i++)
		put_submit(out->heads + (size_t)i * HEAD, o, i + 1, 1, o->size);
}

/* ---- Client ---- */

static struct moment
after_seconds(struct moment t, double s)
{
	return (struct moment){ t.ns + (int64_t)(s * 1e9) };
}

/* Requests until the time is over, answers until the last has come. */
static uint64_t
talk(int fd, const struct pipe_options *o)
{
	const struct moment until = after_seconds(clock_now(), o->seconds);
	struct flow in, out;

	if (flow_init(&in, fd, HEAD, o->what == WHAT_IN ? o->size : 0,
		o->depth) < 0 ||
	    flow_init(&out, fd, HEAD, o->what == WHAT_OUT ? o->size : 0,
		o->depth) < 0)
		return 0;
	put_submits(&out, o);
	if (flow_send(&out, o->depth) < 0)
		return 0;
	while (in.done < out.done) {
		if (flow_recv(&in, out.done - in.done) < 0)
			return 0;
		if (moment_before(clock_now(), until) &&
		    flow_send(&out, in.done + o->depth - out.done) < 0)
			return 0;
	}
	flow_fini(&in);
	flow_fini(&out);
	return in.done * o->size;
}

static uint64_t
stream(int fd, const struct pipe_options *o)
{
	const struct moment until = after_seconds(clock_now(), o->seconds);
	struct flow f;
	uint8_t end;

	if (flow_init(&f, fd, 0, o->size, o->depth) < 0)
		return 0;
	while (moment_before(clock_now(), until))
		if ((o->what == WHAT_SOURCE ? flow_recv(&f, o->depth)
					    : flow_send(&f, 1)) < 0)
			return 0;
	if (o->what == WHAT_SINK) {
		shutdown(fd, SHUT_WR);
		if (sock_recv_all(fd, &end, 1) < 0)
			return 0;
	}
	flow_fini(&f);
	return f.done * o->size;
}

static int
client_main(const struct sock_addr *to, struct pipe_options *o)
{
	uint8_t hello[HELLO] = { 0 };
	struct writer w = writer_over(hello, sizeof hello);
	struct moment since;
	struct cause why;
	uint64_t bytes;
	int fd;

	fd = sock_connect(to, 3000, &why);
	if (fd < 0) {
		fprintf(stderr, "sockpipe: %s\n", why.text);
		return 1;
	}
	write_be32(&w, o->what);
	write_be32(&w, o->depth);
	write_be32(&w, o->size);
	if ((o->busid != NULL ? usbip_import(fd, o)
			      : sock_send_all(fd, hello, sizeof hello)) < 0) {
		fprintf(stderr, "sockpipe: the server does not go along\n");
		return 1;
	}
	since = clock_now();
	bytes = o->what < WHAT_SOURCE ? talk(fd, o) : stream(fd, o);
	printf("%.3f\n", (double)bytes / 1e6 /
	    ((double)(clock_now().ns - since.ns) / 1e9));
	close(fd);
	return bytes == 0;
}

static int
usage(void)
{
	fprintf(stderr, "usage: sockpipe -l ADDRESS | -c ADDRESS [-i BUSID] "
	    "[-q DEPTH] [-s SIZE] [-t SECONDS] in|out|source|sink\n");
	return 2;
}

static bool
parse_what(const char *text, enum what *out)
{
	for (unsigned i = 0; i < 4; i++)
		if (text != NULL && strcmp(text, names[i]) == 0) {
			*out = (enum what)i;
			return true;
		}
	return false;
}

int
main(int argc, char **argv)
{
	struct pipe_options o = { .depth = 32, .size = 16384, .seconds = 1 };
	struct sock_addr addr;
	struct cause why;
	bool serves = false, have = false;
	int c;

	while ((c = getopt(argc, argv, "l:c:i:q:s:t:")) != -1)
		switch (c) {
		case 'l':
		case 'c':
			serves = c == 'l';
			have = true;
			if (sock_addr_parse(&addr, optarg, NULL, &why) < 0) {
				fprintf(stderr, "sockpipe: %s\n", why.text);
				return 2;
			}
			break;
		case 'i':
			o.busid = optarg;
			break;
		case 'q':
			o.depth = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			o.size = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			o.seconds = strtod(optarg, NULL);
			break;
		default:
			return usage();
		}
	signal(SIGPIPE, SIG_IGN);
	if (!have || o.depth < 1 || o.depth > DEPTH_MAX || o.size < 1 ||
	    o.size > SIZE_MAX_BYTES)
		return usage();
	if (serves)
		return server_main(&addr);
	return parse_what(argv[optind], &o.what) ? client_main(&addr, &o)
						 : usage();
}
