/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "usbip/importer.h"

/*
 * What a hostile server answers to the importer's operations.  The first byte
 * says to which: IMPORT, DEVINFO or DEVLIST; the rest is all that the server
 * says before it closes.
 */

#define INPUT_MAX 65536
#define PATIENCE_MS 10000
#define BUSID "1-1"

static struct {
	struct sock_addr addr;
	int listener;
	const uint8_t *answer;
	size_t len;
} server;

/* One connection: the request, then the answer. */
static void *
serve(void *arg)
{
	const int fd = accept(server.listener, NULL, NULL);
	uint8_t request[USBIP_REQ_IMPORT_SIZE];

	(void)arg;
	MUST(fd >= 0);
	MUST(sock_recv_all(fd, request, sizeof request) == 0);
	(void)sock_send_all(fd, server.answer, server.len);
	close(fd);
	return NULL;
}

static void
listen_once(void)
{
	char dir[] = "/tmp/fuzz-importer-XXXXXX";
	struct cause why;

	if (server.listener > 0)
		return;
	MUST(mkdtemp(dir) != NULL);
	server.addr.is_unix = true;
	snprintf(server.addr.path, sizeof server.addr.path, "%s/s", dir);
	server.listener = sock_listen(&server.addr, 0600, 8, &why);
	MUST(server.listener >= 0);
}

static void
tidy_up(void)
{
	char *slash = strrchr(server.addr.path, '/');

	unlink(server.addr.path);
	*slash = '\0';
	rmdir(server.addr.path);
}

static void
check_device(const struct usbip_device_entry *dev)
{
	MUST(strcmp(dev->busid, BUSID) == 0);
	MUST(memchr(dev->path, '\0', sizeof dev->path) != NULL);
}

static void
import(void)
{
	struct usbip_device_entry dev;
	struct cause why;
	uint32_t status;
	const int fd = importer_attach(&server.addr, BUSID, PATIENCE_MS, &dev,
	    &status, &why);

	if (fd < 0) {
		MUST(strstr(why.text, "timed out") == NULL);
		return;
	}
	MUST(status == USBIP_ST_OK);
	check_device(&dev);
	close(fd);
}

static void
ask_info(void)
{
	struct usbip_device_entry dev;
	struct cause why;
	uint32_t status;
	uint8_t *info;
	size_t len;

	if (importer_ask_info(&server.addr, BUSID, PATIENCE_MS, &dev, &info,
		&len, &status, &why) < 0) {
		MUST(strstr(why.text, "timed out") == NULL);
		return;
	}
	MUST(status == USBIP_ST_OK);
	MUST(len <= USBIP_INFO_MAX && len <= server.len);
	check_device(&dev);
	free(info);
}

static bool
wait_readable(void *arg, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	(void)arg;
	MUST(poll(&pfd, 1, PATIENCE_MS) != 0);
	return true;
}

static void
ask_list(void)
{
	struct usbip_device_entry *entries;
	struct cause why;
	size_t count;
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	MUST(sock_send_all(fds[1], server.answer, server.len) == 0);
	close(fds[1]);
	if (importer_receive_list(fds[0], wait_readable, NULL, &entries,
		&count, &why) > 0) {
		MUST(count <= server.len / USBIP_DEVICE_SIZE);
		free(entries);
	}
	close(fds[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	pthread_t thread;

	if (len == 0 || len > INPUT_MAX)
		return 0;
	server.answer = bytes + 1;
	server.len = len - 1;
	if (bytes[0] % 3 == 2) {
		ask_list();
		return 0;
	}
	listen_once();
	MUST(pthread_create(&thread, NULL, serve, NULL) == 0);
	if (bytes[0] % 3 == 0)
		import();
	else
		ask_info();
	pthread_join(thread, NULL);
	return 0;
}

/* The socket's file goes with the process. */
__attribute__((destructor)) static void
end(void)
{
	if (server.listener > 0)
		tidy_up();
}
