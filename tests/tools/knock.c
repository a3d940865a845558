/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Clients that come at any moment of a daemon's life:
 *
 *	knock ADDRESS COUNT MILLISECONDS
 *
 * COUNT clients, one after the other, each after a random pause of up to
 * MILLISECONDS: connects, asks, wants the answer.  Prints how many were served,
 * refused (there was nobody to connect to), and lost: let in, then dropped
 * without an answer.  The exit status is 1 when one was lost.
 */

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sock.h"

#define CONNECT_MS 10000
#define ANSWER_MS 20000

enum outcome { SERVED, REFUSED, LOST, OUTCOMES };

/* A binary CONNECT to a device that there is not, and its RESULT. */
static bool
is_answered(int fd)
{
	const uint8_t request[24] = { 24, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0,
		0, 0, 0xff, 0xff };
	uint8_t answer[20];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return sock_send_all(fd, request, sizeof request) == 0 &&
	    poll(&pfd, 1, ANSWER_MS) == 1 &&
	    sock_recv_all(fd, answer, sizeof answer) == 0 && answer[8] == 1;
}

static enum outcome
knock(const struct sock_addr *addr)
{
	struct cause why;
	const int fd = sock_connect(addr, CONNECT_MS, &why);
	bool answered;

	if (fd < 0)
		return REFUSED;
	answered = is_answered(fd);
	close(fd);
	return answered ? SERVED : LOST;
}

int
main(int argc, char **argv)
{
	unsigned count[OUTCOMES] = { 0 };
	struct sock_addr addr;
	struct cause why;
	int pause_ms;

	if (argc != 4 || sock_addr_parse(&addr, argv[1], NULL, &why) < 0) {
		fprintf(stderr, "usage: knock ADDRESS COUNT MILLISECONDS\n");
		return 2;
	}
	pause_ms = atoi(argv[3]);
	srandom((unsigned)getpid());
	for (int i = atoi(argv[2]); i > 0; i--) {
		poll(NULL, 0, (int)(random() % (pause_ms + 1)));
		count[knock(&addr)]++;
	}
	printf("%u served, %u refused, %u lost\n", count[SERVED],
	    count[REFUSED], count[LOST]);
	return count[LOST] > 0;
}
