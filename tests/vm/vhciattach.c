/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Has the kernel import whatever a USB/IP server plugs in, as soon as it does:
 *
 *	vhciattach ADDRESS [CONTROLLER]
 *
 * Asks as `usbip attach` does and gives the kernel's virtual host controller
 * the connection; but hears of devices by our extension "watch" instead of
 * asking again and again, and so costs nothing in a machine that is emulated.
 * Runs until it is killed; a server that goes may come again.
 *
 * It leaves the controllers before CONTROLLER (0) to others.  `usbip attach`
 * takes the first port that is free, so there comes back what usbexportd exports
 * of these devices; were both on one controller, a change of setting or
 * configuration would wait, under the controller's lock, for that of the
 * original, which wants the lock.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"
#include "wire/usbip.h"

#define CONTROLLER "/sys/devices/platform/vhci_hcd.0/"
#define CONTROLLERS 16
#define PORT_FREE 4 /* usbip_common.h: VDEV_ST_NULL */

#define RETRY_MS 50
#define CONNECT_MS 10000

/* What has been attached; a device that comes again has another address. */
#define DEVICES_MAX 128
struct attached {
	char busid[USBIP_BUSID_SIZE + 1];
	uint32_t address;
};
static struct attached attached[DEVICES_MAX];
static unsigned attached_count;

static const struct sock_addr *server;
static unsigned first; /* of the controllers that are used */

/* ---- The kernel's side -------------------------------------------------- */

/* The first free port of the kind of hub in one controller's table; -1. */
static int
free_port_in(FILE *table, const char *hub)
{
	char line[128], kind[3];
	unsigned port, state;

	while (fgets(line, sizeof line, table) != NULL)
		if (sscanf(line, "%2s %u %u", kind, &port, &state) == 3 &&
		    strcmp(kind, hub) == 0 && state == PORT_FREE)
			return (int)port;
	return -1;
}

static int
free_port_of(unsigned controller, const char *hub)
{
	char path[sizeof CONTROLLER + 16];
	FILE *table;
	int port;

	snprintf(path, sizeof path,
	    controller == 0 ? "%sstatus" : "%sstatus.%u", CONTROLLER,
	    controller);
	table = fopen(path, "r");
	if (table == NULL)
		return -1;
	port = free_port_in(table, hub);
	fclose(table);
	return port;
}

/*
 * Each time at the next controller.  Its hub sees to one device at a time; and
 * a device that came into the port that its like has just left would be taken
 * for that one, before the hub has looked at the port.
 */
static int
free_port(uint32_t speed)
{
	static unsigned next;
	const char *hub = speed >= USBIP_SPEED_SUPER ? "ss" : "hs";
	int port = -1;

	for (unsigned i = first; i < CONTROLLERS && port < 0; i++)
		port = free_port_of(first + next++ % (CONTROLLERS - first),
		    hub);
	return port;
}

/* The kernel takes a reference on the connection. */
static int
give_to_kernel(int fd, const struct usbip_device_entry *dev)
{
	const int port = free_port(dev->speed);
	char order[64];
	int attach, n, written;

	if (port < 0)
		return -1;
	attach = open(CONTROLLER "attach", O_WRONLY | O_CLOEXEC);
	if (attach < 0)
		return -1;
	n = snprintf(order, sizeof order, "%d %d %u %u", port, fd,
	    usbip_devid(dev->bus, dev->address), dev->speed);
	written = (int)write(attach, order, (size_t)n);
	close(attach);
	return written == n ? 0 : -1;
}

/* ---- The server's side -------------------------------------------------- */

static int
connect_to_server(void)
{
	struct cause why;

	return sock_connect(server, CONNECT_MS, &why);
}

static int
ask_import(int fd, const char *busid, struct usbip_device_entry *dev)
{
	const struct usbip_op op = { USBIP_VERSION, USBIP_REQ_IMPORT, 0 };
	uint8_t request[USBIP_REQ_IMPORT_SIZE], head[USBIP_OP_SIZE];
	uint8_t bytes[USBIP_DEVICE_SIZE];
	struct usbip_op answer;

	usbip_op_encode(request, &op);
	usbip_busid_encode(request + USBIP_OP_SIZE, busid);
	if (sock_send_all(fd, request, sizeof request) < 0 ||
	    sock_recv_all(fd, head, sizeof head) < 0)
		return -1;
	usbip_op_decode(&answer, head);
	if (answer.status != USBIP_ST_OK ||
	    sock_recv_all(fd, bytes, sizeof bytes) < 0)
		return -1;
	usbip_device_decode(dev, bytes);
	return 0;
}

static int
attach_device(const char *busid)
{
	struct usbip_device_entry dev;
	const int fd = connect_to_server();
	int result = -1;

	if (fd < 0)
		return -1;
	if (ask_import(fd, busid, &dev) == 0)
		result = give_to_kernel(fd, &dev);
	close(fd);
	return result;
}

/* ---- What is there ------------------------------------------------------ */

static bool
is_attached(const struct usbip_device_entry *dev)
{
	for (unsigned i = 0; i < attached_count; i++)
		if (strcmp(attached[i].busid, dev->busid) == 0 &&
		    attached[i].address == dev->address)
			return true;
	return false;
}

/* One list of the watch: what it has, and which of these are attached.  -1: the
 * server is gone. */
static int
read_list(int fd, struct usbip_device_entry *devices, unsigned *count)
{
	uint8_t head[USBIP_DEVLIST_HEAD_SIZE], bytes[USBIP_DEVICE_SIZE];
	uint8_t interfaces[255 * USBIP_INTERFACE_SIZE];
	struct reader r;
	uint32_t listed;

	if (sock_recv_all(fd, head, sizeof head) < 0)
		return -1;
	r = reader_over(head + USBIP_OP_SIZE, 4);
	listed = read_be32(&r);
	*count = 0;
	for (uint32_t i = 0; i < listed; i++) {
		struct usbip_device_entry dev;

		if (sock_recv_all(fd, bytes, sizeof bytes) < 0)
			return -1;
		usbip_device_decode(&dev, bytes);
		if (sock_recv_all(fd, interfaces, (size_t)dev.interface_count *
			USBIP_INTERFACE_SIZE) < 0)
			return -1;
		if (*count < DEVICES_MAX)
			devices[(*count)++] = dev;
	}
	return 0;
}

/* Attaches what is new and forgets what is gone.  False: something could not be
 * attached, because the kernel or the server has not let go of it yet. */
static bool
follow(const struct usbip_device_entry *devices, unsigned count)
{
	struct attached now[DEVICES_MAX] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!is_attached(&devices[i]) &&
		    attach_device(devices[i].busid) < 0)
			continue;
		memcpy(now[n].busid, devices[i].busid, sizeof now[n].busid);
		now[n++].address = devices[i].address;
	}
	memcpy(attached, now, sizeof now);
	attached_count = n;
	return n == count;
}

/* Until the server is gone. */
static void
watch(int fd)
{
	const struct usbip_op op = { USBIP_VERSION, USBIP_REQ_DEVLIST,
		USBIP_WATCH };
	struct usbip_device_entry devices[DEVICES_MAX];
	uint8_t request[USBIP_OP_SIZE];
	unsigned count = 0;
	bool done = true;

	usbip_op_encode(request, &op);
	if (sock_send_all(fd, request, sizeof request) < 0)
		return;
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (poll(&pfd, 1, done ? -1 : RETRY_MS) > 0 &&
		    read_list(fd, devices, &count) < 0)
			return;
		done = follow(devices, count);
	}
}

int
main(int argc, char **argv)
{
	struct sock_addr addr;
	struct cause why;

	if (argc < 2 || argc > 3 ||
	    sock_addr_parse(&addr, argv[1], NULL, &why) < 0) {
		fprintf(stderr, "usage: vhciattach ADDRESS [CONTROLLER]\n");
		return 2;
	}
	if (argc > 2)
		first = (unsigned)atoi(argv[2]) % CONTROLLERS;
	server = &addr;
	for (;;) {
		const int fd = connect_to_server();

		if (fd >= 0) {
			watch(fd);
			close(fd);
		}
		attached_count = 0;
		poll(NULL, 0, RETRY_MS);
	}
}
