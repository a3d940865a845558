/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The object that leads packets to a connection (connection.h). */

#include <stddef.h>
#include <stdlib.h>

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/device.h"
#include "daemon/msg.h"

struct route *
route_new(struct client *c, struct device *d, uint16_t port)
{
	struct route *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	ref_init(&r->refs);
	r->add_msg.type = MSG_ROUTE;
	r->remove_msg.type = MSG_UNROUTE;
	r->gone_msg.type = MSG_ROUTE_GONE;
	r->client = client_get(c);
	r->device = device_get(d);
	r->port = port;
	atomic_fetch_add_explicit(&d->routes_alive, 1, memory_order_relaxed);
	return r;
}

struct route *
route_get(struct route *r)
{
	ref_get(&r->refs);
	return r;
}

void
route_put(struct route *r)
{
	if (!ref_put(&r->refs))
		return;
	atomic_fetch_sub_explicit(&r->device->routes_alive, 1,
	    memory_order_relaxed);
	client_put(r->client);
	device_put(r->device);
	free(r);
}

struct route *
route_of_add(struct msg *m)
{
	return (struct route *)((char *)m - offsetof(struct route, add_msg));
}

struct route *
route_of_remove(struct msg *m)
{
	return (struct route *)((char *)m - offsetof(struct route, remove_msg));
}

struct route *
route_of_gone(struct msg *m)
{
	return (struct route *)((char *)m - offsetof(struct route, gone_msg));
}
