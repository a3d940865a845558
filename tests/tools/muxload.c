/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "muxload.h"
#include "muxload_stream.h"

const struct command commands[] = {
	{ "echo", "[SIZE]", "send SIZE bytes, compare what comes back", 7,
	    run_echo },
	{ "discard", "[SIZE]", "send SIZE bytes", 9, run_discard },
	{ "chargen", "[SIZE]", "receive SIZE bytes of RFC 864's pattern", 19,
	    run_chargen },
	{ "stall", "[SIZE]", "the same, but read nothing before a line comes "
	    "on standard input", 19, run_stall },
	{ "burst", "[SIZE]", "receive SIZE bytes of the pattern, then the end",
	    13, run_burst },
	{ "sizes", "LIST", "echo each size of the list in one write", 7,
	    run_sizes },
	{ "connect", "[N]", "connect and close N times, one after another", 7,
	    run_connect },
	{ "ping", "[N]", "N round trips of --chunk bytes (1)", 7, run_ping },
	{ "idle", "[N]", "hold N connections until standard input ends", 7,
	    run_idle },
	{ "greet", "", "hear who speaks first, then echo", 1, run_greet },
	{ "info", "", "ask lockdown for the device's name and version", 62078,
	    run_info },
	{ NULL, NULL, NULL, 0, NULL },
};

static void
usage(FILE *to)
{
	fprintf(to, "usage: muxload [-s SOCKET] [-d ID | -u UDID | --all] "
	    "[-c CONNECTIONS] [OPTION...]\n               COMMAND "
	    "[ARGUMENT]\n\n");
	for (const struct command *c = commands; c->name != NULL; c++)
		fprintf(to, "  %-8s %-7s %s\n", c->name, c->argument,
		    c->purpose);
	fprintf(to,
	    "\n  --port P       another port than the command's own\n"
	    "  --chunk SIZE   bytes of one write (64K)\n"
	    "  --rate SIZE    read no more than that in a second\n"
	    "  --time S       go on for so many seconds\n"
	    "  --seed N       of the bytes that are sent\n"
	    "  --patience S   give up when no byte moves for so long (60)\n"
	    "  --refused      connect: each one must be refused\n"
	    "  --progress     a bar on standard error\n"
	    "  --json         the results as one JSON object\n"
	    "\nA SIZE may end in K, M or G.  The exit status is 1 when "
	    "anything was not as it\nshould be.\n");
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "device", required_argument, NULL, 'd' },
	{ "udid", required_argument, NULL, 'u' },
	{ "connections", required_argument, NULL, 'c' },
	{ "all", no_argument, NULL, 'a' },
	{ "port", required_argument, NULL, 'P' },
	{ "chunk", required_argument, NULL, 'C' },
	{ "rate", required_argument, NULL, 'R' },
	{ "time", required_argument, NULL, 'T' },
	{ "seed", required_argument, NULL, 'S' },
	{ "patience", required_argument, NULL, 'W' },
	{ "refused", no_argument, NULL, 'r' },
	{ "progress", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static uint64_t
size_option(const char *text)
{
	uint64_t size;

	if (!parse_size(text, &size)) {
		fprintf(stderr, "muxload: '%s' is not a number or a size\n",
		    text);
		exit(2);
	}
	return size;
}

static void
set_option(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 's': o->socket = arg; break;
	case 'u': o->udid = arg; break;
	case 'd': o->device_id = (uint32_t)size_option(arg); break;
	case 'c': o->connections = (unsigned)size_option(arg); break;
	case 'a': o->all = true; break;
	case 'P': o->port = (unsigned)size_option(arg); break;
	case 'C': o->chunk = size_option(arg); break;
	case 'R': o->rate = size_option(arg); break;
	case 'T': o->seconds = strtod(arg, NULL); break;
	case 'S': o->seed = size_option(arg); break;
	case 'W': o->patience = strtod(arg, NULL); break;
	case 'r': o->refused = true; break;
	case 'p': o->progress = true; break;
	case 'j': o->json = true; break;
	case 'h': usage(stdout); exit(0);
	default: usage(stderr); exit(2);
	}
}

static const struct command *
parse_options(struct options *o, int argc, char **argv)
{
	const struct command *c = commands;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:u:d:c:h", long_options,
		    NULL)) != -1)
		set_option(o, opt, optarg);
	if (optind == argc || argc - optind > 2 || o->chunk == 0 ||
	    o->chunk > 1u << 30 || o->connections == 0 || o->patience <= 0) {
		usage(stderr);
		exit(2);
	}
	o->command = argv[optind];
	o->argument = argv[optind + 1];
	while (c->name != NULL && strcmp(c->name, o->command) != 0)
		c++;
	if (c->name == NULL) {
		fprintf(stderr, "muxload: no command '%s'\n", o->command);
		exit(2);
	}
	return c;
}

/* ---- Devices ---- */

static bool
chosen(const struct options *o, const struct muxclient_device *d)
{
	if (o->device_id != 0)
		return d->id == o->device_id;
	if (o->udid != NULL)
		return strcmp(d->udid, o->udid) == 0;
	return true;
}

/* The devices to use, at the list's start; exits when there are none. */
static unsigned
choose(const struct options *o, const struct muxclient *mc,
    struct muxclient_device **list)
{
	enum muxclient_error error;
	size_t count;
	unsigned n = 0;

	error = muxclient_list(mc, list, &count);
	if (error != MUXCLIENT_OK) {
		fprintf(stderr, "muxload: %s: %s\n", muxclient_address(mc),
		    muxclient_strerror(error));
		exit(1);
	}
	for (size_t i = 0; i < count; i++)
		if (chosen(o, &(*list)[i]))
			(*list)[n++] = (*list)[i];
	if (n == 0) {
		fprintf(stderr, "muxload: no such device is attached\n");
		exit(1);
	}
	return o->all ? n : 1;
}

/* ---- Jobs ---- */

static const struct command *current;

static void *
job_main(void *arg)
{
	struct job *job = arg;

	current->run(job);
	job->done = true;
	return NULL;
}

static void
raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static bool
run_jobs(const struct options *o, struct job *jobs, unsigned count)
{
	const struct moment start = clock_now();
	unsigned started = 0;
	bool ok;

	for (; started < count; started++)
		if (thread_start(&jobs[started].thread, "muxload", job_main,
			&jobs[started]) != 0)
			break;
	for (unsigned i = started; i < count; i++) {
		job_fail(&jobs[i], "no thread");
		jobs[i].done = true;
	}
	progress_show(o, jobs, count);
	for (unsigned i = 0; i < started; i++)
		thread_join(&jobs[i].thread);
	ok = report(o, jobs, count, (double)(clock_now().ns - start.ns) / 1e9);
	for (unsigned i = 0; i < count; i++)
		free(jobs[i].samples);
	return ok;
}

int
main(int argc, char **argv)
{
	struct options o = { .connections = 1, .chunk = 65536, .seed = 1,
		.patience = 60 };
	struct muxclient *mc = muxclient_new();
	struct muxclient_device *devices;
	struct job *jobs;
	unsigned count;
	bool ok;

	current = parse_options(&o, argc, argv);
	if (o.socket != NULL &&
	    muxclient_set_address(mc, o.socket) != MUXCLIENT_OK) {
		fprintf(stderr, "muxload: '%s' is no address\n", o.socket);
		return 2;
	}
	muxclient_set_program(mc, "muxload", NULL);
	muxclient_set_timeout(mc, (int)(o.patience * 1000));
	raise_file_limit();
	pattern_init();

	count = choose(&o, mc, &devices) * o.connections;
	jobs = calloc(count, sizeof *jobs);
	if (jobs == NULL) {
		fprintf(stderr, "muxload: out of memory\n");
		return 1;
	}
	for (unsigned i = 0; i < count; i++) {
		jobs[i].o = &o;
		jobs[i].mc = mc;
		jobs[i].number = i + 1;
		jobs[i].device = devices[i / o.connections];
	}
	ok = run_jobs(&o, jobs, count);
	free(jobs);
	free(devices);
	muxclient_free(mc);
	return ok ? 0 : 1;
}
