/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/udc.h"

#include "phone/udc_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "phone/functionfs.h"

/* ---- The thread --------------------------------------------------------- */

/* False: nothing has come from the device. */
static bool
take_done(struct udc *u)
{
	struct msg *m = mailbox_take(&u->done), *next;
	const bool any = m != NULL;

	for (; m != NULL; m = next) {
		struct usbip_urb *urb = (struct usbip_urb *)m; /* first */

		next = msg_next(m);
		if (urb == &u->control.urb)
			udc_control_done(&u->control);
		else
			pipe_done((struct transfer *)urb);
	}
	return any;
}

/* Nobody is at the other end any more.  What waits in the device comes back,
 * also a request that it did not answer. */
static void
restart_device(struct udc *u)
{
	struct gadget *g = u->gadget;

	u->moving = false;
	u->session++;
	device_restart(gadget_lock(g));
	g->imported = false;
	gadget_unlock(g);
	take_done(u);
	udc_take_events(u);
}

static void *
run(void *arg)
{
	struct udc *u = arg;

	/* Acquire: pairs with the release in udc_free(). */
	while (!atomic_load_explicit(&u->quitting, memory_order_acquire)) {
		udc_take_events(u);
		while (udc_take_ended(u) || take_done(u))
			;
		/* Acquire: pairs with the release in halted(). */
		if (atomic_exchange_explicit(&u->halted, false,
			memory_order_acquire)) {
			pipe_look_for_halt(&u->out);
			pipe_look_for_halt(&u->in);
		}
		/* Acquire: pairs with the release in unplug(). */
		if (atomic_exchange_explicit(&u->unbound, false,
			memory_order_acquire)) {
			restart_device(u);
			gadget_gone(u->gadget);
		}
		if (mailbox_idle(&u->done))
			waker_wait(u->waker, -1);
	}
	restart_device(u);
	return NULL;
}

/* ---- As a bus ----------------------------------------------------------- */

static int
start(struct udc *u, struct gadget *g, struct cause *why)
{
	int error;

	u->gadget = g;
	error = thread_start(&u->thread, u->configfs.name, run, u);
	if (error != 0)
		return cause_set(why, "%s: cannot start a thread: %s",
		    u->configfs.name, strerror(error));
	u->running = true;
	return 0;
}

static int
plug(struct gadget *g, const struct usbip_description *desc, struct cause *why)
{
	struct udc *u = g->bus_arg;

	(void)desc;
	if (!u->running && start(u, g, why) < 0)
		return -1;
	return configfs_bind(&u->configfs,
	    u->name[0] != '\0' ? u->name : u->wanted,
	    g->device->profile.speed, u->name, why);
}

static void
unplug(struct gadget *g)
{
	struct udc *u = g->bus_arg;

	configfs_unbind(&u->configfs);
	/* Release: pairs with the acquire in run(). */
	atomic_store_explicit(&u->unbound, true, memory_order_release);
	waker_wake(u->waker);
}

/* It keeps its UDC while it is unplugged, if nobody takes it meanwhile. */
static const char *
place(const struct gadget *g)
{
	return ((const struct udc *)g->bus_arg)->name;
}

static void
halted(struct gadget *g)
{
	struct udc *u = g->bus_arg;

	/* Release: pairs with the acquire in run(). */
	atomic_store_explicit(&u->halted, true, memory_order_release);
	waker_wake(u->waker);
}

const struct gadget_bus gadget_bus_udc = {
	.plug = plug,
	.unplug = unplug,
	.halted = halted,
	.place = place,
};

/* ---- The function ------------------------------------------------------- */

/* A mount that no path leads to: it ends with the process, however that ends.
 * The descriptor of its root, or -1 and errno. */
static int
mount_function(const char *name)
{
	const int fs = (int)syscall(SYS_fsopen, "functionfs", FSOPEN_CLOEXEC);
	int dir = -1, error;

	if (fs < 0)
		return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", name,
		0) == 0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		dir = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	error = errno;
	close(fs);
	errno = error;
	return dir;
}

static int
write_blob(const struct udc *u, const char *what, const uint8_t *bytes,
    size_t len, struct cause *why)
{
	if (write(u->ep0_fd, bytes, len) == (ssize_t)len)
		return 0;
	return cause_set(why, "--gadget: FunctionFS does not take the %s: %s",
	    what, strerror(errno));
}

static int
describe(struct udc *u, const struct desc_interface *s, const char *name,
    struct cause *why)
{
	uint8_t blob[FUNCTIONFS_BLOB_MAX];
	size_t len = functionfs_descriptors(s, u->waker->write_fd, blob);

	if (write_blob(u, "descriptors", blob, len, why) < 0)
		return -1;
	len = functionfs_strings(name, blob);
	return write_blob(u, "strings", blob, len, why);
}

static int
open_function(struct udc *u, const struct desc_device *d, struct cause *why)
{
	const struct desc_interface *s =
	    desc_configuration(d, u->value)->settings[0];

	u->dir_fd = mount_function(u->configfs.name);
	if (u->dir_fd < 0)
		return cause_set(why,
		    "--gadget: cannot mount FunctionFS: %s%s", strerror(errno),
		    errno == ENOSYS ? "; Linux 5.2 or later can" : "");
	u->ep0_fd =
	    openat(u->dir_fd, "ep0", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (u->ep0_fd < 0)
		return cause_set(why, "--gadget: FunctionFS has no ep0: %s",
		    strerror(errno));
	if (describe(u, s, d->texts[s->name], why) < 0 ||
	    pipe_open(&u->out, u, "ep1", &s->endpoints[0], why) < 0 ||
	    pipe_open(&u->in, u, "ep2", &s->endpoints[1], why) < 0)
		return -1;
	return 0;
}

/* ---- Life --------------------------------------------------------------- */

static int
open_all(struct udc *u, const struct desc_profile *p, struct cause *why)
{
	u->waker = waker_new_polled();
	if (u->waker == NULL || aio_open(4 * UDC_TRANSFERS, &u->aio) < 0)
		return cause_set(why,
		    "--gadget: cannot prepare for transfers: %s",
		    strerror(errno));
	mailbox_init_waker(&u->done, u->waker);
	if (configfs_make(&u->configfs, p, why) < 0)
		return -1;
	return open_function(u, p->device, why);
}

struct udc *
udc_new(const char *name, const struct desc_profile *p, struct cause *why)
{
	struct udc *u = calloc(1, sizeof *u);

	if (u == NULL) {
		cause_set(why, "--gadget: out of memory");
		return NULL;
	}
	u->wanted = name;
	u->value = p->device->configuration_count;
	u->control.udc = u;
	u->control.urb.host = &udc_control_host;
	u->control.urb.buffer = u->control.buffer;
	u->dir_fd = u->ep0_fd = u->out.fd = u->in.fd = -1;
	u->configfs.fd = u->configfs.base_fd = -1;
	if (open_all(u, p, why) < 0) {
		udc_free(u);
		return NULL;
	}
	return u;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The function's files are closed before the function is removed. */
void
udc_free(struct udc *u)
{
	if (u == NULL)
		return;
	if (u->running) {
		configfs_unbind(&u->configfs);
		/* Release: pairs with the acquire in run(). */
		atomic_store_explicit(&u->quitting, true, memory_order_release);
		waker_wake(u->waker);
		thread_join(&u->thread);
	}
	if (u->aio != 0)
		aio_close(u->aio);
	pipe_close(&u->out);
	pipe_close(&u->in);
	close_fd(u->ep0_fd);
	close_fd(u->dir_fd);
	configfs_remove(&u->configfs);
	if (u->waker != NULL)
		waker_put(u->waker);
	free(u);
}
