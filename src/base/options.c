/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/options.h"

#include <stdbool.h>
#include <string.h>

static bool
is_known(const struct option *long_options, int option)
{
	while (long_options->name != NULL && long_options->val != option)
		long_options++;
	return long_options->name != NULL;
}

int
options_refuse(const struct option *long_options, char **argv, int c,
    struct cause *why)
{
	/* It leaves the letter in optopt; of a long option the value, or 0 when
	 * there is no such option. */
	const char letter[3] = { '-', (char)optopt, '\0' };
	const char *word = argv[optind - 1];
	const bool is_long = strncmp(word, "--", 2) == 0;

	if (c == ':')
		return cause_set(why, "option '%.60s' needs a value",
		    is_long ? word : letter);
	if (is_long && optopt != 0 && is_known(long_options, optopt))
		return cause_set(why, "option '%.60s' takes no value", word);
	/* Letters behind an unknown one are still to come: `word` is the one
	 * before. */
	return cause_set(why, "unknown option '%.60s'",
	    optopt != 0 ? letter : word);
}
