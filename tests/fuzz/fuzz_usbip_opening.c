/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "usbip/server.h"

/*
 * The USB/IP server engine and what a client may begin with: the input is all
 * that it says.  Whatever that is, the engine answers what it understands, hangs
 * up in the end, and lets its device go.
 */

#define INPUT_MAX 4096
#define PATIENCE_S 10

static struct usbip_device device;

static void
fuzz_submit(struct usbip_device *dev, struct usbip_urb *u)
{
	(void)dev;
	usbip_urb_complete(u, USBIP_EPIPE, 0);
}

static void
fuzz_cancel(struct usbip_device *dev, struct usbip_urb *u)
{
	(void)dev;
	(void)u;
}

static const struct usbip_device_ops ops = {
	.submit = fuzz_submit,
	.cancel = fuzz_cancel,
};

static struct usbip_server *
start_server(void)
{
	const struct usbip_description desc = {
		.device = { .busid = "1-1", .bus = 1, .address = 2,
		    .interface_count = 1 },
		.info = (const uint8_t *)"\1\0\0\0\0\0\0\2hi", .info_len = 10 };
	struct usbip_server *server;
	struct cause why;

	log_set_level(LOG_LEVEL_FATAL);
	device.ops = &ops;
	server = usbip_server_new(&why);
	MUST(server != NULL);
	MUST(usbip_server_plug(server, &device, &desc, &why) == 0);
	return server;
}

/* Reads to the end, which must come. */
static void
drain(int fd)
{
	uint8_t sink[4096];
	ssize_t n;

	do {
		n = recv(fd, sink, sizeof sink, 0);
		MUST(n >= 0 || errno == ECONNRESET || errno == EINTR);
	} while (n > 0 || (n < 0 && errno == EINTR));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct usbip_server *server;
	struct cause why;
	int pair[2];

	if (len > INPUT_MAX)
		return 0;
	server = start_server();
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof patience);
	MUST(usbip_server_adopt(server, pair[0], NULL, NULL, &why) == 0);
	(void)send(pair[1], bytes, len, MSG_NOSIGNAL);
	shutdown(pair[1], SHUT_WR);
	drain(pair[1]);
	close(pair[1]);
	usbip_server_free(server);
	return 0;
}
