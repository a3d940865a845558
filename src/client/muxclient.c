/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/muxclient_int.h"

#define TIMEOUT_MS 5000 /* what other clients of the protocol wait, too */
#define LIB_VERSION 3	/* of libusbmuxd's interface; daemons expect this one */

const char *
muxclient_strerror(enum muxclient_error error)
{
	switch (error) {
	case MUXCLIENT_OK:
		return "no error";
	case MUXCLIENT_AGAIN:
		return "no event has arrived yet";
	case MUXCLIENT_BAD_ADDRESS:
		return "the daemon's address is neither unix:/path nor "
		       "host:port";
	case MUXCLIENT_NO_DAEMON:
		return "no usbmux daemon listens there";
	case MUXCLIENT_TIMEOUT:
		return "the daemon or the device took too long to answer";
	case MUXCLIENT_CLOSED:
		return "the daemon closed the connection";
	case MUXCLIENT_GARBLED:
		return "the daemon's answer cannot be understood";
	case MUXCLIENT_UNSUPPORTED:
		return "the daemon does not know this request";
	case MUXCLIENT_NO_DEVICE:
		return "no such device is attached";
	case MUXCLIENT_REFUSED:
		return "the device refused the connection: nothing serves "
		       "that port";
	case MUXCLIENT_NO_RECORD:
		return "this host has no such pair record";
	case MUXCLIENT_INVALID:
		return "that cannot be a pair record or the id of one";
	case MUXCLIENT_STORE:
		return "the daemon could not store the pair record";
	case MUXCLIENT_NO_MEMORY:
		return "out of memory";
	case MUXCLIENT_SYSTEM:
		return "the system gave no socket";
	}
	return "unknown error";
}

static void
set_addr(struct muxclient *mc, const struct sock_addr *addr)
{
	mc->addr = *addr;
	mc->addr_bad = false;
	sock_addr_text(mc->addr_text, addr);
}

struct muxclient *
muxclient_new(void)
{
	struct muxclient *mc = calloc(1, sizeof *mc);
	const char *address = getenv(USBMUX_SOCKET_VARIABLE);
	struct sock_addr usual = { .is_unix = true,
		.path = USBMUX_SOCKET_PATH };

	if (mc == NULL)
		return NULL;
	set_addr(mc, &usual);
	if (address != NULL && *address != '\0' &&
	    muxclient_set_address(mc, address) != MUXCLIENT_OK) {
		mc->addr_bad = true;
		snprintf(mc->addr_text, sizeof mc->addr_text, "%s", address);
	}
	mc->timeout_ms = TIMEOUT_MS;
	mc->self.lib_version = LIB_VERSION;
	mc->self.process_id = (uint32_t)getpid();
	strcpy(mc->self.version, "libmuxclient " PACKAGE_VERSION);
	muxclient_set_program(mc, "libmuxclient", NULL);
	atomic_init(&mc->form, CLIENT_PLIST);
	return mc;
}

void
muxclient_free(struct muxclient *mc)
{
	free(mc);
}

enum muxclient_error
muxclient_set_address(struct muxclient *mc, const char *address)
{
	struct sock_addr addr;
	struct cause why;

	if (sock_addr_parse(&addr, address, NULL, &why) < 0)
		return MUXCLIENT_BAD_ADDRESS;
	set_addr(mc, &addr);
	atomic_store_explicit(&mc->form, CLIENT_PLIST, memory_order_relaxed);
	return MUXCLIENT_OK;
}

void
muxclient_set_timeout(struct muxclient *mc, int ms)
{
	mc->timeout_ms = ms;
}

void
muxclient_set_program(struct muxclient *mc, const char *name,
    const char *bundle_id)
{
	snprintf(mc->self.prog_name, sizeof mc->self.prog_name, "%s", name);
	snprintf(mc->self.bundle_id, sizeof mc->self.bundle_id, "%s",
	    bundle_id != NULL ? bundle_id : "");
}

const char *
muxclient_address(const struct muxclient *mc)
{
	return mc->addr_text;
}

void
device_from_wire(struct muxclient_device *out,
    const struct client_device *in)
{
	memset(out, 0, sizeof *out);
	out->id = in->id;
	out->link = in->link == CLIENT_LINK_NETWORK ? MUXCLIENT_NETWORK
						    : MUXCLIENT_USB;
	out->product_id = in->product_id;
	out->location = in->location;
	out->speed = in->speed;
	out->interface_index = in->interface_index;
	out->address_len = in->address_len;
	_Static_assert(sizeof out->udid >= sizeof in->udid &&
		sizeof out->service >= sizeof in->service &&
		sizeof out->address >= sizeof in->address,
	    "what is copied fits");
	memcpy(out->udid, in->udid, sizeof in->udid);
	memcpy(out->service, in->service, sizeof in->service);
	memcpy(out->address, in->address, sizeof in->address);
}
