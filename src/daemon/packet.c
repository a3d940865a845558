/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/packet.h"

#include <stdlib.h>

#include "daemon/client.h"
#include "daemon/device.h"
#include "daemon/msg.h"

/* The transport is done with a frame: its credit goes back to the writer, and
 * a buffer to the connection that it came from. */
static void
packet_done(struct tx *tx, int error)
{
	struct packet *p = (struct packet *)tx;
	struct route *route = p->route;

	if (p->counted > 0)
		writer_give_credit(p->device, p->counted);
	if (p->reply)
		atomic_fetch_sub_explicit(&p->device->replies, 1,
		    memory_order_relaxed);
	if (p->upload) {
		connection_packet_back(p, error);
		return;
	}
	/* What that means the reader hears from the transport itself. */
	packet_free(p);
	if (route != NULL)
		route_put(route);
}

struct packet *
packet_new(uint32_t capacity)
{
	struct packet *p =
	    malloc(sizeof *p + PACKET_HEADER_ROOM + capacity);

	if (p == NULL)
		return NULL;
	p->tx.msg.type = MSG_PACKET;
	p->tx.done = packet_done;
	p->tx.data = p->bytes;
	p->tx.interrupt = false;
	p->device = NULL;
	p->route = NULL;
	p->conn = NULL;
	p->flow = NULL;
	p->upload = p->reply = p->barrier = false;
	p->counted = 0;
	p->capacity = capacity;
	p->payload_len = p->inner_len = 0;
	return p;
}

void
packet_free(struct packet *p)
{
	free(p);
}

void
packet_post(struct packet *p, struct device *device)
{
	p->device = device;
	if (!writer_post(device, &p->tx.msg))
		p->tx.done(&p->tx, USB_ERROR_GONE);
}
