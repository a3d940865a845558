/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/configfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define BASE "/sys/kernel/config/usb_gadget"
#define UDCS "/sys/class/udc"
#define LANGUAGE "strings/0x409" /* DESC_LANGUAGE */

/* More than any machine has UDCs. */
#define GADGETS_MAX 1000

/* ---- Files and directories ---------------------------------------------- */

static int
write_file(int dir, const char *path, const char *text)
{
	const int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int error;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	error = n < 0 ? -errno : 0;
	close(fd);
	return error;
}

static int __attribute__((format(printf, 4, 5)))
set(struct configfs *c, struct cause *why, const char *path, const char *fmt,
    ...)
{
	char text[256];
	va_list ap;
	int error;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	error = write_file(c->fd, path, text);
	return error == 0 ? 0
			  : cause_set(why, "cannot write '%s' to " BASE
				"/%s/%s: %s", text, c->name, path,
				strerror(-error));
}

static int
make_dir(struct configfs *c, const char *path, struct cause *why)
{
	if (mkdirat(c->fd, path, 0755) == 0)
		return 0;
	return cause_set(why, "cannot make " BASE "/%s/%s: %s", c->name, path,
	    strerror(errno));
}

/* Calls `visit` for each entry of a directory but "." and "..". */
static void
for_each(int dir, const char *path,
    void (*visit)(int dir, const struct dirent *e))
{
	const int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			visit(fd, e);
	closedir(d);
}

/* ---- Taking apart -------------------------------------------------------
 * Whatever is there, because it may be somebody else's who did not come to its
 * end.  What the kernel has made itself cannot be removed, and stays. */

static void
remove_dir(int dir, const struct dirent *e)
{
	if (e->d_type == DT_DIR)
		unlinkat(dir, e->d_name, AT_REMOVEDIR);
}

static void
remove_link(int dir, const struct dirent *e)
{
	if (e->d_type == DT_LNK)
		unlinkat(dir, e->d_name, 0);
}

static void
remove_configuration(int dir, const struct dirent *e)
{
	const int fd =
	    openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	for_each(fd, ".", remove_link);
	for_each(fd, "strings", remove_dir);
	close(fd);
	unlinkat(dir, e->d_name, AT_REMOVEDIR);
}

static void
take_apart(int base, int fd, const char *name)
{
	write_file(fd, "UDC", "\n");
	for_each(fd, "configs", remove_configuration);
	for_each(fd, "functions", remove_dir);
	for_each(fd, "strings", remove_dir);
	if (unlinkat(base, name, AT_REMOVEDIR) < 0)
		log_warning("cannot remove " BASE "/%s: %s", name,
		    strerror(errno));
}

/* ---- Finding a place ---------------------------------------------------- */

static int
open_base(struct configfs *c, struct cause *why)
{
	c->base_fd = open(BASE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->base_fd < 0 && errno == ENOENT)
		return cause_set(why,
		    "--gadget: there is no " BASE ": run 'modprobe "
		    "libcomposite', and mount configfs on /sys/kernel/config "
		    "if it is not");
	if (c->base_fd < 0)
		return cause_set(why, "--gadget: cannot open " BASE ": %s",
		    strerror(errno));
	return 0;
}

/* True: the directory was left behind, and is gone now. */
static bool
remove_stale(const struct configfs *c)
{
	const int fd = openat(c->base_fd, c->name,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const bool stale = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (stale) {
		log_notice("%s was left behind by a muxphone that has been "
		    "killed; it is taken over", c->name);
		take_apart(c->base_fd, fd, c->name);
	}
	if (fd >= 0)
		close(fd);
	return stale;
}

static int
open_dir(struct configfs *c, struct cause *why)
{
	c->fd = openat(c->base_fd, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd >= 0 && flock(c->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return cause_set(why, "--gadget: cannot lock " BASE "/%s: %s", c->name,
	    strerror(errno));
}

/* The first number that nobody has. */
static int
find_place(struct configfs *c, struct cause *why)
{
	for (unsigned n = 1; n <= GADGETS_MAX; n++) {
		snprintf(c->name, sizeof c->name, "muxphone-%u", n);
		if (mkdirat(c->base_fd, c->name, 0755) == 0 ||
		    (errno == EEXIST && remove_stale(c) &&
			mkdirat(c->base_fd, c->name, 0755) == 0))
			return open_dir(c, why);
		if (errno == EACCES || errno == EPERM)
			return cause_set(why,
			    "--gadget: only root can make a gadget");
		if (errno != EEXIST && errno != EWOULDBLOCK)
			return cause_set(why, "--gadget: cannot make " BASE
			    "/%s: %s", c->name, strerror(errno));
	}
	return cause_set(why, "--gadget: too many gadgets below " BASE);
}

/* ---- Putting together --------------------------------------------------- */

static int
make_device(struct configfs *c, const struct desc_profile *p,
    struct cause *why)
{
	const struct desc_device *d = p->device;

	if (set(c, why, "idVendor", "0x%04x", d->vendor) < 0 ||
	    set(c, why, "idProduct", "0x%04x", d->product) < 0 ||
	    set(c, why, "bcdDevice", "0x%04x", d->release) < 0 ||
	    make_dir(c, LANGUAGE, why) < 0 ||
	    set(c, why, LANGUAGE "/manufacturer", "%s",
		d->texts[DESC_S_MANUFACTURER]) < 0 ||
	    set(c, why, LANGUAGE "/product", "%s",
		d->texts[DESC_S_PRODUCT]) < 0 ||
	    set(c, why, LANGUAGE "/serialnumber", "%s", p->serial) < 0)
		return -1;
	/* Kernels before 5.10 have no such file, and no such limit. */
	if (faccessat(c->fd, "max_speed", W_OK, 0) < 0)
		return 0;
	return set(c, why, "max_speed", "%s",
	    p->speed == DESC_SUPER ? "super-speed" : "high-speed");
}

static int
make_function(struct configfs *c, const char *type, const char *module,
    struct cause *why)
{
	char path[96];

	snprintf(path, sizeof path, "functions/%s.%s", type, c->name);
	if (mkdirat(c->fd, path, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT)
		return cause_set(why,
		    "--gadget: the kernel has no function '%s': its module is "
		    "%s", type, module);
	return cause_set(why, "--gadget: cannot make " BASE "/%s/%s: %s",
	    c->name, path, strerror(errno));
}

/* The kernel looks for a link's target from where the process is, not from
 * where the link is. */
static int
link_function(struct configfs *c, const char *type, unsigned value,
    struct cause *why)
{
	char target[PATH_MAX], path[96];

	snprintf(target, sizeof target, BASE "/%s/functions/%s.%s", c->name,
	    type, c->name);
	snprintf(path, sizeof path, "configs/c.%u/%s.%s", value, type,
	    c->name);
	if (symlinkat(target, c->fd, path) == 0)
		return 0;
	return cause_set(why, "--gadget: cannot make " BASE "/%s/%s: %s",
	    c->name, path, strerror(errno));
}

static int
make_configuration(struct configfs *c, const struct desc_device *d,
    unsigned value, struct cause *why)
{
	const struct desc_configuration *config = desc_configuration(d, value);
	const bool loopback = config->setting_count == 0;
	const char *type = loopback ? "Loopback" : "ffs";
	char path[96];
	size_t at;

	at = (size_t)snprintf(path, sizeof path, "configs/c.%u", value);
	if (make_function(c, type, loopback ? "usb_f_ss_lb" : "usb_f_fs",
		why) < 0 ||
	    make_dir(c, path, why) < 0)
		return -1;
	snprintf(path + at, sizeof path - at, "/MaxPower");
	if (set(c, why, path, "%u", d->milliamps) < 0)
		return -1;
	/* It has power of its own. */
	snprintf(path + at, sizeof path - at, "/bmAttributes");
	if (set(c, why, path, "0xc0") < 0)
		return -1;
	snprintf(path + at, sizeof path - at, "/" LANGUAGE);
	if (make_dir(c, path, why) < 0)
		return -1;
	snprintf(path + at, sizeof path - at, "/" LANGUAGE "/configuration");
	if (set(c, why, path, "%s", d->texts[config->name]) < 0)
		return -1;
	return link_function(c, type, value, why);
}

static int
fill(struct configfs *c, const struct desc_profile *p, struct cause *why)
{
	if (make_device(c, p, why) < 0)
		return -1;
	for (unsigned i = 1; i <= p->device->configuration_count; i++)
		if (make_configuration(c, p->device, i, why) < 0)
			return -1;
	return 0;
}

/* The base is locked meanwhile, so that two processes neither take one place
 * nor take each other's for left behind. */
int
configfs_make(struct configfs *c, const struct desc_profile *p,
    struct cause *why)
{
	int result;

	c->fd = -1;
	if (open_base(c, why) < 0)
		return -1;
	flock(c->base_fd, LOCK_EX);
	result = find_place(c, why);
	if (result == 0)
		result = fill(c, p, why);
	flock(c->base_fd, LOCK_UN);
	if (result < 0)
		configfs_remove(c);
	return result;
}

void
configfs_remove(struct configfs *c)
{
	if (c->fd >= 0) {
		flock(c->base_fd, LOCK_EX);
		take_apart(c->base_fd, c->fd, c->name);
		flock(c->base_fd, LOCK_UN);
		close(c->fd);
	}
	if (c->base_fd >= 0)
		close(c->base_fd);
	c->fd = c->base_fd = -1;
}

/* ---- UDCs --------------------------------------------------------------- */

static void
read_udc(const char *udc, const char *what, char *out, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, UDCS "/%s/%s", udc, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void
configfs_udc_state(const char *udc, char *out, size_t size)
{
	read_udc(udc, "state", out, size);
}

static bool
udc_exists(const char *udc)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, UDCS "/%s", udc);
	return strchr(udc, '/') == NULL && access(path, F_OK) == 0;
}

static bool
can_do(const char *udc, enum desc_speed speed)
{
	char most[32];

	if (speed != DESC_SUPER)
		return true;
	read_udc(udc, "maximum_speed", most, sizeof most);
	return strncmp(most, "super-speed", 11) == 0;
}

static int
is_name(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* The first that takes it; 0, or an errno value, of which EBUSY is another
 * gadget's, and ENODEV the absence of any. */
static int
bind_first(struct configfs *c, enum desc_speed speed,
    char got[CONFIGFS_UDC_MAX])
{
	struct dirent **list;
	const int count = scandir(UDCS, &list, is_name, versionsort);
	int error = ENODEV;

	for (int i = 0; i < count; i++) {
		const char *name = list[i]->d_name;

		if (error != 0 && can_do(name, speed)) {
			error = -write_file(c->fd, "UDC", name);
			snprintf(got, CONFIGFS_UDC_MAX, "%.*s",
			    CONFIGFS_UDC_MAX - 1, name);
		}
		free(list[i]);
	}
	if (count >= 0)
		free(list);
	return error;
}

static int
bind_any(struct configfs *c, enum desc_speed speed, char got[CONFIGFS_UDC_MAX],
    struct cause *why)
{
	const int error = bind_first(c, speed, got);

	if (error == ENODEV)
		return cause_set(why,
		    "--gadget: there is no USB device controller (UDC) here for "
		    "%s speed; dummy_hcd is one for any machine: run "
		    "'modprobe dummy_hcd%s'",
		    speed == DESC_SUPER ? "super" : "high",
		    speed == DESC_SUPER ? " is_super_speed=1" : "");
	if (error == EBUSY)
		return cause_set(why,
		    "--gadget: each UDC is taken by another gadget; remove one "
		    "below " BASE ", or give dummy_hcd a higher num=");
	if (error != 0)
		return cause_set(why, "--gadget: the UDC %s refuses: %s", got,
		    strerror(error));
	return 0;
}

int
configfs_bind(struct configfs *c, const char *wanted, enum desc_speed speed,
    char got[CONFIGFS_UDC_MAX], struct cause *why)
{
	int error;

	if (wanted[0] == '\0')
		return bind_any(c, speed, got, why);
	/* The kernel says that it is busy when there is none such. */
	error = udc_exists(wanted) ? -write_file(c->fd, "UDC", wanted) : ENODEV;
	if (got != wanted)
		snprintf(got, CONFIGFS_UDC_MAX, "%s", wanted);
	if (error == ENODEV)
		return cause_set(why,
		    "--gadget: there is no UDC '%s'; " UDCS " has those that "
		    "there are", wanted);
	if (error == EBUSY)
		return cause_set(why,
		    "--gadget: the UDC %s is taken by another gadget; remove "
		    "that below " BASE, wanted);
	if (error != 0)
		return cause_set(why, "--gadget: the UDC %s refuses: %s", got,
		    strerror(error));
	return 0;
}

void
configfs_unbind(struct configfs *c)
{
	const int error = write_file(c->fd, "UDC", "\n");

	/* ENODEV: the UDC is gone, or never was. */
	if (error != 0 && error != -ENODEV)
		log_warning("%s cannot be unbound: %s", c->name,
		    strerror(-error));
}
