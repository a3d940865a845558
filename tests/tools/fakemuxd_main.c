/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakemuxd.h"

/*
 * fakemuxd PATH [DEVICES]: serves until standard input ends.  A line "attach
 * N" or "detach N" there changes the devices.  Prints "ready" once it listens.
 */
int
main(int argc, char **argv)
{
	struct fake *f;
	char line[64];
	unsigned id;

	if (argc < 2) {
		fprintf(stderr, "usage: fakemuxd PATH [DEVICES]\n");
		return 2;
	}
	f = fake_start(argv[1],
	    argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1, FAKE_SOUND);
	if (f == NULL)
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (sscanf(line, "attach %u", &id) == 1)
			fake_attach(f, id);
		else if (sscanf(line, "detach %u", &id) == 1)
			fake_detach(f, id);
	}
	fake_stop(f);
	return 0;
}
