/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scm_rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static void note(struct scm_rig *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(struct scm_rig *r, const char *fmt, ...)
{
	const size_t used = strlen(r->log);
	const char *comma = used > 0 ? ", " : "";
	va_list ap;

	HOLDS(used + 100 < sizeof r->log, "a log without end: %s", r->log);
	snprintf(r->log + used, sizeof r->log - used, "%s", comma);
	va_start(ap, fmt);
	vsnprintf(r->log + strlen(r->log), sizeof r->log - strlen(r->log), fmt,
	    ap);
	va_end(ap);
}

static void
note_message(struct scm_rig *r, const struct scm_message *m)
{
	HOLDS(m->sock == 9, "%s of socket %u", scm_op_name(m->op), m->sock);
	HOLDS(m->op != SCM_WRITE, "data by the wrong way");
	r->last = *m;
	if (m->op == SCM_REPLY) {
		HOLDS(m->len <= SCM_VALUE_MAX, "%u bytes", m->len);
		memcpy(r->last_data, m->data, m->len);
		note(r, "REPLY %u %s %u", m->id, scm_op_name(m->answered),
		    m->len);
	} else if (m->op == SCM_ACK) {
		note(r, "ACK %u %s %d", m->id, scm_op_name(m->answered),
		    m->code);
	} else {
		note(r, "%s", scm_op_name(m->op));
	}
}

static void
use_option(struct scm_rig *r, const struct scm_action *a)
{
	note(r, "%s %d", a->kind == SCM_DO_SETOPT ? "set" : "get", a->option);
	if (a->kind == SCM_DO_SETOPT)
		r->option_value = a->value;
	scm_socket_option_done(&r->s, r->option_error, &r->option_value);
}

static void
perform(struct scm_rig *r, const struct scm_action *a)
{
	switch (a->kind) {
	case SCM_DO_SOCKET:
		note(r, "socket%s%s", a->family == SCM_INET6 ? "6" : "",
		    a->datagram ? "u" : "");
		scm_socket_made(&r->s, r->make_error);
		break;
	case SCM_DO_CONNECT:
		note(r, "connect");
		break;
	case SCM_DO_SETOPT:
	case SCM_DO_GETOPT:
		use_option(r, a);
		break;
	case SCM_DO_SEND:
		note_message(r, &a->message);
		break;
	case SCM_DO_SHUTDOWN:
		note(r, "fin");
		break;
	case SCM_DO_CLOSE:
		note(r, "%s", a->hard ? "reset" : "close");
		break;
	case SCM_DO_LEAVE:
		note(r, "leave");
		break;
	case SCM_DO_END:
		note(r, "end");
		r->ended = true;
		break;
	case SCM_DO_NOTHING:
		break;
	}
}

void
scm_rig_run(struct scm_rig *r)
{
	struct scm_action a;

	while (scm_socket_next(&r->s, r->now, &a), a.kind != SCM_DO_NOTHING)
		perform(r, &a);
}

const char *
scm_rig_log(struct scm_rig *r)
{
	static char log[sizeof r->log];

	scm_rig_run(r);
	memcpy(log, r->log, sizeof log);
	r->log[0] = '\0';
	return log;
}

void
scm_rig_open(struct scm_rig *r, enum scm_dialect dialect, uint16_t protocol,
    unsigned ids)
{
	const struct scm_message open = { .op = SCM_OPEN, .id = 1, .sock = 9,
		.family = SCM_INET, .protocol = protocol };
	const struct scm_limits limits = { .connect_ms = 20000,
		.idle_ms = 100000 };
	struct scm_ids some = { .round = dialect == SCM_12,
		.count = (uint8_t)ids };

	for (unsigned i = 0; i < ids; i++)
		some.ids[i] = (uint16_t)(100 + i);
	r->dialect = dialect;
	r->now = (struct moment){ INT64_C(5000000000) };
	r->log[0] = '\0';
	r->ended = false;
	scm_socket_start(&r->s, dialect, &open, &some, &limits, r->now);
	scm_rig_run(r);
	if (r->make_error == 0)
		r->log[0] = '\0';
}

void
scm_rig_take(struct scm_rig *r, enum scm_op op, uint16_t id)
{
	const struct scm_message m = { .op = op, .id = id, .sock = 9 };

	scm_socket_message(&r->s, &m, NULL, r->now);
	scm_rig_run(r);
}

void
scm_rig_take_connect(struct scm_rig *r, uint16_t id, bool allowed)
{
	const struct scm_message m = { .op = SCM_CONNECT, .id = id, .sock = 9,
		.address = { .family = SCM_INET, .port = 80, .ip = { 10 } } };
	const struct scm_verdict v = { .allowed = allowed };

	scm_socket_message(&r->s, &m, &v, r->now);
	scm_rig_run(r);
}

void
scm_rig_take_ack(struct scm_rig *r, uint16_t id, int32_t code)
{
	const struct scm_message m = { .op = SCM_ACK, .id = id, .sock = 9,
		.answered = SCM_WRITE, .code = code };

	scm_socket_message(&r->s, &m, NULL, r->now);
	scm_rig_run(r);
}

bool
scm_rig_take_part(struct scm_rig *r, uint16_t id, uint32_t len, uint32_t total,
    uint32_t left)
{
	const struct scm_message m = { .op = SCM_WRITE, .id = id, .sock = 9,
		.len = len, .total = total, .left = left };
	const bool wanted = scm_socket_data(&r->s, &m, r->now);

	scm_rig_run(r);
	return wanted;
}

bool
scm_rig_take_write(struct scm_rig *r, uint16_t id, uint32_t len)
{
	return scm_rig_take_part(r, id, len, len, 0);
}

void
scm_rig_connected(struct scm_rig *r, enum scm_dialect dialect,
    uint16_t protocol, unsigned ids)
{
	scm_rig_open(r, dialect, protocol, ids);
	scm_rig_take_connect(r, 2, true);
	scm_socket_connected(&r->s, 0, r->now);
	scm_rig_run(r);
	ck_assert_int_eq(r->s.state, SCM_CONNECTED);
	r->log[0] = '\0';
}

void
scm_rig_pass(struct scm_rig *r, int64_t ms)
{
	r->now = moment_after_ms(r->now, ms);
	scm_socket_expire(&r->s, r->now);
	scm_rig_run(r);
}
