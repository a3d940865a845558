/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a device's reader and the workers of its sockets both use. */

#include "daemon/scm_host.h"

#include <stdio.h>

#include "base/log.h"
#include "daemon/device.h"
#include "daemon/packet.h"
#include "daemon/scm_conn.h"

#define NS_PER_S INT64_C(1000000000)

void
scm_starve(struct device *d)
{
	if (!atomic_exchange_explicit(&d->scm_state->starved, true,
		memory_order_relaxed))
		mailbox_post(&d->reader_box, &d->scm_state->starved_msg);
}

/* ---- Sending ------------------------------------------------------------ */

/* The transport is done with an answer, or a notice. */
static void
message_done(struct tx *tx, int error)
{
	struct packet *p = (struct packet *)tx;
	struct scm_conn *c = p->conn;

	(void)error; /* the reader hears of it from the transport itself */
	if (p->counted > 0)
		writer_give_credit(p->device, p->counted);
	atomic_fetch_sub_explicit(&p->device->scm_state->answers, 1,
	    memory_order_relaxed);
	packet_free(p);
	if (c != NULL)
		scm_conn_put(c);
}

void
scm_send(struct device *d, struct scm_conn *c, const struct scm_message *m)
{
	struct packet *p = packet_new(SCM_MESSAGE_ROOM(m->len));
	struct writer w;

	if (p == NULL) {
		log_error("%s: no memory for what it is to be told", d->name);
		scm_starve(d);
		return;
	}
	w = writer_over(packet_payload(p), p->capacity);
	if (!scm_message_write(&w, &d->scm_state->engine.format, m)) {
		/* Dialect 12 has no word for it, so the device cannot have
		 * asked. */
		packet_free(p);
		return;
	}
	p->payload_len = (uint32_t)writer_used(&w);
	p->kind = (uint16_t)m->op;
	p->tx.done = message_done;
	if (c != NULL) {
		p->conn = scm_conn_get(c);
		p->flow = &c->flow;
	}
	atomic_fetch_add_explicit(&d->scm_state->answers, 1,
	    memory_order_relaxed);
	packet_post(p, d);
}

/* ---- Bytes per second --------------------------------------------------- */

struct moment
scm_pace_ready(const struct scm_pace *p)
{
	return (struct moment){ atomic_load_explicit(&p->paid_ns,
	    memory_order_relaxed) };
}

void
scm_pace_spend(struct scm_pace *p, uint64_t n, struct moment now)
{
	const uint64_t rate =
	    atomic_load_explicit(&p->rate, memory_order_relaxed);
	int64_t was = atomic_load_explicit(&p->paid_ns, memory_order_relaxed);
	int64_t is, cost;

	if (rate == 0)
		return;
	/* Data of one WRITE: below 2^17, and so within range. */
	cost = (int64_t)(n * NS_PER_S / rate);
	do {
		is = was > now.ns - NS_PER_S ? was : now.ns - NS_PER_S;
		is += cost;
	} while (!atomic_compare_exchange_weak_explicit(&p->paid_ns, &was, is,
	    memory_order_relaxed, memory_order_relaxed));
}

/* ---- Words -------------------------------------------------------------- */

const char *
scm_address_text(char out[SCM_ADDRESS_TEXT_MAX], const struct scm_address *a)
{
	const struct scm_ip ip = scm_ip_of(a);
	char text[SCM_IP_TEXT_MAX];

	snprintf(out, SCM_ADDRESS_TEXT_MAX, ip.is_v4 ? "%s:%u" : "[%s]:%u",
	    scm_ip_text(text, &ip), a->port);
	return out;
}
