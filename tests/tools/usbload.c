/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usbload.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULTS_SHOWN 20

static const struct mode modes[] = {
	{ "in", "read BYTES, DEPTH transfers in flight", run_async_in },
	{ "out", "write BYTES, DEPTH transfers in flight", run_async_out },
	{ "loop", "write BYTES, compare what comes back (loop)", run_loop },
	{ "cancel", "cancel COUNT transfers that would wait (loop)",
	    run_cancel },
	{ "timeout", "COUNT transfers that time out (loop)", run_timeout },
	{ "storm", "COUNT transfers, each cancelled at a random time",
	    run_storm },
	{ "events", "every way to handle events", run_events },
	{ "threads", "THREADS threads that handle events and read, COUNT each",
	    run_threads },
	{ "hotplug", "tell of arrivals and departures until a line comes",
	    run_hotplug },
	{ "control", "COUNT control transfers, written and read back",
	    run_control },
	{ "interface", "configurations, interfaces, halted endpoints",
	    run_interface },
	{ "iso", "COUNT isochronous transfers each way", run_iso },
	{ "play", "standard input, in isochronous packets of SIZE bytes, to "
	    "INTERFACE:SETTING:ENDPOINT", run_play },
	{ "attach", "COUNT times: open, claim, transfer, close", run_attach },
	{ "once", "a whole short conversation; 3: the device was lost",
	    run_once },
	{ "gone", "transfers in flight until the device is lost", run_gone },
	{ "fork", "parent and child with a connection each", run_fork },
};

static atomic_uint faults;
static const char *_Atomic stage_text = "starting";

/* ---- Reports ---- */

static void __attribute__((format(printf, 1, 0)))
say_fault(const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof text, fmt, ap);
	if (atomic_fetch_add(&faults, 1) < FAULTS_SHOWN)
		fprintf(stderr, "usbload: at '%s': %s\n",
		    (const char *)stage_text, text);
}

void
fault(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_fault(fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_fault(fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

unsigned
fault_count(void)
{
	return faults;
}

void
result(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
expect(int wanted, int rc, const char *what)
{
	if (wanted > 0 && rc != wanted)
		fault("%s: wanted %d, got %d", what, wanted, rc);
	else if (rc != wanted)
		fault("%s: wanted %s, got %s (%d)", what,
		    libusb_error_name(wanted), libusb_error_name(rc), rc);
}

void
expect_status(enum libusb_transfer_status wanted,
    const struct libusb_transfer *t, const char *what)
{
	if (t->status != wanted)
		fault("%s: transfer ended with status %d instead of %d", what,
		    (int)t->status, (int)wanted);
}

/* ---- The watch over it ---- */

static void
on_alarm(int sig)
{
	static const char intro[] = "usbload: hangs at '";
	const char *text = stage_text;

	(void)sig;
	(void)!write(STDERR_FILENO, intro, sizeof intro - 1);
	(void)!write(STDERR_FILENO, text, strlen(text));
	(void)!write(STDERR_FILENO, "'\n", 2);
	_exit(4);
}

void
stage(const struct options *o, const char *what)
{
	stage_text = what;
	alarm(o->patience_s);
}

/* ---- Command line ---- */

static int
usage(void)
{
	fprintf(stderr,
	    "usage: usbload [OPTION]... MODE [ARGUMENT]\n"
	    "  -d VID:PID   the device (0525:a4a0)\n"
	    "  -k N         the N-th of them, from 0\n"
	    "  -n COUNT     as MODE understands it (1000)\n"
	    "  -q DEPTH     transfers in flight (32)\n"
	    "  -s SIZE      bytes of a transfer (16384)\n"
	    "  -b BYTES     in all, with K, M or G (64M)\n"
	    "  -T THREADS   (4)\n"
	    "  -p PATTERN   of the device: 0, 1 (mod 63), none (0)\n"
	    "  -P SECONDS   a stage may take (60)\n"
	    "  -S SEED      of what is random (1)\n"
	    "modes:\n");
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		fprintf(stderr, "  %-10s %s\n", modes[i].name, modes[i].help);
	return 2;
}

static bool
parse_bytes(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;

	*out = strtoull(text, &end, 10);
	if (end == text)
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0')
		return false;
	*out <<= 10 * (unit - units + 1);
	return true;
}

static bool
parse_number(const char *text, unsigned least, unsigned most, unsigned *out)
{
	uint64_t n;

	if (!parse_bytes(text, &n) || n < least || n > most)
		return false;
	*out = (unsigned)n;
	return true;
}

static bool
parse_ids(const char *text, struct options *o)
{
	char *end;

	o->vendor = (uint16_t)strtoul(text, &end, 16);
	if (*end != ':')
		return false;
	o->product = (uint16_t)strtoul(end + 1, &end, 16);
	return *end == '\0';
}

static bool
parse_pattern(const char *text, struct options *o)
{
	static const char *const names[] = { "0", "1", "none" };

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			o->content = (enum content)i;
			return true;
		}
	return false;
}

static bool
parse_option(struct options *o, int c, const char *text)
{
	unsigned size;

	switch (c) {
	case 'd':
		return parse_ids(text, o);
	case 'k':
		return parse_number(text, 0, 255, &o->nth);
	case 'n':
		return parse_number(text, 1, 1u << 30, &o->count);
	case 'q':
		return parse_number(text, 1, DEPTH_MAX, &o->depth);
	case 's':
		if (!parse_number(text, 1, 16u << 20, &size))
			return false;
		o->size = size;
		return true;
	case 'b':
		return parse_bytes(text, &o->bytes);
	case 'T':
		return parse_number(text, 1, THREADS_MAX, &o->threads);
	case 'p':
		return parse_pattern(text, o);
	case 'P':
		return parse_number(text, 1, 3600, &o->patience_s);
	case 'S':
		return parse_bytes(text, &o->seed);
	default:
		return false;
	}
}

int
main(int argc, char **argv)
{
	struct options o = { .vendor = 0x0525, .product = 0xa4a0,
		.count = 1000, .depth = 32, .threads = 4, .patience_s = 60,
		.size = 16384, .bytes = 64u << 20, .seed = 1 };
	const struct mode *mode = NULL;
	int c;

	while ((c = getopt(argc, argv, "d:k:n:q:s:b:T:p:P:S:")) != -1)
		if (!parse_option(&o, c, optarg))
			return usage();
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (optind < argc && strcmp(argv[optind], modes[i].name) == 0)
			mode = &modes[i];
	if (mode == NULL || optind + 2 < argc)
		return usage();
	o.argument = argv[optind + 1];
	signal(SIGALRM, on_alarm);
	stage(&o, mode->name);
	mode->run(&o);
	alarm(0);
	if (faults > 0)
		fprintf(stderr, "usbload: %s: %u faults\n", mode->name, faults);
	return faults > 0;
}
