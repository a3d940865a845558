/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "usbip/importer.h"
#include "usbnet/launch.h"

/*
 * Whether a server is one, before the command starts: a program that finds no
 * devices seldom says why.
 */

int
probe_fd(int fd, const char *name, probe_wait *wait, void *arg,
    struct cause *why)
{
	struct usbip_device_entry *entries;
	struct cause what;
	size_t count;
	int rc;

	if (!importer_request_list(fd, false))
		return cause_set(why, "%s closed the connection: is it a "
		    "USB/IP server?", name);
	rc = importer_receive_list(fd, wait, arg, &entries, &count, &what);
	if (rc < 0)
		return cause_set(why, "%s is no server for us: %s", name,
		    what.text);
	if (rc == 0)
		return cause_set(why, "%s gave no answer: is it a USB/IP "
		    "server?", name);
	free(entries);
	return 0;
}

static bool
wait_until(void *arg, int fd)
{
	const struct moment *deadline = arg;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&pfd, 1, moment_poll_timeout(clock_now(), *deadline));
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

int
probe_server(const struct sock_addr *server, int timeout_ms, struct cause *why)
{
	struct moment deadline = moment_after_ms(clock_now(), timeout_ms);
	char name[SOCK_ADDR_TEXT_MAX];
	struct cause what;
	int fd, rc;

	fd = sock_connect(server, timeout_ms, &what);
	if (fd < 0)
		return cause_set(why, "%s: is usbexportd running there, and is "
		    "the address right?", what.text);
	rc = probe_fd(fd, sock_addr_text(name, server), wait_until, &deadline,
	    why);
	close(fd);
	return rc;
}
