/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"
#include "phone/mux_int.h"
#include "phone/port.h"

void
mux_report(const struct mux *m, struct json *j)
{
	const struct mux_counters *n = &m->count;

	json_uint(j, "packets_in", n->packets_in);
	json_uint(j, "packets_out", n->packets_out);
	json_uint(j, "bytes_in", n->bytes_in);
	json_uint(j, "bytes_out", n->bytes_out);
	json_uint(j, "zlps_in", n->zlps_in);
	json_uint(j, "zlps_out", n->zlps_out);
	json_uint(j, "opened", n->opened);
	json_uint(j, "closed", n->closed);
	json_uint(j, "refused", n->refused);
	json_uint(j, "current", m->live);
	json_uint(j, "rst_received", n->rst_received);
	json_uint(j, "rst_sent", n->rst_sent);
	json_uint(j, "acks_in", n->acks_in);
	json_uint(j, "acks_out", n->acks_out);
	json_uint(j, "late", n->late);
	json_uint(j, "windows_full", n->windows_full);
}

static void
report_connection(const struct conn *c, struct json *j)
{
	json_object(j, NULL);
	json_uint(j, "sport", c->sport);
	json_uint(j, "dport", c->dport);
	json_string(j, "service", c->port->name);
	json_bool(j, "open", c->state == CONN_OPEN);
	json_uint(j, "bytes_in", c->bytes_in);
	json_uint(j, "bytes_out", c->bytes_out);
	json_uint(j, "unread", c->rcv_unread);
	json_uint(j, "window", c->rcv_edge - c->rcv_next);
	json_uint(j, "host_window", c->snd_window);
	json_uint(j, "unacknowledged", c->snd_next - c->snd_una);
	json_end(j);
}

void
mux_report_connections(const struct mux *m, struct json *j)
{
	const struct conn *c;

	json_array(j, "connections");
	for (unsigned sport = 0; (c = table_from(m, sport)) != NULL;) {
		sport = c->sport + 1u;
		if (c->state != CONN_RESET)
			report_connection(c, j);
	}
	json_end(j);
}
