/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What muxctl says of devices, asked by the client protocol, which every
 * usbmuxd speaks:
 *
 *	muxlisten SOCKET list		as `muxctl --json list`, shorter
 *	muxlisten SOCKET watch		as `muxctl --json watch`, the same
 */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "muxclient.h"

#define ANSWER_MS 10000

static void
must(enum muxclient_error error)
{
	if (error == MUXCLIENT_OK)
		return;
	fprintf(stderr, "muxlisten: %s\n", muxclient_strerror(error));
	exit(1);
}

static void
list(const struct muxclient *mc)
{
	struct muxclient_device *devices;
	size_t count;

	must(muxclient_list(mc, &devices, &count));
	putchar('[');
	for (size_t i = 0; i < count; i++)
		printf("%s{\"id\":%" PRIu32 ",\"udid\":\"%s\"}",
		    i > 0 ? "," : "", devices[i].id, devices[i].udid);
	puts("]");
	free(devices);
}

static void
print(const struct muxclient_event *e)
{
	if (e->type == MUXCLIENT_ATTACHED)
		printf("{\"event\":\"attached\",\"id\":%" PRIu32
		    ",\"udid\":\"%s\"}\n", e->id, e->device.udid);
	else if (e->type == MUXCLIENT_DETACHED)
		printf("{\"event\":\"detached\",\"id\":%" PRIu32 "}\n", e->id);
}

/* Until the daemon ends. */
static void
watch(const struct muxclient *mc)
{
	struct muxclient_watch *w;
	struct muxclient_event e;

	must(muxclient_watch_open(mc, &w));
	for (;;) {
		struct pollfd pfd = { .fd = muxclient_watch_fd(w),
			.events = POLLIN };
		const enum muxclient_error error = muxclient_watch_next(w, &e);

		if (error == MUXCLIENT_AGAIN) {
			poll(&pfd, 1, -1);
			continue;
		}
		must(error);
		print(&e);
	}
}

int
main(int argc, char **argv)
{
	struct muxclient *mc = muxclient_new();

	if (argc != 3 || mc == NULL) {
		fprintf(stderr, "usage: muxlisten SOCKET list|watch\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	must(muxclient_set_address(mc, argv[1]));
	muxclient_set_timeout(mc, ANSWER_MS);
	if (strcmp(argv[2], "watch") == 0)
		watch(mc);
	else
		list(mc);
	muxclient_free(mc);
	return 0;
}
