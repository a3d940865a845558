/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shake.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICES "/sys/bus/usb/devices"
#define PRODUCT "PRODUCT=5ac/12a8/"

/* ---- /sys and /dev ---- */

/* The file's text without its line's end; "" when there is none. */
static void
read_attribute(const char *folder, const char *name, char *out, size_t size)
{
	char path[HOST_PATH_MAX + 32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* A UDID has a hyphen that the serial number has not. */
static bool
is_serial_of(const char *serial, const char *udid)
{
	for (; *udid != '\0'; udid++)
		if (*udid != '-' && *serial++ != *udid)
			return false;
	return *serial == '\0';
}

bool
host_find(const struct phone *p, char folder[HOST_PATH_MAX])
{
	DIR *dir = opendir(DEVICES);
	struct dirent *e;
	bool found = false;

	if (dir == NULL)
		die("cannot read " DEVICES);
	while (!found && (e = readdir(dir)) != NULL) {
		char serial[128];

		if (strchr(e->d_name, ':') != NULL)
			continue; /* an interface */
		snprintf(folder, HOST_PATH_MAX, "%s/%s", DEVICES, e->d_name);
		read_attribute(folder, "serial", serial, sizeof serial);
		found = is_serial_of(serial, p->udid);
	}
	closedir(dir);
	return found;
}

int
host_configuration(const char *folder)
{
	char text[16];

	read_attribute(folder, "bConfigurationValue", text, sizeof text);
	return atoi(text);
}

bool
host_configure(const char *folder, int value)
{
	char path[HOST_PATH_MAX + 32], text[16];
	const int len = snprintf(text, sizeof text, "%d\n", value);
	bool written;
	int fd;

	snprintf(path, sizeof path, "%s/bConfigurationValue", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	written = fd >= 0 && write(fd, text, (size_t)len) == len;
	if (fd >= 0)
		close(fd);
	return written;
}

bool
host_reset(const char *folder)
{
	char bus[16], address[16], path[64];
	int fd, r = -1;

	read_attribute(folder, "busnum", bus, sizeof bus);
	read_attribute(folder, "devnum", address, sizeof address);
	snprintf(path, sizeof path, "/dev/bus/usb/%03d/%03d", atoi(bus),
	    atoi(address));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		r = ioctl(fd, USBDEVFS_RESET, 0);
		close(fd);
	}
	return r == 0;
}

/* ---- Events ---- */

#define GROUP_KERNEL 1
#define GROUP_UDEV 2
#define EVENT_ROOM (8 << 20)

/* What udevd puts in front (libudev's monitor format). */
struct udev_head {
	char prefix[8]; /* "libudev" */
	uint32_t magic, head_size, offset, length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct pollfd events[2]; /* the kernel's, udev's */

/* What the kernel has told of, and udev not yet: that tells whose it is.  (The
 * kernel can be asked, but answers when it is done with the device, and events
 * would be heard later than they came.) */
struct arrival {
	char path[HOST_PATH_MAX];
	struct moment when;
};
static struct arrival arrivals[2 * PHONES_MAX];

static int
open_group(unsigned group)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK,
		.nl_groups = group };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
	    NETLINK_KOBJECT_UEVENT);
	const int room = EVENT_ROOM;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		die("cannot hear the kernel's events");
	return fd;
}

/* The rest of the property that begins so, or NULL; they are strings in a
 * row. */
static const char *
property(const char *at, const char *end, const char *start)
{
	for (; at < end; at += strlen(at) + 1)
		if (strncmp(at, start, strlen(start)) == 0)
			return at + strlen(start);
	return NULL;
}

static void
note_kernel(const char *path, struct moment now)
{
	struct arrival *a = arrivals;

	while (a->path[0] != '\0' && strcmp(a->path, path) != 0)
		if (++a == arrivals + 2 * PHONES_MAX)
			die("the kernel tells of more phones than there are");
	snprintf(a->path, sizeof a->path, "%s", path);
	a->when = now;
}

static void
note_udev(const char *path, const char *serial, struct moment now)
{
	struct arrival *a = arrivals;

	while (a < arrivals + 2 * PHONES_MAX && strcmp(a->path, path) != 0)
		a++;
	if (a == arrivals + 2 * PHONES_MAX)
		return; /* it came before this program */
	a->path[0] = '\0';
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < phone_count; i++)
		if (is_serial_of(serial, phones[i].udid)) {
			phones[i].added_by_kernel = a->when;
			phones[i].added_by_udev = now;
		}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void
take_event(bool by_udev)
{
	_Alignas(struct udev_head) char event[8192];
	const struct udev_head *head = (const struct udev_head *)event;
	const ssize_t n =
	    recv(events[by_udev].fd, event, sizeof event - 1, 0);
	const struct moment now = clock_now();
	const char *at = event, *end = event + n, *path, *serial;

	if (n < 0)
		die("events were lost");
	if (n <= (ssize_t)sizeof *head)
		return;
	event[n] = '\0';
	if (strcmp(head->prefix, "libudev") == 0)
		at += head->offset < n ? head->offset : n;
	path = property(at, end, "DEVPATH=");
	if (path == NULL || property(at, end, "ACTION=add") == NULL ||
	    property(at, end, "DEVTYPE=usb_device") == NULL ||
	    property(at, end, PRODUCT) == NULL)
		return;
	serial = property(at, end, "ID_SERIAL_SHORT=");
	if (by_udev && serial != NULL)
		note_udev(path, serial, now);
	else if (!by_udev)
		note_kernel(path, now);
}

static void *
hear_for_ever(void *arg)
{
	for (;;) {
		poll(events, 2, -1);
		/* The kernel's first, and all of them. */
		if (events[false].revents != 0)
			take_event(false);
		else if (events[true].revents != 0)
			take_event(true);
	}
	return arg;
}

void
host_events_open(void)
{
	pthread_condattr_t attr;
	pthread_t thread;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	events[false] = (struct pollfd){ open_group(GROUP_KERNEL), POLLIN, 0 };
	events[true] = (struct pollfd){ open_group(GROUP_UDEV), POLLIN, 0 };
	if (pthread_create(&thread, NULL, hear_for_ever, NULL) != 0)
		die("no thread");
}

bool
host_await_added(struct phone *p, struct moment since, struct moment until)
{
	const struct timespec ts = timespec_of(until);
	bool added;
	int r = 0;

	pthread_mutex_lock(&lock);
	while (!moment_before(since, p->added_by_kernel) && r == 0)
		r = pthread_cond_timedwait(&changed, &lock, &ts);
	added = moment_before(since, p->added_by_kernel);
	pthread_mutex_unlock(&lock);
	return added;
}
