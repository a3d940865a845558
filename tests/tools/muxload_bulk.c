/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "muxload.h"
#include "muxload_stream.h"

/*
 * Streams: what goes out and what comes in at the same time, on one thread,
 * each as fast as the daemon lets it.
 */

#define DEFAULT_SIZE (16u << 20)
#define RECV_SIZE (256u * 1024)
#define FOREVER UINT64_MAX

enum content {
	CONTENT_STREAM,
	CONTENT_PATTERN,
};

struct bulk {
	struct job *job;
	int fd;
	uint64_t to_send, to_receive;
	enum content content; /* of what comes in */
	bool until_close;     /* to_receive bytes, then the end, must come */
	bool ended;	      /* and has come */
	struct moment start, stop, give_up;
	uint64_t rate_base; /* received before the rate began to count */
	uint8_t *out;	    /* the chunk that is being sent */
	size_t out_len, out_sent;
	uint8_t *in, *wanted;
};

/* ---- Out ---- */

static int
bulk_send(struct bulk *b)
{
	struct job *job = b->job;
	const uint64_t left = b->to_send - job->sent;
	ssize_t n;

	if (b->out_sent == b->out_len) {
		b->out_len = job->o->chunk < left ? (size_t)job->o->chunk
						  : (size_t)left;
		b->out_sent = 0;
		stream_fill(b->out, job->o->seed + job->number, job->sent,
		    b->out_len);
	}
	n = send(b->fd, b->out + b->out_sent, b->out_len - b->out_sent,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0
		    : job_fail(job, "send after %llu bytes: %s",
			  (unsigned long long)job->sent, strerror(errno));
	b->out_sent += (size_t)n;
	job->sent += (uint64_t)n;
	return (int)(n > 0);
}

/* ---- In ---- */

/* How many bytes --rate allows to be read now. */
static uint64_t
rate_room(const struct bulk *b)
{
	const uint64_t rate = b->job->o->rate;
	const int64_t ms = moment_ms_between(b->start, clock_now());
	const uint64_t allowed = rate / 1000 * (uint64_t)ms +
	    rate % 1000 * (uint64_t)ms / 1000;
	const uint64_t had = b->job->received - b->rate_base;

	if (rate == 0)
		return FOREVER;
	return allowed > had ? allowed - had : 0;
}

static int
bulk_ended(struct bulk *b, int error)
{
	struct job *job = b->job;

	b->ended = true;
	if (b->until_close && job->received == b->to_receive)
		return 1;
	return job_fail(job, "closed after %llu bytes%s%s%s",
	    (unsigned long long)job->received,
	    b->to_receive != FOREVER ? ", too early" : "",
	    error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

static int
bulk_check(struct bulk *b, size_t n)
{
	struct job *job = b->job;

	if (n > b->to_receive - job->received)
		return job_fail(job, "more than the %llu bytes that should "
		    "come", (unsigned long long)b->to_receive);
	if (b->content == CONTENT_STREAM)
		stream_fill(b->wanted, job->o->seed + job->number,
		    job->received, n);
	for (size_t done = 0; done < n;) {
		const size_t run = n - done < PATTERN_RUN ? n - done
							  : PATTERN_RUN;
		const uint8_t *wanted = b->content == CONTENT_STREAM
		    ? b->wanted + done
		    : pattern_at(job->received + done);

		if (job_compare(job, job->received + done, b->in + done,
			wanted, run) < 0)
			return -1;
		done += run;
	}
	job->received += n;
	return 1;
}

/* One byte more than is wanted is asked for, so that a surplus shows. */
static int
bulk_recv(struct bulk *b)
{
	const uint64_t left = b->to_receive - b->job->received;
	const uint64_t room = rate_room(b);
	size_t len = RECV_SIZE;
	ssize_t n;

	if (left < len)
		len = (size_t)left + (b->content == CONTENT_STREAM ||
					 b->until_close);
	if (room < len)
		len = (size_t)room;
	if (len == 0)
		return 0;
	n = recv(b->fd, b->in, len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? bulk_check(b, (size_t)n) : bulk_ended(b, n < 0 ? errno
								      : 0);
}

/* ---- The loop ---- */

static bool
bulk_wants_in(const struct bulk *b)
{
	return b->until_close ? !b->ended
			      : b->job->received < b->to_receive;
}

/* The time is up: what is on its way must still come. */
static void
bulk_stop(struct bulk *b)
{
	b->stop = MOMENT_NEVER;
	if (b->to_send == FOREVER)
		b->to_send = b->job->sent;
	if (b->to_receive == FOREVER)
		b->to_receive = b->content == CONTENT_STREAM
		    ? b->to_send
		    : b->job->received;
}

static int
bulk_step(struct bulk *b)
{
	const bool in = bulk_wants_in(b), out = b->job->sent < b->to_send;
	const bool may_read = in && rate_room(b) > 0;
	struct moment now = clock_now();
	struct moment until = moment_earlier(b->stop, b->give_up);
	struct pollfd p = { .fd = b->fd };
	int rc = 0;

	p.events = (short)((may_read ? POLLIN : 0) | (out ? POLLOUT : 0));
	if (in && !may_read) /* a while later, the rate allows some bytes */
		until = moment_earlier(until, moment_after_ms(now, 5));
	if (poll(&p, 1, moment_poll_timeout(now, until)) < 0 && errno != EINTR)
		return job_fail(b->job, "poll: %s", strerror(errno));
	if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && may_read)
		rc = bulk_recv(b);
	if (rc >= 0 && (p.revents & POLLOUT) != 0 && out) {
		const int sent = bulk_send(b);

		rc = sent < 0 ? -1 : rc | sent;
	}
	now = clock_now();
	if (rc > 0 || (in && !may_read))
		b->give_up = moment_after_ms(now,
		    (int64_t)(b->job->o->patience * 1000));
	else if (rc == 0 && !moment_before(now, b->give_up))
		return job_fail(b->job, "not a byte for %.0f s, after %llu "
		    "sent and %llu received", b->job->o->patience,
		    (unsigned long long)b->job->sent,
		    (unsigned long long)b->job->received);
	if (!moment_before(now, b->stop))
		bulk_stop(b);
	return rc;
}

static int
bulk_run(struct bulk *b)
{
	const struct options *o = b->job->o;
	int rc = 0;

	b->out = malloc((size_t)o->chunk);
	b->in = malloc(RECV_SIZE + 1);
	b->wanted = malloc(RECV_SIZE + 1);
	if (b->out == NULL || b->in == NULL || b->wanted == NULL)
		rc = job_fail(b->job, "out of memory");
	b->start = clock_now();
	b->rate_base = b->job->received;
	b->give_up = moment_after_ms(b->start, (int64_t)(o->patience * 1000));
	b->stop = o->seconds > 0
	    ? moment_after_ms(b->start, (int64_t)(o->seconds * 1000))
	    : MOMENT_NEVER;
	while (rc >= 0 && (b->job->sent < b->to_send || bulk_wants_in(b)))
		rc = bulk_step(b);
	b->job->elapsed =
	    (double)(clock_now().ns - b->start.ns) / 1e9;
	free(b->out);
	free(b->in);
	free(b->wanted);
	return rc < 0 ? -1 : 0;
}

/* The size that was asked for, or for ever when only a time was. */
static uint64_t
size_of(struct job *job, uint64_t fallback)
{
	uint64_t size = job->o->seconds > 0 ? FOREVER : fallback;

	if (job->o->argument != NULL && !parse_size(job->o->argument, &size))
		job_fail(job, "'%s' is not a size", job->o->argument);
	job->goal = size == FOREVER ? 0 : size;
	return size;
}

static void
run_bulk(struct job *job, uint64_t to_send, uint64_t to_receive,
    enum content content, bool until_close)
{
	struct bulk b = { .job = job, .to_send = to_send,
		.to_receive = to_receive, .content = content,
		.until_close = until_close };

	if (job->error[0] != '\0' || (b.fd = job_connect(job)) < 0)
		return;
	bulk_run(&b);
	close(b.fd);
}

void
run_echo(struct job *job)
{
	const uint64_t size = size_of(job, DEFAULT_SIZE);

	run_bulk(job, size, size, CONTENT_STREAM, false);
}

void
run_discard(struct job *job)
{
	run_bulk(job, size_of(job, DEFAULT_SIZE), 0, CONTENT_STREAM, false);
}

void
run_chargen(struct job *job)
{
	run_bulk(job, 0, size_of(job, DEFAULT_SIZE), CONTENT_PATTERN, false);
}

void
run_burst(struct job *job)
{
	run_bulk(job, 0, size_of(job, 100000), CONTENT_PATTERN, true);
}

/* ---- A reader that does not read ---- */

/* Any number of stalled jobs wait for the one line. */
static void
wait_for_line(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool came;
	int c;

	pthread_mutex_lock(&lock);
	while (!came && (c = getchar()) != '\n' && c != EOF)
		continue;
	came = true;
	pthread_mutex_unlock(&lock);
}

void
run_stall(struct job *job)
{
	struct bulk b = { .job = job, .content = CONTENT_PATTERN,
		.to_receive = size_of(job, DEFAULT_SIZE) };

	if (job->error[0] != '\0' || (b.fd = job_connect(job)) < 0)
		return;
	printf("connection %u stalls\n", job->number);
	fflush(stdout);
	wait_for_line();
	bulk_run(&b);
	close(b.fd);
}
