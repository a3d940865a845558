/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actor/thread.h"
#include "base/sock.h"
#include "relay/relay.h"

/*
 * A thread for each direction, because standard input and output may be
 * shared with other processes, which a non-blocking mode would surprise.
 */

struct input {
	int phone;   /* blocking */
	int over[2]; /* a pipe: [1] is closed when the input has ended */
};

/* Standard input to the phone, then a half-close. */
static void *
input_main(void *arg)
{
	struct input *in = arg;
	char bytes[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || sock_send_all(in->phone, bytes, (size_t)n) < 0)
			break;
	}
	shutdown(in->phone, SHUT_WR);
	close(in->over[1]);
	return NULL;
}

enum answer {
	ANSWER_READY,  /* the phone has sent something, or has ended */
	ANSWER_PAUSED, /* for too long, after the input's end */
	ANSWER_UNWANTED, /* nobody reads standard output any more */
};

static enum answer
wait_for_answer(struct input *in, bool *input_over, int linger_ms)
{
	/* That its reader has gone shows without being asked for. */
	struct pollfd p[3] = { { .fd = in->phone, .events = POLLIN },
		{ .fd = STDOUT_FILENO },
		{ .fd = in->over[0], .events = POLLIN } };
	int n;

	for (;;) {
		n = poll(p, *input_over ? 2 : 3,
		    *input_over && linger_ms > 0 ? linger_ms : -1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ANSWER_PAUSED;
		if (p[0].revents != 0)
			return ANSWER_READY;
		if (p[1].revents != 0)
			return ANSWER_UNWANTED;
		if (p[2].revents != 0)
			*input_over = true;
	}
}

static int
write_all(const char *bytes, size_t len, struct cause *why)
{
	while (len > 0) {
		const ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cause_set(why, "standard output: %s",
			    strerror(errno));
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The phone to standard output, until the phone ends. */
static int
output_run(struct input *in, int linger_ms, struct cause *why)
{
	bool input_over = false;
	char bytes[65536];
	enum answer answer;
	ssize_t n;

	while ((answer = wait_for_answer(in, &input_over, linger_ms)) ==
	    ANSWER_READY) {
		n = recv(in->phone, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cause_set(why, "the phone's side: %s",
			    strerror(errno));
		if (n == 0)
			return 0;
		if (write_all(bytes, (size_t)n, why) < 0)
			return -1;
	}
	/* Who has sent all and has read all that he wanted is content. */
	if (answer == ANSWER_UNWANTED && !input_over)
		return cause_set(why, "nobody reads standard output");
	return 0;
}

int
relay_stdio(const struct relay_options *o, struct target *target,
    struct cause *why)
{
	/* The input thread may still be reading when the program ends. */
	static struct input in;
	struct thread thread;
	int rc;

	in.phone = target_connect(target, o->ports[0].remote, why);
	if (in.phone < 0)
		return -1;
	if (pipe(in.over) < 0)
		return cause_set(why, "cannot start: %s", strerror(errno));
	rc = thread_start(&thread, "input", input_main, &in);
	if (rc != 0)
		return cause_set(why, "cannot start: %s", strerror(rc));
	thread_detach(&thread);
	return output_run(&in, o->linger_ms, why);
}
