/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the manager knows, as rows for an admin (snapshot.h). */

#include <stdio.h>

#include "daemon/manager_int.h"
#include "daemon/protocol.h"
#include "daemon/snapshot.h"

static void
fill_counters(struct snapshot_device *row, const struct device *d)
{
	const struct device_stats *s = &d->stats;

	row->rx_reads = counter_read(&s->rx_reads);
	row->rx_empty_reads = counter_read(&s->rx_empty_reads);
	row->rx_packets = counter_read(&s->rx_packets);
	row->rx_bytes = counter_read(&s->rx_bytes);
	row->rx_malformed = counter_read(&s->rx_malformed);
	row->rx_stray = counter_read(&s->rx_stray);
	row->rx_stalls = counter_read(&s->rx_stalls);
	row->tx_packets = counter_read(&s->tx_packets);
	row->tx_bytes = counter_read(&s->tx_bytes);
	row->tx_zlps = counter_read(&s->tx_zlps);
	row->tx_acks = counter_read(&s->tx_acks);
}

/* What the reader wrote before MSG_DEVICE_READY; ours to read after it. */
static void
fill_phone(struct snapshot_device *row, struct device *d)
{
	snprintf(row->udid, sizeof row->udid, "%s", d->phone.udid);
	row->configuration = d->phone.configuration;
	row->interface = d->phone.interface;
	row->mode = d->phone.mode;
	row->mux_version =
	    atomic_load_explicit(&d->mux.version, memory_order_relaxed);
}

/* "ready" exactly while clients see it: the reader is a message ahead. */
static enum device_state
state_of(struct device *d) RUNS_ON(on_manager)
{
	const enum device_state state = (enum device_state)
	    atomic_load_explicit(&d->state, memory_order_relaxed);

	if (state != DEVICE_READY || d->shown || !d->protocol->is_phone)
		return state;
	return d->ready_at.ns == 0 ? DEVICE_HANDSHAKE : DEVICE_ENDING;
}

static void
fill_device(struct snapshot_device *row, struct device *d)
    RUNS_ON(on_manager)
{
	struct transport *t =
	    atomic_load_explicit(&d->transport, memory_order_acquire);
	const enum device_state state = state_of(d);

	row->id = d->id;
	row->protocol = d->protocol->name;
	row->state = device_state_name(state);
	row->step = state == DEVICE_BRINGUP
	    ? usb_step_name((enum usb_step)atomic_load_explicit(&d->step,
		  memory_order_relaxed))
	    : "";
	row->connections = d->connections;
	if (d->ready_at.ns != 0)
		fill_phone(row, d);
	fill_counters(row, d);
	if (t == NULL)
		return;
	row->transport = t->ops->name;
	row->reads_in_flight = atomic_load_explicit(&t->reads_in_flight,
	    memory_order_relaxed);
	row->writes_in_flight = atomic_load_explicit(&t->writes_in_flight,
	    memory_order_relaxed);
}

static void
fill_plug(struct snapshot_device *row, const struct plug *p)
    RUNS_ON(on_manager)
{
	snprintf(row->key, sizeof row->key, "%s", p->ident.key);
	snprintf(row->trouble, sizeof row->trouble, "%s", p->trouble);
	row->source = p->source->name;
	row->transport = row->step = "";
	row->protocol = "";
	row->state = p->given_up ? "failed" : "waiting";
	row->attempts = p->attempts;
	row->location = usb_location(&p->ident);
	row->speed = usb_speed_bits(p->ident.speed);
	row->product = p->ident.product;
	if (p->device != NULL)
		fill_device(row, p->device);
}

static const char *
phase_name(enum client_phase phase)
{
	switch (phase) {
	case CLIENT_PHASE_COMMAND:
		return "command";
	case CLIENT_PHASE_LISTENING:
		return "listening";
	case CLIENT_PHASE_CONNECTED:
		return "connected";
	case CLIENT_PHASE_ADMIN:
		return "admin";
	}
	return "?";
}

/* An idle connection has taken the credit for its next frame already.  The two
 * are not read at one moment, hence the look at which is greater. */
static uint32_t
queued(const struct connection *conn)
{
	const uint32_t used = credit_used(&conn->upload);
	const uint64_t reserved = counter_read(&conn->stats.reserved);

	return used > reserved ? used - (uint32_t)reserved : 0;
}

static void
fill_client(struct snapshot_client *row, const struct client *c)
    RUNS_ON(on_manager)
{
	const struct connection_stats *s = &c->conn.stats;

	row->number = c->number;
	row->phase = c->admin ? "admin" : phase_name(c->phase);
	row->pid = c->pid;
	snprintf(row->program, sizeof row->program, "%s", c->info.prog_name);
	if (c->route == NULL)
		return;
	row->device_id = c->device->id;
	snprintf(row->udid, sizeof row->udid, "%s", c->device->phone.udid);
	row->sport = c->route->port;
	row->dport = c->dport;
	row->rx_bytes = counter_read(&s->rx_bytes);
	row->tx_bytes = counter_read(&s->tx_bytes);
	row->in_flight = counter_read(&s->in_flight);
	row->window = counter_read(&s->window);
	row->held = counter_read(&s->held);
	row->queued = queued(&c->conn);
}

struct snapshot *
manager_snapshot(struct manager *m)
{
	struct snapshot *s;
	size_t plugs = 0;

	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		plugs++;
	s = snapshot_new(plugs, m->client_count, m->socket_count);
	if (s == NULL)
		return NULL;
	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		fill_plug(&s->devices[s->device_count++], p);
	for (const struct client *c = m->clients; c != NULL; c = c->next)
		fill_client(&s->clients[s->client_count++], c);
	sockets_fill(m, s);
	s->workers = m->worker_count;
	s->parked = m->parked_count;
	s->uptime_ms = (uint64_t)moment_ms_between(m->started, clock_now());
	return s;
}
