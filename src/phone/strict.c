/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "phone/strict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"

_Static_assert(STRICT_KINDS <= STRICT_KINDS_MAX, "counters for all kinds");

const struct strict_table strict_phone = {
	.device = "phone",
	.kinds = STRICT_KINDS,
	.names = {
		[STRICT_LENGTH] = "length",
		[STRICT_TOO_LONG] = "too_long",
		[STRICT_ZLP_MISSING] = "zlp_missing",
		[STRICT_ZLP_NEEDLESS] = "zlp_needless",
		[STRICT_MAGIC] = "magic",
		[STRICT_TX_SEQ] = "tx_seq",
		[STRICT_PROTOCOL] = "protocol",
		[STRICT_VERSION] = "version",
		[STRICT_SETUP] = "setup",
		[STRICT_ORDER] = "order",
		[STRICT_TCP_HEADER] = "tcp_header",
		[STRICT_RESERVED] = "reserved",
		[STRICT_FLAGS] = "flags",
		[STRICT_SYN] = "syn",
		[STRICT_SYN_LIVE] = "syn_live",
		[STRICT_UNKNOWN] = "unknown_connection",
		[STRICT_HANDSHAKE] = "handshake",
		[STRICT_SEQ] = "seq",
		[STRICT_ACK_AHEAD] = "ack_ahead",
		[STRICT_ACK_BACKWARD] = "ack_backward",
		[STRICT_WINDOW] = "window",
	},
};

void
strict_init(struct strict *s, const struct strict_table *table,
    unsigned index)
{
	memset(s, 0, sizeof *s);
	s->table = table;
	s->index = index;
}

void
strict_count(struct strict *s, unsigned kind, const void *bytes,
    size_t len, const char *fmt, ...)
{
	const enum log_level level =
	    s->total < STRICT_WARNINGS ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
	char what[200], hex[LOG_HEX_MAX];
	va_list ap;

	s->count[kind]++;
	s->total++;
	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	log_at(level, "%s %u: violation '%s': %s (%zu bytes: %s)",
	    s->table->device, s->index, s->table->names[kind], what, len,
	    log_hex(hex, bytes, len < 16 ? (unsigned)len : 16));
	if (s->total == STRICT_WARNINGS)
		log_warning("%s %u: more violations are told with -v only",
		    s->table->device, s->index);
}

void
strict_report(const struct strict *s, struct json *j)
{
	json_uint(j, "violations", s->total);
	json_object(j, "by_kind");
	for (unsigned i = 0; i < s->table->kinds; i++)
		json_uint(j, s->table->names[i], s->count[i]);
	json_end(j);
}
