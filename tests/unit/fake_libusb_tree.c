/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stand-in's devices as Linux shows them, and libusb over their files. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_libusb_int.h"

static char folder[64];

libusb_device_handle *
fake_new_handle(libusb_device *device, bool wrapped)
{
	libusb_device_handle *h = calloc(1, sizeof *h);

	RULE(h != NULL);
	h->device = device;
	h->wrapped = wrapped;
	fake.counts.handles++;
	return h;
}

/* ---- The tree ---- */

static void
make_folder(const char *path)
{
	RULE(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void __attribute__((format(printf, 3, 4)))
write_attribute(const char *of, const char *name, const char *fmt, ...)
{
	char path[256];
	FILE *f;
	va_list ap;

	snprintf(path, sizeof path, "%s/%s", of, name);
	f = fopen(path, "w");
	RULE(f != NULL);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void
write_attributes(const char *of, const struct fake_device *d)
{
	static const char *const speeds[] = { "unknown", "1.5", "12", "480",
		"5000", "10000" };

	write_attribute(of, "busnum", "%u\n", d->spec.bus);
	write_attribute(of, "devnum", "%u\n", d->spec.address);
	write_attribute(of, "idVendor", "%04x\n", d->spec.vendor);
	write_attribute(of, "idProduct", "%04x\n", d->spec.product);
	write_attribute(of, "bcdDevice", "1402\n");
	write_attribute(of, "bNumConfigurations", " 4\n");
	write_attribute(of, "speed", "%s\n", speeds[d->spec.speed]);
	if (d->configuration == 0)
		write_attribute(of, "bConfigurationValue", "%s", "");
	else
		write_attribute(of, "bConfigurationValue", "%d\n",
		    d->configuration);
}

static void
remove_all(const char *path)
{
	char command[300];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	RULE(system(command) == 0);
}

void
fake_show_device(const struct fake_device *d)
{
	char place[192], node[192];
	int at;

	if (!fake.shown || d->spec.port_count == 0)
		return;
	at = snprintf(place, sizeof place, "%s/devices/%u", folder,
	    d->spec.bus);
	for (int i = 0; i < d->spec.port_count; i++)
		at += snprintf(place + at, sizeof place - (size_t)at, "%c%u",
		    i == 0 ? '-' : '.', d->spec.ports[i]);
	snprintf(node, sizeof node, "%s/nodes/%03u", folder, d->spec.bus);
	make_folder(node);
	snprintf(node, sizeof node, "%s/nodes/%03u/%03u", folder, d->spec.bus,
	    d->spec.address);
	if (!d->plugged) {
		remove_all(place);
		remove_all(node);
		return;
	}
	make_folder(place);
	write_attributes(place, d);
	close(open(node, O_CREAT | O_WRONLY, 0600));
}

const char *
fake_show(void)
{
	char path[128];

	snprintf(folder, sizeof folder, "/tmp/muxd-usb.XXXXXX");
	RULE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/devices", folder);
	make_folder(path);
	snprintf(path, sizeof path, "%s/nodes", folder);
	make_folder(path);
	pthread_mutex_lock(&fake.lock);
	fake.shown = true;
	for (struct fake_device *d = fake.devices; d != NULL; d = d->next)
		fake_show_device(d);
	pthread_mutex_unlock(&fake.lock);
	return folder;
}

void
fake_hide(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.shown = false;
	pthread_mutex_unlock(&fake.lock);
	remove_all(folder);
}

/* ---- libusb ---- */

#if LIBUSB_API_VERSION >= 0x01000109

/* As libusb 1.0.26 does it on Linux: for good, and for every context to come. */
int
libusb_set_option(libusb_context *ctx, enum libusb_option option, ...)
{
	RULE(ctx == NULL && option == LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	pthread_mutex_lock(&fake.lock);
	fake.no_discovery = true;
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

/* Whose file it is; as in the kernel, it stays that device's when another one
 * has its address. */
static struct fake_device *
find(int fd)
{
	char link[64], path[256];
	unsigned bus, address;
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	RULE(strncmp(path, folder, strlen(folder)) == 0);
	RULE(sscanf(path + strlen(folder), "/nodes/%u/%u", &bus, &address) ==
	    2);
	RULE((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return NULL;
	for (struct fake_device *d = fake.devices; d != NULL; d = d->next)
		if (d->plugged && d->spec.bus == bus &&
		    d->spec.address == address)
			return d;
	return NULL;
}

/* What it refuses, it says to be an error on the bus, whatever is behind it. */
int
libusb_wrap_sys_device(libusb_context *ctx, intptr_t fd,
    libusb_device_handle **out)
{
	struct fake_device *d;
	libusb_device *device;
	int error;

	if (!fake.shown)
		return LIBUSB_ERROR_NOT_SUPPORTED;
	if (fd < 0)
		return LIBUSB_ERROR_IO;
	pthread_mutex_lock(&fake.lock);
	d = find((int)fd);
	error = d == NULL ? LIBUSB_ERROR_IO : fake.wrap_error;
	if (error == 1) {
		d->plugged = false;
		fake_show_device(d);
		error = LIBUSB_ERROR_IO;
	}
	if (error == 0) {
		device = calloc(1, sizeof *device);
		RULE(device != NULL);
		*device = (libusb_device){ .refs = 1, .d = d, .ctx = ctx };
		*out = fake_new_handle(device, true);
	}
	pthread_mutex_unlock(&fake.lock);
	return error;
}

#endif
