/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manager's sockets: those that devices have opened, each with a worker from
 * the same stock as the clients'. */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/manager_int.h"
#include "daemon/protocol.h"
#include "daemon/scm_host.h"

/* ---- Coming and going --------------------------------------------------- */

static void
list_socket(struct manager *m, struct scm_conn *c) RUNS_ON(on_manager)
{
	c->next = m->sockets;
	c->prev_next = &m->sockets;
	if (m->sockets != NULL)
		m->sockets->prev_next = &c->next;
	m->sockets = c;
	m->socket_count++;
}

static void
unlist_socket(struct manager *m, struct scm_conn *c) RUNS_ON(on_manager)
{
	*c->prev_next = c->next;
	if (c->next != NULL)
		c->next->prev_next = c->prev_next;
	m->socket_count--;
}

/* The reader answers its device.  Once that has ended, nobody waits for it. */
static void
give_back(struct scm_conn *c)
{
	if (mailbox_post(&c->device->reader_box, &c->unserved_msg))
		return;
	scm_conn_discard(c, NULL, NULL);
	scm_conn_put(c);
}

static bool
find_worker(struct manager *m) RUNS_ON(on_manager)
{
	errno = EMFILE;
	return clients_have_room(m) && workers_make(m);
}

void
sockets_opened(struct manager *m, struct scm_conn *c)
{
	static struct log_limit limit;
	char more[LOG_LIMIT_MAX];

	if (m->quitting || !find_worker(m)) {
		if (!m->quitting && log_limit_pass(&limit, more) != NULL)
			log_warning("%s: no worker for its socket %u: %s%s",
			    c->device->name, c->open.sock, strerror(errno),
			    more);
		give_back(c);
		return;
	}
	list_socket(m, c);
	clients_note_room(m);
	workers_give(m, &c->serve_msg);
}

void
sockets_ended(struct manager *m, struct scm_conn *c)
{
	unlist_socket(m, c);
	workers_park(m);
	clients_left_room(m);
	scm_conn_put(c);
}

/* ---- For an admin ------------------------------------------------------- */

static uint64_t
relaxed(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void
fill_counters(struct snapshot_scm *row, const struct scm_stats *s)
{
	row->open = (uint32_t)counter_read(&s->open);
	row->held = counter_read(&s->held);
	row->opened = counter_read(&s->opened);
	row->open_refused = counter_read(&s->open_refused);
	row->refused = counter_read(&s->refused);
	row->connected = relaxed(&s->connected);
	row->connect_failed = relaxed(&s->connect_failed);
	row->lost = relaxed(&s->lost);
	row->messages = counter_read(&s->messages);
	row->violations = counter_read(&s->violations);
	row->splits = counter_read(&s->splits);
	row->from_device = relaxed(&s->from_device);
	row->to_device = relaxed(&s->to_device);
}

/* The dialect and the pipes are what the reader wrote before MSG_DEVICE_READY;
 * the limits are those of the settings in force. */
static void
fill_device(struct snapshot_scm *row, const struct device *d,
    const struct scm_settings *settings) RUNS_ON(on_manager)
{
	const struct scm_state *s = d->scm_state;

	row->device_id = d->id;
	row->vendor = d->ident.vendor;
	row->product = d->ident.product;
	row->dialect = s->engine.format.dialect == SCM_8 ? 8 : 12;
	row->interrupts = d->phone.pipes.interrupt_in != 0;
	row->limits = scm_policy_limits(settings->policy, &s->who);
	fill_counters(row, &s->stats);
}

static void
fill_socket(struct snapshot_socket *row, const struct scm_conn *c)
    RUNS_ON(on_manager)
{
	row->device_id = c->device->id;
	row->sock = c->open.sock;
	row->state = scm_socket_state_name((enum scm_socket_state)
	    atomic_load_explicit(&c->state, memory_order_relaxed));
	row->protocol = c->open.protocol;
	row->peer = scm_conn_peer(c);
	row->from_device = counter_read(&c->from_device);
	row->to_device = counter_read(&c->to_device);
	row->held = counter_read(&c->held);
	row->writes = (uint32_t)counter_read(&c->unsent);
	row->age_ms = (uint64_t)moment_ms_between(c->since, clock_now());
}

void
sockets_fill(struct manager *m, struct snapshot *s)
{
	struct scm_settings *settings = scm_in_force(m);

	for (const struct plug *p = m->plugs; p != NULL; p = p->next)
		if (p->device != NULL && !p->device->protocol->is_phone &&
		    p->device->ready_at.ns != 0 && settings != NULL)
			fill_device(&s->scms[s->scm_count++], p->device,
			    settings);
	for (const struct scm_conn *c = m->sockets; c != NULL; c = c->next)
		fill_socket(&s->sockets[s->socket_count++], c);
	scm_settings_put(settings);
}
