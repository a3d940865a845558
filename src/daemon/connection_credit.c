/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What becomes of an upload's frames when they have left: the buffer is its
 * connection's again, and one that has waited for that goes on.
 */

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/packet.h"

/* Who sends a frame hears of it as the reader, but for one that fails at once. */
static void
await_attention(struct device *d, struct route *r) ROLE_UNCHECKED
{
	if (r->credited)
		return;
	r->credited = true;
	r->next_credited = NULL;
	*d->credited_end = route_get(r);
	d->credited_end = &r->next_credited;
}

/* The buffer is for the next one; as many are kept as may be under way. */
static void
keep_buffer(struct connection *conn, struct packet *p)
{
	if (credit_used(&conn->upload) > device_flow_frames(p->device))
		packet_free(p);
	else
		recycler_give(&conn->buffers, &p->tx.msg.node);
}

void
connection_packet_back(struct packet *p, int error)
{
	struct route *r = p->route;
	struct client *c = r->client;
	struct device *d = p->device;
	const struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_relaxed);

	p->route = NULL;
	keep_buffer(&c->conn, p);
	if (credit_return(&c->conn.upload, 1)) {
		/* One that blocks tells of frames in the middle of a read that
		 * goes on. */
		if (error == USB_OK && c->poller != NULL &&
		    !t->ops->write_blocks)
			await_attention(d, r);
		else
			mailbox_wake_owner(&c->box);
	}
	route_put(r);
}

void
connections_attend(struct device *d)
{
	while (d->credited != NULL) {
		struct route *r = d->credited;

		d->credited = r->next_credited;
		if (d->credited == NULL)
			d->credited_end = &d->credited;
		r->credited = false;
		client_act_or_wake(r->client);
		route_put(r);
	}
}
