/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/device.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/msg.h"
#include "daemon/protocol.h"

/* Free chunks that a device keeps: as many as a full window of one connection
 * needs, so that a steady stream allocates nothing. */
#define SPARE_CHUNKS 40

const char *
device_state_name(enum device_state state)
{
	switch (state) {
	case DEVICE_BRINGUP:
		return "bring-up";
	case DEVICE_HANDSHAKE:
		return "handshake";
	case DEVICE_READY:
		return "ready";
	case DEVICE_ENDING:
		return "ending";
	}
	return "?";
}

static void
init_messages(struct device *d)
{
	d->ready_msg.type = MSG_DEVICE_READY;
	d->ended_msg.type = MSG_DEVICE_ENDED;
	d->stop_msg.type = MSG_DEVICE_STOP;
	d->io_msg.type = MSG_DEVICE_IO;
	d->writer_stop_msg.type = MSG_WRITER_STOP;
	d->writer_ended_msg.type = MSG_WRITER_ENDED;
}

static void
init_readers_part(struct device *d) ROLE_UNCHECKED /* it does not run yet */
{
	d->credited_end = &d->credited;
}

struct device *
device_new(uint32_t id, struct usb_source *source,
    const struct usb_ident *ident, const struct protocol *protocol,
    struct mailbox *manager)
{
	struct device *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->writer_waker = waker_new();
	d->reader_waker = d->writer_waker != NULL ? waker_new() : NULL;
	if (d->reader_waker == NULL) {
		if (d->writer_waker != NULL)
			waker_put(d->writer_waker);
		free(d);
		return NULL;
	}
	ref_init(&d->refs);
	d->id = id;
	d->source = source;
	d->ident = *ident;
	d->protocol = protocol;
	d->manager = manager;
	snprintf(d->name, sizeof d->name, "device %u (%s %s)", id,
	    source->name, ident->key);
	init_messages(d);
	scm_inbox_init(&d->scm_inbox);
	mailbox_init(&d->reader_box, reader_wake, d);
	baton_init(&d->reader_baton);
	mailbox_init_waker(&d->writer_box, d->writer_waker);
	baton_init(&d->writer_baton);
	credit_init(&d->write_credit, BUS_LIMIT_FIRST, &d->writer_box,
	    MSG_WRITE_CREDIT);
	atomic_init(&d->frame_payload, bus_half(BUS_LIMIT_FIRST));
	atomic_init(&d->flow_frames, OUTBOX_FLOW_MAX);
	init_readers_part(d);
	chunk_pool_init(&d->pool, SPARE_CHUNKS);
	if (protocol->init != NULL && !protocol->init(d)) {
		waker_put(d->writer_waker);
		waker_put(d->reader_waker);
		free(d);
		return NULL;
	}
	return d;
}

struct device *
device_get(struct device *d)
{
	ref_get(&d->refs);
	return d;
}

void
device_put(struct device *d)
{
	struct transport *t;

	if (!ref_put(&d->refs))
		return;
	chunk_pool_fini(&d->pool);
	scm_inbox_fini(&d->scm_inbox);
	scm_settings_put(d->scm);
	t = atomic_load_explicit(&d->transport, memory_order_relaxed);
	if (t != NULL)
		t->ops->free(t);
	if (d->protocol->free != NULL)
		d->protocol->free(d);
	waker_put(d->writer_waker);
	waker_put(d->reader_waker);
	free(d);
}

/* Ports are given out in a circle, so that a port is not used again while the
 * phone may still answer its last connection. */
uint16_t
device_take_port(struct device *d)
{
	uint16_t port = d->last_port;

	for (unsigned i = 0; i < 65535; i++) {
		port = port == 65535 ? 1 : (uint16_t)(port + 1);
		if ((d->ports_used[port / 8] & 1u << port % 8) == 0) {
			d->ports_used[port / 8] |= (uint8_t)(1u << port % 8);
			d->last_port = port;
			return port;
		}
	}
	return 0;
}

void
device_give_port(struct device *d, uint16_t port)
{
	d->ports_used[port / 8] &= (uint8_t)~(1u << port % 8);
}
