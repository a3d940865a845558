/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Disturbs phones that muxd serves, and wants it to get over that:
 *
 *	shake [OPTION...] cycles N UDID...
 *	shake [OPTION...] race N UDID...
 *	shake [OPTION...] reset N UDID...
 *
 * N rounds in all over muxphone's phones, which are named in its order.  The
 * exit status is 1 when one was not as it should be.
 */
#include "shake.h"

#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A phone is there again so long after the last disturbance. */
#define RECOVERY_MS 10000
/* Disturbances come within so long after the phone is there: about what the
 * bring-up takes. */
#define BRINGUP_MS 700
/* And so long after its stream began. */
#define TRAFFIC_MS 300

/* What passes through a phone that is there again. */
#define PROOF (64 << 10)
/* More than can pass before the disturbance. */
#define ENDLESS (UINT64_C(1) << 40)

struct phone phones[PHONES_MAX];
unsigned phone_count;

void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "shake: ");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

struct moment
in_ms(int64_t ms)
{
	return moment_after_ms(clock_now(), ms);
}

/* ---- One thread a phone ------------------------------------------------- */

void
for_all_phones(void *(*run)(void *), void *args, size_t size)
{
	pthread_t thread[PHONES_MAX];

	for (unsigned i = 0; i < phone_count; i++)
		if (pthread_create(&thread[i], NULL, run,
			(char *)args + i * size) != 0)
			die("no thread");
	for (unsigned i = 0; i < phone_count; i++)
		pthread_join(thread[i], NULL);
}

static int
rounds_of(int rounds, unsigned i)
{
	return (rounds + (int)i) / (int)phone_count;
}

uint32_t
must_list(struct phone *p, int round)
{
	const uint32_t id =
	    mux_await_listed(p, 0, in_ms(RECOVERY_MS * patience));

	if (id == 0)
		die("round %d: phone %u is not listed", round, p->n);
	return id;
}

/* ---- race and reset ----------------------------------------------------- */

/* When a phone is disturbed. */
enum when { BRINGUP, IDLE, ECHOING, RECEIVING, WHENS };
static const char *const when_names[WHENS] = { "bring-up", "idleness",
	"an echo", "a reception" };

#define DISTURBANCES_MAX 3

/* One thread's. */
struct shaker {
	struct phone *phone;
	int rounds;
	unsigned seed; /* of its random numbers */
	bool resets;   /* instead of configurations */
	int own;       /* configuration: the daemon's */
	struct moment last; /* disturbance */

	/* Of the stream that is disturbed. */
	uint32_t id;
	bool one_way;
	enum stream_end end;

	struct times recoveries[WHENS];
	unsigned taken; /* disturbances that found the daemon's choice */
	unsigned disturbances;
};

static int
draw(struct shaker *s, int below)
{
	return (int)((unsigned)rand_r(&s->seed) % (unsigned)below);
}

static void
disturb_once(struct shaker *s, const char *folder)
{
	/* What udev's rule, the kernel and muxd itself choose. */
	const int values[] = { 0, 1, s->own };
	const int value = values[draw(s, 3)];

	s->disturbances++;
	s->taken += host_configuration(folder) == s->own;
	if (s->resets)
		host_reset(folder);
	else
		host_configure(folder, value);
	s->last = clock_now();
}

static void
pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* One to three times within `ms` of now. */
static void
disturb(struct shaker *s, const char *folder, int ms)
{
	const int times = 1 + draw(s, DISTURBANCES_MAX);

	for (int i = 0; i < times; i++) {
		pause_ms(draw(s, ms / times));
		disturb_once(s, folder);
	}
}

static void *
stream_beside(void *arg)
{
	struct shaker *s = arg;

	s->end = stream_run(s->id, s->one_way, ENDLESS, s->phone->n);
	return NULL;
}

/* A stream never outlives what happens to its phone, and has no wrong byte. */
static void
disturb_stream(struct shaker *s, const char *folder, const char *when)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, stream_beside, s) != 0)
		die("no thread");
	disturb(s, folder, TRAFFIC_MS);
	pthread_join(thread, NULL);
	if (s->end != STREAM_ENDED)
		die("phone %u, disturbed amid %s: its stream is %s",
		    s->phone->n, when, stream_end_name(s->end));
}

/* Listed, and all bytes pass; a first try may find the session that has just
 * ended. */
static void
recover(struct shaker *s, uint32_t not, enum when when, int round)
{
	const struct moment until =
	    moment_after_ms(s->last, RECOVERY_MS * patience);
	enum stream_end end = STREAM_ENDED;
	uint32_t id;

	do {
		id = mux_await_listed(s->phone, not, until);
		if (id != 0)
			end = stream_run(id, false, PROOF, (unsigned)round);
	} while (id != 0 && end == STREAM_ENDED &&
	    moment_before(clock_now(), until));
	if (id == 0)
		die("round %d: phone %u, disturbed amid %s, is not listed anew "
		    "within %d ms", round, s->phone->n, when_names[when],
		    RECOVERY_MS * patience);
	if (end != STREAM_DONE)
		die("round %d: phone %u, disturbed amid %s, is listed, but an "
		    "echo is %s", round, s->phone->n, when_names[when],
		    stream_end_name(end));
	times_add(&s->recoveries[when],
	    moment_ms_between(s->last, clock_now()));
}

static void
must_find(const struct phone *p, char folder[HOST_PATH_MAX])
{
	const struct moment until = in_ms(ATTACH_MS);

	while (!host_find(p, folder)) {
		if (!moment_before(clock_now(), until))
			die("the kernel did not get phone %u", p->n);
		pause_ms(2);
	}
}

static void
play(struct shaker *s, int round, enum when when)
{
	char folder[HOST_PATH_MAX];

	s->id = 0;
	must_find(s->phone, folder);
	if (when == BRINGUP) {
		disturb(s, folder, BRINGUP_MS);
	} else {
		s->id = must_list(s->phone, round);
		s->one_way = when == RECEIVING;
		if (when == IDLE)
			disturb(s, folder, TRAFFIC_MS);
		else
			disturb_stream(s, folder, when_names[when]);
	}
	recover(s, s->id, when, round);
}

static void
replug(struct shaker *s, int round)
{
	mux_command("unplug", s->phone);
	if (!mux_await_gone(s->phone, in_ms(RECOVERY_MS * patience)))
		die("round %d: phone %u was unplugged and is listed on", round,
		    s->phone->n);
	mux_command("plug", s->phone);
}

/* Every other round is about the bring-up of a phone that has just come. */
static void *
shake(void *arg)
{
	struct shaker *s = arg;

	for (int i = 1; i <= s->rounds; i++) {
		const enum when when =
		    i % 2 != 0 ? BRINGUP : (enum when)(1 + draw(s, WHENS - 1));

		if (when == BRINGUP)
			replug(s, i);
		play(s, i, when);
	}
	return NULL;
}

static void
print_sums(const struct shaker *all)
{
	unsigned disturbances = 0, taken = 0;

	for (unsigned i = 0; i < phone_count; i++) {
		disturbances += all[i].disturbances;
		taken += all[i].taken;
	}
	printf("%u disturbances, %u of which found the daemon's "
	    "configuration\n", disturbances, taken);
	for (int w = 0; w < WHENS; w++) {
		static struct times sum;

		sum.count = 0;
		for (unsigned i = 0; i < phone_count; i++)
			times_sum(&sum, &all[i].recoveries[w]);
		times_print(&sum, when_names[w]);
	}
}

static int
shake_all(int rounds, bool resets)
{
	static struct shaker all[PHONES_MAX];

	for (unsigned i = 0; i < phone_count; i++) {
		char folder[HOST_PATH_MAX];

		must_list(&phones[i], 0);
		must_find(&phones[i], folder);
		all[i] = (struct shaker){ .phone = &phones[i],
			.rounds = rounds_of(rounds, i),
			.seed = i + 1,
			.resets = resets,
			.own = host_configuration(folder) };
	}
	for_all_phones(shake, all, sizeof all[0]);
	print_sums(all);
	return 0;
}

static int
race(int rounds)
{
	return shake_all(rounds, false);
}

static int
reset(int rounds)
{
	return shake_all(rounds, true);
}

/* ---- Main --------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(int rounds);
} commands[] = {
	{ "cycles", cycles },
	{ "race", race },
	{ "reset", reset },
};

static int
run(const char *name, int rounds)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(rounds);
	die("'%s' is no command", name);
}

int
main(int argc, char **argv)
{
	const char *daemon = NULL, *control = NULL;
	int c;

	while ((c = getopt(argc, argv, "s:c:x:")) != -1)
		switch (c) {
		case 's':
			daemon = optarg;
			break;
		case 'c':
			control = optarg;
			break;
		case 'x':
			patience = atoi(optarg);
			break;
		default:
			return 2;
		}
	if (daemon == NULL || control == NULL || argc - optind < 3 ||
	    argc - optind - 2 > PHONES_MAX)
		die("usage: shake -s MUXD'S-SOCKET -c MUXPHONE'S-CONTROL "
		    "[-x PATIENCE] cycles|race|reset N UDID...");
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = optind + 2; i < argc; i++) {
		phones[phone_count].n = phone_count + 1;
		phones[phone_count++].udid = argv[i];
	}
	mux_open(daemon, control);
	return run(argv[optind], atoi(argv[optind + 1]));
}
