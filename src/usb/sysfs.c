/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usb/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cursor.h"
#include "usb/descriptors.h"

/* What is looked at of all descriptors of a device; a page is what the kernel
 * gives at a time. */
#define DESCRIPTORS_MAX 4096

#define DECIMAL 10
#define HEXADECIMAL 16

const char *sysfs_root = "/sys/bus/usb/devices";
const char *sysfs_nodes = "/dev/bus/usb";

bool
sysfs_exists(void)
{
	return access(sysfs_root, R_OK | X_OK) == 0 &&
	    access(sysfs_nodes, X_OK) == 0;
}

/* ---- Attributes ---- */

static int
read_again(int fd, void *out, size_t size)
{
	ssize_t n;

	do
		n = read(fd, out, size);
	while (n < 0 && errno == EINTR);
	return (int)n;
}

/* Bytes of the attribute, 0 where it has none.  -1: the device is not there. */
static int
read_bytes_of(const char *key, const char *attribute, void *out, size_t size)
{
	char path[256];
	int fd, n;

	snprintf(path, sizeof path, "%s/%s/%s", sysfs_root, key, attribute);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read_again(fd, out, size);
	close(fd);
	return n;
}

/* The same as a string. */
static int
read_text(const char *key, const char *attribute, char *out, size_t size)
{
	const int n = read_bytes_of(key, attribute, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
	return n;
}

/* The number that it begins with (a speed may be 1.5); -1: none from 0 to
 * `most`. */
static long
read_number(const char *key, const char *attribute, int base, long most)
{
	char text[32], *end;
	long n;

	if (read_text(key, attribute, text, sizeof text) < 0)
		return -1;
	n = strtol(text, &end, base);
	return end == text || n < 0 || n > most ? -1 : n;
}

/* ---- Idents ---- */

static enum usb_speed
speed_of(long megabits)
{
	if (megabits >= 10000)
		return USB_SPEED_SUPER_PLUS;
	if (megabits >= 5000)
		return USB_SPEED_SUPER;
	if (megabits >= 480)
		return USB_SPEED_HIGH;
	if (megabits >= 12)
		return USB_SPEED_FULL;
	return megabits > 0 ? USB_SPEED_LOW : USB_SPEED_UNKNOWN;
}

/* Of BUS-PORT.PORT; false: it is no such name.  Interfaces have a colon, and
 * hubs at the root are called usbBUS. */
static bool
parse_key(const char *key, struct usb_ident *out)
{
	const size_t len = strlen(key);
	char *at;
	unsigned long n = strtoul(key, &at, DECIMAL);

	if (at == key || *at != '-' || n > UINT8_MAX ||
	    len >= sizeof out->key)
		return false;
	out->bus = (uint8_t)n;
	do {
		const char *from = at + 1;

		n = strtoul(from, &at, DECIMAL);
		if (at == from || n > UINT8_MAX ||
		    out->port_count == USB_PORTS_MAX)
			return false;
		out->ports[out->port_count++] = (uint8_t)n;
	} while (*at == '.');
	memcpy(out->key, key, len + 1);
	return *at == '\0';
}

/* The interfaces of all configurations, by their first settings.  The kernel has
 * checked the descriptors, which follow one another here. */
static void
read_classes(const char *key, struct usb_ident *out)
{
	uint8_t bytes[DESCRIPTORS_MAX];
	const int n = read_bytes_of(key, "descriptors", bytes, sizeof bytes);
	struct reader r = reader_over(bytes, n > 0 ? (size_t)n : 0);

	while (reader_left(&r) > 0 && !r.bad) {
		const uint8_t len = read_u8(&r);
		const uint8_t *d = read_bytes(&r, len > 0 ? len - 1u : 1);

		if (len == 0)
			return;
		if (d != NULL && len >= 9 && d[0] == USB_DESCRIPTOR_INTERFACE &&
		    d[2] == 0)
			usb_ident_add_class(out, (struct usb_class){
				.base = d[4], .sub = d[5], .protocol = d[6] });
	}
}

/* False: it is no device, or has just gone. */
static bool
read_ident(const char *key, struct usb_ident *out)
{
	long vendor, product, address, configurations, release;

	memset(out, 0, sizeof *out);
	if (!parse_key(key, out))
		return false;
	vendor = read_number(key, "idVendor", HEXADECIMAL, UINT16_MAX);
	product = read_number(key, "idProduct", HEXADECIMAL, UINT16_MAX);
	address = read_number(key, "devnum", DECIMAL, UINT8_MAX);
	release = read_number(key, "bcdDevice", HEXADECIMAL, UINT16_MAX);
	configurations =
	    read_number(key, "bNumConfigurations", DECIMAL, UINT8_MAX);
	if (vendor < 0 || product < 0 || address < 0 || release < 0 ||
	    configurations < 0)
		return false;
	out->vendor = (uint16_t)vendor;
	out->product = (uint16_t)product;
	out->address = (uint8_t)address;
	out->release = (uint16_t)release;
	out->configurations = (uint8_t)configurations;
	out->speed = speed_of(read_number(key, "speed", DECIMAL, 1000000));
	if (!usb_is_phone(out->vendor, out->product))
		read_classes(key, out);
	return true;
}

bool
sysfs_has(const struct usb_ident *ident)
{
	return read_number(ident->key, "devnum", DECIMAL, UINT8_MAX) ==
	    ident->address;
}

void
sysfs_each(void (*tell)(void *arg, const struct usb_ident *ident), void *arg)
{
	DIR *dir = opendir(sysfs_root);
	const struct dirent *e;
	struct usb_ident ident;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL)
		if (read_ident(e->d_name, &ident))
			tell(arg, &ident);
	closedir(dir);
}

/* ---- One device ---- */

int
sysfs_configuration(const char *key)
{
	char text[32];

	if (read_text(key, "bConfigurationValue", text, sizeof text) < 0)
		return USB_ERROR_GONE;
	return atoi(text); /* empty: none */
}

static int
error_of_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return USB_ERROR_GONE;
	case EACCES:
	case EPERM:
		return USB_ERROR_ACCESS;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return USB_ERROR_NO_MEM;
	default:
		return USB_ERROR_IO;
	}
}

int
sysfs_open(const struct usb_ident *ident)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%03u/%03u", sysfs_nodes, ident->bus,
	    ident->address);
	do
		fd = open(path, O_RDWR | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd >= 0 ? fd : error_of_open(errno);
}
