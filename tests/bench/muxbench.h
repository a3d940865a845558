/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MUXD_BENCH_MUXBENCH_H
#define MUXD_BENCH_MUXBENCH_H

/*
 * muxbench: one measurement of a usbmux daemon.  It makes all connections,
 * warms up, counts for a fixed time, and prints what it counted as one line of
 * JSON; bench.py starts it, and makes tables of many.
 *
 * The main thread prepares and keeps the time.  A few others (-t) turn loops
 * over their share of the connections, the flows; a flow belongs to one loop.
 * Nothing is allocated while time is taken, and every byte that comes in is
 * compared with one table, in large pieces, so that the load costs little
 * beside what it measures.  (muxload, which tests, has a thread for each
 * connection and more to tell when a byte is wrong.)
 *
 * Latencies are those of a closed loop: a flow asks again when it has been
 * answered, so a stall of the daemon is one long sample, not the many that an
 * open loop would have sent meanwhile.  Compare percentiles of one way of
 * measuring only.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "actor/thread.h"
#include "base/clock.h"
#include "histogram.h"
#include "muxclient.h"
#include "probe.h"
#include "wire/client.h"

#define BUFFER_SIZE (256u * 1024)  /* of one recv() */
#define SEND_PIECES 4		   /* of 64 KiB each, to one send */
#define ECHO_MAX 65536		   /* bytes of one echo */
#define LOOP_TICK_MS 2
#define GROUPS_MAX 16
#define LOOPS_MAX 16

struct flow;
struct loop;

/* What a kind of flow does. */
struct kind {
	const char *name;
	const char *purpose;
	uint16_t port;
	bool counts_cycles; /* not bytes: how phones' shares are compared */
	bool silent;	    /* moves nothing that counts */
	uint32_t events;    /* epoll's, at the start */
	/* A connected flow joins its loop; NULL: it waits for events. */
	void (*start)(struct flow *f);
	void (*ready)(struct flow *f, uint32_t events);
	/* Every LOOP_TICK_MS, for what waits for a silence. */
	void (*tick)(struct flow *f);
};
extern const struct kind kinds[];

/* One -g: flows of one kind. */
struct group {
	char name[32];
	const struct kind *kind;
	unsigned first, last; /* phones, from 1; last 0: all the others */
	unsigned connections; /* to each phone */
	size_t size;	      /* of an echo */
	bool still;	      /* may move nothing */
};

struct options {
	const char *address; /* the daemon's */
	struct group groups[GROUPS_MAX];
	unsigned group_count;
	unsigned loops;
	double warm_up, seconds;
	double patience; /* for everything that comes before */
	pid_t pid;	 /* the daemon's, or 0 */
	const char *apart; /* names of threads that are not its own begin so */
	bool wait;	   /* for a line on standard input, once connected */
};

enum phase {
	PHASE_WARM_UP,
	PHASE_MEASURE,
	PHASE_OVER,
};

struct flow {
	const struct group *group;
	struct loop *loop;
	const struct muxclient_device *phone;
	unsigned phone_index;
	int fd;
	bool watched;	/* by the loop's epoll */
	bool failed;
	uint64_t shift; /* its bytes begin there in the pattern */
	uint64_t sent, received;
	/* While PHASE_MEASURE. */
	uint64_t counted_in, counted_out, cycles;
	struct moment since; /* an echo, a connect, the last arrival */
	/* connect: what it asks, and what has come of the answer. */
	struct client_frame request;
	uint8_t *answer;
	size_t len;
	/* drain */
	bool draining;
	uint64_t drain_end; /* stop when so many bytes have been received */
	int64_t first_ns;   /* for what was not there when it began; or -1 */
	int64_t gap_ns;	    /* the longest since it began */
	int64_t longest_ns; /* of all, while PHASE_MEASURE */
	int queued;	    /* bytes that waited at the last look */
	unsigned looks;	    /* that found as many */
};

struct bench {
	struct options o;
	struct muxclient *mc;
	struct sockaddr_un daemon;
	struct muxclient_device *phones;
	unsigned phone_count;
	struct flow *flows;
	unsigned flow_count;
	struct loop *loops;
	/* Relaxed: a flow that sees it late counts one event on the wrong
	 * side. */
	_Atomic enum phase phase;
	int alarm; /* eventfd: a flow has failed */
	pthread_mutex_t lock; /* guards error */
	char error[256];
	struct moment begin, end; /* of PHASE_MEASURE */
	struct probe before, after; /* of the daemon */
	double load_cpu;	    /* seconds of our own in between */
};

struct loop {
	struct bench *b;
	struct thread thread;
	int epoll;
	int wake; /* eventfd: the end */
	uint8_t *buffer;
	struct flow **waiting; /* whose connect() found no room */
	unsigned waiting_count;
	bool ticks; /* one of its flows has a tick */
	struct histogram latency[GROUPS_MAX];
};

/* ---- muxbench_flow.c ---- */

/* Remembers the first failure and raises the alarm; the flow rests. */
void flow_fail(struct flow *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void flow_watch(struct flow *f, uint32_t events);
void flow_change(struct flow *f, uint32_t events);
bool flow_measured(const struct flow *f);
/* One sample of the flow's group, and one more cycle, while it counts. */
void flow_sample(struct flow *f, int64_t ns);
/* Compares `len` bytes that came in with those that should. */
void flow_check(struct flow *f, const uint8_t *bytes, size_t len);
/* As much as the socket takes; false when it has failed. */
bool flow_send(struct flow *f);
/* What one recv() has, compared and counted: how many bytes; 0: none now. */
size_t flow_recv(struct flow *f);

/* ---- muxbench_small.c: echo, connect, drain ---- */

void echo_start(struct flow *f);
void echo_ready(struct flow *f, uint32_t events);
/* What a flow that connects asks, made once; false: no memory. */
bool connect_prepare(struct flow *f);
void connect_start(struct flow *f);
void connect_ready(struct flow *f, uint32_t events);
/* A connect() that found the daemon's queue full, once more. */
void connect_again(struct flow *f);
void drain_ready(struct flow *f, uint32_t events);
void drain_tick(struct flow *f);

/* ---- muxbench_loop.c ---- */

bool loop_open(struct loop *l, struct bench *b);
void loop_close(struct loop *l);
void *loop_main(void *arg);
void loop_wait(struct loop *l, struct flow *f);

/* ---- muxbench_report.c ---- */

bool bench_report(const struct bench *b);

#endif
