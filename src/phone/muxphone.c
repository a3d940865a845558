/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "phone/farm.h"

#define EXIT_VIOLATIONS 1
#define EXIT_TROUBLE 2

/* For the handler, which has nothing else to go by. */
static struct farm *the_farm;

static void
on_signal(int number)
{
	(void)number;
	the_farm->quitting = true;
	farm_wake(the_farm);
}

static void
catch_signals(struct farm *f)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	the_farm = f;
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* Whoever asks again while it ends has been heard; and there is no farm any
 * more for the handler. */
static void
ignore_signals(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
}

/* Whoever reads our output waits for that line; and must hear of it when it
 * cannot be written. */
static int
say_ready(struct cause *why)
{
	puts("ready");
	if (fflush(stdout) != 0)
		return cause_set(why, "cannot write to standard output");
	return 0;
}

static int
run(struct farm *f, const struct options *o, struct cause *why)
{
	if (farm_start(f, o, why) < 0)
		return -1;
	catch_signals(f);
	if (say_ready(why) < 0) {
		ignore_signals();
		return -1;
	}
	farm_run(f);
	ignore_signals();
	return 0;
}

/* What is left to do when the phones have gone. */
static int
conclude(struct farm *f, const struct options *o)
{
	const uint64_t violations = farm_violations(f);
	struct cause why;

	if (o->report != NULL && farm_report(f, o->report, &why) < 0) {
		fprintf(stderr, "muxphone: %s\n", why.text);
		return EXIT_TROUBLE;
	}
	if (violations == 0)
		return EXIT_SUCCESS;
	log_warning("violations of the protocol: %llu",
	    (unsigned long long)violations);
	return EXIT_VIOLATIONS;
}

int
muxphone_main(int argc, char **argv)
{
	struct farm farm = { 0 };
	struct options options;
	struct cause why;
	int status = EXIT_SUCCESS;
	const enum options_result parsed =
	    options_parse(&options, argc, argv, &why);

	if (parsed == OPTIONS_RUN) {
		if (options.verbose)
			log_set_level(LOG_LEVEL_INFO);
		if (run(&farm, &options, &why) < 0)
			status = EXIT_TROUBLE;
		farm_stop(&farm, &options);
	} else if (parsed == OPTIONS_BAD)
		status = EXIT_TROUBLE;
	if (status == EXIT_TROUBLE)
		fprintf(stderr, "muxphone: %s\n", why.text);
	else if (parsed == OPTIONS_RUN)
		status = conclude(&farm, &options);
	farm_fini(&farm);
	options_fini(&options);
	return status;
}
