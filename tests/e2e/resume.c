/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "muxclient.h"

/*
 * resume DEVICE-ID: how long a phone's stream takes to go on after a client
 * that had let its window fill has taken all there was.
 *
 * Connects to the phone's chargen service and reads nothing.  For each line on
 * standard input it reads until nothing is left, then prints the microseconds
 * until there is more.  Ends with standard input.
 */

#define CHARGEN_PORT 19

/* Reads until nothing is left; false when the stream has ended. */
static bool
drain(int fd, uint64_t *total)
{
	static char bytes[1 << 16];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		*total += (uint64_t)n;
	return n < 0 && errno == EAGAIN;
}

static bool
measure(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t total = 0;
	struct moment since;

	if (!drain(fd, &total))
		return false;
	since = clock_now();
	if (poll(&pfd, 1, 10000) != 1)
		return false;
	printf("%llu %llu\n",
	    (unsigned long long)((clock_now().ns - since.ns) / 1000),
	    (unsigned long long)total);
	fflush(stdout);
	return true;
}

int
main(int argc, char **argv)
{
	struct muxclient *mc = muxclient_new();
	enum muxclient_error error;
	char line[64];
	int fd;

	if (argc != 2 || mc == NULL)
		return 2;
	error = muxclient_connect(mc, (uint32_t)strtoul(argv[1], NULL, 10),
	    CHARGEN_PORT, &fd);
	if (error != MUXCLIENT_OK) {
		fprintf(stderr, "resume: %s\n", muxclient_strerror(error));
		return 1;
	}
	puts("connected");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL)
		if (!measure(fd)) {
			fprintf(stderr, "resume: the stream did not go on\n");
			return 1;
		}
	close(fd);
	muxclient_free(mc);
	return 0;
}
