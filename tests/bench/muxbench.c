/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "muxbench.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sock.h"
#include "muxload_stream.h"

static void
usage(FILE *to)
{
	fprintf(to, "usage: muxbench -s SOCKET [OPTION...] [-g NAME:KIND"
	    "[,OPTION...]]...\n\n"
	    "  -s, --socket PATH   the daemon's\n"
	    "  -g, --group ...     connections of one kind, with\n"
	    "      phones=N[-M]      to these of the phones (all of them)\n"
	    "      conns=N           so many to each (1)\n"
	    "      size=N            bytes of an echo (1)\n"
	    "      still             they may move nothing\n"
	    "  -w, --warm-up S     before it counts (0.3)\n"
	    "  -d, --duration S    of what is counted (1)\n"
	    "  -t, --threads N     of the load (1)\n"
	    "  -p, --pid PID       the daemon's process, whose cost is told\n"
	    "      --apart NAME    but not of threads with names like this\n"
	    "      --wait          say `connected', then wait for a line on\n"
	    "                      standard input\n"
	    "      --patience S    for all connections (20)\n"
	    "\nKinds:\n");
	for (const struct kind *k = kinds; k->name != NULL; k++)
		fprintf(to, "  %-8s %s\n", k->name, k->purpose);
}

_Noreturn static void
bad_usage(const char *what, const char *text)
{
	fprintf(stderr, "muxbench: %s '%s'\n", what, text);
	exit(2);
}

/* ---- Options ---- */

static unsigned long
number(const char *text, unsigned long max)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n > max)
		bad_usage("no number, or too large:", text);
	return n;
}

static double
seconds(const char *text)
{
	char *end;
	const double s = strtod(text, &end);

	if (end == text || *end != '\0' || !(s >= 0 && s < 1e6))
		bad_usage("no time:", text);
	return s;
}

static void
set_phones(struct group *g, char *range)
{
	char *last = strchr(range, '-');

	if (last != NULL)
		*last++ = '\0';
	g->first = (unsigned)number(range, 65535);
	g->last = last != NULL ? (unsigned)number(last, 65535) : g->first;
	if (g->first == 0 || g->last < g->first)
		bad_usage("no phones:", range);
}

static void
set_group_option(struct group *g, char *option)
{
	if (strncmp(option, "phones=", 7) == 0)
		set_phones(g, option + 7);
	else if (strncmp(option, "conns=", 6) == 0)
		g->connections = (unsigned)number(option + 6, 100000);
	else if (strncmp(option, "size=", 5) == 0)
		g->size = number(option + 5, ECHO_MAX);
	else if (strcmp(option, "still") == 0)
		g->still = true;
	else
		bad_usage("no option of a group:", option);
	if (g->connections == 0 || g->size == 0)
		bad_usage("not 0:", option);
}

static const struct kind *
kind_named(const char *name)
{
	const struct kind *k = kinds;

	while (k->name != NULL && strcmp(k->name, name) != 0)
		k++;
	if (k->name == NULL)
		bad_usage("no kind of connection:", name);
	return k;
}

static void
add_group(struct options *o, char *text)
{
	struct group *g = &o->groups[o->group_count++];
	char *rest, *colon = strchr(text, ':');

	if (o->group_count > GROUPS_MAX || colon == NULL)
		bad_usage("no group, or one too many:", text);
	*colon = '\0';
	snprintf(g->name, sizeof g->name, "%s", text);
	g->kind = kind_named(strtok_r(colon + 1, ",", &rest));
	g->first = g->connections = 1;
	g->size = 1;
	for (char *option; (option = strtok_r(NULL, ",", &rest)) != NULL;)
		set_group_option(g, option);
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "group", required_argument, NULL, 'g' },
	{ "warm-up", required_argument, NULL, 'w' },
	{ "duration", required_argument, NULL, 'd' },
	{ "threads", required_argument, NULL, 't' },
	{ "pid", required_argument, NULL, 'p' },
	{ "apart", required_argument, NULL, 'A' },
	{ "wait", no_argument, NULL, 'W' },
	{ "patience", required_argument, NULL, 'P' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
set_option(struct options *o, int c, char *arg)
{
	switch (c) {
	case 's': o->address = arg; break;
	case 'g': add_group(o, arg); break;
	case 'w': o->warm_up = seconds(arg); break;
	case 'd': o->seconds = seconds(arg); break;
	case 't': o->loops = (unsigned)number(arg, LOOPS_MAX); break;
	case 'p': o->pid = (pid_t)number(arg, 1ul << 30); break;
	case 'A': o->apart = arg; break;
	case 'W': o->wait = true; break;
	case 'P': o->patience = seconds(arg); break;
	case 'h': usage(stdout); exit(0);
	default: usage(stderr); exit(2);
	}
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "s:g:w:d:t:p:h", long_options,
		    NULL)) != -1)
		set_option(o, c, optarg);
	if (optind != argc || o->address == NULL || o->loops == 0 ||
	    o->seconds <= 0) {
		usage(stderr);
		exit(2);
	}
}

/* ---- Before ---- */

_Noreturn static void
give_up(const char *what, const char *why)
{
	fprintf(stderr, "muxbench: %s: %s\n", what, why);
	exit(1);
}

static int
by_udid(const void *a, const void *b)
{
	const struct muxclient_device *x = a, *y = b;

	return strcmp(x->udid, y->udid);
}

/* The daemon's phones, in an order that is every daemon's. */
static void
find_phones(struct bench *b)
{
	enum muxclient_error error;
	size_t count;

	error = muxclient_list(b->mc, &b->phones, &count);
	if (error != MUXCLIENT_OK)
		give_up(b->o.address, muxclient_strerror(error));
	b->phone_count = (unsigned)count;
	qsort(b->phones, count, sizeof *b->phones, by_udid);
	for (unsigned i = 0; i < b->o.group_count; i++) {
		struct group *g = &b->o.groups[i];

		if (g->last == 0)
			g->last = b->phone_count;
		if (g->last > b->phone_count || g->last < g->first)
			give_up(g->name, "there are not so many phones");
		b->flow_count += (g->last - g->first + 1) * g->connections;
	}
}

static void
connect_flow(struct bench *b, struct flow *f)
{
	enum muxclient_error error;

	if (f->group->kind->start == connect_start) {
		if (!connect_prepare(f))
			give_up(f->group->name, "out of memory");
		return;
	}
	error = muxclient_connect(b->mc, f->phone->id, f->group->kind->port,
	    &f->fd);
	if (error != MUXCLIENT_OK)
		give_up(f->group->name, muxclient_strerror(error));
}

/* Flows of a phone are spread over the loops, and those of a group, too. */
static void
make_flows(struct bench *b)
{
	struct flow *f;
	unsigned n = 0;

	b->flows = calloc(b->flow_count + 1, sizeof *b->flows);
	b->loops = calloc(b->o.loops, sizeof *b->loops);
	if (b->flows == NULL || b->loops == NULL)
		give_up("connections", "out of memory");
	for (unsigned i = 0; i < b->o.loops; i++)
		if (!loop_open(&b->loops[i], b))
			give_up("a thread's epoll", strerror(errno));
	for (unsigned i = 0; i < b->o.group_count; i++) {
		const struct group *g = &b->o.groups[i];
		const unsigned phones = g->last - g->first + 1;

		for (unsigned k = 0; k < phones * g->connections; k++, n++) {
			f = &b->flows[n];
			f->group = g;
			f->loop = &b->loops[n % b->o.loops];
			f->phone_index = g->first - 1 + k % phones;
			f->phone = &b->phones[f->phone_index];
			f->fd = -1;
			/* The phone's own pattern begins at its begin. */
			f->shift = g->kind->port == 7 ? 13 * (uint64_t)n : 0;
			connect_flow(b, f);
		}
	}
}

static void
wait_for_line(void)
{
	puts("connected");
	fflush(stdout);
	for (int c = 0; c != '\n' && c != EOF;)
		c = getchar();
}

/* ---- The time ---- */

/* False when a flow fails before the time is over. */
static bool
pass(struct bench *b, struct moment until)
{
	struct pollfd p = { .fd = b->alarm, .events = POLLIN };
	struct moment now = clock_now();

	for (; moment_before(now, until); now = clock_now())
		if (poll(&p, 1, moment_poll_timeout(now, until)) > 0)
			return false;
	return true;
}

static double
own_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
probe_daemon(struct bench *b, struct probe *p)
{
	if (b->o.pid != 0 && !probe_take(p, b->o.pid, b->o.apart))
		give_up("the daemon", "its process has ended");
}

static void
measure(struct bench *b)
{
	const double cpu = own_cpu();

	probe_daemon(b, &b->before);
	atomic_store_explicit(&b->phase, PHASE_MEASURE, memory_order_relaxed);
	b->begin = clock_now();
	pass(b, moment_after_ms(b->begin, (int64_t)(b->o.seconds * 1000)));
	b->end = clock_now();
	atomic_store_explicit(&b->phase, PHASE_WARM_UP, memory_order_relaxed);
	probe_daemon(b, &b->after);
	b->load_cpu = own_cpu() - cpu;
}

static void
run(struct bench *b)
{
	struct moment start;
	int error;

	for (unsigned i = 0; i < b->o.loops; i++) {
		error = thread_start(&b->loops[i].thread, "muxbench",
		    loop_main, &b->loops[i]);
		if (error != 0)
			give_up("a thread", strerror(error));
	}
	start = clock_now();
	if (b->o.pid != 0)
		probe_reset_peak(b->o.pid);
	if (pass(b, moment_after_ms(start, (int64_t)(b->o.warm_up * 1000))))
		measure(b);
	atomic_store_explicit(&b->phase, PHASE_OVER, memory_order_relaxed);
	for (unsigned i = 0; i < b->o.loops; i++)
		eventfd_write(b->loops[i].wake, 1);
	for (unsigned i = 0; i < b->o.loops; i++)
		thread_join(&b->loops[i].thread);
}

static void
bench_free(struct bench *b)
{
	for (unsigned i = 0; i < b->flow_count; i++) {
		if (b->flows[i].fd >= 0)
			close(b->flows[i].fd);
		free(b->flows[i].request.bytes);
		free(b->flows[i].answer);
	}
	for (unsigned i = 0; i < b->o.loops; i++)
		loop_close(&b->loops[i]);
	free(b->flows);
	free(b->loops);
	free(b->phones);
	close(b->alarm);
	muxclient_free(b->mc);
}

int
main(int argc, char **argv)
{
	struct bench b = { .o = { .loops = 1, .warm_up = 0.3, .seconds = 1,
		.patience = 20 }, .mc = muxclient_new(),
		.lock = PTHREAD_MUTEX_INITIALIZER };
	bool ok;

	parse_options(&b.o, argc, argv);
	pattern_init();
	b.alarm = eventfd(0, EFD_CLOEXEC);
	b.daemon.sun_family = AF_UNIX;
	if (b.mc == NULL || b.alarm < 0)
		give_up("start", strerror(errno));
	if (strlen(b.o.address) >= sizeof b.daemon.sun_path ||
	    muxclient_set_address(b.mc, b.o.address) != MUXCLIENT_OK)
		bad_usage("no path of a socket:", b.o.address);
	strcpy(b.daemon.sun_path, b.o.address);
	muxclient_set_program(b.mc, "muxbench", NULL);
	muxclient_set_timeout(b.mc, (int)(b.o.patience * 1000));
	find_phones(&b);
	make_flows(&b);
	if (b.o.wait)
		wait_for_line();
	run(&b);
	ok = bench_report(&b);
	bench_free(&b);
	return ok ? 0 : 1;
}
